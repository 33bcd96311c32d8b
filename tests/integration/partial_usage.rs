//! What a stream that ends early has cost.

use llm_proxy::server::Stop;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Act, Connection, LogRow, TestProxy, Upstream, eventually, hello, hello_stream, log_rows};

const CLIENTS: [&str; 3] = ["/v1/chat/completions", "/v1/messages", "/v1/responses"];
const PROVIDERS: [&str; 3] = ["openai", "anthropic", "response_api"];
const THOUGHT: &str = "The user wants a \"poem\".\n";
const WORDS: [&str; 4] = ["Roses are", " red,\nviolets ", "are blue, 紫罗兰 ", "and so on."];
/// What an Anthropic provider reports as it begins.
const REPORTED_INPUT: i64 = 25;
/// The tokens of `Hello`, all that is asked.
const COUNTED_INPUT: i64 = 1;

fn tokens(text: &str) -> i64 {
    let tokens = tiktoken_rs::o200k_base_singleton().encode_ordinary(text).len();
    i64::try_from(tokens).unwrap()
}

fn said() -> i64 {
    tokens(&format!("{THOUGHT}{}", WORDS.concat()))
}

fn event(kind: &str, mut data: Value) -> String {
    data["type"] = json!(kind);
    format!("event: {kind}\ndata: {data}\n\n")
}

fn chunk(delta: &Value) -> String {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": null});
    format!("data: {}\n\n", json!({"id": "c", "model": "real", "choices": [choice]}))
}

/// How a provider's stream begins, without any content.
fn opening(kind: &str) -> String {
    let usage = json!({"input_tokens": REPORTED_INPUT, "output_tokens": 1});
    let message =
        json!({"id": "m", "type": "message", "role": "assistant", "model": "real", "content": [], "usage": usage});
    let response = json!({"id": "r", "object": "response", "status": "in_progress", "model": "real", "output": []});
    match kind {
        "openai" => chunk(&json!({"role": "assistant", "content": ""})),
        "anthropic" => event("message_start", json!({"message": message})),
        _ => event("response.created", json!({"sequence_number": 0, "response": response})),
    }
}

/// A thought and some words of an answer.
fn content(kind: &str) -> String {
    let piece = |kind: &str, at: i32, name: &str, text: &str| {
        event("content_block_delta", json!({"index": at, "delta": {"type": kind, name: text}}))
    };
    let block = |at: i32, block: Value| event("content_block_start", json!({"index": at, "content_block": block}));
    let delta = |kind: &str, item: &str, text: &str| {
        event(kind, json!({"item_id": item, "output_index": 0, "content_index": 0, "summary_index": 0, "delta": text}))
    };
    let item = |at: i32, item: Value| event("response.output_item.added", json!({"output_index": at, "item": item}));
    let words = |word: fn(&str) -> Value| WORDS.map(|text| chunk(&word(text))).concat();
    match kind {
        "openai" => chunk(&json!({"reasoning_content": THOUGHT})) + &words(|text| json!({"content": text})),
        "anthropic" => [
            block(0, json!({"type": "thinking", "thinking": ""})),
            piece("thinking_delta", 0, "thinking", THOUGHT),
            event("content_block_stop", json!({"index": 0})),
            block(1, json!({"type": "text", "text": ""})),
            WORDS.map(|text| piece("text_delta", 1, "text", text)).concat(),
        ]
        .concat(),
        _ => [
            item(0, json!({"type": "reasoning", "id": "rs", "summary": []})),
            delta("response.reasoning_summary_text.delta", "rs", THOUGHT),
            event(
                "response.output_item.done",
                json!({"output_index": 0, "item": {"type": "reasoning", "id": "rs",
                "summary": [{"type": "summary_text", "text": THOUGHT}]}}),
            ),
            item(1, json!({"type": "message", "id": "ms", "role": "assistant", "content": []})),
            WORDS.map(|text| delta("response.output_text.delta", "ms", text)).concat(),
        ]
        .concat(),
    }
}

fn body(path: &str, model: &str) -> Value {
    match path {
        "/v1/messages" => json!({"model": model, "max_tokens": 50, "stream": true,
            "messages": [{"role": "user", "content": "Hello"}]}),
        "/v1/responses" => json!({"model": model, "input": "Hello", "stream": true}),
        _ => hello_stream(model),
    }
}

fn begin(proxy: &TestProxy, path: &str, model: &str) -> Connection {
    let mut connection = proxy.connect();
    let bearer = proxy.bearer();
    connection.send("POST", path, &[("authorization", &bearer)], body(path, model).to_string().as_bytes());
    connection
}

/// A proxy before one provider, whose model `m` streams what `acts` says.
fn before(kind: &str, upstream: &Upstream, variables: &[(&str, &str)]) -> TestProxy {
    let mut proxy = TestProxy::with(variables);
    proxy.provider_of(json!({"provider_key": kind, "provider_type": kind, "api_base": upstream.base(), "api_key": "k",
        "model_mapping": {"m": "real"}}));
    proxy.credential(json!({"name": "tester"}));
    proxy
}

/// A provider that says all of [`content`] and then ends as `last` says.
fn speaking(kind: &'static str, last: fn() -> Act) -> Upstream {
    Upstream::new(move |_| vec![Act::stream_head(), Act::chunk(opening(kind)), Act::chunk(content(kind)), last()])
}

fn input_of(kind: &str) -> i64 {
    if kind == "anthropic" { REPORTED_INPUT } else { COUNTED_INPUT }
}

fn counted(proxy: &TestProxy, kind: &str) -> i64 {
    let all = proxy.metric("llm_proxy_tokens_total", &[&format!("token_type=\"{kind}\""), "model=\"m\""]);
    format!("{all:.0}").parse().unwrap()
}

fn the_row(folder: &TempDir) -> LogRow {
    let mut rows = log_rows(folder.path());
    assert_eq!(rows.len(), 1, "{rows:?}");
    rows.remove(0)
}

#[track_caller]
fn assert_usage(row: &LogRow, input: i64, output: i64, what: &str) {
    assert_eq!((row.input_tokens, row.output_tokens), (Some(input), Some(output)), "{what}: {row:?}");
    assert_eq!((row.total_tokens, row.estimated), (Some(input + output), 1), "{what}: {row:?}");
}

#[test]
fn what_was_said_when_the_client_left_is_counted() {
    for kind in PROVIDERS {
        for path in CLIENTS {
            let upstream = speaking(kind, || Act::Hang);
            let proxy = before(kind, &upstream, &[]);
            let mut connection = begin(&proxy, path, "m");
            assert_eq!(connection.head().status, 200, "{path} {kind}");
            connection.chunks_until(|text| text.contains("and so on."));
            drop(connection);
            upstream.hangup();
            eventually("the tokens are counted", || counted(&proxy, "total") > 0);
            let input = input_of(kind);
            let metrics = ["prompt", "completion", "total"].map(|kind| counted(&proxy, kind));
            assert_eq!(metrics, [input, said(), input + said()], "{path} {kind}");
            assert!(proxy.metric("llm_proxy_active_requests", &[]) < 0.5);
            let row = the_row(&proxy.stop());
            assert_eq!((row.status_code, row.outcome.as_str()), (499, "cancelled"), "{path} {kind}: {row:?}");
            assert_usage(&row, input, said(), &format!("{path} {kind}"));
        }
    }
}

#[test]
fn what_was_said_when_the_provider_broke_is_counted() {
    for kind in PROVIDERS {
        for path in CLIENTS {
            let upstream = speaking(kind, || Act::Close);
            let proxy = before(kind, &upstream, &[]);
            let mut connection = begin(&proxy, path, "m");
            assert_eq!(connection.head().status, 200, "{path} {kind}");
            let text =
                connection.chunks_until(|text| text.contains("upstream_stream_error") || text.contains("api_error"));
            assert!(text.contains("and so on."), "{path} {kind}: {text}");
            eventually("the tokens are counted", || counted(&proxy, "total") > 0);
            assert_eq!(counted(&proxy, "total"), input_of(kind) + said(), "{path} {kind}");
            let row = the_row(&proxy.stop());
            let end = (row.status_code, row.outcome.as_str(), row.error_category.as_deref());
            assert_eq!(end, (200, "failed", Some("stream_error")), "{path} {kind}: {row:?}");
            assert_usage(&row, input_of(kind), said(), &format!("{path} {kind}"));
        }
    }
}

#[test]
fn what_was_said_when_the_process_ended_is_counted_before_its_end() {
    for kind in PROVIDERS {
        let upstream = speaking(kind, || Act::Hang);
        let mut proxy = before(kind, &upstream, &[("SHUTDOWN_DRAIN_SECS", "0.2")]);
        let mut connection = begin(&proxy, "/v1/chat/completions", "m");
        connection.head();
        connection.chunks_until(|text| text.contains("and so on."));
        proxy.begin_stop(Stop::Soon);
        connection.chunks_until(|text| text.contains("shutting_down"));
        let row = the_row(&proxy.stop());
        assert_eq!((row.status_code, row.outcome.as_str()), (200, "failed"), "{row:?}");
        assert_usage(&row, input_of(kind), said(), kind);
    }
}

#[test]
fn a_client_that_leaves_as_the_process_ends_is_still_counted() {
    let upstream = speaking("openai", || Act::Hang);
    let proxy = before("openai", &upstream, &[]);
    let mut connection = begin(&proxy, "/v1/chat/completions", "m");
    connection.head();
    connection.chunks_until(|text| text.contains("and so on."));
    drop(connection);
    upstream.hangup();
    let row = the_row(&proxy.stop());
    assert_eq!((row.status_code, row.outcome.as_str()), (499, "cancelled"), "{row:?}");
    assert_usage(&row, COUNTED_INPUT, said(), "at the end");
}

/// Leaves a provider that has sent `acts` and no content; again until the input is in the metric,
/// since nobody can see from outside whether the proxy has read a head already.
fn leave_before_content(kind: &'static str, acts: fn(&'static str) -> Vec<Act>) -> Vec<LogRow> {
    let upstream = Upstream::new(move |_| acts(kind));
    let proxy = before(kind, &upstream, &[("SSE_KEEPALIVE_SECS", "0.05")]);
    for _ in 0..20 {
        let mut connection = begin(&proxy, "/v1/messages", "m");
        connection.head();
        connection.chunks_until(|text| text.matches(": keepalive").count() > 3);
        drop(connection);
        upstream.hangup();
        eventually("the request is counted", || {
            proxy.metric("llm_proxy_requests_total", &["status_code=\"499\""]) > 0.5
        });
        if counted(&proxy, "prompt") > 0 {
            break;
        }
    }
    log_rows(proxy.stop().path())
}

#[test]
fn a_request_that_was_accepted_has_cost_its_input() {
    for (kind, output) in [("openai", 0), ("anthropic", 1), ("response_api", 0)] {
        let rows = leave_before_content(kind, |kind| vec![Act::stream_head(), Act::chunk(opening(kind)), Act::Hang]);
        let row = rows.last().unwrap();
        assert_eq!((row.status_code, row.outcome.as_str()), (499, "cancelled"), "{row:?}");
        assert_eq!((row.input_tokens, row.output_tokens), (Some(input_of(kind)), Some(output)), "{row:?}");
        assert_eq!(row.estimated, i32::from(kind != "anthropic"), "what the provider reported is not ours: {row:?}");
    }
}

#[test]
fn a_request_that_was_not_accepted_has_cost_nothing() {
    let upstream = Upstream::new(|_| vec![Act::Hang]);
    let proxy = before("openai", &upstream, &[]);
    let connection = begin(&proxy, "/v1/chat/completions", "m");
    upstream.request();
    drop(connection);
    upstream.hangup();
    let row = the_row(&proxy.stop());
    assert_eq!((row.status_code, row.input_tokens, row.output_tokens, row.estimated), (499, None, None, 0), "{row:?}");
}

#[test]
fn a_request_for_several_answers_is_counted_by_its_texts() {
    let upstream = Upstream::new(|_| {
        let choice = |index: i32, text: &str| json!({"index": index, "delta": {"content": text}});
        let both = |one: &str, two: &str| {
            Act::chunk(format!("data: {}\n\n", json!({"model": "real", "choices": [choice(0, one), choice(1, two)]})))
        };
        vec![Act::stream_head(), both("unbeliev", "extra"), both("able", "ordinary"), Act::Hang]
    });
    let proxy = before("openai", &upstream, &[]);
    let mut body = hello_stream("m");
    body["n"] = json!(2);
    let mut connection = proxy.begin_chat(&body);
    connection.head();
    connection.chunks_until(|text| text.contains("ordinary"));
    drop(connection);
    upstream.hangup();
    let row = the_row(&proxy.stop());
    assert_usage(&row, COUNTED_INPUT, tokens("unbelievable") + tokens("extraordinary"), "two answers");
}

#[test]
fn a_stream_that_ends_well_is_recorded_as_the_provider_counted() {
    let usage = json!({"model": "real", "choices": [], "usage": {"prompt_tokens": 90, "completion_tokens": 2}});
    let last = json!({"model": "real", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    let rest = format!("data: {last}\n\ndata: {usage}\n\ndata: [DONE]\n\n");
    let upstream = Upstream::stream(&[opening("openai"), content("openai"), rest]);
    for path in CLIENTS {
        let proxy = before("openai", &upstream, &[]);
        let bearer = proxy.bearer();
        let answer = proxy.ask("POST", path, &[("authorization", &bearer)], body(path, "m").to_string().as_bytes());
        assert_eq!(answer.status, 200, "{answer:?}");
        let row = the_row(&proxy.stop());
        assert_eq!((row.outcome.as_str(), row.estimated), ("complete", 0), "{path}: {row:?}");
        assert_eq!((row.input_tokens, row.output_tokens), (Some(90), Some(2)), "{path}: {row:?}");
    }
}

#[test]
fn the_time_of_a_request_does_not_include_counting_it() {
    let words = "word ".repeat(40_000);
    let upstream = Upstream::new(move |_| {
        vec![
            Act::stream_head(),
            Act::chunk(chunk(&json!({"content": words}))),
            Act::chunk(content("openai")),
            Act::Hang,
        ]
    });
    let proxy = before("openai", &upstream, &[]);
    let started = std::time::Instant::now();
    let mut connection = begin(&proxy, "/v1/chat/completions", "m");
    connection.head();
    connection.chunks_until(|text| text.contains("and so on."));
    drop(connection);
    upstream.hangup();
    let left = started.elapsed();
    // The request is over at once, whatever it takes to count it.
    eventually("the request is over", || proxy.metric("llm_proxy_client_disconnects_total", &[]) > 0.5);
    assert!(proxy.metric("llm_proxy_active_requests", &[]) < 0.5);
    let row = the_row(&proxy.stop());
    assert!(row.total_duration_ms <= i64::try_from(left.as_millis()).unwrap(), "{left:?}: {row:?}");
    assert!(row.output_tokens.is_some_and(|tokens| tokens > 40_000), "{row:?}");
}

#[test]
fn counts_that_no_request_can_have_stop_neither_the_log_nor_its_sums() {
    let absurd = format!("{{\"choices\":[],\"usage\":{{\"prompt_tokens\":{0},\"completion_tokens\":{0}}}}}", i64::MAX);
    let proxy = TestProxy::before(&Upstream::json(&absurd));
    proxy.configure(
        "PUT",
        "/providers/1",
        &json!({"model_mapping": {"m": {
        "mapped_model": "real", "input_cost_per_1k_tokens": 0.001, "output_cost_per_1k_tokens": 0.001}}}),
    );
    for _ in 0..20 {
        assert_eq!(proxy.chat(&hello("m")).status, 200);
    }
    let stats = || proxy.admin("GET", "/logs/stats", &Value::Null).json();
    eventually("all are counted", || stats()["total_requests"] == 20);
    assert_eq!(log_rows(proxy.stop().path()).len(), 20);
}
