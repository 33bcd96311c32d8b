//! The table of replicas.

use chrono::{Duration, SubsecRound as _, Utc};

use super::{TestDatabase, open};
use crate::store::Replica;

/// A replica that was last seen `age` ago.
pub(in crate::store) fn replica(id: &str, version: i64, age: Duration) -> Replica {
    let now = Utc::now().trunc_subsecs(3);
    let (id, app_version) = (id.to_owned(), "1.2.3".to_owned());
    Replica { id, version, app_version, started_at: now - Duration::days(2), seen_at: now - age }
}

pub(in crate::store) async fn a_heartbeat_replaces_the_one_before_it(database: impl TestDatabase) {
    let store = open(&database).await;
    let (a, b) = (replica("a", 1, Duration::zero()), replica("b", 2, Duration::zero()));
    let seen = store.heartbeat(b.clone()).await.unwrap();
    assert_eq!(seen.as_slice(), std::slice::from_ref(&b));
    assert_eq!(store.heartbeat(a.clone()).await.unwrap(), [a, b.clone()]);
    let a = Replica { app_version: "1.2.4".to_owned(), ..replica("a", 7, Duration::zero()) };
    assert_eq!(store.heartbeat(a.clone()).await.unwrap(), [a, b]);
    assert_eq!(store.version().await.unwrap(), 0);
}

pub(in crate::store) async fn a_silent_replica_is_left_out_and_a_forgotten_one_removed(database: impl TestDatabase) {
    let store = open(&database).await;
    store.heartbeat(replica("forgotten", 1, Duration::hours(25))).await.unwrap();
    store.heartbeat(replica("silent", 1, Duration::seconds(40))).await.unwrap();
    store.heartbeat(replica("slow", 1, Duration::seconds(15))).await.unwrap();
    let seen = store.heartbeat(replica("quick", 1, Duration::zero())).await.unwrap();
    let seen: Vec<String> = seen.into_iter().map(|replica| replica.id).collect();
    assert_eq!(seen, ["quick", "slow"]);
    assert_eq!(database.texts("SELECT id AS value FROM replicas ORDER BY id"), ["quick", "silent", "slow"]);
}
