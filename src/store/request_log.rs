//! What is kept of a finished request.

use chrono::{DateTime, Utc};
use diesel::Insertable;

use super::column_types::Moment;
use super::schema::request_logs;

/// One row of `request_logs`.
#[derive(Debug, Clone, PartialEq, Insertable)]
#[diesel(table_name = request_logs)]
#[diesel(treat_none_as_default_value = false)]
pub struct RequestLog {
    /// When the request was accepted.
    #[diesel(serialize_as = Moment)]
    pub timestamp: DateTime<Utc>,
    /// Our id of the request.
    pub request_id: String,
    /// The path without query.
    pub endpoint: String,
    /// Whose key it was.
    pub credential_name: String,
    /// The client program.
    pub client: String,
    /// The model the client named.
    pub model_requested: Option<String>,
    /// The model sent upstream.
    pub model_mapped: Option<String>,
    /// The key of the provider of the last attempt.
    pub provider_name: Option<String>,
    /// Its type.
    pub provider_type: Option<String>,
    /// The protocol the client spoke.
    pub client_protocol: String,
    /// The protocol the provider spoke.
    pub provider_protocol: Option<String>,
    /// Whether the client asked for a stream.
    pub is_streaming: bool,
    /// The HTTP status the client got; 499 when it left.
    pub status_code: i32,
    /// `complete`, `failed` or `cancelled`.
    pub outcome: String,
    /// How many attempts were made.
    pub attempts: i32,
    /// Prompt tokens.
    pub input_tokens: Option<i64>,
    /// Answer tokens.
    pub output_tokens: Option<i64>,
    /// Both.
    pub total_tokens: Option<i64>,
    /// Prompt tokens read from the provider's cache.
    pub cached_tokens: Option<i64>,
    /// Prompt tokens written to the provider's cache.
    pub cache_write_tokens: Option<i64>,
    /// Answer tokens spent on reasoning.
    pub reasoning_tokens: Option<i64>,
    /// Whether the counts are ours because the provider reported none.
    pub estimated: bool,
    /// What it cost, in micro-dollars; `None` where the model has no prices.
    pub cost_microusd: Option<i64>,
    /// From accepting the request to its end, in milliseconds.
    pub total_duration_ms: i64,
    /// Time to first token, in milliseconds.
    pub ttft_ms: Option<i64>,
    /// Time spent in the proxy itself, in microseconds.
    pub gateway_us: Option<i64>,
    /// What the provider's protocol could not say, comma separated.
    pub dropped_fields: Option<String>,
    /// The category of the failure.
    pub error_category: Option<String>,
    /// Its message.
    pub error_message: Option<String>,
    /// The provider's id of the request.
    pub upstream_request_id: Option<String>,
    /// Which replica served it.
    pub replica_id: String,
    /// The configuration version it was served with.
    pub config_version: i64,
    /// The client's headers as JSON, keys and cookies masked.
    pub request_headers: Option<String>,
    /// The client's body.
    pub request_body: Option<String>,
    /// The answer's body.
    pub response_body: Option<String>,
}

/// A row of one of the tables that hold what happened.
pub trait LogRow: Clone + Send + Sync + 'static {
    /// Replaces NUL, which PostgreSQL refuses and the whole batch with it. A client can bring one
    /// into many fields, also by way of a pattern that maps its model's name.
    fn replace_nul(&mut self);
}

/// The same in each of `texts`.
pub(super) fn replace_nul<'t>(texts: impl Iterator<Item = &'t mut String>) {
    for text in texts.filter(|text| text.contains('\0')) {
        *text = text.replace('\0', "\u{FFFD}");
    }
}

// === impl LogRow ===

impl LogRow for RequestLog {
    fn replace_nul(&mut self) {
        let required = [
            &mut self.request_id,
            &mut self.endpoint,
            &mut self.credential_name,
            &mut self.client,
            &mut self.client_protocol,
            &mut self.outcome,
            &mut self.replica_id,
        ];
        let optional = [
            &mut self.model_requested,
            &mut self.model_mapped,
            &mut self.provider_name,
            &mut self.provider_type,
            &mut self.provider_protocol,
            &mut self.dropped_fields,
            &mut self.error_category,
            &mut self.error_message,
            &mut self.upstream_request_id,
            &mut self.request_headers,
            &mut self.request_body,
            &mut self.response_body,
        ];
        replace_nul(required.into_iter().chain(optional.into_iter().flatten()));
    }
}
