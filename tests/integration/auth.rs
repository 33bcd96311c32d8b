//! Who may ask, and for which models.

use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Answer, TestProxy, assert_error, hello, mock};

fn with(proxy: &TestProxy, headers: &[(&str, &str)]) -> u16 {
    proxy.chat_with(headers, &hello("mock")).status
}

#[track_caller]
fn assert_refused(answer: &Answer, said: &str) {
    assert_error(answer, 401, "invalid_api_key");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains(said), "{answer:?}");
}

#[test]
fn a_key_is_taken_from_each_of_its_places() {
    let proxy = TestProxy::before_mock();
    let key = proxy.key();
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        assert_eq!(with(&proxy, &[("authorization", &format!("{scheme} {key}"))]), 200, "{scheme}");
    }
    assert_eq!(with(&proxy, &[("authorization", &format!("Bearer   {key}  "))]), 200);
    assert_eq!(with(&proxy, &[("x-api-key", key)]), 200);
    assert_eq!(with(&proxy, &[("X-API-Key", key)]), 200);
    assert_eq!(with(&proxy, &[("api-key", key)]), 200);
    assert_eq!(with(&proxy, &[("authorization", key)]), 401);
    assert_eq!(with(&proxy, &[("authorization", &format!("Basic {key}"))]), 401);
    assert_eq!(with(&proxy, &[("cookie", &format!("api-key={key}"))]), 401);
    let path = format!("/v1/chat/completions?api_key={key}&key={key}&api-key={key}");
    assert_eq!(proxy.ask("POST", &path, &[], hello("mock").to_string().as_bytes()).status, 401);
}

#[test]
fn the_first_place_that_holds_a_key_decides() {
    let proxy = TestProxy::before_mock();
    let (key, bearer) = (proxy.key(), proxy.bearer());
    for (headers, status) in [
        ([("x-api-key", key), ("authorization", "Bearer wrong")], 200),
        ([("x-api-key", "wrong"), ("authorization", &bearer)], 401),
        ([("x-api-key", ""), ("authorization", &bearer)], 200),
        ([("authorization", &bearer), ("api-key", "wrong")], 200),
        ([("authorization", "Bearer wrong"), ("api-key", key)], 401),
        ([("authorization", "Bearer "), ("api-key", key)], 200),
        ([("authorization", "Basic abc"), ("api-key", key)], 200),
        ([("x-api-key", "  "), ("api-key", key)], 200),
    ] {
        assert_eq!(with(&proxy, &headers), status, "{headers:?}");
    }
}

#[test]
fn missing_unknown_disabled_and_expired_keys_share_a_code() {
    let mut proxy = TestProxy::before_mock();
    assert_refused(&proxy.chat_with(&[], &hello("mock")), "no API key");
    assert_refused(&proxy.chat_with(&[("x-api-key", "sk-nobody")], &hello("mock")), "not known");
    assert_refused(&proxy.ask("GET", "/v1/models", &[], b""), "no API key");
    proxy.credential(json!({"name": "off", "is_enabled": false}));
    assert_refused(&proxy.chat(&hello("mock")), "disabled");
    proxy.credential(json!({"name": "late", "expires_at": "2001-02-03T04:05:06Z"}));
    assert_refused(&proxy.chat(&hello("mock")), "expired");
    proxy.credential(json!({"name": "early", "expires_at": "2999-02-03T04:05:06Z"}));
    assert_eq!(proxy.chat(&hello("mock")).status, 200);
}

#[test]
fn without_any_enabled_credential_nobody_is_admitted() {
    let proxy = TestProxy::empty();
    proxy.provider("mock", &mock(), json!({"mock": "mock"}));
    for headers in [vec![], vec![("x-api-key", "any")]] {
        assert_refused(&proxy.chat_with(&headers, &hello("mock")), "key");
    }
}

#[test]
fn anonymous_requests_are_admitted_only_while_no_credential_is_enabled() {
    let mut proxy = TestProxy::with(&[("ALLOW_ANONYMOUS", "true")]);
    proxy.provider("mock", &mock(), json!({"mock": "mock"}));
    assert_eq!(with(&proxy, &[]), 200);
    assert_eq!(with(&proxy, &[("x-api-key", "any key is ignored")]), 200);
    assert!((proxy.metric("llm_proxy_requests_total", &["api_key_name=\"anonymous\""]) - 2.0).abs() < 0.1);
    proxy.credential(json!({"name": "off", "is_enabled": false}));
    assert_eq!(with(&proxy, &[]), 200);
    let late = proxy.credential(json!({"name": "late", "expires_at": "2001-02-03T04:05:06Z"}));
    assert_eq!(with(&proxy, &[]), 401, "an expired but enabled credential keeps the door shut");
    proxy.configure("DELETE", &late, &Value::Null);
    assert_eq!(with(&proxy, &[]), 200);
    proxy.credential(json!({"name": "on"}));
    assert_eq!(with(&proxy, &[]), 401);
    assert_eq!(proxy.chat(&hello("mock")).status, 200);
}

#[test]
fn a_key_opens_only_its_own_side() {
    let proxy = TestProxy::before_mock();
    assert_eq!(with(&proxy, &[("x-api-key", ADMIN_KEY)]), 401);
    let bearer = proxy.bearer();
    for (method, path) in
        [("GET", "/admin/v1/providers"), ("POST", "/admin/v1/credentials"), ("DELETE", "/admin/v1/providers/1")]
    {
        assert_eq!(proxy.ask(method, path, &[("authorization", &bearer)], b"{}").status, 401, "{method} {path}");
    }
    assert_eq!(proxy.ask("GET", "/admin/v1/providers", &[("x-api-key", ADMIN_KEY)], b"").status, 401);
}

#[test]
fn a_key_may_use_only_the_models_it_is_allowed() {
    let mut proxy = TestProxy::before_mock();
    proxy.credential(json!({"name": "narrow", "allowed_models": ["mock", "mock-t*", "mock-(delay-0|nousage)"]}));
    for (model, allowed) in [
        ("mock", true),
        ("mock-tools", true),
        ("mock-thinking", true),
        ("mock-nousage", true),
        ("mock-delay-0", true),
        ("mock-delay-01", false),
        ("mock-echo", false),
        ("Mock", false),
        ("no-such-model", false),
    ] {
        let answer = proxy.chat(&hello(model));
        if allowed {
            assert_eq!(answer.status, 200, "{model}: {answer:?}");
            continue;
        }
        assert_error(&answer, 403, "model_not_allowed");
        let error = &answer.json()["error"];
        assert_eq!((&error["type"], &error["param"]), (&json!("permission_error"), &json!("model")));
        assert!(error["message"].as_str().unwrap().contains("mock-t*"), "the allowed entries are told: {answer:?}");
    }
}
