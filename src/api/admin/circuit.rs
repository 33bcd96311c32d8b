//! The state of a circuit as the admin API tells it.

use chrono::{DateTime, TimeDelta, Utc};
use tokio::time::Instant;

use super::dto::time;
use crate::actors::provider_pool::{Admission, ShutReason};

/// The wall clock and the clock of the pool, read at the same time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clocks {
    wall: DateTime<Utc>,
    pool: Instant,
}

impl Clocks {
    pub(super) fn now() -> Self {
        Self { wall: Utc::now(), pool: Instant::now() }
    }

    /// The name of a circuit's state, and when it ends if that is known.
    pub(super) fn circuit(self, admission: Option<Admission>) -> (&'static str, Option<String>) {
        match admission {
            None | Some(Admission::Open { .. }) => ("closed", None),
            Some(Admission::Probing { .. }) => ("half_open", None),
            Some(Admission::Shut { until, reason: ShutReason::Breaker, .. }) => ("open", Some(self.written(until))),
            Some(Admission::Shut { until, reason: ShutReason::Cooldown, .. }) => {
                ("cooldown", Some(self.written(until)))
            }
        }
    }

    fn written(self, at: Instant) -> String {
        let wait = TimeDelta::from_std(at.saturating_duration_since(self.pool)).unwrap_or(TimeDelta::MAX);
        time(self.wall.checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC))
    }
}
