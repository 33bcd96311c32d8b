mod alone;
mod lease;
mod outages;
mod replicas;
mod script;
mod shared;

use std::num::NonZeroU32;

use super::bucket::Terms;
use crate::config::Quota;

fn terms(per_second: u32, burst: u32) -> Terms {
    let number = |value| NonZeroU32::new(value).unwrap();
    Terms { per_second: number(per_second), burst: number(burst) }
}

fn quota(per_second: u32, burst: u32) -> Quota {
    let Terms { per_second, burst } = terms(per_second, burst);
    Quota::Bucket { per_second, burst }
}

/// Waits for what happens on another task.
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed() < std::time::Duration::from_secs(20), "did not happen: {what}");
        tokio::task::yield_now().await;
    }
}
