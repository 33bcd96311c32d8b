//! Going back to an earlier version.

use chrono::{Duration, Utc};
use serde_json::json;

use super::{TestDatabase, conflict_of, credential, open, provider};
use crate::config::{
    ChangeRecord, CredentialDraft, CredentialPatch, CredentialRecord, Entity, KeyHash, Loaded, ProviderPatch,
    ProviderRecord,
};
use crate::store::{RolledBack, Store, StoreError};

const EPOCH: chrono::DateTime<Utc> = chrono::DateTime::<Utc>::UNIX_EPOCH;

/// The rows without the time of their last change, which a rollback sets.
fn rows(loaded: Loaded) -> (Vec<ProviderRecord>, Vec<CredentialRecord>) {
    let providers = loaded.providers.into_iter().map(|row| ProviderRecord { updated_at: EPOCH, ..row });
    let credentials = loaded.credentials.into_iter().map(|row| CredentialRecord { updated_at: EPOCH, ..row });
    (providers.collect(), credentials.collect())
}

async fn weigh(store: &dyn Store, id: i32, weight: i32) {
    let patch = ProviderPatch { weight: Some(weight), ..Default::default() };
    store.update_provider(id, patch, "ann").await.unwrap();
}

fn rotation(key: &str) -> CredentialPatch {
    CredentialPatch {
        key_hash: Some(KeyHash::of(key)),
        grace_until: Some(Utc::now() + Duration::hours(1)),
        ..Default::default()
    }
}

fn enabled(key: &str) -> CredentialDraft {
    CredentialDraft { is_enabled: true, ..credential(key) }
}

pub(in crate::store) async fn a_rollback_restores_every_row_in_one_version(database: impl TestDatabase) {
    let store = open(&database).await;
    let [changed, removed] = ["changed", "removed"].map(provider);
    let changed = store.create_provider(changed, "ann").await.unwrap().record;
    let removed = store.create_provider(removed, "ann").await.unwrap().record;
    let then = store.create_credential(credential("k"), "ann").await.unwrap();
    let before = rows(store.load().await.unwrap());

    let patch = ProviderPatch { model_mapping: Some(serde_json::Map::new()), ..Default::default() };
    store.update_provider(changed.id, patch, "ann").await.unwrap();
    database.execute("UPDATE providers SET weight = 9, api_key = 'sk-other'");
    store.delete_provider(removed.id, "ann").await.unwrap();
    store.create_provider(provider("new"), "ann").await.unwrap();
    store.create_credential(credential("new"), "ann").await.unwrap();
    let patch = CredentialPatch {
        name: Some("renamed".to_owned()),
        rate_limit: Some(None),
        expires_at: Some(None),
        allowed_models: Some(Vec::new()),
        ..Default::default()
    };
    let last = store.update_credential(then.record.id, patch, "ann").await.unwrap().version;

    let RolledBack { version, changes } = store.rollback(then.version, false, "bob").await.unwrap();
    let loaded = store.load().await.unwrap();
    assert_eq!((version, loaded.version), (last + 1, last + 1));
    assert!(loaded.providers.iter().all(|row| row.updated_at >= row.created_at));
    assert_eq!(rows(loaded), before);
    let kinds: Vec<(Entity, &str, bool, bool)> = changes
        .iter()
        .map(|change| {
            assert_eq!((change.version, change.actor.as_str(), change.action.as_str()), (version, "bob", "rollback"));
            (change.entity, change.entity_name.as_str(), change.before.is_some(), change.after.is_some())
        })
        .collect();
    assert_eq!(
        kinds,
        [
            (Entity::Provider, "new", true, false),
            (Entity::Provider, "changed", true, true),
            (Entity::Provider, "removed", false, true),
            (Entity::Credential, "name of new", true, false),
            (Entity::Credential, "name of k", true, true),
        ]
    );
    assert_eq!(store.changes_since(last, 100).await.unwrap().changes, changes);
    weigh(&*store, changed.id, 77).await;
    assert_eq!(store.version().await.unwrap(), version + 1);
}

pub(in crate::store) async fn a_rollback_can_be_taken_back(database: impl TestDatabase) {
    let store = open(&database).await;
    let id = store.create_provider(provider("p"), "ann").await.unwrap().record.id;
    weigh(&*store, id, 50).await;
    store.delete_provider(id, "ann").await.unwrap();
    store.create_provider(provider("q"), "ann").await.unwrap();
    let (late, version) = (rows(store.load().await.unwrap()), store.version().await.unwrap());
    let back = store.rollback(0, false, "ann").await.unwrap();
    assert_eq!((back.version, back.changes.len()), (version + 1, 1));
    assert_eq!(rows(store.load().await.unwrap()), (vec![], vec![]));
    store.rollback(version, false, "ann").await.unwrap();
    assert_eq!(rows(store.load().await.unwrap()), late);
    // Beyond the rollback, too, and again.
    for _ in 0..2 {
        store.rollback(2, false, "ann").await.unwrap();
        let (providers, _) = rows(store.load().await.unwrap());
        assert_eq!((providers.len(), providers[0].id, providers[0].weight), (1, id, 50));
    }
}

pub(in crate::store) async fn a_rolled_back_credential_keeps_its_keys_and_stays_off(database: impl TestDatabase) {
    let store = open(&database).await;
    let on = store.create_credential(enabled("on"), "ann").await.unwrap().record;
    let off = store.create_credential(credential("off"), "ann").await.unwrap();
    let rotated = store.update_credential(on.id, rotation("fresh"), "ann").await.unwrap().record;
    let switch = |is_enabled| CredentialPatch {
        is_enabled: Some(is_enabled),
        name: Some("renamed".to_owned()),
        ..Default::default()
    };
    store.update_credential(on.id, switch(false), "ann").await.unwrap();
    store.update_credential(off.record.id, switch(true), "ann").await.unwrap();

    store.rollback(off.version, false, "ann").await.unwrap();
    let (_, credentials) = rows(store.load().await.unwrap());
    assert_eq!(credentials.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["name of on", "name of off"]);
    assert_eq!(credentials.iter().map(|row| row.is_enabled).collect::<Vec<_>>(), [false, false]);
    let kept = &credentials[0];
    assert_eq!(kept.key_hash, KeyHash::of("fresh"));
    assert_eq!(
        (kept.previous_key_hash, kept.previous_valid_until),
        (Some(KeyHash::of("on")), rotated.previous_valid_until)
    );
}

pub(in crate::store) async fn a_deleted_credential_returns_switched_off(database: impl TestDatabase) {
    let store = open(&database).await;
    let id = store.create_credential(enabled("old"), "ann").await.unwrap().record.id;
    let then = store.update_credential(id, rotation("new"), "ann").await.unwrap();
    assert!(then.record.previous_key_hash.is_some() && then.record.is_enabled);
    store.delete_credential(id, "ann").await.unwrap();
    store.rollback(then.version, false, "ann").await.unwrap();
    let (_, credentials) = rows(store.load().await.unwrap());
    let expected = CredentialRecord {
        is_enabled: false,
        previous_key_hash: None,
        previous_valid_until: None,
        updated_at: EPOCH,
        ..then.record
    };
    assert_eq!(credentials, [expected]);
}

pub(in crate::store) async fn a_returning_key_that_opens_another_credential_is_a_conflict(database: impl TestDatabase) {
    let store = open(&database).await;
    let [gone, other] = ["gone", "other"].map(enabled);
    let gone = store.create_credential(gone, "ann").await.unwrap().record;
    let other = store.create_credential(other, "ann").await.unwrap();
    store.delete_credential(gone.id, "ann").await.unwrap();
    store.update_credential(other.record.id, rotation("gone"), "ann").await.unwrap();
    // Taken as a present key, then as one in its grace.
    for next in ["later", "last"] {
        let before = store.load().await.unwrap();
        let (field, message) = conflict_of(store.rollback(other.version, false, "ann").await);
        assert_eq!(field, "version");
        assert!(message.contains(&format!("ID {}", gone.id)), "{message}");
        let after = store.load().await.unwrap();
        assert_eq!((after.version, rows(after)), (before.version, rows(before)));
        store.update_credential(other.record.id, rotation(next), "ann").await.unwrap();
    }
    store.rollback(other.version, false, "ann").await.unwrap();
}

pub(in crate::store) async fn a_provider_that_took_a_key_makes_room_for_the_former_one(database: impl TestDatabase) {
    let store = open(&database).await;
    let then = store.create_provider(provider("p"), "ann").await.unwrap();
    store.delete_provider(then.record.id, "ann").await.unwrap();
    let draft = crate::config::ProviderDraft { provider_params: json!({}), ..provider("p") };
    let second = store.create_provider(draft, "ann").await.unwrap();
    assert_ne!(second.record.id, then.record.id);
    let back = store.rollback(then.version, false, "ann").await.unwrap();
    assert_eq!(back.version, second.version + 1);
    let expected = ProviderRecord { updated_at: EPOCH, ..then.record };
    assert_eq!(rows(store.load().await.unwrap()).0, [expected]);
}

pub(in crate::store) async fn a_rollback_over_a_gap_in_the_history_is_a_conflict(database: impl TestDatabase) {
    let store = open(&database).await;
    let made = store.create_provider(provider("p"), "ann").await.unwrap();
    for weight in [10, 20, 30] {
        weigh(&*store, made.record.id, weight).await;
    }
    let before = store.load().await.unwrap();
    database.execute(&format!("DELETE FROM config_changes WHERE version = {}", made.version + 2));
    let (field, message) = conflict_of(store.rollback(made.version, false, "ann").await);
    assert_eq!(field, "version");
    assert!(message.contains("incomplete"), "{message}");
    let after = store.load().await.unwrap();
    assert_eq!((after.version, after.providers), (before.version, before.providers));
    // Nothing is missing since then.
    store.rollback(made.version + 2, false, "ann").await.unwrap();
    assert_eq!(store.load().await.unwrap().providers[0].weight, 20);
}

pub(in crate::store) async fn a_dry_run_tells_the_changes_and_makes_none(database: impl TestDatabase) {
    let store = open(&database).await;
    let made = store.create_provider(provider("p"), "ann").await.unwrap();
    weigh(&*store, made.record.id, 10).await;
    store.create_provider(provider("q"), "ann").await.unwrap();
    let before = store.load().await.unwrap();
    let history = store.last_changes(100).await.unwrap();
    let tried = store.rollback(made.version, true, "bob").await.unwrap();
    let after = store.load().await.unwrap();
    assert_eq!((tried.version, after.version), (before.version, before.version));
    assert_eq!((after.providers, store.last_changes(100).await.unwrap()), (before.providers, history));
    let done = store.rollback(made.version, false, "bob").await.unwrap();
    let essence = |change: ChangeRecord| (change.version, change.actor, change.action, change.entity_id);
    let [tried, done] = [tried.changes, done.changes].map(|all| all.into_iter().map(essence).collect::<Vec<_>>());
    assert_eq!((done.len(), tried), (2, done));
    assert_eq!(missing_version(store.rollback(before.version + 9, true, "bob").await), before.version + 9);
}

/// The version that does not exist.
fn missing_version(result: Result<RolledBack, StoreError>) -> i64 {
    match result.unwrap_err() {
        StoreError::NoVersion(version) => version,
        other => panic!("{other:?}"),
    }
}

pub(in crate::store) async fn a_version_that_never_was_does_not_exist(database: impl TestDatabase) {
    let store = open(&database).await;
    let made = store.create_provider(provider("p"), "ann").await.unwrap();
    for version in [-1, made.version + 1, i64::MAX, i64::MIN] {
        assert_eq!(missing_version(store.rollback(version, false, "ann").await), version);
    }
    assert_eq!(store.version().await.unwrap(), made.version);
}

pub(in crate::store) async fn a_rollback_that_changes_nothing_makes_no_version(database: impl TestDatabase) {
    let store = open(&database).await;
    let made = store.create_provider(provider("p"), "ann").await.unwrap();
    let nothing = |version| Ok(RolledBack { version, changes: Vec::new() });
    assert_eq!(store.rollback(made.version, false, "ann").await, nothing(made.version));
    // There and back again.
    for weight in [10, made.record.weight] {
        weigh(&*store, made.record.id, weight).await;
    }
    let stays = store.create_credential(credential("k"), "ann").await.unwrap();
    store.delete_credential(stays.record.id, "ann").await.unwrap();
    let last = store.version().await.unwrap();
    assert_eq!(store.rollback(made.version, false, "ann").await, nothing(last));
    assert_eq!(store.version().await.unwrap(), last);
}
