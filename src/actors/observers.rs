//! The start of those who watch the configuration and tell of it.

use std::sync::Arc;

use chrono::Utc;

use super::database::{DatabaseStatus, DatabaseWatch};
use super::feed::{FeedActor, FeedParts};
use super::published::{Published, publish};
use super::replicas::{ReplicasActor, ReplicasParts};
use super::supervise::{Supervised, supervise};
use crate::config::{Sealer, Snapshot};
use crate::store::{Replica, Store};
use crate::telemetry::Telemetry;

/// What they watch.
pub(super) struct Observed {
    pub(super) store: Arc<dyn Store>,
    pub(super) sealer: Arc<Sealer>,
    pub(super) snapshot: Published<Snapshot>,
    pub(super) database: Published<DatabaseStatus>,
    pub(super) contacts: DatabaseWatch,
    pub(super) replica_id: String,
    pub(super) telemetry: Telemetry,
}

/// What they publish.
pub(super) struct Observers {
    pub(super) replicas: Published<Vec<Replica>>,
    pub(super) feed: Supervised<FeedActor>,
}

/// Starts them on the current arbiter. Each knows the other only by what it publishes: who watches
/// hastens the life signs, and these are told to who watches.
pub(super) fn start(observed: Observed) -> Observers {
    let Observed { store, sealer, snapshot, database, contacts, replica_id, telemetry } = observed;
    let (seen, replicas) = publish(Vec::new());
    let (counts, watchers) = publish(0);
    let parts = ReplicasParts {
        store: Arc::clone(&store),
        replica_id: replica_id.clone(),
        started_at: Utc::now(),
        snapshot: snapshot.clone(),
        watchers,
        replicas: seen,
        database: contacts.clone(),
    };
    supervise("ReplicasActor", move || ReplicasActor::new(parts.clone()));
    let parts = FeedParts {
        store,
        sealer,
        replica_id,
        snapshot,
        database,
        contacts,
        replicas: replicas.clone(),
        watchers: counts,
        telemetry,
    };
    let feed = supervise("FeedActor", move || FeedActor::new(parts.clone()));
    Observers { replicas, feed }
}
