//! A PostgreSQL server that several processes share.

mod listen;
mod target;
mod tls;

use std::sync::{Arc, Once};
use std::time::Duration;

use deadpool::Runtime;
use diesel::connection::SimpleConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, PoolableConnection as _, RecyclingMethod,
};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use tokio::sync::{Mutex, Notify};
use tokio::time::{Instant, timeout, timeout_at};

use self::target::{CONNECT_WITHIN, Target};
use super::history::history_store;
use super::io::Io;
use super::logs::queries::logs_store;
use super::migrations::{self, Inspection, SchemaState};
use super::queries::diesel_store;
use super::replicas::replicas_store;
use super::secrets::secrets_store;
use super::{LogRow, Work};
use crate::settings::DatabaseSettings;

diesel_store!(PostgresStore, AsyncPgConnection);
history_store!(PostgresStore, AsyncPgConnection);
logs_store!(PostgresStore, AsyncPgConnection, diesel::pg::Pg);
replicas_store!(PostgresStore, AsyncPgConnection);
secrets_store!(PostgresStore, AsyncPgConnection);

/// Longer than any healthy call, shorter than the patience of an admin.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a change of the encryption key may take: the history may be long. A server that is
/// gone is noticed much earlier.
const REKEY_PATIENCE: Duration = Duration::from_secs(3600);

/// How long migrations may take, waiting for those of another process included.
const MIGRATION_PATIENCE: Duration = Duration::from_secs(300);
const MIGRATION_LIMITS: &str = "SET statement_timeout = '5min'; SET lock_timeout = '5min'";

/// Any number that nobody else locks.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(5495821037142)";

/// PostgreSQL accepts 65,535 bound values per statement, the driver half of that.
const LOGS_PER_INSERT: usize = 900;

/// A connection for code that blocks.
type Blocking = AsyncConnectionWrapper<AsyncPgConnection>;

/// The store on a PostgreSQL server.
pub(super) struct PostgresStore {
    io: Io,
    target: Target,
    pool: Pool<AsyncPgConnection>,
    /// Changes of the configuration are made one at a time everywhere. Those of this process wait
    /// here, so that they do not hold every connection while they wait in the database.
    turn: Arc<Mutex<()>>,
    listening: Once,
    heard: Arc<Notify>,
    sealer: Arc<Sealer>,
}

/// Inserts rows into a log, as many at a time as a statement may have parameters.
macro_rules! insert_in_chunks {
    ($c:ident, $table:ident, $logs:ident) => {{
        let mut logs = $logs.into_iter();
        loop {
            let chunk: Vec<_> = logs.by_ref().take(LOGS_PER_INSERT).collect();
            if chunk.is_empty() {
                return Ok(());
            }
            diesel::insert_into($table::table).values(chunk).execute($c).await?;
        }
    }};
}

impl PostgresStore {
    /// A store in the database of `settings`; contacts nothing.
    pub(super) fn new(settings: &DatabaseSettings, sealer: Arc<Sealer>) -> Result<Self, StoreError> {
        let target = Target::new(settings)?;
        let mut setup = ManagerConfig::default();
        setup.recycling_method = RecyclingMethod::Fast;
        let made = target.clone();
        setup.custom_setup = Box::new(move |_url| {
            let target = made.clone();
            Box::pin(async move { target.connect().await })
        });
        let pool = Pool::builder(AsyncDieselConnectionManager::new_with_config("", setup))
            .max_size(settings.pool_max.max(1))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(CONNECT_WITHIN))
            .create_timeout(Some(CONNECT_WITHIN))
            .recycle_timeout(Some(CONNECT_WITHIN))
            .build()
            .map_err(|error| StoreError::Internal(error.to_string()))?;
        let (turn, heard) = (Arc::default(), Arc::default());
        Ok(Self { io: Io::start()?, target, pool, turn, listening: Once::new(), heard, sealer })
    }

    /// Makes the tables ready for use and returns how many migrations that took.
    async fn migrate(&self) -> Result<usize, StoreError> {
        let target = self.target.clone();
        let applied = self.io.run(async move { prepare(&target).await }).await?;
        self.listening.call_once(|| self.io.spawn(listen::listen(self.target.clone(), Arc::clone(&self.heard))));
        Ok(applied)
    }

    /// Returns when somebody changed the configuration since it last returned, or may have.
    async fn notified(&self) {
        self.heard.notified().await;
    }

    /// Runs `work` in a transaction that sees one state of the database.
    async fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut AsyncPgConnection) -> Work<'c, T> + Send + 'static,
    {
        let pool = self.pool.clone();
        let run = async move { within(Instant::now() + PATIENCE, &pool, |c| Box::pin(snapshot(c, work))).await };
        self.io.run(run).await
    }

    /// As `read`, prepared for sums. Compiling a query takes longer than running one of these, and
    /// groups that do not fit into memory are written to files.
    async fn read_logs<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut AsyncPgConnection) -> Work<'c, T> + Send + 'static,
    {
        self.read(|c| {
            Box::pin(async move {
                c.batch_execute("SET LOCAL jit = off; SET LOCAL work_mem = '64MB'").await?;
                work(c).await
            })
        })
        .await
    }

    /// Runs `work`, which changes the configuration, in a transaction that holds the version from
    /// its beginning: changes are made one after the other, and versions in the order of commits.
    async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut AsyncPgConnection) -> Work<'c, T> + Send + 'static,
    {
        self.write_within(PATIENCE, work).await
    }

    /// As `write`, for what takes long.
    async fn write_at_length<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut AsyncPgConnection) -> Work<'c, T> + Send + 'static,
    {
        self.write_within(REKEY_PATIENCE, work).await
    }

    async fn write_within<T, W>(&self, patience: Duration, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut AsyncPgConnection) -> Work<'c, T> + Send + 'static,
    {
        let (pool, turn) = (self.pool.clone(), Arc::clone(&self.turn));
        let run = async move {
            let end = Instant::now() + patience;
            let _turn = timeout_at(end, turn.lock()).await.map_err(in_the_way)?;
            within(end, &pool, |c| Box::pin(transaction(c, |c| Box::pin(in_line(c, work))))).await
        };
        self.io.run(run).await
    }

    /// Runs `work`, which changes other tables, in a transaction.
    async fn write_aside<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut AsyncPgConnection) -> Work<'c, T> + Send + 'static,
    {
        let pool = self.pool.clone();
        let run = async move { within(Instant::now() + PATIENCE, &pool, |c| Box::pin(transaction(c, work))).await };
        self.io.run(run).await
    }

    /// Appends all `logs` or none.
    async fn insert_request_logs(&self, logs: Arc<Vec<RequestLog>>) -> Result<(), StoreError> {
        let mut logs = Arc::unwrap_or_clone(logs);
        logs.iter_mut().for_each(LogRow::replace_nul);
        self.write_aside(move |c| Box::pin(async move { insert_in_chunks!(c, request_logs, logs) })).await
    }

    async fn insert_error_logs(&self, logs: Arc<Vec<ErrorLog>>) -> Result<(), StoreError> {
        let mut logs = Arc::unwrap_or_clone(logs);
        logs.iter_mut().for_each(LogRow::replace_nul);
        self.write_aside(move |c| Box::pin(async move { insert_in_chunks!(c, error_logs, logs) })).await
    }
}

// === transactions ===

async fn snapshot<T, W>(c: &mut AsyncPgConnection, work: W) -> Result<T, StoreError>
where
    T: Send + 'static,
    W: for<'c> FnOnce(&'c mut AsyncPgConnection) -> Work<'c, T> + Send + 'static,
{
    let begin = c.build_transaction().repeatable_read().read_only();
    { begin }.run(async move |c: &mut AsyncPgConnection| work(c).await).await
}

async fn transaction<T, W>(c: &mut AsyncPgConnection, work: W) -> Result<T, StoreError>
where
    T: Send + 'static,
    W: for<'c> FnOnce(&'c mut AsyncPgConnection) -> Work<'c, T> + Send + 'static,
{
    // Whatever the server's default is: whoever waited for the version must see it.
    let begin = c.build_transaction().read_committed();
    { begin }.run(async move |c: &mut AsyncPgConnection| work(c).await).await
}

/// Runs `work` once nobody else may change the configuration.
async fn in_line<T, W>(c: &mut AsyncPgConnection, work: W) -> Result<T, StoreError>
where
    T: Send + 'static,
    W: for<'c> FnOnce(&'c mut AsyncPgConnection) -> Work<'c, T> + Send + 'static,
{
    let version = config_version::table.find(1).select(config_version::version);
    version.for_update().first::<i64>(c).await?;
    work(c).await
}

/// Runs `work` on a connection of the pool until `end`.
async fn within<T, W>(end: Instant, pool: &Pool<AsyncPgConnection>, work: W) -> Result<T, StoreError>
where
    W: for<'c> FnOnce(&'c mut AsyncPgConnection) -> Work<'c, T>,
{
    let mut connection = timeout_at(end, pool.get()).await.map_err(late)??;
    let done = timeout_at(end, work(&mut connection)).await;
    let is_broken = done.is_err() || connection.is_broken();
    if is_broken {
        // Ends it now. The pool would keep it, and its locks with it, until somebody asks.
        drop(Object::take(connection));
    }
    match done.map_err(late)? {
        // The text is in the server's language; that the connection ended is not.
        Err(StoreError::Internal(reason)) if is_broken => Err(StoreError::Unavailable(reason)),
        other => other,
    }
}

/// Whether this transaction is the one of all that deletes old logs.
async fn may_prune(c: &mut AsyncPgConnection) -> Result<bool, StoreError> {
    let turn = "pg_try_advisory_xact_lock(5495821037143)";
    Ok(diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>(turn)).get_result(c).await?)
}

fn in_the_way(_elapsed: tokio::time::error::Elapsed) -> StoreError {
    StoreError::Busy("too many changes are waiting".to_owned())
}

fn late(_elapsed: tokio::time::error::Elapsed) -> StoreError {
    StoreError::Unavailable("the database did not answer in time".to_owned())
}

// === migrations ===

/// Makes the tables ready for use and returns how many migrations that took.
async fn prepare(target: &Target) -> Result<usize, StoreError> {
    let connection = target.connect().await?;
    let state = blocking(connection, |c| migrations::state(c, &migrations::POSTGRES));
    let (mut connection, state) = timeout(PATIENCE, state).await.map_err(late)??;
    if state == SchemaState::Current {
        return Ok(0);
    }
    connection.batch_execute(MIGRATION_LIMITS).await?;
    let apply = blocking(connection, |c| {
        c.transaction(|c| {
            SimpleConnection::batch_execute(c, MIGRATION_LOCK)?;
            migrations::apply(c, &migrations::POSTGRES)
        })
    });
    let (_, applied) = timeout(MIGRATION_PATIENCE, apply).await.map_err(late)??;
    Ok(applied)
}

/// Looks at the database without changing it.
pub(super) async fn inspect(settings: &DatabaseSettings) -> Result<Inspection, StoreError> {
    let (io, target) = (Io::start()?, Target::new(settings)?);
    let look = async move {
        let mut connection = target.connect().await?;
        connection.batch_execute("SET default_transaction_read_only = on").await?;
        let (mut connection, schema) = blocking(connection, |c| migrations::state(c, &migrations::POSTGRES)).await?;
        let loaded = match schema {
            SchemaState::Current => Some(snapshot(&mut connection, |c| Box::pin(load(c))).await?),
            SchemaState::Missing | SchemaState::Pending(_) | SchemaState::Newer(_) => None,
        };
        Ok(Inspection { schema, loaded })
    };
    io.run(async move { timeout(PATIENCE, look).await.map_err(late)? }).await
}

/// Runs `work`, as diesel's migrations are, where it may block; gives the connection back.
async fn blocking<T, W>(connection: AsyncPgConnection, work: W) -> Result<(AsyncPgConnection, T), StoreError>
where
    T: Send + 'static,
    W: FnOnce(&mut Blocking) -> Result<T, StoreError> + Send + 'static,
{
    let run = tokio::task::spawn_blocking(move || {
        let mut connection = Blocking::from(connection);
        let done = work(&mut connection)?;
        Ok((connection.into_inner(), done))
    });
    run.await.unwrap_or_else(|error| Err(StoreError::Internal(error.to_string())))
}

#[cfg(test)]
mod tests;
