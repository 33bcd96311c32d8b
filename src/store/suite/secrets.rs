//! Keys of providers at rest.

use std::sync::Arc;

use regex::Regex;

use super::{TestDatabase, open, provider, settings};
use crate::config::{FieldError, ProviderDraft, ProviderPatch, SealState, Sealer, Secret};
use crate::settings::{DatabaseSettings, EncryptionKeys};
use crate::store::{Rekeyed, Store, StoreError};

const PLAIN: &str = "sk-provider-secret";

/// Every text of the database that may hold a key.
const KEYS: &str = "SELECT api_key AS value FROM providers ORDER BY id";
const HISTORY: &str = "SELECT COALESCE(CAST(before AS TEXT), '') || COALESCE(CAST(after AS TEXT), '') AS value
                       FROM config_changes ORDER BY id";

fn keys(current: u8, old: &[u8]) -> EncryptionKeys {
    EncryptionKeys { current: Some([current; 32]), old: old.iter().map(|key| [*key; 32]).collect() }
}

fn sealer(current: u8) -> Sealer {
    Sealer::new(&keys(current, &[]))
}

async fn open_with(database: &impl TestDatabase, current: u8, old: &[u8]) -> Arc<dyn Store> {
    let settings = DatabaseSettings { keys: keys(current, old), ..settings(&database.url(), 4) };
    crate::store::open(&settings).await.unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn new_key(text: &str) -> ProviderPatch {
    ProviderPatch { api_key: Some(secret(text)), ..Default::default() }
}

fn weight(weight: i32) -> ProviderPatch {
    ProviderPatch { weight: Some(weight), ..Default::default() }
}

/// Everything in which a key is stored; asserts that a row that is to hold one does.
#[track_caller]
fn stored(database: &impl TestDatabase) -> Vec<String> {
    let rows: Vec<String> = [KEYS, HISTORY].iter().flat_map(|sql| database.texts(sql)).collect();
    assert!(!rows.is_empty());
    rows
}

/// The sealed values in these texts.
fn sealed_in(texts: &[String]) -> Vec<Secret> {
    let sealed = Regex::new("enc:v1:[0-9a-f]{8}:[A-Za-z0-9+/=]+").unwrap();
    texts.iter().flat_map(|text| sealed.find_iter(text)).map(|found| secret(found.as_str())).collect()
}

pub(in crate::store) async fn errors_hold_no_secret(database: impl TestDatabase) {
    let store = open(&database).await;
    store.create_provider(provider("p"), "ann").await.unwrap();
    let long = ProviderDraft { api_base: "x".repeat(501), ..provider("q") };
    for draft in [provider("p"), long] {
        let error = store.create_provider(draft, "ann").await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains(PLAIN), "{error:?}");
    }
}

pub(in crate::store) async fn a_provider_key_is_sealed_in_its_row_and_in_the_history(database: impl TestDatabase) {
    let store = open_with(&database, 1, &[]).await;
    let made = store.create_provider(provider("p"), "ann").await.unwrap().record;
    assert_eq!(sealer(1).open(&made.api_key).unwrap(), secret(PLAIN));
    let changed = store.update_provider(made.id, new_key("sk-second"), "ann").await.unwrap().record;
    assert_eq!(sealer(1).open(&changed.api_key).unwrap(), secret("sk-second"));
    assert_eq!(store.load().await.unwrap().providers, [changed]);
    let empty = ProviderDraft { provider_type: "custom".to_owned(), api_key: secret(""), ..provider("empty") };
    assert!(store.create_provider(empty, "ann").await.unwrap().record.api_key.is_empty());
    let stored = stored(&database);
    assert!(stored.iter().all(|text| !text.contains("sk-")), "{stored:?}");
    // The row, its creation, and both sides of its change.
    assert_eq!(sealed_in(&stored).len(), 4);
}

pub(in crate::store) async fn the_stored_key_once_more_makes_no_version(database: impl TestDatabase) {
    let store = open_with(&database, 1, &[]).await;
    let made = store.create_provider(provider("p"), "ann").await.unwrap();
    assert_eq!(store.update_provider(made.record.id, new_key(PLAIN), "bob").await.unwrap(), made);
    let patch = ProviderPatch { api_key: Some(secret(PLAIN)), ..weight(9) };
    let changed = store.update_provider(made.record.id, patch, "bob").await.unwrap();
    assert!(changed.version > made.version);
    assert_eq!(changed.record.api_key, made.record.api_key);
    let refused = store.update_provider(made.record.id, new_key(""), "bob").await.unwrap_err();
    let reason = FieldError::new("api_key", "may be empty only for provider type custom");
    assert_eq!(refused, StoreError::Invalid(reason));
}

pub(in crate::store) async fn a_key_stored_otherwise_is_sealed_at_the_next_change(database: impl TestDatabase) {
    let made = open(&database).await.create_provider(provider("p"), "ann").await.unwrap();
    let id = made.record.id;
    assert_eq!(database.texts(KEYS), [PLAIN]);
    let store = open_with(&database, 1, &[]).await;
    assert_eq!(store.update_provider(id, new_key(PLAIN), "bob").await.unwrap(), made);
    let sealed = store.update_provider(id, weight(9), "bob").await.unwrap().record.api_key;
    assert_eq!(sealer(1).open(&sealed).unwrap(), secret(PLAIN));
    let rotated = open_with(&database, 2, &[1]).await.update_provider(id, weight(8), "bob").await.unwrap();
    assert_eq!(sealer(2).open(&rotated.record.api_key).unwrap(), secret(PLAIN));
    assert_eq!(database.texts(KEYS), [rotated.record.api_key.expose()]);
}

pub(in crate::store) async fn a_key_that_does_not_open_stays_until_it_is_replaced(database: impl TestDatabase) {
    let made = open_with(&database, 1, &[]).await.create_provider(provider("p"), "ann").await.unwrap().record;
    let store = open_with(&database, 2, &[]).await;
    let lighter = store.update_provider(made.id, weight(1), "bob").await.unwrap().record;
    assert_eq!((lighter.weight, &lighter.api_key), (1, &made.api_key));
    assert_eq!(sealer(2).state(&lighter.api_key), SealState::Undecryptable);
    let back = store.update_provider(made.id, new_key(PLAIN), "bob").await.unwrap().record;
    assert_eq!(sealer(2).open(&back.api_key).unwrap(), secret(PLAIN));
}

/// Rows sealed with key 1, one that is plain, one without a key, a change, and a row that is gone.
async fn with_history(database: &impl TestDatabase) {
    let store = open_with(database, 1, &[]).await;
    let made = store.create_provider(provider("sealed"), "ann").await.unwrap().record;
    store.update_provider(made.id, weight(5), "ann").await.unwrap();
    let gone = store.create_provider(provider("gone"), "ann").await.unwrap().record;
    store.delete_provider(gone.id, "ann").await.unwrap();
    database.execute(
        "INSERT INTO providers (provider_key, provider_type, api_base, api_key, provider_params)
         VALUES ('plain', 'openai', 'http://x', 'sk-by-sql', '{\"timeout\": 1e999}'),
                ('empty', 'custom', 'http://x', '', '{}')",
    );
}

/// The history without the keys in it.
fn history(database: &impl TestDatabase) -> Vec<String> {
    let key = Regex::new(r#""api_key": ?"[^"]*""#).unwrap();
    database.texts(HISTORY).iter().map(|text| key.replace_all(text, "").into_owned()).collect()
}

pub(in crate::store) async fn a_rekey_seals_rows_and_history_anew_once(database: impl TestDatabase) {
    with_history(&database).await;
    let store = open_with(&database, 2, &[1]).await;
    let (before, texts, rows) = (store.version().await.unwrap(), stored(&database), history(&database));
    let expected = Rekeyed { providers: 2, history: 5, ..Rekeyed::default() };
    assert_eq!(store.rekey(true).await.unwrap(), expected);
    assert_eq!((store.version().await.unwrap(), stored(&database)), (before, texts));
    let loaded = store.load().await.unwrap();

    assert_eq!(store.rekey(false).await.unwrap(), expected);
    let after = store.version().await.unwrap();
    assert!(after > before);
    let texts = stored(&database);
    assert!(texts.iter().all(|text| !text.contains("sk-")), "{texts:?}");
    let keys = sealed_in(&texts);
    // In two rows; in a creation, a change, a creation, a deletion, a creation; in two rekeys.
    assert_eq!(keys.len(), 2 + 6 + 4);
    assert!(keys.iter().all(|key| sealer(2).open(key).is_ok()));
    // Nothing but keys changed in what was there, and who did the rest is told.
    assert_eq!(history(&database)[..rows.len()], rows);
    let actors = database.texts("SELECT actor AS value FROM config_changes ORDER BY id");
    assert_eq!(actors, ["ann", "ann", "ann", "ann", "sql", "sql", "rekey", "rekey"]);
    for (now, then) in store.load().await.unwrap().providers.into_iter().zip(loaded.providers) {
        assert!(Sealer::new(&self::keys(2, &[1])).same(&now.api_key, &then.api_key));
        assert_eq!((now.weight, now.provider_params), (then.weight, then.provider_params));
    }

    assert_eq!(store.rekey(false).await.unwrap(), Rekeyed::default());
    assert_eq!((store.version().await.unwrap(), stored(&database)), (after, texts));
}

pub(in crate::store) async fn a_rekey_names_the_keys_that_do_not_open(database: impl TestDatabase) {
    let lost = open_with(&database, 9, &[]).await.create_provider(provider("lost"), "ann").await.unwrap().record;
    open_with(&database, 1, &[]).await.create_provider(provider("kept"), "ann").await.unwrap();
    let store = open_with(&database, 2, &[1]).await;
    let names = vec!["lost".to_owned()];
    let expected = Rekeyed { providers: 1, history: 1, unopened: names.clone(), unopened_history: 1 };
    for dry_run in [true, false] {
        assert_eq!(store.rekey(dry_run).await.unwrap(), expected);
    }
    assert_eq!(database.texts(KEYS)[0], lost.api_key.expose());
    let again = Rekeyed { unopened: names, unopened_history: 1, ..Rekeyed::default() };
    assert_eq!(store.rekey(false).await.unwrap(), again);
    // Without a key there is nothing to seal with.
    let unsealed = open(&database).await.rekey(false).await.unwrap();
    assert_eq!((unsealed.providers, unsealed.history, unsealed.unopened.len()), (0, 0, 2));
}

pub(in crate::store) async fn a_rekey_reads_a_long_history_to_its_end(database: impl TestDatabase) {
    open(&database).await.create_provider(provider("p"), "ann").await.unwrap();
    for _ in 0..10 {
        database.execute(
            "INSERT INTO config_changes (version, at, actor, action, entity, entity_id, entity_name, after)
             SELECT version, at, actor, action, entity, entity_id, entity_name, after FROM config_changes",
        );
    }
    let store = open_with(&database, 1, &[]).await;
    let expected = Rekeyed { providers: 1, history: 1024, ..Rekeyed::default() };
    assert_eq!(store.rekey(false).await.unwrap(), expected);
    assert!(stored(&database).iter().all(|text| !text.contains(PLAIN)));
    assert_eq!(store.rekey(false).await.unwrap(), Rekeyed::default());
}

pub(in crate::store) async fn a_rollback_seals_what_was_stored_plain(database: impl TestDatabase) {
    let plain = open(&database).await;
    let kept = plain.create_provider(provider("kept"), "ann").await.unwrap().record;
    let then = plain.create_provider(provider("gone"), "ann").await.unwrap();
    plain.update_provider(kept.id, new_key("sk-second"), "ann").await.unwrap();
    plain.delete_provider(then.record.id, "ann").await.unwrap();
    let store = open_with(&database, 1, &[]).await;
    store.rollback(then.version, false, "bob").await.unwrap();
    let providers = store.load().await.unwrap().providers;
    assert_eq!(providers.iter().map(|row| row.id).collect::<Vec<_>>(), [kept.id, then.record.id]);
    for row in providers {
        assert_eq!(sealer(1).state(&row.api_key), SealState::Encrypted);
        assert_eq!(sealer(1).open(&row.api_key).unwrap(), secret(PLAIN));
    }
}

pub(in crate::store) async fn a_rollback_to_the_same_key_sealed_otherwise_makes_no_version(
    database: impl TestDatabase,
) {
    let made = open(&database).await.create_provider(provider("p"), "ann").await.unwrap();
    let store = open_with(&database, 1, &[]).await;
    store.rekey(false).await.unwrap();
    let sealed = store.load().await.unwrap();
    assert!(sealed.version > made.version);
    let rolled = store.rollback(made.version, false, "bob").await.unwrap();
    assert_eq!((rolled.version, rolled.changes.len()), (sealed.version, 0));
    assert_eq!(store.load().await.unwrap().providers, sealed.providers);
}
