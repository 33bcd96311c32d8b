//! How large the scenarios are, and what decides their random choices.

use std::sync::LazyLock;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// The sizes of all scenarios. The small ones suit a debug build on two busy processors.
pub struct Scale {
    /// Streams that their clients leave.
    pub aborts: u32,
    /// Clients that leave streams, each one after the other.
    pub leavers: u32,
    /// How long providers fail at random, and requests a second meanwhile.
    pub chaos: Duration,
    pub chaos_rate: u32,
    /// How often every replica is restarted, and requests a second meanwhile.
    pub rounds: u32,
    pub restart_rate: u32,
    /// How long nothing special happens, and requests a second meanwhile.
    pub steady: Duration,
    pub steady_rate: u32,
}

/// What all random choices of this run follow from.
#[derive(Clone, Copy)]
pub struct Seed(u64);

impl Scale {
    /// The size that this run was asked for: percents of the full one.
    pub fn chosen() -> Self {
        match option("SOAK_PERCENT") {
            Some(percent) => Self::part(u32::try_from(percent).unwrap()),
            None => Self::short(),
        }
    }

    fn part(percent: u32) -> Self {
        let seconds = |full: u32| Duration::from_secs(u64::from(full * percent / 100));
        Self {
            aborts: 1000 * percent,
            leavers: 24,
            chaos: seconds(600),
            chaos_rate: 300,
            rounds: (percent / 10).max(1),
            restart_rate: 150,
            steady: seconds(900),
            steady_rate: 200,
        }
    }

    const fn short() -> Self {
        Self {
            aborts: 2000,
            leavers: 8,
            chaos: Duration::from_secs(8),
            chaos_rate: 60,
            rounds: 1,
            restart_rate: 40,
            steady: Duration::from_secs(10),
            steady_rate: 40,
        }
    }
}

impl Seed {
    /// `SOAK_SEED`, to repeat a run, else a new one; it is told either way.
    pub fn chosen(scenario: &str) -> Self {
        static SEED: LazyLock<u64> = LazyLock::new(|| option("SOAK_SEED").unwrap_or_else(|| rand::rng().random()));
        tell(&format!("{scenario}: SOAK_SEED={}", *SEED));
        Self(*SEED)
    }

    /// The choices for one thing: the same whenever they are made, and whoever else chooses.
    pub fn dice(self, thing: u64) -> StdRng {
        // Seeds that differ in a bit give unrelated choices, so that a plain mix is enough.
        StdRng::seed_from_u64(self.0 ^ thing.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

/// A number in the environment; the size of a test is no setting of the product.
#[expect(clippy::disallowed_methods, reason = "`settings` reads what the product is told")]
fn option(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
    Some(value.parse().unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// Tells a figure that a scenario measured.
#[expect(clippy::print_stdout, reason = "the figures are what these tests are run for")]
pub fn tell(figure: &str) {
    println!("soak: {figure}");
}
