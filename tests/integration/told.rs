//! What is told of single requests: a line in the process log, rows of the error log, and times
//! in the answer's head.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::{
    ADMIN_KEY, Act, Answer, Connection, Headers, Process, TestProxy, Upstream, eventually, hello, hello_stream, mock,
};

const PROVIDER_KEY: &str = "sk-upstream-0123456789abcdef";
const CLIENT_KEY: &str = "sk-client-0123456789abcdef";

// === The line ===

/// What a server in a process logs of a whole answer, a stream and two refusals, in this format.
fn lines(format: &str) -> Vec<String> {
    let (folder, failing) = (tempdir().unwrap(), echoing());
    let process = Process::start(
        &folder,
        &["serve"],
        &[("ADMIN_KEY", ADMIN_KEY), ("HOST", "127.0.0.1"), ("PORT", "0"), ("LOG_FORMAT", format), ("NO_COLOR", "1")],
    );
    let line = process.wait_for("listening");
    let at = line.find("127.0.0.1:").unwrap();
    let address: String = line[at..].chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect();
    let mut connection = Connection::open(address.parse::<SocketAddr>().unwrap());
    let admin = format!("Bearer {ADMIN_KEY}");
    let mut make = |path: &str, body: Value| {
        let answer = connection.ask("POST", path, &[("authorization", &admin)], body.to_string().as_bytes());
        assert_eq!(answer.status, 201, "{answer:?}");
    };
    make("/admin/v1/providers", provider("failing", &failing.base(), json!({"m": "real", "dead": "real"}), 1000));
    make("/admin/v1/providers", provider("well", &mock(), json!({"m": "mock"}), 1));
    make("/admin/v1/credentials", json!({"name": "tester", "key": CLIENT_KEY}));
    let client = format!("Bearer {CLIENT_KEY}");
    for (id, key, body) in [
        ("whole", &*client, hello("m")),
        ("stream", &client, hello_stream("m")),
        ("dead", &client, hello("dead")),
        ("stranger", "Bearer sk-stranger-0123456789", hello("m")),
    ] {
        let headers: Headers<'_> = &[("authorization", key), ("x-request-id", id)];
        connection.ask("POST", "/v1/chat/completions", headers, body.to_string().as_bytes());
    }
    drop(connection);
    process.signal("INT");
    let (status, log) = process.wait();
    assert!(status.success(), "{log}");
    for secret in [PROVIDER_KEY, CLIENT_KEY, ADMIN_KEY, "sk-stranger-0123456789"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    log.lines().map(str::to_owned).collect()
}

/// A provider that fails and repeats the key that it was sent.
fn echoing() -> Upstream {
    Upstream::new(|request| {
        let key = request.header("authorization").unwrap_or_default();
        let body = json!({"error": {"message": format!("broken for {key}"), "code": "broken"}}).to_string();
        let head = "HTTP/1.1 500 Broken\r\ncontent-type: application/json";
        vec![Act::send(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))]
    })
}

fn provider(key: &str, base: &str, mapping: Value, weight: u32) -> Value {
    json!({"provider_key": key, "provider_type": "openai", "api_base": base, "api_key": PROVIDER_KEY,
        "model_mapping": mapping, "weight": weight})
}

#[test]
fn each_request_is_a_line_of_json() {
    let lines: Vec<Value> = lines("json").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let all: Vec<&Value> = lines.iter().filter(|line| line["message"] == "request").collect();
    let line = |id: &str| {
        let mut found = all.iter().filter(|line| line["request_id"] == id);
        let line = *found.next().unwrap_or_else(|| panic!("no line of {id}: {lines:#?}"));
        assert!(found.next().is_none(), "{id} has two lines: {lines:#?}");
        line
    };
    assert_eq!(all.len(), 4, "{all:#?}");
    for (id, streamed) in [("whole", false), ("stream", true)] {
        let line = line(id);
        assert_eq!((&line["level"], &line["endpoint"]), (&json!("info"), &json!("/v1/chat/completions")), "{line}");
        let who = [&line["credential"], &line["model"], &line["provider"], &line["outcome"]];
        assert_eq!(who, ["tester", "m", "well", "complete"], "{line}");
        assert_eq!((&line["status"], &line["attempts"], &line["input_tokens"]), (&json!(200), &json!(2), &json!(1)));
        assert!(line["output_tokens"].as_u64().unwrap() > 1 && line["duration_ms"].is_u64(), "{line}");
        assert_eq!(line["ttft_ms"].is_u64(), streamed, "{line}");
    }
    let dead = line("dead");
    assert_eq!([&dead["provider"], &dead["outcome"]], ["failing", "failed"], "{dead}");
    assert!(dead["status"].as_u64().unwrap() >= 500 && dead["input_tokens"].is_null(), "{dead}");
    let stranger = line("stranger");
    assert_eq!([&stranger["credential"], &stranger["outcome"]], ["unknown", "failed"], "{stranger}");
    assert_eq!((&stranger["status"], &stranger["attempts"]), (&json!(401), &json!(0)), "{stranger}");
    assert!(stranger["provider"].is_null() && stranger["model"].is_null(), "{stranger}");
}

#[test]
fn each_request_is_a_line_of_text() {
    let lines = lines("text");
    let line = |id: &str| {
        let part = format!("request_id={id} ");
        let found: Vec<&String> = lines.iter().filter(|line| line.contains(&part) && line.contains(" INFO")).collect();
        assert_eq!(found.len(), 1, "{id}: {lines:#?}");
        found[0].clone()
    };
    let whole = line("whole");
    for part in ["credential=tester", "model=m", "provider=well", "outcome=complete", "status=200", "attempts=2"] {
        assert!(whole.split(' ').any(|word| word == part), "no {part} in {whole}");
    }
    for name in ["duration_ms=", "input_tokens=", "output_tokens="] {
        assert!(whole.contains(name) && !whole.contains("ttft_ms"), "no {name} in {whole}");
    }
    assert!(line("stream").contains("ttft_ms="), "{lines:#?}");
    assert!(line("stranger").contains("status=401"), "{lines:#?}");
}

// === The error log ===

/// A server before a provider that fails and one that is well, with the error log's rows.
fn before_failing(upstream: &Upstream, variables: &[(&str, &str)]) -> TestProxy {
    let mut proxy = TestProxy::with(variables);
    proxy.provider_of(provider("failing", &upstream.base(), json!({"m": "real", "dead": "real"}), 1000));
    proxy.provider_of(provider("well", &mock(), json!({"m": "mock", "cut": "mock-cut"}), 1));
    proxy.credential(json!({"name": "tester"}));
    proxy
}

fn ask(proxy: &TestProxy, id: &str, body: &Value) -> Answer {
    let bearer = proxy.bearer();
    proxy.chat_with(&[("authorization", &bearer), ("x-request-id", id), ("cookie", "session=hunter2")], body)
}

/// The rows once there are `count`, by request, each with its details.
fn rows(proxy: &TestProxy, count: usize) -> BTreeMap<String, Value> {
    let list = || proxy.configure("GET", "/error-logs", &Value::Null)["items"].as_array().unwrap().clone();
    eventually("the rows are stored", || list().len() == count);
    let details = list().into_iter().map(|row| {
        let row = proxy.configure("GET", &format!("/error-logs/{}", row["id"]), &Value::Null);
        (row["request_id"].as_str().unwrap().to_owned(), row)
    });
    details.collect()
}

#[test]
fn each_failed_attempt_is_a_row_of_the_error_log() {
    let upstream = echoing();
    let proxy = before_failing(&upstream, &[]);
    assert_eq!(ask(&proxy, "another-answered", &hello("m")).status, 200);
    assert_eq!(ask(&proxy, "nobody-answered", &hello("dead")).status, 500);
    assert_eq!(ask(&proxy, "broke", &hello_stream("cut")).status, 200);
    // These are the client's fault, and no attempt's.
    assert_eq!(ask(&proxy, "unmapped", &hello("nothing")).status, 404);
    assert_eq!(ask(&proxy, "unreadable", &json!([])).status, 400);
    assert_eq!(proxy.chat_with(&[], &hello("m")).status, 401);
    let rows = rows(&proxy, 3);
    for (id, model) in [("another-answered", "m"), ("nobody-answered", "dead")] {
        let row = rows.get(id).unwrap_or_else(|| panic!("no {id}: {rows:#?}"));
        assert_eq!([&row["attempt"], &row["response_status_code"]], [1, 500], "{row}");
        for (name, value) in [
            ("error_category", "provider_5xx"),
            ("provider_name", "failing"),
            ("credential_name", "tester"),
            ("endpoint", "/v1/chat/completions"),
            ("client_protocol", "openai"),
            ("provider_protocol", "openai"),
            ("model_requested", model),
            ("mapped_model", "real"),
        ] {
            assert_eq!(row[name], value, "{name}: {row}");
        }
        let message = row["error_message"].as_str().unwrap();
        assert!(message.contains("broken for") && !row.to_string().contains(PROVIDER_KEY), "{row}");
        assert_eq!(row["provider_api_base"].as_str(), Some(&*upstream.base()), "{row}");
        // Nobody asked for these.
        for body in ["request_headers", "request_body", "response_body", "provider_request_body"] {
            assert!(row[body].is_null(), "{row}");
        }
    }
    let broke = &rows["broke"];
    assert_eq!((&broke["error_category"], &broke["is_streaming"]), (&json!("stream_error"), &json!(true)), "{broke}");
    assert_eq!(broke["provider_name"], "well", "{broke}");
}

#[test]
fn bodies_are_stored_when_asked_for_without_keys_and_cookies() {
    let upstream = echoing();
    let most = ("REQUEST_LOG_BODY_MAX_BYTES", "60");
    let proxy = before_failing(&upstream, &[("REQUEST_LOG_BODY_ENABLED", "true"), most]);
    let mut body = hello("dead");
    body["user"] = json!("x".repeat(100));
    assert_eq!(ask(&proxy, "dead", &body).status, 500);
    let rows = rows(&proxy, 1);
    let row = &rows["dead"];
    let text = |name: &str| row[name].as_str().unwrap_or_else(|| panic!("no {name}: {row}"));
    assert_eq!(text("request_body"), &body.to_string()[..60]);
    assert!(text("provider_request_body").contains("\"real\""), "{row}");
    assert!(text("response_body").contains("broken for"), "{row}");
    let headers: Value = serde_json::from_str(text("request_headers")).unwrap();
    assert_eq!(headers["x-request-id"], "dead", "{headers}");
    let all = row.to_string();
    for secret in [PROVIDER_KEY, proxy.key(), "hunter2"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

#[test]
fn the_error_log_can_be_switched_off() {
    let upstream = echoing();
    let proxy = before_failing(&upstream, &[("ERROR_LOG_ENABLED", "false")]);
    assert_eq!(ask(&proxy, "dead", &hello("dead")).status, 500);
    // Rows of both logs go the same way: this one would have come after the other.
    let requests = || proxy.configure("GET", "/logs/stats", &Value::Null)["total_requests"].clone();
    eventually("the request is stored", || requests() == 1);
    rows(&proxy, 0);
    let metric = proxy.metric("llm_proxy_upstream_attempts_total", &["provider=\"failing\""]);
    assert!(metric > 0.5, "an attempt has failed");
}

// === Times ===

/// The entries of `Server-Timing`: of each its name and its milliseconds, in their order.
fn times(answer: &Answer) -> Vec<(String, f64)> {
    let header = answer.header("server-timing").unwrap_or_else(|| panic!("no times: {answer:?}"));
    let entries = header.split(", ").map(|entry| {
        let (name, _) = entry.split_once(';').unwrap();
        let duration = entry.split(';').find_map(|part| part.strip_prefix("dur=")).unwrap();
        (name.to_owned(), duration.parse().unwrap())
    });
    entries.collect()
}

#[track_caller]
fn assert_times(answer: &Answer, more: &[&str]) {
    let times = times(answer);
    let stages = ["auth", "limit", "parse", "route", "translate", "upstream", "gateway"];
    let names: Vec<&str> = times.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [&stages, more].concat(), "{answer:?}");
    let of = |wanted: &str| times.iter().find(|(name, _)| name == wanted).map_or(0.0, |(_, time)| *time);
    assert!(times.iter().all(|(_, time)| (0.0..60_000.0).contains(time)), "{times:?}");
    // The proxy's own share has all stages but the provider's; what is behind them is within both.
    let own: f64 = stages[..5].iter().map(|stage| of(stage)).sum();
    assert!(of("gateway") + 0.01 >= own, "{times:?}");
    for within in more {
        assert!(of(within) <= of("upstream") + of("gateway") + 0.01, "{within}: {times:?}");
    }
}

#[test]
fn every_answer_tells_where_its_time_went() {
    let failing = Upstream::status(500, "", "{}");
    let proxy = before_failing(&failing, &[]);
    // The first answer of a provider needs a connection; the next ones come over the same.
    let met = ["connect", "ttfb"];
    assert_times(&proxy.chat(&hello("dead")), &[&met[..], &["attempt1"]].concat());
    assert_times(&proxy.chat(&hello("m")), &[&met[..], &["attempt1"]].concat());
    let stream = proxy.chat(&hello_stream("m"));
    assert!(stream.text().contains("[DONE]"), "{stream:?}");
    assert_times(&stream, &["ttfb", "attempt1"]);
    // Refused by key, limit, body and route.
    assert_times(&proxy.chat_with(&[], &hello("m")), &[]);
    assert_times(&proxy.chat_bytes(b"{"), &[]);
    assert_times(&proxy.chat(&hello("nothing")), &[]);
    assert_times(&proxy.ask("GET", "/v1/chat/completions", &[], b""), &[]);
    assert_times(&proxy.ask("POST", "/v1/nowhere", &[], b""), &[]);
}

#[test]
fn the_wait_for_a_provider_is_the_providers_time() {
    let slow = Upstream::new(|_| {
        let (sender, gate) = Act::gate();
        std::thread::spawn(move || {
            std::thread::park_timeout(std::time::Duration::from_millis(150));
            // The server may be gone.
            let _ = sender.send(());
        });
        vec![Act::Await(gate), Act::send("HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"choices\":[]}")]
    });
    let proxy = TestProxy::before(&slow);
    let answer = proxy.chat(&hello("m"));
    let of = |wanted: &str| times(&answer).into_iter().find(|(name, _)| name == wanted).unwrap().1;
    assert!(of("upstream") > 140.0 && of("ttfb") > 140.0, "{answer:?}");
    assert!(of("gateway") < of("upstream"), "{answer:?}");
}
