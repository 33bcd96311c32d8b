//! The bucket of one credential that is this replica's alone.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use governor::RateLimiter;
use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed, StateStore};

use super::Decision;

/// How fast a bucket fills, and how much it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    /// Tokens per second.
    pub per_second: NonZeroU32,
    /// Bucket size.
    pub burst: NonZeroU32,
}

/// A full bucket at first. Taking a token is lock-free.
#[derive(Debug)]
pub(super) struct Bucket {
    terms: Terms,
    governor: RateLimiter<NotKeyed, Level, TokioClock, StateInformationMiddleware>,
    level: Level,
    started: Instant,
}

/// The clock of the runtime: unlike that of the system it can be stopped, so that schedules repeat.
#[derive(Debug, Clone, Default)]
struct TokioClock;

/// The state of the governor, which can also be looked at from outside.
#[derive(Debug, Clone, Default)]
struct Level(Arc<InMemoryState>);

/// The time by the clock of the runtime.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

// === impl Terms ===

impl Terms {
    /// One token a second, and room for one.
    pub(super) const SMALLEST: Self = Self { per_second: NonZeroU32::MIN, burst: NonZeroU32::MIN };

    /// How long `tokens` take to come in.
    pub(super) fn refill(self, tokens: u32) -> Duration {
        Duration::from_secs(1).saturating_mul(tokens) / self.per_second.get()
    }

    /// What a client is told of a bucket that has `remaining` tokens left.
    pub(super) fn decision(self, remaining: u32, retry_after: Option<Duration>) -> Decision {
        let limit = self.burst.get();
        let remaining = remaining.min(limit);
        let full_in = self.refill(limit.saturating_sub(remaining));
        Decision { limit, remaining, full_in, retry_after, can_recover: true }
    }
}

// === impl TokioClock ===

impl Clock for TokioClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        now()
    }
}

// === impl Level ===

impl Level {
    /// When a bucket without tokens to spare would be full again, since its start; `None` before
    /// the first token was taken.
    fn full_at(&self) -> Option<Nanos> {
        // A refusal changes nothing.
        let read = |full_at: Option<Nanos>| Err::<((), Nanos), _>(full_at);
        self.0.measure_and_replace(&NotKeyed::NonKey, read).err().flatten()
    }
}

impl StateStore for Level {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, key: &NotKeyed, replace: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        self.0.measure_and_replace(key, replace)
    }
}

// === impl Bucket ===

impl Bucket {
    pub(super) fn new(terms: Terms) -> Self {
        let quota = governor::Quota::per_second(terms.per_second).allow_burst(terms.burst);
        let (started, level) = (now(), Level::default());
        let governor = RateLimiter::new(quota, level.clone(), TokioClock);
        Self { terms, governor, level, started }
    }

    /// Takes one token if there is one.
    pub(super) fn take(&self) -> Decision {
        match self.governor.check() {
            Ok(state) => self.terms.decision(state.remaining_burst_capacity(), None),
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.governor.clock().now());
                self.terms.decision(0, Some(wait))
            }
        }
    }

    /// Whole tokens left; takes none.
    pub(super) fn remaining(&self) -> u32 {
        let full_at = self.level.full_at().map_or(Duration::ZERO, Duration::from);
        let full_in = full_at.saturating_sub(now().saturating_duration_since(self.started));
        let interval = self.terms.refill(1).max(Duration::from_nanos(1));
        let missing = u32::try_from(full_in.as_nanos().div_ceil(interval.as_nanos())).unwrap_or(u32::MAX);
        self.terms.burst.get().saturating_sub(missing)
    }
}
