//! More requests than may run at once.

use serde_json::json;

use crate::support::{Act, Connection, TestProxy, Upstream, assert_error, eventually, hello, hello_stream};

const CHAT: &str = "/v1/chat/completions";
const CONTENT: &str = "data: {\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
const END: &str = "data: {\"model\":\"real\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"choices\":[]}";

/// A provider whose streams hang after their first content; whole answers come at once.
fn hanging() -> Upstream {
    Upstream::new(|request| {
        if request.json()["stream"] == json!(true) {
            return vec![Act::stream_head(), Act::chunk(CONTENT), Act::Hang];
        }
        vec![Act::send(WHOLE)]
    })
}

/// A stream whose first content has come.
fn stream(proxy: &TestProxy) -> Connection {
    let mut stream = proxy.begin_chat(&hello_stream("m"));
    assert_eq!(stream.head().status, 200);
    stream.chunks_until(|text| text.contains("\"a\""));
    stream
}

#[test]
fn above_the_cap_a_request_is_refused_before_its_key_is_looked_at() {
    let upstream = hanging();
    let proxy = TestProxy::before_with(&upstream, &[("MAX_CONCURRENT_REQUESTS", "2")]);
    let running = [stream(&proxy), stream(&proxy)];
    let bearer = proxy.bearer();
    let mut connection = proxy.connect();
    for headers in [&[][..], &[("authorization", bearer.as_str())]] {
        let refused = connection.ask("POST", CHAT, headers, b"");
        assert_error(&refused, 503, "overloaded");
        assert_eq!(refused.json()["error"]["type"], "server_error");
        assert_eq!((refused.header("retry-after"), refused.header("connection")), (Some("1"), None));
    }
    let refused = connection.ask("POST", "/v1/messages", &[], b"");
    assert_eq!((refused.status, &refused.json()["error"]["type"]), (503, &json!("overloaded_error")), "{refused:?}");
    // What costs no provider is answered as ever.
    assert_eq!(proxy.get("/v1/models").status, 200);
    assert_eq!(proxy.get("/health").status, 200);
    proxy.configure("GET", "/providers", &json!(null));
    drop(running);
    eventually("the places are free again", || proxy.chat(&hello("m")).status == 200);
    let refusals = proxy.metric("llm_proxy_requests_total", &["status_code=\"503\"", "api_key_name=\"unknown\""]);
    assert!(refusals >= 3.0, "{refusals}");
}

#[test]
fn a_stream_holds_its_place_to_its_end_and_no_longer() {
    let (go, gate) = Act::gate();
    let upstream = Upstream::new(move |request| {
        if request.json()["stream"] != json!(true) {
            return vec![Act::send(WHOLE)];
        }
        let rest = [Act::Await(gate.clone()), Act::chunk(END), Act::send("0\r\n\r\n")];
        [Act::stream_head(), Act::chunk(CONTENT)].into_iter().chain(rest).collect()
    });
    let proxy = TestProxy::before_with(&upstream, &[("MAX_CONCURRENT_REQUESTS", "1")]);
    let mut stream = stream(&proxy);
    assert_error(&proxy.chat(&hello("m")), 503, "overloaded");
    go.send(()).unwrap();
    stream.chunks_until(|text| text.contains("[DONE]"));
    assert_eq!(stream.chunk(), None);
    // Its connection is still open, its place is not taken any more.
    assert_eq!(proxy.chat(&hello("m")).status, 200);
}

#[test]
fn an_answer_that_is_not_read_holds_its_place() {
    let text = "x".repeat(12 << 20);
    let body = json!({"model": "real", "choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]});
    let upstream = Upstream::json(&body.to_string());
    let proxy = TestProxy::before_with(&upstream, &[("MAX_CONCURRENT_REQUESTS", "1")]);
    let mut unread = proxy.begin_chat(&hello("m"));
    socket2::SockRef::from(&*unread.socket()).set_recv_buffer_size(65_536).unwrap();
    let head = unread.head();
    assert_eq!(head.status, 200);
    assert_error(&proxy.chat(&hello("m")), 503, "overloaded");
    assert!(unread.rest(head).body.len() > 12 << 20);
    let mut next = proxy.begin_chat(&hello("m"));
    assert_eq!(next.head().status, 200);
}

#[test]
fn zero_is_no_cap() {
    let upstream = hanging();
    let proxy = TestProxy::before_with(&upstream, &[("MAX_CONCURRENT_REQUESTS", "0")]);
    let running: Vec<Connection> = (0..20).map(|_| stream(&proxy)).collect();
    assert_eq!(proxy.chat(&hello("m")).status, 200);
    drop(running);
}
