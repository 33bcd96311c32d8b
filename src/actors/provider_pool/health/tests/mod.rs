//! A provider whose clock moves only when told to, and the rules of its breaker.

use super::*;

mod any_history;
mod falling;
mod recovering;

const BUSY: Outcome = Outcome::RateLimited { retry_after: None };

/// One provider, its policy and its clock.
struct Bench {
    health: Health,
    policy: BreakerPolicy,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self::with(BreakerPolicy::default())
    }

    fn with(policy: BreakerPolicy) -> Self {
        Self { health: Health::new(), policy, now: Instant::now() }
    }

    /// An attempt that begins and ends now.
    fn on(&mut self, outcome: Outcome) -> Option<Ejection> {
        self.on_started(outcome, self.now)
    }

    fn on_started(&mut self, outcome: Outcome, started: Instant) -> Option<Ejection> {
        self.health.on(outcome, started, self.now, &self.policy)
    }

    fn repeat(&mut self, outcome: Outcome, times: u32) -> Option<Ejection> {
        (0..times).fold(None, |_, _| self.on(outcome))
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.health.tick(self.now, &self.policy);
    }

    fn admission(&self) -> Admission {
        self.health.admission(self.now, &self.policy)
    }

    fn factor(&self) -> f64 {
        match self.admission() {
            Admission::Open { factor } | Admission::Probing { factor, .. } | Admission::Shut { factor, .. } => factor,
        }
    }

    fn deadline(&self) -> Option<Duration> {
        let deadline = self.health.next_deadline(self.now, &self.policy)?;
        Some(deadline.duration_since(self.now))
    }

    /// Seconds the provider stays shut, and why.
    fn shut(&self) -> Option<(u64, ShutReason)> {
        match self.admission() {
            Admission::Shut { until, reason, .. } => Some((until.duration_since(self.now).as_secs(), reason)),
            Admission::Open { .. } | Admission::Probing { .. } => None,
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.admission(), Admission::Open { .. })
    }

    fn is_probing(&self) -> bool {
        matches!(self.admission(), Admission::Probing { .. })
    }
}

fn asked(seconds: u64) -> Outcome {
    Outcome::RateLimited { retry_after: Some(Duration::from_secs(seconds)) }
}

fn half_open() -> Bench {
    let mut bench = Bench::new();
    bench.repeat(Outcome::ServerError, 5);
    bench.wait(30);
    assert!(bench.is_probing());
    bench
}

fn closed_again() -> Bench {
    let mut bench = half_open();
    bench.repeat(Outcome::Success, 2);
    assert!(bench.is_open());
    bench
}

fn assert_close(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-9, "{actual} is not {expected}");
}
