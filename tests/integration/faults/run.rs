//! Every case through one process.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

use super::cases::{Case, asked, script};
use super::client::{Heard, ask};
use super::kinds::{Fault, Mode};
use super::seen::{Seen, Who};
use super::traces::{Health, Traces};
use super::wire::Protocol;
use crate::support::{ADMIN_KEY, Connection, Process, Upstream, eventually, execute, log_rows};

/// Requests at the same time. Most of them wait for a timeout.
const CLIENTS: usize = 24;

/// One failure opens a breaker, so that its state tells what was counted, and it stays open; but
/// three 429, so that one of them only benches.
const SETTINGS: [(&str, &str); 6] = [
    ("ADAPTIVE_5XX_THRESHOLD", "1"),
    ("ADAPTIVE_TRANSPORT_THRESHOLD", "1"),
    ("ADAPTIVE_BASE_OPEN_DURATION_SECS", "300"),
    ("ADAPTIVE_BASE_429_COOLDOWN_SECS", "300"),
    ("UPSTREAM_MAX_RESPONSE_BYTES", "4194304"),
    ("WORKERS", "2"),
];

/// Much more than the process takes, much less than answers without a limit would.
const MOST_MEMORY: u64 = 512 << 20;

/// The real program before the scripted providers of some cases.
pub struct Bench {
    pub process: Process,
    pub address: SocketAddr,
    pub key: String,
    folder: TempDir,
    upstream: Upstream,
}

impl Bench {
    /// Starts it with a row for every provider.
    pub fn start(cases: &[Case], settings: &[(&str, &str)]) -> Self {
        let upstream = Upstream::new(script(cases.to_vec()));
        let folder = tempdir().unwrap();
        let database = folder.path().join("test.db");
        let url = format!("sqlite://{}", database.display());
        let settings: Vec<(&str, &str)> = settings.iter().copied().chain([("DB_URL", url.as_str())]).collect();
        let (code, _, error) = Process::output(&folder, &["migrate"], &settings);
        assert_eq!(code, 0, "{error}");
        execute(&database, &providers(cases, &upstream.address().to_string()));
        let (process, address) = Process::serve(&folder, &settings);
        let made = admin(address, "/credentials", &json!({"name": "tester"}));
        let key = made["key"].as_str().unwrap().to_owned();
        Self { process, address, key, folder, upstream }
    }

    /// Asks for every case and gives what was seen of each; then for the last one.
    fn run(self, cases: &[Case], last: &Case) -> Vec<Seen> {
        let heard = Mutex::new(Vec::new());
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let answer = ask(case, self.address, &self.key);
                        heard.lock().unwrap().push((case.number, answer));
                    }
                });
            }
        });
        let mut heard: HashMap<usize, Heard> = heard.into_inner().unwrap().into_iter().collect();
        let traces = self.stop(last);
        cases.iter().map(|case| traces.of(case, heard.remove(&case.number).unwrap())).collect()
    }

    fn stop(self, last: &Case) -> Traces {
        let mut arrived = HashMap::new();
        for request in self.upstream.all_waiting() {
            let key = request.target().split('/').nth(1).unwrap().to_owned();
            *arrived.entry(key).or_default() += 1;
        }
        let health = self.settled_health(last);
        let metrics = Connection::open(self.address).ask("GET", "/metrics", &[], b"");
        let memory = self.process.peak_memory();
        assert!(memory.is_none_or(|memory| memory < MOST_MEMORY), "it took {memory:?} bytes");
        self.process.signal("INT");
        let (status, text) = self.process.wait();
        assert!(status.success(), "{text}");
        assert!(!text.contains("sk-secret"), "a key is in:\n{text}");
        Traces::new(arrived, health, metrics.text(), &text, log_rows(self.folder.path()))
    }

    /// What is thought of every provider once every outcome has arrived, which is told behind the
    /// clients' backs: outcomes come in their order, and that of the last case opens a breaker.
    fn settled_health(&self, last: &Case) -> HashMap<String, Health> {
        ask(last, self.address, &self.key);
        let mut health = self.health();
        eventually("the breakers know all", || {
            health = self.health();
            health[&last.key(Who::Faulty)].admission == "open"
        });
        health
    }

    fn health(&self) -> HashMap<String, Health> {
        let bearer = format!("Bearer {ADMIN_KEY}");
        let answer =
            Connection::open(self.address).ask("GET", "/health/detailed", &[("authorization", &bearer)], b"").json();
        let providers = answer["providers"].as_array().unwrap().iter();
        let providers = providers.map(|provider| (provider["provider_key"].as_str().unwrap().to_owned(), provider));
        providers.map(|(key, provider)| (key, Health::read(provider))).collect()
    }
}

/// Runs all cases; gives what was seen of each, in their order.
pub fn run(cases: &[Case]) -> Vec<Seen> {
    let (client, provider) = (Protocol::Chat, Protocol::Chat);
    let fault = Fault::Status(500);
    let last = Case { number: cases.len(), fault, mode: Mode::Whole, client, provider, is_backed: false };
    Bench::start(&[cases, &[last]].concat(), &SETTINGS).run(cases, &last)
}

fn providers(cases: &[Case], address: &str) -> String {
    const COLUMNS: [&str; 7] =
        ["provider_key", "provider_type", "api_base", "api_key", "model_mapping", "weight", "provider_params"];
    let rows = cases.iter().flat_map(|case| case.providers(address)).map(|record| {
        let values = COLUMNS.map(|column| match &record[column] {
            Value::Object(_) => format!("'{}'", record[column]),
            Value::String(text) => format!("'{text}'"),
            other => other.to_string(),
        });
        format!("({})", values.join(","))
    });
    let rows: Vec<String> = rows.collect();
    format!("INSERT INTO providers ({}) VALUES {}", COLUMNS.join(","), rows.join(","))
}

fn admin(address: SocketAddr, path: &str, body: &Value) -> Value {
    let bearer = format!("Bearer {ADMIN_KEY}");
    let path = format!("/admin/v1{path}");
    let answer =
        Connection::open(address).ask("POST", &path, &[("authorization", &bearer)], body.to_string().as_bytes());
    assert!((200..300).contains(&answer.status), "{answer:?}");
    answer.json()
}

/// Keeps `asked` honest: the provider of a request is found by its path alone.
#[test]
fn a_request_is_recognised_by_its_path() {
    let cases = Case::all();
    let head = "POST /f7/v1/chat/completions HTTP/1.1\r\n\r\n".to_owned();
    let request = crate::support::Received { head, body: Vec::new() };
    assert_eq!(asked(&cases, &request), (&cases[7], Who::Faulty));
}
