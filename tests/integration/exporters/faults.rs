//! A service that does not take what it is sent costs no client anything.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use super::collector::{self, Collector};
use super::langfuse::{Langfuse, answer, events, taken, traces};
use crate::support::{ADMIN_KEY, Act, Received, TestProxy, Upstream, eventually, hello};

const ANSWER: &str = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"Hi!"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

/// What a client must get, whatever becomes of the export.
#[track_caller]
fn assert_served(proxy: &TestProxy, times: usize) {
    let mut connection = proxy.connect();
    let bearer = proxy.bearer();
    let headers = [("authorization", bearer.as_str())];
    for _ in 0..times {
        let answer = connection.ask("POST", "/v1/chat/completions", &headers, hello("m").to_string().as_bytes());
        assert_eq!((answer.status, &answer.json()["choices"][0]["message"]["content"]), (200, &json!("Hi!")));
    }
}

fn health(proxy: &TestProxy) -> Value {
    let bearer = format!("Bearer {ADMIN_KEY}");
    let answer = proxy.ask("GET", "/health/detailed", &[("authorization", &bearer)], b"");
    answer.json()["langfuse"].clone()
}

fn dropped(proxy: &TestProxy) -> u64 {
    health(proxy)["dropped"].as_u64().unwrap()
}

/// A service that acts on its first batches as `first` says and takes all others.
fn at_first(count: usize, first: impl Fn(&Received) -> Act + Send + Sync + 'static) -> Langfuse {
    let batches = AtomicUsize::new(0);
    Langfuse::acting(move |batch| {
        let is_first = batches.fetch_add(1, Ordering::SeqCst) < count;
        vec![if is_first { first(batch) } else { taken(batch) }]
    })
}

fn before(langfuse: &Langfuse, more: &[(&str, &str)]) -> TestProxy {
    langfuse.before(more, |variables| TestProxy::before_with(&Upstream::json(ANSWER), variables))
}

#[test]
fn a_batch_that_met_an_error_comes_again_and_nothing_is_lost_or_doubled() {
    let faults: [fn(&Received) -> Act; 5] = [
        |_| answer(500, "", "broken"),
        |_| answer(429, "retry-after: 0\r\n", ""),
        |_| answer(503, "", ""),
        |_| Act::Close,
        |_| Act::Reset,
    ];
    for fault in faults {
        let langfuse = at_first(2, fault);
        let proxy = before(&langfuse, &[]);
        assert_served(&proxy, 1);
        let first = langfuse.batch();
        assert_served(&proxy, 4);
        let second = langfuse.batch();
        assert_eq!(events(&first), events(&second)[..3], "another batch came in between");
        let third = langfuse.batch();
        eventually("all is sent", || health(&proxy)["queued"] == 0);
        assert_eq!(health(&proxy), json!({"enabled": true, "queued": 0, "dropped": 0}));
        let mut all = vec![first, second, third];
        proxy.stop();
        all.extend(langfuse.all_waiting());
        assert_eq!(traces(all.into_iter()).len(), 5);
    }
}

#[test]
fn a_service_that_asks_for_a_pause_gets_it() {
    let langfuse = at_first(1, |_| answer(429, "retry-after: 1.5\r\n", ""));
    let proxy = before(&langfuse, &[]);
    assert_served(&proxy, 1);
    langfuse.batch();
    let refused = Instant::now();
    langfuse.batch();
    assert!(refused.elapsed().as_secs_f64() > 1.4, "it came again after {:?}", refused.elapsed());
}

#[test]
fn a_batch_that_is_refused_for_good_is_dropped_and_counted() {
    for status in [400, 401, 403, 413, 302] {
        let langfuse = at_first(1, move |_| answer(status, "", "no"));
        let proxy = before(&langfuse, &[]);
        assert_served(&proxy, 1);
        langfuse.batch();
        eventually("the batch is dropped", || dropped(&proxy) == 3);
        assert_served(&proxy, 1);
        langfuse.batch();
        eventually("the next one is taken", || health(&proxy)["queued"] == 0);
        assert_eq!(dropped(&proxy), 3, "{status}");
        assert!((proxy.metric("llm_proxy_langfuse_dropped_total", &[]) - 3.0).abs() < 0.1);
    }
}

#[test]
fn a_batch_that_is_too_large_for_a_proxy_on_the_way_is_sent_in_parts() {
    const MOST: usize = 10_000;
    let langfuse = Langfuse::acting(|batch| {
        let is_too_large = batch.body.len() > MOST;
        vec![if is_too_large { answer(413, "", "<html>too large</html>") } else { taken(batch) }]
    });
    let proxy = before(&langfuse, &[("LANGFUSE_FLUSH_INTERVAL", "3600")]);
    assert_served(&proxy, 80);
    eventually("what was too large is sent", || health(&proxy)["queued"].as_u64().unwrap() < 99);
    assert_eq!(dropped(&proxy), 0);
    proxy.stop();
    let batches: Vec<Received> = langfuse.all_waiting().collect();
    assert!(batches[0].body.len() > MOST, "the first one was {} bytes", batches[0].body.len());
    assert_eq!(traces(batches.into_iter().filter(|batch| batch.body.len() <= MOST)).len(), 80);
}

#[test]
fn events_that_a_taken_batch_lost_are_counted_and_not_sent_again() {
    let langfuse = at_first(1, |batch| {
        let ids: Vec<Value> = events(batch).iter().map(|event| event["id"].clone()).collect();
        let errors = json!([{"id": ids[0], "status": 400, "message": "bad"}, {"id": ids[2], "status": 500}]);
        answer(207, "", &json!({"successes": [{"id": ids[1], "status": 201}], "errors": errors}).to_string())
    });
    let proxy = before(&langfuse, &[]);
    assert_served(&proxy, 1);
    langfuse.batch();
    eventually("the errors are counted", || dropped(&proxy) == 2);
    assert_served(&proxy, 1);
    proxy.stop();
    // Only what is new.
    assert_eq!(langfuse.traces().len(), 1);
}

#[test]
fn clients_do_not_wait_for_a_service_that_hangs_and_what_finds_no_room_is_counted() {
    let (go, gate) = Act::gate();
    let langfuse = Langfuse::acting(move |batch| vec![Act::Await(gate.clone()), taken(batch)]);
    let proxy = before(&langfuse, &[]);
    assert_served(&proxy, 70);
    let under_way = langfuse.batch();
    assert_eq!(langfuse.waiting(), 0, "a second batch is under way, too");
    // 1000 events are those of 333 requests.
    assert_served(&proxy, 270);
    let full = json!({"enabled": true, "queued": 999, "dropped": 21});
    eventually("what finds no room is counted", || health(&proxy) == full);
    drop(go);
    eventually("all is sent", || health(&proxy)["queued"] == 0);
    assert_served(&proxy, 1);
    proxy.stop();
    let batches = std::iter::once(under_way).chain(langfuse.all_waiting());
    assert_eq!(traces(batches).len(), 333 + 1);
}

#[test]
fn clients_do_not_notice_that_a_service_is_down() {
    // A port that nobody listens on any more.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let host = format!("http://{address}");
    let langfuse = Langfuse::new();
    let proxy = before(&langfuse, &[("LANGFUSE_HOST", &host), ("OTEL_EXPORTER_OTLP_ENDPOINT", &host)]);
    assert_served(&proxy, 50);
    let waiting = json!({"enabled": true, "queued": 150, "dropped": 0});
    eventually("all of it waits", || health(&proxy) == waiting);
    let folder = proxy.stop();
    assert_eq!(crate::support::log_rows(folder.path()).len(), 50);
}

#[test]
fn a_collector_that_hangs_is_asked_again_after_its_time() {
    let batches = AtomicUsize::new(0);
    let collector = Collector::acting(move |_| match batches.fetch_add(1, Ordering::SeqCst) {
        0 => vec![Act::Hang],
        1 => vec![answer(200, "", r#"{"partialSuccess":{"rejectedSpans":"1","errorMessage":"full"}}"#)],
        _ => vec![collector::taken()],
    });
    let proxy = collector.before(&[("OTEL_EXPORTER_OTLP_TIMEOUT", "200")], |variables| {
        TestProxy::before_with(&Upstream::json(ANSWER), variables)
    });
    assert_served(&proxy, 1);
    let first = collector.batch();
    let again = collector.batch();
    assert_eq!(first.body, again.body);
    eventually("the rejected span is counted", || proxy.metric("llm_proxy_otel_dropped_total", &[]) > 0.5);
    assert_served(&proxy, 1);
    proxy.stop();
    assert_eq!(collector.spans().len(), 2);
}
