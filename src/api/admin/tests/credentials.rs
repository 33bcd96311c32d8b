use serde_json::{Value, json};

use super::Api;

#[actix_web::test]
async fn a_created_credential_has_its_defaults_and_exact_shape() {
    let api = Api::start().await;
    let created = api.post("/admin/v1/credentials", json!({"name": "app", "key": "chosen-key-1"})).await;
    assert_eq!((created.status, created.version()), (201, api.snapshot().version));
    let mut shown = created.json.clone();
    for name in ["created_at", "updated_at"] {
        assert!(shown.as_object_mut().unwrap().remove(name).unwrap().as_str().unwrap().ends_with('Z'));
    }
    assert_eq!(
        shown,
        json!({
            "id": 1, "name": "app", "key_preview": "cho***y-1", "allowed_models": [], "rate_limit": null,
            "burst": null, "is_enabled": true, "expires_at": null, "previous_key_valid_until": null,
        })
    );
    let list = api.get("/admin/v1/credentials").await.json;
    assert_eq!((&list["version"], list["credentials"].as_array().unwrap().len()), (&json!(created.version()), 1));
    assert_eq!(list["credentials"][0], api.get("/admin/v1/credentials/1").await.json);
}

#[actix_web::test]
async fn absent_keeps_and_null_clears_where_it_may() {
    let api = Api::start().await;
    let path = api
        .credential(json!({
            "name": "app", "rate_limit": 5, "burst": 9, "allowed_models": ["gpt-*"],
            "expires_at": "2030-01-01T01:00:00.1234+01:00",
        }))
        .await;
    let kept = api.put(&path, json!({"name": "other"})).await.json;
    assert_eq!((&kept["name"], &kept["rate_limit"], &kept["burst"]), (&json!("other"), &json!(5), &json!(9)));
    assert_eq!(kept["expires_at"], "2030-01-01T00:00:00.123Z");
    let cleared = api.put(&path, json!({"rate_limit": null, "burst": null, "expires_at": null})).await.json;
    for name in ["rate_limit", "burst", "expires_at"] {
        assert!(cleared[name].is_null(), "{cleared}");
    }
    assert_eq!(cleared["allowed_models"], json!(["gpt-*"]));
    for name in ["name", "key", "allowed_models", "is_enabled"] {
        let answer = api.put(&path, json!({name: null})).await;
        assert_eq!(answer.refused(400, "validation_error").unwrap(), name);
    }
    let nulls = json!({"name": "n", "rate_limit": null, "burst": null, "expires_at": null});
    assert_eq!(api.post("/admin/v1/credentials", nulls).await.status, 201);
}

#[actix_web::test]
async fn an_empty_put_and_an_answer_sent_back_change_nothing() {
    let api = Api::start().await;
    let path = api.credential(json!({"name": "app", "expires_at": "2030-01-01T00:00:00.123456Z"})).await;
    let version = api.snapshot().version;
    let shown = api.get(&path).await.json;
    for body in [json!({}), shown.clone(), json!({"expires_at": "2030-01-01T00:00:00.123999Z"})] {
        let answer = api.put(&path, body).await;
        assert_eq!((answer.status, answer.version(), &answer.json), (200, version, &shown));
    }
}

#[actix_web::test]
async fn a_wrong_value_is_refused_by_its_name_on_creating_and_changing() {
    let api = Api::start().await;
    let path = api.credential(json!({"name": "app"})).await;
    let version = api.snapshot().version;
    let wrong: Vec<(&str, Value)> = vec![
        ("name", json!("")),
        ("name", json!("n".repeat(256))),
        ("name", json!(5)),
        ("key", json!("short-7")),
        ("key", json!("k".repeat(256))),
        ("key", json!("with a space")),
        ("key", json!("kéy-is-not-ascii")),
        ("allowed_models", json!("gpt-4")),
        ("allowed_models", json!([1])),
        ("allowed_models", json!([""])),
        ("allowed_models", json!(["ok", "(["])),
        ("rate_limit", json!(-1)),
        ("rate_limit", json!(1.5)),
        ("rate_limit", json!(5.0)),
        ("rate_limit", json!(true)),
        ("rate_limit", json!(4_294_967_296_i64)),
        ("burst", json!(0)),
        ("burst", json!("5")),
        ("is_enabled", json!(0)),
        ("expires_at", json!("tomorrow")),
        ("expires_at", json!(1_900_000_000)),
        ("api_key_state", json!("plain")),
        ("colour", json!("red")),
    ];
    for (name, value) in wrong {
        let mut body = json!({"name": "new"});
        body[name] = value.clone();
        let created = api.post("/admin/v1/credentials", body).await;
        assert_eq!(created.refused(400, "validation_error").unwrap(), name, "{value}");
        let changed = api.put(&path, json!({name: value})).await;
        assert_eq!(changed.refused(400, "validation_error").unwrap(), name, "{value}");
    }
    assert_eq!(api.post("/admin/v1/credentials", json!({})).await.refused(400, "validation_error").unwrap(), "name");
    assert_eq!(api.snapshot().version, version);
}

#[actix_web::test]
async fn the_smallest_limits_are_taken() {
    let api = Api::start().await;
    let path =
        api.credential(json!({"name": "n".repeat(255), "rate_limit": 0, "burst": 1, "key": "k".repeat(8)})).await;
    let shown = api.get(&path).await.json;
    assert_eq!((&shown["rate_limit"], &shown["burst"]), (&json!(0), &json!(1)));
}

#[actix_web::test]
async fn a_credential_can_be_switched_off_and_removed() {
    let api = Api::start().await;
    let path = api.credential(json!({"name": "app"})).await;
    let off = api.patch(&format!("{path}/status"), json!({"is_enabled": false})).await;
    assert_eq!((off.status, &off.json["is_enabled"]), (200, &json!(false)));
    assert!(!api.snapshot().has_enabled_credential());
    let refused = api.patch(&format!("{path}/status"), json!({"is_enabled": "no"})).await;
    assert_eq!(refused.refused(400, "validation_error").unwrap(), "is_enabled");
    let gone = api.delete(&path).await;
    assert_eq!((gone.status, gone.version()), (204, api.snapshot().version));
    assert!(api.snapshot().credentials.is_empty());
}

#[actix_web::test]
async fn a_row_that_does_not_exist_is_404() {
    let api = Api::start().await;
    for id in ["7", "x"] {
        let path = format!("/admin/v1/credentials/{id}");
        let answers = [
            api.get(&path).await,
            api.put(&path, json!({"name": "n"})).await,
            api.delete(&path).await,
            api.patch(&format!("{path}/status"), json!({"is_enabled": true})).await,
            api.post(&format!("{path}/rotate"), json!({})).await,
        ];
        for answer in answers {
            answer.refused(404, "not_found");
            assert_eq!(answer.json["error"]["message"], json!(format!("Credential with ID {id} not found")));
        }
    }
}

#[actix_web::test]
async fn a_list_is_searched_by_name_only() {
    let api = Api::start().await;
    for (name, is_enabled) in [("Alpha", true), ("beta", false), ("alphabet", false)] {
        api.credential(json!({"name": name, "is_enabled": is_enabled, "allowed_models": ["gpt"]})).await;
    }
    let names = async |query: &str| -> Vec<String> {
        let list = api.get(&format!("/admin/v1/credentials?{query}")).await.json;
        let name = |row: &Value| row["name"].as_str().unwrap().to_owned();
        list["credentials"].as_array().unwrap().iter().map(name).collect()
    };
    assert_eq!(names("search=ALPHA").await, ["Alpha", "alphabet"]);
    assert_eq!(names("search=alpha&is_enabled=false").await, ["alphabet"]);
    assert_eq!(names("search=gpt").await, [""; 0]);
    assert_eq!(names("page=2&page_size=2").await, ["alphabet"]);
}
