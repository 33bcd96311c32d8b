//! A streamed answer for a Chat client.

use bytes::BytesMut;
use serde::Serialize;

use super::encode_response::{Annotation, BETWEEN_REASONINGS, annotation, answer_id, characters};
use super::finish;
use super::reasoning::{self, Entry};
use crate::chat::{BlockKind, ChatEvent, Delta, Failure, FinishReason, Usage};
use crate::codec::openai::stream::{DONE_EVENT, write_failure, write_json};
use crate::codec::openai::usage::OutgoingUsage;
use crate::codec::{Exchange, StreamEncoder};

/// Writes one streamed answer.
#[derive(Debug)]
pub(super) struct Encoder {
    exchange: Exchange,
    /// What every chunk begins with, up to its choices.
    head: Vec<u8>,
    /// What every chunk but the last two ends with.
    tail: &'static [u8],
    block: Open,
    /// Tool calls so far.
    calls: usize,
    /// Characters of content so far.
    written: u64,
    has_reasoning: bool,
    has_refusal: bool,
    over: bool,
}

/// The block that is being written.
#[derive(Debug, Default)]
enum Open {
    #[default]
    None,
    /// Where its text begins.
    Text {
        start: u64,
    },
    /// All of its text: its state is sent with it.
    Reasoning {
        text: String,
    },
    Refusal,
    /// `index` is the wire's.
    Call {
        index: usize,
        custom: bool,
        has_arguments: bool,
    },
}

#[derive(Serialize)]
struct Head<'e> {
    id: &'e str,
    object: &'static str,
    created: i64,
    model: &'e str,
}

/// The delta of a chunk: exactly one member.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Piece<'e> {
    Content(&'e str),
    ReasoningContent(&'e str),
    Refusal(&'e str),
    ReasoningDetails(Vec<Entry<'e>>),
    Annotations([Annotation<'e>; 1]),
    ToolCalls([CallPiece<'e>; 1]),
    FunctionCall(FunctionPiece<'e>),
}

#[derive(Serialize)]
struct CallPiece<'e> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<FunctionPiece<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom: Option<CustomPiece<'e>>,
}

#[derive(Serialize)]
struct FunctionPiece<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'e str>,
    arguments: &'e str,
}

#[derive(Serialize)]
struct CustomPiece<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'e str>,
    input: &'e str,
}

const TAIL: &[u8] = br#","logprobs":null,"finish_reason":null}]}"#;
const TAIL_WITH_USAGE: &[u8] = br#","logprobs":null,"finish_reason":null}],"usage":null}"#;

impl Encoder {
    pub(super) fn new(exchange: &Exchange) -> Self {
        Self {
            tail: if exchange.include_usage { TAIL_WITH_USAGE } else { TAIL },
            exchange: exchange.clone(),
            head: Vec::new(),
            block: Open::None,
            calls: 0,
            written: 0,
            has_reasoning: false,
            has_refusal: false,
            over: false,
        }
    }

    fn start(&mut self, id: Option<&str>, out: &mut BytesMut) {
        let id = answer_id(id);
        let Exchange { model, created, .. } = &self.exchange;
        let head = Head { id: &id, object: "chat.completion.chunk", created: *created, model };
        // A struct of strings and a number always serialises.
        self.head = serde_json::to_vec(&head).unwrap_or_default();
        self.head.pop();
        self.head.splice(..0, *b"data: ");
        self.chunk_start(out);
        out.extend_from_slice(br#"{"role":"assistant","content":""}"#);
        self.chunk_end(out);
    }

    fn chunk_start(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(br#","choices":[{"index":0,"delta":"#);
    }

    fn chunk_end(&self, out: &mut BytesMut) {
        out.extend_from_slice(self.tail);
        out.extend_from_slice(b"\n\n");
    }

    fn write(&self, piece: &Piece<'_>, out: &mut BytesMut) {
        self.chunk_start(out);
        write_json(piece, out);
        self.chunk_end(out);
    }

    fn open(&mut self, kind: &BlockKind, out: &mut BytesMut) {
        self.block = match kind {
            BlockKind::Text => Open::Text { start: self.written },
            BlockKind::Reasoning => Open::Reasoning { text: String::new() },
            BlockKind::Refusal => {
                self.has_refusal = true;
                Open::Refusal
            }
            BlockKind::ToolCall { id, name, custom } => {
                let index = self.calls;
                self.calls += 1;
                self.write_call(index, Call { id: Some(id), name: Some(name), text: "", custom: *custom }, out);
                Open::Call { index, custom: *custom, has_arguments: false }
            }
        };
    }

    fn write_call(&self, index: usize, call: Call<'_>, out: &mut BytesMut) {
        let Call { id, name, text, custom } = call;
        let function = FunctionPiece { name, arguments: text };
        if self.exchange.client.legacy_functions {
            // The old form has room for one call.
            if index == 0 {
                self.write(&Piece::FunctionCall(function), out);
            }
            return;
        }
        let r#type = id.map(|_| if custom { "custom" } else { "function" });
        let piece = if custom {
            CallPiece { index, id, r#type, function: None, custom: Some(CustomPiece { name, input: text }) }
        } else {
            CallPiece { index, id, r#type, function: Some(function), custom: None }
        };
        self.write(&Piece::ToolCalls([piece]), out);
    }

    fn grow(&mut self, place: usize, delta: &Delta, out: &mut BytesMut) {
        match (delta, &mut self.block) {
            (Delta::Text(text), Open::Text { .. }) => {
                self.written = self.written.saturating_add(characters(text));
                self.write(&Piece::Content(text), out);
            }
            (Delta::Text(text), Open::Reasoning { text: so_far }) => {
                let begins_another = so_far.is_empty() && self.has_reasoning;
                so_far.push_str(text);
                self.has_reasoning = true;
                if begins_another {
                    self.write(&Piece::ReasoningContent(BETWEEN_REASONINGS), out);
                }
                self.write(&Piece::ReasoningContent(text), out);
            }
            (Delta::Text(text), Open::Refusal) => self.write(&Piece::Refusal(text), out),
            (Delta::Arguments(text), Open::Call { index, custom, has_arguments }) => {
                *has_arguments = true;
                let (index, custom) = (*index, *custom);
                self.write_call(index, Call { id: None, name: None, text, custom }, out);
            }
            (Delta::Citation(citation), Open::Text { start }) => {
                let annotation = annotation(citation, *start, self.written);
                self.write(&Piece::Annotations([annotation]), out);
            }
            (Delta::Opaque(opaque), Open::Reasoning { text }) => {
                let text = std::mem::take(text);
                self.write(&Piece::ReasoningDetails(reasoning::entries(&text, opaque, place)), out);
            }
            _ => {}
        }
    }

    fn close(&mut self, out: &mut BytesMut) {
        if let Open::Call { index, custom: false, has_arguments: false } = std::mem::take(&mut self.block) {
            self.write_call(index, Call { id: None, name: None, text: "{}", custom: false }, out);
        }
    }

    fn finish(&mut self, reason: &FinishReason, usage: Option<Usage>, tier: Option<&str>, out: &mut BytesMut) {
        self.over = true;
        let word = finish::encode(reason, self.exchange.client.legacy_functions, self.has_refusal);
        self.chunk_start(out);
        out.extend_from_slice(br#"{},"logprobs":null,"finish_reason":""#);
        out.extend_from_slice(word.as_bytes());
        out.extend_from_slice(br#""}]"#);
        if let Some(tier) = finish::known_tier(tier) {
            out.extend_from_slice(br#","service_tier":"#);
            write_json(&tier, out);
        }
        if self.exchange.include_usage {
            out.extend_from_slice(br#","usage":null"#);
        }
        out.extend_from_slice(b"}\n\n");
        if let Some(usage) = usage.filter(|_| self.exchange.include_usage) {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(br#","choices":[],"usage":"#);
            write_json(&OutgoingUsage::from(usage), out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(DONE_EVENT);
    }
}

/// A tool call's beginning or a piece of its arguments.
struct Call<'e> {
    id: Option<&'e str>,
    name: Option<&'e str>,
    text: &'e str,
    custom: bool,
}

impl StreamEncoder for Encoder {
    fn encode(&mut self, event: &ChatEvent, out: &mut BytesMut) {
        if self.over {
            return;
        }
        let may_come_first = matches!(event, ChatEvent::Started { .. } | ChatEvent::Failed(_) | ChatEvent::Ping);
        if self.head.is_empty() && !may_come_first {
            self.start(None, out);
        }
        match event {
            ChatEvent::Started { id, .. } => self.start(id.as_deref(), out),
            ChatEvent::BlockStarted { kind, .. } => self.open(kind, out),
            ChatEvent::Delta { index, delta } => self.grow(*index, delta, out),
            ChatEvent::BlockEnded { .. } => self.close(out),
            ChatEvent::Finished { reason, usage, service_tier } => {
                self.finish(reason, *usage, service_tier.as_deref(), out);
            }
            ChatEvent::Failed(failure) => self.fail(failure, out),
            ChatEvent::Ping => {}
        }
    }

    fn fail(&mut self, failure: &Failure, out: &mut BytesMut) {
        self.over = true;
        write_failure(failure, out);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::chat::{Citation, ClientSide, FailureKind, Opaque, OpaqueKind, Protocol, fold};
    use crate::codec::StreamDecoder as _;
    use crate::codec::openai_chat::decode_stream::Decoder;
    use crate::sse::Parser;

    fn exchange(include_usage: bool, legacy_functions: bool) -> Exchange {
        Exchange {
            model: "al\"ias".to_owned(),
            provider: Arc::from("p"),
            request_id: "r".to_owned(),
            created: 7,
            include_usage,
            client: ClientSide { legacy_functions, ..ClientSide::default() },
        }
    }

    fn written(events: &[ChatEvent], exchange: &Exchange) -> String {
        let (mut encoder, mut out) = (Encoder::new(exchange), BytesMut::new());
        for event in events {
            encoder.encode(event, &mut out);
        }
        String::from_utf8(out.to_vec()).unwrap()
    }

    fn chunks(stream: &str) -> Vec<Value> {
        let data =
            stream.split("\n\n").filter(|frame| !frame.is_empty()).map(|frame| frame.strip_prefix("data: ").unwrap());
        data.map(|data| if data == "[DONE]" { json!(data) } else { serde_json::from_str(data).unwrap() }).collect()
    }

    fn block(index: usize, kind: BlockKind, deltas: Vec<Delta>) -> Vec<ChatEvent> {
        let mut events = vec![ChatEvent::BlockStarted { index, kind }];
        events.extend(deltas.into_iter().map(|delta| ChatEvent::Delta { index, delta }));
        events.push(ChatEvent::BlockEnded { index });
        events
    }

    fn call(id: &str, custom: bool) -> BlockKind {
        BlockKind::ToolCall { id: id.to_owned(), name: "f".to_owned(), custom }
    }

    fn text(text: &str) -> Delta {
        Delta::Text(text.to_owned())
    }

    fn stream(blocks: Vec<Vec<ChatEvent>>, reason: FinishReason) -> Vec<ChatEvent> {
        let mut events = vec![ChatEvent::Started { id: Some("chatcmpl-1".to_owned()), usage: None }];
        events.extend(blocks.into_iter().flatten());
        let usage = Some(Usage { input: 5, output: 3, cache_read: 2, cache_write: 0, reasoning: 1, estimated: false });
        events.push(ChatEvent::Finished { reason, usage, service_tier: Some("flex".to_owned()) });
        events
    }

    #[test]
    fn what_the_protocol_carries_comes_back_as_it_was() {
        let citation = Citation { url: "u".to_owned(), title: "t".to_owned(), span: Some((0, 2)) };
        let events = stream(
            vec![
                block(0, BlockKind::Reasoning, vec![text("thi"), text("nk")]),
                block(1, BlockKind::Text, vec![text("é \"x\"\n"), text("y"), Delta::Citation(citation)]),
                block(2, BlockKind::Refusal, vec![text("no")]),
                block(3, call("a", false), vec![Delta::Arguments("{\"n\":".into()), Delta::Arguments("1.10}".into())]),
                block(4, call("b", true), vec![Delta::Arguments("free".into())]),
            ],
            FinishReason::ToolCalls,
        );
        let stream = written(&events, &exchange(true, false));
        let (mut parser, mut decoder, mut out) = (Parser::new(1 << 20), Decoder::new("p"), VecDeque::new());
        parser.feed(stream.as_bytes());
        while let Some(frame) = parser.next_frame().unwrap() {
            decoder.decode(&frame, &mut out).unwrap();
        }
        decoder.finish(&mut out).unwrap();
        assert_eq!(fold(out).unwrap(), fold(events).unwrap());
    }

    #[test]
    fn every_chunk_has_the_same_head_and_only_the_last_a_finish_reason() {
        let events = stream(
            vec![
                block(0, BlockKind::Text, vec![text("a")]),
                block(1, call("x", false), vec![]),
                block(2, call("y", false), vec![]),
            ],
            FinishReason::ToolCalls,
        );
        let chunks = chunks(&written(&events, &exchange(true, false)));
        let (done, chunks) = chunks.split_last().unwrap();
        assert_eq!(done, "[DONE]");
        for chunk in chunks {
            assert_eq!(
                (&chunk["id"], &chunk["created"], &chunk["model"]),
                (&json!("chatcmpl-1"), &json!(7), &json!("al\"ias"))
            );
            assert_eq!(chunk["object"], "chat.completion.chunk");
        }
        let (usage, chunks) = chunks.split_last().unwrap();
        assert_eq!((&usage["choices"], &usage["usage"]["total_tokens"]), (&json!([]), &json!(8)));
        let deltas: Vec<_> = chunks.iter().map(|chunk| chunk["choices"][0]["delta"].clone()).collect();
        let start = |index: usize, id: &str| json!({"tool_calls": [{"index": index, "id": id, "type": "function", "function": {"name": "f", "arguments": ""}}]});
        let empty = |index: usize| json!({"tool_calls": [{"index": index, "function": {"arguments": "{}"}}]});
        assert_eq!(
            deltas,
            [
                json!({"role": "assistant", "content": ""}),
                json!({"content": "a"}),
                start(0, "x"),
                empty(0),
                start(1, "y"),
                empty(1),
                json!({}),
            ]
        );
        let (last, others) = chunks.split_last().unwrap();
        assert_eq!(
            (&last["choices"][0]["finish_reason"], &last["service_tier"]),
            (&json!("tool_calls"), &json!("flex"))
        );
        for chunk in others {
            assert_eq!(chunk["choices"][0].get("finish_reason"), Some(&Value::Null));
            assert_eq!(chunk.get("usage"), Some(&Value::Null));
        }
    }

    #[test]
    fn usage_is_sent_only_to_who_asked() {
        let events = stream(vec![block(0, BlockKind::Text, vec![text("a")])], FinishReason::Stop);
        assert!(!written(&events, &exchange(false, false)).contains("usage"));
    }

    #[test]
    fn reasoning_state_is_sent_once_with_the_whole_text() {
        let opaque = Opaque {
            protocol: Protocol::OpenAiResponses,
            provider: "o".into(),
            kind: OpaqueKind::Encrypted,
            data: "e".into(),
        };
        let events = stream(
            vec![
                block(0, BlockKind::Reasoning, vec![text("a"), text("b"), Delta::Opaque(opaque.clone())]),
                block(1, BlockKind::Reasoning, vec![text("c")]),
            ],
            FinishReason::Stop,
        );
        let chunks = chunks(&written(&events, &exchange(false, false)));
        let said: String =
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["reasoning_content"].as_str()).collect();
        assert_eq!(said, "ab\n\nc");
        let details: Vec<_> =
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"].get("reasoning_details")).collect();
        assert_eq!(
            details,
            [&json!([
                {"type": "reasoning.text", "text": "ab", "format": "response_api", "index": 0},
                {"type": "reasoning.encrypted", "data": opaque.pack(), "format": "response_api", "index": 0},
            ])]
        );
    }

    #[test]
    fn a_client_of_old_functions_is_answered_in_kind() {
        let arguments = || vec![Delta::Arguments("{}".into())];
        let events = stream(
            vec![block(0, call("a", false), arguments()), block(1, call("b", false), arguments())],
            FinishReason::ToolCalls,
        );
        let chunks = chunks(&written(&events, &exchange(false, true)));
        let deltas: Vec<_> = chunks[1..].iter().map(|chunk| chunk["choices"][0]["delta"].clone()).collect();
        assert_eq!(
            deltas[..2],
            [json!({"function_call": {"name": "f", "arguments": ""}}), json!({"function_call": {"arguments": "{}"}})]
        );
        assert_eq!(chunks[3]["choices"][0]["finish_reason"], "function_call");
    }

    #[test]
    fn a_failed_stream_ends_with_the_error_and_no_sign_of_success() {
        let failure = Failure::new(FailureKind::StreamIdleTimeout, "silent").with_param("x");
        let mut events = stream(vec![block(0, BlockKind::Text, vec![text("a")])], FinishReason::Stop);
        events.insert(3, ChatEvent::Failed(failure));
        let chunks = chunks(&written(&events, &exchange(true, false)));
        assert_eq!(
            chunks.last().unwrap(),
            &json!({"error": {"message": "silent", "type": "timeout_error", "param": null, "code": "stream_idle_timeout"}})
        );
        assert_eq!(chunks.len(), 3);
    }
}
