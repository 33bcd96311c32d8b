//! Whole answers, both ways.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::arguments;
use super::error;
use super::usage::{Counts, Written};
use super::wire::{Block, Str, WebCitation, call_id, new_id};
use crate::chat::{
    self, ChatRequest, ChatResponse, Citation, Failure, FailureKind, FinishReason, Opaque, OpaqueKind, PACKED_PREFIX,
    Protocol, Reasoning, Text, ToolCall,
};
use crate::codec::Exchange;

/// An answer as it is written; the start of a stream holds one without content.
#[derive(Debug, Serialize)]
pub(super) struct Answer<'a> {
    pub id: Cow<'a, str>,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub role: &'static str,
    pub model: &'a str,
    pub content: Vec<Block<'a>>,
    pub stop_reason: Option<&'static str>,
    pub stop_sequence: Option<&'a str>,
    pub usage: Written,
}

/// A block of an answer as it is read: the fields of every kind.
#[derive(Debug, Deserialize)]
pub(super) struct ReadBlock<'b> {
    #[serde(borrow)]
    pub text: Option<Str<'b>>,
    #[serde(borrow)]
    pub citations: Option<Vec<&'b RawValue>>,
    #[serde(borrow)]
    pub thinking: Option<Str<'b>>,
    #[serde(borrow)]
    pub signature: Option<Str<'b>>,
    #[serde(borrow)]
    pub data: Option<Str<'b>>,
    #[serde(borrow)]
    pub id: Option<Str<'b>>,
    #[serde(borrow)]
    pub name: Option<Str<'b>>,
    #[serde(borrow)]
    pub input: Option<&'b RawValue>,
}

/// What kind of block, event or delta it is; nothing else is known of what cannot be used.
#[derive(Debug, Deserialize)]
pub(super) struct Tag<'b> {
    #[serde(borrow, rename = "type")]
    pub kind: Str<'b>,
}

#[derive(Debug, Deserialize)]
struct ReadAnswer<'b> {
    #[serde(borrow)]
    id: Option<Str<'b>>,
    #[serde(borrow)]
    content: Option<Vec<&'b RawValue>>,
    #[serde(borrow)]
    stop_reason: Option<Str<'b>>,
    #[serde(borrow)]
    stop_sequence: Option<Str<'b>>,
    #[serde(borrow)]
    usage: Option<&'b RawValue>,
}

/// Reads a whole answer.
pub(super) fn decode(body: &[u8], request: &ChatRequest, provider: &str) -> Result<ChatResponse, Failure> {
    let answer: ReadAnswer<'_> = match serde_json::from_slice(body) {
        Ok(answer) => answer,
        Err(problem) => return Err(reported(body).unwrap_or_else(|| unusable(&problem.to_string()))),
    };
    let Some(content) = answer.content else {
        return Err(reported(body).unwrap_or_else(|| unusable("it has no content")));
    };
    let custom = arguments::custom_tools(request);
    let mut response = ChatResponse { id: answer.id.map(|id| id.0.into_owned()), ..ChatResponse::default() };
    for value in content {
        let block = serde_json::from_str(value.get()).map_err(|problem| unusable(&problem.to_string()));
        let Tag { kind } = block?;
        let block = ReadBlock::read(&kind.0, value).map_err(|problem| unusable(&problem.to_string()))?;
        match block {
            Some(block) => response.blocks.push(block.into_chat(&kind.0, &custom, provider)),
            None => response.lost.push(format!("content[].{}", kind.0)),
        }
    }
    let has_calls = response.blocks.iter().any(|block| matches!(block, chat::Block::ToolCall(_)));
    let sequence = answer.stop_sequence.map(|text| text.0.into_owned());
    let reason = answer.stop_reason.as_ref().map(|reason| &*reason.0);
    response.finish = finish_reason(reason, sequence, has_calls);
    response.usage = answer.usage.and_then(|usage| Counts::read(usage.get()).usage());
    Ok(response)
}

/// The failure that a body reports instead of an answer.
pub(super) fn reported(body: &[u8]) -> Option<Failure> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let is_error = value.get("type").is_some_and(|kind| kind == "error");
    let has_error = value.get("error").is_some_and(|error| !error.is_null());
    (is_error || has_error).then(|| error::in_band(&value, FailureKind::UpstreamInvalidResponse))
}

fn unusable(why: &str) -> Failure {
    Failure::new(FailureKind::UpstreamInvalidResponse, format!("the provider's answer cannot be read: {why}"))
}

/// What the end means. `has_calls`: some servers call an end natural though tools are to be run.
pub(super) fn finish_reason(reason: Option<&str>, sequence: Option<String>, has_calls: bool) -> FinishReason {
    match reason {
        Some("tool_use") => FinishReason::ToolCalls,
        Some("stop_sequence") => FinishReason::StopSequence(sequence),
        Some("max_tokens" | "model_context_window_exceeded") => FinishReason::Length,
        Some("refusal") => FinishReason::Refusal,
        _ if has_calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    }
}

impl<'b> ReadBlock<'b> {
    /// `None` for kinds that the unified format has not.
    pub(super) fn read(kind: &str, value: &'b RawValue) -> Result<Option<Self>, serde_json::Error> {
        if matches!(kind, "text" | "thinking" | "redacted_thinking" | "tool_use") {
            return serde_json::from_str(value.get()).map(Some);
        }
        Ok(None)
    }

    /// Sources that the text cites, those that are web pages.
    pub(super) fn web_citations(&self) -> impl Iterator<Item = Citation> {
        self.citations.iter().flatten().filter_map(|value| web_citation(value))
    }

    fn into_chat(self, kind: &str, custom: &[String], provider: &str) -> chat::Block {
        let owned = |text: Option<Str<'_>>| text.map(|text| text.0.into_owned()).unwrap_or_default();
        match kind {
            "text" => {
                let citations = self.web_citations().collect();
                chat::Block::Text(Text { text: owned(self.text), citations })
            }
            "tool_use" => {
                let name = owned(self.name);
                let custom = custom.contains(&name);
                let input = self.input.map_or("{}", RawValue::get);
                let arguments = if custom { arguments::unwrap(input) } else { input.to_owned() };
                let id = self.id.map(|id| id.0.into_owned()).filter(|id| !id.is_empty());
                let id = id.unwrap_or_else(|| new_id("toolu_"));
                chat::Block::ToolCall(ToolCall { id, name, arguments, custom })
            }
            "redacted_thinking" => {
                let opaque = made_by(provider, OpaqueKind::Redacted, owned(self.data));
                chat::Block::Reasoning(Reasoning { text: String::new(), opaque })
            }
            _ => {
                let opaque = made_by(provider, OpaqueKind::Signature, owned(self.signature));
                chat::Block::Reasoning(Reasoning { text: owned(self.thinking), opaque })
            }
        }
    }
}

/// A cited web page; other citations point into documents that only the provider has.
pub(super) fn web_citation(value: &RawValue) -> Option<Citation> {
    #[derive(Deserialize)]
    struct Cited<'b> {
        #[serde(borrow)]
        url: Str<'b>,
        #[serde(borrow)]
        title: Option<Str<'b>>,
    }
    let Tag { kind } = serde_json::from_str(value.get()).ok()?;
    if kind.0 != "web_search_result_location" {
        return None;
    }
    let cited: Cited<'_> = serde_json::from_str(value.get()).ok()?;
    let title = cited.title.map(|title| title.0.into_owned()).unwrap_or_default();
    Some(Citation { url: cited.url.0.into_owned(), title, span: None })
}

/// State that `provider` made; there is none where it sent none.
pub(super) fn made_by(provider: &str, kind: OpaqueKind, data: String) -> Option<Opaque> {
    let opaque = Opaque { protocol: Protocol::Anthropic, provider: provider.to_owned(), kind, data };
    (!opaque.data.is_empty()).then_some(opaque)
}

/// Writes a whole answer.
pub(super) fn encode(response: &ChatResponse, exchange: &Exchange) -> Bytes {
    let has = |test: fn(&chat::Block) -> bool| response.blocks.iter().any(test);
    let has_calls = has(|block| matches!(block, chat::Block::ToolCall(_)));
    let has_refusal = has(|block| matches!(block, chat::Block::Refusal(_)));
    let (stop_reason, stop_sequence) = stop_reason(&response.finish, has_calls, has_refusal);
    let answer = Answer {
        id: message_id(response.id.as_deref()),
        kind: "message",
        role: "assistant",
        model: &exchange.model,
        content: response.blocks.iter().filter_map(written).collect(),
        stop_reason: Some(stop_reason),
        stop_sequence,
        usage: response.usage.map(Written::from).unwrap_or_default(),
    };
    // Strings, numbers and JSON that was read before always serialise.
    serde_json::to_vec(&answer).unwrap_or_default().into()
}

/// An id of this protocol: the provider's own where it is one.
pub(super) fn message_id(id: Option<&str>) -> Cow<'_, str> {
    match id.filter(|id| id.starts_with("msg_")) {
        Some(id) => Cow::Borrowed(id),
        None => Cow::Owned(new_id("msg_")),
    }
}

/// `stop_reason` and `stop_sequence`.
pub(super) fn stop_reason(finish: &FinishReason, has_calls: bool, has_refusal: bool) -> (&'static str, Option<&str>) {
    match finish {
        FinishReason::Length => ("max_tokens", None),
        FinishReason::ContentFilter | FinishReason::Refusal => ("refusal", None),
        FinishReason::StopSequence(Some(text)) => ("stop_sequence", Some(text)),
        FinishReason::ToolCalls => ("tool_use", None),
        // Chat servers end a forced call this way; a client of this protocol would not run it.
        FinishReason::Stop | FinishReason::StopSequence(None) if has_calls => ("tool_use", None),
        FinishReason::Stop | FinishReason::StopSequence(None) if has_refusal => ("refusal", None),
        FinishReason::Stop | FinishReason::StopSequence(None) => ("end_turn", None),
    }
}

/// `None`: an empty block, or one that answers never hold.
fn written(block: &chat::Block) -> Option<Block<'_>> {
    Some(match block {
        chat::Block::Text(Text { text, citations }) if !text.is_empty() => {
            Block::Text { text: text.into(), citations: citations.iter().map(WebCitation::from).collect() }
        }
        chat::Block::Refusal(text) if !text.is_empty() => Block::text(text),
        chat::Block::Reasoning(Reasoning { text, opaque }) => match opaque {
            Some(opaque) if text.is_empty() => Block::RedactedThinking { data: opaque.pack().into() },
            None if text.is_empty() => return None,
            opaque => Block::Thinking { thinking: text, signature: packed(opaque.as_ref()) },
        },
        chat::Block::ToolCall(call) => {
            Block::ToolUse { id: call_id(&call.id), name: &call.name, input: arguments::to_input(call) }
        }
        _ => return None,
    })
}

/// What stands as the signature. Where there is no state, the bare prefix says that the block is
/// ours, so that it is taken out before it meets a provider, who would refuse it.
pub(super) fn packed(opaque: Option<&Opaque>) -> Cow<'static, str> {
    opaque.map_or(Cow::Borrowed(PACKED_PREFIX), |opaque| Cow::Owned(opaque.pack()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixtures::{self, exchange, request};
    use super::*;
    use crate::chat::{Tool, ToolInput, Usage};

    fn read(fields: Value) -> ChatResponse {
        decode(&fixtures::answer(fields), &request(json!({})), "claude-eu").unwrap()
    }

    fn write(response: &ChatResponse) -> Value {
        serde_json::from_slice(&encode(response, &exchange())).unwrap()
    }

    #[test]
    fn an_answer_keeps_its_text_its_arguments_and_its_reasoning() {
        let body = br#"{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[
            {"type":"thinking","thinking":"Hm","signature":"Eq"},{"type":"redacted_thinking","data":"Ev"},
            {"type":"text","text":"Hi","citations":[{"type":"web_search_result_location","url":"https://a","title":"A","cited_text":"","encrypted_index":""},
                {"type":"char_location","cited_text":"x","document_index":0,"start_char_index":0,"end_char_index":1}]},
            {"type":"server_tool_use","id":"s","name":"web_search","input":{}},{"type":"new_kind","data":{"text":5}},
            {"type":"tool_use","id":"t","name":"f","input":{"z":1.10, "a":12345678901234567890123}}],
            "stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":5,"cache_read_input_tokens":2,"output_tokens":3}}"#;
        let response = decode(body, &request(json!({})), "claude-eu").unwrap();
        assert_eq!(response.lost, ["content[].server_tool_use", "content[].new_kind"]);
        assert_eq!(response.finish, FinishReason::ToolCalls);
        assert_eq!(response.usage.map(|usage| (usage.input, usage.output)), Some((7, 3)));
        let written: Value = write(&response);
        let content = written.get("content").unwrap();
        assert_eq!(content[0]["thinking"], "Hm");
        let signature = Opaque::unpack(content[0]["signature"].as_str().unwrap()).unwrap();
        assert!(signature.is_made_by(Protocol::Anthropic, "claude-eu") && signature.data == "Eq");
        assert_eq!(Opaque::unpack(content[1]["data"].as_str().unwrap()).unwrap().kind, OpaqueKind::Redacted);
        assert_eq!(content[2]["citations"].as_array().unwrap().len(), 1);
        let text = String::from_utf8(encode(&response, &exchange()).to_vec()).unwrap();
        assert!(text.contains(r#""input":{"z":1.10, "a":12345678901234567890123}"#), "{text}");
        assert_eq!((&written["id"], &written["model"]), (&json!("msg_1"), &json!("alias")));
        let usage =
            json!({"input_tokens":5,"cache_creation_input_tokens":0,"cache_read_input_tokens":2,"output_tokens":3});
        assert_eq!(written["usage"], usage);
    }

    #[test]
    fn ends_are_translated_both_ways() {
        let finish = |reason: Value| read(json!({"stop_reason":reason,"stop_sequence":"END"})).finish;
        assert_eq!(finish(json!("end_turn")), FinishReason::Stop);
        assert_eq!(finish(json!("pause_turn")), FinishReason::Stop);
        assert_eq!(finish(json!("something_new")), FinishReason::Stop);
        assert_eq!(finish(json!(null)), FinishReason::Stop);
        assert_eq!(finish(json!("model_context_window_exceeded")), FinishReason::Length);
        assert_eq!(finish(json!("refusal")), FinishReason::Refusal);
        assert_eq!(finish(json!("stop_sequence")), FinishReason::StopSequence(Some("END".to_owned())));
        let reason = |finish: FinishReason, block: chat::Block| {
            let written = write(&ChatResponse { finish, blocks: vec![block], ..ChatResponse::default() });
            (written["stop_reason"].clone(), written["stop_sequence"].clone())
        };
        let text = || chat::Block::Text(Text { text: "x".to_owned(), citations: Vec::new() });
        let call = || {
            chat::Block::ToolCall(ToolCall {
                id: "a:b".to_owned(),
                name: "f".to_owned(),
                arguments: String::new(),
                custom: false,
            })
        };
        let end = FinishReason::StopSequence(Some("END".to_owned()));
        assert_eq!(reason(end, text()), (json!("stop_sequence"), json!("END")));
        assert_eq!(reason(FinishReason::StopSequence(None), text()), (json!("end_turn"), json!(null)));
        assert_eq!(reason(FinishReason::Stop, call()).0, "tool_use");
        assert_eq!(reason(FinishReason::Length, call()).0, "max_tokens");
        assert_eq!(reason(FinishReason::ContentFilter, text()).0, "refusal");
        assert_eq!(reason(FinishReason::Stop, chat::Block::Refusal("No".to_owned())).0, "refusal");
    }

    #[test]
    fn blocks_that_the_protocol_has_not_take_a_form_that_it_has() {
        let encrypted = Opaque {
            protocol: Protocol::OpenAiResponses,
            provider: "oai".to_owned(),
            kind: OpaqueKind::Encrypted,
            data: "gA".to_owned(),
        };
        let reasoning = |text: &str, opaque: Option<&Opaque>| {
            chat::Block::Reasoning(Reasoning { text: text.to_owned(), opaque: opaque.cloned() })
        };
        let call = ToolCall {
            id: "call:1".to_owned(),
            name: "sql".to_owned(),
            arguments: "select 1".to_owned(),
            custom: true,
        };
        let response = ChatResponse {
            id: Some("chatcmpl-1".to_owned()),
            blocks: vec![
                reasoning("", Some(&encrypted)),
                reasoning("Hm", Some(&encrypted)),
                reasoning("Hm", None),
                reasoning("", None),
                chat::Block::Refusal("No".to_owned()),
                chat::Block::Text(Text::default()),
                chat::Block::ToolCall(call),
            ],
            ..ChatResponse::default()
        };
        let written = write(&response);
        let content = json!([
            {"type":"redacted_thinking","data":encrypted.pack()},
            {"type":"thinking","thinking":"Hm","signature":encrypted.pack()},
            {"type":"thinking","thinking":"Hm","signature":"llmp1."},
            {"type":"text","text":"No"},
            {"type":"tool_use","id":"call_1","name":"sql","input":{"input":"select 1"}}
        ]);
        assert_eq!(written["content"], content);
        assert!(written["id"].as_str().unwrap().starts_with("msg_"));
        assert_eq!(written["usage"]["output_tokens"], 0);
    }

    #[test]
    fn calls_of_free_text_tools_are_unwrapped() {
        let mut request = request(json!({}));
        request.tools.push(Tool {
            name: "sql".to_owned(),
            description: None,
            input: ToolInput::Custom { format: None },
        });
        let body = fixtures::answer(
            json!({"content":[{"type":"tool_use","id":"t","name":"sql","input":{"input":"select 1"}}]}),
        );
        let response = decode(&body, &request, "p").unwrap();
        let call =
            ToolCall { id: "t".to_owned(), name: "sql".to_owned(), arguments: "select 1".to_owned(), custom: true };
        assert_eq!(response.blocks, [chat::Block::ToolCall(call)]);
        assert_eq!(response.finish, FinishReason::ToolCalls);
    }

    #[test]
    fn what_is_no_answer_is_a_failure() {
        let failure = |body: &str| decode(body.as_bytes(), &request(json!({})), "p").unwrap_err();
        for body in [
            "",
            "[]",
            "<html>",
            "{}",
            r#"{"content":"text"}"#,
            r#"{"content":[{"text":"x"}]}"#,
            r#"{"content":[{"type":"text","text":5}]}"#,
        ] {
            assert_eq!(failure(body).kind, FailureKind::UpstreamInvalidResponse, "{body}");
        }
        let reported = failure(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#);
        assert_eq!((reported.kind, reported.message.as_str()), (FailureKind::Upstream(529), "Overloaded"));
        let nameless = failure(r#"{"error":{"message":"m"},"content":"x"}"#);
        assert_eq!((nameless.kind, nameless.message.as_str()), (FailureKind::UpstreamInvalidResponse, "m"));
        assert_eq!(read(json!({"usage":null})).usage, None::<Usage>);
    }
}
