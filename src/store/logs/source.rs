//! Counted requests, from rollups as far as they reach.
//!
//! `log_hours` and `log_days` hold sums of the rows of `request_logs` by what may be filtered for.
//! A window of time is made of whole days, whole hours at their sides, and single rows at the ends.

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};

use super::filter::{Conditions as _, RequestFilter};
use super::sql::Sql;

/// From, inclusive, to, exclusive; without one it is open there.
pub(in crate::store) type Window = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// The seconds of an hour.
pub(super) const HOUR: i64 = 3600;
/// The seconds of a day.
pub(super) const DAY: i64 = 86_400;

/// Columns of the rollups, as made from a single row.
const OF_ROW: &str = "COALESCE(provider_name, '') AS provider_name, \
    COALESCE(substr(model_requested, 1, 255), '') AS model_requested, credential_name, status_code, outcome, 1 AS requests, \
    COALESCE(input_tokens, 0) AS input_tokens, COALESCE(output_tokens, 0) AS output_tokens, \
    COALESCE(total_tokens, 0) AS total_tokens, COALESCE(cost_microusd, 0) AS cost_microusd, \
    CASE WHEN cost_microusd IS NULL THEN 0 ELSE 1 END AS priced, total_duration_ms AS duration_ms, \
    COALESCE(ttft_ms, 0) AS ttft_ms, CASE WHEN ttft_ms IS NULL THEN 0 ELSE 1 END AS ttft_requests";

const OF_ROLLUP: &str = "provider_name, model_requested, credential_name, status_code, outcome, requests, \
    input_tokens, output_tokens, total_tokens, cost_microusd, priced, duration_ms, ttft_ms, ttft_requests";

/// Appends a subquery of the requests that `filter` means: rows of sums. Returns what it leaves
/// out since `log_sums` has it: windows of whole units, each with the seconds of its units.
pub(in crate::store) fn push_source(sql: &mut Sql, filter: &RequestFilter) -> Vec<(i64, Window)> {
    let mut parts = Parts::of(filter);
    let unfiltered = if filter.is_of_time_only() { parts.take_units() } else { Vec::new() };
    // Without any part it has no row.
    sql.push(&format!("(SELECT {OF_ROLLUP} FROM log_hours WHERE FALSE"));
    for (windows, columns, table, time) in [
        (parts.rows, OF_ROW, "request_logs", "timestamp"),
        (parts.hours, OF_ROLLUP, "log_hours", "start"),
        (parts.days, OF_ROLLUP, "log_days", "start"),
    ] {
        for (from, to) in windows {
            sql.push(&format!(" UNION ALL SELECT {columns} FROM {table} WHERE TRUE"));
            sql.and_at(&format!("{time} >="), from).and_at(&format!("{time} <"), to);
            if table == "request_logs" {
                // Its times are those of the window.
                let rest = RequestFilter { start_time: None, end_time: None, ..filter.clone() };
                rest.push_to(sql);
            } else {
                filter.push_dimensions(sql, "model_requested");
            }
        }
    }
    sql.push(")");
    unfiltered
}

/// What a window is made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) rows: Vec<Window>,
    pub(super) hours: Vec<Window>,
    pub(super) days: Vec<Window>,
}

impl Parts {
    fn of(filter: &RequestFilter) -> Self {
        let all = (filter.start_time, filter.end_time);
        // The index of ids finds single rows at once; rollups do not know them.
        if filter.request_id.is_some() { Self::rows(all) } else { Self::longest(all) }
    }

    /// Single rows only.
    pub(super) fn rows(all: Window) -> Self {
        Self { rows: vec![all], ..Self::default() }
    }

    /// Units as long as possible.
    pub(super) fn longest(all: Window) -> Self {
        let (rows, Some(whole)) = split(all, TimeDelta::hours(1)) else {
            return Self::rows(all);
        };
        let (hours, days) = split(whole, TimeDelta::days(1));
        Self { rows, hours, days: days.into_iter().collect() }
    }

    /// Takes all windows of whole units, each with the seconds of its units.
    pub(super) fn take_units(&mut self) -> Vec<(i64, Window)> {
        let hours = self.hours.drain(..).map(|window| (HOUR, window));
        hours.chain(self.days.drain(..).map(|window| (DAY, window))).collect()
    }
}

/// The parts of a window at the sides of its whole units, and these; all of it is side when it
/// has none. Units begin at midnight UTC.
fn split((from, to): Window, unit: TimeDelta) -> (Vec<Window>, Option<Window>) {
    // Times that cannot be rounded lie where no row is.
    let down = |at: DateTime<Utc>| at.duration_trunc(unit).unwrap_or(at);
    let up = |at: DateTime<Utc>| match down(at) {
        whole if whole == at => at,
        whole => whole.checked_add_signed(unit).unwrap_or(at),
    };
    let (first, last) = (from.map(up), to.map(down));
    if first.zip(last).is_some_and(|(first, last)| first >= last) {
        return (vec![(from, to)], None);
    }
    let sides = [(from, first), (last, to)].into_iter().filter(|(from, to)| from != to).collect();
    (sides, Some((first, last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<DateTime<Utc>> {
        Some(format!("2026-01-{text}:00Z").parse().unwrap())
    }

    fn parts(start_time: Option<DateTime<Utc>>, end_time: Option<DateTime<Utc>>) -> Parts {
        Parts::longest((start_time, end_time))
    }

    #[test]
    fn a_window_is_made_of_days_then_hours_then_rows() {
        let all = parts(at("01T22:30"), at("04T01:15"));
        assert_eq!(all.rows, [(at("01T22:30"), at("01T23:00")), (at("04T01:00"), at("04T01:15"))]);
        assert_eq!(all.hours, [(at("01T23:00"), at("02T00:00")), (at("04T00:00"), at("04T01:00"))]);
        assert_eq!(all.days, [(at("02T00:00"), at("04T00:00"))]);
    }

    #[test]
    fn what_is_shorter_than_a_unit_or_open_has_fewer_parts() {
        assert_eq!(parts(None, None).days, [(None, None)]);
        assert_eq!((parts(None, None).rows, parts(None, None).hours), (vec![], vec![]));
        let short = parts(at("01T22:30"), at("01T23:30"));
        assert_eq!((short.rows, short.hours, short.days), (vec![(at("01T22:30"), at("01T23:30"))], vec![], vec![]));
        let open = parts(at("01T22:30"), None);
        assert_eq!(open.rows, [(at("01T22:30"), at("01T23:00"))]);
        assert_eq!(open.hours, [(at("01T23:00"), at("02T00:00"))]);
        assert_eq!(open.days, [(at("02T00:00"), None)]);
        let hours = parts(at("01T10:00"), at("01T12:00"));
        assert_eq!((hours.rows, hours.hours), (vec![], vec![(at("01T10:00"), at("01T12:00"))]));
    }
}
