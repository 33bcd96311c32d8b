//! Between Chat and Chat, bytes cross as they are but for the model's name.

use serde_json::json;

use crate::support::{TestProxy, Upstream, hello, hello_stream};

const ANSWER: &str = r#"{"model":"real","choices":[]}"#;

/// A request that no JSON library would write like this.
const ODD: &str = "\u{20}{ \"zeta\" : 1.10e+2,\n\t\"messages\":[ {\"content\":\"h\\u00e9llo \\/ 世界 🦀 \\ud83e\\udd80\", \"role\":\"user\"} ],\r\n\
 \"seed\":12345678901234567890 , \"model\" :\t\"m\" ,\"temperature\":0.70, \"big\":1e400,\"nested\":{\"model\":\"m\",\"a\":[ ]},\
 \"x\":null,\"x\":true,\"empty\":\"\" } \n";

#[test]
fn a_request_reaches_the_provider_with_every_byte_but_the_model() {
    let upstream = Upstream::json(ANSWER);
    let proxy = TestProxy::before(&upstream);
    let answer = proxy.chat_bytes(ODD.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    let want = ODD.replacen("\"model\" :\t\"m\"", "\"model\" :\t\"real\"", 1);
    assert_eq!(String::from_utf8(upstream.request().body).unwrap(), want);
}

#[test]
fn a_model_that_keeps_its_name_changes_no_byte() {
    let upstream = Upstream::json(ANSWER);
    let mut proxy = TestProxy::empty();
    proxy.provider("main", &upstream.base(), json!({"m": "m"}));
    proxy.credential(json!({"name": "tester"}));
    assert_eq!(proxy.chat_bytes(ODD.as_bytes()).status, 200);
    assert_eq!(upstream.request().body, ODD.as_bytes());
}

#[test]
fn names_are_quoted_as_json_wants_it() {
    let upstream = Upstream::json(ANSWER);
    let mut proxy = TestProxy::empty();
    let (name, mapped) = ("a \"quoted\" naïve/模型", "back\\slash \"and\" 模型");
    proxy.provider("main", &upstream.base(), json!({ name: mapped }));
    proxy.credential(json!({"name": "tester"}));
    let answer = proxy.chat(&hello(name));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["model"], name);
    assert_eq!(upstream.request().json()["model"], mapped);
}

#[test]
fn a_streamed_request_asks_for_usage_in_the_clients_place() {
    let upstream = Upstream::stream(&[
        "data: {\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\ndata: [DONE]\n\n",
    ]);
    let proxy = TestProxy::before(&upstream);
    for (sent, want) in [
        (
            r#"{"model":"m","stream":true,"messages":[]}"#,
            r#"{"model":"real","stream_options":{"include_usage":true},"stream":true,"messages":[]}"#,
        ),
        (
            r#"{"model":"m","stream":true,"stream_options": {"include_usage" : false, "x":1},"messages":[]}"#,
            r#"{"model":"real","stream":true,"stream_options": {"include_usage" : true, "x":1},"messages":[]}"#,
        ),
        (
            r#"{"model":"m","stream":true,"stream_options": {"include_usage" : true},"messages":[]}"#,
            r#"{"model":"real","stream":true,"stream_options": {"include_usage" : true},"messages":[]}"#,
        ),
        (r#"{"model":"m","stream":false,"messages":[]}"#, r#"{"model":"real","stream":false,"messages":[]}"#),
    ] {
        proxy.chat_bytes(sent.as_bytes());
        assert_eq!(String::from_utf8(upstream.request().body).unwrap(), want);
    }
}

#[test]
fn usage_is_not_asked_for_where_the_provider_refuses_that() {
    let upstream =
        Upstream::stream(&["data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"}}]}\n\ndata: [DONE]\n\n"]);
    let mut proxy = TestProxy::empty();
    proxy.provider_of(json!({
        "provider_key": "old", "provider_type": "custom", "api_base": upstream.base(), "api_key": "",
        "model_mapping": {"m": "m"}, "provider_params": {"inject_usage": false},
    }));
    proxy.credential(json!({"name": "tester"}));
    let body = hello_stream("m").to_string();
    assert_eq!(proxy.chat_bytes(body.as_bytes()).status, 200);
    assert_eq!(upstream.request().body, body.as_bytes());
}

#[test]
fn only_named_headers_of_the_client_reach_the_provider() {
    let upstream = Upstream::json(ANSWER);
    let proxy = TestProxy::before(&upstream);
    let bearer = proxy.bearer();
    let headers = [
        ("authorization", bearer.as_str()),
        ("api-key", "second-key"),
        ("cookie", "session=secret-cookie"),
        ("x-forwarded-for", "10.1.2.3"),
        ("user-agent", "my-app/1"),
        ("accept", "text/html"),
        ("accept-encoding", "gzip, br"),
        ("content-type", "text/plain"),
        ("openai-organization", "org-of-the-client"),
        ("openai-beta", "assistants=v2"),
        ("idempotency-key", "once"),
        ("x-request-id", "the-request"),
        ("x-stainless-lang", "python"),
        ("x-custom", "custom-value"),
        ("te", "trailers"),
    ];
    assert_eq!(proxy.chat_with(&headers, &hello("m")).status, 200);
    let request = upstream.request();
    for (name, value) in [
        ("authorization", "Bearer sk-secret-of-main"),
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("user-agent", concat!("llm-proxy/", env!("CARGO_PKG_VERSION"))),
        ("openai-beta", "assistants=v2"),
        ("idempotency-key", "once"),
        ("x-request-id", "the-request"),
    ] {
        assert_eq!(request.header(name), Some(value), "{}", request.head);
    }
    let known = [
        "authorization",
        "content-type",
        "accept",
        "user-agent",
        "openai-beta",
        "idempotency-key",
        "x-request-id",
        "host",
        "content-length",
    ];
    let names =
        request.head.lines().skip(1).filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_lowercase());
    let others: Vec<String> = names.filter(|name| !known.contains(&name.as_str())).collect();
    assert_eq!(others, Vec::<String>::new());
    for secret in [proxy.key(), "second-key", "secret-cookie", "org-of-the-client", "10.1.2.3", "custom-value"] {
        assert!(!request.head.contains(secret), "{secret} reached the provider: {}", request.head);
    }
}

#[test]
fn the_operators_headers_are_sent_but_never_instead_of_the_key() {
    let upstream = Upstream::json(ANSWER);
    let mut proxy = TestProxy::empty();
    proxy.provider_of(json!({
        "provider_key": "main", "provider_type": "openai", "api_base": upstream.base(), "api_key": "the-secret",
        "model_mapping": {"m": "real"},
        "provider_params": {"headers": {"x-tenant": "blue", "user-agent": "ours/2", "authorization": "Bearer other"}},
    }));
    proxy.credential(json!({"name": "tester"}));
    assert_eq!(proxy.chat(&hello("m")).status, 200);
    let request = upstream.request();
    for (name, value) in [("x-tenant", "blue"), ("user-agent", "ours/2"), ("authorization", "Bearer the-secret")] {
        assert_eq!(request.header(name), Some(value), "{}", request.head);
    }
    assert_eq!(request.head.to_lowercase().matches("authorization:").count(), 1, "{}", request.head);
}

#[test]
fn a_custom_provider_without_a_key_gets_none() {
    let upstream = Upstream::json(ANSWER);
    let mut proxy = TestProxy::empty();
    proxy.provider_of(json!({
        "provider_key": "local", "provider_type": "OpenAI-Compatible", "api_base": format!("{}//", upstream.base()),
        "api_key": "", "model_mapping": {"m": "real"},
    }));
    proxy.credential(json!({"name": "tester"}));
    assert_eq!(proxy.chat(&hello("m")).status, 200);
    let request = upstream.request();
    assert_eq!(request.target(), "POST /v1/chat/completions");
    assert_eq!(request.header("authorization"), None);
}

#[test]
fn an_answer_reaches_the_client_with_every_byte_but_the_model() {
    let body = "{ \"id\":\"x\",\n \"zeta\" : 1.10, \"seed\":12345678901234567890,\t\"model\" : \"real-2024\" , \"choices\":[\
                {\"message\":{\"model\":\"real-2024\",\"content\":\"caf\\u00e9 世界\"}}],\"vendor\":{\"model\":\"real-2024\"} }\n";
    let upstream = Upstream::json(body);
    let proxy = TestProxy::before(&upstream);
    let answer = proxy.chat(&hello("m"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.text(), body.replacen("\"model\" : \"real-2024\"", "\"model\" : \"m\"", 1));
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

#[test]
fn headers_of_the_answer_cross_under_their_own_names_only() {
    let headers = "content-type: application/json\r\nx-request-id: up-1\r\nx-ratelimit-remaining-requests: 7\r\n\
                   set-cookie: secret=1\r\nopenai-organization: org-x\r\nopenai-project: p\r\nx-other: 1\r\nserver: up\r\n";
    let upstream = Upstream::status(200, headers, ANSWER);
    let proxy = TestProxy::before(&upstream);
    let answer = proxy.chat(&hello("m"));
    assert_eq!(answer.header("x-upstream-request-id"), Some("up-1"));
    assert_eq!(answer.header("x-upstream-x-ratelimit-remaining-requests"), Some("7"));
    assert_ne!(answer.header("x-request-id"), Some("up-1"));
    for name in
        ["x-ratelimit-remaining-requests", "set-cookie", "openai-organization", "openai-project", "x-other", "server"]
    {
        assert_eq!(answer.header(name), None, "{answer:?}");
    }
}
