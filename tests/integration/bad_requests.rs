//! Requests that cannot be served: told apart, and without harm to the next one.

use std::io::Write as _;

use crate::support::{TestProxy, assert_error, hello};

#[test]
fn each_fault_of_a_body_has_its_code_and_names_its_field() {
    let proxy = TestProxy::before_mock();
    let cases: [(&[u8], &str, Option<&str>); 15] = [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b"hello", "invalid_json", None),
        (b"[]", "invalid_json", None),
        (b"null", "invalid_json", None),
        (b"{\"model\":\"mock\",\"messages\":[]} trailing", "invalid_json", None),
        (b"{\"model\":\"mock\",\"messages\":[],}", "invalid_json", None),
        (b"{\"model\":\"mock\",\"messages\":[\"\xff\xfe\"]}", "invalid_json", None),
        (b"\xef\xbb\xbf{}", "invalid_json", None),
        (br#"{"messages":[]}"#, "missing_required_parameter", Some("model")),
        (br#"{"model":"mock"}"#, "missing_required_parameter", Some("messages")),
        (br#"{"model":7,"messages":[]}"#, "invalid_value", Some("model")),
        (br#"{"model":"mock","messages":"hi"}"#, "invalid_value", Some("messages")),
        (br#"{"model":"mock","messages":[],"stream":"yes"}"#, "invalid_value", Some("stream")),
        (br#"{"model":"mock","model":"mock-echo","messages":[]}"#, "invalid_value", Some("model")),
    ];
    for (body, code, param) in cases {
        let answer = proxy.chat_bytes(body);
        assert_error(&answer, 400, code);
        assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
        assert_eq!(answer.json()["error"]["param"].as_str(), param, "{}", String::from_utf8_lossy(body));
    }
    assert_eq!(proxy.chat(&hello("mock")).status, 200);
}

#[test]
fn a_connection_that_carried_a_bad_request_carries_the_next() {
    let proxy = TestProxy::before_mock();
    let (bearer, good) = (proxy.bearer(), hello("mock").to_string());
    let headers = [("authorization", bearer.as_str())];
    let mut connection = proxy.connect();
    for body in [&b"{"[..], b"\xff", br#"{"model":"unknown","messages":[]}"#, good.as_bytes()] {
        let status = connection.ask("POST", "/v1/chat/completions", &headers, body).status;
        assert!(matches!(status, 200 | 400 | 404), "{status}");
    }
    assert_eq!(connection.ask("POST", "/v1/chat/completions", &headers, good.as_bytes()).status, 200);
}

#[test]
fn an_escaped_model_key_cannot_hide_a_second_one() {
    let proxy = TestProxy::before_mock();
    let answer = proxy.chat_bytes(br#"{"model":"mock","mod\u0065l":"mock-echo","messages":[]}"#);
    assert_error(&answer, 400, "invalid_value");
}

#[test]
fn a_compressed_body_is_refused() {
    let proxy = TestProxy::before_mock();
    let bearer = proxy.bearer();
    for (encoding, status) in [("gzip", 415), ("br", 415), ("GZIP", 415), ("identity", 200), ("Identity", 200)] {
        let headers = [("authorization", bearer.as_str()), ("content-encoding", encoding)];
        let answer = proxy.chat_with(&headers, &hello("mock"));
        assert_eq!(answer.status, status, "{encoding}: {answer:?}");
        if status == 415 {
            assert_error(&answer, 415, "unsupported_content_encoding");
        }
    }
}

#[test]
fn the_content_type_of_a_request_does_not_matter() {
    let proxy = TestProxy::before_mock();
    let bearer = proxy.bearer();
    for content_type in ["application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense"] {
        let headers = [("authorization", bearer.as_str()), ("content-type", content_type)];
        assert_eq!(proxy.chat_with(&headers, &hello("mock")).status, 200, "{content_type}");
    }
}

#[test]
fn deep_nesting_is_harmless() {
    let proxy = TestProxy::before_mock();
    let depth = 200_000;
    let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let answer = proxy.chat_bytes(format!(r#"{{"model":"unknown","messages":[],"x":{nested}}}"#).as_bytes());
    assert!(matches!(answer.status, 400 | 404), "{answer:?}");
    let answer = proxy.chat_bytes("{\"a\":".repeat(depth).as_bytes());
    assert_error(&answer, 400, "invalid_json");
    assert_eq!(proxy.chat(&hello("mock")).status, 200);
}

#[test]
fn what_is_not_http_ends_only_its_own_connection() {
    let proxy = TestProxy::before_mock();
    for garbage in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"GET\r\n\r\n", b"POST / HTTP/9.9\r\n\r\n"] {
        let mut connection = proxy.connect();
        connection.socket().write_all(garbage).unwrap();
        connection.socket().shutdown(std::net::Shutdown::Write).unwrap();
        while !connection.is_closed() {
            connection.head();
        }
    }
    assert_eq!(proxy.chat(&hello("mock")).status, 200);
}

#[test]
fn a_body_that_is_cut_reaches_no_provider() {
    let upstream = crate::support::Upstream::json("{}");
    let proxy = TestProxy::before(&upstream);
    let mut connection = proxy.connect();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: {}\r\ncontent-length: 500\r\n\r\n",
        proxy.bearer()
    );
    connection.socket().write_all(head.as_bytes()).unwrap();
    connection.socket().write_all(hello("m").to_string().as_bytes()).unwrap();
    drop(connection);
    crate::support::eventually("the cut request has ended", || {
        proxy.metric("llm_proxy_requests_total", &["/v1/chat/completions"]) >= 1.0
    });
    assert_eq!(upstream.waiting(), 0);
}
