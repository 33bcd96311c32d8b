use std::collections::BTreeSet;

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::{Api, provider};
use crate::api::openapi;
use crate::store;

const DETAILED: &str = "/health/detailed";

#[actix_web::test]
async fn only_the_admin_key_opens_it_and_errors_have_the_admin_shape() {
    let api = Api::start().await;
    let refused = api.call(TestRequest::get().uri(DETAILED)).await;
    assert_eq!((refused.status, &refused.json["error"]["type"]), (401, &json!("unauthorized")));
    let wrong = api.post(DETAILED, json!({})).await;
    assert_eq!((wrong.status, wrong.header("allow")), (405, "GET, HEAD"));
    assert_eq!(wrong.json["error"]["code"], 405);
    assert_eq!(api.get("/health/detailed/").await.status, 200);
}

#[actix_web::test]
async fn every_member_is_described_and_none_is_missing() {
    let api = Api::start().await;
    api.provider(provider("p")).await;
    let answer = api.get(DETAILED).await;
    let described = serde_json::to_value(openapi()).unwrap();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    for (shape, shown) in [
        ("DetailedHealth", &answer.json),
        ("SnapshotHealth", &answer.json["snapshot"]),
        ("DatabaseHealth", &answer.json["database"]),
        ("RedisHealth", &answer.json["redis"]),
        ("LangfuseHealth", &answer.json["langfuse"]),
        ("ProviderHealth", &answer.json["providers"][0]),
    ] {
        let schema = &described["components"]["schemas"][shape];
        assert_eq!(names(&schema["properties"]), names(shown), "{shape}");
        let required: BTreeSet<_> = schema["required"].as_array().unwrap().iter().map(|name| name.as_str()).collect();
        assert_eq!(required.len(), names(shown).len(), "{shape}");
    }
    assert_eq!(answer.json["app_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(answer.json["replica_id"], json!(api.shared.settings.replica_id));
    assert_eq!(answer.json["snapshot"]["version"], json!(api.snapshot().version));
}

#[actix_web::test]
async fn a_row_that_cannot_be_used_degrades_and_is_named() {
    let api = Api::start().await;
    api.provider(provider("p")).await;
    assert_eq!(api.get(DETAILED).await.json["status"], "ok");
    let other = store::open(&crate::settings::DatabaseSettings::plain(api.url.clone())).await.unwrap();
    let draft = crate::config::ProviderDraft {
        provider_key: "odd".to_owned(),
        provider_type: "openai".to_owned(),
        api_base: "http://h".to_owned(),
        api_key: crate::config::Secret::new("k".to_owned()),
        model_mapping: json!({}),
        weight: 1,
        provider_params: json!({"colour": "red", "max_concurrency": 4_000_000_000_000_u64}),
        is_enabled: true,
    };
    other.create_provider(draft, "other").await.unwrap();
    api.post("/admin/v1/config/reload", json!({})).await;
    let told = api.get(DETAILED).await.json;
    assert_eq!(told["status"], "degraded");
    let errors = told["snapshot"]["config_errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!((&errors[0]["entity"], &errors[0]["id"]), (&json!("provider"), &json!(2)));
    assert_eq!(errors[0]["field"], "provider_params.colour");
    assert_eq!(told["providers"][1]["max_concurrency"], json!(u32::MAX));
}
