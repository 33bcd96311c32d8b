//! The dashboard and the rules that this repository has, against a real Prometheus that scrapes
//! real servers.

mod files;
mod prometheus;
mod traffic;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use self::files::{Panel, families_of, panels, rules_folder, variables};
use self::prometheus::{Prometheus, Rule, promtool};
use self::traffic::Site;
use crate::support::alone;

/// How long every query may take to have data.
const PATIENCE: Duration = Duration::from_secs(60);

/// An alert that does not fire here, why not, and what to write for a part of it so that it does:
/// that shows that nothing but the threshold is missing.
struct Silent {
    alert: &'static str,
    reason: &'static str,
    part: &'static str,
    instead: &'static str,
}

const SILENT: [Silent; 5] = [
    Silent {
        alert: "LlmProxyAbsent",
        reason: "fires where Prometheus knows no target of the job, so that no other query has data",
        part: "absent(up{job=\"llm-proxy\"})",
        instead: "up{job=\"llm-proxy\"}",
    },
    Silent {
        alert: "LlmProxyLatencyHigh",
        reason: "needs requests of more than a minute",
        part: "> 60",
        instead: "> 0",
    },
    Silent {
        alert: "LlmProxyTtftHigh",
        reason: "needs streams that begin after more than 10 s",
        part: "> 10",
        instead: "> 0",
    },
    Silent {
        alert: "LlmProxyGatewayOverheadHigh",
        reason: "needs a server that is busy for 100 ms with a request",
        part: "> 0.1 and",
        instead: "> 0 and",
    },
    Silent {
        alert: "LlmProxyMessagesDropped",
        reason: "needs an actor that falls thousands of messages behind",
        part: "> 0",
        instead: ">= 0",
    },
];

#[test]
fn every_panel_and_every_rule_has_data_of_a_server_under_traffic() {
    let _alone = alone();
    let mut site = Site::start();
    let prometheus = Prometheus::scrape(&site.targets());
    let (panels, rules) = (panels(), prometheus.rules());
    let silent = |rule: &Rule| SILENT.iter().find(|silent| silent.alert == rule.name);
    let mut missing: BTreeSet<String> = panels.iter().map(|panel| panel.query.clone()).collect();
    for rule in &rules {
        missing.insert(silent(rule).map_or_else(|| rule.query.clone(), |silent| silent.relaxed(rule)));
        if !rule.is_alert {
            missing.insert(rule.name.clone());
        }
    }

    site.keep_busy_until("the outage can begin", PATIENCE, || {
        missing.retain(|query| prometheus.query(query).is_empty());
        let has_been_well = prometheus.query("max_over_time(llm_proxy_redis_up[5m]) > 0").len() == 1;
        let has_changed = prometheus.query("changes(llm_proxy_config_version[5m]) > 0").len() == 1;
        has_been_well && has_changed
    });
    site.begin_outage();
    let start = Instant::now();
    site.keep_busy_until("or it is told what is missing", PATIENCE * 2, || {
        missing.retain(|query| prometheus.query(query).is_empty());
        missing.is_empty() || start.elapsed() > PATIENCE
    });
    assert!(missing.is_empty(), "without data: {missing:#?}");

    for rule in rules.iter().filter(|rule| silent(rule).is_some()) {
        let reason = silent(rule).unwrap().reason;
        let data = prometheus.query(&rule.query);
        assert!(data.is_empty(), "{} fires, though it {reason}: {data:?}", rule.name);
    }
    for rule in prometheus.rules() {
        assert_eq!((rule.health.as_str(), rule.error.as_str()), ("ok", ""), "{}", rule.name);
    }
    assert_legends(&panels, &prometheus);
    assert_families(&panels, &rules, &site, &prometheus);
    assert_variables(&prometheus);
}

impl Silent {
    #[track_caller]
    fn relaxed(&self, rule: &Rule) -> String {
        assert_eq!(rule.query.matches(self.part).count(), 1, "{}: {} in {}", self.alert, self.part, rule.query);
        rule.query.replace(self.part, self.instead)
    }
}

/// The names of series are made of labels that they have.
fn assert_legends(panels: &[Panel], prometheus: &Prometheus) {
    for panel in panels {
        for label in panel.legend.split("{{").skip(1).map(|rest| rest.split("}}").next().unwrap()) {
            let data = prometheus.query(&panel.query);
            let is_there = data.iter().all(|sample| sample.labels[label].is_string());
            assert!(is_there, "{}: a series without {label}: {data:?}", panel.title);
        }
    }
}

/// Every metric that is asked for is exposed, every one that is exposed is shown, and each moved.
fn assert_families(panels: &[Panel], rules: &[Rule], site: &Site, prometheus: &Prometheus) {
    let exposed = site.families();
    let names: BTreeSet<String> = exposed.keys().cloned().collect();
    let known = |name: &String| {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        let of_histogram = histogram.filter(|name| exposed.get(*name).is_some_and(|kind| kind == "histogram"));
        of_histogram.map_or_else(|| name.clone(), str::to_owned)
    };
    let of = |queries: Vec<&String>| -> BTreeSet<String> {
        queries.into_iter().flat_map(|query| families_of(query)).map(|name| known(&name)).collect()
    };
    let shown = of(panels.iter().map(|panel| &panel.query).collect());
    let ruled = of(rules.iter().map(|rule| &rule.query).collect());
    let unknown: Vec<_> = shown.union(&ruled).filter(|name| !names.contains(*name)).collect();
    assert!(unknown.is_empty(), "not exposed: {unknown:?}");
    let hidden: Vec<_> = names.difference(&shown).collect();
    assert!(hidden.is_empty(), "exposed, but on no panel: {hidden:?}");
    for (name, kind) in &exposed {
        let sample = if kind == "histogram" { format!("{name}_count") } else { name.clone() };
        let query = format!("max(max_over_time({sample}[10m])) > 0");
        assert!(!prometheus.query(&query).is_empty(), "{name} did not move");
    }
}

/// What the dashboard's variables offer to choose from is there.
fn assert_variables(prometheus: &Prometheus) {
    let variables = variables();
    assert_eq!(variables.len(), 5, "{variables:?}");
    for (name, series, label) in variables {
        let found = prometheus.query(&format!("count by ({label}) ({series})"));
        let is_there = found.iter().all(|sample| sample.labels[&label].is_string());
        assert!(!found.is_empty() && is_there, "{name}: no {label} of {series}: {found:?}");
    }
}

#[test]
fn promtool_finds_nothing_wrong_with_the_rules() {
    let said = promtool(&["check", "rules", "rules.yml", "alerts.yml"], &rules_folder());
    assert!(!said.contains("duplicate"), "{said}");
    promtool(&["test", "rules", "alerts_test.yml"], &rules_folder());
}

#[test]
fn every_alert_has_a_section_that_it_points_to() {
    let read = |name: &str| std::fs::read_to_string(rules_folder().join(name)).unwrap();
    let (alerts, sections) = (read("alerts.yml"), read("alerts.md"));
    let found = |text: &str, start: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.trim().strip_prefix(start)).map(str::to_owned).collect()
    };
    let names = found(&alerts, "- alert: ");
    assert!(names.len() > 10, "{names:?}");
    assert_eq!(found(&sections, "## "), names);
    let anchors: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    assert_eq!(found(&alerts, "runbook: prometheus/alerts.md#"), anchors);
}
