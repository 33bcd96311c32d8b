//! Live buckets of the credentials' quotas.
//!
//! With Redis all replicas share one bucket per credential; each leases small slices of it, so
//! that most requests wait for nothing. Without Redis, and while it does not answer, each replica
//! has buckets of its own.

mod bucket;
mod lease;
mod redis;
mod shared;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext as _, Context, Handler, WrapFuture as _};
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use self::bucket::{Bucket, Terms};
pub use self::shared::RedisStatus;
pub(in crate::actors) use self::shared::Sharing;
use self::shared::{Refill, SharedBucket};
use super::adopt::Adopt;
use super::published::{Published, Publisher};
use crate::config::{Quota, Snapshot};

/// What a credential without any quota left is told to wait; nothing will change by itself.
const NEVER: Duration = Duration::from_secs(3600);

/// How often Redis is met when no request asks for it: so soon it is noticed that it is gone, or
/// back.
const CHECK_EVERY: Duration = Duration::from_secs(5);

/// The bucket of one credential.
#[derive(Debug)]
pub struct Limiter {
    pub(super) quota: Quota,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Nobody may pass.
    Nothing,
    /// This replica's alone; taking a token is lock-free.
    Alone(Bucket),
    /// One for all replicas.
    Shared(Arc<SharedBucket>),
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

/// Keeps one bucket per credential and publishes them; asks Redis for tokens.
pub struct RateLimiterActor {
    table: Publisher<LimitTable>,
    sharing: Option<Arc<Sharing>>,
    /// What requests see while the next configuration is adopted.
    visible: Published<Snapshot>,
}

// === impl Limiter ===

impl Limiter {
    fn new(credential: i32, quota: Quota, sharing: Option<&Arc<Sharing>>) -> Self {
        let kind = match (quota, sharing) {
            (Quota::Nothing | Quota::Unlimited, _) => Kind::Nothing,
            (Quota::Bucket { per_second, burst }, None) => Kind::Alone(Bucket::new(Terms { per_second, burst })),
            (Quota::Bucket { per_second, burst }, Some(sharing)) => {
                let bucket = SharedBucket::new(credential, Terms { per_second, burst }, Arc::clone(sharing));
                Kind::Shared(Arc::new(bucket))
            }
        };
        Self { quota, kind }
    }

    /// Takes one token if there is one. Waits only for a shared bucket, and only when this
    /// replica holds none of its tokens: `REDIS_TIMEOUT_MS` at most.
    pub async fn take(&self) -> Decision {
        match &self.kind {
            Kind::Nothing => {
                Decision { limit: 0, remaining: 0, full_in: NEVER, retry_after: Some(NEVER), can_recover: false }
            }
            Kind::Alone(bucket) => bucket.take(),
            Kind::Shared(bucket) => bucket.take().await,
        }
    }

    /// Whole tokens left, as far as this replica knows; takes none and waits for nothing.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        match &self.kind {
            Kind::Nothing => 0,
            Kind::Alone(bucket) => bucket.remaining(),
            Kind::Shared(bucket) => bucket.remaining(),
        }
    }
}

// === impl RateLimiterActor ===

impl RateLimiterActor {
    /// An actor that goes on with the table published last, so that a restart refills nothing.
    #[must_use]
    pub(super) const fn new(
        table: Publisher<LimitTable>,
        sharing: Option<Arc<Sharing>>,
        visible: Published<Snapshot>,
    ) -> Self {
        Self { table, sharing, visible }
    }
}

/// The table for `snapshot`: a bucket whose quota did not change keeps its level, and one of which
/// only the `visible` configuration knows stays until the next adoption, since requests see that
/// configuration until `snapshot` is published.
fn adopt(before: &LimitTable, visible: &Snapshot, snapshot: &Snapshot, sharing: Option<&Arc<Sharing>>) -> LimitTable {
    let staying = limited(visible).filter_map(|(id, _)| Some((id, Arc::clone(before.get(&id)?))));
    let adopted = limited(snapshot).map(|(id, quota)| {
        let kept = before.get(&id).filter(|limiter| limiter.quota == quota);
        (id, kept.map_or_else(|| Arc::new(Limiter::new(id, quota, sharing)), Arc::clone))
    });
    staying.chain(adopted).collect()
}

/// The credentials with a quota.
fn limited(snapshot: &Snapshot) -> impl Iterator<Item = (i32, Quota)> {
    let all = snapshot.credentials.iter().map(|credential| (credential.record.id, credential.quota));
    all.filter(|(_, quota)| *quota != Quota::Unlimited)
}

impl Actor for RateLimiterActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let Some(sharing) = self.sharing.clone() else { return };
        sharing.serve(context.address());
        let watch = async move {
            let mut checks = interval_at(Instant::now() + CHECK_EVERY, CHECK_EVERY);
            checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                checks.tick().await;
                sharing.check().await;
            }
        };
        context.spawn(watch.into_actor(self));
    }
}

impl Handler<Adopt> for RateLimiterActor {
    type Result = ();

    fn handle(&mut self, Adopt(snapshot): Adopt, _: &mut Context<Self>) {
        let table = adopt(&self.table.current(), &self.visible.load(), &snapshot, self.sharing.as_ref());
        self.table.publish(Arc::new(table));
    }
}

impl Handler<Refill> for RateLimiterActor {
    type Result = ();

    /// A task of its own: other buckets do not wait for this one, and it survives the actor.
    fn handle(&mut self, refill: Refill, _: &mut Context<Self>) {
        actix::spawn(refill.carry_out());
    }
}
