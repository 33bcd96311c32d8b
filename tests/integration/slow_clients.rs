//! Clients that are slow, stall or send too much before they have said what they want.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;

use serde_json::json;

use crate::support::{
    ADMIN_KEY, Act, Answer, Connection, TestProxy, Upstream, eventually, hello, hello_stream, log_rows,
};

/// More bytes than the buffers of two sockets hold, when the reader's is small.
const LARGE: usize = 12 << 20;

/// The same connection with a small buffer.
fn narrow(mut connection: Connection) -> Connection {
    socket2::SockRef::from(&*connection.socket()).set_recv_buffer_size(65_536).unwrap();
    connection
}

/// A proxy that waits a short time for heads and bodies.
fn impatient() -> TestProxy {
    TestProxy::before_mock_with(&[("BODY_TIMEOUT_SECS", "0.5"), ("HEADER_TIMEOUT_SECS", "1")])
}

/// Sends the head of a POST and the beginning of its body.
fn begin(proxy: &TestProxy, path: &str, key: &str, framing: &str, body: &str) -> Connection {
    let mut connection = proxy.connect();
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n{framing}\r\n\r\n{body}");
    connection.socket().write_all(head.as_bytes()).unwrap();
    connection
}

/// Waits until the server has ended the connection.
fn assert_ends(mut connection: Connection) {
    let mut rest = Vec::new();
    // A reset is an end, too; waiting in vain is none.
    if let Err(error) = connection.socket().read_to_end(&mut rest) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}

#[test]
fn a_body_that_comes_too_slowly_is_refused_wherever_one_is_read() {
    let proxy = impatient();
    let key = proxy.key().to_owned();
    for framing in ["content-length: 500", "transfer-encoding: chunked"] {
        let part = if framing.starts_with('c') { "{" } else { "1\r\n{\r\n" };
        for (path, key, kind, code) in [
            ("/v1/chat/completions", key.as_str(), "timeout_error", json!("request_timeout")),
            ("/v1/messages", &key, "timeout_error", json!(null)),
            ("/v2", &key, "timeout_error", json!("request_timeout")),
            ("/api/event_logging/batch", "none", "timeout_error", json!("request_timeout")),
            ("/admin/v1/providers", ADMIN_KEY, "request_timeout", json!(408)),
        ] {
            let mut connection = begin(&proxy, path, key, framing, part);
            let answer = connection.answer("POST");
            let error = &answer.json()["error"];
            assert_eq!(
                (answer.status, &error["type"], &error["code"]),
                (408, &json!(kind), &code),
                "{path}: {answer:?}"
            );
            assert_eq!(answer.header("connection"), Some("close"));
            connection.socket().shutdown(Shutdown::Write).unwrap();
            assert_ends(connection);
        }
    }
    assert_eq!(proxy.chat(&hello("mock")).status, 200);
    let folder = proxy.stop();
    let late: Vec<i32> = log_rows(folder.path()).iter().map(|row| row.status_code).collect();
    assert_eq!(late, [408, 408, 408, 408, 408, 408, 200]);
}

#[test]
fn a_refused_body_in_chunks_does_not_keep_its_connection() {
    let proxy = impatient();
    for path in ["/v1/chat/completions", "/nowhere", "/health", "/admin/v1/providers"] {
        let mut connection = begin(&proxy, path, "wrong", "transfer-encoding: chunked", "1\r\n{\r\n");
        let answer = connection.answer("POST");
        assert!(matches!(answer.status, 401 | 404 | 405), "{path}: {answer:?}");
        assert_eq!(answer.header("connection"), Some("close"), "{path}");
        connection.socket().write_all(b"1\r\n \r\n").unwrap();
        assert_ends(connection);
    }
}

#[test]
fn a_first_head_that_does_not_come_ends_its_connection() {
    let proxy = impatient();
    for part in ["", "P", "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"] {
        let mut connection = proxy.connect();
        connection.socket().write_all(part.as_bytes()).unwrap();
        let answer = connection.answer("POST");
        assert_eq!(answer.status, 408, "{part:?}");
        assert_ends(connection);
    }
}

#[test]
fn a_later_head_that_does_not_come_ends_its_connection_and_silence_does_not() {
    let proxy = impatient();
    let mut idle = proxy.connect();
    assert_eq!(idle.ask("GET", "/health", &[], b"").status, 200);
    for part in ["G", "GET /health HTTP/1.1\r\nhost: x\r\n"] {
        let mut connection = proxy.connect();
        for _ in 0..2 {
            assert_eq!(connection.ask("GET", "/health", &[], b"").status, 200);
        }
        connection.socket().write_all(part.as_bytes()).unwrap();
        assert_ends(connection);
    }
    // All the while this one was silent.
    assert_eq!(idle.ask("GET", "/health", &[], b"").status, 200);
}

#[test]
fn a_head_in_two_parts_is_served() {
    let proxy = impatient();
    let mut connection = proxy.connect();
    for _ in 0..3 {
        connection.socket().write_all(b"GET /health HT").unwrap();
        connection.socket().write_all(b"TP/1.1\r\nhost: x\r\n\r\n").unwrap();
        assert_eq!(connection.answer("GET").status, 200);
    }
}

#[test]
fn a_head_that_is_too_large_is_refused_and_the_server_serves_on() {
    let proxy = TestProxy::before_mock();
    let many = "a: b\r\n".repeat(200);
    let long = format!("a: {}\r\n", "b".repeat(200_000));
    let endless = "a: ".to_owned() + &"b".repeat(1_000_000);
    let url = format!("/v1/models/{}", "m".repeat(100_000));
    for (head, statuses) in [
        (format!("GET /health HTTP/1.1\r\nhost: x\r\n{many}\r\n"), [431, 431]),
        (format!("GET /health HTTP/1.1\r\nhost: x\r\n{long}\r\n"), [431, 431]),
        (format!("GET /health HTTP/1.1\r\nhost: x\r\n{endless}"), [431, 431]),
        (format!("GET {url} HTTP/1.1\r\nhost: x\r\n\r\n"), [400, 414]),
    ] {
        let answer = refused(&proxy, &head);
        assert!(statuses.contains(&answer.status), "{answer:?}");
        assert_eq!(proxy.chat(&hello("mock")).status, 200);
    }
}

/// Sends a head that is read to the end or not, and gives the answer.
fn refused(proxy: &TestProxy, head: &str) -> Answer {
    let mut connection = proxy.connect();
    // The server need not take all of it.
    let _ = connection.socket().write_all(head.as_bytes());
    connection.head()
}

#[test]
fn a_client_that_stops_reading_a_stream_is_dropped_and_so_is_its_provider() {
    let content = "a".repeat(50_000);
    let event = format!(
        "data: {{\"model\":\"real\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{content}\"}}}}]}}\n\n"
    );
    let upstream = Upstream::new(move |_| {
        let events = (0..LARGE / 50_000).map(|_| Act::chunk(&event));
        [Act::stream_head()].into_iter().chain(events).chain([Act::Hang]).collect()
    });
    let proxy = TestProxy::before_with(&upstream, &[("CLIENT_STALL_SECS", "0.5")]);
    let mut client = narrow(proxy.begin_chat(&hello_stream("m")));
    assert_eq!(client.head().status, 200);
    upstream.hangup();
    eventually("the request is counted as 499", || {
        proxy.metric("llm_proxy_requests_total", &["status_code=\"499\"", "provider=\"main\""]) > 0.5
    });
    assert!(proxy.metric("llm_proxy_active_requests", &[]) < 0.5);
    let folder = proxy.stop();
    let rows = log_rows(folder.path());
    assert_eq!((rows[0].status_code, rows[0].outcome.as_str()), (499, "cancelled"), "{rows:?}");
    drop(client);
}

#[test]
fn a_client_that_stops_reading_a_whole_answer_is_dropped() {
    let text = "x".repeat(LARGE);
    let body = json!({"model": "real", "choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]});
    let upstream = Upstream::json(&body.to_string());
    let variables = [("CLIENT_STALL_SECS", "0.5"), ("MAX_CONCURRENT_REQUESTS", "1")];
    let proxy = TestProxy::before_with(&upstream, &variables);
    let mut client = narrow(proxy.begin_chat(&hello("m")));
    assert_eq!(client.head().status, 200);
    // Its place is free when it is gone.
    eventually("the client is dropped", || proxy.begin_chat(&hello("m")).head().status == 200);
    drop(client);
}

#[test]
fn a_stream_that_is_silent_is_not_a_client_that_stalls() {
    let (go, gate) = Act::gate();
    let first = "data: {\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
    let upstream = Upstream::new(move |_| {
        vec![Act::stream_head(), Act::chunk(first), Act::Await(gate.clone()), Act::chunk("data: [DONE]\n\n")]
    });
    let proxy = TestProxy::before_with(
        &upstream,
        &[("CLIENT_STALL_SECS", "0.3"), ("HEADER_TIMEOUT_SECS", "2"), ("BODY_TIMEOUT_SECS", "0.3")],
    );
    let mut client = proxy.begin_chat(&hello_stream("m"));
    client.head();
    client.chunks_until(|text| text.contains("\"a\""));
    // By now another client's time is over.
    assert_ends(proxy.connect());
    go.send(()).unwrap();
    client.chunks_until(|text| text.contains("error") || text.contains("[DONE]"));
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_body_is_recorded_as_gone() {
    let proxy = TestProxy::before_mock();
    for framing in ["content-length: 500", "transfer-encoding: chunked"] {
        drop(begin(&proxy, "/v1/chat/completions", proxy.key(), framing, "1\r\n{\r\n"));
    }
    eventually("both are counted as 499", || {
        proxy.metric("llm_proxy_requests_total", &["status_code=\"499\"", "/v1/chat/completions"]) > 1.5
    });
    let folder = proxy.stop();
    let rows = log_rows(folder.path());
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!((row.status_code, row.outcome.as_str()), (499, "cancelled"), "{row:?}");
        assert_eq!(row.error_category.as_deref(), Some("client_cancelled"));
    }
}
