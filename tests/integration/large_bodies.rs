//! Bodies over the limit. The client learns why, even one that reads nothing before it has sent
//! everything.

use std::io::Write as _;

use crate::support::{Answer, Connection, TestProxy, assert_error, hello};

const MIB: usize = 1024 * 1024;

/// Sends a body of `size` bytes to its end, whatever comes back meanwhile, and then reads.
fn insist(connection: &mut Connection, bearer: &str, size: usize, chunked: bool) -> Answer {
    let framing = if chunked { "transfer-encoding: chunked".to_owned() } else { format!("content-length: {size}") };
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\n{framing}\r\n\r\n");
    connection.socket().write_all(head.as_bytes()).unwrap();
    let piece = vec![b' '; MIB];
    for _ in 0..size / MIB {
        if chunked {
            write!(connection.socket(), "{:x}\r\n", piece.len()).unwrap();
        }
        connection.socket().write_all(&piece).expect("the server does not take the rest of the body");
        if chunked {
            connection.socket().write_all(b"\r\n").unwrap();
        }
    }
    if chunked {
        connection.socket().write_all(b"0\r\n\r\n").unwrap();
    }
    connection.answer("POST")
}

#[test]
fn forty_mebibytes_are_refused_to_a_client_that_sends_all_of_them() {
    let proxy = TestProxy::before_mock();
    for chunked in [false, true] {
        let answer = insist(&mut proxy.connect(), &proxy.bearer(), 40 * MIB, chunked);
        assert_error(&answer, 413, "request_too_large");
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    }
    assert_eq!(proxy.chat(&hello("mock")).status, 200);
}

#[test]
fn an_announced_body_over_the_limit_is_refused_before_it_is_sent() {
    let proxy = TestProxy::before_mock();
    let mut connection = proxy.connect();
    let bearer = proxy.bearer();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\ncontent-length: {}\r\n\r\n",
        40 * MIB
    );
    connection.socket().write_all(head.as_bytes()).unwrap();
    assert_error(&connection.answer("POST"), 413, "request_too_large");
}

#[test]
fn a_body_of_exactly_the_limit_is_taken() {
    let proxy = TestProxy::before_mock_with(&[("MAX_BODY_BYTES", "1000")]);
    let bearer = proxy.bearer();
    let padded = |size: usize| {
        let mut body = hello("mock").to_string().into_bytes();
        body.resize(size, b' ');
        body
    };
    for (size, status) in [(1000, 200), (1001, 413)] {
        assert_eq!(proxy.chat_bytes(&padded(size)).status, status, "{size} bytes");
        let mut connection = proxy.connect();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: {bearer}\r\ntransfer-encoding: chunked\r\n\r\n{size:x}\r\n"
        );
        connection.socket().write_all(&[head.as_bytes(), &padded(size), b"\r\n0\r\n\r\n"].concat()).unwrap();
        assert_eq!(connection.answer("POST").status, status, "{size} bytes in chunks");
    }
}

#[test]
fn a_body_without_a_key_is_refused_before_it_is_sent() {
    let proxy = TestProxy::before_mock();
    let mut connection = proxy.connect();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n";
    connection.socket().write_all(head.as_bytes()).unwrap();
    assert_error(&connection.answer("POST"), 401, "invalid_api_key");
}

#[test]
fn a_large_body_within_the_limit_reaches_the_provider_whole() {
    let upstream = crate::support::Upstream::json(r#"{"model":"x","choices":[]}"#);
    let proxy = TestProxy::before(&upstream);
    let text = "0123456789abcdef".repeat(20 * MIB / 16);
    let body = format!(r#"{{"model":"real","messages":[{{"role":"user","content":"{text}"}}]}}"#);
    proxy.configure("PUT", "/providers/1", &serde_json::json!({"model_mapping": {"real": "real"}}));
    assert_eq!(proxy.chat_bytes(body.as_bytes()).status, 200);
    assert!(upstream.request().body == body.as_bytes(), "the bytes differ");
}
