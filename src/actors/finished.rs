//! A request that has ended, as exporters are told of it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::chat::{Operation, Protocol};
use crate::config::Provider;
use crate::store::RequestLog;
use crate::telemetry::trace::TraceContext;

/// A request that passed key and limit and has ended, tokens and cost included.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Its row, as the request log has it.
    pub row: RequestLog,
    /// Its attempts, in their order.
    pub attempts: Vec<AttemptMade>,
    /// What was asked and answered.
    pub captured: Captured,
    /// Its span; `None` while there are no spans.
    pub trace: Option<TraceContext>,
}

/// One attempt of a request.
#[derive(Debug, Clone)]
pub struct AttemptMade {
    /// Whom it asked.
    pub provider: Arc<Provider>,
    /// For which model.
    pub mapped_model: String,
    /// From the request's head to the attempt's begin.
    pub after: Duration,
    /// From its begin to its end.
    pub took: Duration,
    /// What became of it, as the metric of attempts calls it.
    pub outcome: &'static str,
    /// The status of the answer, if one came.
    pub status: Option<u16>,
    /// Why it failed, secrets masked.
    pub error: Option<String>,
    /// Its span, which the provider was told; `None` while there are no spans.
    pub trace: Option<TraceContext>,
}

/// What was asked and answered, in the client's protocol. Empty where nobody wants it.
#[derive(Debug, Clone)]
pub struct Captured {
    /// The client's protocol.
    pub protocol: Protocol,
    /// What was asked for.
    pub operation: Operation,
    /// Headers of the client by their lower-case names, keys and cookies masked.
    pub headers: Vec<(String, String)>,
    /// The client's body.
    pub request: Bytes,
    /// The answer's body; of a stream all events that were sent. At most [`Captured::MOST`] bytes.
    pub response: Bytes,
}

impl Captured {
    /// Most bytes of an answer that are kept.
    pub const MOST: usize = 256 * 1024;

    /// Nothing but what the row itself tells of protocol and operation.
    #[must_use]
    pub fn nothing(row: &RequestLog) -> Self {
        let protocol = match row.client_protocol.as_str() {
            "anthropic" => Protocol::Anthropic,
            "response_api" => Protocol::OpenAiResponses,
            _ => Protocol::OpenAiChat,
        };
        let operation = match row.endpoint.rsplit('/').next() {
            Some("embeddings") => Operation::Embeddings,
            Some("count_tokens") => Operation::CountTokens,
            Some("completions") if !row.endpoint.ends_with("/chat/completions") => Operation::Completions,
            _ => Operation::Generate,
        };
        Self { protocol, operation, headers: Vec::new(), request: Bytes::new(), response: Bytes::new() }
    }
}
