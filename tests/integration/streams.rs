//! Streamed answers between Chat and Chat.

use serde_json::{Value, json};

use crate::support::{Act, TestProxy, Upstream, assert_error, hello_stream};

type Acts = fn() -> Vec<Act>;
/// What follows a chunk that holds only a role.
type ActsAfter = fn(String) -> Vec<Act>;

fn chunk(delta: &str) -> String {
    format!(
        "data: {{\"id\":\"c1\", \"object\":\"chat.completion.chunk\",\"model\" : \"real\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":null}}]}}\n\n"
    )
}

fn finish() -> String {
    "data: {\"id\":\"c1\",\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
        .to_owned()
}

const USAGE: &str = "data: {\"id\":\"c1\",\"model\":\"real\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7,\"total_tokens\":18}}\n\n";
const DONE: &str = "data: [DONE]\n\n";

fn whole() -> String {
    let text = [r#"{"role":"assistant","content":""}"#, r#"{"content":"He"}"#, r#"{"content":"llo 世界 🦀"}"#];
    let deltas: String = text.iter().map(|delta| chunk(delta)).collect();
    format!("{deltas}{}{USAGE}{DONE}", finish())
}

fn as_the_client_sees_it(stream: &str) -> String {
    stream.replace("\"model\" : \"real\"", "\"model\" : \"m\"").replace("\"model\":\"real\"", "\"model\":\"m\"")
}

fn with_usage() -> Value {
    let mut body = hello_stream("m");
    body["stream_options"] = json!({"include_usage": true});
    body
}

/// Everything up to the end of the connection, for streams that end with an error.
fn events(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[test]
fn a_stream_is_the_same_however_the_provider_cuts_it() {
    let stream = whole();
    let bytes = stream.as_bytes();
    let want = as_the_client_sees_it(&stream);
    for size in [1, 2, 3, 7, 13, 64, 1000, 100_000] {
        let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
        let proxy = TestProxy::before(&Upstream::stream(&pieces));
        let answer = proxy.chat(&with_usage());
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.text(), want, "cut every {size} bytes");
    }
}

#[test]
fn the_head_of_a_stream_is_what_the_contract_says() {
    let proxy = TestProxy::before(&Upstream::stream(&[whole()]));
    let answer = proxy.chat(&hello_stream("m"));
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert_eq!(answer.header("x-accel-buffering"), Some("no"));
    assert_eq!(answer.header("content-encoding"), None);
    assert_eq!(answer.header("x-llm-proxy-provider"), Some("main"));
    assert_eq!(answer.header("x-llm-proxy-attempts"), Some("1"));
}

#[test]
fn the_usage_chunk_is_hidden_unless_asked_for_and_counted_in_any_case() {
    let proxy = TestProxy::before(&Upstream::stream(&[whole()]));
    let hidden = proxy.chat(&hello_stream("m"));
    assert_eq!(hidden.text(), as_the_client_sees_it(&whole().replace(USAGE, "")));
    let tokens =
        |kind: &str| proxy.metric("llm_proxy_tokens_total", &[&format!("token_type=\"{kind}\""), "model=\"m\""]);
    assert_eq!([tokens("prompt"), tokens("completion"), tokens("total")].map(f64::round), [11.0, 7.0, 18.0]);
    let shown = proxy.chat(&with_usage());
    assert_eq!(shown.text(), as_the_client_sees_it(&whole()));
    assert_eq!([tokens("prompt"), tokens("completion"), tokens("total")].map(f64::round), [22.0, 14.0, 36.0]);
}

#[test]
fn each_event_is_sent_as_soon_as_it_has_come() {
    let (go, gate) = Act::gate();
    let upstream = Upstream::new(move |_| {
        vec![
            Act::stream_head(),
            Act::chunk(chunk(r#"{"content":"one"}"#)),
            Act::Await(gate.clone()),
            Act::chunk(chunk(r#"{"content":"two"}"#)),
            Act::Await(gate.clone()),
            Act::chunk(format!("{}{DONE}", finish())),
            Act::send("0\r\n\r\n"),
        ]
    });
    let proxy = TestProxy::before(&upstream);
    let mut connection = proxy.begin_chat(&hello_stream("m"));
    assert_eq!(connection.head().status, 200);
    assert_eq!(
        connection.chunks_until(|text| text.contains("one")),
        as_the_client_sees_it(&chunk(r#"{"content":"one"}"#))
    );
    go.send(()).unwrap();
    assert_eq!(
        connection.chunks_until(|text| text.contains("two")),
        as_the_client_sees_it(&chunk(r#"{"content":"two"}"#))
    );
    go.send(()).unwrap();
    assert!(connection.chunks_until(|text| text.contains("[DONE]")).ends_with(DONE));
    assert_eq!(connection.chunk(), None);
}

#[test]
fn a_stream_in_any_legal_form_of_the_event_format_is_understood() {
    let stream = format!(
        "\u{feff}: a comment\r\n\r\n{}event: message\ndata:{{\"model\":\"real\",\ndata: \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"b\"}}}}]}}\n\nid: 7\r{}{DONE}",
        chunk(r#"{"content":"a"}"#).replace('\n', "\r\n"),
        finish().replace('\n', "\r"),
    );
    for size in [1, 5, 10_000] {
        let pieces: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
        let proxy = TestProxy::before(&Upstream::stream(&pieces));
        let answer = proxy.chat(&hello_stream("m"));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.text().matches("\"m\"").count(), 3, "{answer:?}");
        assert!(!answer.text().contains("real") && answer.text().ends_with(DONE), "{answer:?}");
    }
}

#[test]
fn a_done_that_the_provider_forgot_is_added() {
    let proxy = TestProxy::before(&Upstream::stream(&[chunk(r#"{"content":"a"}"#), finish()]));
    let answer = proxy.chat(&hello_stream("m"));
    assert!(answer.text().ends_with(DONE), "{answer:?}");
    assert_eq!(answer.text().matches("[DONE]").count(), 1);
}

#[test]
fn a_stream_that_breaks_ends_with_an_error_and_without_done() {
    let breaks: [(&str, Acts); 3] = [
        ("the connection closes", || vec![Act::Close]),
        ("the body ends without a finish", || vec![Act::send("0\r\n\r\n")]),
        ("an event cannot be read", || vec![Act::chunk("data: {broken\n\n"), Act::Hang]),
    ];
    for (how, end) in breaks {
        let upstream = Upstream::new(move |_| {
            let mut acts = vec![Act::stream_head(), Act::chunk(chunk(r#"{"content":"partial"}"#))];
            acts.extend(end());
            acts
        });
        let proxy = TestProxy::before(&upstream);
        let answer = proxy.chat(&hello_stream("m"));
        assert_eq!(answer.status, 200, "{how}: {answer:?}");
        assert!(answer.text().contains("partial") && !answer.text().contains(DONE), "{how}: {answer:?}");
        let last = answer.events().pop().unwrap();
        assert_eq!(last["error"]["code"], "upstream_stream_error", "{how}: {last}");
        assert_eq!((&last["error"]["type"], &last["error"]["param"]), (&json!("server_error"), &json!(null)), "{how}");
        assert!(proxy.metric("llm_proxy_requests_total", &["endpoint=\"/v1/chat/completions\""]) > 0.5);
    }
}

#[test]
fn a_stream_that_breaks_before_its_first_content_is_an_http_error() {
    let role = r#"{"role":"assistant","content":""}"#;
    let starts: [(&str, ActsAfter); 5] = [
        ("nothing came", |_| vec![Act::Close]),
        ("only a role came", |role| vec![Act::chunk(role), Act::Close]),
        ("the body is empty", |_| vec![Act::send("0\r\n\r\n")]),
        ("only a role came in a whole body", |role| vec![Act::chunk(role), Act::send("0\r\n\r\n")]),
        ("only [DONE] came", |_| vec![Act::chunk(DONE), Act::send("0\r\n\r\n")]),
    ];
    for (how, acts) in starts {
        let upstream = Upstream::new(move |_| {
            let mut all = vec![Act::stream_head()];
            all.extend(acts(chunk(role)));
            all
        });
        let proxy = TestProxy::before(&upstream);
        let answer = proxy.chat(&hello_stream("m"));
        assert_error(&answer, 502, "upstream_stream_error");
        assert_eq!(answer.header("x-llm-proxy-provider"), Some("main"), "{how}");
    }
}

#[test]
fn an_error_event_of_the_provider_is_forwarded_as_it_came() {
    let error = "data: {\"error\":{\"message\":\"too many\",\"type\":\"rate_limit_error\",\"param\":null,\"code\":\"slow_down\"}}\n\n";
    let proxy =
        TestProxy::before(&Upstream::stream(&[chunk(r#"{"content":"a"}"#).as_str(), error, finish().as_str(), DONE]));
    let answer = proxy.chat(&hello_stream("m"));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), format!("{}{error}", as_the_client_sees_it(&chunk(r#"{"content":"a"}"#))));
}

#[test]
fn an_error_event_before_any_content_is_an_http_error_with_its_own_code() {
    for (kind, status) in [("rate_limit_error", 429), ("server_error", 502), ("odd_error", 502)] {
        let error = format!(
            "data: {{\"error\":{{\"message\":\"no\",\"type\":\"{kind}\",\"param\":null,\"code\":\"own_code\"}}}}\n\n"
        );
        let proxy = TestProxy::before(&Upstream::stream(&[chunk(r#"{"role":"assistant"}"#), error]));
        let answer = proxy.chat(&hello_stream("m"));
        assert_eq!(answer.status, status, "{kind}: {answer:?}");
        assert_eq!(answer.json()["error"]["code"], "own_code", "{answer:?}");
        assert_eq!(answer.json()["error"]["message"], "no", "{answer:?}");
    }
}

#[test]
fn secrets_in_an_error_event_are_masked_in_each_of_its_members() {
    let error = "data: {\"error\":{\"message\":\"bad key sk-secret-of-main\",\"type\":\"server_error\",\"param\":\"Bearer sk-secret-of-main\",\"code\":\"sk-secret-of-main\"}}\n\n";
    let proxy = TestProxy::before(&Upstream::stream(&[chunk(r#"{"content":"a"}"#).as_str(), error]));
    let begun = proxy.chat(&hello_stream("m"));
    let proxy = TestProxy::before(&Upstream::stream(&[error]));
    let refused = proxy.chat(&hello_stream("m"));
    for answer in [begun, refused] {
        assert!(answer.text().contains("bad key ***"), "{answer:?}");
        assert!(answer.text().contains("\"Bearer ***\""), "{answer:?}");
        // Headers are looked at, too.
        assert!(!format!("{answer:?}").contains("sk-secret"), "{answer:?}");
    }
}

#[test]
fn a_silent_stream_ends_in_time() {
    let upstream = Upstream::new(|_| vec![Act::stream_head(), Act::chunk(chunk(r#"{"content":"a"}"#)), Act::Hang]);
    for (variable, code) in
        [("STREAM_IDLE_TIMEOUT_SECS", "stream_idle_timeout"), ("STREAM_TOTAL_TIMEOUT_SECS", "stream_total_timeout")]
    {
        let proxy = TestProxy::before_with(&upstream, &[(variable, "0.2")]);
        let answer = proxy.chat(&hello_stream("m"));
        let last = events(answer.text()).pop().unwrap();
        assert_eq!(
            (&last["error"]["code"], &last["error"]["type"]),
            (&json!(code), &json!("timeout_error")),
            "{answer:?}"
        );
        assert!(!answer.text().contains(DONE));
        upstream.hangup();
    }
}

#[test]
fn the_time_of_a_stream_is_that_of_all_its_attempts() {
    let silent = || Upstream::new(|_| vec![Act::Hang]);
    let upstreams = [silent(), silent(), silent()];
    let [first, second, third] = &upstreams;
    let proxy = TestProxy::before_with(first, &[("STREAM_TOTAL_TIMEOUT_SECS", "0.3")]);
    proxy.provider("second", &second.base(), json!({"m": "real"}));
    proxy.provider("third", &third.base(), json!({"m": "real"}));
    assert_error(&proxy.chat(&hello_stream("m")), 504, "stream_total_timeout");
    assert_eq!(upstreams.iter().map(Upstream::waiting).sum::<usize>(), 1);
}

#[test]
fn a_late_first_content_is_a_timeout() {
    let upstream = Upstream::new(|_| vec![Act::stream_head(), Act::chunk(chunk(r#"{"role":"assistant"}"#)), Act::Hang]);
    for variable in ["TTFT_TIMEOUT_SECS", "REQUEST_TIMEOUT_SECS"] {
        let proxy = TestProxy::before_with(&upstream, &[(variable, "0.2")]);
        let answer = proxy.chat(&hello_stream("m"));
        assert_error(&answer, 504, "ttft_timeout");
        assert_eq!(answer.json()["error"]["type"], "timeout_error");
        upstream.hangup();
    }
}

#[test]
fn several_choices_and_tool_calls_pass_through() {
    let proxy = TestProxy::before_mock();
    let mut body = hello_stream("mock");
    body["n"] = json!(3);
    let answer = proxy.chat(&body);
    let ends = answer
        .events()
        .iter()
        .filter(|event| event.pointer("/choices/0/finish_reason").is_some_and(Value::is_string))
        .count();
    assert_eq!(ends, 3);
    let mut body = hello_stream("mock-tools");
    let tool = |name: &str| json!({"type": "function", "function": {"name": name, "parameters": {"type": "object"}}});
    body["tools"] = json!([tool("first"), tool("second")]);
    let answer = proxy.chat(&body);
    assert!(answer.text().contains("first") && answer.text().contains("second") && answer.text().ends_with(DONE));
    assert_eq!(answer.events().last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
}
