//! Each kind of request is one trace with one generation.

use serde_json::{Value, json};

use super::langfuse::{Langfuse, Trace};
use crate::support::{Act, TestProxy, Upstream, eventually, hello, hello_stream};

const ANSWER: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"real","choices":[{"index":0,"message":{"role":"assistant","content":"Hi!"},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":2,"total_tokens":13}}"#;
const PIECES: [&str; 4] = [
    "data: {\"id\":\"c\",\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"Hi\"}}]}\n\n",
    "data: {\"id\":\"c\",\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"!\"},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"id\":\"c\",\"model\":\"real\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":2,\"total_tokens\":13}}\n\n",
    "data: [DONE]\n\n",
];

/// What becomes of one request of each of `bodies`; the traces come in the order of the requests.
fn traces(upstream: &Upstream, bodies: &[(&str, Value)]) -> Vec<Trace> {
    let langfuse = Langfuse::new();
    let proxy = langfuse.before(&[], |variables| TestProxy::before_with(upstream, variables));
    let bearer = proxy.bearer();
    for (number, (path, body)) in bodies.iter().enumerate() {
        let id = format!("request-{number}");
        let headers = [("authorization", bearer.as_str()), ("x-request-id", &id), ("user-agent", "tests/1.0")];
        proxy.ask("POST", path, &headers, body.to_string().as_bytes());
    }
    let metric = proxy.metric("llm_proxy_langfuse_dropped_total", &[]);
    assert!(metric.abs() < 0.5, "{metric} events were dropped");
    proxy.stop();
    let traces = langfuse.traces();
    let ids: Vec<String> = (0..bodies.len()).map(|number| format!("request-{number}")).collect();
    assert_eq!(traces.keys().cloned().collect::<Vec<_>>(), ids);
    traces.into_values().collect()
}

fn messages(stream: bool) -> (&'static str, Value) {
    let body = json!({"model": "m", "max_tokens": 50, "stream": stream, "system": "Be brief.",
        "messages": [{"role": "user", "content": "Hello"}]});
    ("/v1/messages", body)
}

fn responses(stream: bool) -> (&'static str, Value) {
    ("/v1/responses", json!({"model": "m", "stream": stream, "instructions": "Be brief.", "input": "Hello"}))
}

/// What was asked and answered, where it was captured.
#[track_caller]
fn assert_content(generation: &Value, messages: &Value) {
    assert_eq!(generation["input"]["messages"], *messages, "{generation}");
    assert_eq!(generation["output"], "Hi!", "{generation}");
    assert_eq!(generation["metadata"]["finish_reason"], "stop", "{generation}");
}

fn assert_answered(upstream: &Upstream, stream: bool) {
    let chat = if stream { hello_stream("m") } else { hello("m") };
    let bodies = [("/v1/chat/completions", chat), messages(stream), responses(stream)];
    let traces = traces(upstream, &bodies);
    for ((path, body), Trace { trace, was_updated, generation }) in bodies.iter().zip(traces) {
        assert!(was_updated, "{path}");
        assert_eq!((&trace["name"], &trace["userId"]), (&json!("llm-proxy-request"), &json!("tester")));
        let tags = trace["tags"].as_array().unwrap();
        for tag in [&format!("endpoint:{path}"), "credential:tester", "provider:main", "model:m"] {
            assert!(tags.contains(&json!(tag)), "{tag} in {tags:?}");
        }
        assert_eq!(trace["metadata"]["provider_api_base"], upstream.base());
        assert_eq!((&generation["level"], &generation["statusMessage"]), (&json!("DEFAULT"), &Value::Null));
        assert_eq!(generation["usage"], json!({"promptTokens": 11, "completionTokens": 2, "totalTokens": 13}));
        assert_eq!((&generation["model"], &generation["name"]), (&json!("m"), &json!("chat-completion")));
        let metadata = &generation["metadata"];
        assert_eq!((&metadata["mapped_model"], &metadata["is_streaming"]), (&json!("real"), &json!(stream)));
        assert_eq!((&metadata["provider_type"], &metadata["attempts"]), (&json!("openai"), &json!(1)));
        assert_eq!(generation["completionStartTime"].is_string(), stream, "{generation}");
        let times = ["startTime", "completionStartTime", "endTime"].map(|name| generation[name].as_str());
        let times: Vec<&str> = times.into_iter().flatten().collect();
        assert!(times.is_sorted(), "{times:?}");
        let hello = json!({"role": "user", "content": "Hello"});
        let told = if body["messages"].is_array() && body["system"].is_null() {
            json!([hello])
        } else {
            json!([{"role": "system", "content": "Be brief."}, hello])
        };
        assert_content(&generation, &told);
    }
}

#[test]
fn whole_answers_of_the_same_and_of_another_protocol_are_told() {
    assert_answered(&Upstream::json(ANSWER), false);
}

#[test]
fn streams_of_the_same_and_of_another_protocol_are_told() {
    assert_answered(&Upstream::stream(&PIECES), true);
}

#[test]
fn requests_that_failed_are_errors_and_those_that_no_key_opened_are_not_told() {
    let upstream = Upstream::status(503, "", r#"{"error":{"message":"on fire","type":"x"}}"#);
    let bodies = [
        ("/v1/chat/completions", hello("m")),
        ("/v1/messages", messages(true).1),
        ("/v1/chat/completions", hello("nobody-has-it")),
        ("/v1/chat/completions", json!({"messages": []})),
    ];
    let traces = traces(&upstream, &bodies);
    for (Trace { generation, was_updated, .. }, (attempts, why)) in
        traces.iter().zip([(1, "on fire"), (1, "on fire"), (0, "nobody-has-it"), (0, "model")])
    {
        assert_eq!(generation["level"], "ERROR", "{generation}");
        assert!(generation["statusMessage"].as_str().unwrap().contains(why), "{generation}");
        assert_eq!((&generation["metadata"]["attempts"], *was_updated), (&json!(attempts), attempts > 0));
        assert_eq!(generation["usage"], json!({"promptTokens": 0, "completionTokens": 0, "totalTokens": 0}));
        assert_eq!(generation["output"], Value::Null);
    }
    let langfuse = Langfuse::new();
    let mut proxy = langfuse.before(&[], |variables| TestProxy::before_with(&Upstream::json(ANSWER), variables));
    assert_eq!(proxy.chat_with(&[("authorization", "Bearer wrong")], &hello("m")).status, 401);
    proxy.credential(json!({"name": "none", "rate_limit": 0}));
    assert_eq!(proxy.chat(&hello("m")).status, 429);
    proxy.stop();
    assert_eq!(langfuse.traces().len(), 0);
}

#[test]
fn a_stream_that_broke_is_an_error_with_what_was_said() {
    let upstream = Upstream::new(|_| vec![Act::stream_head(), Act::chunk(PIECES[0]), Act::Close]);
    let traces = traces(&upstream, &[("/v1/chat/completions", hello_stream("m"))]);
    let generation = &traces[0].generation;
    assert_eq!(generation["level"], "ERROR");
    assert!(generation["statusMessage"].as_str().is_some_and(|why| !why.is_empty()), "{generation}");
    assert_eq!(generation["usage"]["completionTokens"], 1, "{generation}");
    assert_eq!(generation["metadata"]["estimated"], true);
    assert_eq!(generation["output"], "Hi");
}

#[test]
fn a_client_that_left_is_no_error_and_what_it_cost_is_told() {
    let upstream = Upstream::new(|_| vec![Act::stream_head(), Act::chunk(PIECES[0]), Act::Hang]);
    let langfuse = Langfuse::new();
    let proxy = langfuse.before(&[], |variables| TestProxy::before_with(&upstream, variables));
    let mut connection = proxy.begin_chat(&hello_stream("m"));
    connection.head();
    connection.chunks_until(|text| text.contains("Hi"));
    drop(connection);
    eventually("the client is known to have left", || proxy.metric("llm_proxy_client_disconnects_total", &[]) > 0.5);
    proxy.stop();
    let traces: Vec<Trace> = langfuse.traces().into_values().collect();
    let [Trace { generation, .. }] = &traces[..] else { panic!("{traces:?}") };
    assert_eq!((&generation["level"], &generation["statusMessage"]), (&json!("DEFAULT"), &json!("client_cancelled")));
    assert_eq!(generation["usage"], json!({"promptTokens": 1, "completionTokens": 1, "totalTokens": 2}));
    assert_eq!(generation["output"], "Hi");
}
