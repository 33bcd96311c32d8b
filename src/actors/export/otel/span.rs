//! The spans of one request: one of ours, and one of each attempt at a provider. Attributes are
//! those of OpenTelemetry's semantic conventions for HTTP and generative AI.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::value::Attributes;
use crate::actors::finished::{AttemptMade, Finished};
use crate::chat::Operation;
use crate::config::ProviderKind;
use crate::store::RequestLog;
use crate::telemetry::trace::TraceContext;

const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const ERROR: u8 = 2;
/// Flags of a span that tell whether its parent is known to be in another process.
const PARENT_IS_KNOWN: u32 = 0x100;
const PARENT_IS_REMOTE: u32 = 0x200;

/// A span, as OTLP has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_state: Option<String>,
    flags: u32,
    name: String,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
}

#[derive(Serialize)]
struct Status {
    code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// What a span is about.
struct About {
    name: String,
    kind: u8,
    start: DateTime<Utc>,
    took: Duration,
    attributes: Attributes,
    status: Option<Status>,
}

/// How many spans a request has.
pub(super) fn count(finished: &Finished) -> usize {
    1 + finished.attempts.iter().filter(|attempt| attempt.trace.is_some()).count()
}

/// The spans of a request, its own first.
pub(super) fn encode(finished: &Finished) -> Vec<Bytes> {
    let own = finished.trace.as_ref().map(|trace| span(trace, PARENT_IS_REMOTE, server(finished)));
    let last = finished.attempts.len();
    let attempts = finished.attempts.iter().enumerate().filter_map(|(place, attempt)| {
        let is_last = place + 1 == last;
        attempt.trace.as_ref().map(|trace| span(trace, 0, client(finished, attempt, is_last)))
    });
    own.into_iter().chain(attempts).collect()
}

fn span(trace: &TraceContext, remote: u32, about: About) -> Bytes {
    let About { name, kind, start, took, attributes, status } = about;
    let end = TimeDelta::from_std(took).ok().and_then(|took| start.checked_add_signed(took)).unwrap_or(start);
    let parent = if trace.parent.is_some() { PARENT_IS_KNOWN | remote } else { PARENT_IS_KNOWN };
    let span = Span {
        trace_id: trace.trace_id.to_string(),
        span_id: trace.span_id.to_string(),
        parent_span_id: trace.parent.map(|parent| parent.to_string()),
        trace_state: trace.tracestate().map(str::to_owned),
        flags: u32::from(trace.flags()) | parent,
        name,
        kind,
        start_time_unix_nano: nanoseconds(start),
        end_time_unix_nano: nanoseconds(end),
        attributes: attributes.into_values(),
        status,
    };
    // Structs of texts and numbers always serialise.
    Bytes::from(serde_json::to_vec(&span).unwrap_or_default())
}

/// Since 1970; what a clock that is far off cannot tell is 0.
fn nanoseconds(at: DateTime<Utc>) -> String {
    at.timestamp_nanos_opt().unwrap_or_default().to_string()
}

/// The request as its client sees it.
fn server(finished: &Finished) -> About {
    let row = &finished.row;
    let mut attributes = Attributes::default();
    attributes.text("http.request.method", "POST");
    attributes.text("http.route", &row.endpoint);
    attributes.text("url.path", &row.endpoint);
    attributes.text("url.scheme", "http");
    attributes.number("http.response.status_code", Some(i64::from(row.status_code)));
    let agent = finished.captured.headers.iter().find(|(name, _)| name == "user-agent");
    attributes.known("user_agent.original", agent.map(|(_, value)| value.as_str()));
    attributes.text("gen_ai.operation.name", operation(finished.captured.operation));
    attributes.known("gen_ai.request.model", row.model_requested.as_deref());
    attributes.known("error.type", row.error_category.as_deref());
    attributes.text("llm_proxy.request.id", &row.request_id);
    attributes.text("llm_proxy.credential.name", &row.credential_name);
    attributes.text("llm_proxy.outcome", &row.outcome);
    attributes.number("llm_proxy.attempts", Some(i64::from(row.attempts)));
    attributes.flag("llm_proxy.streaming", row.is_streaming);
    attributes.number("llm_proxy.time_to_first_token_ms", row.ttft_ms);
    // A server's span is no error because of what its client did.
    let is_error = row.status_code >= 500 || (row.outcome == "failed" && row.status_code < 400);
    About {
        name: format!("POST {}", row.endpoint),
        kind: SERVER,
        start: row.timestamp,
        took: Duration::from_millis(u64::try_from(row.total_duration_ms).unwrap_or_default()),
        attributes,
        status: is_error.then(|| Status { code: ERROR, message: row.error_message.clone() }),
    }
}

/// One attempt at a provider.
fn client(finished: &Finished, attempt: &AttemptMade, is_last: bool) -> About {
    let (row, provider) = (&finished.row, &attempt.provider);
    let operation = operation(finished.captured.operation);
    let is_success = attempt.outcome == "success";
    let mut attributes = Attributes::default();
    attributes.text("gen_ai.operation.name", operation);
    attributes.text("gen_ai.provider.name", provider_name(provider.kind));
    attributes.text("gen_ai.request.model", &attempt.mapped_model);
    attributes.known("gen_ai.response.model", Some(&*attempt.mapped_model).filter(|_| is_success));
    if let Ok(url) = Url::parse(&provider.api_base) {
        attributes.known("server.address", url.host_str());
        attributes.number("server.port", url.port_or_known_default().map(i64::from));
    }
    attributes.number("http.response.status_code", attempt.status.map(i64::from));
    attributes.text("llm_proxy.provider.key", &provider.key);
    attributes.text("llm_proxy.attempt.outcome", attempt.outcome);
    if is_last {
        // Tokens are those of the request, and one attempt's only.
        usage(row, &mut attributes);
    }
    let has_failed = !matches!(attempt.outcome, "success" | "cancelled");
    let error = attempt.status.filter(|status| *status >= 400).map(|status| status.to_string());
    let error = error.as_deref().unwrap_or(attempt.outcome);
    attributes.known("error.type", Some(error).filter(|_| !is_success));
    let start = TimeDelta::from_std(attempt.after).ok().and_then(|after| row.timestamp.checked_add_signed(after));
    About {
        name: format!("{operation} {}", attempt.mapped_model),
        kind: CLIENT,
        start: start.unwrap_or(row.timestamp),
        took: attempt.took,
        attributes,
        status: has_failed.then(|| Status { code: ERROR, message: attempt.error.clone() }),
    }
}

fn usage(row: &RequestLog, attributes: &mut Attributes) {
    attributes.number("gen_ai.usage.input_tokens", row.input_tokens);
    attributes.number("gen_ai.usage.output_tokens", row.output_tokens);
    attributes.number("gen_ai.usage.cache_read.input_tokens", row.cached_tokens.filter(|tokens| *tokens > 0));
}

/// The well-known names of `gen_ai.operation.name`; the last is our own.
const fn operation(operation: Operation) -> &'static str {
    match operation {
        Operation::Generate => "chat",
        Operation::Completions => "text_completion",
        Operation::Embeddings => "embeddings",
        Operation::CountTokens => "count_tokens",
    }
}

/// The well-known names of `gen_ai.provider.name`; the last is our own.
const fn provider_name(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::OpenAi | ProviderKind::ResponseApi => "openai",
        ProviderKind::Azure => "azure.ai.openai",
        ProviderKind::Anthropic => "anthropic",
        ProviderKind::Custom => "custom",
    }
}
