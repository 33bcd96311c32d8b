//! Which headers cross the proxy, both ways.

use serde_json::{Value, json};

use crate::support::{Answer, Received, TestProxy, Upstream, execute, hello, hello_stream};

const ANSWER: &str = r#"{"model":"real","choices":[]}"#;

/// What a client may send, and nobody else shall see.
const PRIVATE: [(&str, &str); 29] = [
    ("cookie", "session=private"),
    ("x-forwarded-for", "private"),
    ("x-forwarded-host", "private"),
    ("x-forwarded-proto", "private"),
    ("x-real-ip", "private"),
    ("forwarded", "for=private"),
    ("via", "1.1 private"),
    ("proxy-authorization", "Basic private"),
    ("proxy-connection", "private"),
    ("keep-alive", "timeout=5, private=1"),
    ("te", "trailers"),
    ("trailer", "x-private"),
    ("x-hop", "private"),
    ("connection", "keep-alive, x-hop, Idempotency-Key"),
    ("idempotency-key", "private"),
    ("referer", "https://private.example"),
    ("origin", "https://private.example"),
    ("accept-language", "private"),
    ("accept-encoding", "gzip, br"),
    ("openai-organization", "private"),
    ("openai-project", "private"),
    ("x-goog-api-key", "private"),
    ("x-amz-security-token", "private"),
    ("helicone-auth", "private"),
    ("anthropic-dangerous-direct-browser-access", "true"),
    ("x-llm-proxy-strict", "false"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ("x-stainless-lang", "private"),
    ("date", "Wed, 21 Oct 2015 07:28:00 GMT"),
];

/// What every request has.
const COMMON: [&str; 6] = ["accept", "content-length", "content-type", "host", "user-agent", "x-request-id"];

fn before(kind: &str, upstream: &Upstream, params: &Value) -> TestProxy {
    let mut proxy = TestProxy::empty();
    proxy.provider_of(json!({
        "provider_key": "main", "provider_type": kind, "api_base": upstream.base(), "api_key": "secret-of-main",
        "model_mapping": {"m": "real"}, "provider_params": params,
    }));
    proxy.credential(json!({"name": "tester"}));
    proxy
}

/// Asks with the key under every name and all that is private.
fn ask(proxy: &TestProxy, path: &str, extra: &[(&str, &str)], stream: bool) -> Answer {
    let bearer = proxy.bearer();
    let mut headers = vec![("authorization", bearer.as_str()), ("x-api-key", proxy.key()), ("api-key", proxy.key())];
    headers.extend(PRIVATE);
    headers.extend(extra);
    let mut body = if stream { hello_stream("m") } else { hello("m") };
    if path == "/v1/responses" {
        body = json!({"model": "m", "input": "Hello", "stream": stream});
    } else {
        body["max_tokens"] = json!(5);
    }
    proxy.ask("POST", path, &headers, body.to_string().as_bytes())
}

/// Asserts that nothing but [`COMMON`] and `more` came, and that nothing in it is the client's.
#[track_caller]
fn assert_only(request: &Received, more: &[&str], key: &str) {
    let mut want: Vec<&str> = COMMON.iter().chain(more).copied().collect();
    want.sort_unstable();
    assert_eq!(request.header_names(), want, "{}", request.head);
    for secret in ["private", key, "trailers", "gzip", "2015"] {
        assert!(!request.head.contains(secret), "{secret} reached the provider: {}", request.head);
    }
}

#[test]
fn nothing_of_the_client_but_the_promised_headers_reaches_a_provider() {
    for (kind, auth) in [
        ("openai", &["authorization"][..]),
        ("custom", &["authorization"]),
        ("azure", &["api-key"]),
        ("anthropic", &["anthropic-version", "x-api-key"]),
        ("response_api", &["authorization"]),
    ] {
        let upstream = Upstream::status(400, "content-type: application/json\r\n", "{}");
        let proxy = before(kind, &upstream, &json!({}));
        for path in ["/v1/chat/completions", "/v1/messages", "/v1/responses"] {
            for stream in [false, true] {
                ask(&proxy, path, &[], stream);
                assert_only(&upstream.request(), auth, proxy.key());
            }
        }
    }
}

#[test]
fn headers_of_a_protocol_stay_within_it() {
    let own = [("openai-beta", "assistants=v2"), ("anthropic-version", "2099-01-01"), ("anthropic-beta", "b-1")];
    for (kind, path, kept) in [
        ("openai", "/v1/chat/completions", &["openai-beta"][..]),
        ("openai", "/v1/messages", &[]),
        ("response_api", "/v1/responses", &["openai-beta"]),
        ("response_api", "/v1/chat/completions", &[]),
        ("anthropic", "/v1/messages", &["anthropic-beta"]),
        ("anthropic", "/v1/chat/completions", &[]),
    ] {
        let upstream = Upstream::status(400, "content-type: application/json\r\n", "{}");
        let proxy = before(kind, &upstream, &json!({}));
        ask(&proxy, path, &own, false);
        let request = upstream.request();
        let auth = if kind == "anthropic" { &["anthropic-version", "x-api-key"][..] } else { &["authorization"] };
        assert_only(&request, &[auth, kept].concat(), proxy.key());
        let version = if path == "/v1/messages" { "2099-01-01" } else { "2023-06-01" };
        assert!(kind != "anthropic" || request.header("anthropic-version") == Some(version), "{}", request.head);
    }
}

#[test]
fn a_header_that_connection_names_is_not_forwarded() {
    let upstream = Upstream::json(ANSWER);
    let proxy = TestProxy::before(&upstream);
    let bearer = proxy.bearer();
    let key = ("authorization", bearer.as_str());
    let once = ("idempotency-key", "once");
    assert_eq!(proxy.chat_with(&[key, once], &hello("m")).status, 200);
    assert_eq!(upstream.request().header("idempotency-key"), Some("once"));
    let connection = ("connection", "close , Idempotency-KEY");
    assert_eq!(proxy.chat_with(&[key, once, connection], &hello("m")).status, 200);
    assert_eq!(upstream.request().header("idempotency-key"), None);
}

#[test]
fn betas_pass_as_the_policy_says_from_lists_and_from_several_lines() {
    let allowlist = ["b-2", "d-4"];
    let list = json!({"anthropic_beta_policy": "allowlist", "anthropic_beta_allowlist": allowlist});
    let empty = json!({"anthropic_beta_policy": "allowlist"});
    let lines: &[(&str, &str)] =
        &[("anthropic-beta", "a-1, b-2"), ("Anthropic-Beta", "c-3,d-4 ,"), ("anthropic-beta", "")];
    for (params, kept) in [
        (json!({}), Some(vec!["a-1", "b-2", "c-3", "d-4"])),
        (json!({"anthropic_beta_policy": "passthrough"}), Some(vec!["a-1", "b-2", "c-3", "d-4"])),
        (json!({"anthropic_beta_policy": "drop"}), None),
        (list.clone(), Some(vec!["b-2", "d-4"])),
        (empty, None),
    ] {
        let upstream = Upstream::status(400, "content-type: application/json\r\n", "{}");
        let proxy = before("anthropic", &upstream, &params);
        for path in ["/v1/messages", "/v1/messages/count_tokens"] {
            ask(&proxy, path, lines, false);
            let request = upstream.request();
            let betas = request
                .header("anthropic-beta")
                .map(|value| value.split(',').map(str::trim).filter(|beta| !beta.is_empty()).collect::<Vec<_>>());
            assert_eq!(betas, kept, "{params} {path}: {}", request.head);
        }
    }
    let upstream = Upstream::status(400, "content-type: application/json\r\n", "{}");
    let proxy = before("anthropic", &upstream, &list);
    for similar in ["b-22", "B-2", "xb-2", "b-2;x"] {
        ask(&proxy, "/v1/messages", &[("anthropic-beta", similar)], false);
        assert_eq!(upstream.request().header("anthropic-beta"), None, "{similar}");
    }
}

#[test]
fn headers_of_the_connection_cannot_be_configured() {
    let upstream = Upstream::json(ANSWER);
    let proxy = TestProxy::before(&upstream);
    for name in [
        "Connection",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Proxy-Connection",
        "TE",
        "Trailer",
        "Transfer-Encoding",
        "Upgrade",
        "Host",
        "Content-Length",
        "Expect",
        "a b",
        "",
    ] {
        let answer = proxy.admin("PUT", "/providers/1", &json!({"provider_params": {"headers": {name: "1"}}}));
        assert_eq!(answer.status, 400, "{name}: {answer:?}");
        assert_eq!(answer.json()["error"]["field"], format!("provider_params.headers.{name}"));
    }
    for value in [json!("a\r\nx-injected: 1"), json!("a\nb"), json!(1), json!(null), json!("é")] {
        let answer = proxy.admin("PUT", "/providers/1", &json!({"provider_params": {"headers": {"x-a": value}}}));
        assert_eq!(answer.status, 400, "{value}: {answer:?}");
    }
    // Plain SQL gets past the admin API, but no further.
    let headers =
        r#"{"headers":{"Host":"evil","connection":"close","Content-Length":"1","expect":"100-continue","x-good":"1"}}"#;
    execute(&proxy.database(), &format!("UPDATE providers SET provider_params = '{headers}'"));
    proxy.configure("POST", "/config/reload", &json!({}));
    assert_eq!(proxy.chat(&hello("m")).status, 200);
    assert_only(&upstream.request(), &["authorization", "x-good"], proxy.key());
}

#[test]
fn only_promised_headers_of_a_provider_reach_the_client() {
    let private = "set-cookie: session=private\r\nset-cookie2: private\r\nopenai-organization: private\r\n\
        openai-project: private\r\nopenai-version: private\r\nanthropic-organization-id: private\r\n\
        keep-alive: timeout=5, private\r\nserver: private\r\nvia: 1.1 private\r\nx-powered-by: private\r\n\
        cf-ray: private\r\nx-hop: private\r\nproxy-authenticate: Basic realm=private\r\ntrailer: x-private\r\n\
        www-authenticate: Bearer realm=private\r\naccess-control-allow-origin: https://private.example\r\n\
        strict-transport-security: max-age=1; private\r\nlocation: https://private.example\r\n\
        x-llm-proxy-provider: private\r\nserver-timing: private;dur=1\r\nalt-svc: private\r\n\
        content-encoding: identity\r\nx-request-id: up-1\r\nx-ratelimit-limit-tokens: 9\r\n\
        anthropic-ratelimit-tokens-limit: 8\r\n";
    for (status, connection) in [(200, "keep-alive"), (200, "close"), (400, "keep-alive, x-hop"), (503, "close")] {
        let head = format!("content-type: application/json\r\nconnection: {connection}\r\n{private}");
        let proxy = TestProxy::before(&Upstream::status(status, &head, ANSWER));
        assert_clean(&proxy.chat(&hello("m")), status);
    }
    let events = "data: {\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{private}content-length: {}\r\n\r\n{events}",
        events.len()
    );
    let proxy = TestProxy::before(&Upstream::bytes(answer));
    assert_clean(&proxy.chat(&hello_stream("m")), 200);
}

#[track_caller]
fn assert_clean(answer: &Answer, status: u16) {
    const PROMISED: [&str; 16] = [
        "content-type",
        "content-length",
        "transfer-encoding",
        "cache-control",
        "date",
        "server-timing",
        "x-accel-buffering",
        "x-request-id",
        "x-llm-proxy-provider",
        "x-llm-proxy-attempts",
        "x-llm-proxy-usage",
        "x-llm-proxy-error-source",
        "x-llm-proxy-error-code",
        "x-upstream-request-id",
        "x-upstream-x-ratelimit-limit-tokens",
        "x-upstream-anthropic-ratelimit-tokens-limit",
    ];
    assert_eq!(answer.status, status, "{answer:?}");
    for (name, value) in &answer.headers {
        assert!(PROMISED.contains(&name.as_str()), "{name}: {answer:?}");
        assert!(!value.contains("private"), "{name}: {answer:?}");
    }
    assert_eq!(answer.header("x-llm-proxy-provider"), Some("main"));
    assert_eq!(answer.header("x-upstream-request-id"), Some("up-1"));
}
