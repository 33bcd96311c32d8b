//! What a process left behind: health, metrics, log lines and rows.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::cases::Case;
use super::client::Heard;
use super::seen::{Counted, Row, Seen, Who};
use crate::support::LogRow;

/// All of it, by the key of a provider or the id of a request.
pub struct Traces {
    arrived: HashMap<String, usize>,
    health: HashMap<String, Health>,
    samples: HashMap<String, Vec<Sample>>,
    /// Why providers were taken out of routing, from the log.
    ejections: HashMap<String, Vec<String>>,
    /// The log lines of failed attempts.
    failures: HashMap<String, Vec<Value>>,
    rows: HashMap<String, Vec<LogRow>>,
}

/// What `/health/detailed` says of a provider.
pub struct Health {
    pub admission: String,
    /// What is left of its weight.
    share: f64,
    in_flight: u64,
    last_error: Option<String>,
}

/// A line of the metrics.
struct Sample {
    name: String,
    labels: HashMap<String, String>,
    value: f64,
}

impl Health {
    pub fn read(provider: &Value) -> Self {
        let number = |name: &str| provider[name].as_f64().unwrap();
        Self {
            admission: provider["admission"].as_str().unwrap().to_owned(),
            share: number("effective_weight") / number("weight"),
            in_flight: provider["in_flight"].as_u64().unwrap(),
            last_error: provider["last_error"]["category"].as_str().map(str::to_owned),
        }
    }
}

impl Traces {
    pub fn new(
        arrived: HashMap<String, usize>,
        health: HashMap<String, Health>,
        metrics: &str,
        log: &str,
        rows: Vec<LogRow>,
    ) -> Self {
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let lines: Vec<Value> = lines.filter(|line| line["level"] == "warn").collect();
        let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
        let said = |message: &str| lines.iter().filter(|line| line["message"] == message).cloned().collect::<Vec<_>>();
        let ejections = said("provider taken out of routing").into_iter();
        let failures = said("attempt failed").into_iter();
        let samples = metrics.lines().filter_map(Sample::read);
        Self {
            arrived,
            health,
            samples: grouped(samples.filter_map(|sample| Some((sample.labels.get("provider")?.clone(), sample)))),
            ejections: grouped(ejections.map(|line| (text(&line, "provider"), text(&line, "reason")))),
            failures: grouped(failures.map(|line| (text(&line, "request_id"), line))),
            rows: grouped(rows.into_iter().map(|row| (row.request_id.clone(), row))),
        }
    }

    pub fn of(&self, case: &Case, heard: Heard) -> Seen {
        let Heard { got, answered, told_attempts } = heard;
        let [faulty, spare] = [Who::Faulty, Who::Spare].map(|who| case.key(who));
        let arrived = |key| self.arrived.get(key).copied().unwrap_or_default();
        let in_flight = [&faulty, &spare].into_iter().filter_map(|key| self.health.get(key));
        Seen {
            got,
            answered,
            told_attempts,
            asked: (arrived(&faulty), arrived(&spare)),
            breaker: self.breaker(&faulty),
            last_error: self.health[&faulty].last_error.clone(),
            is_spare_well: !case.is_backed || self.breaker(&spare) == "closed x1.00",
            in_flight: in_flight.map(|health| health.in_flight).sum(),
            counted: self.counted(case),
            row: self.row(case),
            warned: self.warned(case),
        }
    }

    /// The state of a provider's breaker: its share of the weight while it is closed, else why it
    /// opened. Metrics and the process log must say the same.
    fn breaker(&self, key: &str) -> String {
        let Health { admission, share, .. } = &self.health[key];
        let logged: Vec<&str> = self.ejections.get(key).into_iter().flatten().map(String::as_str).collect();
        let labels = |name, label| self.samples(key, name).map(|sample| sample.labels[label].as_str()).collect();
        let ejected: Vec<&str> = labels("provider_ejections_total", "reason");
        let states: Vec<&str> = labels("provider_circuit_state", "state");
        let state = if admission == "cooldown" { "closed" } else { admission };
        if ejected != logged || states != [state] {
            return format!("{admission}, but metrics: {states:?}, {ejected:?}, log: {logged:?}");
        }
        match (admission.as_str(), logged.as_slice()) {
            ("closed", []) => format!("closed x{share:.2}"),
            (admission, []) => admission.to_owned(),
            (admission, reasons) => format!("{admission}: {}", reasons.join(", ")),
        }
    }

    /// The samples of a provider in a family that are not 0.
    fn samples(&self, key: &str, name: &str) -> impl Iterator<Item = &Sample> {
        let name = format!("llm_proxy_{name}");
        let samples = self.samples.get(key).into_iter().flatten();
        samples.filter(move |sample| sample.name == name && sample.value > 0.0)
    }

    fn counted(&self, case: &Case) -> Counted {
        let all = |name: &str, label: &str| {
            let mut counts = Vec::new();
            for who in [Who::Faulty, Who::Spare] {
                for sample in self.samples(&case.key(who), name) {
                    let mut what = sample.labels[label].clone();
                    if sample.value > 1.0 {
                        write!(what, " x{}", sample.value).unwrap();
                    }
                    counts.push((who, what));
                }
            }
            counts
        };
        Counted {
            requests: all("requests_total", "status_code"),
            attempts: all("upstream_attempts_total", "outcome"),
            failovers: all("failovers_total", "reason"),
            streams: all("streams_total", "outcome"),
        }
    }

    fn row(&self, case: &Case) -> Row {
        let rows = self.rows.get(&case.request_id()).map(Vec::as_slice);
        let Some([row]) = rows else {
            panic!("not exactly one row of {case:?}: {rows:?}");
        };
        Row {
            outcome: row.outcome.clone(),
            status: row.status_code,
            category: row.error_category.clone(),
            attempts: row.attempts,
            provider: row.provider_name.as_ref().and_then(|key| case.who(key)),
        }
    }

    fn warned(&self, case: &Case) -> Vec<(Who, String, u16)> {
        let lines = self.failures.get(&case.request_id()).into_iter().flatten();
        let warning = |line: &Value| {
            let who = case.who(line["provider"].as_str()?)?;
            Some((who, line["kind"].as_str()?.to_owned(), line["status"].as_u64()?.try_into().ok()?))
        };
        lines.map(|line| warning(line).unwrap_or_else(|| panic!("{line}"))).collect()
    }
}

impl Sample {
    /// Label values here hold neither quotes nor commas.
    fn read(line: &str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.strip_suffix('}')?.split_once('{')?;
        let labels = labels.split(',').filter_map(|label| label.split_once('='));
        let labels = labels.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect();
        Some(Self { name: name.to_owned(), labels, value: value.parse().ok()? })
    }
}

fn grouped<T>(things: impl Iterator<Item = (String, T)>) -> HashMap<String, Vec<T>> {
    let mut groups: HashMap<String, Vec<T>> = HashMap::new();
    things.for_each(|(key, thing)| groups.entry(key).or_default().push(thing));
    groups
}
