//! What attempts showed of a provider beside what the breaker makes of them.
//!
//! Pure: whoever owns it passes the time.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Outcome;

/// What an attempt showed, told when it has ended.
#[derive(Debug, Clone, Default)]
pub struct AttemptFacts {
    /// From its start to the head of the answer, if one came.
    pub latency: Option<Duration>,
    /// From its start to the first content token of a stream, if one came.
    pub ttft: Option<Duration>,
    /// Why it failed.
    pub fault: Option<Fault>,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The status of the provider's answer; `None` when it gave no usable one.
    pub status: Option<u16>,
    /// The category of the request log.
    pub category: &'static str,
    /// Why, for an operator; without secrets.
    pub message: String,
}

/// What is known of a provider. Nothing here decides anything.
#[derive(Debug, Clone, Default)]
pub struct Vitals {
    /// From the start of an attempt to the head of its answer.
    pub latency: Average,
    /// From the start of an attempt to the first content token of a stream.
    pub ttft: Average,
    /// When an attempt last succeeded.
    pub last_success_at: Option<DateTime<Utc>>,
    /// The last failure, and when it was.
    pub last_error: Option<(DateTime<Utc>, Fault)>,
}

/// A moving average: each new time counts an eighth, as in TCP's (RFC 6298, 2.3).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Average(Option<f64>);

/// The part of a new time.
const WEIGHT: f64 = 0.125;

impl Vitals {
    /// Takes in an attempt that ended at `now`.
    pub fn on(&mut self, outcome: Outcome, facts: AttemptFacts, now: DateTime<Utc>) {
        self.latency.add(facts.latency);
        self.ttft.add(facts.ttft);
        if outcome == Outcome::Success {
            self.last_success_at = Some(now);
        }
        if let Some(fault) = facts.fault {
            self.last_error = Some((now, fault));
        }
    }
}

impl Average {
    fn add(&mut self, time: Option<Duration>) {
        let Some(time) = time.map(|time| time.as_secs_f64() * 1000.0) else {
            return;
        };
        self.0 = Some(self.0.map_or(time, |average| (time - average).mul_add(WEIGHT, average)));
    }

    /// In milliseconds; `None` before the first.
    #[must_use]
    pub const fn milliseconds(self) -> Option<f64> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(milliseconds: u64) -> AttemptFacts {
        AttemptFacts { latency: Some(Duration::from_millis(milliseconds)), ..AttemptFacts::default() }
    }

    #[test]
    fn an_average_begins_with_the_first_time_and_follows_the_later_ones() {
        let (mut vitals, now) = (Vitals::default(), Utc::now());
        assert_eq!((vitals.latency.milliseconds(), vitals.ttft.milliseconds()), (None, None));
        vitals.on(Outcome::Success, took(100), now);
        assert_eq!(vitals.latency.milliseconds(), Some(100.0));
        vitals.on(Outcome::Success, took(180), now);
        assert_eq!(vitals.latency.milliseconds(), Some(110.0));
        vitals.on(Outcome::Transport, AttemptFacts::default(), now);
        assert_eq!((vitals.latency.milliseconds(), vitals.ttft.milliseconds()), (Some(110.0), None));
        (0..100).for_each(|_| vitals.on(Outcome::Success, took(20), now));
        assert!(vitals.latency.milliseconds().is_some_and(|average| (20.0..20.1).contains(&average)));
    }

    #[test]
    fn the_last_success_and_the_last_error_are_kept_side_by_side() {
        let (mut vitals, start) = (Vitals::default(), Utc::now());
        let at = |seconds| start + chrono::Duration::seconds(seconds);
        let fault = |message: &str| Fault { status: Some(500), category: "provider_5xx", message: message.to_owned() };
        let failed = |message| AttemptFacts { fault: Some(fault(message)), ..AttemptFacts::default() };
        vitals.on(Outcome::Success, took(1), at(1));
        vitals.on(Outcome::ServerError, failed("one"), at(2));
        vitals.on(Outcome::ServerError, failed("two"), at(3));
        vitals.on(Outcome::Neutral, AttemptFacts::default(), at(4));
        assert_eq!(vitals.last_success_at, Some(at(1)));
        assert_eq!(vitals.last_error, Some((at(3), fault("two"))));
        vitals.on(Outcome::Success, took(1), at(5));
        assert_eq!((vitals.last_success_at, vitals.last_error), (Some(at(5)), Some((at(3), fault("two")))));
    }
}
