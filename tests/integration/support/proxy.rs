//! The server under test, in this process, on a port and a database of its own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix_web::rt::System;
use llm_proxy::api::FeedTimings;
use llm_proxy::server::{self, Stop};
use llm_proxy::settings::Settings;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{Answer, Connection, Headers, Upstream};

pub const ADMIN_KEY: &str = "admin-key-of-the-tests";

/// A running server. It stops when it is dropped; [`TestProxy::stop`] also waits for it.
pub struct TestProxy {
    address: SocketAddr,
    stop: Option<oneshot::Sender<Stop>>,
    thread: Option<JoinHandle<()>>,
    folder: TempDir,
    /// The plain key of the credential made last.
    key: String,
}

impl TestProxy {
    /// A server without providers and credentials.
    pub fn empty() -> Self {
        Self::with(&[])
    }

    /// The same with more variables in its environment.
    pub fn with(variables: &[(&str, &str)]) -> Self {
        Self::start(variables, FeedTimings::default())
    }

    /// The same with more variables in its environment, and a feed that is less patient.
    pub fn start(variables: &[(&str, &str)], timings: FeedTimings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(&folder, variables);
        let (bound_sender, bound) = channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            System::new().block_on(async move {
                let bound = server::bind(settings).await.unwrap().with_feed_timings(timings);
                bound_sender.send(bound.address()).unwrap();
                bound.serve(async { stopped.await.unwrap_or(Stop::Soon) }).await.unwrap();
            });
        });
        let address = bound.recv().expect("the server did not start");
        Self { address, stop: Some(stop), thread: Some(thread), folder, key: String::new() }
    }

    /// A server whose model `m` is `real` at this provider, with a credential for it.
    pub fn before(upstream: &Upstream) -> Self {
        Self::before_with(upstream, &[])
    }

    /// The same with more variables in its environment.
    pub fn before_with(upstream: &Upstream, variables: &[(&str, &str)]) -> Self {
        let mut proxy = Self::with(variables);
        proxy.provider("main", &upstream.base(), json!({"m": "real"}));
        proxy.credential(json!({"name": "tester"}));
        proxy
    }

    /// A server before the mock, which all models of its own name reach, with a credential.
    pub fn before_mock() -> Self {
        Self::before_mock_with(&[])
    }

    /// The same with more variables in its environment.
    pub fn before_mock_with(variables: &[(&str, &str)]) -> Self {
        let mut proxy = Self::with(variables);
        proxy.provider("mock", &mock(), json!({"mock": "mock", "mock-*": "mock-*"}));
        proxy.credential(json!({"name": "tester"}));
        proxy
    }

    /// Another replica on the same database, with the same key.
    pub fn beside(&self, variables: &[(&str, &str)]) -> Self {
        let database = format!("sqlite://{}", self.database().display());
        let variables: Vec<(&str, &str)> = [("DB_URL", database.as_str())].iter().chain(variables).copied().collect();
        let mut proxy = Self::with(&variables);
        proxy.key.clone_from(&self.key);
        proxy
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn database(&self) -> PathBuf {
        self.folder.path().join("test.db")
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// A request on a connection of its own.
    pub fn ask(&self, method: &str, path: &str, headers: Headers<'_>, body: &[u8]) -> Answer {
        self.connect().ask(method, path, headers, body)
    }

    pub fn get(&self, path: &str) -> Answer {
        let bearer = self.bearer();
        self.ask("GET", path, &[("authorization", &bearer)], b"")
    }

    /// A Chat request with the key of the credential made last.
    pub fn chat(&self, body: &Value) -> Answer {
        self.chat_bytes(body.to_string().as_bytes())
    }

    pub fn chat_bytes(&self, body: &[u8]) -> Answer {
        let bearer = self.bearer();
        self.ask("POST", "/v1/chat/completions", &[("authorization", &bearer)], body)
    }

    /// A Chat request with other headers.
    pub fn chat_with(&self, headers: Headers<'_>, body: &Value) -> Answer {
        self.ask("POST", "/v1/chat/completions", headers, body.to_string().as_bytes())
    }

    /// A Chat request that is sent, with the connection on which its answer comes.
    pub fn begin_chat(&self, body: &Value) -> Connection {
        let mut connection = self.connect();
        let bearer = self.bearer();
        connection.send("POST", "/v1/chat/completions", &[("authorization", &bearer)], body.to_string().as_bytes());
        connection
    }

    /// A call of the admin API; `path` is below `/admin/v1`.
    pub fn admin(&self, method: &str, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {ADMIN_KEY}");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask(method, &format!("/admin/v1{path}"), &[("authorization", &bearer)], body.as_bytes())
    }

    /// The same, which must succeed; gives its JSON.
    #[track_caller]
    pub fn configure(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.admin(method, path, body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
        if answer.body.is_empty() { Value::Null } else { answer.json() }
    }

    /// Makes an `openai` provider; gives its path in the admin API.
    #[track_caller]
    pub fn provider(&self, key: &str, base: &str, mapping: Value) -> String {
        self.provider_of(json!({
            "provider_key": key,
            "provider_type": "openai",
            "api_base": base,
            "api_key": format!("sk-secret-of-{key}"),
            "model_mapping": mapping,
        }))
    }

    /// Makes a provider; gives its path in the admin API.
    #[track_caller]
    pub fn provider_of(&self, provider: Value) -> String {
        format!("/providers/{}", self.configure("POST", "/providers", &provider)["id"])
    }

    /// Makes a credential, whose generated key is used from now on; gives its path in the admin API.
    #[track_caller]
    pub fn credential(&mut self, credential: Value) -> String {
        let made = self.configure("POST", "/credentials", &credential);
        self.key = made["key"].as_str().unwrap().to_owned();
        format!("/credentials/{}", made["id"])
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn bearer(&self) -> String {
        format!("Bearer {}", self.key)
    }

    /// The sum of all samples of a metric whose labels contain all of `labels`.
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let answer = self.ask("GET", "/metrics", &[], b"");
        let matching = answer.text().lines().filter(|line| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            (rest.starts_with('{') || rest.starts_with(' ')) && labels.iter().all(|label| rest.contains(label))
        });
        matching.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Asks the server to stop, without waiting.
    pub fn begin_stop(&mut self, stop: Stop) {
        if let Some(sender) = self.stop.take() {
            // It may have stopped by itself.
            let _ = sender.send(stop);
        }
    }

    /// Stops the server and waits until its logs are stored; gives the folder of the database.
    pub fn stop(mut self) -> TempDir {
        self.begin_stop(Stop::Soon);
        self.thread.take().unwrap().join().expect("the server panicked");
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }
}

impl Drop for TestProxy {
    fn drop(&mut self) {
        self.begin_stop(Stop::Soon);
    }
}

fn settings(folder: &TempDir, variables: &[(&str, &str)]) -> Settings {
    let database = format!("sqlite://{}", folder.path().join("test.db").display());
    let defaults = [
        ("ADMIN_KEY", ADMIN_KEY),
        ("DB_URL", database.as_str()),
        ("HOST", "127.0.0.1"),
        ("PORT", "0"),
        ("WORKERS", "1"),
        ("SHUTDOWN_DELAY_SECS", "0"),
        ("SHUTDOWN_DRAIN_SECS", "1"),
    ];
    let all = defaults.iter().chain(variables);
    let env: HashMap<String, String> = all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings::parse(&env).unwrap()
}

/// The `api_base` of the one mock of this process; it speaks without a pause.
pub fn mock() -> String {
    static MOCK: LazyLock<SocketAddr> = LazyLock::new(|| {
        let (sender, bound) = channel();
        thread::spawn(move || {
            let options = llm_proxy::mock::Options {
                port: 0,
                pace: Duration::ZERO,
                handle_signals: false,
                ..llm_proxy::mock::Options::default()
            };
            System::new().block_on(async move {
                let bound = llm_proxy::mock::bind(&options).unwrap();
                sender.send(bound.addr()).unwrap();
                bound.run().await.unwrap();
            });
        });
        bound.recv().expect("the mock did not start")
    });
    format!("http://{}/v1", *MOCK)
}
