use serde_json::json;

use super::{Api, provider};
use crate::config::{ProviderDraft, Secret};
use crate::store;

#[actix_web::test]
async fn the_version_tells_what_is_in_force_here() {
    let api = Api::start().await;
    api.provider(provider("p")).await;
    api.credential(json!({"name": "c", "is_enabled": false})).await;
    let answer = api.get("/admin/v1/config/version").await.json;
    let snapshot = api.snapshot();
    assert_eq!(answer["version"], json!(snapshot.version));
    assert_eq!((&answer["providers_count"], &answer["credentials_count"]), (&json!(1), &json!(1)));
    assert_eq!(answer["timestamp"].as_str().unwrap().len(), 24);
    let replica = &answer["replicas"][0];
    assert_eq!(replica["id"], json!(api.shared.settings.replica_id));
    assert_eq!(replica["version"], json!(snapshot.version));
    assert!(replica["seen_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(answer["replicas"].as_array().unwrap().len(), 1);
}

#[actix_web::test]
async fn a_reload_puts_in_force_what_another_process_wrote() {
    let api = Api::start().await;
    let other = store::open(&crate::settings::DatabaseSettings::plain(api.url.clone())).await.unwrap();
    let draft = ProviderDraft {
        provider_key: "elsewhere".to_owned(),
        provider_type: "openai".to_owned(),
        api_base: "http://h".to_owned(),
        api_key: Secret::new("k".to_owned()),
        model_mapping: json!({}),
        weight: 1,
        provider_params: json!({}),
        is_enabled: true,
    };
    let written = other.create_provider(draft, "other").await.unwrap();
    let answer = api.send(actix_web::http::Method::POST, "/admin/v1/config/reload", None).await;
    assert_eq!((answer.status, &answer.json["version"]), (200, &json!(written.version)));
    let names: Vec<&String> = answer.json.as_object().unwrap().keys().collect();
    assert_eq!(names, ["version", "timestamp", "providers_count", "credentials_count"]);
    assert_eq!(api.get("/admin/v1/providers/1").await.json["provider_key"], "elsewhere");
}

#[actix_web::test]
async fn without_the_writer_reads_answer_from_memory_and_writes_are_503() {
    let api = Api::start().await;
    let path = api.provider(provider("p")).await;
    api.credential(json!({"name": "c"})).await;
    let Api { shared, url, arbiter, _folder } = api;
    arbiter.stop();
    arbiter.join().unwrap();
    let api = Api { shared, url, arbiter: actix::Arbiter::new(), _folder };
    for read in ["/admin/v1/providers", &path, "/admin/v1/credentials", "/admin/v1/config/version"] {
        assert_eq!(api.get(read).await.status, 200, "{read}");
    }
    let question = json!({"model": "m", "protocol": "openai"});
    assert_eq!(api.post("/admin/v1/explain", question).await.status, 200);
    for answer in [
        api.get("/admin/v1/config/changes").await,
        api.post("/admin/v1/config/rollback", json!({"version": 0})).await,
        api.put(&path, json!({"weight": 2})).await,
        api.delete(&path).await,
        api.post("/admin/v1/credentials", json!({"name": "n"})).await,
        api.post("/admin/v1/config/reload", json!({})).await,
    ] {
        answer.refused(503, "database_unavailable");
    }
}
