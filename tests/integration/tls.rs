//! Providers behind TLS: as strict as without it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Act, TestProxy, Upstream, alone, assert_error, behind_tls, hello, hello_stream};

const ANSWER: &str = r#"{"model":"real","choices":[]}"#;
const CONTENT: &str = "data: {\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";

fn before(upstream: &Upstream, variables: &[(&str, &str)]) -> TestProxy {
    let mut proxy = TestProxy::with(variables);
    proxy.provider("main", &behind_tls(upstream), json!({"m": "real"}));
    proxy.credential(json!({"name": "tester"}));
    proxy
}

fn before_unverified(upstream: &Upstream) -> TestProxy {
    before(upstream, &[("VERIFY_SSL", "false")])
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_unless_verification_is_off() {
    let upstream = Upstream::json(ANSWER);
    assert_error(&before(&upstream, &[]).chat(&hello("m")), 502, "upstream_connect_error");
    assert_eq!(upstream.waiting(), 0);
    let proxy = before_unverified(&upstream);
    for _ in 0..3 {
        let answer = proxy.chat(&hello("m"));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[test]
fn the_head_of_a_request_is_the_same_as_without_tls() {
    let upstream = Upstream::json(ANSWER);
    let proxy = before_unverified(&upstream);
    assert_eq!(proxy.chat(&hello("m")).status, 200);
    let request = upstream.request();
    assert_eq!(request.target(), "POST /v1/chat/completions");
    assert!(request.header("host").unwrap().starts_with("127.0.0.1:"), "{}", request.head);
    let names = ["accept", "authorization", "content-length", "content-type", "host", "user-agent", "x-request-id"];
    assert_eq!(request.header_names(), names, "{}", request.head);
}

#[test]
fn an_answer_that_ends_before_its_last_chunk_is_cut_however_politely_it_ends() {
    // The JSON is whole: only the missing last chunk tells.
    let acts = || vec![Act::stream_head(), Act::chunk(ANSWER), Act::Close];
    let proxy = before_unverified(&Upstream::new(move |_| acts()));
    assert_error(&proxy.chat(&hello("m")), 502, "upstream_invalid_response");
}

#[test]
fn an_answer_that_only_the_end_of_the_connection_delimits_is_read() {
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{ANSWER}");
    let proxy = before_unverified(&Upstream::new(move |_| vec![Act::send(answer.clone()), Act::Close]));
    let answer = proxy.chat(&hello("m"));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["model"], "m");
}

#[test]
fn a_client_that_leaves_a_stream_closes_it_upstream_within_100_ms() {
    let _alone = alone();
    let upstream = Upstream::new(|_| vec![Act::stream_head(), Act::chunk(CONTENT), Act::Hang]);
    let proxy = before_unverified(&upstream);
    let mut connection = proxy.begin_chat(&hello_stream("m"));
    assert_eq!(connection.head().status, 200);
    connection.chunks_until(|text| text.contains("\"a\""));
    let left = Instant::now();
    drop(connection);
    let took = upstream.hangup().saturating_duration_since(left);
    assert!(took < Duration::from_millis(100), "it took {took:?}");
}
