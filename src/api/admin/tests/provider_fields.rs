use serde_json::{Value, json};

use super::{Api, provider};

/// Values that no provider may have, and the field that the refusal names.
fn wrong() -> Vec<(&'static str, Value, &'static str)> {
    let long = |length| json!("a".repeat(length));
    vec![
        ("provider_key", json!(""), "provider_key"),
        ("provider_key", json!("-a"), "provider_key"),
        ("provider_key", json!("a b"), "provider_key"),
        ("provider_key", json!("é"), "provider_key"),
        ("provider_key", long(256), "provider_key"),
        ("provider_key", json!(5), "provider_key"),
        ("provider_type", json!("gemini"), "provider_type"),
        ("provider_type", json!(""), "provider_type"),
        ("api_base", json!("ftp://host"), "api_base"),
        ("api_base", json!("https://u:p@host"), "api_base"),
        ("api_base", json!("https://host?x=1"), "api_base"),
        ("api_base", json!(format!("http://{}", "h".repeat(494))), "api_base"),
        ("api_key", long(501), "api_key"),
        ("api_key", json!("a\r\nb"), "api_key"),
        ("api_key", json!("enc:v1:0:0"), "api_key"),
        ("weight", json!(-1), "weight"),
        ("weight", json!(1.0), "weight"),
        ("weight", json!(true), "weight"),
        ("weight", json!("1"), "weight"),
        ("weight", json!(2_147_483_648_i64), "weight"),
        ("is_enabled", json!(1), "is_enabled"),
        ("is_enabled", json!("true"), "is_enabled"),
        ("model_mapping", json!([]), "model_mapping"),
        ("model_mapping", json!({"(": "x"}), "model_mapping.("),
        ("model_mapping", json!({"": "x"}), "model_mapping."),
        ("model_mapping", json!({"a": ""}), "model_mapping.a"),
        ("model_mapping", json!({"a": "x*"}), "model_mapping.a"),
        ("model_mapping", json!({"a-(b)": "$2"}), "model_mapping.a-(b)"),
        ("model_mapping", json!({"a": {"max_tokens": 1}}), "model_mapping.a.mapped_model"),
        ("model_mapping", json!({"a": {"mapped_model": "b", "hue": 1}}), "model_mapping.a.hue"),
        ("provider_params", json!("x"), "provider_params"),
        ("provider_params", json!({"colour": 1}), "provider_params.colour"),
        ("provider_params", json!({"headers": {"Host": "x"}}), "provider_params.headers.Host"),
        ("provider_params", json!({"timeouts": {"ttft_secs": -1}}), "provider_params.timeouts.ttft_secs"),
        ("provider_params", json!({"max_concurrency": 0}), "provider_params.max_concurrency"),
        ("colour", json!("red"), "colour"),
        ("key_preview", json!("***"), "key_preview"),
    ]
}

#[actix_web::test]
async fn a_wrong_value_is_refused_by_its_name_on_creating_and_changing() {
    let api = Api::start().await;
    let path = api.provider(provider("main")).await;
    let version = api.snapshot().version;
    for (name, value, field) in wrong() {
        let mut body = provider("new");
        body[name] = value.clone();
        let created = api.post("/admin/v1/providers", body).await;
        assert_eq!(created.refused(400, "validation_error").unwrap(), field, "{name}: {value}");
        let changed = api.put(&path, json!({name: value})).await;
        assert_eq!(changed.refused(400, "validation_error").unwrap(), field, "{name}: {value}");
        assert!(!created.text.contains("sk-upstream-secret"));
    }
    assert_eq!(api.snapshot().version, version);
}

#[actix_web::test]
async fn no_field_of_a_provider_may_be_null() {
    let api = Api::start().await;
    let path = api.provider(provider("main")).await;
    for name in [
        "provider_key",
        "provider_type",
        "api_base",
        "api_key",
        "model_mapping",
        "weight",
        "provider_params",
        "is_enabled",
    ] {
        let mut body = provider("new");
        body[name] = Value::Null;
        let created = api.post("/admin/v1/providers", body).await;
        assert_eq!(created.refused(400, "validation_error").unwrap(), name);
        let changed = api.put(&path, json!({name: null})).await;
        assert_eq!(changed.refused(400, "validation_error").unwrap(), name);
    }
}

#[actix_web::test]
async fn what_has_no_default_is_required() {
    let api = Api::start().await;
    for name in ["provider_key", "provider_type", "api_base", "api_key"] {
        let mut body = provider("new");
        body.as_object_mut().unwrap().remove(name);
        assert_eq!(api.post("/admin/v1/providers", body).await.refused(400, "validation_error").unwrap(), name);
    }
    let mut body = provider("new");
    body["api_key"] = json!("");
    assert_eq!(api.post("/admin/v1/providers", body).await.refused(400, "validation_error").unwrap(), "api_key");
    assert!(api.snapshot().providers.is_empty());
}

#[actix_web::test]
async fn the_largest_allowed_values_are_taken() {
    let api = Api::start().await;
    let body = json!({
        "provider_key": format!("a{}", "._-Z".repeat(60)), "provider_type": "azure_openai",
        "api_base": format!("http://h/{}", "p".repeat(491)), "api_key": "k".repeat(500), "weight": i32::MAX,
        "is_enabled": false, "id": 77, "version": 3, "created_at": "x", "updated_at": 5, "api_key_state": null,
        "model_mapping": {"gpt-(.*)": "x-$1", "w-*": "v-*"},
        "provider_params": {"api_version": "2024-10-21", "timeouts": {"request_secs": 0}, "max_concurrency": null},
    });
    let created = api.post("/admin/v1/providers", body).await;
    assert_eq!(created.status, 201, "{}", created.text);
    assert_eq!((&created.json["id"], &created.json["weight"]), (&json!(1), &json!(i32::MAX)));
    assert_eq!(created.json["provider_type"], "azure");
    assert!(api.snapshot().errors.is_empty());
}
