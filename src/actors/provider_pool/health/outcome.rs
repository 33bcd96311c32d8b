//! What attempts prove about a provider, one by one and in a row.

use std::time::Duration;

use crate::settings::BreakerPolicy;

/// What one attempt proved about its provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The whole answer arrived.
    Success,
    /// 429, with the time `Retry-After` asked for, counted from now.
    RateLimited {
        /// `None` when the header is missing or unreadable.
        retry_after: Option<Duration>,
    },
    /// A 5xx status (529 included), or the same as an error event before the first content.
    ServerError,
    /// No usable answer: connect error, reset, TLS, timeout, broken answer.
    Transport,
    /// 401: the provider rejected its secret.
    Auth,
    /// 408: lowers the weight, says nothing else.
    RequestTimeout,
    /// Another 4xx: the client's fault, so the provider works well enough to end a run of failures.
    ClientFault,
    /// 403, or the client left: says nothing about the provider.
    Neutral,
}

/// Why a circuit opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EjectionReason {
    /// Too many 429.
    RateLimited,
    /// Too many 5xx.
    ServerError,
    /// Too many transport failures.
    Transport,
    /// The provider secret was rejected too often.
    Auth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailureClass {
    RateLimit,
    Server,
    Transport,
}

/// Consecutive failures of one class. One run is enough: a failure of another class ends it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Run {
    class: Option<FailureClass>,
    length: u32,
}

// === impl EjectionReason ===

impl EjectionReason {
    /// The value of the metric label `reason`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::RateLimited => "429",
            Self::ServerError => "5xx",
            Self::Transport => "transport",
            Self::Auth => "auth",
        }
    }

    pub(super) const fn class(self) -> FailureClass {
        match self {
            Self::RateLimited => FailureClass::RateLimit,
            Self::ServerError | Self::Auth => FailureClass::Server,
            Self::Transport => FailureClass::Transport,
        }
    }
}

// === impl Run ===

impl Run {
    pub(super) fn length_of(self, class: FailureClass) -> u32 {
        if self.class == Some(class) { self.length } else { 0 }
    }

    pub(super) fn extend(&mut self, class: FailureClass) {
        *self = Self { length: self.length_of(class).saturating_add(1), class: Some(class) };
    }

    pub(super) fn reaches_threshold(self, policy: &BreakerPolicy) -> bool {
        let threshold = match self.class {
            Some(FailureClass::RateLimit) => policy.threshold_429,
            Some(FailureClass::Server) => policy.threshold_5xx,
            Some(FailureClass::Transport) => policy.threshold_transport,
            None => 0,
        };
        threshold > 0 && self.length >= threshold
    }
}
