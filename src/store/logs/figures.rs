//! Sums over many requests.

use std::collections::BTreeMap;

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Text};

use super::filter::RequestFilter;
use super::source::push_source;
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

/// What the database says of one name.
#[derive(QueryableByName)]
pub(in crate::store) struct SumsRow {
    #[diesel(sql_type = BigInt)]
    pub(super) dimension: i64,
    #[diesel(sql_type = Text)]
    pub(super) name: String,
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

/// Dimensions that are stored, with their number and their column in single rows.
const DIMENSIONS: [(i64, Dimension, &str); 5] = [
    (0, Dimension::All, "''"),
    (1, Dimension::Provider, "provider_name"),
    (2, Dimension::Model, "model_requested"),
    (3, Dimension::Credential, "credential_name"),
    (4, Dimension::Status, "status_code"),
];

/// The columns of [`Sums`].
pub(super) const SUMMED: [&str; 11] = [
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
    let named = DIMENSIONS.into_iter().filter(|(_, dimension, _)| *dimension != Dimension::All);
    let keys: Vec<&str> = named.map(|(_, _, column)| column).collect();
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
    sql.push(" FROM ");
    let unfiltered = push_source(&mut sql, filter);
    sql.push(&format!(" AS source GROUP BY {keys}) SELECT dimension, name{} FROM (", totals()));
    for (number, _, column) in DIMENSIONS {
        let (union, group) =
            if number == 0 { ("", String::new()) } else { (" UNION ALL ", format!(" GROUP BY {column}")) };
        let head = format!("{union}SELECT CAST({number} AS BIGINT) AS dimension, CAST({column} AS TEXT) AS name");
        sql.push(&format!("{head}{} FROM grouped{group}", totals()));
    }
    for (unit, (from, to)) in unfiltered {
        let columns = SUMMED.join(", ");
        sql.push(&format!(
            " UNION ALL SELECT CAST(dimension AS BIGINT), name, {columns} FROM log_sums WHERE unit = {unit}"
        ));
        sql.and_at("start >=", from).and_at("start <", to);
    }
    sql.push(") AS parts GROUP BY dimension, name");
    sql
}

/// Reads how many requests `filter` means.
pub(in crate::store) fn count(filter: &RequestFilter) -> Sql {
    let mut sql = Sql::from("SELECT CAST(COALESCE(SUM(requests), 0) AS BIGINT) AS number FROM (SELECT requests FROM ");
    let unfiltered = push_source(&mut sql, filter);
    sql.push(" AS source");
    for (unit, (from, to)) in unfiltered {
        sql.push(&format!(" UNION ALL SELECT requests FROM log_sums WHERE unit = {unit} AND dimension = 0"));
        sql.and_at("start >=", from).and_at("start <", to);
    }
    sql.push(") AS counted");
    sql
}

/// `, SUM(...) AS ...` of every column of [`Sums`].
pub(super) fn totals() -> String {
    SUMMED.iter().map(|column| format!(", CAST(COALESCE(SUM({column}), 0) AS BIGINT) AS {column}")).collect()
}

/// Sums by name.
pub(in crate::store) fn sums_by(rows: Vec<SumsRow>) -> SumsBy {
    let named = |row: SumsRow| {
        let sums = row.sums();
        Some(((dimension(row.dimension)?, row.name), sums))
    };
    rows.into_iter().filter_map(named).collect()
}

/// The dimension that has this number in the database.
pub(super) fn dimension(number: i64) -> Option<Dimension> {
    DIMENSIONS.into_iter().find(|(known, ..)| *known == number).map(|(_, dimension, _)| dimension)
}

// === impl SumsRow ===

impl SumsRow {
    pub(super) fn sums(&self) -> Sums {
        Sums {
            requests: self.requests,
            failed: self.failed,
            cancelled: self.cancelled,
            input_tokens: self.input_tokens,
            output_tokens: self.output_tokens,
            total_tokens: self.total_tokens,
            cost_microusd: (self.priced > 0).then_some(self.cost_microusd),
            duration_ms: self.duration_ms,
            ttft_ms: self.ttft_ms,
            ttft_requests: self.ttft_requests,
        }
    }
}

// === impl Sums ===

impl Sums {
    /// Adds those of other requests.
    pub(super) fn add(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.failed = self.failed.saturating_add(other.failed);
        self.cancelled = self.cancelled.saturating_add(other.cancelled);
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.total_tokens = self.total_tokens.saturating_add(other.total_tokens);
        self.cost_microusd = match (self.cost_microusd, other.cost_microusd) {
            (Some(cost), Some(more)) => Some(cost.saturating_add(more)),
            (cost, more) => cost.or(more),
        };
        self.duration_ms = self.duration_ms.saturating_add(other.duration_ms);
        self.ttft_ms = self.ttft_ms.saturating_add(other.ttft_ms);
        self.ttft_requests = self.ttft_requests.saturating_add(other.ttft_requests);
    }
}
