//! The mock over a real socket.

use super::{Options, bind};
use actix_web::dev::ServerHandle;
use serde_json::{Value, json};
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

struct Running {
    addr: SocketAddr,
    handle: ServerHandle,
}

struct Reply {
    head: String,
    body: String,
}

impl Running {
    fn start() -> Self {
        let options = Options { port: 0, pace: Duration::ZERO, handle_signals: false, ..Options::default() };
        let bound = bind(&options).unwrap();
        let addr = bound.addr();
        let server = bound.run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { addr, handle }
    }

    async fn send(&self, method: &str, path: &str, body: &str) -> TcpStream {
        let mut socket = TcpStream::connect(self.addr).await.unwrap();
        let length = body.len();
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: mock\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        socket
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        let mut bytes = Vec::new();
        self.send(method, path, body).await.read_to_end(&mut bytes).await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Reply { head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask("POST", path, &body.to_string()).await
    }

    async fn stop(self) {
        self.handle.stop(false).await;
    }
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The `data:` of every event; chunk sizes stand on lines of their own.
    fn events(&self) -> Vec<&str> {
        self.body.lines().filter_map(|line| line.strip_prefix("data: ")).collect()
    }

    fn is_complete(&self) -> bool {
        self.body.ends_with("0\r\n\r\n")
    }
}

fn chat(model: &str, stream: bool) -> Value {
    json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "say this back"}]})
}

#[actix_web::test]
async fn a_whole_chat_answer_echoes_the_user_with_and_without_the_prefix() {
    let mock = Running::start();
    for path in ["/v1/chat/completions", "/chat/completions"] {
        let reply = mock.post(path, &chat("mock-echo", false)).await;
        assert!(reply.head.starts_with("http/1.1 200"));
        assert!(reply.head.contains("x-request-id: req_mock_"));
        assert_eq!(reply.json()["choices"][0]["message"]["content"], "say this back");
        assert_eq!(reply.json()["usage"]["total_tokens"], 6);
    }
    mock.stop().await;
}

#[actix_web::test]
async fn a_streamed_chat_answer_ends_with_done() {
    let mock = Running::start();
    let reply = mock.post("/v1/chat/completions", &chat("mock", true)).await;
    assert!(reply.head.contains("content-type: text/event-stream"));
    assert!(reply.is_complete());
    let events = reply.events();
    assert!(events.len() > 5);
    assert_eq!(events.last(), Some(&"[DONE]"));
    mock.stop().await;
}

#[actix_web::test]
async fn a_messages_stream_has_its_events_in_order() {
    let mock = Running::start();
    let reply = mock.post("/v1/messages", &chat("mock-thinking", true)).await;
    assert!(reply.head.contains("\r\nrequest-id: req_mock_"));
    let events: Vec<Value> = reply.events().into_iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    let mut kinds: Vec<String> = Vec::new();
    for event in &events {
        let index = event["index"].as_u64().map(|index| format!(" {index}")).unwrap_or_default();
        kinds.push(format!("{}{index}", event["type"].as_str().unwrap()));
    }
    kinds.dedup();
    let want = [
        "message_start",
        "content_block_start 0",
        "ping",
        "content_block_delta 0",
        "content_block_stop 0",
        "content_block_start 1",
        "content_block_delta 1",
        "content_block_stop 1",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(kinds, want);
    mock.stop().await;
}

#[actix_web::test]
async fn a_responses_stream_counts_its_events_and_ends_with_the_whole_response() {
    let mock = Running::start();
    let body = json!({"model": "mock-echo", "stream": true, "input": "say this back"});
    let reply = mock.post("/v1/responses", &body).await;
    let events: Vec<Value> = reply.events().into_iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "say this back");
    assert_eq!(last["response"]["usage"]["output_tokens"], 3);
    mock.stop().await;
}

#[actix_web::test]
async fn a_cut_stream_sends_words_but_no_end() {
    let mock = Running::start();
    let reply = mock.post("/v1/chat/completions", &chat("mock-cut", true)).await;
    assert!(reply.events().len() > 2);
    assert!(!reply.body.contains("[DONE]"));
    assert!(!reply.is_complete());
    mock.stop().await;
}

#[actix_web::test]
async fn a_cut_answer_is_shorter_than_its_length_says() {
    let mock = Running::start();
    let reply = mock.post("/v1/messages", &chat("mock-cut", false)).await;
    let length = reply.head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(!reply.body.is_empty());
    assert!(reply.body.len() < length.parse::<usize>().unwrap());
    mock.stop().await;
}

#[actix_web::test]
async fn a_stalled_stream_sends_words_and_nothing_more_until_it_is_broken_off() {
    let mock = Running::start();
    let mut socket = mock.send("POST", "/v1/chat/completions", &chat("mock-stall", true).to_string()).await;
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(" I") {
        assert_ne!(socket.read_buf(&mut seen).await.unwrap(), 0);
    }
    mock.stop().await;
    socket.read_to_end(&mut seen).await.unwrap();
    let seen = String::from_utf8(seen).unwrap();
    assert_eq!(seen.matches("\"content\":").count(), 3, "the opening and two words: {seen}");
    assert!(!seen.contains("[DONE]") && !seen.ends_with("0\r\n\r\n"));
}

#[actix_web::test]
async fn a_status_model_answers_with_the_error_of_the_protocol() {
    let mock = Running::start();
    let reply = mock.post("/v1/chat/completions", &chat("mock-status-429", true)).await;
    assert!(reply.head.starts_with("http/1.1 429"));
    assert!(reply.head.contains("retry-after: 1"));
    assert_eq!(reply.json()["error"]["code"], "rate_limit_exceeded");
    let reply = mock.post("/v1/messages", &chat("mock-status-529", false)).await;
    assert!(reply.head.starts_with("http/1.1 529"));
    assert_eq!(reply.json()["error"]["type"], "overloaded_error");
    mock.stop().await;
}

#[actix_web::test]
async fn what_cannot_be_read_is_refused_in_the_shape_of_the_protocol() {
    let mock = Running::start();
    let reply = mock.ask("POST", "/v1/responses", "{").await;
    assert!(reply.head.starts_with("http/1.1 400"));
    assert_eq!(reply.json()["error"]["code"], "invalid_json");
    let reply = mock.post("/v1/messages", &json!({"messages": []})).await;
    assert!(reply.head.starts_with("http/1.1 400"));
    assert_eq!(reply.json()["type"], "error");
    assert_eq!(mock.ask("GET", "/v1/nothing", "").await.json()["error"]["code"], "unknown_url");
    mock.stop().await;
}

#[actix_web::test]
async fn health_and_models_are_answered() {
    let mock = Running::start();
    assert!(mock.ask("GET", "/health", "").await.head.starts_with("http/1.1 200"));
    let models = mock.ask("GET", "/v1/models", "").await.json();
    assert_eq!(models["data"][0]["id"], "mock");
    mock.stop().await;
}
