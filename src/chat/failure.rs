//! Every way a request can fail, and what each means to a client.

use std::time::Duration;

/// What went wrong. The table behind it holds status, error type and code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The body is not a JSON object.
    InvalidJson,
    /// A required field is missing.
    MissingParameter,
    /// A field has the wrong type or value.
    InvalidValue,
    /// The request has what no other protocol can carry.
    UnsupportedAcrossProtocols,
    /// Strict translation, and a field would be lost.
    TranslationLoss,
    /// No matching provider can do this operation.
    UnsupportedOperation,
    /// The client's key is missing, unknown, disabled or expired.
    InvalidApiKey,
    /// The key may not use the model.
    ModelNotAllowed,
    /// No enabled provider maps the model.
    ModelNotFound,
    /// No such path.
    UnknownUrl,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The body is larger than we take.
    RequestTooLarge,
    /// The body is compressed.
    UnsupportedContentEncoding,
    /// The body did not come at the least pace that we take.
    RequestTimeout,
    /// The credential's quota is used up.
    RateLimited,
    /// A bug of ours.
    Internal,
    /// The provider could not be reached.
    UpstreamConnect,
    /// The connection to the provider broke before the head of its answer.
    UpstreamReset,
    /// The provider's answer cannot be used.
    UpstreamInvalidResponse,
    /// The provider's stream broke.
    UpstreamStream,
    /// The model is mapped, but every candidate is drained or unusable.
    NoProviderAvailable,
    /// Every candidate runs as many attempts as it may.
    ProviderSaturated,
    /// As many requests are running as may.
    Overloaded,
    /// No configuration is loaded yet.
    NotReady,
    /// The process is going down.
    ShuttingDown,
    /// The provider took too long.
    UpstreamTimeout,
    /// The first content token took too long.
    TtftTimeout,
    /// The stream fell silent.
    StreamIdleTimeout,
    /// The stream took too long as a whole.
    StreamTotalTimeout,
    /// The provider answered with this error status, or said the same within a stream.
    Upstream(u16),
}

/// What a client is told about a [`FailureKind`].
struct Told {
    status: u16,
    openai_type: &'static str,
    code: Option<&'static str>,
    anthropic_type: &'static str,
}

const fn told(status: u16, openai_type: &'static str, code: &'static str, anthropic_type: &'static str) -> Told {
    Told { status, openai_type, code: Some(code), anthropic_type }
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";
const TIMEOUT: &str = "timeout_error";
const API: &str = "api_error";
const OVERLOADED: &str = "overloaded_error";

impl FailureKind {
    const fn told(self) -> Told {
        match self {
            Self::InvalidJson => told(400, INVALID, "invalid_json", INVALID),
            Self::MissingParameter => told(400, INVALID, "missing_required_parameter", INVALID),
            Self::InvalidValue => told(400, INVALID, "invalid_value", INVALID),
            Self::UnsupportedAcrossProtocols => told(400, INVALID, "unsupported_across_protocols", INVALID),
            Self::TranslationLoss => told(400, INVALID, "translation_loss", INVALID),
            Self::UnsupportedOperation => told(400, INVALID, "unsupported_operation", INVALID),
            Self::InvalidApiKey => told(401, INVALID, "invalid_api_key", "authentication_error"),
            Self::ModelNotAllowed => told(403, "permission_error", "model_not_allowed", "permission_error"),
            Self::ModelNotFound => told(404, INVALID, "model_not_found", "not_found_error"),
            Self::UnknownUrl => told(404, INVALID, "unknown_url", "not_found_error"),
            Self::MethodNotAllowed => told(405, INVALID, "method_not_allowed", INVALID),
            Self::RequestTimeout => told(408, TIMEOUT, "request_timeout", TIMEOUT),
            Self::RequestTooLarge => told(413, INVALID, "request_too_large", "request_too_large"),
            Self::UnsupportedContentEncoding => told(415, INVALID, "unsupported_content_encoding", INVALID),
            Self::RateLimited => told(429, "requests", "rate_limit_exceeded", "rate_limit_error"),
            Self::Internal => told(500, SERVER, "internal_error", API),
            Self::UpstreamConnect | Self::UpstreamReset => told(502, SERVER, "upstream_connect_error", API),
            Self::UpstreamInvalidResponse => told(502, SERVER, "upstream_invalid_response", API),
            Self::UpstreamStream => told(502, SERVER, "upstream_stream_error", API),
            Self::NoProviderAvailable => told(503, SERVER, "no_provider_available", OVERLOADED),
            Self::ProviderSaturated => told(503, SERVER, "provider_saturated", OVERLOADED),
            Self::Overloaded => told(503, SERVER, "overloaded", OVERLOADED),
            Self::NotReady => told(503, SERVER, "not_ready", OVERLOADED),
            Self::ShuttingDown => told(503, SERVER, "shutting_down", OVERLOADED),
            Self::UpstreamTimeout => told(504, TIMEOUT, "upstream_timeout", TIMEOUT),
            Self::TtftTimeout => told(504, TIMEOUT, "ttft_timeout", TIMEOUT),
            Self::StreamIdleTimeout => told(504, TIMEOUT, "stream_idle_timeout", TIMEOUT),
            Self::StreamTotalTimeout => told(504, TIMEOUT, "stream_total_timeout", TIMEOUT),
            Self::Upstream(status) => told_of_status(status),
        }
    }
}

/// What is told of a provider's own error status, where its body does not cross as it is.
const fn told_of_status(status: u16) -> Told {
    match status {
        401 => told(status, INVALID, "upstream_unauthorized", "authentication_error"),
        402 => told(status, "insufficient_quota", "insufficient_quota", "billing_error"),
        403 => told(status, "permission_error", "upstream_forbidden", "permission_error"),
        404 => told(status, INVALID, "upstream_not_found", "not_found_error"),
        408 | 504 => told(status, TIMEOUT, "upstream_timeout", TIMEOUT),
        413 => told(status, INVALID, "request_too_large", "request_too_large"),
        429 => told(status, "requests", "rate_limit_exceeded", "rate_limit_error"),
        503 | 529 => told(status, SERVER, "overloaded", OVERLOADED),
        500.. => Told { status, openai_type: SERVER, code: None, anthropic_type: API },
        _ => Told { status, openai_type: INVALID, code: None, anthropic_type: INVALID },
    }
}

/// A typed error for a client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// The same in plain words, without secrets.
    pub message: String,
    /// The field at fault, as a path.
    pub param: Option<String>,
    /// The provider's own code, where it has one; it wins over the kind's.
    pub upstream_code: Option<String>,
    /// How long the client should wait.
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.kind.told().status
    }

    /// The `type` of an OpenAI error.
    #[must_use]
    pub const fn openai_type(&self) -> &'static str {
        self.kind.told().openai_type
    }

    /// The `type` of an Anthropic error.
    #[must_use]
    pub const fn anthropic_type(&self) -> &'static str {
        self.kind.told().anthropic_type
    }

    /// The stable code, the same in every protocol.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.upstream_code.as_deref().or(self.kind.told().code)
    }

    /// Whether the provider said so, by a status or in its answer, not llm-proxy.
    #[must_use]
    pub const fn is_from_upstream(&self) -> bool {
        matches!(self.kind, FailureKind::Upstream(_)) || self.upstream_code.is_some()
    }

    /// A failure that names no field.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), param: None, upstream_code: None, retry_after: None }
    }

    /// The same, naming the field at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// The same, asking the client to wait.
    #[must_use]
    pub const fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}
