//! The shared buckets themselves: in Redis, changed by one script.

use std::io::ErrorKind::TimedOut;
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo as _, RedisError, Script};
use rustls::crypto::ring;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::bucket::Terms;
use super::lease::Grant;
use crate::settings::RedisSettings;

/// Atomic, and timed by the clock of Redis, the one clock that all replicas share.
const REFILL: &str = include_str!("refill.lua");

/// How long a connection may take that no request waits for.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Where the shared buckets are: in Redis. Simulations have a model in its place, for they stop the
/// clock, which no socket heeds.
#[async_trait]
pub(super) trait SharedBuckets: Send + Sync {
    /// Where that is, for the log.
    fn address(&self) -> String;

    /// The key of a credential's bucket. Another quota is another bucket, and starts full.
    fn key(&self, credential: i32, terms: Terms) -> String;

    /// Takes up to `want` tokens of the bucket at `key`.
    ///
    /// # Errors
    /// Why there is no answer, in time or at all. The tokens may be gone then: never too many are
    /// given.
    async fn take(&self, key: &str, terms: Terms, want: u32) -> Result<Grant, String>;

    /// Whether it does what the buckets need.
    ///
    /// # Errors
    /// Why it does not.
    async fn check(&self) -> Result<(), String>;
}

/// The way to Redis. One connection carries all questions; a broken one is replaced when the
/// next question is asked.
pub(super) struct Redis {
    client: Client,
    script: Script,
    limit: Duration,
    key_prefix: String,
    connection: Mutex<Slot>,
}

/// The connection in use, numbered so that only those who met it broken give it up.
#[derive(Default)]
struct Slot {
    number: u64,
    connection: Option<MultiplexedConnection>,
}

/// A question to Redis.
#[derive(Debug, Clone, Copy)]
struct Question<'q> {
    key: &'q str,
    terms: Terms,
    want: u32,
}

// === impl Redis ===

impl Redis {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// When the URL cannot be understood.
    pub(super) fn new(settings: &RedisSettings) -> Result<Self, RedisError> {
        // TLS takes the process's provider. Whoever was first installed the same one.
        let _ = ring::default_provider().install_default();
        let info = settings.url.expose().into_connection_info()?;
        // Otherwise a question may wait in the kernel for the answer to the one before.
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        Ok(Self {
            client: Client::open(info)?,
            script: Script::new(REFILL),
            limit: settings.timeout,
            key_prefix: settings.key_prefix.clone(),
            connection: Mutex::default(),
        })
    }

    async fn run(&self, question: Question<'_>) -> Result<Grant, RedisError> {
        let (number, connection) = self.connection().await?;
        match self.ask(connection, question).await {
            // Idle connections are closed on the way, and servers restart.
            Err(error) if error.is_unrecoverable_error() => {
                self.give_up(Some(number));
                let (_, connection) = self.connection().await?;
                self.ask(connection, question).await
            }
            answer => answer,
        }
    }

    async fn ask(&self, mut connection: MultiplexedConnection, question: Question<'_>) -> Result<Grant, RedisError> {
        let Question { key, terms, want } = question;
        let mut call = self.script.key(key);
        call.arg(terms.per_second.get()).arg(terms.burst.get()).arg(want);
        let (tokens, left) = call.invoke_async(&mut connection).await?;
        Ok(Grant { tokens, left })
    }

    async fn connection(&self) -> Result<(u64, MultiplexedConnection), RedisError> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = &slot.connection {
            return Ok((slot.number, connection.clone()));
        }
        // Whoever asks sets the time limit.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        slot.number += 1;
        slot.connection = Some(connection.clone());
        Ok((slot.number, connection))
    }

    /// Drops the connection of this number, or whichever there is. Where another one is being
    /// made there is nothing to drop.
    fn give_up(&self, number: Option<u64>) {
        if let Ok(mut slot) = self.connection.try_lock()
            && number.is_none_or(|number| number == slot.number)
        {
            slot.connection = None;
        }
    }
}

#[async_trait]
impl SharedBuckets for Redis {
    /// Host and port.
    fn address(&self) -> String {
        self.client.get_connection_info().addr().to_string()
    }

    fn key(&self, credential: i32, terms: Terms) -> String {
        format!("{}limit:{credential}:{}:{}", self.key_prefix, terms.per_second, terms.burst)
    }

    async fn take(&self, key: &str, terms: Terms, want: u32) -> Result<Grant, String> {
        let answer = timeout(self.limit, self.run(Question { key, terms, want })).await;
        let answer = answer.unwrap_or_else(|_elapsed| Err(RedisError::from(std::io::Error::from(TimedOut))));
        answer.map_err(|error| {
            // What does not answer may never do so, and what refuses to write may have been
            // followed by another server: the next question has a new connection.
            self.give_up(None);
            error.to_string()
        })
    }

    /// More than a `PING` tells: a replica of Redis, or one without memory, refuses to write.
    async fn check(&self) -> Result<(), String> {
        let connected = timeout(CONNECT_WITHIN.max(self.limit), self.connection()).await;
        let connected = connected.map_err(|_elapsed| "cannot connect in time".to_owned())?;
        connected.map_err(|error| error.to_string())?;
        let key = format!("{}limit:check", self.key_prefix);
        self.take(&key, Terms::SMALLEST, 0).await.map(drop)
    }
}
