//! What every database must do, written once and run on each.

mod changes;
mod damage;
mod heartbeats;
mod logs;
mod rollback;
mod secrets;
mod text;

use std::sync::Arc;

use chrono::{DateTime, Duration, SubsecRound as _, Utc};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Committed, RequestLog, Store, StoreError};
use crate::config::{
    CredentialDraft, CredentialPatch, Entity, FieldError, KeyHash, ProviderDraft, ProviderPatch, Secret,
};
use crate::settings::DatabaseSettings;

pub(super) use self::changes::*;
pub(super) use self::damage::*;
pub(super) use self::heartbeats::*;
pub(super) use self::logs::*;
pub(super) use self::secrets::*;
pub(super) use self::text::*;

/// An empty database that goes away with its test.
pub(super) trait TestDatabase {
    /// Makes one.
    fn create() -> Self;
    /// For `open`.
    fn url(&self) -> String;
    /// Runs plain SQL, as an operator would.
    fn execute(&self, sql: &str);
    /// Removes every trigger of a table.
    fn drop_triggers(&self, table: &str);
    /// The column `value` of each row.
    fn texts(&self, sql: &str) -> Vec<String>;
}

/// Makes every test of this file a test of `$database`.
macro_rules! store_test_suite {
    ($database:ty) => {
        store_test_suite! { $database:
            a_new_database_is_empty_at_version_zero
            a_provider_is_read_back_with_all_its_fields
            a_credential_is_read_back_with_all_its_fields
            an_absent_field_keeps_its_value_and_a_cleared_one_becomes_null
            a_change_that_changes_nothing_makes_no_version
            a_change_that_does_not_fit_is_refused_and_leaves_no_trace
            a_taken_provider_key_is_a_conflict
            a_key_in_use_is_a_conflict_also_during_a_rotations_grace
            a_rotation_keeps_the_old_hash_and_a_new_key_forgets_it
            a_deleted_row_is_gone_and_its_id_is_not_used_again
            what_does_not_exist_is_not_found
            versions_grow_with_every_change
            history_names_the_actor_and_calls_plain_sql_sql
            history_holds_both_rows_as_json_objects
            two_stores_see_each_others_writes
            two_hundred_concurrent_writes_all_succeed
            five_thousand_log_rows_are_appended_at_once
            old_log_rows_are_pruned_and_counted
            a_batch_of_log_rows_is_appended_whole_or_not_at_all
            an_unreadable_row_is_reported_and_the_others_load
            a_second_open_applies_no_migration
            many_may_open_an_empty_database_at_once
            errors_hold_no_secret
            a_provider_key_is_sealed_in_its_row_and_in_the_history
            the_stored_key_once_more_makes_no_version
            a_key_stored_otherwise_is_sealed_at_the_next_change
            a_key_that_does_not_open_stays_until_it_is_replaced
            a_rekey_seals_rows_and_history_anew_once
            a_rekey_names_the_keys_that_do_not_open
            a_rekey_reads_a_long_history_to_its_end
            a_rollback_seals_what_was_stored_plain
            a_rollback_to_the_same_key_sealed_otherwise_makes_no_version
            a_rollback_restores_every_row_in_one_version
            a_rollback_can_be_taken_back
            a_rolled_back_credential_keeps_its_keys_and_stays_off
            a_deleted_credential_returns_switched_off
            a_returning_key_that_opens_another_credential_is_a_conflict
            a_provider_that_took_a_key_makes_room_for_the_former_one
            a_rollback_over_a_gap_in_the_history_is_a_conflict
            a_dry_run_tells_the_changes_and_makes_none
            a_version_that_never_was_does_not_exist
            a_rollback_that_changes_nothing_makes_no_version
            changes_are_read_from_any_version_on_and_never_in_part
            the_last_changes_begin_with_a_whole_version
            a_change_that_no_trigger_counted_is_refused
            the_stamp_tells_two_configurations_of_one_version_apart
            what_cannot_be_read_is_not_overwritten
            what_has_expired_stays_so_in_a_rollback
            a_heartbeat_replaces_the_one_before_it
            a_silent_replica_is_left_out_and_a_forgotten_one_removed
            text_that_no_database_can_hold_is_refused_by_field
            a_log_row_with_a_nul_does_not_spoil_its_batch
            ids_that_begin_anew_are_counted_although_some_rows_before_were_not
            rollups_equal_a_plain_count_whatever_was_done_to_the_rows
            pages_by_cursor_and_by_number_show_every_row_once
            a_row_is_read_with_all_its_columns_and_deleted_by_id
            sums_over_any_window_are_those_of_its_rows
            percentiles_are_exact_in_a_narrow_window_and_near_in_a_wide_one
            old_rows_are_pruned_a_part_at_a_time_by_one_of_many
            a_row_is_appended_while_many_old_ones_are_pruned
        }
    };
    ($database:ty: $($test:ident)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                $crate::store::suite::$test(<$database as $crate::store::suite::TestDatabase>::create()).await;
            }
        )*
    };
}
pub(super) use rollback::*;
pub(super) use store_test_suite;

async fn open(database: &impl TestDatabase) -> Arc<dyn Store> {
    super::open(&settings(&database.url(), 4)).await.unwrap()
}

/// What opens a database at `url`, without encryption.
pub(super) fn settings(url: &str, pool_max: usize) -> DatabaseSettings {
    DatabaseSettings { pool_max, ..DatabaseSettings::plain(url.to_owned()) }
}

pub(super) fn provider(key: &str) -> ProviderDraft {
    ProviderDraft {
        provider_key: key.to_owned(),
        provider_type: "openai".to_owned(),
        api_base: "https://api.example.com/v1".to_owned(),
        api_key: Secret::new("sk-provider-secret".to_owned()),
        model_mapping: json!({"gpt-4o": "gpt-4o-2024", "z*": {"mapped_model": "é"}}),
        weight: 3,
        provider_params: json!({"timeout": 1.5}),
        is_enabled: true,
    }
}

fn credential(key: &str) -> CredentialDraft {
    CredentialDraft {
        key_hash: KeyHash::of(key),
        name: format!("name of {key}"),
        allowed_models: vec!["gpt-4o".to_owned(), "a \"quoted\" one".to_owned()],
        rate_limit: Some(0),
        burst: Some(7),
        is_enabled: false,
        expires_at: Some(DateTime::from_timestamp_millis(1_900_000_000_123).unwrap()),
    }
}

pub(super) fn request_log(request_id: &str) -> RequestLog {
    RequestLog {
        timestamp: Utc::now(),
        request_id: request_id.to_owned(),
        endpoint: "/v1/chat/completions".into(),
        credential_name: "team".to_owned(),
        client: "curl".to_owned(),
        model_requested: Some("gpt-4o".to_owned()),
        model_mapped: None,
        provider_name: Some("p".to_owned()),
        provider_type: Some("openai".into()),
        client_protocol: "openai".into(),
        provider_protocol: Some("openai".into()),
        is_streaming: true,
        status_code: 200,
        outcome: "complete".into(),
        attempts: 1,
        input_tokens: Some(10),
        output_tokens: Some(5),
        total_tokens: Some(15),
        cached_tokens: None,
        cache_write_tokens: None,
        reasoning_tokens: None,
        estimated: false,
        cost_microusd: None,
        total_duration_ms: 1200,
        ttft_ms: Some(300),
        gateway_us: Some(800),
        dropped_fields: None,
        error_category: None,
        error_message: None,
        upstream_request_id: None,
        replica_id: "r1".to_owned(),
        config_version: 4,
        request_headers: None,
        request_body: None,
        response_body: None,
    }
}

fn conflict_of<T: std::fmt::Debug>(result: Result<T, StoreError>) -> (String, String) {
    match result.unwrap_err() {
        StoreError::Conflict { field, message } => (field, message),
        other => panic!("no conflict: {other:?}"),
    }
}

pub(super) async fn a_new_database_is_empty_at_version_zero(database: impl TestDatabase) {
    let loaded = open(&database).await.load().await.unwrap();
    assert_eq!((loaded.version, loaded.providers.len(), loaded.credentials.len()), (0, 0, 0));
    assert!(loaded.errors.is_empty());
    assert!((Utc::now() - loaded.changed_at).abs() < Duration::minutes(1));
}

pub(super) async fn a_provider_is_read_back_with_all_its_fields(database: impl TestDatabase) {
    let store = open(&database).await;
    let Committed { version, record } = store.create_provider(provider("p"), "ann").await.unwrap();
    let draft = provider("p");
    assert_eq!(record.provider_key, draft.provider_key);
    assert_eq!(record.provider_type, draft.provider_type);
    assert_eq!(record.api_base, draft.api_base);
    assert_eq!(record.api_key, draft.api_key);
    assert_eq!(record.model_mapping, draft.model_mapping);
    assert_eq!((record.weight, record.is_enabled), (3, true));
    assert_eq!(record.provider_params, draft.provider_params);
    assert_eq!(record.created_at, record.updated_at);
    let loaded = store.load().await.unwrap();
    assert_eq!((loaded.version, loaded.providers), (version, vec![record]));
}

pub(super) async fn a_credential_is_read_back_with_all_its_fields(database: impl TestDatabase) {
    let store = open(&database).await;
    let Committed { version, record } = store.create_credential(credential("k"), "ann").await.unwrap();
    let draft = credential("k");
    assert_eq!(record.key_hash, draft.key_hash);
    assert_eq!(record.name, draft.name);
    assert_eq!(record.allowed_models, draft.allowed_models);
    assert_eq!((record.rate_limit, record.burst, record.is_enabled), (Some(0), Some(7), false));
    assert_eq!(record.expires_at, draft.expires_at);
    assert_eq!((record.previous_key_hash, record.previous_valid_until), (None, None));
    let loaded = store.load().await.unwrap();
    assert_eq!((loaded.version, loaded.credentials), (version, vec![record]));
}

pub(super) async fn an_absent_field_keeps_its_value_and_a_cleared_one_becomes_null(database: impl TestDatabase) {
    let store = open(&database).await;
    let before = store.create_credential(credential("k"), "ann").await.unwrap().record;
    let patch = CredentialPatch { rate_limit: Some(None), expires_at: Some(None), ..Default::default() };
    let after = store.update_credential(before.id, patch, "ann").await.unwrap().record;
    assert_eq!((after.rate_limit, after.expires_at), (None, None));
    assert_eq!((after.burst, after.name, after.allowed_models), (before.burst, before.name, before.allowed_models));
    let before = store.create_provider(provider("p"), "ann").await.unwrap().record;
    let patch = ProviderPatch { weight: Some(0), model_mapping: Some(serde_json::Map::new()), ..Default::default() };
    let after = store.update_provider(before.id, patch, "ann").await.unwrap().record;
    assert_eq!((after.weight, after.model_mapping), (0, json!({})));
    assert_eq!((after.api_key, after.provider_params), (before.api_key, before.provider_params));
    assert_eq!(after.created_at, before.created_at);
}

pub(super) async fn a_change_that_changes_nothing_makes_no_version(database: impl TestDatabase) {
    let store = open(&database).await;
    let made = store.create_provider(provider("p"), "ann").await.unwrap();
    let same = ProviderPatch { weight: Some(made.record.weight), ..Default::default() };
    assert_eq!(store.update_provider(made.record.id, same, "bob").await.unwrap(), made);
    let made = store.create_credential(credential("k"), "ann").await.unwrap();
    // Finer than the database keeps it.
    let end = made.record.expires_at.map(|end| end + Duration::microseconds(7));
    let same = CredentialPatch { expires_at: Some(end), ..Default::default() };
    assert_eq!(store.update_credential(made.record.id, same, "bob").await.unwrap(), made);
    assert_eq!(store.version().await.unwrap(), made.version);
}

pub(super) async fn a_change_that_does_not_fit_is_refused_and_leaves_no_trace(database: impl TestDatabase) {
    let store = open(&database).await;
    let made = store.create_provider(provider("p"), "ann").await.unwrap();
    let patch = ProviderPatch { provider_key: Some("q".to_owned()), weight: Some(9), ..Default::default() };
    let error = store.update_provider(made.record.id, patch, "ann").await.unwrap_err();
    assert_eq!(error, StoreError::Invalid(FieldError::new("provider_key", "cannot be changed")));
    let loaded = store.load().await.unwrap();
    assert_eq!((loaded.version, loaded.providers), (made.version, vec![made.record]));
}

pub(super) async fn a_taken_provider_key_is_a_conflict(database: impl TestDatabase) {
    let store = open(&database).await;
    let made = store.create_provider(provider("p"), "ann").await.unwrap();
    let (field, message) = conflict_of(store.create_provider(provider("p"), "ann").await);
    assert_eq!((field.as_str(), message.as_str()), ("provider_key", "Provider with key 'p' already exists"));
    assert_eq!(store.version().await.unwrap(), made.version);
}

pub(super) async fn a_key_in_use_is_a_conflict_also_during_a_rotations_grace(database: impl TestDatabase) {
    let store = open(&database).await;
    let id = store.create_credential(credential("old"), "ann").await.unwrap().record.id;
    let (field, message) = conflict_of(store.create_credential(credential("old"), "ann").await);
    assert_eq!((field.as_str(), message.as_str()), ("key", "Credential with this key already exists"));
    let other = store.create_credential(credential("other"), "ann").await.unwrap().record.id;
    let rotate = |key: &str, grace: Duration| CredentialPatch {
        key_hash: Some(KeyHash::of(key)),
        grace_until: Some(Utc::now() + grace),
        ..Default::default()
    };
    store.update_credential(id, rotate("new", Duration::hours(1)), "ann").await.unwrap();
    for key in ["old", "new"] {
        assert_eq!(conflict_of(store.create_credential(credential(key), "ann").await).0, "key");
        let patch = CredentialPatch { key_hash: Some(KeyHash::of(key)), ..Default::default() };
        assert_eq!(conflict_of(store.update_credential(other, patch, "ann").await).0, "key");
    }
    store.update_credential(id, rotate("newer", Duration::hours(-1)), "ann").await.unwrap();
    store.create_credential(credential("old"), "ann").await.unwrap();
}

pub(super) async fn a_rotation_keeps_the_old_hash_and_a_new_key_forgets_it(database: impl TestDatabase) {
    let store = open(&database).await;
    let id = store.create_credential(credential("old"), "ann").await.unwrap().record.id;
    let until = (Utc::now() + Duration::hours(1)).trunc_subsecs(3);
    let rotation =
        CredentialPatch { key_hash: Some(KeyHash::of("new")), grace_until: Some(until), ..Default::default() };
    let rotated = store.update_credential(id, rotation, "ann").await.unwrap().record;
    assert_eq!(rotated.key_hash, KeyHash::of("new"));
    assert_eq!(rotated.previous_key_hash.zip(rotated.previous_valid_until), Some((KeyHash::of("old"), until)));
    assert_eq!(store.load().await.unwrap().credentials, [rotated]);
    let set = CredentialPatch { key_hash: Some(KeyHash::of("set")), ..Default::default() };
    let set = store.update_credential(id, set, "ann").await.unwrap().record;
    assert_eq!((set.previous_key_hash, set.previous_valid_until), (None, None));
}

pub(super) async fn a_deleted_row_is_gone_and_its_id_is_not_used_again(database: impl TestDatabase) {
    let store = open(&database).await;
    let first = store.create_provider(provider("p"), "ann").await.unwrap();
    let gone = store.delete_provider(first.record.id, "ann").await.unwrap();
    assert!(gone.version > first.version);
    assert!(store.load().await.unwrap().providers.is_empty());
    let second = store.create_provider(provider("p"), "ann").await.unwrap();
    assert!(second.record.id > first.record.id);
    let first = store.create_credential(credential("k"), "ann").await.unwrap();
    store.delete_credential(first.record.id, "ann").await.unwrap();
    let second = store.create_credential(credential("k"), "ann").await.unwrap();
    assert!(second.record.id > first.record.id);
}

pub(super) async fn what_does_not_exist_is_not_found(database: impl TestDatabase) {
    let store = open(&database).await;
    let missing = StoreError::NotFound { entity: Entity::Provider, id: 9 };
    assert_eq!(store.update_provider(9, ProviderPatch::default(), "ann").await.unwrap_err(), missing);
    assert_eq!(store.delete_provider(9, "ann").await.unwrap_err(), missing);
    let missing = StoreError::NotFound { entity: Entity::Credential, id: 9 };
    assert_eq!(store.update_credential(9, CredentialPatch::default(), "ann").await.unwrap_err(), missing);
    assert_eq!(store.delete_credential(9, "ann").await.unwrap_err(), missing);
    assert_eq!(store.version().await.unwrap(), 0);
}

pub(super) async fn versions_grow_with_every_change(database: impl TestDatabase) {
    let store = open(&database).await;
    let p = store.create_provider(provider("p"), "ann").await.unwrap();
    let k = store.create_credential(credential("k"), "ann").await.unwrap();
    let patch = ProviderPatch { weight: Some(8), ..Default::default() };
    let changed = store.update_provider(p.record.id, patch, "ann").await.unwrap();
    let gone = store.delete_credential(k.record.id, "ann").await.unwrap();
    let versions = [0, p.version, k.version, changed.version, gone.version];
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
    assert_eq!(store.version().await.unwrap(), gone.version);
    database.execute("UPDATE providers SET weight = 4");
    let loaded = store.load().await.unwrap();
    assert!(loaded.version > gone.version);
    assert_eq!(loaded.providers[0].weight, 4);
}

const HISTORY: &str =
    "SELECT actor || ' ' || action || ' ' || entity || ' ' || entity_name AS value FROM config_changes ORDER BY id";

pub(super) async fn history_names_the_actor_and_calls_plain_sql_sql(database: impl TestDatabase) {
    let store = open(&database).await;
    database.execute(
        "INSERT INTO providers (provider_key, provider_type, api_base, api_key) VALUES ('s', 'openai', 'http://x', 'k')",
    );
    let id = store.create_provider(provider("p"), "ann").await.unwrap().record.id;
    database.execute("UPDATE providers SET weight = 9 WHERE provider_key = 's'");
    store.delete_provider(id, "bob").await.unwrap();
    store.create_credential(credential("k"), "cat").await.unwrap();
    assert_eq!(
        database.texts(HISTORY),
        [
            "sql create provider s",
            "ann create provider p",
            "sql update provider s",
            "bob delete provider p",
            "cat create credential name of k",
        ]
    );
}

pub(super) async fn history_holds_both_rows_as_json_objects(database: impl TestDatabase) {
    let store = open(&database).await;
    let made = store.create_provider(provider("p"), "ann").await.unwrap().record;
    let patch = ProviderPatch { is_enabled: Some(false), ..Default::default() };
    let changed = store.update_provider(made.id, patch, "ann").await.unwrap().record;
    store.delete_provider(made.id, "ann").await.unwrap();
    let key = store.create_credential(credential("k"), "ann").await.unwrap().record;
    let side = |column: &str| -> Vec<Value> {
        let sql = format!("SELECT COALESCE(CAST({column} AS TEXT), 'null') AS value FROM config_changes ORDER BY id");
        database.texts(&sql).iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    };
    let row = |is_enabled: bool, updated_at: DateTime<Utc>| {
        json!({
            "id": made.id, "provider_key": "p", "provider_type": "openai",
            "api_base": "https://api.example.com/v1", "api_key": "sk-provider-secret",
            "model_mapping": {"gpt-4o": "gpt-4o-2024", "z*": {"mapped_model": "é"}}, "weight": 3,
            "provider_params": {"timeout": 1.5}, "is_enabled": is_enabled,
            "created_at": made.created_at.timestamp_millis(), "updated_at": updated_at.timestamp_millis(),
        })
    };
    let (first, second) = (row(true, made.updated_at), row(false, changed.updated_at));
    assert_eq!(side("before"), [Value::Null, first.clone(), second.clone(), Value::Null]);
    let credential = json!({
        "id": key.id, "credential_key": KeyHash::of("k").to_hex(), "name": "name of k",
        "allowed_models": ["gpt-4o", "a \"quoted\" one"], "rate_limit": 0, "burst": 7, "is_enabled": false,
        "expires_at": 1_900_000_000_123_i64, "previous_credential_key": null, "previous_valid_until": null,
        "created_at": key.created_at.timestamp_millis(), "updated_at": key.updated_at.timestamp_millis(),
    });
    assert_eq!(side("after"), [first, second, Value::Null, credential]);
}

pub(super) async fn two_stores_see_each_others_writes(database: impl TestDatabase) {
    let (one, two) = (open(&database).await, open(&database).await);
    let made = one.create_provider(provider("p"), "ann").await.unwrap();
    assert_eq!(two.version().await.unwrap(), made.version);
    let patch = ProviderPatch { weight: Some(5), ..Default::default() };
    let changed = two.update_provider(made.record.id, patch, "bob").await.unwrap();
    assert_eq!(one.load().await.unwrap().providers, [changed.record]);
}

pub(super) async fn two_hundred_concurrent_writes_all_succeed(database: impl TestDatabase) {
    let stores = [open(&database).await, open(&database).await];
    let id = stores[0].create_provider(provider("p"), "ann").await.unwrap().record.id;
    let writes = (0..200).map(|n: i32| {
        let store = Arc::clone(&stores[usize::try_from(n % 2).unwrap()]);
        async move {
            let patch = ProviderPatch { weight: Some(1000 + n), ..Default::default() };
            store.update_provider(id, patch, &format!("actor {n}")).await
        }
    });
    let mut versions: Vec<i64> = join_all(writes).await.into_iter().map(|write| write.unwrap().version).collect();
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), 200);
    let actors = database.texts("SELECT DISTINCT actor AS value FROM config_changes");
    assert_eq!(actors.len(), 201);
}

pub(super) async fn five_thousand_log_rows_are_appended_at_once(database: impl TestDatabase) {
    let store = open(&database).await;
    let mut rows: Vec<RequestLog> = (0..5000).map(|n| request_log(&format!("r{n}"))).collect();
    rows[4321].error_category = Some("timeout".into());
    store.append_request_logs(rows.clone().into()).await.unwrap();
    store.append_request_logs(Arc::default()).await.unwrap();
    let count = |filter: &str| {
        let sql = format!("SELECT CAST(COUNT(*) AS TEXT) AS value FROM request_logs WHERE {filter}");
        database.texts(&sql)
    };
    assert_eq!(count("1 = 1"), ["5000"]);
    assert_eq!(count("request_id = 'r4321' AND error_category = 'timeout' AND config_version = 4"), ["1"]);
    assert_eq!(store.version().await.unwrap(), 0);
}

pub(super) async fn old_log_rows_are_pruned_and_counted(database: impl TestDatabase) {
    let store = open(&database).await;
    let now = Utc::now();
    let aged = |days: i64| RequestLog { timestamp: now - Duration::days(days), ..request_log(&format!("day {days}")) };
    let mut rows = vec![aged(40); 12_000];
    rows.extend([aged(31), aged(30), aged(29)]);
    store.append_request_logs(rows.clone().into()).await.unwrap();
    assert_eq!(store.prune_request_logs(now - Duration::days(30)).await.unwrap(), 12_001);
    let left = database.texts("SELECT request_id AS value FROM request_logs ORDER BY id");
    assert_eq!(left, ["day 30", "day 29"]);
    assert_eq!(store.prune_request_logs(now - Duration::days(30)).await.unwrap(), 0);
}

pub(super) async fn a_batch_of_log_rows_is_appended_whole_or_not_at_all(database: impl TestDatabase) {
    let store = open(&database).await;
    let mut rows: Vec<RequestLog> = (0..2000).map(|n| request_log(&format!("r{n}"))).collect();
    rows[1999].outcome = "unheard-of".into();
    assert!(store.append_request_logs(rows.clone().into()).await.is_err());
    assert_eq!(database.texts("SELECT request_id AS value FROM request_logs"), [""; 0]);
}

pub(super) async fn a_second_open_applies_no_migration(database: impl TestDatabase) {
    let prepare = || async { super::connect(&settings(&database.url(), 1)).unwrap().prepare().await.unwrap() };
    assert!(prepare().await > 0);
    assert_eq!(prepare().await, 0);
    let made = open(&database).await.create_provider(provider("p"), "ann").await.unwrap();
    assert_eq!(open(&database).await.load().await.unwrap().providers, [made.record]);
}

pub(super) async fn many_may_open_an_empty_database_at_once(database: impl TestDatabase) {
    let settings = settings(&database.url(), 2);
    let opened = join_all((0..6).map(|_| super::open(&settings))).await;
    for store in opened {
        assert_eq!(store.unwrap().version().await.unwrap(), 0);
    }
    let rows = database.texts("SELECT CAST(version AS TEXT) AS value FROM config_version");
    assert_eq!(rows, ["0"]);
}
