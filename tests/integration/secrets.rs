//! Keys stay where they belong.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::tempdir;

use crate::support::{ADMIN_KEY, Act, Connection, Process, TestProxy, Upstream, bytes_on_disk, hello};

const PROVIDER_KEY: &str = "provider-key-4f1c90";
const CLIENT_KEY: &str = "client-key-chosen-by-the-admin-77ab";
const UNKNOWN_KEY: &str = "unknown-client-key-55";
const WRONG_ADMIN_KEY: &str = "Bearer-wrong-admin-key-9";
const EXTRA: &str = "header-secret-18e2";
const PROMPT: &str = "what-nobody-else-may-read-3e9d";

fn contains(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

fn hash(key: &str) -> String {
    Sha256::digest(key).iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

/// The real binary, and everything that it showed.
struct Observed {
    process: Process,
    address: SocketAddr,
    shown: Vec<Vec<u8>>,
}

impl Observed {
    fn admin(&mut self, method: &str, path: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {ADMIN_KEY}");
        let mut connection = Connection::open(self.address);
        let answer = connection.ask(method, path, &[("authorization", &bearer)], body.to_string().as_bytes());
        assert!((200..300).contains(&answer.status), "{answer:?}");
        let json = serde_json::from_slice(&answer.body).unwrap_or_default();
        self.shown.push(answer.body);
        json
    }

    /// A plain key, which its own answer shows this once.
    fn new_key(&mut self, path: &str, body: &Value, member: &str) -> String {
        let made = self.admin("POST", path, body);
        self.shown.pop();
        made[member].as_str().unwrap().to_owned()
    }

    /// Asks in every way that a key can be used in, with and without success.
    fn chat(&mut self, header: &str, value: &str) {
        for (model, stream) in [("good", false), ("good", true), ("bad", false), ("bad", true), ("none", false)] {
            let messages = json!([{"role": "user", "content": PROMPT}]);
            let body = json!({"model": model, "stream": stream, "messages": messages}).to_string();
            let mut connection = Connection::open(self.address);
            let answer = connection.ask("POST", "/v1/chat/completions", &[(header, value)], body.as_bytes());
            self.shown.push(answer.body);
        }
    }
}

/// A provider that answers the model `good` and quotes its keys to all others.
fn talkative() -> Upstream {
    let said =
        format!(r#"{{"error":{{"message":"bad key {PROVIDER_KEY} or {EXTRA}","type":"t","param":null,"code":null}}}}"#);
    Upstream::new(move |request| {
        let answer = match request.json()["model"].as_str() {
            Some("good") => "HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"choices\":[]}".to_owned(),
            _ => format!("HTTP/1.1 401 No\r\ncontent-length: {}\r\n\r\n{said}", said.len()),
        };
        vec![Act::send(answer)]
    })
}

#[test]
fn no_key_and_no_prompt_is_logged_shown_or_measured() {
    let folder = tempdir().unwrap();
    let upstream = talkative();
    let (process, address) = Process::serve(&folder, &[("RUST_LOG", "debug,llm_proxy=trace")]);
    let mut server = Observed { process, address, shown: Vec::new() };
    let provider = json!({
        "provider_key": "main", "provider_type": "openai", "api_base": upstream.base(), "api_key": PROVIDER_KEY,
        "model_mapping": {"good": "good", "bad": "bad"}, "provider_params": {"headers": {"x-extra-token": EXTRA}},
    });
    server.admin("POST", "/admin/v1/providers", &provider);
    server.admin("POST", "/admin/v1/credentials", &json!({"name": "chosen", "key": CLIENT_KEY}));
    let generated = server.new_key("/admin/v1/credentials", &json!({"name": "generated"}), "key");
    let rotated = server.new_key("/admin/v1/credentials/2/rotate", &json!({"grace_secs": 60}), "new_key");
    server.chat("authorization", &format!("Bearer {CLIENT_KEY}"));
    server.chat("x-api-key", &generated);
    server.chat("api-key", &rotated);
    server.chat("x-api-key", UNKNOWN_KEY);
    let mut connection = Connection::open(address);
    let answer = connection.ask("GET", "/admin/v1/providers", &[("authorization", WRONG_ADMIN_KEY)], b"");
    assert_eq!(answer.status, 401);
    for path in ["providers", "providers/1", "credentials", "credentials/1", "config/version", "openapi.json"] {
        server.admin("GET", &format!("/admin/v1/{path}"), &Value::Null);
    }
    for path in ["logs", "error-logs", "logs/export", "error-logs/export"] {
        server.admin("GET", &format!("/admin/v1/{path}"), &Value::Null);
    }
    for path in ["/metrics", "/health"] {
        server.admin("GET", path, &Value::Null);
    }
    server.process.signal("TERM");
    let (status, log) = server.process.wait();
    assert!(status.success(), "{log}");
    assert!(log.contains("\"level\":\"debug\"") && log.contains("attempt failed"), "the log says too little: {log}");
    let keys = [PROVIDER_KEY, CLIENT_KEY, ADMIN_KEY, UNKNOWN_KEY, WRONG_ADMIN_KEY, EXTRA, &generated, &rotated];
    for secret in keys.into_iter().chain([PROMPT]) {
        assert!(!log.contains(secret), "{secret} is logged:\n{log}");
        for text in &server.shown {
            assert!(!contains(text, secret), "{secret} is shown: {}", String::from_utf8_lossy(text));
        }
    }
}

#[test]
fn the_database_holds_client_keys_only_as_hashes() {
    let mut proxy = TestProxy::before_mock();
    proxy.credential(json!({"name": "generated"}));
    let generated = proxy.key().to_owned();
    proxy.configure("POST", "/credentials", &json!({"name": "chosen", "key": CLIENT_KEY}));
    let rotated = proxy.configure("POST", "/credentials/2/rotate", &json!({"grace_secs": 60}))["new_key"].clone();
    let rotated = rotated.as_str().unwrap();
    assert_eq!(proxy.chat(&hello("mock")).status, 200);
    let database = proxy.database();
    let running = bytes_on_disk(database.parent().unwrap());
    let folder = proxy.stop();
    for bytes in [running, bytes_on_disk(folder.path())] {
        for key in [generated.as_str(), CLIENT_KEY, rotated] {
            assert!(contains(&bytes, &hash(key)), "the hash of {key} is not stored");
            assert!(!contains(&bytes, key), "{key} is stored");
            assert!(!contains(&bytes, key.strip_prefix("sk-").unwrap_or(key)), "{key} is stored");
        }
        assert!(!contains(&bytes, ADMIN_KEY));
    }
}
