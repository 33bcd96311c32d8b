//! The spans of requests as a collector gets them.

use serde_json::{Value, json};

use super::span::{count, encode};
use crate::actors::export::fixture::finished;
use crate::actors::finished::Finished;
use crate::telemetry::trace::TraceContext;

fn spans(finished: &Finished) -> Vec<Value> {
    let spans: Vec<Value> = encode(finished).iter().map(|span| serde_json::from_slice(span).unwrap()).collect();
    assert_eq!(spans.len(), count(finished));
    spans
}

/// The attributes of a span by name, numbers as their texts.
fn attributes(span: &Value) -> Value {
    let all = span["attributes"].as_array().unwrap();
    let pair = |attribute: &Value| {
        let (_, value) = attribute["value"].as_object().unwrap().iter().next().unwrap();
        (attribute["key"].as_str().unwrap().to_owned(), value.clone())
    };
    let named: serde_json::Map<String, Value> = all.iter().map(pair).collect();
    assert_eq!(named.len(), all.len(), "an attribute is there twice");
    Value::Object(named)
}

#[test]
fn a_request_is_a_server_span_with_a_client_span_for_each_attempt() {
    let finished = finished();
    let ours = finished.trace.clone().unwrap();
    let [server, failed, answered] = <[Value; 3]>::try_from(spans(&finished)).unwrap();
    let text = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let number = |key: &str, value: &str| json!({"key": key, "value": {"intValue": value}});
    assert_eq!(
        server,
        json!({
            "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": ours.span_id.to_string(),
            "parentSpanId": "b7ad6b7169203331", "traceState": "vendor=1", "flags": 0x301,
            "name": "POST /v1/chat/completions", "kind": 2,
            "startTimeUnixNano": "1772600767089000000", "endTimeUnixNano": "1772600768089000000",
            "attributes": [
                text("http.request.method", "POST"), text("http.route", "/v1/chat/completions"),
                text("url.path", "/v1/chat/completions"), text("url.scheme", "http"),
                number("http.response.status_code", "200"), text("user_agent.original", &"x".repeat(60)),
                text("gen_ai.operation.name", "chat"), text("gen_ai.request.model", "m"),
                text("llm_proxy.request.id", "r-1"), text("llm_proxy.credential.name", "ann"),
                text("llm_proxy.outcome", "complete"), number("llm_proxy.attempts", "2"),
                {"key": "llm_proxy.streaming", "value": {"boolValue": true}},
                number("llm_proxy.time_to_first_token_ms", "600"),
            ],
        })
    );
    assert_eq!(
        answered,
        json!({
            "traceId": "0af7651916cd43dd8448eb211c80319c",
            "spanId": finished.attempts[1].trace.as_ref().unwrap().span_id.to_string(),
            "parentSpanId": ours.span_id.to_string(), "traceState": "vendor=1", "flags": 0x101,
            "name": "chat real", "kind": 3,
            "startTimeUnixNano": "1772600767589000000", "endTimeUnixNano": "1772600767989000000",
            "attributes": [
                text("gen_ai.operation.name", "chat"), text("gen_ai.provider.name", "anthropic"),
                text("gen_ai.request.model", "real"), text("gen_ai.response.model", "real"),
                text("server.address", "far.example"), number("server.port", "443"),
                number("http.response.status_code", "200"), text("llm_proxy.provider.key", "far"),
                text("llm_proxy.attempt.outcome", "success"), number("gen_ai.usage.input_tokens", "11"),
                number("gen_ai.usage.output_tokens", "2"), number("gen_ai.usage.cache_read.input_tokens", "4"),
            ],
        })
    );
    let told = attributes(&failed);
    assert_eq!((&told["error.type"], &told["http.response.status_code"]), (&json!("503"), &json!("503")));
    assert_eq!((&told["gen_ai.usage.input_tokens"], &told["gen_ai.response.model"]), (&Value::Null, &Value::Null));
    assert_eq!(failed["status"], json!({"code": 2, "message": "it is on fire"}));
}

#[test]
fn only_what_the_server_or_a_provider_did_wrong_is_an_error() {
    for (status, outcome, category, is_error) in [
        (400, "failed", Some("client_error"), false),
        (499, "cancelled", Some("client_cancelled"), false),
        (503, "failed", Some("no_provider"), true),
        (200, "failed", Some("stream_error"), true),
        (200, "complete", None, false),
    ] {
        let mut ended = finished();
        (ended.row.status_code, ended.row.outcome) = (status, outcome.to_owned());
        ended.row.error_category = category.map(str::to_owned);
        ended.attempts[1].outcome = if outcome == "cancelled" { "cancelled" } else { "timeout" };
        ended.attempts[1].status = None;
        let [server, _, client] = <[Value; 3]>::try_from(spans(&ended)).unwrap();
        assert_eq!(server["status"]["code"] == 2, is_error, "{status} {outcome}");
        assert_eq!(attributes(&server)["error.type"], json!(category), "{status} {outcome}");
        assert_eq!(client["status"]["code"] == 2, outcome != "cancelled");
        assert_eq!(attributes(&client)["error.type"], ended.attempts[1].outcome);
    }
}

#[test]
fn a_request_without_a_caller_is_the_root_of_its_trace() {
    let mut alone = finished();
    alone.trace = Some(TraceContext::root(|_| true));
    alone.attempts.clear();
    let [server] = <[Value; 1]>::try_from(spans(&alone)).unwrap();
    assert_eq!((server.get("parentSpanId"), server.get("traceState")), (None, None));
    assert_eq!(server["flags"], 0x103);
    assert_eq!((server["traceId"].as_str().unwrap().len(), server["spanId"].as_str().unwrap().len()), (32, 16));
}
