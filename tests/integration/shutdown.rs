//! The end of the process.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use llm_proxy::server::Stop;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::support::websocket::WebSocket;
use crate::support::{
    ADMIN_KEY, Act, Connection, Process, TestProxy, Upstream, assert_error, eventually, hello, hello_stream, log_rows,
};

const FIRST: &str = "data: {\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
const LAST: &str = "data: {\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"choices\":[]}";

/// A provider whose streams wait in the middle until the sender is used or dropped.
fn halting() -> (Upstream, Sender<()>) {
    let (go, gate) = Act::gate();
    let upstream = Upstream::new(move |request| {
        if request.json()["stream"] != json!(true) {
            return vec![Act::send(WHOLE)];
        }
        let rest = [Act::Await(gate.clone()), Act::chunk(LAST), Act::send("0\r\n\r\n")];
        [Act::stream_head(), Act::chunk(FIRST)].into_iter().chain(rest).collect()
    });
    (upstream, go)
}

/// The real binary before `upstream`, with one key.
struct Server {
    process: Process,
    address: SocketAddr,
    bearer: String,
    folder: TempDir,
}

impl Server {
    fn before(upstream: &Upstream, variables: &[(&str, &str)]) -> Self {
        let folder = tempdir().unwrap();
        let (process, address) = Process::serve(&folder, variables);
        let admin = format!("Bearer {ADMIN_KEY}");
        let make = |path: &str, body: Value| {
            let headers = [("authorization", admin.as_str())];
            let answer = Connection::open(address).ask("POST", path, &headers, body.to_string().as_bytes());
            assert_eq!(answer.status, 201, "{answer:?}");
            answer.json()
        };
        make(
            "/admin/v1/providers",
            json!({"provider_key": "main", "provider_type": "openai", "api_base": upstream.base(), "api_key": "k",
                "model_mapping": {"m": "real"}}),
        );
        let key = make("/admin/v1/credentials", json!({"name": "tester"}));
        let bearer = format!("Bearer {}", key["key"].as_str().unwrap());
        Self { process, address, bearer, folder }
    }

    fn begin(&self, body: &Value) -> Connection {
        let mut connection = Connection::open(self.address);
        let headers = [("authorization", self.bearer.as_str())];
        connection.send("POST", "/v1/chat/completions", &headers, body.to_string().as_bytes());
        connection
    }

    /// A stream whose first content has come.
    fn stream(&self) -> Connection {
        let mut stream = self.begin(&hello_stream("m"));
        assert_eq!(stream.head().status, 200);
        stream.chunks_until(|text| text.contains("\"a\""));
        stream
    }
}

#[test]
fn on_sigterm_traffic_is_led_away_and_running_streams_end_well() {
    let (upstream, go) = halting();
    let server = Server::before(&upstream, &[("SHUTDOWN_DELAY_SECS", "1")]);
    let mut stream = server.stream();
    server.process.signal("TERM");
    let ready = || Connection::open(server.address).ask("GET", "/health/ready", &[], b"");
    eventually("the process is not ready", || ready().status == 503);
    assert_eq!(ready().json(), json!({"status": "draining"}));
    assert_eq!(Connection::open(server.address).ask("GET", "/health", &[], b"").json()["status"], "draining");
    assert_eq!(Connection::open(server.address).ask("GET", "/health/live", &[], b"").status, 200);
    // Load balancers need a moment; until then requests are still served.
    assert_eq!(server.begin(&hello("m")).answer("POST").status, 200);
    eventually("the listener is closed", || std::net::TcpStream::connect(server.address).is_err());
    go.send(()).unwrap();
    assert!(stream.chunks_until(|text| text.contains("[DONE]")).contains("\"finish_reason\":\"stop\""));
    assert_eq!(stream.chunk(), None);
    let (status, log) = server.process.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("\"message\":\"stopped\""), "{log}");
}

#[test]
fn on_sigint_there_is_no_delay() {
    let (upstream, go) = halting();
    let server = Server::before(&upstream, &[("SHUTDOWN_DELAY_SECS", "3600")]);
    let mut stream = server.stream();
    server.process.signal("INT");
    eventually("the listener is closed", || std::net::TcpStream::connect(server.address).is_err());
    go.send(()).unwrap();
    stream.chunks_until(|text| text.contains("[DONE]"));
    drop(stream);
    assert_eq!(server.process.wait().0.code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let (upstream, _go) = halting();
    let server = Server::before(&upstream, &[("SHUTDOWN_DRAIN_SECS", "3600")]);
    let _stream = server.stream();
    server.process.signal("INT");
    server.process.wait_for("second signal");
    server.process.signal("INT");
    assert_eq!(server.process.wait().0.code(), Some(1));
}

#[test]
fn a_new_request_on_a_kept_connection_is_not_served_any_more() {
    let (upstream, go) = halting();
    let mut proxy = TestProxy::before_with(&upstream, &[("SHUTDOWN_DRAIN_SECS", "10")]);
    let mut stream = proxy.begin_chat(&hello_stream("m"));
    stream.head();
    let bearer = proxy.bearer();
    let mut kept = proxy.connect();
    let headers = [("authorization", bearer.as_str())];
    assert_eq!(kept.ask("POST", "/v1/chat/completions", &headers, hello("m").to_string().as_bytes()).status, 200);
    proxy.begin_stop(Stop::Soon);
    eventually("the listener is closed", || std::net::TcpStream::connect(proxy.address()).is_err());
    // The server may close an idle connection, or answer on it, but it serves nothing more.
    if !kept.is_closed() {
        kept.send("POST", "/v1/chat/completions", &headers, hello("m").to_string().as_bytes());
        let answer = kept.answer("POST");
        assert_error(&answer, 503, "shutting_down");
        assert_eq!((answer.header("connection"), answer.header("retry-after")), (Some("close"), Some("1")));
    }
    go.send(()).unwrap();
    stream.chunks_until(|text| text.contains("[DONE]"));
}

#[test]
fn a_body_that_still_comes_when_the_time_is_over_is_refused() {
    let (upstream, _go) = halting();
    let mut proxy = TestProxy::before_with(&upstream, &[("SHUTDOWN_DRAIN_SECS", "0.3")]);
    let mut connection = proxy.connect();
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\nauthorization: {}\r\n", proxy.bearer());
    connection.socket().write_all(format!("{head}content-length: 100\r\n\r\n{{").as_bytes()).unwrap();
    eventually("the request runs", || proxy.metric("llm_proxy_active_requests", &[]) > 0.5);
    proxy.begin_stop(Stop::Soon);
    assert_error(&connection.answer("POST"), 503, "shutting_down");
}

#[test]
fn what_still_runs_when_the_time_is_over_is_told_so() {
    let (upstream, _go) = halting();
    let mut proxy = TestProxy::before_with(&upstream, &[("SHUTDOWN_DRAIN_SECS", "1")]);
    let mut stream = proxy.begin_chat(&hello_stream("m"));
    stream.head();
    proxy.begin_stop(Stop::Soon);
    let rest = stream.chunks_until(|text| text.contains("\"error\""));
    assert!(rest.contains("\"code\":\"shutting_down\""), "{rest}");
    assert_eq!(stream.chunk(), None);
}

#[test]
fn the_last_requests_are_logged_before_the_end() {
    let proxy = TestProxy::before_mock();
    for _ in 0..20 {
        assert_eq!(proxy.chat(&hello("mock")).status, 200);
    }
    let folder = proxy.stop();
    assert_eq!(log_rows(folder.path()).len(), 20);
}

#[test]
fn while_it_is_led_away_traffic_is_served_and_its_connections_end() {
    let mut proxy = TestProxy::before_mock_with(&[("SHUTDOWN_DELAY_SECS", "3600")]);
    let bearer = proxy.bearer();
    let headers = [("authorization", bearer.as_str())];
    let mut kept = [proxy.connect(), proxy.connect(), proxy.connect()];
    for connection in &mut kept {
        let answer = connection.ask("GET", "/health/ready", &[], b"");
        assert_eq!((answer.status, answer.header("connection")), (200, None));
    }
    proxy.begin_stop(Stop::Delayed);
    let ready = || Connection::open(proxy.address()).ask("GET", "/health/ready", &[], b"").status;
    eventually("the process is not ready", || ready() == 503);
    let [health, chat, stream] = &mut kept;
    let told = [
        health.ask("GET", "/health", &[], b""),
        chat.ask("POST", "/v1/chat/completions", &headers, hello("mock").to_string().as_bytes()),
        stream.ask("POST", "/v1/chat/completions", &headers, hello_stream("mock").to_string().as_bytes()),
    ];
    for answer in told {
        assert_eq!((answer.status, answer.header("connection")), (200, Some("close")), "{answer:?}");
    }
    assert!(kept.iter_mut().all(Connection::is_closed));
    // A websocket is no connection that a load balancer keeps.
    let mut feed = WebSocket::feed(proxy.address(), "");
    assert_eq!(feed.message()["type"], "hello");
}

#[test]
fn who_came_before_the_listener_was_closed_is_answered() {
    let upstream = Upstream::json("{\"choices\":[]}");
    let mut proxy = TestProxy::before_with(&upstream, &[("SHUTDOWN_DRAIN_SECS", "10")]);
    let bearer = proxy.bearer();
    let headers = [("authorization", bearer.as_str())];
    let body = hello("m").to_string();
    // This one has said nothing yet, so the server waits for it a moment before it closes.
    let mut early = proxy.connect();
    let mut kept = proxy.connect();
    let mut status = || kept.ask("GET", "/health", &[], b"").json()["status"].clone();
    assert_eq!(status(), "ok");
    proxy.begin_stop(Stop::Soon);
    eventually("the server stops", || status() == "draining");
    // Few of these are accepted before nobody accepts any more.
    let late = (0..50).map(|_| {
        let mut connection = proxy.connect();
        connection.send("POST", "/v1/chat/completions", &headers, body.as_bytes());
        connection
    });
    let late: Vec<Connection> = late.collect();
    early.send("POST", "/v1/chat/completions", &headers, body.as_bytes());
    for mut connection in late.into_iter().chain([early]) {
        let answer = connection.answer("POST");
        if answer.status != 200 {
            assert_error(&answer, 503, "shutting_down");
            assert_eq!((answer.header("connection"), answer.header("retry-after")), (Some("close"), Some("1")));
        }
    }
    eventually("the listener is closed", || std::net::TcpStream::connect(proxy.address()).is_err());
    proxy.stop();
}

#[test]
fn clients_that_read_nothing_do_not_hold_the_process_back() {
    let content = "a".repeat(50_000);
    let event = format!(
        "data: {{\"model\":\"real\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{content}\"}}}}]}}\n\n"
    );
    let (sent, stalled) = std::sync::mpsc::channel();
    let upstream = Upstream::new(move |_| {
        let events = (0..240).map(|_| Act::chunk(&event));
        // What is behind the first events reaches nobody.
        let _ = sent.send(());
        [Act::stream_head()].into_iter().chain(events).chain([Act::Hang]).collect()
    });
    let variables = [("SHUTDOWN_DRAIN_SECS", "1"), ("CLIENT_STALL_SECS", "0"), ("DB_URL", "sqlite://test.db")];
    let server = Server::before(&upstream, &variables);
    let mut reader = server.begin(&hello_stream("m"));
    socket2::SockRef::from(&*reader.socket()).set_recv_buffer_size(65_536).unwrap();
    assert_eq!(reader.head().status, 200);
    stalled.recv().unwrap();
    let _feed = WebSocket::feed(server.address, "");
    let begin = Instant::now();
    server.process.signal("INT");
    let (status, log) = server.process.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    // A second until the listener is closed, one to drain, five for last words and two looks of
    // actix-server, which looks once a second; the rest is the machine's.
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}: {log}", begin.elapsed());
    assert!(log.contains("\"message\":\"stopped\""), "{log}");
    // It was this server that ended the stream, not its client.
    let rows = log_rows(server.folder.path());
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((row.outcome.as_str(), row.error_category.as_deref()), ("failed", Some("internal_error")), "{row:?}");
}
