//! The life sign of this process, and what it tells of the others.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext as _, Context, WrapFuture as _};
use chrono::{DateTime, Utc};
use tokio::time::{Instant, sleep, sleep_until};

use super::database::DatabaseWatch;
use super::published::{Published, Publisher};
use crate::config::{Snapshot, Source};
use crate::store::{Replica, Store};
use crate::telemetry::crate_version;

/// How often this process says that it lives.
const EVERY: Duration = Duration::from_secs(5);

/// The same while somebody watches, so that the progress of others is seen soon.
const EVERY_WATCHED: Duration = Duration::from_secs(1);

/// At least so long between two; a burst of changes is told once.
const APART: Duration = Duration::from_millis(250);

/// What the life sign is made from, and where it goes.
#[derive(Clone)]
pub struct ReplicasParts {
    /// Where replicas find each other.
    pub store: Arc<dyn Store>,
    /// The name of this process among them.
    pub replica_id: String,
    /// When this process started.
    pub started_at: DateTime<Utc>,
    /// The configuration in force here.
    pub snapshot: Published<Snapshot>,
    /// How many watch the replicas.
    pub watchers: Published<usize>,
    /// Where those seen in the last 30 seconds are published, by id.
    pub replicas: Publisher<Vec<Replica>>,
    /// Where it is noted whether the database answers.
    pub database: DatabaseWatch,
}

/// Writes this process's row and publishes the rows of all. A row is not removed at the end: 30
/// seconds of silence tell the same.
pub struct ReplicasActor {
    parts: ReplicasParts,
}

// === impl ReplicasActor ===

impl ReplicasActor {
    /// An actor that begins with a life sign.
    #[must_use]
    pub const fn new(parts: ReplicasParts) -> Self {
        Self { parts }
    }
}

impl Actor for ReplicasActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.spawn(beat_for_ever(self.parts.clone()).into_actor(self));
    }
}

async fn beat_for_ever(mut parts: ReplicasParts) {
    loop {
        let begun = Instant::now();
        parts.beat().await;
        sleep_until(begun + APART).await;
        parts.until_next(begun).await;
    }
}

// === impl ReplicasParts ===

impl ReplicasParts {
    /// Waits until the next life sign is due: after a while, or as soon as there is news.
    async fn until_next(&mut self, begun: Instant) {
        loop {
            let pause = if *self.watchers.load() > 0 { EVERY_WATCHED } else { EVERY };
            tokio::select! {
                () = sleep_until(begun + pause) => return,
                () = self.snapshot.changed() => return,
                // The first who watches shortens the pause. With the publisher gone this returns
                // at once, again and again.
                () = self.watchers.changed() => sleep(APART).await,
            }
        }
    }

    /// A database that does not answer is noted and tried again next time.
    async fn beat(&self) {
        let Some(own) = self.own() else {
            return;
        };
        let started = std::time::Instant::now();
        let seen = self.store.heartbeat(own).await;
        match self.database.met(seen, started.elapsed()) {
            Ok(seen) => self.replicas.publish(Arc::new(seen)),
            Err(error) => log::debug!(error:%; "cannot write the life sign of this replica"),
        }
    }

    /// This process's row; `None` before the database was met: it may have no tables yet.
    fn own(&self) -> Option<Replica> {
        let snapshot = self.snapshot.load();
        (snapshot.source == Source::Database).then(|| Replica {
            id: self.replica_id.clone(),
            version: snapshot.version,
            app_version: crate_version().to_owned(),
            started_at: self.started_at,
            seen_at: Utc::now(),
        })
    }
}
