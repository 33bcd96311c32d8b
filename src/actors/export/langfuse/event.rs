//! The events of one request.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{answer, question};
use crate::actors::finished::{AttemptMade, Finished};
use crate::chat::Operation;
use crate::config::rfc3339;
use crate::store::RequestLog;

/// Characters of a client's name that its tag has.
const USER_AGENT: usize = 50;

/// An event, as the API wraps it.
#[derive(Serialize)]
struct Event<'a, B> {
    id: String,
    timestamp: &'a str,
    r#type: &'static str,
    body: B,
}

/// A trace, or what is new of it: what it is given again is merged with what it has.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Trace<'a> {
    id: &'a str,
    timestamp: &'a str,
    name: &'static str,
    user_id: &'a str,
    metadata: TraceMetadata<'a>,
    tags: Vec<String>,
}

#[derive(Serialize, Clone)]
struct TraceMetadata<'a> {
    request_id: &'a str,
    credential_name: &'a str,
    endpoint: &'a str,
    user_agent: Option<&'a str>,
    x_forwarded_for: Option<&'a str>,
    x_real_ip: Option<&'a str>,
    origin: Option<&'a str>,
    referer: Option<&'a str>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    routed: Option<Routed<'a>>,
}

/// What is known once a provider was asked.
#[derive(Serialize, Clone)]
struct Routed<'a> {
    provider_key: &'a str,
    provider_api_base: Option<&'a str>,
    model: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Generation<'a> {
    id: String,
    trace_id: &'a str,
    name: &'static str,
    start_time: &'a str,
    end_time: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    completion_start_time: Option<String>,
    model: Option<&'a str>,
    model_parameters: Map<String, Value>,
    input: Option<Value>,
    output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    metadata: GenerationMetadata<'a>,
    level: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_message: Option<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    prompt_tokens: i64,
    completion_tokens: i64,
    total_tokens: i64,
}

#[derive(Serialize)]
struct GenerationMetadata<'a> {
    provider_key: Option<&'a str>,
    provider_type: Option<&'a str>,
    provider_api_base: Option<&'a str>,
    mapped_model: Option<&'a str>,
    is_streaming: bool,
    request_id: &'a str,
    finish_reason: Option<String>,
    attempts: i32,
    estimated: bool,
}

/// How many events a request has: its trace, what is added to it when a provider was asked, its
/// generation.
pub(super) fn count(finished: &Finished) -> usize {
    if finished.row.provider_name.is_some() { 3 } else { 2 }
}

/// The events of a request, in their order.
pub(super) fn encode(finished: &Finished) -> Vec<Bytes> {
    let row = &finished.row;
    // Not our id of the request: a client may give the same to several.
    let trace_id = uuid::Uuid::new_v4().to_string();
    let (start, end) = (rfc3339(row.timestamp), rfc3339(after(row.timestamp, row.total_duration_ms)));
    let trace = trace(finished, &trace_id, &start);
    let routed = routed(finished, &trace);
    let generation = generation(finished, &trace_id, (&start, &end));
    let mut events = vec![event(&start, "trace-create", &trace)];
    events.extend(routed.map(|routed| event(&end, "trace-create", &routed)));
    events.push(event(&end, "generation-create", &generation));
    events
}

fn event(timestamp: &str, r#type: &'static str, body: &impl Serialize) -> Bytes {
    let event = Event { id: uuid::Uuid::new_v4().to_string(), timestamp, r#type, body };
    // Structs of texts and numbers always serialise.
    Bytes::from(serde_json::to_vec(&event).unwrap_or_default())
}

fn after(start: DateTime<Utc>, milliseconds: i64) -> DateTime<Utc> {
    let time = TimeDelta::try_milliseconds(milliseconds).unwrap_or_default();
    start.checked_add_signed(time).unwrap_or(start)
}

fn trace<'a>(finished: &'a Finished, id: &'a str, start: &'a str) -> Trace<'a> {
    let Finished { row, captured, .. } = finished;
    let header = |name: &str| {
        let found = captured.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    };
    let user_agent = header("user-agent");
    let mut tags = vec![format!("endpoint:{}", row.endpoint), format!("credential:{}", row.credential_name)];
    tags.extend(user_agent.map(|name| format!("user_agent:{}", name.chars().take(USER_AGENT).collect::<String>())));
    Trace {
        id,
        timestamp: start,
        name: "llm-proxy-request",
        user_id: &row.credential_name,
        metadata: TraceMetadata {
            request_id: &row.request_id,
            credential_name: &row.credential_name,
            endpoint: &row.endpoint,
            user_agent,
            x_forwarded_for: header("x-forwarded-for"),
            x_real_ip: header("x-real-ip"),
            origin: header("origin"),
            referer: header("referer"),
            routed: None,
        },
        tags,
    }
}

/// The trace with what is known once a provider was asked. All of it is told again, so that it
/// is whole whether it is merged or replaced.
fn routed<'a>(finished: &'a Finished, trace: &Trace<'a>) -> Option<Trace<'a>> {
    let row = &finished.row;
    let provider_key = row.provider_name.as_deref()?;
    let model = row.model_requested.as_deref();
    let mut tags = trace.tags.clone();
    tags.push(format!("provider:{provider_key}"));
    tags.extend(model.map(|model| format!("model:{model}")));
    let routed = Some(Routed { provider_key, provider_api_base: api_base(finished), model });
    let metadata = TraceMetadata { routed, ..trace.metadata.clone() };
    let Trace { id, timestamp, name, user_id, .. } = *trace;
    Some(Trace { id, timestamp, name, user_id, metadata, tags })
}

fn api_base(finished: &Finished) -> Option<&str> {
    finished.attempts.last().map(|AttemptMade { provider, .. }| provider.api_base.as_str())
}

fn generation<'a>(finished: &'a Finished, trace_id: &'a str, (start, end): (&'a str, &'a str)) -> Generation<'a> {
    let row = &finished.row;
    let (question, said) = (question::read(&finished.captured), answer::read(&finished.captured));
    let (level, status_message) = match row.outcome.as_str() {
        "failed" => ("ERROR", row.error_message.as_deref()),
        "cancelled" => ("DEFAULT", Some("client_cancelled")),
        _ => ("DEFAULT", None),
    };
    Generation {
        id: uuid::Uuid::new_v4().to_string(),
        trace_id,
        name: "chat-completion",
        start_time: start,
        end_time: end,
        completion_start_time: row.ttft_ms.map(|waited| rfc3339(after(row.timestamp, waited))),
        model: row.model_requested.as_deref(),
        model_parameters: question.parameters,
        input: question.input,
        // What a client gets of a request that failed as a whole is the failure.
        output: said.text.filter(|_| row.outcome != "failed" || row.status_code == 200),
        usage: usage(row, finished.captured.operation),
        metadata: GenerationMetadata {
            provider_key: row.provider_name.as_deref(),
            provider_type: row.provider_type.as_deref(),
            provider_api_base: api_base(finished),
            mapped_model: row.model_mapped.as_deref(),
            is_streaming: row.is_streaming,
            request_id: &row.request_id,
            finish_reason: said.finish_reason,
            attempts: row.attempts,
            estimated: row.estimated,
        },
        level,
        status_message,
    }
}

/// Langfuse counts by itself what it is not told, and takes it for cost. So what has cost nothing
/// says so.
fn usage(row: &RequestLog, operation: Operation) -> Option<Usage> {
    let is_free = row.outcome != "complete" || operation == Operation::CountTokens;
    let is_known = row.input_tokens.is_some() || row.output_tokens.is_some();
    let tokens = |count: Option<i64>| count.unwrap_or_default();
    (is_known || is_free).then(|| Usage {
        prompt_tokens: tokens(row.input_tokens),
        completion_tokens: tokens(row.output_tokens),
        total_tokens: tokens(row.total_tokens),
    })
}
