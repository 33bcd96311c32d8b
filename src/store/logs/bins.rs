//! Durations in bins whose width grows with them.
//!
//! Below 16 ms every millisecond is a bin of its own; from there on every power of two has 8
//! bins. The middle of a bin is at most 1/16 (6.3 %) away from any duration in it. The triggers of
//! the rollups have the same rule.

/// Durations from 33,554,432 ms (9.3 hours) on share this bin.
const LAST: i64 = 184;

/// The bin of a duration in milliseconds.
pub(super) fn bin(value: i64) -> i64 {
    let Some(power) = value.checked_ilog2().map(i64::from).filter(|power| *power >= 4) else {
        return value.max(0);
    };
    // The three bits below the highest one.
    let place = (value >> (power - 3)) & 7;
    (16 + (power - 4) * 8 + place).min(LAST)
}

/// The same in SQL: the bin of the value of `column`, NULL where that is.
pub(super) fn bin_in_sql(column: &str) -> String {
    /// The bin of a value below 2^(`last` + 1) and not below 2^`first`, by halves.
    fn within(column: &str, first: i64, last: i64) -> String {
        if first == last {
            let (begin, width) = (1_i64 << first, 1_i64 << (first - 3));
            return format!("{} + ({column} - {begin}) / {width}", 16 + (first - 4) * 8);
        }
        let middle = i64::midpoint(first, last);
        let (below, above) = (within(column, first, middle), within(column, middle + 1, last));
        format!("CASE WHEN {column} < {} THEN {below} ELSE {above} END", 1_i64 << (middle + 1))
    }
    let binned = within(column, 4, 24);
    format!(
        "CASE WHEN {column} IS NULL THEN NULL WHEN {column} < 0 THEN 0 WHEN {column} < 16 THEN {column} \
         WHEN {column} >= {} THEN {LAST} ELSE {binned} END",
        1_i64 << 25
    )
}

/// The middle of a bin, in milliseconds.
pub(super) fn middle(bin: i64) -> i64 {
    let Some(above) = bin.checked_sub(16).filter(|above| (0..=LAST - 16).contains(above)) else {
        return bin;
    };
    let width = 1_i64 << (above / 8 + 1);
    (8 + above % 8) * width + width / 2
}

#[cfg(test)]
mod tests {
    use diesel::sql_types::BigInt;
    use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection, sql_query};

    use super::*;

    #[test]
    fn the_middle_of_a_bin_is_near_everything_in_it() {
        for value in (0..100_000).chain((100_000..33_554_432).step_by(997)) {
            let error = (middle(bin(value)) - value).abs();
            assert!(error * 16 <= value, "{value}: {error}");
        }
    }

    #[test]
    fn sql_has_the_same_bins() {
        #[derive(diesel::QueryableByName)]
        struct Bin {
            #[diesel(sql_type = diesel::sql_types::Nullable<BigInt>)]
            bin: Option<i64>,
        }
        let mut c = SqliteConnection::establish(":memory:").unwrap();
        let edges = (4..27).flat_map(|power| [-1, 0, 1, 7].map(|away| (1_i64 << power) + away));
        for value in edges.chain([i64::MIN, -1, 0, 5, 99, 1234, 777_777, i64::MAX]).map(Some).chain([None]) {
            let query = format!("SELECT {} AS bin FROM (SELECT CAST(? AS INTEGER) AS ms)", bin_in_sql("ms"));
            let found: Bin =
                sql_query(query).bind::<diesel::sql_types::Nullable<BigInt>, _>(value).get_result(&mut c).unwrap();
            assert_eq!(found.bin, value.map(bin), "{value:?}");
        }
    }

    #[test]
    fn bins_follow_each_other_without_a_gap() {
        let bins: Vec<i64> = (-1..33_554_434).step_by(1).map(bin).collect();
        assert!(bins.windows(2).all(|two| two[1] == two[0] || two[1] == two[0] + 1));
        assert_eq!((bins.first(), bins.last(), bin(i64::MAX), bin(i64::MIN)), (Some(&0), Some(&184), 184, 0));
    }
}
