//! What an attempt brings.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::clock::Limits;
use super::open::OpenStream;
use crate::chat::{Failure, Usage};

/// Headers beside those of framing and content type.
pub(super) type Headers = Vec<(String, String)>;

/// What the client gets.
pub(super) enum Answer {
    /// A whole answer.
    Whole {
        /// Headers that the provider's answer brings along.
        headers: Headers,
        /// The body.
        body: Bytes,
        /// Token counts, when there are any.
        usage: Option<Usage>,
    },
    /// A stream whose first content has come.
    Stream {
        /// Headers that the provider's answer brings along.
        headers: Headers,
        /// The stream.
        stream: Box<OpenStream>,
        /// When it has taken too long.
        limits: Limits,
    },
    /// The provider's own error, in the client's protocol.
    Refusal {
        /// Headers that the provider's answer brings along.
        headers: Headers,
        /// Its body, secrets masked.
        body: Bytes,
        /// The same, read.
        failure: Failure,
    },
}

/// A failed attempt.
pub(super) struct Failed {
    /// Why, for the client.
    pub failure: Failure,
    /// Headers of the provider's error that the client gets.
    pub headers: Headers,
    /// The provider's own error body, where the client can read it.
    pub body: Option<Bytes>,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, headers: Vec::new(), body: None }
    }
}

/// The moment when `time` is over.
pub(super) fn after(time: Option<Duration>) -> Option<Instant> {
    time.map(|time| Instant::now() + time)
}
