//! A thousand requests of every kind at once: for each exactly its trace and its generation.

use std::collections::BTreeMap;
use std::thread;

use serde_json::{Value, json};

use super::langfuse::{Langfuse, Trace};
use crate::support::{Connection, LogRow, TestProxy, eventually, hello, hello_stream, log_rows};

const REQUESTS: usize = 1000;
const CLIENTS: usize = 8;
const KINDS: usize = 10;

/// A request of each kind: its path and body.
fn request(kind: usize) -> (&'static str, Value) {
    let messages = |stream: bool| json!({"model": "mock", "max_tokens": 50, "stream": stream, "messages": [{"role": "user", "content": "Hello"}]});
    match kind {
        0 => ("/v1/chat/completions", hello("mock")),
        1 => ("/v1/chat/completions", hello_stream("mock")),
        2 => ("/v1/messages", messages(false)),
        3 => ("/v1/messages", messages(true)),
        4 => ("/v1/responses", json!({"model": "mock", "input": "Hello"})),
        5 => ("/v1/responses", json!({"model": "mock", "input": "Hello", "stream": true})),
        6 => ("/v1/completions", json!({"model": "mock", "prompt": "Hello"})),
        7 => ("/v1/chat/completions", hello("mock-status-500")),
        8 => ("/v1/chat/completions", hello("nobody-has-it")),
        _ => ("/v1/chat/completions", hello_stream("mock-stall")),
    }
}

/// Makes every request whose number leaves the rest `client`; the last kind is left in the middle.
fn run(proxy: &TestProxy, client: usize) {
    let (mut kept, bearer) = (proxy.connect(), proxy.bearer());
    for number in (client..REQUESTS).step_by(CLIENTS) {
        let (path, body) = request(number % KINDS);
        let id = format!("request-{number}");
        let headers = [("authorization", bearer.as_str()), ("x-request-id", &id)];
        if number % KINDS == KINDS - 1 {
            let mut left = Connection::open(proxy.address());
            left.send("POST", path, &headers, body.to_string().as_bytes());
            assert_eq!(left.head().status, 200);
            left.chunks_until(|text| text.contains("\"content\":\"Hello"));
        } else {
            let answer = kept.ask("POST", path, &headers, body.to_string().as_bytes());
            let expected = [200, 200, 200, 200, 200, 200, 200, 500, 404][number % KINDS];
            assert_eq!(answer.status, expected, "{number}: {answer:?}");
        }
    }
}

#[track_caller]
fn assert_told(number: usize, Trace { trace, was_updated, generation }: &Trace, row: &LogRow) {
    let kind = number % KINDS;
    let (path, body) = request(kind);
    assert_eq!(trace["metadata"]["endpoint"], path, "{number}");
    assert_eq!(*was_updated, kind != 8, "{number}");
    let (level, why) = match kind {
        7 | 8 => ("ERROR", row.error_message.as_deref()),
        9 => ("DEFAULT", Some("client_cancelled")),
        _ => ("DEFAULT", None),
    };
    assert_eq!((generation["level"].as_str(), generation["statusMessage"].as_str()), (Some(level), why), "{number}");
    let tokens = |count: Option<i64>| count.unwrap_or_default();
    let usage = json!({"promptTokens": tokens(row.input_tokens), "completionTokens": tokens(row.output_tokens),
        "totalTokens": tokens(row.total_tokens)});
    assert_eq!(generation["usage"], usage, "{number}");
    assert_eq!(tokens(row.total_tokens) > 0, !matches!(kind, 7 | 8), "{row:?}");
    assert_eq!((&generation["model"], &generation["metadata"]["attempts"]), (&body["model"], &json!(row.attempts)));
    assert_eq!(generation["metadata"]["is_streaming"], body["stream"] == true, "{number}");
    let asked = &generation["input"]["messages"][0];
    assert_eq!((&asked["role"], &asked["content"]), (&json!("user"), &json!("Hello")), "{number}");
    let said = generation["output"].as_str().unwrap_or_default();
    assert_eq!(said.starts_with("Hello"), !matches!(kind, 7 | 8), "{number}: {said}");
    assert_eq!(generation["metadata"]["finish_reason"] == "stop", kind < 7, "{number}: {generation}");
}

#[test]
fn of_a_thousand_mixed_requests_none_is_lost_and_none_doubled() {
    let langfuse = Langfuse::new();
    let proxy =
        langfuse.before(&[("ADAPTIVE_ROUTING_ENABLED", "false"), ("WORKERS", "2")], TestProxy::before_mock_with);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let proxy = &proxy;
            scope.spawn(move || run(proxy, client));
        }
    });
    let left = |proxy: &TestProxy| proxy.metric("llm_proxy_client_disconnects_total", &[]);
    eventually("all that left are known", || left(&proxy) > 99.5);
    let dropped = proxy.metric("llm_proxy_langfuse_dropped_total", &[]);
    assert!(dropped.abs() < 0.5, "{dropped} events were dropped");
    let folder = proxy.stop();
    let rows: BTreeMap<String, LogRow> =
        log_rows(folder.path()).into_iter().map(|row| (row.request_id.clone(), row)).collect();
    let traces = langfuse.traces();
    assert_eq!((rows.len(), traces.len()), (REQUESTS, REQUESTS));
    for number in 0..REQUESTS {
        let id = format!("request-{number}");
        assert_told(number, &traces[&id], &rows[&id]);
    }
}
