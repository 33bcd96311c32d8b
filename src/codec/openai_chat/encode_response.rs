//! A whole answer for a Chat client.

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::finish;
use super::reasoning::{self, Entry};
use crate::chat::{Block, ChatResponse, Citation, ToolCall};
use crate::codec::Exchange;
use crate::codec::openai::random_letters;
use crate::codec::openai::usage::OutgoingUsage;

#[derive(Serialize)]
struct Answer<'a> {
    id: String,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<OutgoingUsage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<Value>,
    finish_reason: &'static str,
}

#[derive(Default, Serialize)]
struct Message<'a> {
    role: &'static str,
    content: Option<String>,
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<Entry<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<OutgoingCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<Function<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Annotation<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutgoingCall<'a> {
    Function { id: &'a str, function: Function<'a> },
    Custom { id: &'a str, custom: Custom<'a> },
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
struct Custom<'a> {
    name: &'a str,
    input: &'a str,
}

/// A source, as the protocol has it.
#[derive(Debug, Serialize)]
pub(super) struct Annotation<'a> {
    r#type: &'static str,
    url_citation: UrlCitation<'a>,
}

#[derive(Debug, Serialize)]
struct UrlCitation<'a> {
    start_index: u64,
    end_index: u64,
    url: &'a str,
    title: &'a str,
}

/// An id for an answer: the provider's, when it has this protocol's form.
pub(super) fn answer_id(of_provider: Option<&str>) -> String {
    let own = of_provider.filter(|id| id.starts_with("chatcmpl-"));
    own.map_or_else(|| format!("chatcmpl-{}", random_letters()), str::to_owned)
}

/// A source of a block whose text begins at character `start` of the whole content and ends at
/// `end`; a source that says no more stands for all of it.
pub(super) fn annotation(citation: &Citation, start: u64, end: u64) -> Annotation<'_> {
    let shifted = citation.span.map(|(from, to)| (start.saturating_add(from), start.saturating_add(to)));
    let (start_index, end_index) = shifted.unwrap_or((start, end));
    let url_citation = UrlCitation { start_index, end_index, url: &citation.url, title: &citation.title };
    Annotation { r#type: "url_citation", url_citation }
}

/// Characters of a text.
pub(super) fn characters(text: &str) -> u64 {
    u64::try_from(text.chars().count()).unwrap_or(u64::MAX)
}

/// Writes a whole answer.
pub(super) fn encode(response: &ChatResponse, exchange: &Exchange) -> Bytes {
    let legacy = exchange.client.legacy_functions;
    let message = message(&response.blocks, legacy);
    let finish_reason = finish::encode(&response.finish, legacy, message.refusal.is_some());
    let answer = Answer {
        id: answer_id(response.id.as_deref()),
        object: "chat.completion",
        created: exchange.created,
        model: &exchange.model,
        choices: [Choice { index: 0, message, logprobs: None, finish_reason }],
        usage: response.usage.map(OutgoingUsage::from),
        service_tier: finish::known_tier(response.service_tier.as_deref()),
    };
    // A struct of strings and numbers always serialises.
    Bytes::from(serde_json::to_vec(&answer).unwrap_or_default())
}

fn message(blocks: &[Block], legacy: bool) -> Message<'_> {
    let mut message = Message { role: "assistant", ..Message::default() };
    for (place, block) in blocks.iter().enumerate() {
        match block {
            Block::Text(text) => {
                let content = message.content.get_or_insert_default();
                let start = characters(content);
                content.push_str(&text.text);
                let end = characters(content);
                message.annotations.extend(text.citations.iter().map(|citation| annotation(citation, start, end)));
            }
            Block::Refusal(text) => message.refusal.get_or_insert_default().push_str(text),
            Block::Reasoning(block) => {
                if !block.text.is_empty() {
                    let content = message.reasoning_content.get_or_insert_default();
                    content.push_str(if content.is_empty() { "" } else { BETWEEN_REASONINGS });
                    content.push_str(&block.text);
                }
                let entries = block.opaque.as_ref().map(|opaque| reasoning::entries(&block.text, opaque, place));
                message.reasoning_details.extend(entries.into_iter().flatten());
            }
            Block::ToolCall(call) if legacy => {
                message.function_call.get_or_insert(function(call));
            }
            Block::ToolCall(call) => message.tool_calls.push(outgoing_call(call)),
            Block::Image(_) | Block::Document(_) | Block::ToolResult(_) => {}
        }
    }
    let says_something = message.refusal.is_some() || message.function_call.is_some() || !message.tool_calls.is_empty();
    if message.content.is_none() && !says_something {
        message.content = Some(String::new());
    }
    message
}

/// What separates the texts of several reasoning blocks, which this protocol has no places for.
pub(super) const BETWEEN_REASONINGS: &str = "\n\n";

fn outgoing_call(call: &ToolCall) -> OutgoingCall<'_> {
    if call.custom {
        return OutgoingCall::Custom { id: &call.id, custom: Custom { name: &call.name, input: &call.arguments } };
    }
    OutgoingCall::Function { id: &call.id, function: function(call) }
}

fn function(call: &ToolCall) -> Function<'_> {
    let arguments = if call.arguments.is_empty() && !call.custom { "{}" } else { &call.arguments };
    Function { name: &call.name, arguments }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::chat::{ClientSide, FinishReason, Opaque, OpaqueKind, Protocol, Reasoning, Text, Usage};
    use crate::codec::openai_chat::decode_response;

    fn exchange(legacy_functions: bool) -> Exchange {
        Exchange {
            model: "alias".to_owned(),
            provider: Arc::from("p"),
            request_id: "r".to_owned(),
            created: 7,
            include_usage: false,
            client: ClientSide { legacy_functions, ..ClientSide::default() },
        }
    }

    fn written(response: &ChatResponse, legacy: bool) -> Value {
        serde_json::from_slice(&encode(response, &exchange(legacy))).unwrap()
    }

    fn call(id: &str, arguments: &str, custom: bool) -> Block {
        Block::ToolCall(ToolCall { id: id.into(), name: "f".into(), arguments: arguments.into(), custom })
    }

    fn text(text: &str) -> Text {
        Text { text: text.to_owned(), citations: Vec::new() }
    }

    #[test]
    fn an_answer_has_every_field_that_clients_read() {
        let response = ChatResponse {
            id: Some("msg_1".to_owned()),
            blocks: vec![Block::Text(text("hi")), call("a", "", false), call("b", "free", true)],
            finish: FinishReason::ToolCalls,
            usage: Some(Usage { input: 5, output: 3, cache_read: 2, cache_write: 1, reasoning: 1, estimated: false }),
            service_tier: Some("standard".to_owned()),
            lost: Vec::new(),
        };
        let mut answer = written(&response, false);
        let id = answer["id"].take();
        assert_eq!(id.as_str().unwrap().len(), "chatcmpl-".len() + 24);
        assert_eq!(
            answer,
            json!({
                "id": null, "object": "chat.completion", "created": 7, "model": "alias",
                "choices": [{"index": 0, "logprobs": null, "finish_reason": "tool_calls", "message": {
                    "role": "assistant", "content": "hi", "refusal": null, "tool_calls": [
                        {"type": "function", "id": "a", "function": {"name": "f", "arguments": "{}"}},
                        {"type": "custom", "id": "b", "custom": {"name": "f", "input": "free"}},
                    ]}}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8,
                    "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1},
                    "completion_tokens_details": {"reasoning_tokens": 1}},
            })
        );
    }

    #[test]
    fn what_the_protocol_carries_comes_back_as_it_was() {
        let cited = Citation { url: "u".to_owned(), title: "t".to_owned(), span: Some((1, 2)) };
        let response = ChatResponse {
            id: Some("chatcmpl-1".to_owned()),
            blocks: vec![
                Block::Reasoning(Reasoning { text: "think".to_owned(), opaque: None }),
                Block::Text(Text { text: "é text".to_owned(), citations: vec![cited] }),
                Block::Refusal("no".to_owned()),
                call("a", "{\"n\":1.10}", false),
            ],
            finish: FinishReason::Length,
            usage: Some(Usage { input: 5, output: 3, ..Usage::default() }),
            service_tier: Some("flex".to_owned()),
            lost: Vec::new(),
        };
        let body = encode(&response, &exchange(false));
        assert_eq!(decode_response::decode(&body, "p").unwrap(), response);
    }

    #[test]
    fn several_blocks_share_one_content_and_citations_are_counted_from_its_start() {
        let cited = |span| Text {
            text: "éb".to_owned(),
            citations: vec![Citation { url: "u".into(), title: String::new(), span }],
        };
        let response = ChatResponse {
            blocks: vec![Block::Text(text("ab")), Block::Text(cited(Some((0, 1)))), Block::Text(cited(None))],
            ..ChatResponse::default()
        };
        let message = &written(&response, false)["choices"][0]["message"];
        assert_eq!(message["content"], "abébéb");
        let spans: Vec<_> = message["annotations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                let cited = &entry["url_citation"];
                (cited["start_index"].as_u64().unwrap(), cited["end_index"].as_u64().unwrap())
            })
            .collect();
        assert_eq!(spans, [(2, 3), (4, 6)]);
        assert_eq!(written(&ChatResponse::default(), false)["choices"][0]["message"]["content"], "");
    }

    #[test]
    fn reasoning_state_rides_along_packed() {
        let opaque = Opaque {
            protocol: Protocol::Anthropic,
            provider: "claude".to_owned(),
            kind: OpaqueKind::Signature,
            data: "sig".to_owned(),
        };
        let reasoning =
            |text: &str| Block::Reasoning(Reasoning { text: text.to_owned(), opaque: Some(opaque.clone()) });
        let response = ChatResponse { blocks: vec![reasoning("a"), reasoning("b")], ..ChatResponse::default() };
        let message = &written(&response, false)["choices"][0]["message"];
        assert_eq!(message["reasoning_content"], "a\n\nb");
        assert_eq!(
            message["reasoning_details"],
            json!([
                {"type": "reasoning.text", "text": "a", "signature": opaque.pack(), "format": "anthropic", "index": 0},
                {"type": "reasoning.text", "text": "b", "signature": opaque.pack(), "format": "anthropic", "index": 1},
            ])
        );
    }

    #[test]
    fn a_client_of_old_functions_is_answered_in_kind() {
        let response = ChatResponse {
            blocks: vec![call("a", "{}", false), call("b", "{}", false)],
            finish: FinishReason::ToolCalls,
            ..ChatResponse::default()
        };
        let choice = &written(&response, true)["choices"][0];
        assert_eq!(choice["finish_reason"], "function_call");
        assert_eq!(choice["message"]["function_call"], json!({"name": "f", "arguments": "{}"}));
        assert_eq!(choice["message"].get("tool_calls"), None);
    }
}
