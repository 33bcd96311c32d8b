//! Taking rows of SQLite's request log into the sums.

use std::sync::LazyLock;

use super::bins::bin_in_sql;

/// So many rows at most each time.
pub(in crate::store) const COUNTED_AT_ONCE: i64 = 10_000;

/// Adds rows that are not in the sums yet.
pub(in crate::store) static COUNT_ROWS: LazyLock<String> = LazyLock::new(|| {
    let mut sql = include_str!("count_rows.sql").to_owned();
    for column in ["total_duration_ms", "ttft_ms"] {
        sql = sql.replace(&format!("{{bin of {column}}}"), &bin_in_sql(column));
    }
    sql
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_places_are_filled_and_the_limit_is_that_of_the_statement() {
        assert!(!COUNT_ROWS.contains('{'));
        assert!(COUNT_ROWS.contains(&format!("LIMIT {COUNTED_AT_ONCE})")));
    }
}
