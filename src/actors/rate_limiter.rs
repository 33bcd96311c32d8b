//! Live buckets of the credentials' quotas.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler};
use governor::RateLimiter;
use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};

use super::adopt::Adopt;
use super::published::Publisher;
use crate::config::{Quota, Snapshot};

type Bucket = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// What a credential without any quota left is told to wait; nothing will change by itself.
const NEVER: Duration = Duration::from_secs(3600);

/// The bucket of one credential. Taking a token is lock-free.
#[derive(Debug)]
pub struct Limiter {
    quota: Quota,
    bucket: Option<Bucket>,
}

/// Whether a request may pass, and what the client is told of its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Bucket size in requests.
    pub limit: u32,
    /// Whole tokens left.
    pub remaining: u32,
    /// Until the bucket is full again.
    pub full_in: Duration,
    /// Set when the request is refused: how long until there is a token.
    pub retry_after: Option<Duration>,
    /// Whether waiting helps at all; false for a quota of zero.
    pub can_recover: bool,
}

/// Credential id → bucket; a credential that is missing has no quota.
pub type LimitTable = HashMap<i32, Arc<Limiter>>;

/// Keeps one bucket per credential and publishes them.
pub struct RateLimiterActor {
    table: Publisher<LimitTable>,
}

// === impl Limiter ===

impl Limiter {
    fn new(quota: Quota) -> Self {
        let bucket = match quota {
            Quota::Bucket { per_second, burst } => {
                let quota = governor::Quota::per_second(per_second).allow_burst(burst);
                Some(RateLimiter::direct(quota).with_middleware::<StateInformationMiddleware>())
            }
            Quota::Nothing | Quota::Unlimited => None,
        };
        Self { quota, bucket }
    }

    /// Takes one token if there is one.
    #[must_use]
    pub fn take(&self) -> Decision {
        let (Some(bucket), Quota::Bucket { per_second, burst }) = (&self.bucket, self.quota) else {
            return Decision { limit: 0, remaining: 0, full_in: NEVER, retry_after: Some(NEVER), can_recover: false };
        };
        let limit = burst.get();
        let refill = |tokens: u32| Duration::from_secs(1).saturating_mul(tokens) / per_second.get();
        let (remaining, retry_after) = match bucket.check() {
            Ok(state) => (state.remaining_burst_capacity().min(limit), None),
            Err(not_until) => (0, Some(not_until.wait_time_from(DefaultClock::default().now()))),
        };
        Decision { limit, remaining, full_in: refill(limit.saturating_sub(remaining)), retry_after, can_recover: true }
    }
}

// === impl RateLimiterActor ===

impl RateLimiterActor {
    /// An actor that goes on with the table published last, so that a restart refills nothing.
    #[must_use]
    pub const fn new(table: Publisher<LimitTable>) -> Self {
        Self { table }
    }
}

/// The table for `snapshot`: a bucket whose quota did not change keeps its level.
fn adopt(before: &LimitTable, snapshot: &Snapshot) -> LimitTable {
    let limited = snapshot.credentials.iter().filter(|credential| credential.quota != Quota::Unlimited);
    limited
        .map(|credential| {
            let kept = before.get(&credential.record.id).filter(|limiter| limiter.quota == credential.quota);
            let limiter = kept.map_or_else(|| Arc::new(Limiter::new(credential.quota)), Arc::clone);
            (credential.record.id, limiter)
        })
        .collect()
}

impl Actor for RateLimiterActor {
    type Context = Context<Self>;
}

impl Handler<Adopt> for RateLimiterActor {
    type Result = ();

    fn handle(&mut self, Adopt(snapshot): Adopt, _: &mut Context<Self>) {
        let table = adopt(&self.table.current(), &snapshot);
        self.table.publish(Arc::new(table));
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn bucket(per_second: u32, burst: u32) -> Quota {
        let number = |value| NonZeroU32::new(value).unwrap();
        Quota::Bucket { per_second: number(per_second), burst: number(burst) }
    }

    #[test]
    fn a_burst_passes_and_then_the_client_is_told_when_to_come_back() {
        let limiter = Limiter::new(bucket(1, 3));
        let passed: Vec<Decision> = (0..3).map(|_| limiter.take()).collect();
        assert!(passed.iter().all(|decision| decision.retry_after.is_none()));
        assert_eq!(passed.iter().map(|decision| decision.remaining).collect::<Vec<_>>(), [2, 1, 0]);
        assert_eq!(passed[0].full_in, Duration::from_secs(1));
        let refused = limiter.take();
        assert!(refused.retry_after.is_some_and(|wait| wait <= Duration::from_secs(1) && !wait.is_zero()));
        assert!(refused.can_recover && refused.limit == 3);
    }

    #[test]
    fn a_quota_of_nothing_refuses_and_cannot_recover() {
        let refused = Limiter::new(Quota::Nothing).take();
        assert_eq!(refused.retry_after, Some(NEVER));
        assert!(!refused.can_recover);
    }
}
