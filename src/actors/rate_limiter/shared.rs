//! Buckets that all replicas share, as requests meet them.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix::{Addr, Message};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::bucket::{Bucket, Terms, now};
use super::lease::{Grant, Lease, Taken, Verdict};
use super::redis::{Redis, SharedBuckets};
use super::{Decision, RateLimiterActor};
use crate::actors::published::Publisher;
use crate::actors::tell;
use crate::settings::RedisSettings;
use crate::telemetry::Telemetry;

/// Whether the buckets are shared, as last noticed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedisStatus {
    /// Whether they are to be shared at all.
    pub is_configured: bool,
    /// Whether Redis answered the last question.
    pub is_up: bool,
    /// Why it did not answer the last time that it did not.
    pub last_error: Option<String>,
}

/// What all shared buckets of this replica work with.
pub(in crate::actors) struct Sharing {
    redis: Box<dyn SharedBuckets>,
    /// How long a request waits.
    limit: Duration,
    is_up: AtomicBool,
    /// Who asks Redis; none before it has started.
    actor: Mutex<Option<Addr<RateLimiterActor>>>,
    status: Publisher<RedisStatus>,
    telemetry: Telemetry,
}

/// The bucket of one credential.
pub(super) struct SharedBucket {
    key: String,
    terms: Terms,
    lease: Mutex<Lease<oneshot::Sender<Verdict>>>,
    /// What decides while Redis does not.
    alone: Bucket,
    sharing: Arc<Sharing>,
}

/// Asks Redis for tokens of one bucket. Wherever it gets lost, nobody goes on waiting for it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Refill {
    bucket: Arc<SharedBucket>,
    want: u32,
    is_answered: bool,
}

// === impl Sharing ===

impl Sharing {
    /// Redis counts as down until the first [`Self::check`].
    ///
    /// # Errors
    /// When the URL cannot be understood.
    pub(in crate::actors) fn new(
        settings: &RedisSettings,
        status: Publisher<RedisStatus>,
        telemetry: Telemetry,
    ) -> Result<Self, String> {
        let redis = Redis::new(settings).map_err(|error| error.to_string())?;
        Ok(Self::over(Box::new(redis), settings.timeout, status, telemetry))
    }

    /// The same over what is given; a request waits `limit` for it.
    pub(super) fn over(
        redis: Box<dyn SharedBuckets>,
        limit: Duration,
        status: Publisher<RedisStatus>,
        telemetry: Telemetry,
    ) -> Self {
        let (is_up, actor) = (AtomicBool::new(false), Mutex::default());
        Self { redis, limit, is_up, actor, status, telemetry }
    }

    /// Notes whether Redis answers.
    pub(in crate::actors) async fn check(&self) {
        match self.redis.check().await {
            Ok(()) => self.is_met(),
            Err(reason) => self.is_missed(reason),
        }
    }

    /// Makes `actor` the one that asks Redis from now on.
    pub(super) fn serve(&self, actor: Addr<RateLimiterActor>) {
        *lock(&self.actor) = Some(actor);
    }

    fn is_met(&self) {
        if !self.is_up.swap(true, Ordering::Relaxed) {
            let address = self.redis.address();
            log::info!(address; "Redis answers; rate limits are shared by all replicas");
            self.note(true, self.status.current().last_error.clone());
        }
    }

    fn is_missed(&self, reason: String) {
        let was_up = self.is_up.swap(false, Ordering::Relaxed);
        if was_up || self.status.current().last_error.is_none() {
            let address = self.redis.address();
            log::warn!(address, reason:%; "Redis does not answer; each replica limits on its own");
        }
        self.note(false, Some(reason));
    }

    fn note(&self, is_up: bool, last_error: Option<String>) {
        self.telemetry.redis_up.set(i64::from(is_up));
        self.status.publish(Arc::new(RedisStatus { is_configured: true, is_up, last_error }));
    }

    fn send(&self, refill: Refill) {
        let actor = lock(&self.actor).clone();
        if let Some(actor) = actor {
            tell(&actor, refill, "rate_limiter", &self.telemetry);
        }
    }
}

// === impl SharedBucket ===

impl SharedBucket {
    pub(super) fn new(credential: i32, terms: Terms, sharing: Arc<Sharing>) -> Self {
        let key = sharing.redis.key(credential, terms);
        Self { key, terms, lease: Mutex::new(Lease::new(terms)), alone: Bucket::new(terms), sharing }
    }

    /// Takes one token if there is one; waits only where just Redis can tell, and not for long.
    pub(super) async fn take(self: &Arc<Self>) -> Decision {
        if !self.sharing.is_up.load(Ordering::Relaxed) {
            return self.take_alone();
        }
        let mut answer = None;
        let taken = self.lease().take(now(), || {
            let (sender, receiver) = oneshot::channel();
            answer = Some(receiver);
            sender
        });
        let ask = match taken {
            Taken::Decided(verdict) => return self.decision(verdict),
            Taken::Waiting { ask } => ask,
        };
        if let Some(want) = ask {
            self.sharing.send(Refill { bucket: Arc::clone(self), want, is_answered: false });
        }
        let Some(answer) = answer else {
            return self.take_alone();
        };
        match timeout(self.sharing.limit, answer).await {
            Ok(Ok(verdict)) => self.decision(verdict),
            Ok(Err(_)) | Err(_) => self.take_alone(),
        }
    }

    /// Whole tokens left, as far as is known here; takes none.
    pub(super) fn remaining(&self) -> u32 {
        if self.sharing.is_up.load(Ordering::Relaxed) { self.lease().remaining(now()) } else { self.alone.remaining() }
    }

    fn take_alone(&self) -> Decision {
        self.sharing.telemetry.rate_limit_fallback.inc();
        self.alone.take()
    }

    fn decision(&self, verdict: Verdict) -> Decision {
        match verdict {
            Verdict::Admitted { remaining } => self.terms.decision(remaining, None),
            Verdict::Refused { retry_after } => self.terms.decision(0, Some(retry_after)),
        }
    }

    /// Serves those who wait; gives how many tokens to ask for next.
    fn answered(&self, grant: Grant) -> Option<u32> {
        self.lease().answered(grant, now(), |request, verdict| request.send(verdict).is_ok())
    }

    fn lease(&self) -> MutexGuard<'_, Lease<oneshot::Sender<Verdict>>> {
        lock(&self.lease)
    }
}

impl fmt::Debug for SharedBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBucket").field("key", &self.key).field("lease", &self.lease).finish_non_exhaustive()
    }
}

// === impl Refill ===

impl Refill {
    /// Asks until nobody waits any more.
    pub(super) async fn carry_out(mut self) {
        let bucket = Arc::clone(&self.bucket);
        while !self.is_answered {
            match bucket.sharing.redis.take(&bucket.key, bucket.terms, self.want).await {
                Ok(grant) => match bucket.answered(grant) {
                    Some(want) => self.want = want,
                    None => self.is_answered = true,
                },
                // Those who wait are let go when this is dropped.
                Err(reason) => return bucket.sharing.is_missed(reason),
            }
        }
    }
}

impl Drop for Refill {
    fn drop(&mut self) {
        if !self.is_answered {
            self.bucket.lease().unanswered();
        }
    }
}

/// A panic elsewhere leaves each of these values whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
