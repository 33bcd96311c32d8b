//! Text that PostgreSQL cannot hold.

use serde_json::json;

use super::{TestDatabase, credential, open, provider, request_log};
use crate::config::{CredentialDraft, CredentialPatch, ProviderDraft, ProviderPatch, Secret};
use crate::store::{RequestLog, StoreError};

const NUL: &str = "a\0b";

fn field_of<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    match result.unwrap_err() {
        StoreError::Invalid(error) => error.field,
        other => panic!("not refused: {other:?}"),
    }
}

pub(in crate::store) async fn text_that_no_database_can_hold_is_refused_by_field(database: impl TestDatabase) {
    let store = open(&database).await;
    let id = store.create_provider(provider("p"), "ann").await.unwrap().record.id;
    for (field, draft) in [
        ("provider_key", provider(NUL)),
        ("api_base", ProviderDraft { api_base: NUL.to_owned(), ..provider("q") }),
        ("api_key", ProviderDraft { api_key: Secret::new(NUL.to_owned()), ..provider("q") }),
        ("model_mapping", ProviderDraft { model_mapping: json!({ NUL: "m" }), ..provider("q") }),
        ("provider_params", ProviderDraft { provider_params: json!({"headers": [{"a": NUL}]}), ..provider("q") }),
    ] {
        assert_eq!(field_of(store.create_provider(draft, "ann").await), field);
    }
    let patch = ProviderPatch { api_base: Some(NUL.to_owned()), ..Default::default() };
    assert_eq!(field_of(store.update_provider(id, patch, "ann").await), "api_base");
    let patch = ProviderPatch { model_mapping: json!({"m": NUL}).as_object().cloned(), ..Default::default() };
    assert_eq!(field_of(store.update_provider(id, patch, "ann").await), "model_mapping");
    let draft = CredentialDraft { allowed_models: vec![NUL.to_owned()], ..credential("k") };
    assert_eq!(field_of(store.create_credential(draft, "ann").await), "allowed_models");
    let id = store.create_credential(credential("k"), "ann").await.unwrap().record.id;
    let patch = CredentialPatch { name: Some(NUL.to_owned()), ..Default::default() };
    assert_eq!(field_of(store.update_credential(id, patch, "ann").await), "name");
    assert_eq!(store.version().await.unwrap(), 2);
}

pub(in crate::store) async fn a_log_row_with_a_nul_does_not_spoil_its_batch(database: impl TestDatabase) {
    let store = open(&database).await;
    let text = || NUL.to_owned();
    let row =
        RequestLog { model_mapped: Some(text()), request_body: Some(text()), client: text(), ..request_log("odd") };
    store.append_request_logs(vec![request_log("plain"), row].into()).await.unwrap();
    assert_eq!(database.texts("SELECT request_id AS value FROM request_logs ORDER BY id"), ["plain", "odd"]);
}
