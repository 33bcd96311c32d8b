//! Sums over many requests.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::bins;
use super::filter::RequestFilter;
use super::source::{Longest, Window, push_source, split};
use super::sql::Sql;

/// What sums are made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// Nothing: of all.
    All,
    /// The provider of the last attempt.
    Provider,
    /// The model that the client named.
    Model,
    /// Whose key it was.
    Credential,
    /// The status that the client got.
    Status,
    /// The number of the bucket since 1970.
    Bucket,
}

/// Sums over some requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many they are.
    pub requests: i64,
    /// How many failed.
    pub failed: i64,
    /// How many clients left.
    pub cancelled: i64,
    /// Prompt tokens.
    pub input_tokens: i64,
    /// Answer tokens.
    pub output_tokens: i64,
    /// Both.
    pub total_tokens: i64,
    /// What they cost, in micro-dollars; `None` where none of them has a price.
    pub cost_microusd: Option<i64>,
    /// All durations together, in milliseconds.
    pub duration_ms: i64,
    /// All times to the first byte together, in milliseconds.
    pub ttft_ms: i64,
    /// How many have one.
    pub ttft_requests: i64,
}

/// How long some requests took, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// Half of them took no longer.
    pub p50_ms: Option<i64>,
    /// 95 % of them took no longer.
    pub p95_ms: Option<i64>,
    /// The same to the first byte.
    pub ttft_p50_ms: Option<i64>,
    /// The same to the first byte.
    pub ttft_p95_ms: Option<i64>,
}

/// Sums by name. What has no provider or model has the empty name.
pub type SumsBy = BTreeMap<(Dimension, String), Sums>;

/// Percentiles by name.
pub type PercentilesBy = BTreeMap<(Dimension, String), Percentiles>;

/// The requests of a time, in buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SummaryWindow {
    /// From here on.
    pub start: DateTime<Utc>,
    /// Before this.
    pub end: DateTime<Utc>,
    /// The length of a bucket in seconds: a part or a multiple of an hour.
    pub bucket_secs: i64,
}

/// What the database says of one name.
#[derive(QueryableByName)]
pub(in crate::store) struct SumsRow {
    #[diesel(sql_type = BigInt)]
    dimension: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    requests: i64,
    #[diesel(sql_type = BigInt)]
    failed: i64,
    #[diesel(sql_type = BigInt)]
    cancelled: i64,
    #[diesel(sql_type = BigInt)]
    input_tokens: i64,
    #[diesel(sql_type = BigInt)]
    output_tokens: i64,
    #[diesel(sql_type = BigInt)]
    total_tokens: i64,
    #[diesel(sql_type = BigInt)]
    cost_microusd: i64,
    #[diesel(sql_type = BigInt)]
    priced: i64,
    #[diesel(sql_type = BigInt)]
    duration_ms: i64,
    #[diesel(sql_type = BigInt)]
    ttft_ms: i64,
    #[diesel(sql_type = BigInt)]
    ttft_requests: i64,
}

/// What the database says of the durations of one name.
#[derive(QueryableByName)]
pub(in crate::store) struct PercentilesRow {
    #[diesel(sql_type = BigInt)]
    dimension: i64,
    #[diesel(sql_type = BigInt)]
    metric: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    p50: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    p95: Option<i64>,
}

/// Turns a column of time into the number of a bucket of so many seconds.
pub(in crate::store) type BucketNumber = fn(&str, i64) -> String;

/// Dimensions with the numbers that stand for them in queries and histograms.
const DIMENSIONS: [(i64, Dimension, &str); 6] = [
    (0, Dimension::All, "''"),
    (1, Dimension::Provider, "provider_name"),
    (2, Dimension::Model, "model_requested"),
    (3, Dimension::Credential, "credential_name"),
    (4, Dimension::Status, "status_code"),
    (5, Dimension::Bucket, "bucket"),
];

const SUMMED: [&str; 11] = [
    "requests",
    "failed",
    "cancelled",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cost_microusd",
    "priced",
    "duration_ms",
    "ttft_ms",
    "ttft_requests",
];

// === sums ===

/// Reads sums by everything but buckets.
pub(in crate::store) fn stats(filter: &RequestFilter) -> Sql {
    sums(filter, Longest::Day, None, &[0, 1, 2, 3, 4])
}

/// Reads sums by everything but status.
pub(in crate::store) fn summary(window: &SummaryWindow, bucket: BucketNumber) -> Sql {
    let filter =
        RequestFilter { start_time: Some(window.start), end_time: Some(window.end), ..RequestFilter::default() };
    sums(&filter, window.longest(), Some(&bucket("start", window.bucket_secs)), &[0, 1, 2, 3, 5])
}

/// Reads how many requests `filter` means.
pub(in crate::store) fn count(filter: &RequestFilter) -> Sql {
    let mut sql = Sql::from("SELECT CAST(COALESCE(SUM(requests), 0) AS BIGINT) AS number FROM ");
    push_source(&mut sql, filter, Longest::Day);
    sql.push(" AS source");
    sql
}

fn sums(filter: &RequestFilter, longest: Longest, bucket: Option<&str>, dimensions: &[i64]) -> Sql {
    let keys: Vec<&str> = DIMENSIONS
        .into_iter()
        .filter(|(number, ..)| *number > 0 && dimensions.contains(number))
        .map(|(_, _, column)| column)
        .collect();
    let keys = keys.join(", ");
    let mut sql = Sql::from("WITH grouped AS MATERIALIZED (SELECT ");
    sql.push(&keys);
    for column in SUMMED {
        let value = match column {
            "failed" => "CASE WHEN outcome = 'failed' THEN requests ELSE 0 END",
            "cancelled" => "CASE WHEN outcome = 'cancelled' THEN requests ELSE 0 END",
            other => other,
        };
        sql.push(&format!(", SUM({value}) AS {column}"));
    }
    sql.push(&format!(" FROM (SELECT source.*, {} AS bucket FROM ", bucket.unwrap_or("0")));
    push_source(&mut sql, filter, longest);
    sql.push(&format!(" AS source) AS numbered GROUP BY {keys})"));
    let totals: String =
        SUMMED.iter().map(|column| format!(", CAST(COALESCE(SUM({column}), 0) AS BIGINT) AS {column}")).collect();
    for (number, _, column) in DIMENSIONS.into_iter().filter(|(number, ..)| dimensions.contains(number)) {
        let union = if number == 0 { " " } else { " UNION ALL " };
        let group = if number == 0 { String::new() } else { format!(" GROUP BY {column}") };
        let head = format!("{union}SELECT CAST({number} AS BIGINT) AS dimension, CAST({column} AS TEXT) AS name");
        sql.push(&format!("{head}{totals} FROM grouped{group}"));
    }
    sql
}

/// Sums by name.
pub(in crate::store) fn sums_by(rows: Vec<SumsRow>) -> SumsBy {
    let named = |row: SumsRow| {
        let sums = Sums {
            requests: row.requests,
            failed: row.failed,
            cancelled: row.cancelled,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            total_tokens: row.total_tokens,
            cost_microusd: (row.priced > 0).then_some(row.cost_microusd),
            duration_ms: row.duration_ms,
            ttft_ms: row.ttft_ms,
            ttft_requests: row.ttft_requests,
        };
        Some(((dimension(row.dimension)?, row.name), sums))
    };
    rows.into_iter().filter_map(named).collect()
}

fn dimension(number: i64) -> Option<Dimension> {
    DIMENSIONS.into_iter().find(|(known, ..)| *known == number).map(|(_, dimension, _)| dimension)
}

// === percentiles ===

/// Reads how long requests took, by everything but status. Percentiles are by nearest rank: of
/// single rows where the window is narrow, of bins where it is wide.
pub(in crate::store) fn percentiles(window: &SummaryWindow, bucket: BucketNumber) -> Sql {
    let all = (Some(window.start), Some(window.end));
    let is_wide = window.is_wide();
    let (by_hour, hours) = if is_wide { split(all, TimeDelta::hours(1)) } else { (vec![all], None) };
    let (by_day, days) = if is_wide { split(all, TimeDelta::days(1)) } else { (vec![all], None) };
    let number = |column: &str| bucket(column, window.bucket_secs);
    let mut sql = Sql::from("WITH ");
    push_rows(&mut sql, "by_hour", &by_hour, &number("timestamp"));
    sql.push(", ");
    push_rows(&mut sql, "by_day", &by_day, &number("timestamp"));
    sql.push(", durations AS (");
    let mut union = "";
    for (dimension, _, key) in DIMENSIONS.into_iter().filter(|(_, dimension, _)| *dimension != Dimension::Status) {
        // Histograms of all requests are hourly, those by name daily.
        let is_named = (1..=3).contains(&dimension);
        let rows = if is_named { "by_day" } else { "by_hour" };
        for (metric, column) in ["duration_ms", "ttft_ms"].into_iter().enumerate() {
            let value = if is_wide { bins::expression(column) } else { column.to_owned() };
            sql.push(&format!(
                "{union}SELECT {dimension} AS dimension, {metric} AS metric, CAST({key} AS TEXT) AS name, \
                 {value} AS value, 1 AS requests FROM {rows} WHERE {column} IS NOT NULL"
            ));
            union = " UNION ALL ";
        }
        if let Some((from, to)) = if is_named { days } else { hours } {
            let name = if dimension == 5 { number("start") } else { "name".to_owned() };
            let stored = if is_named { dimension } else { 0 };
            sql.push(&format!(
                "{union}SELECT {dimension}, metric, CAST({name} AS TEXT), bin, requests FROM log_histograms \
                 WHERE dimension = {stored}"
            ));
            sql.and_at("start >=", from).and_at("start <", to);
        }
    }
    sql.push(
        "), counted AS (SELECT dimension, metric, name, value, SUM(requests) AS requests FROM durations \
         GROUP BY dimension, metric, name, value), ranked AS (SELECT dimension, metric, name, value, \
         SUM(requests) OVER (PARTITION BY dimension, metric, name ORDER BY value) AS place, \
         SUM(requests) OVER (PARTITION BY dimension, metric, name) AS total FROM counted) \
         SELECT CAST(dimension AS BIGINT) AS dimension, CAST(metric AS BIGINT) AS metric, name, \
         CAST(MIN(CASE WHEN place * 100 >= total * 50 THEN value END) AS BIGINT) AS p50, \
         CAST(MIN(CASE WHEN place * 100 >= total * 95 THEN value END) AS BIGINT) AS p95 \
         FROM ranked GROUP BY dimension, metric, name",
    );
    sql
}

/// Appends a named subquery of the single rows of some windows.
fn push_rows(sql: &mut Sql, name: &str, windows: &[Window], bucket: &str) {
    sql.push(name).push(" AS MATERIALIZED (");
    let columns = format!(
        "SELECT COALESCE(provider_name, '') AS provider_name, COALESCE(substr(model_requested, 1, 255), '') AS model_requested, \
         credential_name, {bucket} AS bucket, total_duration_ms AS duration_ms, ttft_ms FROM request_logs WHERE "
    );
    for (from, to) in windows {
        sql.push(&columns).push("TRUE");
        sql.and_at("timestamp >=", *from).and_at("timestamp <", *to).push(" UNION ALL ");
    }
    // A window of whole units has no sides.
    sql.push(&columns).push("FALSE)");
}

/// Percentiles by name.
pub(in crate::store) fn percentiles_by(window: &SummaryWindow, rows: Vec<PercentilesRow>) -> PercentilesBy {
    let is_wide = window.is_wide();
    let time = |value: Option<i64>| if is_wide { value.map(bins::middle) } else { value };
    let mut by = PercentilesBy::new();
    for row in rows {
        let Some(dimension) = dimension(row.dimension) else { continue };
        let of = by.entry((dimension, row.name)).or_default();
        if row.metric == 0 {
            (of.p50_ms, of.p95_ms) = (time(row.p50), time(row.p95));
        } else {
            (of.ttft_p50_ms, of.ttft_p95_ms) = (time(row.p50), time(row.p95));
        }
    }
    by
}

impl SummaryWindow {
    /// Whether its percentiles come from bins.
    const fn is_wide(&self) -> bool {
        self.bucket_secs >= 3600
    }

    fn longest(&self) -> Longest {
        match self.bucket_secs {
            ..3600 => Longest::Row,
            3600..86400 => Longest::Hour,
            _ => Longest::Day,
        }
    }
}
