//! Durations in bins whose width grows with them.
//!
//! Below 32 ms every millisecond is a bin of its own; from there on every power of two has 16
//! bins. The middle of a bin is at most 1/32 (3.2 %) away from any duration in it. The triggers of
//! the rollups have the same rule.

/// Durations from here on (9.3 hours, in milliseconds) share the last bin.
const LAST: u32 = 25;

/// The bin of a column, in SQL of either database.
pub(in crate::store) fn expression(column: &str) -> String {
    let mut text = format!("CASE WHEN {column} < 0 THEN 0 WHEN {column} < 32 THEN {column}");
    for (power, first) in (5..LAST).zip((32..).step_by(16)) {
        let (from, width) = (1_u64 << power, 1_u64 << (power - 4));
        text.push_str(&format!(" WHEN {column} < {} THEN {first} + ({column} - {from}) / {width}", from * 2));
    }
    text.push_str(" ELSE 352 END");
    text
}

/// The middle of a bin, in milliseconds.
pub(in crate::store) fn middle(bin: i64) -> i64 {
    let Some(above) = bin.checked_sub(32).filter(|above| (0..=320).contains(above)) else {
        return bin;
    };
    let width = 1_i64 << (above / 16 + 1);
    (16 + above % 16) * width + width / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_bin_is_near_everything_in_it() {
        // What the expression says, once more.
        let bin = |value: i64| match value {
            ..32 => value,
            _ => {
                let power = i64::from(value.ilog2());
                32 + (power - 5) * 16 + (value - (1 << power)) / (1 << (power - 4))
            }
        };
        for value in (0..100_000).chain((100_000..30_000_000).step_by(997)) {
            let error = (middle(bin(value)) - value).abs();
            assert!(error * 32 <= value, "{value}: {error}");
        }
        assert!(expression("x").contains("WHEN x < 64 THEN 32 + (x - 32) / 2"));
        assert!(expression("x").ends_with("WHEN x < 33554432 THEN 336 + (x - 16777216) / 1048576 ELSE 352 END"));
    }
}
