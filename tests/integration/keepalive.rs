//! Streams that are silent for a while, before and after their first content.

use llm_proxy::server::Stop;
use serde_json::{Value, json};

use crate::support::{Act, Connection, LogRow, TestProxy, Upstream, eventually, log_rows, mock};

const COMMENT: &str = ": keepalive\n\n";
const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}\n\n";

/// Path, request of the model `m`, and what only a stream that ended well has.
fn protocols() -> [(&'static str, Value, &'static str); 3] {
    let messages = json!([{"role": "user", "content": "Hello"}]);
    [
        ("/v1/chat/completions", json!({"model": "m", "stream": true, "messages": messages}), "data: [DONE]"),
        (
            "/v1/messages",
            json!({"model": "m", "stream": true, "max_tokens": 9, "messages": messages}),
            "event: message_stop",
        ),
        ("/v1/responses", json!({"model": "m", "stream": true, "input": "Hello"}), "event: response.completed"),
    ]
}

/// A server whose first choice is `upstream`, of the given type.
fn before(upstream: &Upstream, kind: &str, variables: &[(&str, &str)]) -> TestProxy {
    let mut proxy = TestProxy::with(variables);
    proxy.provider_of(json!({
        "provider_key": "first", "provider_type": kind, "api_base": upstream.base(), "api_key": "sk-upstream",
        "model_mapping": {"m": "mock"}, "weight": 2_000_000_000,
    }));
    proxy.credential(json!({"name": "tester"}));
    proxy
}

fn begin(proxy: &TestProxy, path: &str, body: &Value) -> Connection {
    let mut connection = proxy.connect();
    connection.send("POST", path, &[("authorization", &proxy.bearer())], body.to_string().as_bytes());
    connection
}

fn rest(connection: &mut Connection) -> String {
    let mut text = String::new();
    while let Some(chunk) = connection.chunk() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    text
}

fn only_row(proxy: TestProxy) -> LogRow {
    let folder = proxy.stop();
    let mut rows = log_rows(folder.path());
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

#[test]
fn behind_comments_the_next_provider_is_tried() {
    for (path, body, end) in protocols() {
        let silent = Upstream::new(|_| vec![Act::Hang]);
        let variables = [("SSE_KEEPALIVE_SECS", "0.1"), ("TTFT_TIMEOUT_SECS", "0.5")];
        let proxy = before(&silent, "openai", &variables);
        proxy.provider("second", &mock(), json!({"m": "mock"}));
        let mut connection = begin(&proxy, path, &body);
        let head = connection.head();
        assert_eq!(head.status, 200, "{path}: {head:?}");
        assert_eq!(head.header("content-type"), Some("text/event-stream; charset=utf-8"), "{path}");
        let named = (head.header("x-llm-proxy-provider"), head.header("x-llm-proxy-attempts"));
        assert_eq!(named, (Some("first"), Some("1")), "{path}");
        let text = rest(&mut connection);
        assert!(text.starts_with(COMMENT), "{path}: {text}");
        assert_eq!(text.matches(end).count(), 1, "{path}: {text}");
        assert!(!text.contains("ttft_timeout"), "{path}: {text}");
        assert!(proxy.metric("llm_proxy_failovers_total", &["provider=\"first\"", "reason=\"ttft_timeout\""]) > 0.5);
        let row = only_row(proxy);
        let what = (row.status_code, row.outcome.as_str(), row.attempts, row.provider_name.as_deref());
        assert_eq!(what, (200, "complete", 2, Some("second")), "{path}: {row:?}");
    }
}

#[test]
fn a_failure_behind_comments_is_told_within_the_stream() {
    for (path, body, end) in protocols() {
        let silent = Upstream::new(|_| vec![Act::Hang]);
        let proxy = before(&silent, "openai", &[("SSE_KEEPALIVE_SECS", "0.1"), ("TTFT_TIMEOUT_SECS", "0.4")]);
        let mut connection = begin(&proxy, path, &body);
        assert_eq!(connection.head().status, 200, "{path}");
        let text = rest(&mut connection);
        let events = text.trim_start_matches(COMMENT);
        let error: Value = serde_json::from_str(events.trim().rsplit("data: ").next().unwrap()).unwrap();
        match path {
            "/v1/chat/completions" => assert_eq!(error["error"]["code"], "ttft_timeout", "{text}"),
            "/v1/messages" => assert_eq!(error["error"]["type"], "timeout_error", "{text}"),
            _ => assert_eq!((&error["code"], &error["sequence_number"]), (&json!("ttft_timeout"), &json!(0)), "{text}"),
        }
        assert_eq!(events.matches("data: ").count(), 1, "{path}: {text}");
        assert!(!text.contains(end), "{path}: {text}");
        let row = only_row(proxy);
        let what = (row.status_code, row.outcome.as_str(), row.error_category.as_deref());
        assert_eq!(what, (200, "failed", Some("ttft_timeout")), "{path}: {row:?}");
    }
}

#[test]
fn a_refusal_behind_comments_keeps_its_own_words() {
    let (open, gate) = Act::gate();
    let slow = Upstream::new(move |_| {
        let body = r#"{"error":{"message":"no such thing","type":"invalid_request_error","param":null,"code":"odd"}}"#;
        let head = format!("HTTP/1.1 400 Bad\r\ncontent-length: {}\r\n\r\n", body.len());
        vec![Act::Await(gate.clone()), Act::send(format!("{head}{body}"))]
    });
    let proxy = before(&slow, "openai", &[("SSE_KEEPALIVE_SECS", "0.05")]);
    let (path, body, _) = &protocols()[0];
    let mut connection = begin(&proxy, path, body);
    connection.head();
    connection.chunks_until(|text| text.starts_with(COMMENT));
    open.send(()).unwrap();
    let text = rest(&mut connection);
    let error: Value = serde_json::from_str(text.trim().rsplit("data: ").next().unwrap()).unwrap();
    assert_eq!(
        (&error["error"]["code"], &error["error"]["message"]),
        (&json!("odd"), &json!("no such thing")),
        "{text}"
    );
    assert!(!text.contains("[DONE]"), "{text}");
}

#[test]
fn a_running_stream_that_falls_silent_is_kept_alive_in_its_protocols_way() {
    let chat = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word\"}}]}\n\n";
    let finish =
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"mock\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"word\"}}\n\n";
    let stop = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":1}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    for (kind, begins, ends) in [("openai", chat, finish), ("anthropic", start, stop)] {
        for (path, body, end) in protocols() {
            let (open, gate) = Act::gate();
            let upstream = Upstream::new(move |_| {
                let last = [Act::chunk(ends), Act::send("0\r\n\r\n")];
                let first = [Act::stream_head(), Act::chunk(begins), Act::Await(gate.clone())];
                first.into_iter().chain(last).collect()
            });
            let proxy = before(&upstream, kind, &[("SSE_KEEPALIVE_SECS", "0.05")]);
            let mut connection = begin(&proxy, path, &body);
            assert_eq!(connection.head().status, 200);
            let sign = if path == "/v1/messages" { PING } else { COMMENT };
            let text = connection.chunks_until(|text| text.matches(sign).count() == 3);
            assert!(text.contains("word"), "{path} {kind}: {text}");
            let other = if path == "/v1/messages" { COMMENT } else { PING };
            assert!(!text.contains(other), "{path} {kind}: {text}");
            open.send(()).unwrap();
            let text = rest(&mut connection);
            assert_eq!(text.matches(end).count(), 1, "{path} {kind}: {text}");
        }
    }
}

#[test]
fn without_keepalive_the_head_waits_for_content() {
    let silent = Upstream::new(|_| vec![Act::Hang]);
    let proxy = before(&silent, "openai", &[("SSE_KEEPALIVE_SECS", "0"), ("TTFT_TIMEOUT_SECS", "0.3")]);
    let (path, body, _) = &protocols()[0];
    let mut connection = begin(&proxy, path, body);
    let answer = connection.answer("POST");
    assert_eq!((answer.status, answer.header("x-llm-proxy-error-code")), (504, Some("ttft_timeout")), "{answer:?}");
}

#[test]
fn the_cap_on_a_whole_stream_also_ends_the_wait_for_its_first_content() {
    let silent = Upstream::new(|_| vec![Act::Hang]);
    let proxy = before(&silent, "openai", &[("STREAM_TOTAL_TIMEOUT_SECS", "0.3")]);
    let (path, body, _) = &protocols()[0];
    let answer = begin(&proxy, path, body).answer("POST");
    assert_eq!(
        (answer.status, answer.header("x-llm-proxy-error-code")),
        (504, Some("stream_total_timeout")),
        "{answer:?}"
    );
}

#[test]
fn a_client_that_leaves_behind_comments_closes_the_attempt_under_way() {
    let silent = Upstream::new(|_| vec![Act::Hang]);
    let proxy = before(&silent, "openai", &[("SSE_KEEPALIVE_SECS", "0.05")]);
    let (path, body, _) = &protocols()[0];
    let mut connection = begin(&proxy, path, body);
    connection.head();
    connection.chunks_until(|text| text.starts_with(COMMENT));
    drop(connection);
    silent.hangup();
    let cancelled = ["provider=\"first\"", "outcome=\"cancelled\""];
    eventually("the attempt is counted", || proxy.metric("llm_proxy_upstream_attempts_total", &cancelled) > 0.5);
    assert!(proxy.metric("llm_proxy_streams_total", &cancelled) > 0.5);
    assert!(proxy.metric("llm_proxy_client_disconnects_total", &[]) > 0.5);
    let row = only_row(proxy);
    assert_eq!((row.status_code, row.outcome.as_str()), (499, "cancelled"), "{row:?}");
}

#[test]
fn a_stream_without_an_answer_yet_is_told_of_the_shutdown() {
    for (path, body, end) in protocols() {
        let silent = Upstream::new(|_| vec![Act::Hang]);
        let mut proxy = before(&silent, "openai", &[("SSE_KEEPALIVE_SECS", "0.05"), ("SHUTDOWN_DRAIN_SECS", "0.2")]);
        let mut connection = begin(&proxy, path, &body);
        connection.head();
        proxy.begin_stop(Stop::Soon);
        let text = rest(&mut connection);
        let told = if path == "/v1/messages" { "overloaded_error" } else { "shutting_down" };
        assert!(text.contains(told) && !text.contains(end), "{path}: {text}");
    }
}
