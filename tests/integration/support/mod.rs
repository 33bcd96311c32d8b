//! What the tests share: the server under test, its clients and its providers.

mod database;
mod http;
mod process;
mod proxy;
#[expect(dead_code, reason = "each of the test programs needs a part of it")]
#[path = "../../support/servers.rs"]
pub mod servers;
mod tls;
mod upstream;
mod wait;
pub mod websocket;

use serde_json::{Value, json};

pub use self::database::{LogRow, bytes_on_disk, execute, lock, log_rows};
pub use self::http::{Answer, Connection, Headers};
pub use self::process::Process;
pub use self::proxy::{ADMIN_KEY, TestProxy, mock};
pub use self::tls::behind_tls;
pub use self::upstream::{Act, Received, Upstream};
pub use self::wait::{alone, eventually};

/// A Chat request of one user message.
pub fn hello(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]})
}

/// The same, streamed.
pub fn hello_stream(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "Hello"}], "stream": true})
}

/// Asserts an error of OpenAI's shape: exactly its four members, and the header that repeats the code.
#[track_caller]
pub fn assert_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
    let error = &answer.json()["error"];
    let members: Vec<&String> =
        error.as_object().unwrap_or_else(|| panic!("no error object: {answer:?}")).keys().collect();
    assert_eq!(members, ["message", "type", "param", "code"], "{answer:?}");
    assert_eq!(error["code"], code, "{answer:?}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer:?}");
    assert_eq!(answer.header("x-llm-proxy-error-code"), Some(code), "{answer:?}");
    assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()), "{answer:?}");
}
