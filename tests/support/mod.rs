//! What the cluster tests and the soak tests share: servers, each a process, and their clients.

#[expect(dead_code, reason = "shared with the integration tests, which use the rest")]
#[path = "../integration/support/database.rs"]
pub mod database;
pub mod feed;
#[expect(dead_code, reason = "shared with the integration tests, which use the rest")]
#[path = "../integration/support/http.rs"]
mod http;
pub mod load;
pub mod nginx;
#[expect(dead_code, reason = "shared with the integration tests, which use the rest")]
#[path = "../integration/support/process.rs"]
mod process;
#[expect(dead_code, reason = "shared with other tests, which use the rest")]
pub mod servers;
#[expect(dead_code, reason = "shared with the integration tests, which use the rest")]
#[path = "../integration/support/upstream.rs"]
pub mod upstream;
#[path = "../integration/support/wait.rs"]
mod wait;

use std::net::SocketAddr;

use serde_json::{Value, json};
use tempfile::TempDir;

pub use self::http::{Answer, Connection};
pub use self::process::Process;
pub use self::wait::{PATIENCE, alone, eventually};

pub const ADMIN_KEY: &str = "admin-key-of-the-tests";

/// Replicas of one database. They are killed when it is dropped.
pub struct Cluster {
    pub replicas: Vec<Replica>,
}

/// One server process.
pub struct Replica {
    pub name: String,
    address: SocketAddr,
    process: Process,
    folder: TempDir,
}

/// A caller of the admin API on one connection.
pub struct Admin {
    connection: Connection,
}

/// The mock provider as a process.
pub struct Mock {
    _process: Process,
    _folder: TempDir,
    base: String,
}

impl Cluster {
    /// Three ready replicas with these variables in their environment.
    pub fn start(database: &str, variables: &[(&str, &str)]) -> Self {
        Self::of(&[database; 3], variables)
    }

    /// A replica for each way to the database, all ready.
    pub fn of(databases: &[&str], variables: &[(&str, &str)]) -> Self {
        let names = (0..databases.len()).map(|number| format!("replica-{number}"));
        let start = |(name, url): (String, &&str)| Replica::start(&name, url, variables);
        let replicas: Vec<Replica> = names.zip(databases).map(start).collect();
        for replica in &replicas {
            replica.wait_until_ready();
        }
        Self { replicas }
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.replicas.iter().map(Replica::address).collect()
    }

    /// A caller for each replica.
    pub fn admins(&self) -> Vec<Admin> {
        self.replicas.iter().map(Replica::admin).collect()
    }

    /// Waits until every replica serves this version or a later one.
    pub fn wait_for_version(&self, version: i64) {
        for mut admin in self.admins() {
            admin.wait_for_version(version);
        }
    }
}

impl Replica {
    /// Starts a replica and waits until it listens; it may have no configuration yet.
    pub fn start(name: &str, database: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let own = [("REPLICA_ID", name), ("DB_URL", database)];
        let all: Vec<(&str, &str)> = own.iter().chain(variables).copied().collect();
        let (process, address) = Process::serve(&folder, &all);
        Self { name: name.to_owned(), address, process, folder }
    }

    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Asks it to stop and waits until it has, which it must do well; gives its folder.
    pub fn stop(self) -> TempDir {
        self.process.signal("TERM");
        let (status, log) = self.process.wait();
        assert!(status.success(), "{} ended with {status}:\n{log}", self.name);
        self.folder
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.process.text()
    }

    pub fn admin(&self) -> Admin {
        Admin { connection: Connection::open(self.address) }
    }

    /// A GET without a key, on a connection of its own.
    pub fn get(&self, path: &str) -> Answer {
        Connection::open(self.address).ask("GET", path, &[], b"")
    }

    pub fn wait_until_ready(&self) {
        let mut connection = Connection::open(self.address);
        eventually(&format!("{} is ready", self.name), || {
            connection.ask("GET", "/health/ready", &[], b"").status == 200
        });
    }

    /// A Chat request with this key, on a connection of its own.
    pub fn chat(&self, key: &str, model: &str) -> Answer {
        let headers = [("authorization", format!("Bearer {key}"))];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        Connection::open(self.address).ask("POST", "/v1/chat/completions", &headers, hello(model).as_bytes())
    }

    /// The value of a metric without labels.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let metrics = self.get("/metrics");
        let mut lines = metrics.text().lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// The samples of a metric with labels, each beside its labels.
    pub fn samples(&self, name: &str) -> Vec<(String, f64)> {
        let metrics = self.get("/metrics");
        let samples = metrics.text().lines().filter_map(|line| {
            let (labels, value) = line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} ")?;
            Some((labels.to_owned(), value.parse().unwrap()))
        });
        samples.collect()
    }
}

impl Admin {
    /// A call; `path` is below `/admin/v1`.
    pub fn ask(&mut self, method: &str, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {ADMIN_KEY}");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.connection.ask(method, &format!("/admin/v1{path}"), &[("authorization", &bearer)], body.as_bytes())
    }

    pub fn get(&mut self, path: &str) -> Value {
        let answer = self.ask("GET", path, &Value::Null);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// A change, which must succeed; gives its version and what was answered.
    #[track_caller]
    pub fn change(&mut self, method: &str, path: &str, body: &Value) -> (i64, Value) {
        let answer = self.ask(method, path, body);
        assert!((200..300).contains(&answer.status), "{method} {path} {body}: {answer:?}");
        (version_of(&answer), if answer.body.is_empty() { Value::Null } else { answer.json() })
    }

    /// The version that the replica serves.
    pub fn version(&mut self) -> i64 {
        self.get("/config/version")["version"].as_i64().unwrap()
    }

    pub fn wait_for_version(&mut self, version: i64) {
        eventually(&format!("version {version} is served"), || self.version() >= version);
    }

    /// Makes a credential with this key, named `client` unless it has another name.
    #[track_caller]
    pub fn credential(&mut self, key: &str, more: &Value) -> (i64, Value) {
        let mut credential = json!({"name": "client", "key": key});
        credential.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.change("POST", "/credentials", &credential)
    }
}

/// The version that a change has made.
#[track_caller]
pub fn version_of(answer: &Answer) -> i64 {
    let version = answer.header("x-config-version").and_then(|version| version.parse().ok());
    version.unwrap_or_else(|| panic!("no version: {answer:?}"))
}

impl Mock {
    /// A mock that speaks without a pause.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::start(&folder, &["mock", "--port", "0", "--pace-ms", "0"], &[]);
        let line = process.wait_for("http://");
        let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap();
        Self { base: format!("http://{address}/v1"), _process: process, _folder: folder }
    }

    /// A provider that sends what it is asked for to this mock.
    pub fn provider(&self, key: &str) -> Value {
        provider(key, &self.base, &json!({"mock": "mock"}))
    }
}

/// An `openai` provider with a key of its own.
pub fn provider(key: &str, base: &str, mapping: &Value) -> Value {
    json!({
        "provider_key": key,
        "provider_type": "openai",
        "api_base": base,
        "api_key": format!("sk-secret-of-{key}"),
        "model_mapping": mapping,
    })
}

/// A Chat request of one user message.
pub fn hello(model: &str) -> String {
    json!({"model": model, "messages": [{"role": "user", "content": "Hello"}]}).to_string()
}
