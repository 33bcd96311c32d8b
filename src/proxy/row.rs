//! The row of a request that has ended.

use chrono::{DateTime, Utc};

use super::Caller;
use super::measure::Ended;
use super::reporter::Reporter;
use crate::store::RequestLog;

// === impl Ended ===

impl Ended<'_> {
    /// The row, without its tokens and what they cost.
    pub(super) fn row(&self, reporter: &Reporter, timestamp: DateTime<Utc>) -> RequestLog {
        let Self { opening, facts, ending, took, gateway } = self;
        let provider = facts.provider.as_deref();
        let kept = facts.capture.as_ref().zip(reporter.bodies);
        RequestLog {
            timestamp,
            request_id: opening.request_id.clone(),
            endpoint: opening.path.to_owned(),
            credential_name: facts.caller_label().to_owned(),
            client: opening.client.to_owned(),
            model_requested: facts.model.as_deref().map(fit),
            model_mapped: facts.mapped.as_deref().map(fit),
            provider_name: provider.map(|provider| provider.key.to_string()),
            provider_type: provider.map(|provider| provider.kind.name().to_owned()),
            client_protocol: opening.protocol.to_owned(),
            provider_protocol: provider.map(|provider| provider.kind.protocol().name().to_owned()),
            is_streaming: facts.streaming,
            status_code: i32::from(ending.status()),
            outcome: ending.outcome().to_owned(),
            attempts: facts.attempts,
            input_tokens: None,
            output_tokens: None,
            total_tokens: None,
            cached_tokens: None,
            cache_write_tokens: None,
            reasoning_tokens: None,
            estimated: false,
            cost_microusd: None,
            total_duration_ms: milliseconds(*took),
            ttft_ms: facts.first_content.map(milliseconds),
            gateway_us: Some(i64::try_from(gateway.as_micros()).unwrap_or(i64::MAX)),
            dropped_fields: (!facts.dropped.is_empty()).then(|| fit(&facts.dropped.join(","))),
            error_category: ending.category().map(str::to_owned),
            error_message: ending.failure().map(|failure| fit(&failure.message)),
            upstream_request_id: facts.upstream_request_id.clone(),
            replica_id: reporter.replica_id.clone(),
            config_version: facts.caller.as_ref().map_or(0, |Caller { snapshot, .. }| snapshot.version),
            request_headers: kept.map(|(capture, _)| capture.headers()),
            request_body: kept.map(|(capture, most)| capture.request(most)),
            response_body: kept.map(|(capture, most)| capture.response(most)),
        }
    }
}

/// At most this many characters of what a client or a provider wrote: rows wait in memory.
const LONGEST_TEXT: usize = 2000;

/// A text as a row can hold it. PostgreSQL refuses a NUL, and with it the whole batch.
pub(super) fn fit(text: &str) -> String {
    if text.len() <= LONGEST_TEXT && !text.contains('\0') {
        return text.to_owned();
    }
    text.chars().take(LONGEST_TEXT).map(|c| if c == '\0' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A time in whole milliseconds.
pub(super) fn milliseconds(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
