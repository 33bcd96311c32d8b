//! The embedded database.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deadpool::Runtime;
use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::sync_connection_wrapper::SyncConnectionWrapper;
use diesel_async::{AsyncConnection, SimpleAsyncConnection as _};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::Work;
use super::history::history_store;
use super::io::Io;
use super::logs::count::{COUNT_ROWS, COUNTED_AT_ONCE};
use super::logs::queries::logs_store;
use super::migrations::{self, Inspection, SchemaState};
use super::queries::diesel_store;
use super::replicas::replicas_store;
use super::secrets::secrets_store;
use super::sqlite_rows::{InsertError, InsertRequest};

type Sqlite = SyncConnectionWrapper<SqliteConnection>;

diesel_store!(SqliteStore, Sqlite);
history_store!(SqliteStore, Sqlite);
logs_store!(SqliteStore, Sqlite, diesel::sqlite::Sqlite);
replicas_store!(SqliteStore, Sqlite);
secrets_store!(SqliteStore, Sqlite);

/// Per connection. WAL, which lets readers go on during a write, is a property of the file. What
/// is deleted is overwritten: a key that was stored plain must be gone once it is sealed. There may be no
/// folder for temporary files, as in a container whose files are read-only.
const PRAGMAS: &str = "PRAGMA busy_timeout = 5000; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; \
                       PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY;";

/// Longer than any healthy write, shorter than the patience of an admin.
const PATIENCE: Duration = Duration::from_secs(10);

/// So many rows wait to be counted together, which costs a tenth of what it costs to count a batch
/// at a time. Who asks for the sums before counts them first.
const COUNTED_TOGETHER: i64 = COUNTED_AT_ONCE;

/// The store in one SQLite file.
pub(super) struct SqliteStore {
    io: Io,
    file: String,
    pool: Pool<Sqlite>,
    /// SQLite has one writer. Waiting for it in line is fair; waiting in SQLite's busy loop is not.
    turn: Arc<Mutex<()>>,
    sealer: Arc<Sealer>,
}

impl SqliteStore {
    /// A store in this file, which need not exist yet.
    pub(super) fn new(path: &Path, pool_max: usize, sealer: Arc<Sealer>) -> Result<Self, StoreError> {
        let (io, file) = (Io::start()?, file_name(path)?);
        let mut setup = ManagerConfig::default();
        setup.recycling_method = RecyclingMethod::Fast;
        setup.custom_setup = Box::new(|file| Box::pin(connect(file)));
        let manager = AsyncDieselConnectionManager::new_with_config(file.clone(), setup);
        let pool = Pool::builder(manager)
            .max_size(pool_max.max(1))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(PATIENCE))
            .create_timeout(Some(PATIENCE))
            .recycle_timeout(Some(PATIENCE))
            .build()
            .map_err(|error| StoreError::Internal(error.to_string()))?;
        Ok(Self { io, file, pool, turn: Arc::default(), sealer })
    }

    /// Makes the file ready for use and returns how many migrations that took.
    async fn migrate(&self) -> Result<usize, StoreError> {
        let file = self.file.clone();
        self.io.run(async move { prepare(&file).await }).await
    }

    /// SQLite tells nobody of changes.
    async fn notified(&self) {
        std::future::pending().await
    }

    /// Runs `work` in a transaction that sees one state of the database.
    async fn read<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Sqlite) -> Work<'c, T> + Send + 'static,
    {
        let pool = self.pool.clone();
        let run = async move {
            let mut connection = pool.get().await?;
            (*connection).transaction(async move |c: &mut Sqlite| work(c).await).await
        };
        self.io.run(run).await
    }

    /// Runs `work` in a transaction that holds the write lock from its beginning: a transaction
    /// that reads first and then wants to write fails at once when another one wrote meanwhile.
    async fn write<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Sqlite) -> Work<'c, T> + Send + 'static,
    {
        let (pool, turn) = (self.pool.clone(), self.turn.clone());
        let run = async move {
            let _turn = timeout(PATIENCE, turn.lock()).await.map_err(busy)?;
            let mut connection = pool.get().await?;
            (*connection).immediate_transaction(async move |c: &mut Sqlite| work(c).await).await
        };
        self.io.run(run).await
    }

    /// As `write`, which here takes as long as it takes.
    async fn write_at_length<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Sqlite) -> Work<'c, T> + Send + 'static,
    {
        self.write(work).await
    }

    /// As `write`: SQLite has only one line of writers.
    async fn write_aside<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Sqlite) -> Work<'c, T> + Send + 'static,
    {
        self.write(work).await
    }

    /// As `read`, when all rows of the request log are in the sums: those that others wrote are not
    /// before somebody asks.
    async fn read_logs<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: for<'c> FnOnce(&'c mut Sqlite) -> Work<'c, T> + Send + 'static,
    {
        // What is written meanwhile is not waited for, or there might be no end.
        let mut waiting = self.read(|c| Box::pin(async move { Ok(c.spawn_blocking(uncounted).await?) })).await?;
        while waiting > 0 {
            self.write(|c| Box::pin(async move { Ok(c.batch_execute(&COUNT_ROWS).await?) })).await?;
            waiting = waiting.saturating_sub(COUNTED_AT_ONCE);
        }
        self.read(work).await
    }

    /// Appends all `logs` or none.
    async fn insert_request_logs(&self, logs: Arc<Vec<RequestLog>>) -> Result<(), StoreError> {
        self.insert(move |c| {
            logs.iter().try_for_each(|log| InsertRequest(log).run(c))?;
            if uncounted(c)? >= COUNTED_TOGETHER { SimpleConnection::batch_execute(c, &COUNT_ROWS) } else { Ok(()) }
        })
        .await
    }

    async fn insert_error_logs(&self, logs: Arc<Vec<ErrorLog>>) -> Result<(), StoreError> {
        self.insert(move |c| logs.iter().try_for_each(|log| InsertError(log).run(c))).await
    }

    /// Runs `work` in a transaction. Diesel's async side cannot insert many rows into SQLite at
    /// once.
    async fn insert<W>(&self, work: W) -> Result<(), StoreError>
    where
        W: FnOnce(&mut SqliteConnection) -> QueryResult<()> + Send + 'static,
    {
        let (pool, turn) = (self.pool.clone(), self.turn.clone());
        let run = async move {
            let _turn = timeout(PATIENCE, turn.lock()).await.map_err(busy)?;
            let mut connection: Object<Sqlite> = pool.get().await?;
            Ok(connection.spawn_blocking(move |c| c.immediate_transaction(work)).await?)
        };
        self.io.run(run).await
    }
}

/// Looks at the file without changing it.
pub(super) async fn inspect(path: &Path) -> Result<Inspection, StoreError> {
    let (io, file) = (Io::start()?, file_name(path)?);
    if !path.exists() {
        return Ok(Inspection { schema: SchemaState::Missing, loaded: None });
    }
    io.run(async move {
        let mut connection = connect(&file).await?;
        connection.batch_execute("PRAGMA query_only = ON").await?;
        let schema = connection.spawn_blocking(|c| Ok(migrations::state(c, &migrations::SQLITE))).await??;
        let loaded = match schema {
            SchemaState::Current => Some(load(&mut connection).await?),
            SchemaState::Missing | SchemaState::Pending(_) | SchemaState::Newer(_) => None,
        };
        Ok(Inspection { schema, loaded })
    })
    .await
}

/// Makes the file ready for use and returns how many migrations that took.
async fn prepare(file: &str) -> Result<usize, StoreError> {
    let mut connection = connect(file).await?;
    write_ahead(&mut connection).await?;
    let apply = |c: &mut SqliteConnection| c.immediate_transaction(|c| migrations::apply(c, &migrations::SQLITE));
    connection.spawn_blocking(move |c| Ok(apply(c))).await?
}

/// Switches the file to WAL. SQLite answers "locked" at once, whatever the busy timeout, while
/// another process that starts at the same time does the same.
async fn write_ahead(connection: &mut Sqlite) -> Result<(), StoreError> {
    let end = Instant::now() + PATIENCE;
    loop {
        match connection.batch_execute("PRAGMA journal_mode = WAL").await.map_err(StoreError::from) {
            Err(StoreError::Unavailable(_)) if Instant::now() < end => {
                sleep(Duration::from_millis(20)).await;
            }
            other => return other,
        }
    }
}

async fn connect(file: &str) -> diesel::ConnectionResult<Sqlite> {
    let mut connection = Sqlite::establish(file).await?;
    let set = connection.batch_execute(PRAGMAS).await;
    set.map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
    Ok(connection)
}

/// The path as SQLite takes it literally: `:memory:` and `file:` mean something else to it.
fn file_name(path: &Path) -> Result<String, StoreError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(missing) = folder.filter(|folder| !folder.is_dir()) {
        let folder = missing.display();
        return Err(StoreError::Unsupported(format!("the folder {folder} does not exist")));
    }
    let path = if path.is_absolute() { path.to_owned() } else { Path::new(".").join(path) };
    let name = path.into_os_string().into_string();
    name.map_err(|_name| StoreError::Unsupported("the path is not UTF-8".to_owned()))
}

/// How many rows wait to be counted, at most.
fn uncounted(c: &mut SqliteConnection) -> QueryResult<i64> {
    let rows = "(SELECT COALESCE(MAX(id), 0) FROM request_logs) - (SELECT counted FROM log_progress)";
    diesel::RunQueryDsl::get_result(diesel::select(diesel::dsl::sql::<diesel::sql_types::BigInt>(rows)), c)
}

/// SQLite has only one writer anyway.
async fn may_prune(_: &mut Sqlite) -> Result<bool, StoreError> {
    std::future::ready(Ok(true)).await
}

fn busy(_elapsed: tokio::time::error::Elapsed) -> StoreError {
    StoreError::Unavailable("too many writes are waiting".to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::task::{Context, Poll, Waker};

    use chrono::{DateTime, Utc};
    use diesel::connection::{Connection as _, SimpleConnection as _};
    use diesel::sql_types::Text;
    use diesel::{QueryableByName, RunQueryDsl as _, SqliteConnection, sql_query};
    use tempfile::TempDir;

    use crate::store::sqlite_rows::InsertRequest;
    use crate::store::suite::{TestDatabase, request_log, settings, store_test_suite};
    use crate::store::{SchemaState, StoreError, inspect, open};

    struct SqliteFile(TempDir);

    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        value: String,
    }

    impl SqliteFile {
        fn path(&self) -> PathBuf {
            self.0.path().join("llm-proxy.db")
        }

        fn connection(&self) -> SqliteConnection {
            let mut connection = SqliteConnection::establish(self.path().to_str().unwrap()).unwrap();
            connection.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
            connection
        }
    }

    impl TestDatabase for SqliteFile {
        fn create() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn url(&self) -> String {
            format!("sqlite://{}", self.path().display())
        }

        fn execute(&self, sql: &str) {
            self.connection().batch_execute(sql).unwrap();
        }

        fn drop_triggers(&self, table: &str) {
            for event in ["insert", "update", "delete"] {
                self.execute(&format!("DROP TRIGGER {table}_after_{event}"));
            }
        }

        fn texts(&self, sql: &str) -> Vec<String> {
            let rows: Vec<Row> = sql_query(sql).load(&mut self.connection()).unwrap();
            rows.into_iter().map(|row| row.value).collect()
        }
    }

    store_test_suite!(SqliteFile);

    #[tokio::test]
    async fn inspecting_changes_nothing_and_tells_how_the_schema_stands() {
        let database = SqliteFile::create();
        assert_eq!(inspect(&settings(&database.url(), 1)).await.unwrap().schema, SchemaState::Missing);
        assert!(!database.path().exists());
        database.execute("CREATE TABLE strangers (id INTEGER)");
        assert_eq!(inspect(&settings(&database.url(), 1)).await.unwrap().schema, SchemaState::Pending(5));
        assert_eq!(database.texts("SELECT name AS value FROM sqlite_master"), ["strangers"]);
        open(&settings(&database.url(), 1)).await.unwrap();
        let current = inspect(&settings(&database.url(), 1)).await.unwrap();
        assert_eq!((current.schema, current.loaded.unwrap().version), (SchemaState::Current, 0));
    }

    #[tokio::test]
    async fn a_row_is_checked_without_a_table_made_for_it() {
        #[derive(QueryableByName)]
        struct Step {
            #[diesel(sql_type = Text)]
            opcode: String,
        }
        let database = SqliteFile::create();
        open(&settings(&database.url(), 1)).await.unwrap();
        let (log, c) = (request_log("r"), &mut database.connection());
        let statement = diesel::debug_query(&InsertRequest(&log)).to_string();
        let statement = statement.split(" -- ").next().unwrap().replace('?', "1");
        let steps: Vec<Step> = sql_query(format!("EXPLAIN {statement}")).load(c).unwrap();
        assert!(steps.iter().any(|step| step.opcode == "IdxInsert"));
        assert!(steps.iter().all(|step| step.opcode != "OpenEphemeral"));
        let unknown = crate::store::RequestLog { outcome: "unknown".to_owned(), ..log };
        assert!(InsertRequest(&unknown).run(c).unwrap_err().to_string().starts_with("CHECK constraint failed"));
    }

    #[tokio::test]
    async fn a_schema_newer_than_the_program_is_refused() {
        let database = SqliteFile::create();
        open(&settings(&database.url(), 1)).await.unwrap();
        database.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')");
        assert!(matches!(open(&settings(&database.url(), 1)).await.err().unwrap(), StoreError::Schema(_)));
        let found = inspect(&settings(&database.url(), 1)).await.unwrap();
        assert_eq!(found.schema, SchemaState::Newer("99990101000000".to_owned()));
        assert!(found.loaded.is_none());
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_and_a_missing_folder_are_told_apart() {
        let database = SqliteFile::create();
        std::fs::write(database.path(), "certainly no database, but long enough to be read as one".repeat(20)).unwrap();
        assert!(matches!(open(&settings(&database.url(), 1)).await.err().unwrap(), StoreError::Schema(_)));
        let missing = database.0.path().join("nowhere");
        let error = open(&settings(&format!("sqlite://{}/a.db", missing.display()), 1)).await.err().unwrap();
        assert!(matches!(error, StoreError::Unsupported(_)));
        assert!(error.to_string().contains(missing.to_str().unwrap()), "{error}");
    }

    #[tokio::test]
    async fn a_dropped_call_runs_to_its_end_and_harms_nobody() {
        let database = SqliteFile::create();
        let store = open(&settings(&database.url(), 1)).await.unwrap();
        for n in 0..20 {
            let logs = vec![request_log(&format!("r{n}"))].into();
            let mut call = store.append_request_logs(logs);
            // One poll starts it; then its caller goes away.
            let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(polled, Poll::Pending | Poll::Ready(Ok(()))));
        }
        let rows = || database.texts("SELECT request_id AS value FROM request_logs").len();
        let arrived = async {
            while rows() < 20 {
                store.version().await.unwrap();
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), arrived).await.unwrap();
    }

    #[test]
    fn a_store_outlives_the_runtime_that_opened_it() {
        let database = SqliteFile::create();
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let store = runtime().block_on(open(&settings(&database.url(), 2))).unwrap();
        assert_eq!(runtime().block_on(store.version()).unwrap(), 0);
        assert_eq!(runtime().block_on(store.version()).unwrap(), 0);
        runtime().block_on(async move { drop(store) });
    }

    #[tokio::test]
    async fn values_that_only_sqlite_can_hold_stay_readable() {
        let database = SqliteFile::create();
        let store = open(&settings(&database.url(), 1)).await.unwrap();
        database.execute(
            "INSERT INTO providers (provider_key, provider_type, api_base, api_key, provider_params)
             VALUES ('p', 'openai', 'http://x', 'k', '{\"timeout\": 1e999}')",
        );
        database.execute(
            "INSERT INTO credentials (credential_key, name, allowed_models, expires_at)
             VALUES ('x', 'numbers', '[1]', 1), (printf('%064d', 1), 'nanoseconds', '[]', 1900000000000000000)",
        );
        let loaded = store.load().await.unwrap();
        assert!(loaded.providers[0].provider_params.is_null());
        assert_eq!(loaded.errors.len(), 1);
        assert_eq!(loaded.credentials[0].expires_at, Some(DateTime::<Utc>::MAX_UTC));
    }

    #[tokio::test]
    async fn a_mapping_keeps_its_order() {
        let database = SqliteFile::create();
        let store = open(&settings(&database.url(), 1)).await.unwrap();
        database.execute(
            "INSERT INTO providers (provider_key, provider_type, api_base, api_key, model_mapping)
             VALUES ('p', 'openai', 'http://x', 'k', '{\"longer\": \"x\", \"a\": \"y\"}')",
        );
        let loaded = store.load().await.unwrap();
        let order: Vec<&String> = loaded.providers[0].model_mapping.as_object().unwrap().keys().collect();
        assert_eq!(order, ["longer", "a"]);
    }
}
