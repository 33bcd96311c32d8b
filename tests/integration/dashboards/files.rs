//! What the files of this repository ask Prometheus for.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// A query of a panel, as Grafana sends it.
pub struct Panel {
    pub title: String,
    pub query: String,
    /// How its series are named.
    pub legend: String,
}

/// What Grafana puts in for variables. `.+` stands for all values: unlike `.*` it does not match a
/// series that lacks the label.
const CHOSEN: [(&str, &str); 6] = [
    ("$job", "llm-proxy"),
    ("$instance", ".+"),
    ("$provider", ".+"),
    ("$model", ".+"),
    ("$credential", ".+"),
    ("$__rate_interval", "1m"),
];

fn home(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

/// Where the rules are.
pub fn rules_folder() -> PathBuf {
    home("prometheus")
}

fn dashboard() -> Value {
    let text = std::fs::read_to_string(home("grafana").join("llm-proxy.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn chosen(text: &str) -> String {
    let query = CHOSEN.iter().fold(text.to_owned(), |query, (name, value)| query.replace(name, value));
    assert!(!query.contains('$'), "an unknown variable: {text}");
    query
}

/// Every query of the dashboard: of its panels, those within rows too, and of its annotations.
pub fn panels() -> Vec<Panel> {
    let dashboard = dashboard();
    let mut found = Vec::new();
    collect(&dashboard["panels"], &mut found);
    for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
        if let Some(query) = annotation["expr"].as_str() {
            found.push(panel(&annotation["name"], query, &annotation["textFormat"]));
        }
    }
    assert!(found.len() > 50, "the dashboard has {} queries only", found.len());
    found
}

fn collect(panels: &Value, found: &mut Vec<Panel>) {
    for one in panels.as_array().into_iter().flatten() {
        for target in one["targets"].as_array().into_iter().flatten() {
            found.push(panel(&one["title"], target["expr"].as_str().unwrap(), &target["legendFormat"]));
        }
        collect(&one["panels"], found);
    }
}

fn panel(title: &Value, query: &str, legend: &Value) -> Panel {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Panel { title: text(title), query: chosen(query), legend: text(legend) }
}

/// The dashboard's variables: of each its name, and the series and the label of which it offers
/// the values.
pub fn variables() -> Vec<(String, String, String)> {
    let dashboard = dashboard();
    let queries = dashboard["templating"]["list"].as_array().unwrap().iter();
    let queries = queries.filter(|variable| variable["type"] == "query");
    let read = |variable: &Value| {
        let query = chosen(variable["query"]["query"].as_str().unwrap());
        let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')).unwrap();
        let (series, label) = inner.rsplit_once(", ").unwrap();
        (variable["name"].as_str().unwrap().to_owned(), series.to_owned(), label.to_owned())
    };
    queries.map(read).collect()
}

/// The metrics of ours that a query names; not those that rules record, whose names have colons.
pub fn families_of(query: &str) -> Vec<String> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    words.filter(|word| word.starts_with("llm_proxy_")).map(str::to_owned).collect()
}
