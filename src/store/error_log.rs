//! What is kept of a failed attempt, or of an error of our own.

use chrono::{DateTime, Utc};
use diesel::Insertable;

use super::column_types::Moment;
use super::request_log::{LogRow, replace_nul};
use super::schema::error_logs;

/// One row of `error_logs`.
#[derive(Debug, Clone, PartialEq, Eq, Insertable)]
#[diesel(table_name = error_logs)]
#[diesel(treat_none_as_default_value = false)]
pub struct ErrorLog {
    /// Our id of the request.
    pub request_id: String,
    /// When the attempt failed.
    #[diesel(serialize_as = Moment)]
    pub timestamp: DateTime<Utc>,
    /// Which attempt of the request it was, from 1; for an error of our own how many were made.
    pub attempt: i32,
    /// What kind of failure it was.
    pub error_category: String,
    /// The code that clients get.
    pub error_code: Option<String>,
    /// The same in words.
    pub error_message: Option<String>,
    /// The path without query.
    pub endpoint: String,
    /// The protocol the client spoke.
    pub client_protocol: String,
    /// The client's headers as JSON, keys and cookies masked.
    pub request_headers: Option<String>,
    /// The client's body.
    pub request_body: Option<String>,
    /// The provider's key.
    pub provider_name: Option<String>,
    /// Its address.
    pub provider_api_base: Option<String>,
    /// The protocol it speaks.
    pub provider_protocol: Option<String>,
    /// The model the client named.
    pub model_requested: Option<String>,
    /// The model sent upstream.
    pub mapped_model: Option<String>,
    /// The status of its answer, when one came.
    pub response_status_code: Option<i32>,
    /// The body of its answer.
    pub response_body: Option<String>,
    /// From the attempt's begin to its end, in milliseconds.
    pub total_duration_ms: Option<i64>,
    /// Whose key it was; `unknown` before that is known.
    pub credential_name: String,
    /// The client program.
    pub client: String,
    /// Whether the client asked for a stream.
    pub is_streaming: bool,
    /// The headers sent upstream as JSON, keys and cookies masked.
    pub provider_request_headers: Option<String>,
    /// The body sent upstream.
    pub provider_request_body: Option<String>,
}

// === impl LogRow ===

impl LogRow for ErrorLog {
    fn replace_nul(&mut self) {
        let required = [
            &mut self.request_id,
            &mut self.error_category,
            &mut self.endpoint,
            &mut self.client_protocol,
            &mut self.credential_name,
            &mut self.client,
        ];
        let optional = [
            &mut self.error_code,
            &mut self.error_message,
            &mut self.request_headers,
            &mut self.request_body,
            &mut self.provider_name,
            &mut self.provider_api_base,
            &mut self.provider_protocol,
            &mut self.model_requested,
            &mut self.mapped_model,
            &mut self.response_body,
            &mut self.provider_request_headers,
            &mut self.provider_request_body,
        ];
        replace_nul(required.into_iter().chain(optional.into_iter().flatten()));
    }
}
