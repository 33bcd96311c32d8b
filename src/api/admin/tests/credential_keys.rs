use actix_web::http::Method;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use super::{Api, with_key};
use crate::config::{KeyHash, KeyRefusal};

/// Whether a client's key opens the proxy at `now`.
fn opens(api: &Api, key: &str, now: DateTime<Utc>) -> Result<(), KeyRefusal> {
    api.snapshot().authenticate(&KeyHash::of(key), now).map(|_| ())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn a_generated_key_is_shown_once_and_works_at_once() {
    let api = Api::start().await;
    let created = api.post("/admin/v1/credentials", json!({"name": "app"})).await;
    let key = text(&created.json["key"]);
    assert!(key.starts_with("sk-") && key.len() == 51);
    assert_eq!(text(&created.json["key_preview"]), format!("sk-***{}", &key[48..]));
    assert_eq!(opens(&api, &key, Utc::now()), Ok(()));
    let preview = format!("***{}", &KeyHash::of(&key).to_hex()[..6]);
    let later = [
        api.get("/admin/v1/credentials").await,
        api.get("/admin/v1/credentials/1").await,
        api.put("/admin/v1/credentials/1", json!({"name": "other"})).await,
        api.patch("/admin/v1/credentials/1/status", json!({"is_enabled": true})).await,
    ];
    for answer in later {
        assert!(!answer.text.contains(&key) && !answer.text.contains(&KeyHash::of(&key).to_hex()));
        assert!(answer.text.contains(&preview), "{}", answer.text);
    }
}

#[actix_web::test]
async fn a_key_in_use_is_a_conflict_and_is_not_repeated() {
    let api = Api::start().await;
    api.credential(json!({"name": "first", "key": "shared-key"})).await;
    let second = api.credential(json!({"name": "second"})).await;
    let version = api.snapshot().version;
    for answer in [
        api.post("/admin/v1/credentials", json!({"name": "third", "key": "shared-key"})).await,
        api.put(&second, json!({"key": "shared-key"})).await,
        api.post(&format!("{second}/rotate"), json!({"key": "shared-key"})).await,
    ] {
        assert_eq!(answer.refused(409, "conflict").unwrap(), "key");
        assert!(!answer.text.contains("shared-key"));
    }
    assert_eq!(api.snapshot().version, version);
}

#[actix_web::test]
async fn a_put_replaces_the_key_at_once() {
    let api = Api::start().await;
    let path = api.credential(json!({"name": "app", "key": "first-key"})).await;
    let changed = api.put(&path, json!({"key": "second-key"})).await;
    assert!(!changed.text.contains("second-key"));
    assert_eq!(opens(&api, "second-key", Utc::now()), Ok(()));
    assert_eq!(opens(&api, "first-key", Utc::now()), Err(KeyRefusal::Unknown));
    assert_eq!(api.put(&path, json!({"key": "second-key"})).await.version(), changed.version());
}

#[actix_web::test]
async fn a_rotation_without_grace_ends_the_old_key() {
    let api = Api::start().await;
    let path = api.credential(json!({"name": "app", "key": "first-key"})).await;
    let rotated = api.call(with_key(Method::POST, &format!("{path}/rotate"))).await;
    let key = text(&rotated.json["new_key"]);
    assert_eq!((rotated.status, rotated.version()), (200, api.snapshot().version));
    let names: Vec<&String> = rotated.json.as_object().unwrap().keys().collect();
    assert_eq!(names, ["version", "new_key", "message", "previous_key_valid_until", "credential"]);
    assert_eq!(rotated.json["version"], json!(rotated.version()));
    assert!(rotated.json["previous_key_valid_until"].is_null());
    assert_eq!(rotated.json["credential"], api.get(&path).await.json);
    assert_eq!(opens(&api, &key, Utc::now()), Ok(()));
    assert_eq!(opens(&api, "first-key", Utc::now()), Err(KeyRefusal::Unknown));
    assert!(!api.get(&path).await.text.contains(&key));
}

#[actix_web::test]
async fn a_grace_keeps_the_old_key_until_it_ends_or_the_next_rotation() {
    let api = Api::start().await;
    let path = api.credential(json!({"name": "app", "key": "first-key"})).await;
    let rotate = format!("{path}/rotate");
    let before = Utc::now();
    let first = api.post(&rotate, json!({"grace_secs": 3600, "key": "second-key"})).await;
    assert_eq!(text(&first.json["new_key"]), "second-key");
    let until = text(&first.json["previous_key_valid_until"]);
    let end: DateTime<Utc> = until.parse().unwrap();
    assert!((end - before - TimeDelta::hours(1)).num_seconds().abs() < 60, "{until}");
    assert_eq!(text(&api.get(&path).await.json["previous_key_valid_until"]), until);
    for key in ["first-key", "second-key"] {
        assert_eq!(opens(&api, key, Utc::now()), Ok(()), "{key}");
    }
    assert_eq!(opens(&api, "first-key", end), Err(KeyRefusal::Expired));
    let taken = api.post("/admin/v1/credentials", json!({"name": "thief", "key": "first-key"})).await;
    assert_eq!(taken.refused(409, "conflict").unwrap(), "key");
    let second = api.post(&rotate, json!({"grace_secs": 60, "key": "third-key"})).await;
    assert_eq!(second.status, 200);
    assert_eq!(opens(&api, "first-key", Utc::now()), Err(KeyRefusal::Unknown));
    assert_eq!(opens(&api, "second-key", Utc::now()), Ok(()));
    api.put(&path, json!({"key": "fourth-key"})).await.version();
    assert_eq!(opens(&api, "second-key", Utc::now()), Err(KeyRefusal::Unknown));
    assert!(api.get(&path).await.json["previous_key_valid_until"].is_null());
}

#[actix_web::test]
async fn a_rotation_to_the_present_key_is_a_conflict() {
    let api = Api::start().await;
    let path = api.credential(json!({"name": "app", "key": "first-key"})).await;
    let version = api.snapshot().version;
    let answer = api.post(&format!("{path}/rotate"), json!({"key": "first-key", "grace_secs": 5})).await;
    assert_eq!(answer.refused(409, "conflict").unwrap(), "key");
    assert_eq!(api.snapshot().version, version);
}

#[actix_web::test]
async fn a_wrong_wish_for_a_rotation_is_refused_by_its_name() {
    let api = Api::start().await;
    let path = api.credential(json!({"name": "app", "key": "first-key"})).await;
    for (body, field) in [
        (json!({"grace_secs": -1}), "grace_secs"),
        (json!({"grace_secs": 2_592_001}), "grace_secs"),
        (json!({"grace_secs": 1.5}), "grace_secs"),
        (json!({"grace_secs": null}), "grace_secs"),
        (json!({"key": "short"}), "key"),
        (json!({"key": null}), "key"),
        (json!({"grace": 5}), "grace"),
    ] {
        let answer = api.post(&format!("{path}/rotate"), body).await;
        assert_eq!(answer.refused(400, "validation_error").unwrap(), field);
    }
    assert_eq!(opens(&api, "first-key", Utc::now()), Ok(()));
    assert_eq!(api.post(&format!("{path}/rotate"), json!({"grace_secs": 2_592_000})).await.status, 200);
}
