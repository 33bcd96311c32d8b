use serde_json::{Value, json};

use super::{Api, provider};

#[actix_web::test]
async fn a_created_provider_serves_at_once_and_its_key_is_never_shown() {
    let api = Api::start().await;
    let created = api.post("/admin/v1/providers", provider("main")).await;
    assert_eq!(created.status, 201);
    let snapshot = api.snapshot();
    assert_eq!(created.version(), snapshot.version);
    assert_eq!(snapshot.usable[0].secret.expose(), "sk-upstream-secret");
    let mut shown = created.json.clone();
    for name in ["created_at", "updated_at"] {
        let time = shown.as_object_mut().unwrap().remove(name).unwrap();
        let time = time.as_str().unwrap();
        assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    }
    assert_eq!(
        shown,
        json!({
            "id": 1, "provider_key": "main", "provider_type": "openai", "api_base": "https://api.example.com/v1",
            "api_key_state": "plain", "model_mapping": {}, "weight": 1, "provider_params": {}, "is_enabled": true,
        })
    );
    assert_eq!(api.get("/admin/v1/providers/1").await.json, created.json);
    let list = api.get("/admin/v1/providers").await;
    assert_eq!(list.json, json!({"version": snapshot.version, "providers": [created.json]}));
    for answer in [&created, &list, &api.get("/admin/v1/providers/1").await] {
        assert!(!answer.text.contains("sk-upstream-secret"));
    }
}

#[actix_web::test]
async fn the_version_grows_with_every_change_and_an_empty_put_changes_nothing() {
    let api = Api::start().await;
    let path = api.provider(provider("main")).await;
    let first = api.snapshot().version;
    let changed = api.put(&path, json!({"weight": 5})).await;
    assert!(changed.version() > first);
    assert_eq!((changed.status, &changed.json["weight"]), (200, &json!(5)));
    let nothing = api.put(&path, json!({})).await;
    assert_eq!((nothing.status, nothing.version()), (200, changed.version()));
    assert_eq!(nothing.json, changed.json);
    let same = api.put(&path, json!({"weight": 5})).await;
    assert_eq!(same.version(), changed.version());
}

#[actix_web::test]
async fn an_answer_can_be_sent_back() {
    let api = Api::start().await;
    let path = api.provider(provider("main")).await;
    let shown = api.get(&path).await.json;
    let answer = api.put(&path, shown.clone()).await;
    assert_eq!((answer.status, answer.json), (200, shown.clone()));
    let mut other = shown;
    other["provider_key"] = json!("renamed");
    assert_eq!(api.put(&path, other).await.refused(400, "validation_error").unwrap(), "provider_key");
}

#[actix_web::test]
async fn a_put_replaces_maps_whole_and_leaves_the_rest() {
    let api = Api::start().await;
    let mut body = provider("main");
    body["model_mapping"] = json!({"a": "x", "b": "y"});
    let path = api.provider(body).await;
    let changed = api.put(&path, json!({"model_mapping": {"c": {"mapped_model": "z", "max_tokens": 5}}})).await;
    assert_eq!(changed.json["model_mapping"], json!({"c": {"mapped_model": "z", "max_tokens": 5}}));
    assert_eq!(changed.json["api_base"], "https://api.example.com/v1");
    assert_eq!(api.snapshot().usable[0].secret.expose(), "sk-upstream-secret");
    assert!(api.snapshot().is_exact_model("c") && !api.snapshot().is_exact_model("a"));
    api.put(&path, json!({"api_key": "sk-other-secret"})).await.version();
    assert_eq!(api.snapshot().usable[0].secret.expose(), "sk-other-secret");
}

#[actix_web::test]
async fn secret_headers_read_back_masked_and_a_mask_keeps_the_stored_value() {
    let api = Api::start().await;
    let mut body = provider("main");
    body["provider_params"] = json!({"headers": {"X-Auth-Token": "hidden-token", "x-team": "blue"}});
    let created = api.post("/admin/v1/providers", body).await;
    assert!(!created.text.contains("hidden-token"));
    let params = json!({"headers": {"X-Auth-Token": "***", "x-team": "red"}});
    let changed = api.put("/admin/v1/providers/1", json!({"provider_params": params})).await;
    assert_eq!(changed.json["provider_params"], params);
    let headers = api.snapshot().usable[0].params.headers.clone();
    assert!(headers.contains(&("x-auth-token".to_owned(), "hidden-token".to_owned())), "{headers:?}");
    assert!(headers.contains(&("x-team".to_owned(), "red".to_owned())));
    for path in ["/admin/v1/providers", "/admin/v1/providers/1"] {
        assert!(!api.get(path).await.text.contains("hidden-token"));
    }
}

#[actix_web::test]
async fn a_provider_can_be_switched_off_and_removed() {
    let api = Api::start().await;
    let path = api.provider(provider("main")).await;
    let status = format!("{path}/status");
    let off = api.patch(&status, json!({"is_enabled": false})).await;
    assert_eq!((off.status, &off.json["is_enabled"]), (200, &json!(false)));
    assert_eq!(off.version(), api.snapshot().version);
    assert!(api.snapshot().usable.is_empty());
    for (wrong, field) in [
        (json!({}), "is_enabled"),
        (json!({"is_enabled": null}), "is_enabled"),
        (json!({"is_enabled": 1}), "is_enabled"),
        (json!({"is_enabled": true, "weight": 1}), "weight"),
    ] {
        assert_eq!(api.patch(&status, wrong).await.refused(400, "validation_error").unwrap(), field);
    }
    let gone = api.delete(&path).await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    assert_eq!(gone.version(), api.snapshot().version);
    assert!(api.snapshot().providers.is_empty());
}

#[actix_web::test]
async fn a_row_that_does_not_exist_is_404() {
    let api = Api::start().await;
    for id in ["7", "x", "1.5", "99999999999", "-1"] {
        let path = format!("/admin/v1/providers/{id}");
        let message = json!(format!("Provider with ID {id} not found"));
        let answers = [
            api.get(&path).await,
            api.put(&path, json!({})).await,
            api.delete(&path).await,
            api.patch(&format!("{path}/status"), json!({"is_enabled": true})).await,
        ];
        for answer in answers {
            assert_eq!(answer.refused(404, "not_found"), None);
            assert_eq!(answer.json["error"]["message"], message);
        }
    }
}

#[actix_web::test]
async fn a_key_in_use_is_a_conflict() {
    let api = Api::start().await;
    api.provider(provider("x")).await;
    let version = api.snapshot().version;
    let answer = api.post("/admin/v1/providers", provider("x")).await;
    assert_eq!(answer.refused(409, "conflict").unwrap(), "provider_key");
    assert_eq!(answer.json["error"]["message"], "Provider with key 'x' already exists");
    assert_eq!(api.snapshot().version, version);
}

#[actix_web::test]
async fn only_a_custom_provider_may_lose_its_key() {
    let api = Api::start().await;
    let mut body = provider("own");
    body["provider_type"] = json!("OpenAI-Compatible");
    body["api_key"] = json!("");
    let created = api.post("/admin/v1/providers", body).await;
    assert_eq!((&created.json["provider_type"], &created.json["api_key_state"]), (&json!("custom"), &json!("empty")));
    let refused = api.put("/admin/v1/providers/1", json!({"provider_type": "openai"})).await;
    assert_eq!(refused.refused(400, "validation_error").unwrap(), "api_key");
    let path = api.provider(provider("other")).await;
    assert_eq!(api.put(&path, json!({"api_key": ""})).await.refused(400, "validation_error").unwrap(), "api_key");
}

async fn keys(api: &Api, query: &str) -> Vec<String> {
    let list = api.get(&format!("/admin/v1/providers?{query}")).await.json;
    let key = |row: &Value| row["provider_key"].as_str().unwrap().to_owned();
    list["providers"].as_array().unwrap().iter().map(key).collect()
}

#[actix_web::test]
async fn a_list_can_be_searched_filtered_and_cut_into_pages() {
    let api = Api::start().await;
    for n in 1..=5 {
        let mut body = provider(&format!("Main-{n}"));
        body["is_enabled"] = json!(n != 2);
        if n == 3 {
            body["model_mapping"] = json!({"Alias-Q": "deep-model", "o": {"mapped_model": "Other-Z"}});
            body["provider_type"] = json!("anthropic");
            body["api_base"] = json!("http://10.0.0.1:8080");
        }
        api.provider(body).await;
    }
    assert_eq!(keys(&api, "").await.len(), 5);
    assert_eq!(keys(&api, "search=mAIN-4").await, ["Main-4"]);
    for search in ["alias-q", "DEEP", "other-z", "anthropic", "10.0.0.1%3A80"] {
        assert_eq!(keys(&api, &format!("search={search}")).await, ["Main-3"], "{search}");
    }
    assert_eq!(keys(&api, "search=upstream-secret").await, [""; 0]);
    assert_eq!(keys(&api, "is_enabled=false").await, ["Main-2"]);
    assert_eq!(keys(&api, "is_enabled=true&page=2&page_size=3&colour=red").await, ["Main-5"]);
    let page = api.get("/admin/v1/providers?page=2&page_size=2&search=main").await.json;
    let paging = ["total", "page", "page_size", "total_pages"].map(|name| page[name].as_u64().unwrap());
    assert_eq!(paging, [5, 2, 2, 3]);
    assert_eq!(page["version"], json!(api.snapshot().version));
    let all = api.get("/admin/v1/providers?page_size=2").await.json;
    assert_eq!(all.as_object().unwrap().keys().collect::<Vec<_>>(), ["version", "providers"]);
    for (query, field) in [("page=0", "page"), ("page_size=201", "page_size"), ("is_enabled=maybe", "is_enabled")] {
        let answer = api.get(&format!("/admin/v1/providers?{query}")).await;
        assert_eq!(answer.refused(400, "validation_error").unwrap(), field);
    }
}
