use actix_web::http::Method;
use serde_json::{Value, json};

use super::{Answer, Api, provider, with_key};

const CHANGES: &str = "/admin/v1/config/changes";
const ROLLBACK: &str = "/admin/v1/config/rollback";

fn changes(answer: &Answer) -> &Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json["changes"].as_array().unwrap()
}

#[actix_web::test]
async fn changes_are_shown_with_their_actor_and_without_secrets() {
    let api = Api::start().await;
    let mut body = provider("main");
    body["provider_params"] = json!({"headers": {"x-auth": "header-secret"}});
    let create = with_key(Method::POST, "/admin/v1/providers").insert_header(("x-admin-actor", "ann"));
    assert_eq!(api.call(create.set_payload(body.to_string())).await.status, 201);
    api.put("/admin/v1/providers/1", json!({"api_key": "sk-other-secret", "weight": 7})).await.version();
    let key = json!({"name": "c", "key": "a-client-key-of-tests"});
    api.credential(key).await;
    let answer = api.get(CHANGES).await;
    for secret in ["sk-upstream-secret", "sk-other-secret", "header-secret", "a-client-key-of-tests"] {
        assert!(!answer.text.contains(secret), "{secret} in {}", answer.text);
    }
    let names: Vec<&String> = answer.json.as_object().unwrap().keys().collect();
    assert_eq!(names, ["version", "changes", "has_more"]);
    assert_eq!((&answer.json["version"], &answer.json["has_more"]), (&json!(3), &json!(false)));
    let [created, updated, credential] = changes(&answer).as_slice() else { panic!("{}", answer.text) };
    let names: Vec<&String> = created.as_object().unwrap().keys().collect();
    let expected = ["version", "at", "actor", "action", "entity", "entity_id", "entity_name", "before", "after"];
    assert_eq!(names, expected);
    assert_eq!(
        (&created["actor"], &created["action"], &created["before"]),
        (&json!("ann"), &json!("create"), &Value::Null)
    );
    assert_eq!((&updated["actor"], &updated["action"]), (&json!("admin"), &json!("update")));
    assert_eq!((&updated["before"]["api_key"], &updated["after"]["api_key"]), (&json!("***"), &json!("*** (changed)")));
    assert_eq!((&updated["before"]["weight"], &updated["after"]["weight"]), (&json!(1), &json!(7)));
    assert_eq!((&credential["entity"], &credential["entity_name"]), (&json!("credential"), &json!("c")));
    assert_eq!(credential["after"]["credential_key"], "***");
}

#[actix_web::test]
async fn changes_can_be_read_page_by_page() {
    let api = Api::start().await;
    api.provider(provider("main")).await;
    for weight in 10..15 {
        api.put("/admin/v1/providers/1", json!({"weight": weight})).await.version();
    }
    let versions = |answer: &Answer| -> Vec<i64> {
        changes(answer).iter().map(|change| change["version"].as_i64().unwrap()).collect()
    };
    let (mut since, mut seen) = (0, Vec::new());
    loop {
        let page = api.get(&format!("{CHANGES}?since={since}&limit=4")).await;
        seen.extend(versions(&page));
        since = *seen.last().unwrap();
        if page.json["has_more"] == json!(false) {
            break;
        }
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 6]);
    assert_eq!(versions(&api.get(&format!("{CHANGES}?limit=2")).await), [5, 6]);
    assert_eq!(versions(&api.get(&format!("{CHANGES}?since=6")).await), [0; 0]);
    for (query, field) in [("since=-1", "since"), ("since=x", "since"), ("limit=0", "limit"), ("limit=501", "limit")] {
        let answer = api.get(&format!("{CHANGES}?{query}")).await;
        assert_eq!(answer.refused(400, "validation_error").unwrap(), field);
    }
}

#[actix_web::test]
async fn a_rollback_is_in_force_when_it_answers() {
    let api = Api::start().await;
    let path = api.provider(provider("main")).await;
    let then = api.put(&path, json!({"model_mapping": {"old": "m"}})).await.version();
    api.put(&path, json!({"model_mapping": {"new": "m"}, "api_key": "sk-other-secret"})).await.version();
    let last = api.credential(json!({"name": "later"})).await;

    let dry = api.post(ROLLBACK, json!({"version": then, "dry_run": true})).await;
    assert_eq!((dry.version(), &dry.json["version"]), (then + 2, &json!(then + 2)));
    assert_eq!(changes(&dry).len(), 2);
    assert!(api.snapshot().is_exact_model("new") && api.get(&last).await.status == 200);

    let request = with_key(Method::POST, ROLLBACK).insert_header(("x-admin-actor", "bob"));
    let done = api.call(request.set_payload(json!({"version": then}).to_string())).await;
    let names: Vec<&String> = done.json.as_object().unwrap().keys().collect();
    assert_eq!(names, ["version", "restored_to", "changes"]);
    assert_eq!(
        (done.version(), &done.json["version"], &done.json["restored_to"]),
        (then + 3, &json!(then + 3), &json!(then))
    );
    assert_eq!(changes(&done).iter().map(|one| &one["entity"]).collect::<Vec<_>>(), ["provider", "credential"]);
    for change in changes(&done) {
        assert_eq!((&change["actor"], &change["action"]), (&json!("bob"), &json!("rollback")));
    }
    assert!(!done.text.contains("sk-"), "{}", done.text);
    let snapshot = api.snapshot();
    assert!(snapshot.is_exact_model("old") && !snapshot.is_exact_model("new"));
    assert_eq!(snapshot.usable[0].secret.expose(), "sk-upstream-secret");
    api.get(&last).await.refused(404, "not_found");
    assert_eq!(changes(&api.get(&format!("{CHANGES}?since={}", then + 2)).await), changes(&done));
}

#[actix_web::test]
async fn a_rollback_that_cannot_be_carried_out_says_why() {
    let api = Api::start().await;
    let path = api.provider(provider("main")).await;
    for version in [-1, 2, i64::MAX] {
        let answer = api.post(ROLLBACK, json!({"version": version})).await;
        assert_eq!(answer.refused(404, "not_found"), None);
        assert_eq!(answer.json["error"]["message"], json!(format!("Version {version} does not exist")));
    }
    for (body, field) in [
        (json!({}), "version"),
        (json!({"version": null}), "version"),
        (json!({"version": "1"}), "version"),
        (json!({"version": 0.5}), "version"),
        (json!({"version": 0, "dry_run": 1}), "dry_run"),
        (json!({"version": 0, "force": true}), "force"),
    ] {
        assert_eq!(api.post(ROLLBACK, body).await.refused(400, "validation_error").unwrap(), field);
    }
    let gone = api.credential(json!({"name": "gone", "key": "first-client-key"})).await;
    let other = api.credential(json!({"name": "other"})).await;
    let then = api.snapshot().version;
    api.delete(&gone).await.version();
    api.put(&other, json!({"key": "first-client-key"})).await.version();
    let before = api.snapshot().version;
    let answer = api.post(ROLLBACK, json!({"version": then})).await;
    assert_eq!(answer.refused(409, "conflict").unwrap(), "version");
    assert_eq!(api.snapshot().version, before);
    let nothing = api.post(ROLLBACK, json!({"version": before})).await;
    assert_eq!((nothing.version(), &nothing.json["changes"]), (before, &json!([])));
    assert_eq!(api.get(&path).await.status, 200);
}
