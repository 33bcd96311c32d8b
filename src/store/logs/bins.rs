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
    use super::*;

    #[test]
    fn the_middle_of_a_bin_is_near_everything_in_it() {
        for value in (0..100_000).chain((100_000..33_554_432).step_by(997)) {
            let error = (middle(bin(value)) - value).abs();
            assert!(error * 16 <= value, "{value}: {error}");
        }
    }

    #[test]
    fn bins_follow_each_other_without_a_gap() {
        let bins: Vec<i64> = (-1..33_554_434).step_by(1).map(bin).collect();
        assert!(bins.windows(2).all(|two| two[1] == two[0] || two[1] == two[0] + 1));
        assert_eq!((bins.first(), bins.last(), bin(i64::MAX), bin(i64::MIN)), (Some(&0), Some(&184), 184, 0));
    }
}
