//! Providers that answer before they have read the request.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::support::{TestProxy, assert_error, hello, log_rows};

/// Answers each request right after its head, and reads on only where the body is small.
fn hasty(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream: TcpStream = stream.unwrap();
            held.push(std::thread::spawn(move || {
                while let Some(length) = body_length(&mut stream) {
                    let _ = stream.write_all(answer.as_bytes());
                    if length > 1 << 20 {
                        // Held open, with the body in its buffers.
                        return Some(stream);
                    }
                    let _ = stream.read_exact(&mut vec![0; length]);
                }
                None
            }));
        }
    });
    base
}

/// Reads the head of a request; `None` when there is none.
fn body_length(stream: &mut TcpStream) -> Option<usize> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.unwrap().trim().parse().ok()
}

fn large(model: &str) -> Value {
    let mut body = hello(model);
    body["messages"][0]["content"] = json!("x".repeat(6 << 20));
    body
}

#[test]
fn an_answer_that_comes_before_the_request_is_read_is_the_answer() {
    let refusal = "HTTP/1.1 413 Too Large\r\ncontent-type: application/json\r\ncontent-length: 63\r\n\r\n\
                   {\"error\":{\"message\":\"too large\",\"type\":\"t\",\"param\":null,\"code\":\"c\"}}";
    let length = refusal.split("\r\n\r\n").nth(1).unwrap().len();
    let refusal: &'static str = Box::leak(refusal.replace("63", &length.to_string()).into_boxed_str());
    let proxy = TestProxy::empty();
    let mut proxy = proxy;
    proxy.provider("main", &hasty(refusal), json!({"m": "real"}));
    proxy.credential(json!({"name": "c"}));
    for _ in 0..3 {
        assert_error(&proxy.chat(&large("m")), 413, "c");
        // And the half sent request has spoilt no connection.
        assert_error(&proxy.chat(&hello("m")), 413, "c");
    }
    let rows = log_rows(proxy.stop().path());
    assert!(rows.iter().all(|row| row.error_category.as_deref() == Some("provider_4xx")), "{rows:?}");
}
