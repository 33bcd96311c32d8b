//! Attempts in flight at a provider, their limit, and what is told of providers.

use std::sync::mpsc::Sender;

use serde_json::{Value, json};

use crate::support::{
    ADMIN_KEY, Act, Answer, Connection, TestProxy, Upstream, assert_error, eventually, hello, hello_stream,
};

const CONTENT: &str = "data: {\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
const END: &str = "data: {\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const WHOLE: &str = "{\"choices\":[]}";

/// A provider that answers whole requests at once; each of its streams sends its content, waits,
/// and then sends `last`, or breaks where that is nothing. Dropping the sender lets all of them go on.
fn holding(last: &'static [u8]) -> (Sender<()>, Upstream) {
    let (go_on, gate) = Act::gate();
    let upstream = Upstream::new(move |request| {
        if request.json()["stream"] != json!(true) {
            return vec![Act::send(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{WHOLE}", WHOLE.len()))];
        }
        let mut acts = vec![Act::stream_head(), Act::chunk(CONTENT), Act::Await(gate.clone())];
        acts.push(Act::send(last));
        if last.is_empty() {
            acts.push(Act::Close);
        }
        acts
    });
    (go_on, upstream)
}

/// The end of a good stream.
fn good() -> &'static [u8] {
    let Act::Send(mut bytes) = Act::chunk(END) else { unreachable!() };
    bytes.extend_from_slice(b"0\r\n\r\n");
    Vec::leak(bytes)
}

/// A proxy whose model `m` is at this provider, which may run `most` attempts.
fn limited(upstream: &Upstream, most: u32) -> TestProxy {
    let mut proxy = TestProxy::empty();
    proxy.provider_of(json!({
        "provider_key": "main", "provider_type": "openai", "api_base": upstream.base(), "api_key": "sk-secret-of-main",
        "model_mapping": {"m": "real"}, "provider_params": {"max_concurrency": most}, "weight": 1_000_000_000,
    }));
    proxy.credential(json!({"name": "tester"}));
    proxy
}

/// A stream whose first content has come.
fn open_stream(proxy: &TestProxy) -> Connection {
    let mut connection = proxy.begin_chat(&hello_stream("m"));
    let head = connection.head();
    assert_eq!((head.status, head.header("x-llm-proxy-provider")), (200, Some("main")), "{head:?}");
    connection.chunks_until(|text| text.contains("\"a\""));
    connection
}

#[track_caller]
fn assert_saturated(answer: &Answer) {
    assert_error(answer, 503, "provider_saturated");
    assert_eq!(answer.json()["error"]["type"], "server_error");
    assert_eq!((answer.header("retry-after"), answer.header("x-llm-proxy-error-source")), (Some("1"), Some("proxy")));
    assert_eq!((answer.header("x-llm-proxy-provider"), answer.header("x-llm-proxy-attempts")), (None, None));
}

fn in_flight(proxy: &TestProxy) -> f64 {
    proxy.metric("llm_proxy_provider_in_flight", &["provider=\"main\""])
}

#[track_caller]
fn assert_in_flight(proxy: &TestProxy, count: f64) {
    let running = in_flight(proxy);
    assert!((running - count).abs() < 0.1, "{running} run, not {count}");
}

fn eventually_free(proxy: &TestProxy, count: f64) {
    eventually("the attempt no longer counts", || in_flight(proxy) < count + 0.5);
    assert_in_flight(proxy, count);
}

fn explained(proxy: &TestProxy) -> Value {
    proxy.configure("POST", "/explain", &json!({"model": "m", "protocol": "openai"}))["candidates"][0].clone()
}

fn detailed(proxy: &TestProxy) -> Value {
    let answer = proxy.ask("GET", "/health/detailed", &[("authorization", &format!("Bearer {ADMIN_KEY}"))], b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[test]
fn what_a_saturated_provider_cannot_take_goes_to_another() {
    let (_go_on, upstream) = holding(good());
    let proxy = limited(&upstream, 2);
    let spare = Upstream::json(WHOLE);
    proxy.provider("spare", &spare.base(), json!({"m": "m"}));
    let _streams = [open_stream(&proxy), open_stream(&proxy)];
    assert_in_flight(&proxy, 2.0);
    for _ in 0..5 {
        let answer = proxy.chat(&hello("m"));
        assert_eq!((answer.status, answer.header("x-llm-proxy-provider")), (200, Some("spare")), "{answer:?}");
        assert_eq!(answer.header("x-llm-proxy-attempts"), Some("1"));
    }
    let told = explained(&proxy);
    assert_eq!((&told["in_flight"], &told["max_concurrency"]), (&json!(2), &json!(2)), "{told}");
    assert_eq!((&told["eligible"], &told["excluded_because"]), (&json!(false), &json!("saturated")), "{told}");
}

#[test]
fn a_saturated_provider_alone_is_a_503_until_a_stream_ends() {
    let (go_on, upstream) = holding(good());
    let proxy = limited(&upstream, 2);
    let mut streams = [open_stream(&proxy), open_stream(&proxy)];
    assert_saturated(&proxy.chat(&hello("m")));
    assert_saturated(&proxy.chat(&hello_stream("m")));
    assert_eq!(upstream.waiting(), 2, "nobody but the two streams reached the provider");
    let anthropic = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]});
    let bearer = proxy.bearer();
    let answer = proxy.ask("POST", "/v1/messages", &[("authorization", &bearer)], anthropic.to_string().as_bytes());
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (503, &json!("overloaded_error")), "{answer:?}");
    assert_eq!(answer.header("x-llm-proxy-error-code"), Some("provider_saturated"));
    drop(go_on);
    for stream in &mut streams {
        assert!(stream.chunks_until(|text| text.contains("[DONE]")).contains("stop"));
    }
    eventually_free(&proxy, 0.0);
    assert_eq!(proxy.chat(&hello("m")).status, 200);
    assert_in_flight(&proxy, 0.0);
}

#[test]
fn a_stream_that_breaks_makes_room() {
    let (go_on, upstream) = holding(b"");
    let proxy = limited(&upstream, 1);
    let mut stream = open_stream(&proxy);
    assert_saturated(&proxy.chat(&hello("m")));
    drop(go_on);
    stream.chunks_until(|text| text.contains("upstream_stream_error"));
    eventually_free(&proxy, 0.0);
    assert_eq!(proxy.chat(&hello("m")).status, 200);
}

#[test]
fn a_client_that_leaves_makes_room_before_and_after_the_first_content() {
    let (_go_on, upstream) = holding(good());
    let proxy = limited(&upstream, 1);
    let stream = open_stream(&proxy);
    assert_saturated(&proxy.chat(&hello("m")));
    drop(stream);
    eventually_free(&proxy, 0.0);
    assert_eq!(proxy.chat(&hello("m")).status, 200);

    let silent = Upstream::new(|_| vec![Act::Hang]);
    let proxy = limited(&silent, 1);
    for body in [hello("m"), hello_stream("m")] {
        let waiting = proxy.begin_chat(&body);
        silent.request();
        assert_in_flight(&proxy, 1.0);
        assert_saturated(&proxy.chat(&body));
        drop(waiting);
        eventually_free(&proxy, 0.0);
    }
}

#[test]
fn a_failed_attempt_makes_room_and_its_failure_stays_the_answer_when_the_rest_is_saturated() {
    let (_go_on, upstream) = holding(good());
    let proxy = limited(&upstream, 1);
    let failing =
        Upstream::status(500, "", "{\"error\":{\"message\":\"broken\",\"type\":\"x\",\"param\":null,\"code\":\"x\"}}");
    let _stream = open_stream(&proxy);
    proxy.provider("failing", &failing.base(), json!({"m": "m"}));
    for _ in 0..3 {
        let answer = proxy.chat(&hello("m"));
        assert_eq!((answer.status, answer.header("x-llm-proxy-provider")), (500, Some("failing")), "{answer:?}");
        let failing = proxy.metric("llm_proxy_provider_in_flight", &["provider=\"failing\""]);
        assert!(failing < 0.5, "{failing}");
    }
}

#[test]
fn a_changed_limit_holds_for_the_next_request_and_running_streams_still_count() {
    let (_go_on, upstream) = holding(good());
    let proxy = limited(&upstream, 1);
    let _first = open_stream(&proxy);
    assert_saturated(&proxy.chat(&hello("m")));
    let limit = |most: Value| {
        proxy.configure("PUT", "/providers/1", &json!({"provider_params": {"max_concurrency": most}}));
    };
    limit(json!(2));
    assert_eq!(proxy.chat(&hello("m")).status, 200);
    let _second = open_stream(&proxy);
    assert_saturated(&proxy.chat(&hello("m")));
    limit(json!(1));
    assert_saturated(&proxy.chat(&hello("m")));
    limit(Value::Null);
    assert_eq!(proxy.chat(&hello("m")).status, 200);
    proxy.configure("PATCH", "/providers/1/status", &json!({"is_enabled": false}));
    proxy.configure("PATCH", "/providers/1/status", &json!({"is_enabled": true}));
    limit(json!(2));
    assert_saturated(&proxy.chat(&hello("m")));
    assert_in_flight(&proxy, 2.0);
}

#[test]
fn counting_tokens_is_done_here_when_the_provider_that_counts_is_saturated_and_others_are_not() {
    let silent = Upstream::new(|_| vec![Act::Hang]);
    let mut proxy = TestProxy::empty();
    proxy.provider_of(json!({
        "provider_key": "claude", "provider_type": "anthropic", "api_base": silent.base(), "api_key": "k",
        "model_mapping": {"m": "claude-x"}, "provider_params": {"max_concurrency": 1},
    }));
    proxy.credential(json!({"name": "tester"}));
    let bearer = proxy.bearer();
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "Hello"}]}).to_string();
    let headers = [("authorization", bearer.as_str())];
    let mut first = proxy.connect();
    first.send("POST", "/v1/messages/count_tokens", &headers, body.as_bytes());
    silent.request();
    let count = || proxy.ask("POST", "/v1/messages/count_tokens", &headers, body.as_bytes());
    let alone = count();
    assert_eq!((alone.status, alone.header("x-llm-proxy-error-code")), (503, Some("provider_saturated")), "{alone:?}");
    let other = Upstream::json(WHOLE);
    proxy.provider("other", &other.base(), json!({"m": "m"}));
    let counted = count();
    assert_eq!((counted.status, counted.header("x-llm-proxy-usage")), (200, Some("estimated")), "{counted:?}");
}

#[test]
fn metrics_follow_a_provider_from_its_first_attempt_to_its_end() {
    let upstream = Upstream::new(|request| {
        if request.json()["stream"] == json!(true) {
            return vec![Act::stream_head(), Act::chunk(CONTENT), Act::chunk(END), Act::send("0\r\n\r\n")];
        }
        vec![Act::send("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")]
    });
    let proxy = TestProxy::before_with(&upstream, &[("ADAPTIVE_5XX_THRESHOLD", "2")]);
    let value = |name: &str, labels: &[&str]| {
        proxy.metric(&format!("llm_proxy_provider_{name}"), &[&["provider=\"main\""], labels].concat())
    };
    let is = |name: &str, labels: &[&str], want: f64| (value(name, labels) - want).abs() < 1e-9;
    proxy.configure("PUT", "/providers/1", &json!({"weight": 3}));
    assert!(is("health", &[], 1.0) && is("effective_weight", &[], 3.0));
    assert!(is("circuit_state", &["state=\"closed\""], 1.0) && is("circuit_state", &["state=\"open\""], 0.0));
    assert_eq!(proxy.chat(&hello_stream("m")).status, 200);
    assert!(is("latency_seconds_count", &[], 1.0));
    for _ in 0..2 {
        assert_eq!(proxy.chat(&hello("m")).status, 503);
    }
    eventually("the circuit is told open", || is("circuit_state", &["state=\"open\""], 1.0));
    assert!(is("health", &[], 0.0) && is("effective_weight", &[], 0.0));
    assert!(is("circuit_state", &["state=\"closed\""], 0.0) && is("circuit_state", &["state=\"half_open\""], 0.0));
    assert!(is("ejections_total", &["reason=\"5xx\""], 1.0) && is("ejections_total", &["reason=\"429\""], 0.0));
    assert!(is("latency_seconds_count", &[], 3.0));
    proxy.configure("DELETE", "/providers/1", &Value::Null);
    let metrics = proxy.ask("GET", "/metrics", &[], b"");
    let left: Vec<&str> = metrics.text().lines().filter(|line| line.starts_with("llm_proxy_provider_")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn detailed_health_tells_what_attempts_showed() {
    let upstream = Upstream::new(|request| match request.json()["messages"][0]["content"].as_str() {
        Some("fail") => {
            let body =
                "{\"error\":{\"message\":\"sk-secret-of-main is tired\",\"type\":\"t\",\"param\":null,\"code\":null}}";
            vec![Act::send(format!("HTTP/1.1 500 No\r\ncontent-length: {}\r\n\r\n{body}", body.len()))]
        }
        Some("limit") => vec![Act::send("HTTP/1.1 429 No\r\nretry-after: 60\r\ncontent-length: 0\r\n\r\n")],
        Some("break") => vec![Act::Close],
        _ => vec![Act::stream_head(), Act::chunk(CONTENT), Act::chunk(END), Act::send("0\r\n\r\n")],
    });
    let proxy = TestProxy::before(&upstream);
    let fresh = detailed(&proxy);
    assert_eq!((&fresh["status"], &fresh["snapshot"]["config_errors"]), (&json!("ok"), &json!([])), "{fresh}");
    assert_eq!(fresh["snapshot"]["source"], "database");
    assert_eq!((&fresh["database"]["backend"], &fresh["database"]["status"]), (&json!("sqlite"), &json!("up")));
    assert!(fresh["database"]["latency_ms"].as_f64().is_some_and(|latency| latency > 0.0), "{fresh}");
    assert_eq!(fresh["redis"], json!({"configured": false, "status": "disabled", "last_error": null}));
    assert_eq!(fresh["langfuse"], json!({"enabled": false, "queued": 0, "dropped": 0}));
    assert_eq!(
        fresh["providers"],
        json!([{
            "id": 1, "provider_key": "main", "provider_type": "openai", "is_enabled": true, "weight": 1,
            "effective_weight": 1.0, "admission": "closed", "retry_at": null, "in_flight": 0, "max_concurrency": null,
            "ewma_latency_ms": null, "ewma_ttft_ms": null, "last_success_at": null, "last_error": null,
        }])
    );

    let say = |content: &str| {
        let stream = !matches!(content, "fail" | "limit" | "break");
        proxy.chat(&json!({"model": "m", "messages": [{"role": "user", "content": content}], "stream": stream}))
    };
    let main = || detailed(&proxy)["providers"][0].clone();
    assert_eq!(say("work").status, 200);
    eventually("the success is told", || !main()["last_success_at"].is_null());
    let told = main();
    let (latency, ttft) = (told["ewma_latency_ms"].as_f64().unwrap(), told["ewma_ttft_ms"].as_f64().unwrap());
    assert!(latency > 0.0 && ttft >= latency, "{told}");

    for (content, status, category, words) in [
        ("fail", json!(500), "provider_5xx", "*** is tired"),
        ("break", Value::Null, "network_error", "main"),
        ("limit", json!(429), "provider_429", ""),
    ] {
        say(content);
        eventually("the error is told", || main()["last_error"]["category"] == category);
        let error = main()["last_error"].clone();
        assert_eq!(error["status"], status, "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(words) && !message.contains("sk-secret"), "{error}");
        assert_eq!(error["at"].as_str().unwrap().len(), "2026-01-01T00:00:00.000Z".len());
    }
    let benched = detailed(&proxy);
    assert_eq!((&benched["status"], &benched["providers"][0]["admission"]), (&json!("degraded"), &json!("cooldown")));
    assert!(benched["providers"][0]["retry_at"].is_string() && benched["providers"][0]["effective_weight"] == 0.0);

    let before = main();
    proxy.configure("PUT", "/providers/1", &json!({"weight": 7}));
    proxy.configure("PATCH", "/providers/1/status", &json!({"is_enabled": false}));
    let off = detailed(&proxy);
    assert_eq!(off["status"], "ok", "who is switched off degrades nothing: {off}");
    for field in ["ewma_latency_ms", "ewma_ttft_ms", "last_success_at", "last_error"] {
        assert_eq!(off["providers"][0][field], before[field], "{field}");
    }
}

#[test]
fn detailed_health_is_degraded_while_redis_or_the_database_is_down() {
    // Nobody listens on port 1.
    let redis = TestProxy::with(&[("REDIS_URL", "redis://:hunter2@127.0.0.1:1/0")]);
    let told = detailed(&redis);
    assert_eq!((&told["status"], &told["database"]["status"]), (&json!("degraded"), &json!("up")), "{told}");
    assert_eq!((&told["redis"]["configured"], &told["redis"]["status"]), (&json!(true), &json!("down")), "{told}");
    assert!(told["redis"]["last_error"].is_string() && !told.to_string().contains("hunter2"), "{told}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("snapshot.json");
    let variables = [("SNAPSHOT_PATH", file.to_str().unwrap())];
    let down = [variables[0], ("DB_URL", "postgres://u:hunter2@127.0.0.1:1/d")];
    let told = detailed(&TestProxy::with(&down));
    assert_eq!((&told["status"], &told["database"]["status"]), (&json!("degraded"), &json!("down")), "{told}");
    assert_eq!((&told["snapshot"]["source"], &told["snapshot"]["loaded_at"]), (&Value::Null, &Value::Null), "{told}");
    assert!(told["database"]["last_error"].is_string() && !told.to_string().contains("hunter2"), "{told}");
    assert_eq!(told["database"]["backend"], "postgres");

    let before = TestProxy::with(&variables);
    before.provider("main", "http://127.0.0.1:1", json!({"m": "m"}));
    eventually("the snapshot is kept", || std::fs::read_to_string(&file).is_ok_and(|text| text.contains("main")));
    let told = detailed(&TestProxy::with(&down));
    assert_eq!((&told["status"], &told["snapshot"]["source"]), (&json!("degraded"), &json!("snapshot_file")), "{told}");
    assert_eq!(told["providers"][0]["provider_key"], "main");
}
