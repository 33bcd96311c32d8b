//! Holding figures against those that are kept.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

const KEPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/baseline.json");

/// Something that was measured.
pub struct Measured {
    /// `group/part`.
    pub name: String,
    /// How many events, or requests, one run is.
    pub events: usize,
    /// Bytes that go in, in one run.
    pub bytes: usize,
    /// Allocations of one run.
    pub allocations: usize,
}

/// Prints a table, and keeps it as the new baseline where that is asked for. `folder` is where
/// criterion leaves its estimates; what a filter left out is not there.
pub fn compare(measured: &[Measured], folder: &Path) {
    let kept: BTreeMap<String, Value> =
        fs::read(KEPT).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let mut new = BTreeMap::new();
    println!(
        "\n{:<44}{:>10}{:>9}{:>10}{:>13}{:>8}",
        "per event or request", "ns", "before", "MB/s", "allocations", "before"
    );
    for Measured { name, events, bytes, allocations } in measured {
        let estimates = folder.join(name).join("new/estimates.json");
        let Some(estimates) = fs::read(estimates).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
        else {
            continue;
        };
        let (run, events) = (estimates["median"]["point_estimate"].as_f64().unwrap(), count(*events));
        let (nanos, allocations) = (run / events, count(*allocations) / events);
        let before = |what: &str| {
            let before = kept.get(name).and_then(|kept| kept[what].as_f64());
            before.map_or_else(|| "-".to_owned(), |before| format!("{before:.1}"))
        };
        let speed = count(*bytes) / run * 1000.0;
        let (ns_before, allocations_before) = (before("ns"), before("allocations"));
        println!("{name:<44}{nanos:>10.1}{ns_before:>9}{speed:>10.0}{allocations:>13.1}{allocations_before:>8}");
        let round = |number: f64| (number * 10.0).round() / 10.0;
        new.insert(name.clone(), json!({"ns": round(nanos), "allocations": round(allocations)}));
    }
    if std::env::var_os("BENCH_BASELINE").is_some_and(|wish| wish == "write") {
        fs::write(KEPT, serde_json::to_string_pretty(&new).unwrap() + "\n").unwrap();
    }
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap())
}
