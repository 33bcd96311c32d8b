//! Model names: lists, prefixes and patterns.

use serde_json::{Value, json};

use crate::support::{TestProxy, Upstream, assert_error, hello, mock};

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect()
}

#[test]
fn the_list_holds_exact_names_of_enabled_providers_that_the_key_may_use() {
    let mut proxy = TestProxy::empty();
    proxy.provider("one", &mock(), json!({"zeta": "mock", "alpha": "mock", "wild-*": "mock-*", "^re.*": "mock"}));
    proxy.provider("two", &mock(), json!({"alpha": "mock", "org/model": {"mapped_model": "mock", "max_tokens": 5}}));
    let off = proxy.provider("off", &mock(), json!({"hidden": "mock"}));
    proxy.configure("PATCH", &format!("{off}/status"), &json!({"is_enabled": false}));
    proxy.credential(json!({"name": "all"}));
    let answer = proxy.get("/v1/models");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let list = answer.json();
    assert_eq!(list["object"], "list");
    assert_eq!(ids(&list), ["alpha", "org/model", "zeta"]);
    assert_eq!(
        list["data"][0],
        json!({"id": "alpha", "object": "model", "created": 1_677_610_602, "owned_by": "system", "permission": [],
            "root": "alpha", "parent": null})
    );
    proxy.credential(json!({"name": "some", "allowed_models": ["z*", "wild-thing", "nowhere"]}));
    assert_eq!(ids(&proxy.get("/v1/models").json()), ["wild-thing", "zeta"]);
}

#[test]
fn one_model_is_any_name_that_is_served_to_the_key() {
    let mut proxy = TestProxy::empty();
    proxy.provider("one", &mock(), json!({"org/sub/model": "mock", "wild-*": "mock-*", "a b": "mock"}));
    proxy.credential(json!({"name": "all"}));
    for (path, id) in [
        ("org/sub/model", "org/sub/model"),
        ("org%2Fsub%2Fmodel", "org/sub/model"),
        ("wild-card", "wild-card"),
        ("a%20b", "a b"),
    ] {
        let answer = proxy.get(&format!("/v1/models/{path}"));
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let model = answer.json();
        assert_eq!((&model["id"], &model["object"], &model["root"]), (&json!(id), &json!("model"), &json!(id)));
    }
    for path in ["nothing", "org/sub", "Wild-card"] {
        let answer = proxy.get(&format!("/v1/models/{path}"));
        assert_error(&answer, 404, "model_not_found");
        assert_eq!(answer.json()["error"]["param"], "model");
    }
    proxy.credential(json!({"name": "narrow", "allowed_models": ["wild-*"]}));
    assert_eq!(proxy.get("/v1/models/wild-card").status, 200);
    assert_error(&proxy.get("/v1/models/org/sub/model"), 404, "model_not_found");
}

#[test]
fn a_name_is_mapped_by_its_best_key() {
    let upstream = Upstream::json(r#"{"model":"real","choices":[]}"#);
    let mut proxy = TestProxy::empty();
    proxy.provider(
        "main",
        &upstream.base(),
        json!({
            "gpt-4": "exact",
            "gpt-*": "wild-*",
            "gpt-4-*-mini": "two/*/*-not",
            "claude-(\\d+)-(?<kind>[a-z]+)": "regex-$1-${kind}",
            "gpt-3.5-turbo": {"mapped_model": "object"},
        })
        .as_object()
        .map(|mapping| {
            let mut mapping = mapping.clone();
            // One star only: a target may not use more than its key captures.
            mapping.insert("gpt-4-*-mini".to_owned(), json!("mini-*"));
            Value::Object(mapping)
        })
        .unwrap(),
    );
    proxy.credential(json!({"name": "tester"}));
    for (model, mapped) in [
        ("gpt-4", "exact"),
        ("gpt-5.1", "wild-5.1"),
        ("gpt-", "wild-"),
        ("gpt-4-turbo-mini", "mini-turbo"),
        ("claude-3-opus", "regex-3-opus"),
        ("gpt-3.5-turbo", "object"),
    ] {
        let answer = proxy.chat(&hello(model));
        assert_eq!(answer.status, 200, "{model}: {answer:?}");
        assert_eq!(answer.json()["model"], model, "the client's own name comes back");
        assert_eq!(upstream.request().json()["model"], mapped, "{model}");
    }
    for model in ["GPT-4", "claude-3-opus-x", "xclaude-3-opus", "gpt_4", ""] {
        assert_error(&proxy.chat(&hello(model)), 404, "model_not_found");
    }
}

#[test]
fn the_configured_prefix_is_removed_once_before_every_check() {
    let upstream = Upstream::json(r#"{"model":"real","choices":[]}"#);
    let mut proxy = TestProxy::with(&[("PROVIDER_SUFFIX", "acme")]);
    proxy.provider("main", &upstream.base(), json!({"m": "real", "acme/twice": "kept"}));
    proxy.credential(json!({"name": "narrow", "allowed_models": ["m", "acme/twice"]}));
    for (model, mapped) in [("acme/m", "real"), ("m", "real"), ("acme/acme/twice", "kept")] {
        let answer = proxy.chat(&hello(model));
        assert_eq!(answer.status, 200, "{model}: {answer:?}");
        assert_eq!(answer.json()["model"], model);
        assert_eq!(upstream.request().json()["model"], mapped);
    }
    for model in ["Acme/m", "acme/acme/m", "other/m", "acmem"] {
        assert_error(&proxy.chat(&hello(model)), 403, "model_not_allowed");
    }
    assert_eq!(proxy.get("/v1/models/acme/m").status, 200, "a name that is served can be looked up");
}
