//! Whether the database answers, as last noticed.

use std::time::Duration;

use super::published::Publisher;
use crate::store::StoreError;
use crate::telemetry::Telemetry;

/// How the database was met last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseStatus {
    /// Whether it answered the last question.
    pub is_up: bool,
    /// How long the last answer took.
    pub latency: Option<Duration>,
    /// Why it did not answer the last time that it did not.
    pub last_error: Option<String>,
}

/// Publishes what each contact with the database tells of it.
#[derive(Clone)]
pub struct DatabaseWatch {
    status: Publisher<DatabaseStatus>,
    telemetry: Telemetry,
}

impl DatabaseWatch {
    /// A watch that publishes to `status` and the metrics.
    #[must_use]
    pub const fn new(status: Publisher<DatabaseStatus>, telemetry: Telemetry) -> Self {
        Self { status, telemetry }
    }

    /// Notes an answer of the database, or that there was none. A refusal is an answer.
    pub fn met<T>(&self, result: Result<T, StoreError>, took: Duration) -> Result<T, StoreError> {
        let before = self.status.current();
        let status = match &result {
            Err(StoreError::Unavailable(reason)) => {
                if before.is_up {
                    log::warn!(reason:%; "the database does not answer; requests are served from memory");
                }
                DatabaseStatus { is_up: false, latency: before.latency, last_error: Some(reason.clone()) }
            }
            // Proves neither that it is there nor that it is gone: those in the way may wait for it.
            Err(StoreError::Busy(_)) => return result,
            Ok(_) | Err(_) => {
                if !before.is_up && before.last_error.is_some() {
                    log::info!("the database answers again");
                }
                DatabaseStatus { is_up: true, latency: Some(took), last_error: before.last_error.clone() }
            }
        };
        self.telemetry.database_up.set(i64::from(status.is_up));
        if status != *before {
            self.status.publish(std::sync::Arc::new(status));
        }
        result
    }
}
