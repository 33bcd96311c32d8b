//! What a rollback has to write, worked out from the history.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

use super::StoreError;
use super::column_types::Moment;
use super::history::{ChangeRow, change};
use super::rows::{CredentialRow, CredentialValues, ProviderRow, ProviderValues};
use crate::config::{CredentialRecord, Entity, KeyHash, ProviderRecord, Sealer, Secret};

/// Rows by id as they were at a version; `None`: there was none.
type Then<T> = BTreeMap<i32, Option<T>>;

/// Every row that was changed since a version, as it was then.
#[derive(Debug, Default)]
pub(super) struct Targets {
    providers: Then<ProviderRecord>,
    credentials: Then<CredentialRecord>,
}

/// What makes a table what it was. In this order no unique value is in the way of another:
/// deletes, updates, inserts.
#[derive(Debug)]
pub(super) struct Plan<V> {
    /// Rows made since.
    pub(super) deletes: Vec<i32>,
    /// Rows changed since.
    pub(super) updates: Vec<(i32, V)>,
    /// Rows removed since, with the ids that they had.
    pub(super) inserts: Vec<(i32, V)>,
}

// === impl Targets ===

impl Targets {
    /// Reads them out of all changes above version `to`, oldest first; `current` is the last
    /// version.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when a version is missing or a row cannot be read.
    pub(super) fn read(rows: Vec<ChangeRow>, to: i64, current: i64) -> Result<Self, StoreError> {
        let versions: BTreeSet<i64> = rows.iter().map(|row| row.0).collect();
        if !versions.into_iter().eq((to..current).map(|version| version.saturating_add(1))) {
            return Err(conflict(format!("The history from version {to} to {current} is incomplete")));
        }
        let mut targets = Self::default();
        for row in rows {
            let version = row.0;
            let read = change(row).and_then(|change| targets.add(change.entity, change.entity_id, change.before));
            read.ok_or_else(|| conflict(format!("The history of version {version} cannot be read")))?;
        }
        Ok(targets)
    }

    /// Notes the first change of a row; later ones do not count. `None` when it is not readable.
    fn add(&mut self, entity: Entity, id: i32, before: Option<Value>) -> Option<()> {
        match entity {
            Entity::Provider if !self.providers.contains_key(&id) => {
                let row = before.map(|row| provider(row, id).ok_or(())).transpose().ok()?;
                self.providers.insert(id, row);
            }
            Entity::Credential if !self.credentials.contains_key(&id) => {
                let row = before.map(|row| credential(row, id).ok_or(())).transpose().ok()?;
                self.credentials.insert(id, row);
            }
            Entity::Provider | Entity::Credential => {}
        }
        Some(())
    }

    /// What must be written to have these rows instead of the `present` ones, as of `now`. Keys of
    /// providers are written as `sealer` seals them now, however they were stored then.
    pub(super) fn plan(
        self,
        providers: Vec<ProviderRow>,
        credentials: Vec<CredentialRow>,
        now: Moment,
        sealer: &Sealer,
    ) -> (Plan<ProviderValues>, Plan<CredentialValues>) {
        let providers: BTreeMap<i32, ProviderRecord> =
            providers.into_iter().map(|row| (row.id(), row.into_record())).collect();
        let credentials: BTreeMap<i32, CredentialRow> = credentials.into_iter().map(|row| (row.id(), row)).collect();
        let provider = |then: ProviderRecord, present: Option<ProviderRecord>| {
            // The same key, sealed otherwise, is no change by itself.
            let same = present.as_ref().map(|present| &present.api_key).filter(|key| sealer.same(key, &then.api_key));
            let then = ProviderRecord { api_key: same.cloned().unwrap_or(then.api_key), ..then };
            let present = present.map(|present| ProviderValues::updated(present, now));
            let values = ProviderValues::updated(then.clone(), now);
            if present.as_ref() == Some(&values) {
                return (present, values);
            }
            let api_key = sealer.refresh(&then.api_key);
            (present, ProviderValues::updated(ProviderRecord { api_key, ..then }, now))
        };
        let credential = |then: CredentialRecord, present: Option<CredentialRow>| match present {
            Some(present) => {
                let values = CredentialValues::restored(then, &present, now);
                (Some(CredentialValues::present(present, now)), values)
            }
            None => (None, CredentialValues::returned(then, now)),
        };
        (Plan::new(self.providers, providers, provider), Plan::new(self.credentials, credentials, credential))
    }
}

// === impl Plan ===

impl<V: PartialEq> Plan<V> {
    /// `values` gives what a row is now, if it is there, and what it shall be.
    fn new<T, P>(
        then: Then<T>,
        mut present: BTreeMap<i32, P>,
        values: impl Fn(T, Option<P>) -> (Option<V>, V),
    ) -> Self {
        let mut plan = Self { deletes: Vec::new(), updates: Vec::new(), inserts: Vec::new() };
        for (id, then) in then {
            let present = present.remove(&id);
            let Some(then) = then else {
                plan.deletes.extend(present.map(|_| id));
                continue;
            };
            match values(then, present) {
                (None, then) => plan.inserts.push((id, then)),
                (Some(now), then) if now != then => plan.updates.push((id, then)),
                (Some(_), _) => {}
            }
        }
        plan
    }
}

/// A rollback that cannot be carried out.
pub(super) fn conflict(message: String) -> StoreError {
    StoreError::Conflict { field: "version".to_owned(), message }
}

// === rows in the history ===

/// A provider as the triggers write it down.
#[derive(Deserialize)]
struct ProviderThen {
    id: i32,
    provider_key: String,
    provider_type: String,
    api_base: String,
    api_key: String,
    model_mapping: Value,
    weight: i32,
    provider_params: Value,
    is_enabled: bool,
    created_at: i64,
    updated_at: i64,
}

/// A credential as the triggers write it down.
#[derive(Deserialize)]
struct CredentialThen {
    id: i32,
    credential_key: String,
    name: String,
    allowed_models: Vec<String>,
    rate_limit: Option<i32>,
    burst: Option<i32>,
    is_enabled: bool,
    expires_at: Option<i64>,
    previous_credential_key: Option<String>,
    previous_valid_until: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

/// The errors of `serde_json` may quote a secret, so nothing is told but that there is one.
fn provider(row: Value, id: i32) -> Option<ProviderRecord> {
    let row: ProviderThen = serde_json::from_value(row).ok().filter(|row: &ProviderThen| row.id == id)?;
    Some(ProviderRecord {
        id,
        provider_key: row.provider_key,
        provider_type: row.provider_type,
        api_base: row.api_base,
        api_key: Secret::new(row.api_key),
        model_mapping: row.model_mapping,
        weight: row.weight,
        provider_params: row.provider_params,
        is_enabled: row.is_enabled,
        created_at: instant(row.created_at)?,
        updated_at: instant(row.updated_at)?,
    })
}

fn credential(row: Value, id: i32) -> Option<CredentialRecord> {
    let row: CredentialThen = serde_json::from_value(row).ok().filter(|row: &CredentialThen| row.id == id)?;
    Some(CredentialRecord {
        id,
        key_hash: KeyHash::from_hex(&row.credential_key)?,
        name: row.name,
        allowed_models: row.allowed_models,
        rate_limit: row.rate_limit,
        burst: row.burst,
        is_enabled: row.is_enabled,
        expires_at: optional(row.expires_at, instant)?,
        previous_key_hash: optional(row.previous_credential_key, |text| KeyHash::from_hex(&text))?,
        previous_valid_until: optional(row.previous_valid_until, instant)?,
        created_at: instant(row.created_at)?,
        updated_at: instant(row.updated_at)?,
    })
}

fn instant(millis: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(millis)
}

/// `None` when there is a value that cannot be read.
fn optional<T, U>(value: Option<T>, read: impl Fn(T) -> Option<U>) -> Option<Option<U>> {
    match value {
        None => Some(None),
        Some(value) => read(value).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::column_types::Json;

    fn row(version: i64, entity: &str, id: i32, before: Option<Value>) -> ChangeRow {
        let text = |text: &str| text.to_owned();
        (version, Moment::now(), text("ann"), text("update"), text(entity), id, text("n"), before.map(Json), None)
    }

    fn provider_row(id: i32, key: &str) -> Value {
        json!({
            "id": id, "provider_key": key, "provider_type": "openai", "api_base": "http://h", "api_key": "sk-secret",
            "model_mapping": {}, "weight": 1, "provider_params": {}, "is_enabled": true,
            "created_at": 1_900_000_000_123_i64, "updated_at": 1_900_000_000_123_i64, "of_a_later_release": 1,
        })
    }

    fn refusal(rows: Vec<ChangeRow>, to: i64, current: i64) -> String {
        let error = Targets::read(rows, to, current).unwrap_err();
        assert!(matches!(&error, StoreError::Conflict { field, .. } if field == "version"));
        assert!(!format!("{error} {error:?}").contains("sk-secret"));
        error.to_string()
    }

    #[test]
    fn the_first_change_of_a_row_tells_how_it_was() {
        let rows = vec![
            row(5, "provider", 1, Some(provider_row(1, "first"))),
            row(5, "provider", 2, None),
            row(6, "provider", 1, Some(provider_row(1, "second"))),
        ];
        let targets = Targets::read(rows, 4, 6).unwrap();
        assert_eq!(targets.providers[&1].as_ref().unwrap().provider_key, "first");
        assert!(targets.providers[&2].is_none() && targets.credentials.is_empty());
    }

    #[test]
    fn a_gap_anywhere_in_the_history_is_refused() {
        let create = |version| row(version, "provider", 1, None);
        for versions in [vec![6, 7], vec![5, 7], vec![5, 6], vec![], vec![5, 6, 7, 8]] {
            let message = refusal(versions.into_iter().map(create).collect(), 4, 7);
            assert_eq!(message, "The history from version 4 to 7 is incomplete");
        }
        assert!(Targets::read(Vec::new(), 7, 7).is_ok());
    }

    #[test]
    fn a_row_that_cannot_be_read_is_refused() {
        let mut without_weight = provider_row(1, "p");
        without_weight.as_object_mut().unwrap().remove("weight");
        let mut with_text = provider_row(1, "p");
        with_text["weight"] = json!("sk-secret");
        for before in [without_weight, with_text, provider_row(2, "of another row"), json!(null), json!("sk-secret")] {
            let message = refusal(vec![row(5, "provider", 1, Some(before))], 4, 5);
            assert_eq!(message, "The history of version 5 cannot be read");
        }
        refusal(vec![row(5, "tenant", 1, None)], 4, 5);
    }
}
