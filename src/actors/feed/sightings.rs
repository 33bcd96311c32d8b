//! What changed among the replicas.

use bytes::Bytes;

use super::message::{self, State};
use crate::store::Replica;

/// The messages that lead from `before` to `now`: who appeared or has another version, and who
/// was silent for so long that it is not listed any more.
pub(super) fn news(before: &[Replica], now: &[Replica]) -> Vec<Bytes> {
    let known = |list: &[Replica], id: &str| list.iter().find(|known| known.id == id).map(|known| known.version);
    let up = now.iter().filter(|replica| known(before, &replica.id) != Some(replica.version));
    let gone = before.iter().filter(|replica| known(now, &replica.id).is_none());
    let up = up.map(|replica| message::replica(replica, State::Up));
    up.chain(gone.map(|replica| message::replica(replica, State::Gone))).collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::{Value, json};

    use super::*;

    fn replica(id: &str, version: i64, second: i64) -> Replica {
        let at = DateTime::from_timestamp(1_900_000_000 + second, 0).unwrap();
        Replica { id: id.to_owned(), version, app_version: "1".to_owned(), started_at: at, seen_at: at }
    }

    #[test]
    fn only_another_version_a_new_replica_and_silence_are_news() {
        let before = [replica("a", 3, 0), replica("b", 3, 0), replica("c", 3, 0)];
        let now = [replica("a", 3, 5), replica("b", 4, 5), replica("d", 1, 5)];
        let told: Vec<Value> = news(&before, &now).iter().map(|text| serde_json::from_slice(text).unwrap()).collect();
        let at = |second| format!("2030-03-17T17:46:{second}.000Z");
        assert_eq!(
            told,
            [
                json!({"type": "replica", "id": "b", "version": 4, "seen_at": at(45), "state": "up"}),
                json!({"type": "replica", "id": "d", "version": 1, "seen_at": at(45), "state": "up"}),
                json!({"type": "replica", "id": "c", "version": 3, "seen_at": at(40), "state": "gone"}),
            ]
        );
        assert!(news(&now, &now).is_empty());
    }
}
