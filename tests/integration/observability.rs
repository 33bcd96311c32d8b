//! What operators see: health, metrics, the request log.

use serde_json::{Value, json};

use crate::support::{LogRow, TestProxy, Upstream, eventually, hello, hello_stream, log_rows, mock};

#[test]
fn health_tells_what_is_configured_and_enabled() {
    let mut proxy = TestProxy::empty();
    assert_eq!(
        proxy.ask("GET", "/health", &[], b"").json(),
        json!({"status": "ok", "providers_count": 0, "credentials_count": 0})
    );
    proxy.provider("one", &mock(), json!({"mock": "mock"}));
    let off = proxy.provider("two", &mock(), json!({"mock": "mock"}));
    proxy.configure("PATCH", &format!("{off}/status"), &json!({"is_enabled": false}));
    proxy.credential(json!({"name": "a"}));
    proxy.credential(json!({"name": "b"}));
    proxy.credential(json!({"name": "c", "is_enabled": false}));
    assert_eq!(
        proxy.ask("GET", "/health", &[], b"").json(),
        json!({"status": "ok", "providers_count": 1, "credentials_count": 2})
    );
    assert_eq!(proxy.ask("GET", "/health/live", &[], b"").json(), json!({"status": "ok"}));
    let version = proxy.configure("GET", "/config/version", &Value::Null)["version"].clone();
    let ready = proxy.ask("GET", "/health/ready", &[], b"");
    assert_eq!((ready.status, ready.json()), (200, json!({"status": "ready", "version": version})));
}

#[test]
fn every_family_is_there_and_moves() {
    let proxy = TestProxy::before_mock();
    let version = proxy.metric("llm_proxy_config_version", &[]);
    assert_eq!(proxy.chat(&hello("mock")).status, 200);
    assert_eq!(proxy.chat(&hello_stream("mock")).status, 200);
    let labels = ["endpoint=\"/v1/chat/completions\"", "model=\"mock\"", "provider=\"mock\""];
    let caller = ["method=\"POST\"", "api_key_name=\"tester\"", "client=\"unknown\""];
    let of_request: Vec<&str> = labels.iter().chain(&caller).copied().collect();
    for (name, labels, want) in [
        ("llm_proxy_requests_total", &[of_request.as_slice(), &["status_code=\"200\""]].concat()[..], 2.0),
        ("llm_proxy_request_duration_seconds_count", &of_request, 2.0),
        ("llm_proxy_request_duration_seconds_bucket", &[of_request.as_slice(), &["le=\"300\""]].concat(), 2.0),
        ("llm_proxy_active_requests", &labels[..1], 0.0),
        ("llm_proxy_ttft_seconds_count", &["source=\"provider\"", "model=\"mock\"", "provider=\"mock\""], 1.0),
        ("llm_proxy_tokens_total", &["token_type=\"prompt\"", "api_key_name=\"tester\""], 2.0),
        ("llm_proxy_build_info", &["version=\"", "commit=\""], 1.0),
    ] {
        let sum = proxy.metric(name, labels);
        assert!((sum - want).abs() < 0.1, "{name}{labels:?} is {sum}, not {want}");
    }
    assert!(proxy.metric("llm_proxy_tokens_per_second_count", &["provider=\"mock\""]) > 0.5);
    assert!(version > 0.5);
    proxy.configure("PUT", "/providers/1", &json!({"weight": 5}));
    assert!(proxy.metric("llm_proxy_config_version", &[]) > version);
    let answer = proxy.ask("GET", "/metrics", &[], b"");
    assert!(answer.header("content-type").unwrap().starts_with("text/plain; version=0.0.4"), "{answer:?}");
}

#[test]
fn rejected_requests_are_counted_by_their_status() {
    let mut proxy = TestProxy::before_mock();
    proxy.chat_with(&[], &hello("mock"));
    proxy.chat(&hello("no-such-model"));
    proxy.ask("GET", "/nowhere", &[], b"");
    proxy.ask("GET", "/v1/chat/completions", &[], b"");
    proxy.get("/v1/models");
    proxy.chat(&hello("mock-status-503"));
    proxy.credential(json!({"name": "blocked", "rate_limit": 0}));
    proxy.chat(&hello("mock"));
    for (status, labels) in [
        ("401", ["endpoint=\"/v1/chat/completions\"", "provider=\"none\"", "api_key_name=\"unknown\""]),
        ("404", ["endpoint=\"/v1/chat/completions\"", "model=\"unknown\"", "api_key_name=\"tester\""]),
        ("404", ["endpoint=\"other\"", "method=\"GET\"", "api_key_name=\"unknown\""]),
        ("405", ["endpoint=\"/v1/chat/completions\"", "method=\"GET\"", "provider=\"none\""]),
        ("200", ["endpoint=\"/v1/models\"", "method=\"GET\"", "api_key_name=\"tester\""]),
        ("503", ["endpoint=\"/v1/chat/completions\"", "model=\"mock-*\"", "provider=\"mock\""]),
        ("429", ["endpoint=\"/v1/chat/completions\"", "api_key_name=\"blocked\"", "provider=\"none\""]),
    ] {
        let status = format!("status_code=\"{status}\"");
        let all = [&labels[..], &[status.as_str()]].concat();
        let count = proxy.metric("llm_proxy_requests_total", &all);
        assert!((count - 1.0).abs() < 0.1, "{all:?}: {count}");
    }
}

#[test]
fn a_client_cannot_make_up_labels() {
    let proxy = TestProxy::before_mock();
    let bearer = proxy.bearer();
    for number in 0..20 {
        let agent = format!("made-up/{number}");
        let headers = [("authorization", bearer.as_str()), ("user-agent", &agent)];
        proxy.chat_with(&headers, &hello(&format!("made-up-{number}")));
        proxy.chat_with(&headers, &hello(&format!("mock-made-up-{number}")));
        proxy.ask("GET", &format!("/made-up/{number}"), &headers, b"");
    }
    let metrics = proxy.ask("GET", "/metrics", &[], b"");
    assert!(!metrics.text().contains("made-up"), "{metrics:?}");
    let agent = [("authorization", bearer.as_str()), ("user-agent", "OpenAI/Python 3.1.0")];
    proxy.chat_with(&agent, &hello("mock"));
    assert!(proxy.metric("llm_proxy_requests_total", &["client=\"openai-python\""]) > 0.5);
}

#[test]
fn a_running_request_is_active() {
    let upstream = Upstream::new(|_| vec![crate::support::Act::Hang]);
    let proxy = TestProxy::before(&upstream);
    let connection = proxy.begin_chat(&hello("m"));
    upstream.request();
    let active = || proxy.metric("llm_proxy_active_requests", &["endpoint=\"/v1/chat/completions\""]);
    assert!((active() - 1.0).abs() < 0.1);
    drop(connection);
    eventually("the request is active no more", || active() < 0.5);
}

fn row<'r>(rows: &'r [LogRow], request_id: &str) -> &'r LogRow {
    rows.iter().find(|row| row.request_id == request_id).unwrap_or_else(|| panic!("no {request_id} in {rows:?}"))
}

#[test]
fn each_admitted_request_is_a_row() {
    let mut proxy = TestProxy::before_mock();
    let bearer = proxy.bearer();
    let ask = |id: &str, body: &Value| {
        let headers = [("authorization", bearer.as_str()), ("x-request-id", id), ("user-agent", "curl/8.0")];
        proxy.chat_with(&headers, body).header("x-upstream-request-id").map(str::to_owned)
    };
    let upstream_id = ask("whole", &hello("mock"));
    ask("stream", &hello_stream("mock-thinking"));
    ask("refused", &hello("mock-status-503"));
    ask("broken", &hello_stream("mock-cut"));
    ask("unmapped", &hello("nothing"));
    assert_eq!(proxy.chat_with(&[("x-request-id", "stranger")], &hello("mock")).status, 401);
    proxy.credential(json!({"name": "blocked", "rate_limit": 0}));
    assert_eq!(proxy.chat(&hello("mock")).status, 429);
    let folder = proxy.stop();
    let rows = log_rows(folder.path());
    assert_eq!(rows.len(), 5, "{rows:?}");

    let whole = row(&rows, "whole");
    assert_eq!((whole.status_code, whole.outcome.as_str(), whole.attempts), (200, "complete", 1));
    assert_eq!((whole.endpoint.as_str(), whole.credential_name.as_str()), ("/v1/chat/completions", "tester"));
    assert_eq!((whole.client.as_str(), whole.client_protocol.as_str()), ("curl", "openai"));
    assert_eq!((whole.model_requested.as_deref(), whole.model_mapped.as_deref()), (Some("mock"), Some("mock")));
    assert_eq!((whole.provider_name.as_deref(), whole.is_streaming), (Some("mock"), 0));
    assert_eq!((whole.input_tokens, whole.ttft_ms, whole.error_category.as_deref()), (Some(1), None, None));
    assert!(whole.output_tokens.is_some_and(|tokens| tokens > 5) && whole.total_duration_ms >= 0, "{whole:?}");
    assert!(upstream_id.is_some() && whole.upstream_request_id == upstream_id, "{whole:?}");

    let stream = row(&rows, "stream");
    assert_eq!((stream.status_code, stream.outcome.as_str(), stream.is_streaming), (200, "complete", 1));
    assert!(stream.ttft_ms.is_some() && stream.output_tokens.is_some_and(|tokens| tokens > 10), "{stream:?}");

    for (id, status, category, provider) in [
        ("refused", 503, "provider_5xx", Some("mock")),
        ("broken", 200, "stream_error", Some("mock")),
        ("unmapped", 404, "no_provider", None),
    ] {
        let row = row(&rows, id);
        assert_eq!((row.status_code, row.outcome.as_str()), (status, "failed"), "{row:?}");
        assert_eq!(
            (row.error_category.as_deref(), row.provider_name.as_deref()),
            (Some(category), provider),
            "{row:?}"
        );
    }
}

#[test]
fn the_request_log_can_be_switched_off() {
    let proxy = TestProxy::before_mock_with(&[("REQUEST_LOG_ENABLED", "false")]);
    assert_eq!(proxy.chat(&hello("mock")).status, 200);
    let folder = proxy.stop();
    assert!(log_rows(folder.path()).is_empty());
}
