//! A real Prometheus, from Debian's package.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use url::form_urlencoded::Serializer;

use super::files::rules_folder;
use crate::support::servers::{Daemon, free_port, open_folder, wait_until};
use crate::support::{Answer, Connection};

const EVERY: Duration = Duration::from_millis(250);

/// A Prometheus with the rules of this repository. It ends when it is dropped.
pub struct Prometheus {
    port: u16,
    _daemon: Daemon,
    _folder: TempDir,
}

/// A number that Prometheus knows.
#[derive(Debug)]
pub struct Sample {
    /// The labels, by their names.
    pub labels: Value,
    pub value: f64,
}

/// A rule as Prometheus has read it.
#[derive(Debug)]
pub struct Rule {
    pub name: String,
    pub query: String,
    pub is_alert: bool,
    pub health: String,
    /// What went wrong when it was tried last.
    pub error: String,
}

impl Prometheus {
    /// One that scrapes these addresses as the job `llm-proxy`.
    pub fn scrape(targets: &[String]) -> Self {
        assert_is_installed("prometheus");
        let (folder, port) = (open_folder(), free_port());
        for name in ["rules.yml", "alerts.yml"] {
            std::fs::copy(rules_folder().join(name), folder.path().join(name)).unwrap();
        }
        let every = format!("{}ms", EVERY.as_millis());
        // JSON is YAML, too.
        let config = json!({
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "rule_files": ["rules.yml", "alerts.yml"],
            "scrape_configs": [{"job_name": "llm-proxy", "static_configs": [{"targets": targets}]}],
        });
        std::fs::write(folder.path().join("prometheus.yml"), config.to_string()).unwrap();
        let command = [
            "prometheus",
            "--config.file=prometheus.yml",
            "--storage.tsdb.path=data",
            "--log.level=warn",
            &format!("--web.listen-address=127.0.0.1:{port}"),
        ];
        let daemon = Daemon::start(folder.path(), &command.map(str::to_owned));
        let started = Self { port, _daemon: daemon, _folder: folder };
        wait_until("Prometheus", || started.try_ask("GET", "/-/ready", "").is_ok_and(|answer| answer.status == 200));
        // Rules have a health once they were tried.
        wait_until("every rule", || started.rules().iter().all(|rule| rule.health == "ok"));
        started
    }

    /// What a query gives now; numbers that are none are left out, as a graph leaves them out.
    #[track_caller]
    pub fn query(&self, query: &str) -> Vec<Sample> {
        let data =
            self.ask("POST", "/api/v1/query", &Serializer::new(String::new()).append_pair("query", query).finish());
        let number = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
        let samples = data["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(|series| Sample { labels: series["metric"].clone(), value: number(&series["value"][1]) });
        samples.filter(|sample| sample.value.is_finite()).collect()
    }

    /// Its rules.
    pub fn rules(&self) -> Vec<Rule> {
        let data = self.ask("GET", "/api/v1/rules", "");
        let groups = data["groups"].as_array().unwrap().iter();
        let rules = groups.flat_map(|group| group["rules"].as_array().unwrap());
        let text = |rule: &Value, name: &str| rule[name].as_str().unwrap_or_default().to_owned();
        let read = |rule: &Value| Rule {
            name: text(rule, "name"),
            query: text(rule, "query"),
            is_alert: rule["type"] == "alerting",
            health: text(rule, "health"),
            error: text(rule, "lastError"),
        };
        rules.map(read).collect()
    }

    #[track_caller]
    fn ask(&self, method: &str, path: &str, form: &str) -> Value {
        let answer = self.try_ask(method, path, form).unwrap();
        assert_eq!(answer.status, 200, "{path} {form}: {answer:?}");
        answer.json()["data"].clone()
    }

    fn try_ask(&self, method: &str, path: &str, form: &str) -> std::io::Result<Answer> {
        let mut connection = Connection::try_open(([127, 0, 0, 1], self.port).into())?;
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        connection.try_ask(method, path, &headers, form.as_bytes())
    }
}

/// Runs `promtool` in a folder; gives what it said. It must find nothing wrong.
#[track_caller]
pub fn promtool(arguments: &[&str], folder: &Path) -> String {
    assert_is_installed("promtool");
    let output = Command::new("promtool").args(arguments).current_dir(folder).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    said
}

fn assert_is_installed(program: &str) {
    let found = Command::new(program).arg("--version").output();
    assert!(found.is_ok(), "{program} is not in PATH: install the package prometheus, as tests/install-servers does");
}
