//! A client that goes away costs nothing from then on.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Act, TestProxy, Upstream, alone, eventually, hello, hello_stream, log_rows};

/// How soon the provider must notice.
const SOON: Duration = Duration::from_millis(100);
const CONTENT: &str = "data: {\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";

/// Leaves after `acts` began, and gives how long it took until the provider was told.
fn leave(acts: fn() -> Vec<Act>, body: &Value, wait_for_content: bool) -> (Duration, TestProxy) {
    let upstream = Upstream::new(move |_| acts());
    let proxy = TestProxy::before(&upstream);
    let mut connection = proxy.begin_chat(body);
    upstream.request();
    if wait_for_content {
        assert_eq!(connection.head().status, 200);
        connection.chunks_until(|text| text.contains("\"a\""));
    }
    let left = Instant::now();
    drop(connection);
    (upstream.hangup().saturating_duration_since(left), proxy)
}

fn assert_cancelled(proxy: TestProxy, is_streaming: i32) {
    eventually("the request is counted as 499", || {
        proxy.metric("llm_proxy_requests_total", &["status_code=\"499\"", "provider=\"main\"", "model=\"m\""]) > 0.5
    });
    assert!(proxy.metric("llm_proxy_active_requests", &[]) < 0.5);
    let folder = proxy.stop();
    let rows = log_rows(folder.path());
    assert_eq!(rows.len(), 1, "{rows:?}");
    let row = &rows[0];
    assert_eq!((row.status_code, row.outcome.as_str(), row.is_streaming), (499, "cancelled", is_streaming), "{row:?}");
    assert_eq!(row.error_category.as_deref(), Some("client_cancelled"));
}

#[test]
fn a_client_that_leaves_a_stream_closes_it_upstream_within_100_ms() {
    let _alone = alone();
    let acts = || vec![Act::stream_head(), Act::chunk(CONTENT), Act::Hang];
    let (took, proxy) = leave(acts, &hello_stream("m"), true);
    assert!(took < SOON, "it took {took:?}");
    assert_cancelled(proxy, 1);
}

#[test]
fn a_client_that_leaves_before_the_first_content_closes_it_upstream_within_100_ms() {
    let _alone = alone();
    let acts = || vec![Act::stream_head(), Act::Hang];
    let (took, proxy) = leave(acts, &hello_stream("m"), false);
    assert!(took < SOON, "it took {took:?}");
    assert_cancelled(proxy, 1);
}

#[test]
fn a_client_that_leaves_while_a_whole_answer_is_awaited_closes_it_upstream_within_100_ms() {
    let _alone = alone();
    for acts in [|| vec![Act::Hang], || vec![Act::send("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"), Act::Hang]] {
        let (took, proxy) = leave(acts, &hello("m"), false);
        assert!(took < SOON, "it took {took:?}");
        assert_cancelled(proxy, 0);
    }
}

#[test]
fn a_client_that_only_shuts_its_writing_side_is_gone_too() {
    let _alone = alone();
    let upstream = Upstream::new(|_| vec![Act::stream_head(), Act::chunk(CONTENT), Act::Hang]);
    let proxy = TestProxy::before(&upstream);
    let mut connection = proxy.begin_chat(&hello_stream("m"));
    connection.head();
    connection.chunks_until(|text| text.contains("\"a\""));
    let left = Instant::now();
    connection.socket().shutdown(std::net::Shutdown::Write).unwrap();
    let took = upstream.hangup().saturating_duration_since(left);
    assert!(took < SOON, "it took {took:?}");
}

#[test]
fn usage_that_came_before_the_client_left_is_kept() {
    let upstream = Upstream::new(|_| {
        let usage = CONTENT.replace(
            "\"choices\"",
            "\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7},\"choices\"",
        );
        vec![Act::stream_head(), Act::chunk(usage), Act::Hang]
    });
    let proxy = TestProxy::before(&upstream);
    let mut connection = proxy.begin_chat(&hello_stream("m"));
    connection.head();
    connection.chunks_until(|text| text.contains("\"a\""));
    drop(connection);
    upstream.hangup();
    let folder = proxy.stop();
    let rows = log_rows(folder.path());
    assert_eq!((rows[0].status_code, rows[0].input_tokens, rows[0].output_tokens), (499, Some(5), Some(2)), "{rows:?}");
}

#[test]
fn a_connection_whose_stream_was_left_is_not_used_again() {
    let upstream = Upstream::new(|request| {
        if request.json()["stream"] == json!(true) {
            return vec![Act::stream_head(), Act::chunk(CONTENT), Act::Hang];
        }
        vec![Act::send("HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"choices\":[]}")]
    });
    let proxy = TestProxy::before(&upstream);
    let mut connection = proxy.begin_chat(&hello_stream("m"));
    connection.head();
    drop(connection);
    upstream.hangup();
    for _ in 0..3 {
        let answer = proxy.chat(&hello("m"));
        assert_eq!((answer.status, answer.text()), (200, "{\"choices\":[]}"));
    }
}

#[test]
fn a_client_that_leaves_says_nothing_about_the_provider() {
    let upstream = Upstream::new(|request| {
        if request.json()["stream"] == json!(true) {
            return vec![Act::Hang];
        }
        vec![Act::send("HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"choices\":[]}")]
    });
    let mut proxy = TestProxy::before(&upstream);
    let spare = Upstream::json("{\"choices\":[]}");
    for _ in 0..10 {
        drop(proxy.begin_chat(&hello_stream("m")));
        upstream.hangup();
    }
    // Were the provider's breaker open now, the spare one would get everything.
    proxy.provider("spare", &spare.base(), json!({"m": "m"}));
    proxy.configure("PUT", "/providers/1", &json!({"weight": 2_000_000_000}));
    proxy.credential(json!({"name": "other"}));
    assert_eq!(proxy.chat(&hello("m")).header("x-llm-proxy-provider"), Some("main"));
}
