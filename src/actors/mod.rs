//! Long-lived state: who owns what.
//!
//! All actors run on one arbiter of their own, so that neither an admin write nor the database
//! stalls an HTTP worker. Requests never ask an actor anything before their first byte: they
//! load the views that actors publish, and tell actors afterwards how it ended. The one wait is
//! for tokens of a bucket that replicas share, and it is short (`rate_limiter`).

mod adopt;
pub mod config;
pub mod database;
pub mod export;
pub mod feed;
pub mod finished;
pub mod history;
mod keeper;
pub mod logs;
pub mod metrics;
mod observers;
mod outbox;
pub mod provider_pool;
pub mod published;
pub mod rate_limiter;
pub mod replicas;
#[cfg(test)]
mod simulation;
mod start;
mod supervise;
pub mod tokenizer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::dev::{MessageResponse, ToEnvelope};
use actix::prelude::SendError;
use actix::{Actor, Addr, Context, Handler, MailboxError, Message};

use self::config::ConfigActor;
use self::database::DatabaseStatus;
use self::export::Exporters;
use self::feed::FeedActor;
use self::logs::LogsActor;
use self::metrics::MetricsHandle;
use self::provider_pool::{Outcomes, PoolView, ProviderPoolActor};
use self::published::Published;
use self::rate_limiter::{LimitTable, RedisStatus};
pub use self::start::start;
pub use self::supervise::Supervised;
use crate::config::{Sealer, Snapshot};
use crate::store::Replica;
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
    /// Where it is told how attempts ended.
    pub outcomes: Outcomes,
    /// The writer of request logs.
    pub metrics: MetricsHandle,
    /// The reader of logs.
    pub logs: Supervised<LogsActor>,
    /// The configuration in force.
    pub snapshot: Published<Snapshot>,
    /// The buckets of the credentials.
    pub limits: Published<LimitTable>,
    /// Whether the buckets are shared with other replicas.
    pub redis: Published<RedisStatus>,
    /// Who may get how much.
    pub pool: Published<PoolView>,
    /// Who counts tokens.
    pub tokenizer: tokenizer::Tokenizer,
    /// Whether the database answers.
    pub database: Published<DatabaseStatus>,
    /// The replicas seen in the last 30 seconds, this one among them, by id.
    pub replicas: Published<Vec<Replica>>,
    /// Who tells of changes.
    pub feed: Supervised<FeedActor>,
    /// Who is told of finished requests.
    pub exporters: Exporters,
    /// What opens the secrets of the configuration and its history.
    pub sealer: Arc<Sealer>,
    /// Where refused messages are counted.
    pub telemetry: Telemetry,
    /// When the actors were started.
    pub started: Instant,
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
