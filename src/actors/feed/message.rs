//! What the feed says, as JSON.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::tail::Entry;
use crate::config::{ChangeRecord, Sealer, ShownChange, rfc3339};
use crate::store::Replica;

#[derive(Serialize)]
struct Change {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    change: ShownChange,
}

#[derive(Serialize)]
struct Hello<'m> {
    #[serde(rename = "type")]
    kind: &'static str,
    version: i64,
    replica_id: &'m str,
    replicas: Vec<Seen<'m>>,
}

#[derive(Serialize)]
struct Seen<'m> {
    id: &'m str,
    version: i64,
    seen_at: String,
}

#[derive(Serialize)]
struct Progress<'m> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    replica: Seen<'m>,
    state: State,
}

/// How it is with a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It is there, with this version.
    Up,
    /// It was silent for too long.
    Gone,
}

impl<'m> From<&'m Replica> for Seen<'m> {
    fn from(replica: &'m Replica) -> Self {
        let seen_at = rfc3339(replica.seen_at);
        Self { id: &replica.id, version: replica.version, seen_at }
    }
}

/// A change, with its secrets masked.
pub(super) fn change(record: &ChangeRecord, sealer: &Sealer) -> Entry {
    let text = text(&Change { kind: "change", change: record.shown(sealer) });
    Entry { version: record.version, text }
}

/// The first message: where the follower stands and who else is there. In place of `replica_id`'s
/// own row stands what is true `now`.
pub(super) fn hello(version: i64, replica_id: &str, others: &[Replica], now: DateTime<Utc>) -> Bytes {
    let mut replicas: Vec<Seen<'_>> = others.iter().filter(|other| other.id != replica_id).map(Seen::from).collect();
    let seen_at = rfc3339(now);
    replicas.push(Seen { id: replica_id, version, seen_at });
    replicas.sort_unstable_by_key(|replica| replica.id);
    text(&Hello { kind: "hello", version, replica_id, replicas })
}

/// What became of a replica.
pub(super) fn replica(replica: &Replica, state: State) -> Bytes {
    text(&Progress { kind: "replica", replica: replica.into(), state })
}

fn text(message: &impl Serialize) -> Bytes {
    // These shapes can always be written: their keys are text.
    serde_json::to_vec(message).map(Bytes::from).unwrap_or_default()
}
