//! What a provider answers, read leniently.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Number;
use serde_json::value::RawValue;

use crate::chat::{Citation, FinishReason, Usage};

/// A string that is borrowed unless it holds escapes.
#[derive(Debug, Deserialize)]
pub(super) struct Text<'b>(#[serde(borrow)] pub(super) Cow<'b, str>);

/// A response object.
#[derive(Debug, Deserialize)]
pub(super) struct Response<'b> {
    #[serde(borrow)]
    pub(super) object: Option<Text<'b>>,
    #[serde(borrow)]
    pub(super) id: Option<Text<'b>>,
    #[serde(borrow)]
    pub(super) status: Option<Text<'b>>,
    #[serde(borrow)]
    pub(super) error: Option<&'b RawValue>,
    #[serde(borrow)]
    pub(super) incomplete_details: Option<Incomplete<'b>>,
    #[serde(borrow)]
    pub(super) output: Option<Vec<&'b RawValue>>,
    #[serde(borrow)]
    pub(super) usage: Option<&'b RawValue>,
    #[serde(borrow)]
    pub(super) service_tier: Option<Text<'b>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Incomplete<'b> {
    #[serde(borrow)]
    reason: Option<Text<'b>>,
}

/// One item of `output`, as far as other protocols know such things.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// Its parts that are text or refusal, each with its content index.
    Message(Vec<(u64, Part)>),
    Reasoning {
        text: String,
        encrypted: Option<String>,
    },
    Call {
        id: String,
        name: String,
        arguments: String,
        custom: bool,
    },
    /// What the provider's own tools did.
    Hosted(String),
}

/// A content part of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) is_refusal: bool,
    pub(super) text: String,
    pub(super) citations: Vec<Citation>,
    /// What of it cannot be said in another protocol.
    pub(super) lost: Option<&'static str>,
}

#[derive(Deserialize)]
struct Kind<'b> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'b>>,
}

#[derive(Deserialize)]
struct MessageItem<'b> {
    #[serde(borrow)]
    content: Option<Vec<&'b RawValue>>,
}

#[derive(Deserialize)]
struct ReasoningItem<'b> {
    #[serde(borrow)]
    summary: Option<Vec<PartBody<'b>>>,
    #[serde(borrow)]
    content: Option<Vec<PartBody<'b>>>,
    #[serde(borrow)]
    encrypted_content: Option<Text<'b>>,
}

#[derive(Deserialize)]
struct CallItem<'b> {
    #[serde(borrow)]
    id: Option<Text<'b>>,
    #[serde(borrow)]
    call_id: Option<Text<'b>>,
    #[serde(borrow)]
    name: Option<Text<'b>>,
    #[serde(borrow)]
    arguments: Option<&'b RawValue>,
    #[serde(borrow)]
    input: Option<&'b RawValue>,
}

#[derive(Deserialize)]
struct PartBody<'b> {
    #[serde(borrow)]
    text: Option<Text<'b>>,
    #[serde(borrow)]
    refusal: Option<Text<'b>>,
    #[serde(borrow)]
    annotations: Option<Vec<&'b RawValue>>,
    #[serde(borrow)]
    logprobs: Option<Vec<&'b RawValue>>,
}

#[derive(Deserialize)]
struct Annotation<'b> {
    #[serde(borrow)]
    url: Option<Text<'b>>,
    #[serde(borrow)]
    title: Option<Text<'b>>,
    start_index: Option<u64>,
    end_index: Option<u64>,
}

#[derive(Deserialize)]
struct UsageBody {
    input_tokens: Option<Number>,
    output_tokens: Option<Number>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    cached_tokens: Option<Number>,
    cache_write_tokens: Option<Number>,
}

#[derive(Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<Number>,
}

impl Text<'_> {
    pub(super) fn into_string(self) -> String {
        self.0.into_owned()
    }
}

/// The `type` of an item or a part; empty when it has none.
pub(super) fn kind_of(raw: &RawValue) -> String {
    let kind = serde_json::from_str::<Kind<'_>>(raw.get()).ok().and_then(|kind| kind.kind);
    kind.map(Text::into_string).unwrap_or_default()
}

/// A string's text; of anything else the JSON itself, for some servers send arguments as objects.
pub(super) fn text_of(raw: &RawValue) -> String {
    serde_json::from_str::<Text<'_>>(raw.get()).map_or_else(|_error| raw.get().to_owned(), Text::into_string)
}

impl Item {
    pub(super) fn read(raw: &RawValue) -> Result<Self, serde_json::Error> {
        let kind = kind_of(raw);
        match kind.as_str() {
            "message" => {
                let item: MessageItem<'_> = serde_json::from_str(raw.get())?;
                let parts = (0..).zip(item.content.unwrap_or_default());
                let parts = parts.filter_map(|(i, raw)| Some(Part::read(raw).transpose()?.map(|part| (i, part))));
                Ok(Self::Message(parts.collect::<Result<_, _>>()?))
            }
            "reasoning" => {
                let item: ReasoningItem<'_> = serde_json::from_str(raw.get())?;
                let summary = joined(item.summary, "\n\n");
                let text = if summary.is_empty() { joined(item.content, "") } else { summary };
                let encrypted = item.encrypted_content.map(Text::into_string).filter(|data| !data.is_empty());
                Ok(Self::Reasoning { text, encrypted })
            }
            "function_call" | "custom_tool_call" => {
                let item: CallItem<'_> = serde_json::from_str(raw.get())?;
                let id = item.call_id.filter(|id| !id.0.is_empty()).or(item.id);
                Ok(Self::Call {
                    id: id.map(Text::into_string).unwrap_or_default(),
                    name: item.name.map(Text::into_string).unwrap_or_default(),
                    arguments: item.arguments.or(item.input).map(text_of).unwrap_or_default(),
                    custom: kind == "custom_tool_call",
                })
            }
            _ => Ok(Self::Hosted(kind)),
        }
    }
}

impl Item {
    pub(super) fn call_id(&self) -> Option<&str> {
        match self {
            Self::Call { id, .. } => Some(id),
            _ => None,
        }
    }
}

impl Part {
    /// `None` for a part that is neither text nor refusal.
    pub(super) fn read(raw: &RawValue) -> Result<Option<Self>, serde_json::Error> {
        let kind = kind_of(raw);
        if !matches!(kind.as_str(), "output_text" | "refusal" | "text") {
            return Ok(None);
        }
        let body: PartBody<'_> = serde_json::from_str(raw.get())?;
        let is_refusal = kind == "refusal";
        let text = if is_refusal { body.refusal } else { body.text };
        let annotations = body.annotations.unwrap_or_default();
        let citations: Vec<Citation> = annotations.iter().filter_map(|raw| citation(raw)).collect();
        let lost = if citations.len() < annotations.len() {
            Some("output[].content[].annotations")
        } else {
            body.logprobs.is_some_and(|list| !list.is_empty()).then_some("output[].content[].logprobs")
        };
        Ok(Some(Self { is_refusal, text: text.map(Text::into_string).unwrap_or_default(), citations, lost }))
    }
}

fn joined(parts: Option<Vec<PartBody<'_>>>, separator: &str) -> String {
    let texts: Vec<Cow<'_, str>> =
        parts.into_iter().flatten().filter_map(|part| Some(part.text?.0)).filter(|text| !text.is_empty()).collect();
    texts.join(separator)
}

/// A web page; other annotations name files that only the provider has.
pub(super) fn citation(raw: &RawValue) -> Option<Citation> {
    if kind_of(raw) != "url_citation" {
        return None;
    }
    let annotation: Annotation<'_> = serde_json::from_str(raw.get()).ok()?;
    Some(Citation {
        url: annotation.url?.into_string(),
        title: annotation.title.map(Text::into_string).unwrap_or_default(),
        span: annotation.start_index.zip(annotation.end_index),
    })
}

/// Token counts; `None` when there are none.
pub(super) fn usage(raw: &str) -> Option<Usage> {
    let body: UsageBody = serde_json::from_str(raw).ok()?;
    if body.input_tokens.is_none() && body.output_tokens.is_none() {
        return None;
    }
    let (cache_read, cache_write) = body
        .input_tokens_details
        .map_or((0, 0), |details| (count(details.cached_tokens), count(details.cache_write_tokens)));
    Some(Usage {
        input: count(body.input_tokens),
        output: count(body.output_tokens),
        cache_read,
        cache_write,
        reasoning: body.output_tokens_details.map_or(0, |details| count(details.reasoning_tokens)),
        estimated: false,
    })
}

fn count(number: Option<Number>) -> u64 {
    number.and_then(|number| number.as_u64()).unwrap_or_default()
}

impl Response<'_> {
    /// Why it ended, given what it holds. Only for a status that is no failure.
    pub(super) fn finish(&self, has_calls: bool, has_refusal: bool) -> FinishReason {
        if self.status.as_ref().is_some_and(|status| status.0 == "incomplete") {
            let reason = self.incomplete_details.as_ref().and_then(|details| details.reason.as_ref());
            return match reason.map(|reason| reason.0.as_ref()) {
                Some("content_filter") => FinishReason::ContentFilter,
                _ => FinishReason::Length,
            };
        }
        if has_calls {
            FinishReason::ToolCalls
        } else if has_refusal {
            FinishReason::Refusal
        } else {
            FinishReason::Stop
        }
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage.and_then(|raw| usage(raw.get()))
    }
}
