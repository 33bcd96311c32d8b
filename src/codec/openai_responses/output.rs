//! The response object that a client gets.

use rand::distr::{Alphanumeric, SampleString as _};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::chat::{Citation, FinishReason, Usage};
use crate::codec::Exchange;

/// One item of `output`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item {
    Message {
        id: String,
        status: Status,
        role: &'static str,
        content: Vec<Part>,
    },
    Reasoning {
        id: String,
        summary: Vec<Summary>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
    },
    FunctionCall {
        id: String,
        status: Status,
        call_id: String,
        name: String,
        arguments: String,
    },
    CustomToolCall {
        id: String,
        status: Status,
        call_id: String,
        name: String,
        input: String,
    },
}

/// How far an item has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
    Failed,
}

/// A content part of a message.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part {
    OutputText { text: String, annotations: Vec<Annotation>, logprobs: [(); 0] },
    Refusal { refusal: String },
}

/// A source that a text cites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "url_citation")]
pub(super) struct Annotation {
    start_index: u64,
    end_index: u64,
    url: String,
    title: String,
}

/// A part of a reasoning item's summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "summary_text")]
pub(super) struct Summary {
    pub(super) text: String,
}

#[derive(Serialize)]
pub(super) struct Tokens {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

/// What of a response object changes while it is made.
pub(super) struct State<'s> {
    pub(super) id: &'s str,
    pub(super) status: Status,
    pub(super) output: &'s [Item],
    pub(super) usage: Option<&'s Usage>,
    pub(super) service_tier: Option<&'s str>,
    /// Why it is incomplete.
    pub(super) reason: Option<&'static str>,
    /// Why it failed.
    pub(super) error: Option<&'s str>,
}

/// A whole response object; the schema wants most fields even when they are null.
#[derive(Serialize)]
pub(super) struct Response<'s> {
    id: &'s str,
    object: &'static str,
    created_at: i64,
    status: Status,
    background: bool,
    error: Option<Problem<'s>>,
    incomplete_details: Option<Details>,
    instructions: &'s Value,
    max_output_tokens: &'s Value,
    max_tool_calls: &'s Value,
    model: &'s str,
    output: &'s [Item],
    parallel_tool_calls: bool,
    previous_response_id: Option<&'s str>,
    prompt_cache_key: &'s Value,
    reasoning: Value,
    safety_identifier: &'s Value,
    service_tier: Option<&'s str>,
    store: bool,
    temperature: &'s Value,
    text: Value,
    tool_choice: Value,
    tools: &'s [Value],
    top_logprobs: u64,
    top_p: &'s Value,
    truncation: &'s str,
    usage: Option<Tokens>,
    user: &'s Value,
    metadata: Value,
}

#[derive(Serialize)]
struct Problem<'s> {
    code: &'static str,
    message: &'s str,
}

#[derive(Serialize)]
struct Details {
    reason: &'static str,
}

const NULL: &Value = &Value::Null;

impl<'s> Response<'s> {
    pub(super) fn new(exchange: &'s Exchange, state: State<'s>) -> Self {
        let echo = &exchange.client.echo;
        let said = |key: &str| echo.get(key).unwrap_or(NULL);
        let said_or =
            |key: &str, default: Value| echo.get(key).filter(|value| !value.is_null()).cloned().unwrap_or(default);
        Self {
            id: state.id,
            object: "response",
            created_at: exchange.created,
            status: state.status,
            background: false,
            error: state.error.map(|message| Problem { code: "server_error", message }),
            incomplete_details: state.reason.map(|reason| Details { reason }),
            instructions: said("instructions"),
            max_output_tokens: said("max_output_tokens"),
            max_tool_calls: said("max_tool_calls"),
            model: &exchange.model,
            output: state.output,
            parallel_tool_calls: said("parallel_tool_calls").as_bool().unwrap_or(true),
            previous_response_id: None,
            prompt_cache_key: said("prompt_cache_key"),
            reasoning: with_defaults(said("reasoning"), json!({"effort": null, "summary": null})),
            safety_identifier: said("safety_identifier"),
            service_tier: tier(state.service_tier).or_else(|| tier(said("service_tier").as_str())),
            // Nothing is kept here, whatever the client asked for.
            store: false,
            temperature: said("temperature"),
            text: with_defaults(said("text"), json!({"format": {"type": "text"}})),
            tool_choice: said_or("tool_choice", json!("auto")),
            tools: said("tools").as_array().map(Vec::as_slice).unwrap_or_default(),
            top_logprobs: 0,
            top_p: said("top_p"),
            truncation: said("truncation").as_str().unwrap_or("disabled"),
            usage: state.usage.map(Tokens::new),
            user: said("user"),
            metadata: said_or("metadata", Value::Object(Map::new())),
        }
    }
}

/// `defaults`, overruled by what of `said` is not null.
fn with_defaults(said: &Value, defaults: Value) -> Value {
    let mut all = match defaults {
        Value::Object(all) => all,
        other => return other,
    };
    for (key, value) in said.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        all.insert(key.clone(), value.clone());
    }
    Value::Object(all)
}

/// Clients know these only; providers have others.
fn tier(name: Option<&str>) -> Option<&str> {
    name.filter(|name| matches!(*name, "auto" | "default" | "flex" | "scale" | "priority" | "fast" | "ultrafast"))
}

impl Tokens {
    const fn new(usage: &Usage) -> Self {
        Self {
            input_tokens: usage.input,
            input_tokens_details: InputDetails {
                cached_tokens: usage.cache_read,
                cache_write_tokens: usage.cache_write,
            },
            output_tokens: usage.output,
            output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning },
            total_tokens: usage.total(),
        }
    }
}

impl Annotation {
    /// The field has to name a span; without one it is all of the `text`.
    pub(super) fn new(citation: &Citation, text: &str) -> Self {
        let whole = || (0, u64::try_from(text.chars().count()).unwrap_or(u64::MAX));
        let (start_index, end_index) = citation.span.unwrap_or_else(whole);
        Self { start_index, end_index, url: citation.url.clone(), title: citation.title.clone() }
    }
}

impl Part {
    pub(super) const fn text(text: String, annotations: Vec<Annotation>) -> Self {
        Self::OutputText { text, annotations, logprobs: [] }
    }
}

impl Item {
    pub(super) fn message(content: Vec<Part>) -> Self {
        Self::Message { id: made_id("msg_"), status: Status::InProgress, role: "assistant", content }
    }

    pub(super) fn reasoning(text: String, encrypted_content: Option<String>) -> Self {
        let summary = if text.is_empty() { Vec::new() } else { vec![Summary { text }] };
        Self::Reasoning { id: made_id("rs_"), summary, encrypted_content }
    }

    pub(super) fn call(call_id: String, name: String, arguments: String, custom: bool) -> Self {
        let status = Status::InProgress;
        if custom {
            Self::CustomToolCall { id: made_id("ctc_"), status, call_id, name, input: arguments }
        } else {
            Self::FunctionCall { id: made_id("fc_"), status, call_id, name, arguments }
        }
    }

    pub(super) fn id(&self) -> &str {
        match self {
            Self::Message { id, .. }
            | Self::Reasoning { id, .. }
            | Self::FunctionCall { id, .. }
            | Self::CustomToolCall { id, .. } => id,
        }
    }

    /// Closes it.
    pub(super) const fn close(&mut self, with: Status) {
        match self {
            Self::Message { status, .. } | Self::FunctionCall { status, .. } | Self::CustomToolCall { status, .. } => {
                *status = with;
            }
            Self::Reasoning { .. } => {}
        }
    }
}

/// How an answer ended: status of the response, and why it is incomplete.
pub(super) fn ending(finish: &FinishReason, output: &[Item]) -> (Status, Option<&'static str>) {
    let has_refusal = || {
        output.iter().any(|item| {
            matches!(item, Item::Message { content, .. }
                if content.iter().any(|part| matches!(part, Part::Refusal { .. })))
        })
    };
    match finish {
        FinishReason::Length => (Status::Incomplete, Some("max_output_tokens")),
        FinishReason::ContentFilter => (Status::Incomplete, Some("content_filter")),
        FinishReason::Refusal if !has_refusal() => (Status::Incomplete, Some("content_filter")),
        FinishReason::Refusal | FinishReason::Stop | FinishReason::StopSequence(_) | FinishReason::ToolCalls => {
            (Status::Completed, None)
        }
    }
}

/// An id of ours.
pub(super) fn made_id(prefix: &str) -> String {
    format!("{prefix}{}", Alphanumeric.sample_string(&mut rand::rng(), 24))
}
