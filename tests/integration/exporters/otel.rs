//! The spans of requests, and where they stand among those of clients and providers.

use std::collections::BTreeMap;

use serde_json::json;

use super::collector::{Collector, attributes};
use super::shapes::Span;
use crate::support::{Answer, TestProxy, Upstream, eventually, hello, hello_stream};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";
const ANSWER: &str = r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"Hi!"},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":2,"total_tokens":13}}"#;

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

fn ask(proxy: &TestProxy, headers: &[(&str, &str)]) -> Answer {
    let bearer = proxy.bearer();
    let all: Vec<(&str, &str)> = [("authorization", bearer.as_str())].iter().chain(headers).copied().collect();
    proxy.chat_with(&all, &hello("m"))
}

fn before(collector: &Collector, upstream: &Upstream, more: &[(&str, &str)]) -> TestProxy {
    collector.before(more, |variables| TestProxy::before_with(upstream, variables))
}

fn told(span: &Span) -> BTreeMap<String, String> {
    attributes(&span.attributes)
}

#[test]
fn a_request_is_a_part_of_its_clients_trace_and_so_is_the_providers_answer() {
    let (collector, upstream) = (Collector::new(), Upstream::json(ANSWER));
    let proxy = before(&collector, &upstream, &[]);
    let answer = ask(&proxy, &[("traceparent", &parent("01")), ("tracestate", "a=1"), ("tracestate", "b=2")]);
    assert_eq!(answer.status, 200);
    let sent = upstream.request();
    proxy.stop();
    let [server, client] = <[Span; 2]>::try_from(collector.spans()).unwrap();
    assert_eq!((server.kind, server.name.as_str()), (2, "POST /v1/chat/completions"));
    assert_eq!((server.trace_id.as_str(), server.parent_span_id.as_str()), (TRACE, CALLER));
    assert_eq!((client.kind, client.name.as_str()), (3, "chat real"));
    assert_eq!((&client.trace_id, &client.parent_span_id), (&server.trace_id, &server.span_id));
    assert_eq!(sent.header("traceparent").unwrap(), format!("00-{TRACE}-{}-01", client.span_id));
    assert_eq!(sent.header("tracestate"), Some("a=1,b=2"));
    assert_eq!((server.trace_state.as_str(), client.trace_state.as_str()), ("a=1,b=2", "a=1,b=2"));
    let (ours, theirs) = (told(&server), told(&client));
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/v1/chat/completions"),
        ("http.response.status_code", "200"),
        ("gen_ai.request.model", "m"),
        ("llm_proxy.credential.name", "tester"),
        ("llm_proxy.outcome", "complete"),
    ] {
        assert_eq!(ours[name], value, "{name}");
    }
    assert_eq!(ours["llm_proxy.request.id"], answer.header("x-request-id").unwrap());
    let port = upstream.address().port().to_string();
    for (name, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "real"),
        ("gen_ai.response.model", "real"),
        ("gen_ai.usage.input_tokens", "11"),
        ("gen_ai.usage.output_tokens", "2"),
        ("server.address", "127.0.0.1"),
        ("server.port", &port),
        ("llm_proxy.provider.key", "main"),
    ] {
        assert_eq!(theirs[name], value, "{name}");
    }
    let time = |text: &str| text.parse::<u64>().unwrap();
    assert!(time(&server.start_time_unix_nano) <= time(&client.start_time_unix_nano));
}

#[test]
fn each_attempt_has_a_span_and_its_provider_is_told_that_one() {
    let (collector, broken, good) =
        (Collector::new(), Upstream::status(503, "", r#"{"error":{"message":"on fire"}}"#), Upstream::json(ANSWER));
    let mut proxy = collector.before(&[], TestProxy::with);
    let provider = |key: &str, base: String, weight: i32| {
        json!({"provider_key": key, "provider_type": "openai", "api_base": base, "api_key": "sk-hunter2", "weight": weight,
            "model_mapping": {"m": key}})
    };
    let first = proxy.provider_of(provider("broken", broken.base(), 1000));
    proxy.credential(json!({"name": "tester"}));
    // Alone it is asked for certain.
    assert_eq!(ask(&proxy, &[]).status, 503);
    proxy.provider_of(provider("good", good.base(), 1));
    let mut answered = Vec::new();
    eventually("the weighted choice begins with the broken one", || {
        let answer = ask(&proxy, &[]);
        assert_eq!(answer.status, 200, "{answer:?}");
        answered.push(answer.header("x-llm-proxy-attempts").unwrap().to_owned());
        answered.last().is_some_and(|attempts| attempts == "2")
    });
    proxy.configure("DELETE", &first, &serde_json::Value::Null);
    proxy.stop();
    let spans = collector.spans();
    let servers = spans.iter().filter(|span| span.kind == 2).count();
    assert_eq!(servers, 1 + answered.len());
    let of = |server: &Span| -> Vec<Span> {
        spans.iter().filter(|span| span.parent_span_id == server.span_id).cloned().collect()
    };
    let lone = &spans.iter().find(|span| span.kind == 2).unwrap();
    assert_eq!((lone.status.as_ref().unwrap().code, told(lone)["error.type"].as_str()), (2, "provider_5xx"));
    assert_eq!(lone.parent_span_id, "", "a request without a client's span begins a trace");
    let last = spans.iter().rfind(|span| span.kind == 2).unwrap();
    assert!(last.status.is_none() && told(last)["llm_proxy.attempts"] == "2", "{last:?}");
    let [failed, answered] = <[Span; 2]>::try_from(of(last)).unwrap();
    assert_eq!((failed.name.as_str(), answered.name.as_str()), ("chat broken", "chat good"));
    let (why, how) = (told(&failed), told(&answered));
    assert_eq!((why["error.type"].as_str(), why["http.response.status_code"].as_str()), ("503", "503"));
    assert_eq!(why["llm_proxy.attempt.outcome"], "5xx");
    assert_eq!((failed.status.unwrap().code, answered.status.is_none()), (2, true));
    assert!(!why.contains_key("gen_ai.usage.input_tokens") && how["gen_ai.usage.input_tokens"] == "11");
    let sent: Vec<String> = broken
        .all_waiting()
        .chain(good.all_waiting())
        .map(|request| request.header("traceparent").unwrap().to_owned())
        .collect();
    let clients: Vec<&Span> = spans.iter().filter(|span| span.kind == 3).collect();
    assert_eq!(sent.len(), clients.len());
    for client in clients {
        let parent = format!("00-{}-{}-03", client.trace_id, client.span_id);
        assert_eq!(sent.iter().filter(|sent| **sent == parent).count(), 1, "{parent} in {sent:?}");
    }
}

#[test]
fn a_client_that_does_not_trace_is_not_traced_but_its_trace_goes_on() {
    let (collector, upstream) = (Collector::new(), Upstream::json(ANSWER));
    let proxy = before(&collector, &upstream, &[]);
    ask(&proxy, &[("traceparent", &parent("00"))]);
    let sent = upstream.request();
    let passed_on = sent.header("traceparent").unwrap();
    assert!(passed_on.starts_with(&format!("00-{TRACE}-")) && passed_on.ends_with("-00"), "{passed_on}");
    assert!(!passed_on.contains(CALLER));
    proxy.stop();
    assert_eq!(collector.spans().len(), 0);
    // Unless the sampler does not ask clients.
    let proxy = before(&collector, &upstream, &[("OTEL_TRACES_SAMPLER", "always_on")]);
    ask(&proxy, &[("traceparent", &parent("00"))]);
    proxy.stop();
    assert_eq!(collector.spans().len(), 2);
}

#[test]
fn a_traceparent_that_is_none_begins_a_new_trace() {
    let (collector, upstream) = (Collector::new(), Upstream::json(ANSWER));
    let proxy = before(&collector, &upstream, &[]);
    ask(&proxy, &[("traceparent", "00-xyz"), ("tracestate", "a=1")]);
    ask(&proxy, &[("traceparent", &parent("01")), ("traceparent", &parent("01"))]);
    proxy.stop();
    for sent in upstream.all_waiting() {
        assert!(
            !sent.header("traceparent").unwrap().contains(TRACE) && sent.header("tracestate").is_none(),
            "{sent:?}"
        );
    }
    let spans = collector.spans();
    assert_eq!((spans.len(), spans.iter().filter(|span| span.parent_span_id.is_empty()).count()), (4, 2));
}

#[test]
fn without_a_collector_no_provider_is_told_of_a_trace() {
    let upstream = Upstream::json(ANSWER);
    let proxy = TestProxy::before(&upstream);
    ask(&proxy, &[("traceparent", &parent("01")), ("tracestate", "a=1")]);
    let names = upstream.request().header_names();
    assert!(!names.iter().any(|name| name.starts_with("trace")), "{names:?}");
}

#[test]
fn streams_that_end_early_are_told_as_they_ended() {
    let piece = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    let upstream = Upstream::new(move |_| {
        vec![crate::support::Act::stream_head(), crate::support::Act::chunk(piece), crate::support::Act::Hang]
    });
    let collector = Collector::new();
    let proxy = before(&collector, &upstream, &[]);
    let mut connection = proxy.begin_chat(&hello_stream("m"));
    connection.head();
    connection.chunks_until(|text| text.contains("Hi"));
    drop(connection);
    eventually("the client has left", || proxy.metric("llm_proxy_client_disconnects_total", &[]) > 0.5);
    proxy.stop();
    let [server, client] = <[Span; 2]>::try_from(collector.spans()).unwrap();
    assert_eq!(told(&server)["http.response.status_code"], "499");
    assert_eq!(told(&server)["error.type"], "client_cancelled");
    assert_eq!((told(&client)["error.type"].as_str(), client.status.is_none()), ("cancelled", true));
    assert_eq!(told(&client)["gen_ai.usage.output_tokens"], "1");
}
