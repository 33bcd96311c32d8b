//! How large the scenarios are.

use std::time::Duration;

/// The sizes of all scenarios. The small ones suit a debug build on two busy processors.
pub struct Scale {
    /// Changes through the admin API, of which as many threads make their part as there are writers.
    pub changes: u32,
    /// Edits by plain SQL between them.
    pub edits: u32,
    /// Requests a second of all replicas together.
    pub rate: u32,
    /// How long requests come while nothing is broken.
    pub load: Duration,
    /// How long the database is away.
    pub outage: Duration,
    /// Requests a second against a limit of a hundred.
    pub limited_rate: u32,
    /// How long they come.
    pub limited: Duration,
    /// Connections to each replica.
    pub connections: u32,
    /// Writes that are answered before the database is killed.
    pub writes_before_crash: usize,
    /// How late a replica may serve what another one has answered.
    pub told_within: Duration,
}

impl Scale {
    /// The size that this run was asked for.
    pub fn chosen() -> Self {
        // Set for one target of the Makefile; `settings` reads what the product is told.
        if option_is_set("CLUSTER_FULL") { Self::full() } else { Self::short() }
    }

    const fn full() -> Self {
        Self {
            changes: 450,
            edits: 50,
            rate: 2000,
            load: Duration::from_secs(30),
            outage: Duration::from_secs(30),
            limited_rate: 1000,
            limited: Duration::from_secs(20),
            connections: 24,
            writes_before_crash: 1000,
            told_within: Duration::from_secs(1),
        }
    }

    const fn short() -> Self {
        Self {
            changes: 108,
            edits: 12,
            rate: 150,
            load: Duration::from_secs(5),
            outage: Duration::from_secs(4),
            limited_rate: 300,
            limited: Duration::from_secs(5),
            connections: 6,
            writes_before_crash: 60,
            told_within: Duration::from_secs(60),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the size of a test is no setting of the product")]
fn option_is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| value == "1")
}

/// Tells a figure that a scenario measured.
#[expect(clippy::print_stdout, reason = "the figures are what these tests are run for")]
pub fn tell(figure: &str) {
    println!("cluster: {figure}");
}
