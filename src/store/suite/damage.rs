//! Databases that somebody else took a hand to.

use super::{TestDatabase, credential, open, provider};
use crate::config::{CredentialPatch, Entity, ProviderPatch};
use crate::store::{RolledBack, StoreError};

pub(in crate::store) async fn a_change_that_no_trigger_counted_is_refused(database: impl TestDatabase) {
    let store = open(&database).await;
    let made = store.create_credential(credential("k"), "ann").await.unwrap();
    database.drop_triggers("credentials");
    let patch = CredentialPatch { name: Some("renamed".to_owned()), ..Default::default() };
    let refused = store.update_credential(made.record.id, patch, "ann").await;
    assert!(matches!(refused, Err(StoreError::Schema(_))), "{refused:?}");
    assert_eq!(store.load().await.unwrap().credentials, [made.record]);
}

pub(in crate::store) async fn the_stamp_tells_two_configurations_of_one_version_apart(database: impl TestDatabase) {
    let store = open(&database).await;
    store.create_provider(provider("p"), "ann").await.unwrap();
    let before = store.stamp().await.unwrap();
    assert_eq!((before.0, before.1), (1, store.load().await.unwrap().changed_at));
    // As after a restore from a backup and one change: the same number, later.
    let later = database.texts("SELECT CAST(version AS TEXT) AS value FROM config_version");
    assert_eq!(later, ["1"]);
    while store.stamp().await.unwrap() == before {
        database.execute("UPDATE config_version SET version = 0");
        database.execute("UPDATE providers SET weight = weight + 1");
    }
    assert_eq!(store.stamp().await.unwrap().0, before.0);
}

pub(in crate::store) async fn what_cannot_be_read_is_not_overwritten(database: impl TestDatabase) {
    let store = open(&database).await;
    let made = store.create_provider(provider("p"), "ann").await.unwrap().record;
    database.execute("UPDATE providers SET provider_params = '{\"x\": 1e400}'");
    let weigh = ProviderPatch { weight: Some(7), ..Default::default() };
    let refused = store.update_provider(made.id, weigh.clone(), "ann").await;
    assert!(matches!(&refused, Err(StoreError::Invalid(error)) if error.field == "provider_params"), "{refused:?}");
    let mended = ProviderPatch { provider_params: Some(serde_json::Map::new()), ..weigh };
    assert_eq!(store.update_provider(made.id, mended, "ann").await.unwrap().record.weight, 7);
}

pub(in crate::store) async fn what_has_expired_stays_so_in_a_rollback(database: impl TestDatabase) {
    let store = open(&database).await;
    let made = store.create_credential(credential("k"), "ann").await.unwrap();
    let past = chrono::DateTime::from_timestamp_millis(1_000_000_000_000).unwrap();
    let expire = CredentialPatch { expires_at: Some(Some(past)), name: Some("old".to_owned()), ..Default::default() };
    store.update_credential(made.record.id, expire, "ann").await.unwrap();
    let RolledBack { version, .. } = store.rollback(made.version, false, "ann").await.unwrap();
    let loaded = store.load().await.unwrap();
    assert_eq!((loaded.version, loaded.credentials[0].expires_at), (version, Some(past)));
    assert_eq!(loaded.credentials[0].name, made.record.name);
}

pub(in crate::store) async fn an_unreadable_row_is_reported_and_the_others_load(database: impl TestDatabase) {
    let store = open(&database).await;
    let bad = store.create_credential(credential("bad"), "ann").await.unwrap().record;
    let good = store.create_credential(credential("good"), "ann").await.unwrap().record;
    database.execute(&format!("UPDATE credentials SET credential_key = 'sk-plain-key' WHERE id = {}", bad.id));
    let loaded = store.load().await.unwrap();
    assert_eq!(loaded.credentials, [good]);
    assert_eq!(loaded.errors.len(), 1);
    let error = &loaded.errors[0];
    assert_eq!((error.entity, error.id, error.field.as_str()), (Entity::Credential, bad.id, "credential_key"));
    assert!(!error.message.contains("sk-plain-key"));
    let refused = store.update_credential(bad.id, CredentialPatch::default(), "ann").await.unwrap_err();
    assert!(matches!(refused, StoreError::Invalid(_)));
    store.delete_credential(bad.id, "ann").await.unwrap();
    assert!(store.load().await.unwrap().errors.is_empty());
}
