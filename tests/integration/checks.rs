//! Active checks of providers: what an operator is told, and what is sent for it.

use serde_json::{Value, json};

use crate::support::{Act, TestProxy, Upstream, mock};

/// The provider at `path` of the admin API is checked.
fn check(proxy: &TestProxy, path: &str, body: &Value) -> Value {
    proxy.configure("POST", &format!("{path}/health"), body)
}

fn told<'c>(check: &'c Value, model: &str) -> &'c Value {
    let models = check["models"].as_array().unwrap();
    models.iter().find(|one| one["model"] == model).unwrap_or_else(|| panic!("no {model} in {check}"))
}

#[test]
fn each_model_is_asked_in_the_protocol_of_its_provider() {
    let proxy = TestProxy::empty();
    for kind in ["openai", "custom", "anthropic", "response_api"] {
        let path = proxy.provider_of(json!({
            "provider_key": kind, "provider_type": kind, "api_base": mock(), "api_key": "sk-mock",
            "model_mapping": {"good": "mock", "bad": "mock-status-503", "odd-*": "mock"},
        }));
        let found = check(&proxy, &path, &Value::Null);
        assert_eq!((&found["status"], &found["provider_key"]), (&json!("healthy"), &json!(kind)), "{found}");
        assert_eq!(found["summary"], json!({"total_models": 2, "healthy_models": 1, "unhealthy_models": 1}));
        assert_eq!(told(&found, "good")["status"], "healthy", "{found}");
        assert!(told(&found, "bad")["error"].as_str().unwrap().starts_with("HTTP 503 - "), "{found}");
        let found = check(&proxy, &path, &json!({"models": ["odd-one", "bad"], "max_concurrent": 1}));
        assert_eq!(found["models"].as_array().unwrap().len(), 2);
        assert_eq!(told(&found, "odd-one")["status"], "healthy", "{found}");
    }
    assert_eq!(proxy.metric("llm_proxy_upstream_attempts_total", &[]), 0.0);
}

#[test]
fn an_embedding_model_is_asked_for_an_embedding_and_a_chat_model_for_16_tokens() {
    let upstream = Upstream::status(400, "", r#"{"error":{"message":"no, sk-secret-of-u"}}"#);
    let proxy = TestProxy::empty();
    let mapping = json!({"vectors": {"mapped_model": "embed-3", "mode": "embedding"}});
    let path = proxy.provider("u", &upstream.base(), mapping);
    let found = check(&proxy, &path, &json!({}));
    assert_eq!(told(&found, "vectors")["error"], "HTTP 400 - no, ***", "{found}");
    let asked = upstream.request();
    assert!(asked.head.starts_with("POST /v1/embeddings "), "{}", asked.head);
    assert_eq!(serde_json::from_slice::<Value>(&asked.body).unwrap(), json!({"model": "embed-3", "input": "Hi"}));
    check(&proxy, &path, &json!({"models": ["chat"]}));
    let body: Value = serde_json::from_slice(&upstream.request().body).unwrap();
    assert_eq!((&body["model"], &body["max_completion_tokens"]), (&json!("chat"), &json!(16)));
    assert_eq!(body["messages"][0]["content"], "Hi");
}

#[test]
fn what_cannot_be_asked_is_disabled_or_unknown_and_what_is_slow_is_late() {
    let upstream = Upstream::new(|_| vec![Act::Hang]);
    let proxy = TestProxy::empty();
    let slow = proxy.provider("slow", &upstream.base(), json!({"a": "a"}));
    let found = check(&proxy, &slow, &json!({"timeout_secs": 1}));
    assert_eq!((&found["status"], &told(&found, "a")["error"]), (&json!("unhealthy"), &json!("Timeout after 1s")));
    let vague = proxy.provider("vague", &mock(), json!({"mock-*": "mock-*"}));
    assert_eq!(check(&proxy, &vague, &json!({}))["status"], "unknown");
    let literal = proxy.provider("literal", &mock(), json!({"gpt-*": "mock"}));
    assert_eq!(told(&check(&proxy, &literal, &json!({})), "mock")["status"], "healthy");
    proxy.configure("PATCH", &format!("{literal}/status"), &json!({"is_enabled": false}));
    let found = check(&proxy, &literal, &json!({}));
    assert_eq!((&found["status"], &found["models"]), (&json!("disabled"), &json!([])));
    let dead = proxy.provider("dead", "http://127.0.0.1:9", json!({"a": "a"}));
    let found = proxy.configure("GET", &dead.replace("/providers", "/health/providers"), &Value::Null);
    assert_eq!(found["status"], "unhealthy", "{found}");
    assert!(told(&found, "a")["error"].as_str().unwrap().contains("connect"), "{found}");
}

#[test]
fn several_are_checked_at_once_and_one_that_is_gone_is_not_found() {
    let proxy = TestProxy::empty();
    let id = |path: String| path.rsplit('/').next().unwrap().parse::<i32>().unwrap();
    let good = id(proxy.provider("good", &mock(), json!({"a": "mock", "b": "mock"})));
    let bad = id(proxy.provider("bad", &mock(), json!({"a": "mock-status-401"})));
    let found = proxy.configure("POST", "/health/check", &Value::Null);
    let counts = ["total_providers", "healthy_providers", "unhealthy_providers"].map(|name| found[name].clone());
    assert_eq!(counts, [json!(2), json!(1), json!(1)], "{found}");
    let found = proxy.configure("POST", "/health/check", &json!({"provider_ids": [bad], "models": ["b"]}));
    assert_eq!((&found["total_providers"], &found["providers"][0]["provider_id"]), (&json!(1), &json!(bad)));
    let found = proxy.configure("GET", &format!("/health/providers/{good}?models=a,%20b&timeout_secs=5"), &Value::Null);
    assert_eq!(found["summary"]["healthy_models"], 2, "{found}");
    for (method, path, body, status) in [
        ("POST", "/providers/999/health".to_owned(), json!({}), 404),
        ("POST", "/health/check".to_owned(), json!({"provider_ids": [999]}), 404),
        ("POST", format!("/providers/{good}/health"), json!({"timeout_secs": 121}), 400),
        ("POST", format!("/providers/{good}/health"), json!({"max_concurrent": 0}), 400),
        ("GET", format!("/health/providers/{good}?timeout_secs=0"), Value::Null, 400),
    ] {
        assert_eq!(proxy.admin(method, &path, &body).status, status, "{method} {path} {body}");
    }
}
