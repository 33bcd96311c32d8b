//! Sums and percentiles over a time, in buckets and by name.
//!
//! The database adds up what rollups have of the whole hours and days of the window. Single rows
//! at its sides, or all of a window with short buckets, are added up here: five ways at once, each
//! with its durations, which takes a database several times as long.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::bins;
use super::figures::{Dimension, Percentiles, PercentilesBy, SUMMED, Sums, SumsBy, SumsRow, dimension, totals};
use super::source::{Parts, Window};
use super::sql::Sql;
use crate::store::column_types::{Instant, Moment};

/// The requests of a time, in buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SummaryWindow {
    /// From here on.
    pub start: DateTime<Utc>,
    /// Before this.
    pub end: DateTime<Utc>,
    /// The length of a bucket in seconds: 10, 60, 300, 3600 or 86400.
    pub bucket_secs: i64,
}

/// What is read for a summary, and from where.
#[derive(Debug)]
pub(in crate::store) struct Plan {
    bucket_secs: i64,
    /// Windows of single rows.
    rows: Vec<Window>,
    /// Windows of units, as long as possible: what has a name.
    named: Vec<(i64, Window)>,
    /// The same, no longer than a bucket: all requests.
    all: Vec<(i64, Window)>,
}

/// What single rows and rollups add up to.
#[derive(Debug)]
pub(in crate::store) struct Summary {
    bucket_secs: i64,
    /// Whether durations are told by their bins.
    is_binned: bool,
    found: BTreeMap<Dimension, HashMap<String, Tally>>,
}

/// Some requests.
#[derive(Debug, Default)]
struct Tally {
    sums: Sums,
    /// How many took how long, and how long to the first byte: bins or milliseconds.
    durations: [BTreeMap<i64, i64>; 2],
}

/// A request.
#[derive(QueryableByName)]
pub(in crate::store) struct SummaryRow {
    #[diesel(sql_type = Instant)]
    timestamp: Moment,
    #[diesel(sql_type = Text)]
    provider_name: String,
    #[diesel(sql_type = Text)]
    model_requested: String,
    #[diesel(sql_type = Text)]
    credential_name: String,
    #[diesel(sql_type = Text)]
    outcome: String,
    #[diesel(sql_type = BigInt)]
    input_tokens: i64,
    #[diesel(sql_type = BigInt)]
    output_tokens: i64,
    #[diesel(sql_type = BigInt)]
    total_tokens: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    cost_microusd: Option<i64>,
    #[diesel(sql_type = BigInt)]
    total_duration_ms: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    ttft_ms: Option<i64>,
}

/// What rollups say of one name, or of all requests of a unit.
#[derive(QueryableByName)]
pub(in crate::store) struct UnitRow {
    /// Where the unit starts; `None` for one name in all units.
    #[diesel(sql_type = Nullable<Instant>)]
    start: Option<Moment>,
    #[diesel(embed)]
    sums: SumsRow,
}

/// How many requests of one name, or of all in a unit, took how long.
#[derive(QueryableByName)]
pub(in crate::store) struct HistogramRow {
    #[diesel(sql_type = Nullable<Instant>)]
    start: Option<Moment>,
    #[diesel(sql_type = BigInt)]
    dimension: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    metric: i64,
    #[diesel(sql_type = BigInt)]
    bin: i64,
    #[diesel(sql_type = BigInt)]
    requests: i64,
}

// === impl Plan ===

impl Plan {
    /// How the summary of a window is made.
    pub(in crate::store) fn of(window: &SummaryWindow) -> Self {
        let (all, bucket_secs) = ((Some(window.start), Some(window.end)), window.bucket_secs);
        // The shortest unit that rollups have.
        let mut parts = if bucket_secs < 300 { Parts::rows(all) } else { Parts::longest(all) };
        let named = parts.take_units();
        let units = |&(unit, window): &(i64, Window)| (unit.min(bucket_secs), window);
        Self { bucket_secs, all: named.iter().map(units).collect(), named, rows: parts.rows }
    }

    /// Reads single rows.
    pub(in crate::store) fn rows(&self) -> Vec<Sql> {
        let read = |&(from, to): &Window| {
            let mut sql = Sql::from(
                "SELECT timestamp, COALESCE(provider_name, '') AS provider_name, \
                 COALESCE(substr(model_requested, 1, 255), '') AS model_requested, credential_name, outcome, \
                 COALESCE(input_tokens, 0) AS input_tokens, COALESCE(output_tokens, 0) AS output_tokens, \
                 COALESCE(total_tokens, 0) AS total_tokens, cost_microusd, total_duration_ms, ttft_ms \
                 FROM request_logs WHERE TRUE",
            );
            sql.and_at("timestamp >=", from).and_at("timestamp <", to);
            sql
        };
        self.rows.iter().map(read).collect()
    }

    /// Reads sums of rollups.
    pub(in crate::store) fn sums(&self) -> Vec<Sql> {
        let columns: String = SUMMED.iter().map(|column| format!(", {column}")).collect();
        self.rollups("log_sums", "", &columns, &totals())
    }

    /// Reads durations of rollups.
    pub(in crate::store) fn histograms(&self) -> Vec<Sql> {
        let keys = ", CAST(metric AS BIGINT) AS metric, CAST(bin AS BIGINT) AS bin";
        let total = ", CAST(SUM(requests) AS BIGINT) AS requests";
        self.rollups("log_histograms", keys, ", requests", total)
    }

    /// Reads a rollup: all requests unit by unit, names over all units.
    fn rollups(&self, table: &str, keys: &str, columns: &str, totals: &str) -> Vec<Sql> {
        let all = self.all.iter().map(|&(unit, (from, to))| {
            let mut sql = Sql::from("SELECT start, CAST(0 AS BIGINT) AS dimension, '' AS name");
            sql.push(keys).push(columns).push(&format!(" FROM {table} WHERE unit = {unit} AND dimension = 0"));
            sql.and_at("start >=", from).and_at("start <", to);
            sql
        });
        if self.named.is_empty() {
            return all.collect();
        }
        let mut named = Sql::from("SELECT NULL AS start, CAST(dimension AS BIGINT) AS dimension, name");
        named.push(keys).push(totals).push(" FROM (");
        for (place, &(unit, (from, to))) in self.named.iter().enumerate() {
            named.push(if place == 0 { "" } else { " UNION ALL " });
            named.push(&format!("SELECT * FROM {table} WHERE unit = {unit} AND dimension IN (1, 2, 3)"));
            named.and_at("start >=", from).and_at("start <", to);
        }
        named.push(") AS units GROUP BY dimension, name").push(if keys.is_empty() { "" } else { ", metric, bin" });
        all.chain([named]).collect()
    }
}

// === impl Summary ===

impl From<&Plan> for Summary {
    fn from(plan: &Plan) -> Self {
        Self { bucket_secs: plan.bucket_secs, is_binned: !plan.named.is_empty(), found: BTreeMap::new() }
    }
}

impl Summary {
    fn tally(&mut self, dimension: Dimension, name: &str) -> &mut Tally {
        self.found.entry(dimension).or_default().entry(name.to_owned()).or_default()
    }

    /// The number of the bucket that a time is in.
    fn bucket(&self, at: Moment) -> String {
        at.0.timestamp().div_euclid(self.bucket_secs).to_string()
    }

    /// Adds a single row.
    pub(in crate::store) fn add_row(&mut self, row: &SummaryRow) {
        let sums = row.sums();
        let value = |time| if self.is_binned { bins::bin(time) } else { time };
        let times = [Some(row.total_duration_ms), row.ttft_ms].map(|time| time.map(value));
        let bucket = self.bucket(row.timestamp);
        for (dimension, name) in [
            (Dimension::All, ""),
            (Dimension::Provider, &row.provider_name),
            (Dimension::Model, &row.model_requested),
            (Dimension::Credential, &row.credential_name),
            (Dimension::Bucket, &bucket),
        ] {
            let tally = self.tally(dimension, name);
            tally.sums.add(&sums);
            for (durations, time) in tally.durations.iter_mut().zip(times) {
                if let Some(time) = time {
                    *durations.entry(time).or_default() += 1;
                }
            }
        }
    }

    /// Adds sums of rollups.
    pub(in crate::store) fn add_sums(&mut self, row: &UnitRow) {
        for (dimension, name) in self.keys(row.start, row.sums.dimension, &row.sums.name) {
            self.tally(dimension, &name).sums.add(&row.sums.sums());
        }
    }

    /// Adds durations of rollups.
    pub(in crate::store) fn add_histogram(&mut self, row: &HistogramRow) {
        for (dimension, name) in self.keys(row.start, row.dimension, &row.name) {
            let [total, ttft] = &mut self.tally(dimension, &name).durations;
            let durations = if row.metric == 0 { total } else { ttft };
            *durations.entry(row.bin).or_default() += row.requests;
        }
    }

    /// What a row of a rollup counts for.
    fn keys(&self, start: Option<Moment>, number: i64, name: &str) -> Vec<(Dimension, String)> {
        let bucket = start.map(|at| (Dimension::Bucket, self.bucket(at)));
        dimension(number).map(|known| (known, name.to_owned())).into_iter().chain(bucket).collect()
    }

    /// Sums and percentiles by name.
    pub(in crate::store) fn finish(self) -> (SumsBy, PercentilesBy) {
        let (mut sums, mut percentiles) = (SumsBy::new(), PercentilesBy::new());
        for (dimension, names) in self.found {
            for (name, tally) in names {
                percentiles.insert((dimension, name.clone()), tally.percentiles(self.is_binned));
                sums.insert((dimension, name), tally.sums);
            }
        }
        (sums, percentiles)
    }
}

// === impl Tally ===

impl Tally {
    fn percentiles(&self, is_binned: bool) -> Percentiles {
        let [total, ttft] = &self.durations;
        let time = |durations, percent| {
            let value = percentile(durations, percent)?;
            Some(if is_binned { bins::middle(value) } else { value })
        };
        Percentiles {
            p50_ms: time(total, 50),
            p95_ms: time(total, 95),
            ttft_p50_ms: time(ttft, 50),
            ttft_p95_ms: time(ttft, 95),
        }
    }
}

/// By nearest rank: the least value that so many percent do not exceed.
fn percentile(durations: &BTreeMap<i64, i64>, percent: i64) -> Option<i64> {
    let total: i64 = durations.values().sum();
    let mut place = 0;
    let reached = |(value, requests): (&i64, &i64)| {
        place += requests;
        (place * 100 >= total * percent).then_some(*value)
    };
    durations.iter().find_map(reached)
}

// === impl SummaryRow ===

impl SummaryRow {
    fn sums(&self) -> Sums {
        Sums {
            requests: 1,
            failed: i64::from(self.outcome == "failed"),
            cancelled: i64::from(self.outcome == "cancelled"),
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            total_tokens: self.total_tokens,
            cost_microusd: self.cost_microusd,
            duration_ms: self.total_duration_ms,
            ttft_ms: self.ttft_ms.unwrap_or(0),
            ttft_requests: i64::from(self.ttft_ms.is_some()),
        }
    }
}
