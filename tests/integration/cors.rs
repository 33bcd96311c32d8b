//! Pages of other origins.

use serde_json::json;

use crate::support::{ADMIN_KEY, Answer, Headers, TestProxy, Upstream, hello, hello_stream};

const PAGE: &str = "https://page.example";
const OTHER: &str = "https://other.example";
const ANSWER: &str = r#"{"model":"real","choices":[]}"#;

fn preflight(proxy: &TestProxy, path: &str, origin: &str) -> Answer {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,x-stainless-lang"),
    ];
    proxy.ask("OPTIONS", path, &headers, b"")
}

fn allowed(answer: &Answer) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

/// Asserts that a page of this origin may read the answer and those of its headers.
#[track_caller]
fn assert_readable(answer: &Answer, origin: &str, headers: &[&str]) {
    assert_eq!(allowed(answer), Some(origin), "{answer:?}");
    let vary: Vec<&str> =
        answer.headers.iter().filter(|(name, _)| name == "vary").map(|(_, value)| value.as_str()).collect();
    assert!(vary.iter().any(|value| value.eq_ignore_ascii_case("origin")), "{answer:?}");
    let exposed: Vec<&str> = answer.header("access-control-expose-headers").unwrap().split(", ").collect();
    for name in headers {
        assert!(answer.header(name).is_some(), "{name} is not there: {answer:?}");
        assert!(exposed.contains(name), "{name} is not exposed: {exposed:?}");
    }
    for (name, _) in answer.headers.iter().filter(|(name, _)| name.starts_with("x-")) {
        assert!(exposed.contains(&name.as_str()), "{name} is not exposed: {exposed:?}");
    }
    assert_eq!(answer.header("access-control-allow-credentials"), None);
}

#[test]
fn without_the_setting_nothing_speaks_of_origins() {
    let proxy = TestProxy::before(&Upstream::json(ANSWER));
    let bearer = proxy.bearer();
    let asked = proxy.chat_with(&[("authorization", &bearer), ("origin", PAGE)], &hello("m"));
    let preflight = preflight(&proxy, "/v1/chat/completions", PAGE);
    assert_eq!((asked.status, preflight.status), (200, 405));
    for answer in [asked, preflight] {
        let is_cors = |name: &str| name.starts_with("access-control") || name == "vary";
        assert!(!answer.headers.iter().any(|(name, _)| is_cors(name)), "{answer:?}");
    }
}

#[test]
fn a_preflight_of_a_listed_page_says_what_it_may_do() {
    let proxy = TestProxy::with(&[("CORS_ORIGINS", "https://page.example, http://localhost:5173")]);
    for path in ["/v1/chat/completions", "/v1/messages", "/admin/v1/providers/7", "/no/such/path"] {
        let answer = preflight(&proxy, path, PAGE);
        assert_eq!((answer.status, allowed(&answer)), (204, Some(PAGE)), "{path}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-methods"), Some("GET, HEAD, POST, PUT, PATCH, DELETE"));
        assert_eq!(answer.header("access-control-allow-headers"), Some("authorization,content-type,x-stainless-lang"));
        assert_eq!(answer.header("access-control-max-age"), Some("7200"));
        assert!(answer.header("vary").unwrap().starts_with("Origin"), "{answer:?}");
        assert!(answer.header("x-request-id").is_some());
        assert!(answer.body.is_empty() && answer.header("content-length").is_none_or(|length| length == "0"));
    }
    for path in ["/v1/chat/completions", "/admin/v1/providers"] {
        let answer = preflight(&proxy, path, OTHER);
        assert!(answer.status >= 400, "{answer:?}");
        assert_eq!(allowed(&answer), None);
    }
}

#[test]
fn answers_and_streams_are_readable_with_all_their_headers() {
    let upstream = Upstream::status(
        200,
        "content-type: application/json\r\nx-ratelimit-remaining-requests: 5\r\nx-request-id: up-1\r\n",
        ANSWER,
    );
    let mut proxy = TestProxy::before_with(&upstream, &[("CORS_ORIGINS", PAGE)]);
    proxy.credential(json!({"name": "limited", "rate_limit": 100, "burst": 100}));
    let bearer = proxy.bearer();
    let headers = [("authorization", bearer.as_str()), ("origin", PAGE)];
    let ours = ["x-request-id", "x-llm-proxy-provider", "server-timing", "x-ratelimit-limit-requests"];
    let answer = proxy.chat_with(&headers, &hello("m"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_readable(&answer, PAGE, &ours);
    assert_readable(&answer, PAGE, &["x-upstream-x-ratelimit-remaining-requests", "x-upstream-request-id"]);

    let events = "data: {\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let mut proxy = TestProxy::before_with(&Upstream::stream(&[events]), &[("CORS_ORIGINS", PAGE)]);
    proxy.credential(json!({"name": "limited", "rate_limit": 100, "burst": 100}));
    let bearer = proxy.bearer();
    let answer = proxy.chat_with(&[("authorization", &bearer), ("origin", PAGE)], &hello_stream("m"));
    assert_eq!((answer.status, answer.events().len()), (200, 1), "{answer:?}");
    assert_readable(&answer, PAGE, &ours);
}

#[test]
fn errors_are_readable_or_a_page_would_see_a_network_error() {
    let upstream = Upstream::status(503, "retry-after: 7\r\nretry-after-ms: 6500\r\n", "{}");
    let mut proxy = TestProxy::before_with(&upstream, &[("CORS_ORIGINS", PAGE)]);
    proxy.credential(json!({"name": "slow", "rate_limit": 1, "burst": 1}));
    let bearer = proxy.bearer();
    let with_key = [("authorization", bearer.as_str()), ("origin", PAGE)];
    let failed = proxy.chat_with(&with_key, &hello("m"));
    assert_eq!(failed.status, 503, "{failed:?}");
    assert_readable(&failed, PAGE, &["retry-after", "retry-after-ms", "x-llm-proxy-error-code"]);
    let limited = proxy.chat_with(&with_key, &hello("m"));
    assert_eq!(limited.status, 429, "{limited:?}");
    assert_readable(&limited, PAGE, &["retry-after", "retry-after-ms", "x-ratelimit-remaining-requests"]);
    let messages = proxy.ask("POST", "/v1/messages", &with_key, hello("m").to_string().as_bytes());
    assert_eq!(messages.status, 429, "{messages:?}");
    assert_readable(&messages, PAGE, &["request-id", "anthropic-ratelimit-requests-reset"]);

    let no_key: Headers<'_> = &[("origin", PAGE)];
    for (method, path, status) in [
        ("POST", "/v1/chat/completions", 401),
        ("GET", "/v1/models", 401),
        ("GET", "/v1/nothing", 404),
        ("DELETE", "/v1/messages", 405),
        ("GET", "/admin/v1/providers", 401),
        ("GET", "/admin/v1/config/feed", 426),
    ] {
        let answer = proxy.ask(method, path, no_key, b"");
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert_readable(&answer, PAGE, &["x-request-id"]);
    }
    let answer = proxy.ask("GET", "/v1/models", &[("origin", OTHER)], b"");
    assert_eq!((answer.status, allowed(&answer)), (401, None));
    assert_eq!(answer.header("vary"), Some("Origin"));
}

#[test]
fn a_star_opens_everything_but_the_admin_api() {
    let proxy = TestProxy::before_with(&Upstream::json(ANSWER), &[("CORS_ORIGINS", "*,https://page.example")]);
    let bearer = proxy.bearer();
    let answer = proxy.chat_with(&[("authorization", &bearer), ("origin", OTHER)], &hello("m"));
    assert_readable(&answer, "*", &["x-llm-proxy-provider"]);
    assert_eq!(allowed(&preflight(&proxy, "/v1/chat/completions", OTHER)), Some("*"));
    let admin = format!("Bearer {ADMIN_KEY}");
    // The router takes an encoded letter for the letter.
    for path in ["/admin/v1/providers", "/%61dmin/v1/providers", "/admin/v%31/providers"] {
        let of_page = proxy.ask("GET", path, &[("authorization", &admin), ("origin", PAGE)], b"");
        assert_eq!((of_page.status, allowed(&of_page)), (200, Some(PAGE)), "{path}: {of_page:?}");
        let of_other = proxy.ask("GET", path, &[("authorization", &admin), ("origin", OTHER)], b"");
        assert_eq!((of_other.status, allowed(&of_other)), (200, None), "{path}: {of_other:?}");
        let preflight = preflight(&proxy, path, OTHER);
        assert!(preflight.status >= 400 && allowed(&preflight).is_none(), "{path}: {preflight:?}");
    }
}
