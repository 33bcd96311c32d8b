//! A model of the script in Redis, and that it is one.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::super::bucket::Terms;
use super::super::lease::{Grant, MICRO};
use super::terms;
use crate::servers::Redis;

/// One bucket as `refill.lua` keeps it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Script {
    terms: Terms,
    /// In millionths of a token.
    level: u64,
    /// The microsecond of that level.
    at: u64,
}

impl Script {
    /// A bucket that is missing.
    pub(super) fn full(terms: Terms, now: u64) -> Self {
        Self { terms, level: u64::from(terms.burst.get()) * MICRO, at: now }
    }

    /// Takes up to `want` tokens at the microsecond `now`.
    pub(super) fn take(&mut self, want: u32, now: u64) -> Grant {
        let (rate, burst) = (u64::from(self.terms.per_second.get()), u64::from(self.terms.burst.get()));
        self.level = (burst * MICRO).min(self.level + now.saturating_sub(self.at) * rate);
        self.at = now;
        let tokens = u64::from(want).min(self.level / MICRO);
        self.level -= tokens * MICRO;
        Grant { tokens: u32::try_from(tokens).unwrap(), left: self.level }
    }
}

/// A fixed seed, for the time of Redis is not ours to fix anyway.
const SEED: u64 = 7;

#[test]
fn the_model_of_the_script_does_what_the_script_does() {
    let redis = Redis::start();
    let mut raw = redis::Client::open(redis.url()).unwrap().get_connection().unwrap();
    let script = redis::Script::new(include_str!("../refill.lua"));
    let mut dice = StdRng::seed_from_u64(SEED);
    for round in 0..2_000 {
        let (rate, burst) = (dice.random_range(1..500_u32), dice.random_range(1..300_u32));
        let (level, age) =
            (dice.random_range(0..=u64::from(burst) * MICRO), dice.random_range(-500_000..3_000_000_i64));
        let want = dice.random_range(0..200_u32);
        let (seconds, micros): (i64, i64) = redis::cmd("TIME").query(&mut raw).unwrap();
        let at = u64::try_from(seconds * 1_000_000 + micros - age).unwrap();
        let _: () = redis::cmd("SET").arg("bucket").arg(format!("{level} {at}")).query(&mut raw).unwrap();
        let (tokens, left): (u32, u64) = script.key("bucket").arg(rate).arg(burst).arg(want).invoke(&mut raw).unwrap();
        let stored: String = redis::cmd("GET").arg("bucket").query(&mut raw).unwrap();
        let (stored_level, now) = stored.split_once(' ').unwrap();
        let mut model = Script { terms: terms(rate, burst), level, at };
        assert_eq!(
            model.take(want, now.parse().unwrap()),
            Grant { tokens, left },
            "round {round}: {rate} {burst} {want}"
        );
        assert_eq!(stored_level.parse(), Ok(model.level), "round {round}");
        let keep: u64 = redis::cmd("PTTL").arg("bucket").query(&mut raw).unwrap();
        let full_in = (u64::from(burst) * MICRO - left) / u64::from(rate) / 1000;
        assert!(keep + 500 >= full_in, "round {round}: gone after {keep} ms, but full after {full_in}");
    }
}
