//! Requests that are sent before the answers to those before them have ended, and connections
//! that end with their answers.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use crate::support::{
    ADMIN_KEY, Act, Connection, Process, TestProxy, Upstream, alone, eventually, hello_stream, log_rows,
};

const CONTENT: &str = "data: {\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
const GET: &[u8] = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
/// How soon the provider must notice that a client is gone.
const SOON: Duration = Duration::from_millis(100);

/// A stream that has begun and goes on until the proxy hangs up.
fn endless() -> Upstream {
    Upstream::new(|_| vec![Act::stream_head(), Act::chunk(CONTENT), Act::Hang])
}

fn streaming(proxy: &TestProxy) -> Connection {
    let mut connection = proxy.begin_chat(&hello_stream("m"));
    assert_eq!(connection.head().status, 200);
    connection.chunks_until(|text| text.contains("\"a\""));
    connection
}

#[test]
fn requests_that_come_early_are_answered_in_their_order() {
    let (open, gate) = Act::gate();
    let upstream = Upstream::new(move |_| {
        let end = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        let pieces = [Act::stream_head(), Act::chunk(CONTENT), Act::Await(gate.clone()), Act::chunk(end)];
        pieces.into_iter().chain([Act::send("0\r\n\r\n")]).collect()
    });
    let proxy = TestProxy::before(&upstream);
    let mut connection = streaming(&proxy);
    let many = 500;
    connection.socket().write_all(&GET.repeat(many)).unwrap();
    open.send(()).unwrap();
    connection.chunks_until(|text| text.contains("[DONE]"));
    while connection.chunk().is_some() {}
    for _ in 0..many {
        let answer = connection.answer("GET");
        assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("ok")));
    }
}

#[test]
fn a_client_that_leaves_behind_early_requests_is_noticed_at_once() {
    let _alone = alone();
    for requests in [1, 300] {
        let upstream = endless();
        let proxy = TestProxy::before(&upstream);
        let mut connection = streaming(&proxy);
        connection.socket().write_all(&GET.repeat(requests)).unwrap();
        let left = Instant::now();
        drop(connection);
        let took = upstream.hangup().saturating_duration_since(left);
        assert!(took < SOON, "{requests} requests: it took {took:?}");
        eventually("the request is counted as 499", || {
            proxy.metric("llm_proxy_requests_total", &["status_code=\"499\"", "provider=\"main\""]) > 0.5
        });
    }
}

#[test]
fn a_client_that_sends_more_requests_than_anybody_waits_for_is_cut() {
    let upstream = endless();
    let proxy = TestProxy::before(&upstream);
    let mut connection = streaming(&proxy);
    // The end of it may find the connection gone.
    let _ = connection.socket().write_all(&GET.repeat(8000));
    upstream.hangup();
    let rows = log_rows(proxy.stop().path());
    assert_eq!((rows.len(), rows[0].status_code, rows[0].outcome.as_str()), (1, 499, "cancelled"), "{rows:?}");
}

#[test]
fn many_early_requests_whose_answers_nobody_reads_are_not_answered_ahead() {
    let folder = tempfile::tempdir().unwrap();
    let (process, address) = Process::serve(&folder, &[("ADMIN_KEY", ADMIN_KEY), ("WORKERS", "1")]);
    let mut greedy = Connection::open(address);
    let before = process.peak_memory().unwrap();
    // It ends when the proxy has had enough.
    let _ = greedy.socket().write_all(&b"GET /admin/v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(20_000));
    for _ in 0..100 {
        assert_eq!(Connection::open(address).ask("GET", "/health", &[], b"").status, 200);
    }
    let grown = process.peak_memory().unwrap() - before;
    assert!(grown < 32 << 20, "{grown} bytes");
}

#[test]
fn the_connection_ends_with_a_stream_that_broke() {
    let upstream = Upstream::new(|_| vec![Act::stream_head(), Act::chunk(CONTENT), Act::Close]);
    let proxy = TestProxy::before(&upstream);
    let mut connection = streaming(&proxy);
    let told = connection.chunks_until(|text| text.contains("upstream_stream_error"));
    assert!(!told.contains("[DONE]"), "{told}");
    assert_eq!(connection.chunk(), None, "the body is whole");
    assert!(connection.is_closed());
}

#[test]
fn the_connection_stays_with_a_stream_that_ended_well() {
    let proxy = TestProxy::before_mock();
    let mut connection = proxy.begin_chat(&hello_stream("mock"));
    connection.head();
    while connection.chunk().is_some() {}
    assert_eq!(connection.ask("GET", "/health", &[], b"").status, 200);
}

#[test]
fn the_end_of_a_connection_comes_with_the_last_bytes_of_its_broken_stream() {
    let error = "data: {\"error\":{\"message\":\"no\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n";
    let proxy = TestProxy::before(&Upstream::stream(&[CONTENT, error]));
    for round in 0..50 {
        let mut connection = streaming(&proxy);
        while connection.chunk().is_some() {}
        // A client looks just so before it sends its next request here.
        let mut stream = connection.into_stream();
        stream.get_ref().set_nonblocking(true).unwrap();
        let end = stream.read(&mut [0]);
        assert!(matches!(end, Ok(0)), "round {round}: {end:?}");
    }
}
