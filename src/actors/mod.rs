//! Long-lived state: who owns what.
//!
//! All actors run on one arbiter of their own, so that neither an admin write nor the database
//! stalls an HTTP worker. Requests never ask an actor anything before their first byte: they
//! load the views that actors publish, and tell actors afterwards how it ended.

mod adopt;
pub mod config;
pub mod metrics;
pub mod provider_pool;
pub mod published;
pub mod rate_limiter;
mod supervise;
pub mod tokenizer;

use std::sync::Arc;
use std::time::Duration;

use actix::dev::{MessageResponse, ToEnvelope};
use actix::prelude::SendError;
use actix::{Actor, Addr, Arbiter, Context, Handler, MailboxError, Message};

use self::config::{ConfigActor, Followers};
use self::metrics::MetricsActor;
use self::provider_pool::{PoolView, ProviderPoolActor};
use self::published::{Published, publish};
use self::rate_limiter::{LimitTable, RateLimiterActor};
pub use self::supervise::Supervised;
use self::supervise::supervise;
use crate::config::Snapshot;
use crate::settings::Settings;
use crate::store::{Store, StoreError};
use crate::telemetry::Telemetry;

/// How long a question may take. Far above any store timeout, so that what ends a slow answer is
/// the store's own, better error.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Addresses of the actors and the views they publish.
#[derive(Clone)]
pub struct Handles {
    /// The one writer of configuration.
    pub config: Supervised<ConfigActor>,
    /// The keeper of the providers' health.
    pub provider_pool: Supervised<ProviderPoolActor>,
    /// The writer of request logs.
    pub metrics: Supervised<MetricsActor>,
    /// The configuration in force.
    pub snapshot: Published<Snapshot>,
    /// The buckets of the credentials.
    pub limits: Published<LimitTable>,
    /// Who may get how much.
    pub pool: Published<PoolView>,
    /// Who counts tokens.
    pub tokenizer: tokenizer::Tokenizer,
    /// Where refused messages are counted.
    pub telemetry: Telemetry,
}

/// Why an actor did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// Its mailbox stayed full, or the answer did not come in time.
    #[error("it is busy")]
    Busy,
    /// It ended before it answered.
    #[error("it has ended")]
    Gone,
}

impl From<MailboxError> for AskError {
    fn from(error: MailboxError) -> Self {
        match error {
            MailboxError::Timeout => Self::Busy,
            MailboxError::Closed => Self::Gone,
        }
    }
}

/// Asks an actor and waits for its answer. Never before a request's first byte.
///
/// # Errors
/// When the actor does not answer in time, or at all.
pub async fn ask<A, M>(address: &Addr<A>, message: M) -> Result<M::Result, AskError>
where
    A: Actor<Context = Context<A>> + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: MessageResponse<A, M> + Send,
{
    Ok(address.send(message).timeout(ANSWER_WITHIN).await?)
}

/// Tells an actor something without waiting. A full mailbox drops the message and counts it;
/// an actor that is being restarted loses it, too.
pub fn tell<A, M>(address: &Addr<A>, message: M, mailbox: &'static str, telemetry: &Telemetry)
where
    A: Actor<Context = Context<A>> + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    match address.try_send(message) {
        Ok(()) => {}
        Err(SendError::Full(_) | SendError::Closed(_)) => {
            telemetry.mailbox_dropped.with_label_values(&[mailbox]).inc();
        }
    }
}

/// Loads the configuration and starts all actors on `arbiter`. The store must have been opened
/// on that arbiter, since its connections are driven there.
///
/// # Errors
/// When the store cannot be read.
pub async fn start(
    arbiter: &Arbiter,
    store: Arc<dyn Store>,
    settings: &Settings,
    telemetry: Telemetry,
) -> Result<Handles, StoreError> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let settings = settings.clone();
    arbiter.spawn(async move {
        // A receiver that is gone means that the caller gave up: nobody is left to tell.
        let _ = sender.send(start_here(store, &settings, telemetry).await);
    });
    receiver.await.unwrap_or_else(|_gone| Err(StoreError::Internal("the actors' thread has ended".to_owned())))
}

async fn start_here(store: Arc<dyn Store>, settings: &Settings, telemetry: Telemetry) -> Result<Handles, StoreError> {
    let loaded = store.load().await?;
    let (snapshots, snapshot) = publish(Snapshot::new(loaded));
    let (tables, limits) = publish(LimitTable::new());
    let (views, pool) = publish(PoolView::default());
    let policy = settings.breaker.clone();
    let current = snapshot.clone();
    let rate_limiter = supervise("RateLimiterActor", move || RateLimiterActor::new(tables.clone()));
    let provider_pool =
        supervise("ProviderPoolActor", move || ProviderPoolActor::new(policy.clone(), views.clone(), &current.load()));
    let followers = Followers { rate_limiter, provider_pool: provider_pool.clone() };
    let first = snapshot.load();
    followers.adopt(&first).await.map_err(|error| StoreError::Internal(format!("cannot start the actors: {error}")))?;
    telemetry.config_version.set(first.version);
    config::report_all(&first);
    let metrics = {
        let (store, log, telemetry) = (Arc::clone(&store), settings.request_log, telemetry.clone());
        supervise("MetricsActor", move || MetricsActor::new(Arc::clone(&store), log, telemetry.clone()))
    };
    let config = {
        let (poll, telemetry) = (settings.config_poll, telemetry.clone());
        supervise("ConfigActor", move || {
            ConfigActor::new(Arc::clone(&store), followers.clone(), snapshots.clone(), poll, telemetry.clone())
        })
    };
    let tokenizer = tokenizer::start();
    Ok(Handles { tokenizer, config, provider_pool, metrics, snapshot, limits, pool, telemetry })
}
