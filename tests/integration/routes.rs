//! Paths, methods and request ids.

use serde_json::json;

use crate::support::{ADMIN_KEY, TestProxy, Upstream, assert_error, hello};

#[test]
fn every_alias_serves_with_and_without_a_trailing_slash() {
    let proxy = TestProxy::before_mock();
    let bearer = proxy.bearer();
    let headers = [("authorization", bearer.as_str())];
    let body = hello("mock").to_string();
    for path in ["/v1/chat/completions", "/v2/chat/completions", "/chat/completions"] {
        for path in [path.to_owned(), format!("{path}/")] {
            let answer = proxy.ask("POST", &path, &headers, body.as_bytes());
            assert_eq!(answer.status, 200, "{path}: {answer:?}");
        }
    }
    for path in ["/v1/models", "/v1/models/", "/v2/models", "/v1/models/mock", "/v2/models/mock", "/v1/models/mock/"] {
        assert_eq!(proxy.get(path).status, 200, "{path}");
    }
    for path in ["/health/", "/health/live/", "/health/ready/", "/metrics/"] {
        assert_eq!(proxy.get(path).status, 200, "{path}");
    }
    let counted = proxy.metric("llm_proxy_requests_total", &["endpoint=\"/v1/chat/completions\""]);
    assert!((counted - 6.0).abs() < 0.1, "aliases are counted as one endpoint: {counted}");
}

#[test]
fn a_wrong_method_is_told_the_right_one() {
    let proxy = TestProxy::before_mock();
    for (method, path, allow) in [
        ("GET", "/v1/chat/completions", "POST"),
        ("PUT", "/chat/completions", "POST"),
        ("DELETE", "/v2/chat/completions/", "POST"),
        ("OPTIONS", "/v1/chat/completions", "POST"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("DELETE", "/v1/models/mock", "GET, HEAD"),
        ("POST", "/metrics", "GET, HEAD"),
        ("PUT", "/health", "GET, HEAD"),
    ] {
        let bearer = proxy.bearer();
        let answer = proxy.ask(method, path, &[("authorization", &bearer)], b"");
        assert_error(&answer, 405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
}

#[test]
fn an_unknown_path_is_an_openai_error() {
    let proxy = TestProxy::before_mock();
    for (method, path) in [
        ("GET", "/"),
        ("POST", "/v1/chat"),
        ("POST", "/v1/chat/completions/x"),
        ("POST", "/v3/chat/completions"),
        ("POST", "/V1/chat/completions"),
        ("GET", "/models"),
        ("POST", "/v1/images/generations"),
        ("GET", "/v1/../etc/passwd"),
        ("GET", "/%00"),
    ] {
        let answer = proxy.ask(method, path, &[], b"");
        assert_error(&answer, 404, "unknown_url");
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    }
}

#[test]
fn head_answers_as_get_without_a_body() {
    let proxy = TestProxy::before_mock();
    let bearer = proxy.bearer();
    for path in ["/v1/models", "/v1/models/mock", "/health", "/health/ready"] {
        let mut connection = proxy.connect();
        let get = connection.ask("GET", path, &[("authorization", &bearer)], b"");
        let head = connection.ask("HEAD", path, &[("authorization", &bearer)], b"");
        assert_eq!((head.status, get.status), (200, 200), "{path}");
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        // The connection would be out of step if HEAD had sent a body.
        assert_eq!(connection.ask("GET", path, &[("authorization", &bearer)], b"").body, get.body);
    }
    assert_eq!(proxy.ask("HEAD", "/v1/models", &[], b"").status, 401);
}

#[test]
fn a_fit_request_id_is_kept_and_any_other_is_replaced() {
    let upstream = Upstream::json(r#"{"model":"x","choices":[]}"#);
    let proxy = TestProxy::before(&upstream);
    let bearer = proxy.bearer();
    let long = "x".repeat(65);
    for (id, kept) in
        [("my-id_1.2:3", true), (&long[..64], true), (&long, false), ("a b", false), ("ä", false), ("", false)]
    {
        let headers = [("authorization", bearer.as_str()), ("x-request-id", id)];
        let answer = proxy.chat_with(&headers, &hello("m"));
        let told = answer.header("x-request-id").unwrap();
        assert_eq!(told == id, kept, "{id:?} became {told:?}");
        assert!(!told.is_empty());
        assert_eq!(upstream.request().header("x-request-id"), Some(told));
    }
    for path in ["/health", "/metrics", "/nowhere", "/v1/models", "/admin/v1/providers"] {
        let answer = proxy.ask("GET", path, &[("x-request-id", "mine")], b"");
        assert_eq!(answer.header("x-request-id"), Some("mine"), "{path}");
    }
}

#[test]
fn the_query_string_is_not_forwarded() {
    let upstream = Upstream::json(r#"{"model":"x","choices":[]}"#);
    let proxy = TestProxy::before(&upstream);
    let bearer = proxy.bearer();
    let body = hello("m").to_string();
    let path = "/v1/chat/completions?api-version=1&beta=true";
    assert_eq!(proxy.ask("POST", path, &[("authorization", &bearer)], body.as_bytes()).status, 200);
    assert_eq!(upstream.request().target(), "POST /v1/chat/completions");
}

#[test]
fn the_admin_api_answers_its_own_errors() {
    let proxy = TestProxy::before_mock();
    let bearer = format!("Bearer {ADMIN_KEY}");
    for (method, path, key, status, kind) in [
        ("GET", "/admin/v1/providers", "", 401, "unauthorized"),
        ("GET", "/admin/v1/providers", "Bearer wrong", 401, "unauthorized"),
        ("GET", "/admin/v1/nothing", bearer.as_str(), 404, "not_found"),
        ("GET", "/admin/v1/providers/999", bearer.as_str(), 404, "not_found"),
    ] {
        let answer = proxy.ask(method, path, &[("authorization", key)], b"");
        assert_eq!(answer.status, status, "{answer:?}");
        let error = &answer.json()["error"];
        assert_eq!((&error["type"], &error["code"]), (&json!(kind), &json!(status)), "{path}");
    }
    let answer = proxy.admin("POST", "/providers", &json!({"provider_key": "mock", "provider_type": "nonsense"}));
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (400, &json!("validation_error")));
}
