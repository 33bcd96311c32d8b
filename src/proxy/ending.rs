//! How a request ends, and what that is called.

use super::outcome::category;
use crate::chat::{Failure, FailureKind};

/// How a request ends.
pub(super) enum Ending<'f> {
    /// With this status.
    Complete(u16),
    /// With a failure, told as an HTTP error.
    Refused(&'f Failure),
    /// With a failure, told within a stream that had begun with status 200.
    Broken(&'f Failure),
    /// The client left.
    Cancelled,
}

impl Ending<'_> {
    pub(super) fn status(&self) -> u16 {
        match self {
            Self::Complete(status) => *status,
            Self::Refused(failure) => failure.status(),
            // What the client saw: the head of the stream.
            Self::Broken(_) => 200,
            Self::Cancelled => 499,
        }
    }

    pub(super) const fn outcome(&self) -> &'static str {
        match self {
            Self::Complete(_) => "complete",
            Self::Refused(_) | Self::Broken(_) => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    pub(super) const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Refused(failure) | Self::Broken(failure) => Some(failure),
            Self::Complete(_) | Self::Cancelled => None,
        }
    }

    pub(super) fn category(&self) -> Option<&'static str> {
        match self {
            Self::Cancelled => Some("client_cancelled"),
            _ => self.failure().map(|failure| category(failure.kind)),
        }
    }

    /// Requests that the rate limit refused are counted, not stored: a flood of them must not
    /// become a flood of rows.
    pub(super) fn is_logged(&self) -> bool {
        self.failure().is_none_or(|failure| failure.kind != FailureKind::RateLimited)
    }
}
