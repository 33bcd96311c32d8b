//! What changed, by whom, and how it looks to an operator.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Entity, MASK, ProviderParams, Sealer, Secret, rfc3339};

/// One row's change as the history holds it. `before` and `after` hold every column under its
/// name, instants as epoch milliseconds, secrets as they are stored: `Debug` does not show them.
#[derive(Clone, PartialEq)]
pub struct ChangeRecord {
    /// The version that the change made; all changes of a rollback share one.
    pub version: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who: the name that an admin gave, or `sql`.
    pub actor: String,
    /// `create`, `update`, `delete` or `rollback`.
    pub action: String,
    /// Which table.
    pub entity: Entity,
    /// Which row.
    pub entity_id: i32,
    /// The row's `provider_key` or `name`.
    pub entity_name: String,
    /// The row before; `None` when there was none.
    pub before: Option<Value>,
    /// The row after; `None` when it is gone.
    pub after: Option<Value>,
}

/// One change of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ConfigChange)]
pub struct ShownChange {
    /// The version that the change made; all changes of a rollback share one.
    pub version: i64,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Who: the name that an admin gave, or `sql`.
    pub actor: String,
    /// `create`, `update`, `delete` or `rollback`.
    pub action: String,
    /// `provider` or `credential`.
    pub entity: &'static str,
    /// Id of the row.
    pub entity_id: i32,
    /// The row's `provider_key` or `name`.
    pub entity_name: String,
    /// The row before, secrets masked; null when there was none.
    #[schema(required)]
    pub before: Option<Value>,
    /// The row after; a secret that changed is `*** (changed)`. Null when the row is gone.
    #[schema(required)]
    pub after: Option<Value>,
}

/// What stands for a secret that is not the one before.
const CHANGED: &str = "*** (changed)";

/// Columns that are never shown.
const SECRETS: [&str; 3] = ["api_key", "credential_key", "previous_credential_key"];

/// Columns that hold a point in time.
const INSTANTS: [&str; 4] = ["created_at", "updated_at", "expires_at", "previous_valid_until"];

impl fmt::Debug for ChangeRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChangeRecord({} {} {:?} {})", self.version, self.action, self.entity, self.entity_id)
    }
}

impl ChangeRecord {
    /// The change as an operator may see it.
    #[must_use]
    pub fn shown(&self, sealer: &Sealer) -> ShownChange {
        let before = self.before.as_ref().map(|row| shown_row(row, None, sealer));
        let after = self.after.as_ref().map(|row| shown_row(row, self.before.as_ref(), sealer));
        ShownChange {
            version: self.version,
            at: rfc3339(self.at),
            actor: self.actor.clone(),
            action: self.action.clone(),
            entity: self.entity.name(),
            entity_id: self.entity_id,
            entity_name: self.entity_name.clone(),
            before,
            after,
        }
    }
}

/// A row with its secrets masked; `former` is what it was before, where that is to be told.
fn shown_row(row: &Value, former: Option<&Value>, sealer: &Sealer) -> Value {
    let Some(row) = row.as_object() else {
        // Not written by our triggers: what it holds is unknown.
        return Value::String(MASK.to_owned());
    };
    let show = |(name, value): (&String, &Value)| {
        let former = former.map(|former| former.get(name).unwrap_or(&Value::Null));
        let value = match name.as_str() {
            secret if SECRETS.contains(&secret) => shown_secret(value, former, sealer),
            instant if INSTANTS.contains(&instant) => shown_instant(value),
            "provider_params" => shown_params(value, former),
            _ => value.clone(),
        };
        (name.clone(), value)
    };
    Value::Object(row.iter().map(show).collect::<Map<_, _>>())
}

fn shown_secret(value: &Value, former: Option<&Value>, sealer: &Sealer) -> Value {
    let Some(text) = value.as_str().filter(|text| !text.is_empty()) else {
        return value.clone();
    };
    let is_same = |former: &Value| {
        let former = Secret::new(former.as_str().unwrap_or_default().to_owned());
        sealer.same(&former, &Secret::new(text.to_owned()))
    };
    let mask = if former.is_none_or(is_same) { MASK } else { CHANGED };
    Value::String(mask.to_owned())
}

fn shown_instant(value: &Value) -> Value {
    let at = value.as_i64().and_then(DateTime::from_timestamp_millis);
    at.map_or_else(|| value.clone(), |at| Value::String(rfc3339(at)))
}

/// Options with the values of secret headers masked, and marked where they changed.
fn shown_params(value: &Value, former: Option<&Value>) -> Value {
    let mut shown = ProviderParams::masked(value);
    let (Some(former), Some(headers)) = (former, shown.get_mut("headers").and_then(Value::as_object_mut)) else {
        return shown;
    };
    for (name, header) in headers {
        let header_in = |params: &Value| params.get("headers").and_then(|headers| headers.get(name)).cloned();
        if header == MASK && header_in(value) != header_in(former) {
            *header = Value::String(CHANGED.to_owned());
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::EncryptionKeys;

    fn change(before: Option<Value>, after: Option<Value>) -> ShownChange {
        let record = ChangeRecord {
            version: 3,
            at: DateTime::from_timestamp_millis(1_900_000_000_123).unwrap(),
            actor: "ann".to_owned(),
            action: "update".to_owned(),
            entity: Entity::Provider,
            entity_id: 1,
            entity_name: "p".to_owned(),
            before,
            after,
        };
        assert!(!format!("{record:?}").contains("sk-"));
        record.shown(&Sealer::new(&EncryptionKeys { current: Some([1; 32]), old: Vec::new() }))
    }

    fn row(key: &str, header: &str) -> Value {
        json!({
            "api_key": key, "weight": 2, "created_at": 1_900_000_000_123_i64,
            "provider_params": {"headers": {"x-api-key": header, "x-team": "blue"}},
        })
    }

    #[test]
    fn secrets_are_masked_and_a_change_of_one_is_told() {
        let shown = change(Some(row("sk-old", "h1")), Some(row("sk-new", "h2")));
        let (before, after) = (shown.before.unwrap(), shown.after.unwrap());
        assert_eq!((&before["api_key"], &after["api_key"]), (&json!("***"), &json!("*** (changed)")));
        let header = |row: &Value| row["provider_params"]["headers"]["x-api-key"].clone();
        assert_eq!((header(&before), header(&after)), (json!("***"), json!("*** (changed)")));
        assert_eq!(after["provider_params"]["headers"]["x-team"], "blue");
        assert_eq!(after["created_at"], "2030-03-17T17:46:40.123Z");
    }

    #[test]
    fn sealing_a_key_does_not_change_it() {
        let sealer = Sealer::new(&EncryptionKeys { current: Some([1; 32]), old: Vec::new() });
        let sealed = sealer.seal(&Secret::new("sk-same".to_owned()));
        let shown = change(Some(row("sk-same", "h")), Some(row(sealed.expose(), "h")));
        assert_eq!(shown.after.unwrap()["api_key"], "***");
    }

    #[test]
    fn a_row_that_is_no_object_shows_nothing() {
        assert_eq!(change(None, Some(json!(["sk-1"]))).after.unwrap(), json!("***"));
        assert_eq!(change(None, Some(row("", "h"))).after.unwrap()["api_key"], "");
    }
}
