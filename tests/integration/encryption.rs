//! Provider keys sealed at rest, through the life of an encryption key.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use crate::support::{ADMIN_KEY, Act, Connection, Process, Upstream, bytes_on_disk, eventually, hello};

const FIRST: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const SECOND: &str = "2222222222222222222222222222222222222222222222222222222222222222";
const CLIENT_KEY: &str = "client-key-of-the-encryption-test";

/// A server with a database in its folder, which outlives it.
struct Server {
    process: Process,
    address: SocketAddr,
}

impl Server {
    fn start(folder: &TempDir, keys: &[(&str, &str)]) -> Self {
        let (process, address) = Process::serve(folder, keys);
        Self { process, address }
    }

    fn stop(self) -> String {
        self.process.signal("INT");
        let (status, log) = self.process.wait();
        assert!(status.success(), "{log}");
        log
    }

    #[track_caller]
    fn admin(&self, method: &str, path: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {ADMIN_KEY}");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let path = format!("/admin/v1{path}");
        let answer = Connection::open(self.address).ask(method, &path, &[("authorization", &bearer)], body.as_bytes());
        assert!((200..300).contains(&answer.status), "{answer:?}");
        answer.json()
    }

    fn provider(&self, key: &str, upstream: &Upstream) {
        let provider = json!({
            "provider_key": key, "provider_type": "openai", "api_base": upstream.base(),
            "api_key": format!("sk-secret-of-{key}"), "model_mapping": {key: "real"},
        });
        self.admin("POST", "/providers", &provider);
    }

    /// The states of all providers' keys, by id.
    fn states(&self) -> Vec<String> {
        let list = self.admin("GET", "/providers", &Value::Null);
        let state = |provider: &Value| provider["api_key_state"].as_str().unwrap().to_owned();
        list["providers"].as_array().unwrap().iter().map(state).collect()
    }

    fn version(&self) -> i64 {
        self.admin("GET", "/config/version", &Value::Null)["version"].as_i64().unwrap()
    }

    /// The status of a request for `model`, and the key that the provider got.
    fn ask(&self, model: &str, upstream: &Upstream) -> (u16, Option<String>) {
        let bearer = format!("Bearer {CLIENT_KEY}");
        let body = hello(model).to_string();
        let headers = [("authorization", bearer.as_str())];
        let answer = Connection::open(self.address).ask("POST", "/v1/chat/completions", &headers, body.as_bytes());
        let key = (answer.status == 200).then(|| upstream.request().header("authorization").unwrap().to_owned());
        (answer.status, key)
    }
}

fn answering() -> Upstream {
    Upstream::new(|_| vec![Act::send("HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"choices\":[]}")])
}

fn contains(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

fn sent(key: &str) -> (u16, Option<String>) {
    (200, Some(format!("Bearer sk-secret-of-{key}")))
}

#[test]
fn a_key_that_no_longer_opens_takes_out_its_own_provider_and_rekeying_moves_all() {
    let (folder, upstream) = (tempdir().unwrap(), answering());
    let first = Server::start(&folder, &[("ENCRYPTION_KEY", FIRST)]);
    first.provider("sealed", &upstream);
    first.admin("POST", "/credentials", &json!({"name": "c", "key": CLIENT_KEY}));
    assert_eq!(first.states(), ["encrypted"]);
    assert_eq!(first.ask("sealed", &upstream), sent("sealed"));
    assert!(!first.stop().contains("ENCRYPTION_KEY"));
    for secret in ["sk-secret-of-sealed", CLIENT_KEY] {
        assert!(!contains(&bytes_on_disk(folder.path()), secret), "{secret} is stored");
    }

    // Another key, as after a wrong deployment: the others serve, and everything says which one does not.
    let other = Server::start(&folder, &[("ENCRYPTION_KEY", SECOND)]);
    other.provider("other", &upstream);
    assert_eq!(other.states(), ["undecryptable", "encrypted"]);
    assert_eq!(other.ask("other", &upstream), sent("other"));
    assert_eq!(other.ask("sealed", &upstream).0, 503);
    let explained = other.admin("POST", "/explain", &json!({"model": "sealed", "protocol": "openai"}));
    assert_eq!(explained["outcome"], "no_provider_available", "{explained}");
    assert_eq!(explained["candidates"][0]["excluded_because"], "undecryptable_key", "{explained}");
    assert!(other.stop().contains("api_key"), "the log does not name it");
    let run = |arguments: &[&str], keys: &[(&str, &str)]| {
        let all: Vec<(&str, &str)> = [("ADMIN_KEY", ADMIN_KEY)].iter().chain(keys).copied().collect();
        Process::output(&folder, arguments, &all)
    };
    let (code, _, problems) = run(&["check"], &[("ENCRYPTION_KEY", SECOND)]);
    assert!(code == 3 && problems.contains("provider 1: api_key"), "{code}: {problems}");
    let (code, _, error) = run(&["rekey"], &[("ENCRYPTION_KEY", SECOND)]);
    assert!(code == 1 && error.contains("sealed") && !error.contains("other"), "{code}: {error}");

    let both = [("ENCRYPTION_KEY", SECOND), ("ENCRYPTION_KEY_OLD", FIRST)];
    let server = Server::start(&folder, &both);
    assert_eq!(server.ask("sealed", &upstream), sent("sealed"));
    let (code, dry, _) = run(&["rekey", "--dry-run"], &both);
    assert_eq!((code, dry.trim()), (0, "1 provider keys and 1 history entries would be re-encrypted"));
    let (code, done, _) = run(&["rekey"], &both);
    assert_eq!((code, done.trim()), (0, "1 provider keys and 1 history entries re-encrypted"));
    server.admin("POST", "/config/reload", &Value::Null);
    assert_eq!(server.ask("sealed", &upstream), sent("sealed"));
    server.stop();
    let (code, done, _) = run(&["rekey"], &both);
    assert_eq!((code, done.trim()), (0, "0 provider keys and 0 history entries re-encrypted"));
    let alone = Server::start(&folder, &[("ENCRYPTION_KEY", SECOND)]);
    assert_eq!(alone.states(), ["encrypted", "encrypted"]);
    assert_eq!(alone.ask("sealed", &upstream), sent("sealed"));
    assert_eq!(run(&["check"], &[("ENCRYPTION_KEY", SECOND)]).0, 0);
}

#[test]
fn a_new_key_brings_back_a_provider_whose_old_one_does_not_open() {
    let (folder, upstream) = (tempdir().unwrap(), answering());
    let first = Server::start(&folder, &[("ENCRYPTION_KEY", FIRST)]);
    first.provider("p", &upstream);
    first.admin("POST", "/credentials", &json!({"name": "c", "key": CLIENT_KEY}));
    first.stop();
    let plain = Server::start(&folder, &[]);
    assert_eq!(plain.ask("p", &upstream).0, 503);
    plain.admin("PUT", "/providers/1", &json!({"api_key": "sk-secret-of-p"}));
    assert_eq!(plain.states(), ["plain"]);
    assert_eq!(plain.ask("p", &upstream), sent("p"));
    assert!(plain.stop().contains("ENCRYPTION_KEY is not set"));
}

#[test]
fn a_changed_key_is_presented_at_once_and_never_stored_as_it_is() {
    let (folder, upstream) = (tempdir().unwrap(), answering());
    let server = Server::start(&folder, &[("ENCRYPTION_KEY", FIRST)]);
    server.provider("p", &upstream);
    server.admin("POST", "/credentials", &json!({"name": "c", "key": CLIENT_KEY}));
    let before = server.version();
    server.admin("PUT", "/providers/1", &json!({"api_key": "sk-secret-of-p"}));
    assert_eq!(server.version(), before, "the same key is no change");
    server.admin("PUT", "/providers/1", &json!({"api_key": "sk-another"}));
    assert_eq!(server.ask("p", &upstream), (200, Some("Bearer sk-another".to_owned())));
    let last = &server.admin("GET", "/config/changes?limit=1", &Value::Null)["changes"][0];
    assert_eq!([&last["before"]["api_key"], &last["after"]["api_key"]], ["***", "*** (changed)"]);
    for secret in ["sk-secret-of-p", "sk-another", CLIENT_KEY] {
        assert!(!contains(&bytes_on_disk(folder.path()), secret), "{secret} is stored");
    }
}

#[test]
fn a_running_server_follows_a_rekey() {
    let (folder, upstream) = (tempdir().unwrap(), answering());
    let first = Server::start(&folder, &[("ENCRYPTION_KEY", FIRST)]);
    first.provider("p", &upstream);
    first.admin("POST", "/credentials", &json!({"name": "c", "key": CLIENT_KEY}));
    let before = first.version();
    first.stop();
    let both = [("ENCRYPTION_KEY", SECOND), ("ENCRYPTION_KEY_OLD", FIRST), ("CONFIG_POLL_SECS", "0.1")];
    let server = Server::start(&folder, &both);
    let (code, out, error) = Process::output(&folder, &["rekey"], &both);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    eventually("the server follows", || server.version() > before);
    assert_eq!(server.ask("p", &upstream), sent("p"));
    let last = &server.admin("GET", "/config/changes?limit=1", &Value::Null)["changes"][0];
    assert_eq!([&last["actor"], &last["action"], &last["entity_name"]], ["rekey", "update", "p"]);
    assert_eq!([&last["before"]["api_key"], &last["after"]["api_key"]], ["***", "***"]);
}

#[test]
fn after_a_rekey_the_file_forgets_what_was_plain() {
    let (folder, upstream) = (tempdir().unwrap(), answering());
    let server = Server::start(&folder, &[]);
    for n in 1..=20 {
        server.provider(&format!("p{n}"), &upstream);
        // Long enough for pages of its own.
        let long = json!({"model_mapping": {"m": "x".repeat(6000)}});
        server.admin("PUT", &format!("/providers/{n}"), &long);
    }
    assert!(contains(&bytes_on_disk(folder.path()), "sk-secret-of-p20"));
    server.stop();
    let (code, out, error) = Process::output(&folder, &["rekey"], &[("ENCRYPTION_KEY", FIRST)]);
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(out, "20 provider keys and 40 history entries re-encrypted\n");
    let stored = bytes_on_disk(folder.path());
    assert!(contains(&stored, "enc:v1:"));
    assert!(!contains(&stored, "sk-secret-of-"), "a plain key is still in the file");
}
