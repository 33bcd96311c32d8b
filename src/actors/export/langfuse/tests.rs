//! The events of requests as Langfuse gets them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::event::{count, encode};
use crate::actors::export::fixture::finished;
use crate::actors::finished::{Captured, Finished};
use crate::chat::Operation;

/// The events, with names in place of their ids, which must be as many as there are names.
fn events(finished: &Finished) -> Vec<Value> {
    let events: Vec<Value> = encode(finished).iter().map(|event| serde_json::from_slice(event).unwrap()).collect();
    assert_eq!(events.len(), count(finished));
    let mut ids: Vec<String> = events.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    ids.extend(
        ["/body/id", "/body/traceId"]
            .map(|path| events.last().unwrap().pointer(path).unwrap().as_str().unwrap().to_owned()),
    );
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), events.len() + 2, "an id is there twice");
    assert!(ids.iter().all(|id| uuid::Uuid::try_parse(id).is_ok()));
    let trace = events[0]["body"]["id"].clone();
    let named = |mut event: Value| {
        for path in ["/id", "/body/id", "/body/traceId"] {
            if let Some(id) = event.pointer_mut(path) {
                *id = json!(if *id == trace { "trace" } else { "other" });
            }
        }
        event
    };
    events.into_iter().map(named).collect()
}

fn generation(finished: &Finished) -> Value {
    events(finished).pop().unwrap()["body"].take()
}

#[test]
fn a_request_is_a_trace_what_is_added_to_it_and_a_generation() {
    let (start, end) = ("2026-03-04T05:06:07.089Z", "2026-03-04T05:06:08.089Z");
    let metadata = json!({
        "request_id": "r-1", "credential_name": "ann", "endpoint": "/v1/chat/completions", "user_agent": "x".repeat(60),
        "x_forwarded_for": "192.0.2.7", "x_real_ip": null, "origin": null, "referer": null,
    });
    let mut routed = metadata.clone();
    routed["provider_key"] = json!("far");
    routed["provider_api_base"] = json!("https://far.example/v1");
    routed["model"] = json!("m");
    let agent = format!("user_agent:{}", "x".repeat(50));
    let tags = json!(["endpoint:/v1/chat/completions", "credential:ann", agent]);
    let all_tags = json!(["endpoint:/v1/chat/completions", "credential:ann", agent, "provider:far", "model:m"]);
    let trace = |timestamp: &str, metadata: &Value, tags: &Value| {
        json!({"id": "other", "timestamp": timestamp, "type": "trace-create", "body": {
            "id": "trace", "timestamp": start, "name": "llm-proxy-request", "userId": "ann",
            "metadata": metadata, "tags": tags}})
    };
    let generation = json!({"id": "other", "timestamp": end, "type": "generation-create", "body": {
        "id": "other", "traceId": "trace", "name": "chat-completion",
        "startTime": start, "endTime": end, "completionStartTime": "2026-03-04T05:06:07.689Z",
        "model": "m", "modelParameters": {"temperature": 0.2},
        "input": {"messages": [{"role": "user", "content": "Hello"}]}, "output": "Hi!",
        "usage": {"promptTokens": 11, "completionTokens": 2, "totalTokens": 13},
        "metadata": {"provider_key": "far", "provider_type": "anthropic", "provider_api_base": "https://far.example/v1",
            "mapped_model": "real", "is_streaming": true, "request_id": "r-1", "finish_reason": "stop", "attempts": 2,
            "estimated": false},
        "level": "DEFAULT"}});
    assert_eq!(events(&finished()), [trace(start, &metadata, &tags), trace(end, &routed, &all_tags), generation]);
}

#[test]
fn a_request_that_failed_says_why_and_has_cost_nothing() {
    let mut failed = finished();
    failed.attempts.clear();
    failed.captured.response = Bytes::from_static(br#"{"error":{"message":"no"}}"#);
    let row = &mut failed.row;
    (row.outcome, row.status_code, row.attempts) = ("failed".to_owned(), 503, 0);
    (row.provider_name, row.provider_type, row.model_mapped, row.ttft_ms) = (None, None, None, None);
    (row.input_tokens, row.output_tokens, row.total_tokens) = (None, None, None);
    row.error_message = Some("nobody is there".to_owned());
    assert_eq!(events(&failed).len(), 2);
    let told = generation(&failed);
    assert_eq!((&told["level"], &told["statusMessage"]), (&json!("ERROR"), &json!("nobody is there")));
    assert_eq!((&told["output"], &told["completionStartTime"]), (&Value::Null, &Value::Null));
    assert_eq!(told["usage"], json!({"promptTokens": 0, "completionTokens": 0, "totalTokens": 0}));
    assert_eq!(told["metadata"]["provider_key"], Value::Null);
}

#[test]
fn a_stream_that_broke_or_was_left_has_what_was_said_of_it() {
    let mut broken = finished();
    let text = b"data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    broken.captured.response = Bytes::from_static(text);
    broken.row.outcome = "failed".to_owned();
    broken.row.error_message = Some("the stream broke".to_owned());
    let told = generation(&broken);
    assert_eq!((&told["output"], &told["level"]), (&json!("Hi"), &json!("ERROR")));
    assert_eq!(told["metadata"]["finish_reason"], Value::Null);
    (broken.row.outcome, broken.row.status_code) = ("cancelled".to_owned(), 499);
    let told = generation(&broken);
    assert_eq!((&told["output"], &told["level"]), (&json!("Hi"), &json!("DEFAULT")));
    assert_eq!(told["statusMessage"], "client_cancelled");
    assert_eq!(told["usage"]["totalTokens"], 13);
}

#[test]
fn what_nobody_counted_is_not_told_as_nothing() {
    let mut uncounted = finished();
    (uncounted.row.input_tokens, uncounted.row.output_tokens) = (None, None);
    assert_eq!(generation(&uncounted)["usage"], Value::Null);
    uncounted.captured.operation = Operation::CountTokens;
    assert_eq!(generation(&uncounted)["usage"]["totalTokens"], 13);
}

#[test]
fn whatever_a_client_sends_its_events_are_json_within_bounds_and_hold_no_key() {
    let junk: [&[u8]; 6] =
        [b"", b"\xff\xfe", b"{", b"[[[[", b"data: \xf0\x9f", br#"{"messages":{"a":"\u0000"},"stop":{}}"#];
    for request in junk {
        for response in junk {
            let mut odd = finished();
            let (request, response) = (Bytes::from_static(request), Bytes::from_static(response));
            odd.captured = Captured { request, response, ..odd.captured };
            assert_eq!(events(&odd).len(), 3);
        }
    }
    let mut large = finished();
    let message = json!({"role": "user", "content": "é\"\n".repeat(1 << 20)});
    large.captured.request = Bytes::from(json!({"messages": vec![message; 5]}).to_string());
    let chunk = json!({"choices": [{"index": 0, "delta": {"content": "\u{1}".repeat(40_000)}}]});
    large.captured.response = Bytes::from(format!("data: {chunk}\n\n").repeat(2));
    let sizes: Vec<usize> = encode(&large).iter().map(Bytes::len).collect();
    assert!(sizes.iter().sum::<usize>() < 2 * 256 * 1024 + 4096, "{sizes:?}");
    assert!(!encode(&large).iter().any(|event| String::from_utf8_lossy(event).contains("hunter2")));
}
