//! Buckets without Redis.

use std::time::Duration;

use futures_util::FutureExt as _;

use super::super::{Decision, Limiter, NEVER};
use super::quota;
use crate::config::Quota;

fn take(limiter: &Limiter) -> Decision {
    limiter.take().now_or_never().expect("without Redis nothing waits")
}

#[test]
fn a_burst_passes_and_then_the_client_is_told_when_to_come_back() {
    let limiter = Limiter::new(1, quota(1, 3), None);
    let passed: Vec<Decision> = (0..3).map(|_| take(&limiter)).collect();
    assert!(passed.iter().all(|decision| decision.retry_after.is_none()));
    assert_eq!(passed.iter().map(|decision| decision.remaining).collect::<Vec<_>>(), [2, 1, 0]);
    assert_eq!(passed[0].full_in, Duration::from_secs(1));
    let refused = take(&limiter);
    assert!(refused.retry_after.is_some_and(|wait| wait <= Duration::from_secs(1) && !wait.is_zero()));
    assert!(refused.can_recover && refused.limit == 3);
}

#[test]
fn a_quota_of_nothing_refuses_and_cannot_recover() {
    let limiter = Limiter::new(1, Quota::Nothing, None);
    let refused = take(&limiter);
    assert_eq!(refused.retry_after, Some(NEVER));
    assert!(!refused.can_recover);
    assert_eq!(limiter.remaining(), 0);
}

#[test]
fn whoever_looks_at_a_bucket_takes_nothing_of_it() {
    let limiter = Limiter::new(1, quota(1, 1000), None);
    assert_eq!((limiter.remaining(), limiter.remaining()), (1000, 1000));
    for _ in 0..400 {
        let decision = take(&limiter);
        // A token may come in between the two looks.
        assert!((decision.remaining..=decision.remaining + 1).contains(&limiter.remaining()));
    }
    let fast = Limiter::new(1, quota(1_000_000, 10), None);
    for _ in 0..10 {
        let _ = take(&fast);
    }
    let start = std::time::Instant::now();
    while fast.remaining() < 10 {
        assert!(start.elapsed() < Duration::from_secs(20), "the bucket does not fill");
    }
}
