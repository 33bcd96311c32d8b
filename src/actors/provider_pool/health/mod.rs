//! The breaker of one provider: outcomes and the time go in, an admission comes out.
//!
//! A pure machine. It reads no clock and starts no timer; whoever owns it passes the time, calls [`Health::tick`] at
//! [`Health::next_deadline`] and publishes [`Health::admission`], which changes at no other moment than these calls.

use std::time::Duration;

use tokio::time::Instant;

pub use self::outcome::{EjectionReason, Outcome};
use self::outcome::{FailureClass, Run};
use self::weight::{RAMP_STEPS, next_multiplier, next_ramp_step, ramp, ramp_step, share};
use crate::settings::BreakerPolicy;

mod outcome;
#[cfg(test)]
mod tests;
mod weight;

/// Longer times are cut to this: far beyond any use, and safely added to any [`Instant`].
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A circuit has just opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ejection {
    /// The failure that opened it.
    pub reason: EjectionReason,
    /// When probing begins.
    pub until: Instant,
}

/// Why a provider is shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShutReason {
    /// Benched by a 429; the circuit is closed.
    Cooldown,
    /// The circuit is open.
    Breaker,
}

/// How much traffic a provider may get now. Every `factor` lies between 0 and 1 and multiplies the configured weight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Admission {
    /// In normal use.
    Open {
        /// Share of the configured weight.
        factor: f64,
    },
    /// Half-open: a few attempts at a time decide.
    Probing {
        /// When this phase began. Names the phase: permits of another one are void.
        since: Instant,
        /// Attempts that may run at once, at least 1.
        permits: u32,
        /// Share of the configured weight.
        factor: f64,
    },
    /// Gets attempts only as the last candidate.
    Shut {
        /// When this ends.
        until: Instant,
        /// Cooldown or open circuit.
        reason: ShutReason,
        /// Ranks last candidates, on the same scale as [`Admission::Probing`]; the effective weight itself is 0.
        factor: f64,
    },
}

/// The circuit and the weight of one provider.
#[derive(Debug, Clone)]
pub struct Health {
    circuit: Circuit,
    multiplier: f64,
    run: Run,
    /// Ejections since the last full recovery.
    ejections: u32,
}

#[derive(Debug, Clone, Copy)]
enum Circuit {
    Closed { benched_until: Option<Instant>, ramp_since: Option<Instant> },
    Open { until: Instant },
    HalfOpen { since: Instant, successes: u32 },
}

// === impl Health ===

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// A provider nothing bad is known about: closed, full weight, no slow start.
    #[must_use]
    pub fn new() -> Self {
        Self {
            circuit: Circuit::Closed { benched_until: None, ramp_since: None },
            multiplier: 1.0,
            run: Run::default(),
            ejections: 0,
        }
    }

    /// Takes in how an attempt that began at `started` ended at `now`; returns the ejection it caused, if any.
    ///
    /// While the circuit is half-open only attempts begun since then decide, so that an answer still under way from
    /// before cannot close or open it. A 429 is the exception: it always benches.
    pub fn on(&mut self, outcome: Outcome, started: Instant, now: Instant, policy: &BreakerPolicy) -> Option<Ejection> {
        if !policy.enabled {
            return None;
        }
        self.tick(now, policy);
        self.multiplier = next_multiplier(self.multiplier, outcome, policy);
        let reason = match outcome {
            Outcome::Success => {
                self.succeed(started, now, policy);
                return None;
            }
            Outcome::ClientFault => {
                self.end_run_if_closed();
                return None;
            }
            Outcome::RequestTimeout | Outcome::Neutral => return None,
            Outcome::RateLimited { retry_after } => {
                return self.rate_limited(retry_after, now, policy);
            }
            Outcome::ServerError => EjectionReason::ServerError,
            Outcome::Transport => EjectionReason::Transport,
            Outcome::Auth => EjectionReason::Auth,
        };
        self.fail(reason, started, now, policy)
    }

    /// Makes the changes that only time brings. Calling it early, late or twice does no harm.
    pub fn tick(&mut self, now: Instant, policy: &BreakerPolicy) {
        match &mut self.circuit {
            Circuit::Closed { benched_until, ramp_since } => {
                benched_until.take_if(|until| *until <= now);
                let ramp = ramp_since.take_if(|since| ramp_step(*since, now, policy) >= RAMP_STEPS);
                if ramp.is_some() {
                    self.ejections = 0;
                }
            }
            // Counted from the end of the open time, not from a timer that may fire late.
            Circuit::Open { until } if *until <= now => {
                self.circuit = Circuit::HalfOpen { since: *until, successes: 0 };
            }
            Circuit::Open { .. } | Circuit::HalfOpen { .. } => {}
        }
    }

    /// When [`Health::tick`] must be called next: after `now` if it was called at `now`. `None` when time alone changes
    /// nothing.
    #[must_use]
    pub fn next_deadline(&self, now: Instant, policy: &BreakerPolicy) -> Option<Instant> {
        if !policy.enabled {
            return None;
        }
        match self.circuit {
            Circuit::Closed { benched_until, ramp_since } => {
                let ramp = ramp_since.map(|since| next_ramp_step(since, now, policy));
                benched_until.into_iter().chain(ramp).min()
            }
            Circuit::Open { until } => Some(until),
            Circuit::HalfOpen { .. } => None,
        }
    }

    /// What the provider may get, as of the last call of [`Health::on`] or [`Health::tick`].
    #[must_use]
    pub fn admission(&self, now: Instant, policy: &BreakerPolicy) -> Admission {
        if !policy.enabled {
            return Admission::Open { factor: 1.0 };
        }
        let reduced = self.multiplier * share(policy.half_open_weight_factor);
        match self.circuit {
            Circuit::Closed { benched_until: Some(until), .. } => {
                Admission::Shut { until, reason: ShutReason::Cooldown, factor: reduced }
            }
            Circuit::Closed { ramp_since, .. } => {
                Admission::Open { factor: self.multiplier * ramp_since.map_or(1.0, |since| ramp(since, now, policy)) }
            }
            Circuit::Open { until } => Admission::Shut { until, reason: ShutReason::Breaker, factor: reduced },
            Circuit::HalfOpen { since, .. } => {
                Admission::Probing { since, permits: policy.half_open_max_probes.max(1), factor: reduced }
            }
        }
    }

    fn succeed(&mut self, started: Instant, now: Instant, policy: &BreakerPolicy) {
        self.end_run_if_closed();
        if let Circuit::HalfOpen { since, successes } = &mut self.circuit
            && started >= *since
        {
            *successes = successes.saturating_add(1);
            if *successes >= policy.half_open_success_threshold {
                self.close(now, policy);
            }
        }
    }

    fn fail(
        &mut self,
        reason: EjectionReason,
        started: Instant,
        now: Instant,
        policy: &BreakerPolicy,
    ) -> Option<Ejection> {
        match self.circuit {
            Circuit::Open { .. } => return None,
            Circuit::HalfOpen { since, .. } if started < since => return None,
            Circuit::Closed { .. } | Circuit::HalfOpen { .. } => {}
        }
        self.run.extend(reason.class());
        if !self.ejects(policy) {
            return None;
        }
        let open = doubled(policy.base_open, self.ejections).min(policy.max_open);
        Some(self.eject(reason, later(now, open)))
    }

    fn rate_limited(
        &mut self,
        retry_after: Option<Duration>,
        now: Instant,
        policy: &BreakerPolicy,
    ) -> Option<Ejection> {
        if let Circuit::Open { until } = &mut self.circuit {
            // Without a time asked for, late 429s of one burst would only lengthen what the burst already caused.
            if let Some(asked) = retry_after {
                *until = later(now, asked.min(policy.max_429_cooldown)).max(*until);
            }
            return None;
        }
        let so_far = self.run.length_of(FailureClass::RateLimit);
        let cooldown =
            retry_after.unwrap_or_else(|| doubled(policy.base_429_cooldown, so_far)).min(policy.max_429_cooldown);
        let end = later(now, cooldown);
        self.run.extend(FailureClass::RateLimit);
        if self.ejects(policy) {
            return Some(self.eject(EjectionReason::RateLimited, end));
        }
        if let Circuit::Closed { benched_until, .. } = &mut self.circuit {
            *benched_until = Some(end).max(*benched_until);
        }
        None
    }

    fn ejects(&self, policy: &BreakerPolicy) -> bool {
        matches!(self.circuit, Circuit::HalfOpen { .. }) || self.run.reaches_threshold(policy)
    }

    fn eject(&mut self, reason: EjectionReason, until: Instant) -> Ejection {
        let until = match self.circuit {
            Circuit::Closed { benched_until, .. } => Some(until).max(benched_until).unwrap_or(until),
            Circuit::Open { .. } | Circuit::HalfOpen { .. } => until,
        };
        self.ejections = self.ejections.saturating_add(1);
        self.circuit = Circuit::Open { until };
        Ejection { reason, until }
    }

    fn close(&mut self, now: Instant, policy: &BreakerPolicy) {
        self.run = Run::default();
        self.circuit = Circuit::Closed { benched_until: None, ramp_since: Some(now) };
        // An empty slow start is over at once.
        self.tick(now, policy);
    }

    /// In a half-open circuit the run lives until the circuit closes, so that a 429 there benches longer than the last.
    fn end_run_if_closed(&mut self) {
        if matches!(self.circuit, Circuit::Closed { .. }) {
            self.run = Run::default();
        }
    }
}

fn doubled(base: Duration, times: u32) -> Duration {
    base.saturating_mul(2_u32.saturating_pow(times))
}

fn later(now: Instant, wait: Duration) -> Instant {
    now.checked_add(wait.min(LONGEST)).unwrap_or(now)
}
