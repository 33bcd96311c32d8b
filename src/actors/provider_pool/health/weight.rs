//! The two parts of a weight that move: the multiplier and slow start.

use std::time::Duration;

use tokio::time::Instant;

use super::{LONGEST, later, outcome::Outcome};
use crate::settings::BreakerPolicy;

/// Slow start rises in this many equal steps, so that a published admission stays true until the next deadline.
pub(super) const RAMP_STEPS: u32 = 20;

/// The multiplier after `outcome`, between the policy's floor and 1.
pub(super) fn next_multiplier(current: f64, outcome: Outcome, policy: &BreakerPolicy) -> f64 {
    let next = match outcome {
        Outcome::Success => current + share(policy.success_recovery_step),
        Outcome::RateLimited { .. } => current * 0.5,
        Outcome::ServerError | Outcome::Transport | Outcome::Auth => current * 0.7,
        Outcome::RequestTimeout => current * 0.9,
        Outcome::ClientFault | Outcome::Neutral => current,
    };
    next.clamp(share(policy.min_multiplier), 1.0)
}

/// A policy value as a number between 0 and 1.
pub(super) fn share(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}

/// The part of the weight that slow start grants at `now`, between the policy's floor and 1.
pub(super) fn ramp(since: Instant, now: Instant, policy: &BreakerPolicy) -> f64 {
    let floor = share(policy.min_multiplier);
    let progress = f64::from(ramp_step(since, now, policy)) / f64::from(RAMP_STEPS);
    (floor + (1.0 - floor) * progress).min(1.0)
}

/// Steps climbed so far, from 0 to [`RAMP_STEPS`].
pub(super) fn ramp_step(since: Instant, now: Instant, policy: &BreakerPolicy) -> u32 {
    if policy.slow_start_window.is_zero() {
        return RAMP_STEPS;
    }
    let elapsed = now.saturating_duration_since(since);
    let steps = elapsed.as_nanos() / step_length(policy).as_nanos();
    u32::try_from(steps).map_or(RAMP_STEPS, |steps| steps.min(RAMP_STEPS))
}

/// When slow start takes its next step; after `now` unless it is over.
pub(super) fn next_ramp_step(since: Instant, now: Instant, policy: &BreakerPolicy) -> Instant {
    let next = ramp_step(since, now, policy).saturating_add(1).min(RAMP_STEPS);
    later(since, step_length(policy).saturating_mul(next))
}

fn step_length(policy: &BreakerPolicy) -> Duration {
    (policy.slow_start_window.min(LONGEST) / RAMP_STEPS).max(Duration::from_nanos(1))
}
