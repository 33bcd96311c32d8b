//! The processes that share a database, each with the version in force there.

use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};

use diesel::{AsChangeset, Insertable, Queryable, Selectable};

use super::StoreError;
use super::column_types::Moment;
use super::schema::replicas;

/// A process that wrote a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// `REPLICA_ID`.
    pub id: String,
    /// The version of the configuration in force there.
    pub version: i64,
    /// The release it runs.
    pub app_version: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it last wrote, by its own clock.
    pub seen_at: DateTime<Utc>,
}

/// A row of `replicas`.
#[derive(Insertable, AsChangeset, Queryable, Selectable)]
#[diesel(table_name = replicas)]
pub(super) struct ReplicaRow {
    id: String,
    version: i64,
    app_version: String,
    started_at: Moment,
    seen_at: Moment,
}

impl From<Replica> for ReplicaRow {
    fn from(replica: Replica) -> Self {
        let Replica { id, version, app_version, started_at, seen_at } = replica;
        Self { id, version, app_version, started_at: started_at.into(), seen_at: seen_at.into() }
    }
}

impl From<ReplicaRow> for Replica {
    fn from(row: ReplicaRow) -> Self {
        let ReplicaRow { id, version, app_version, started_at, seen_at } = row;
        Self { id, version, app_version, started_at: started_at.into(), seen_at: seen_at.into() }
    }
}

/// A row silent for so long counts as gone.
#[must_use]
pub fn silent_after() -> Duration {
    Duration::seconds(30)
}

/// A row silent for so long is removed.
pub(super) fn forgotten_after() -> Duration {
    Duration::hours(24)
}

/// The table of replicas.
#[async_trait]
pub trait Replicas {
    /// Writes this process's row, removes rows silent for 24 hours, and returns those seen in the
    /// last 30 seconds, by id.
    async fn heartbeat(&self, own: Replica) -> Result<Vec<Replica>, StoreError>;
}

/// Implements [`Replicas`] for `$store`; see `diesel_store!`.
macro_rules! replicas_store {
    ($store:ty, $connection:ty) => {
        const _: () = {
            use diesel::prelude::*;
            use diesel_async::RunQueryDsl;

            use $crate::store::column_types::Moment;
            use $crate::store::replicas::{ReplicaRow, forgotten_after, silent_after};
            use $crate::store::schema::replicas::dsl;
            use $crate::store::{Replica, Replicas, StoreError};

            async fn heartbeat(c: &mut $connection, own: Replica) -> Result<Vec<Replica>, StoreError> {
                let (now, row) = (own.seen_at, ReplicaRow::from(own));
                diesel::insert_into(dsl::replicas)
                    .values(&row)
                    .on_conflict(dsl::id)
                    .do_update()
                    .set(&row)
                    .execute(c)
                    .await?;
                let silent = dsl::replicas.filter(dsl::seen_at.lt(Moment::from(now - forgotten_after())));
                diesel::delete(silent).execute(c).await?;
                let seen = dsl::replicas.filter(dsl::seen_at.ge(Moment::from(now - silent_after())));
                let rows = seen.order(dsl::id).select(ReplicaRow::as_select()).load(c).await?;
                Ok(rows.into_iter().map(Replica::from).collect())
            }

            #[async_trait::async_trait]
            impl Replicas for $store {
                async fn heartbeat(&self, own: Replica) -> Result<Vec<Replica>, StoreError> {
                    self.write_aside(move |c| Box::pin(heartbeat(c, own))).await
                }
            }
        };
    };
}

pub(super) use replicas_store;
