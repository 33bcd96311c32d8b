//! What a failed attempt says about its provider, and what follows from it.

use std::time::Duration;

use crate::actors::provider_pool::Outcome;
use crate::chat::{Failure, FailureKind};
use crate::config::Provider;
use crate::upstream::mask;

/// What the attempt proved about the provider.
pub(super) fn outcome_of(failure: &Failure) -> Outcome {
    match failure.kind {
        FailureKind::Upstream(401) => Outcome::Auth,
        FailureKind::Upstream(403) => Outcome::Neutral,
        FailureKind::Upstream(408) => Outcome::RequestTimeout,
        FailureKind::Upstream(429) => Outcome::RateLimited { retry_after: failure.retry_after },
        FailureKind::Upstream(500..) => Outcome::ServerError,
        FailureKind::Upstream(_) => Outcome::ClientFault,
        kind if is_transport(kind) => Outcome::Transport,
        _ => Outcome::Neutral,
    }
}

/// What becomes of an attempt that nobody waits for any more, as metrics call it.
pub(super) const CANCELLED: &str = "cancelled";

/// What became of a failed attempt, as metrics call it.
pub(super) const fn attempt_label(failure: &Failure) -> &'static str {
    match failure.kind {
        FailureKind::Upstream(401 | 403) => "auth",
        FailureKind::Upstream(408) => "408",
        FailureKind::Upstream(429) => "429",
        FailureKind::Upstream(500..) => "5xx",
        FailureKind::Upstream(_) => "4xx",
        FailureKind::UpstreamConnect | FailureKind::UpstreamReset => "connect",
        FailureKind::UpstreamStream => "stream_error",
        FailureKind::UpstreamTimeout | FailureKind::StreamIdleTimeout | FailureKind::StreamTotalTimeout => "timeout",
        FailureKind::TtftTimeout => "ttft_timeout",
        // Whatever else an attempt can come to is an answer that we cannot use.
        _ => "invalid_response",
    }
}

/// Whether another provider may do better. A client's fault would meet the same answer there.
pub(super) fn may_fail_over(failure: &Failure) -> bool {
    match failure.kind {
        FailureKind::Upstream(status) => matches!(status, 401 | 403 | 408 | 429 | 500..),
        // Its time counts from the request's begin, so it is over for everybody.
        FailureKind::StreamTotalTimeout => false,
        kind => is_transport(kind),
    }
}

/// The failure of what comes, or still runs, when the process must end.
#[must_use]
pub fn shutting_down() -> Failure {
    Failure::new(FailureKind::ShuttingDown, "llm-proxy is shutting down").with_retry_after(Duration::from_secs(1))
}

const fn is_transport(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::UpstreamConnect
            | FailureKind::UpstreamReset
            | FailureKind::UpstreamInvalidResponse
            | FailureKind::UpstreamStream
            | FailureKind::UpstreamTimeout
            | FailureKind::TtftTimeout
            | FailureKind::StreamIdleTimeout
            | FailureKind::StreamTotalTimeout
    )
}

/// The same failure without the provider's secrets, and anything like a key, in its words.
pub(super) fn hide(failure: &Failure, provider: &Provider) -> Failure {
    let hidden = |text: &str| String::from_utf8_lossy(&mask(text.as_bytes(), &provider.hidden)).into_owned();
    Failure {
        message: hidden(&failure.message),
        param: failure.param.as_deref().map(hidden),
        upstream_code: failure.upstream_code.as_deref().map(hidden),
        ..failure.clone()
    }
}

/// Whether it is an error of our own, and no attempt's.
pub(super) fn is_ours(failure: &Failure) -> bool {
    failure.status() >= 500 && matches!(category(failure.kind), "no_provider" | "internal_error")
}

/// The category of a failure in the request log.
pub(super) const fn category(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Upstream(401 | 403) => "provider_auth",
        FailureKind::Upstream(429) => "provider_429",
        FailureKind::Upstream(500..) => "provider_5xx",
        FailureKind::Upstream(_) => "provider_4xx",
        FailureKind::UpstreamConnect => "connect_error",
        FailureKind::UpstreamReset => "network_error",
        FailureKind::UpstreamInvalidResponse => "invalid_response",
        FailureKind::UpstreamStream => "stream_error",
        FailureKind::UpstreamTimeout | FailureKind::StreamIdleTimeout | FailureKind::StreamTotalTimeout => "timeout",
        FailureKind::TtftTimeout => "ttft_timeout",
        FailureKind::NoProviderAvailable | FailureKind::ProviderSaturated | FailureKind::ModelNotFound => "no_provider",
        FailureKind::Internal | FailureKind::Overloaded | FailureKind::NotReady | FailureKind::ShuttingDown => {
            "internal_error"
        }
        _ => "client_error",
    }
}
