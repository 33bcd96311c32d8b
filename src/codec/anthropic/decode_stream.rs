//! A streamed answer, from this protocol to the unified format.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::arguments;
use super::error;
use super::response::{ReadBlock, Tag, finish_reason, made_by, web_citation};
use super::usage::Counts;
use super::wire::{Str, new_id};
use crate::chat::{BlockKind, ChatEvent, ChatRequest, Citation, Delta, Failure, FailureKind, OpaqueKind, Sequencer};
use crate::codec::StreamDecoder;
use crate::sse::{DONE, Frame};

/// Reads one streamed answer.
pub(super) struct Decoder {
    provider: String,
    custom: Vec<String>,
    sequencer: Sequencer,
    open: BTreeMap<u64, Open>,
    counts: Counts,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
    has_calls: bool,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Started,
    Over,
}

/// A block that has begun, under the provider's index, and where it is in ours.
enum Open {
    /// What it cites is told last, for providers name it before the text that it spans.
    Text {
        handle: usize,
        cited: Vec<Citation>,
    },
    Reasoning {
        handle: usize,
        signature: String,
    },
    Call {
        handle: usize,
        given: Option<String>,
        has_pieces: bool,
    },
    /// Its arguments are read as a whole, for the text within them cannot be cut out of pieces.
    CustomCall {
        handle: usize,
        json: String,
    },
    /// Something that only the provider uses.
    Skipped,
}

/// An event's members; what they hold depends on its type.
#[derive(Debug, Deserialize)]
struct Event<'b> {
    #[serde(borrow, rename = "type")]
    kind: Option<Str<'b>>,
    #[serde(borrow)]
    index: Option<&'b RawValue>,
    #[serde(borrow)]
    delta: Option<&'b RawValue>,
    #[serde(borrow)]
    content_block: Option<&'b RawValue>,
    #[serde(borrow)]
    message: Option<&'b RawValue>,
    #[serde(borrow)]
    usage: Option<&'b RawValue>,
    #[serde(borrow)]
    error: Option<&'b RawValue>,
}

#[derive(Debug, Deserialize)]
struct Message<'b> {
    #[serde(borrow)]
    id: Option<Str<'b>>,
    #[serde(borrow)]
    usage: Option<&'b RawValue>,
}

#[derive(Debug, Deserialize)]
struct MessageDelta<'b> {
    #[serde(borrow)]
    stop_reason: Option<Str<'b>>,
    #[serde(borrow)]
    stop_sequence: Option<Str<'b>>,
}

/// A piece of a block: the fields of every kind.
#[derive(Debug, Deserialize)]
struct BlockDelta<'b> {
    #[serde(borrow, rename = "type")]
    kind: Str<'b>,
    #[serde(borrow)]
    text: Option<Str<'b>>,
    #[serde(borrow)]
    thinking: Option<Str<'b>>,
    #[serde(borrow)]
    signature: Option<Str<'b>>,
    #[serde(borrow)]
    partial_json: Option<Str<'b>>,
    #[serde(borrow)]
    citation: Option<&'b RawValue>,
}

impl Decoder {
    pub(super) fn new(request: &ChatRequest, provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            custom: arguments::custom_tools(request),
            sequencer: Sequencer::default(),
            open: BTreeMap::new(),
            counts: Counts::default(),
            stop_reason: None,
            stop_sequence: None,
            has_calls: false,
            phase: Phase::Waiting,
        }
    }

    fn event(&mut self, kind: &str, event: &Event<'_>, out: &mut VecDeque<ChatEvent>) -> Result<(), serde_json::Error> {
        match kind {
            "message_start" => self.start(event.message, out)?,
            "content_block_start" => self.start_block(event, out)?,
            "content_block_delta" => self.delta(event, out)?,
            "content_block_stop" => self.close(index_of(event), out),
            "message_delta" => self.end_message(event)?,
            "message_stop" => self.stop(out),
            "ping" => out.push_back(ChatEvent::Ping),
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, message: Option<&RawValue>, out: &mut VecDeque<ChatEvent>) -> Result<(), serde_json::Error> {
        if self.phase != Phase::Waiting {
            return Ok(());
        }
        self.phase = Phase::Started;
        let message: Option<Message<'_>> = message.map(|value| serde_json::from_str(value.get())).transpose()?;
        let (id, usage) = message.map_or((None, None), |message| (message.id, message.usage));
        if let Some(usage) = usage {
            self.counts.update(Counts::read(usage.get()));
        }
        out.push_back(ChatEvent::Started { id: id.map(|id| id.0.into_owned()), usage: self.counts.usage() });
        Ok(())
    }

    fn start_block(&mut self, event: &Event<'_>, out: &mut VecDeque<ChatEvent>) -> Result<(), serde_json::Error> {
        self.start(None, out)?;
        let Some(value) = event.content_block else {
            return Ok(());
        };
        let Tag { kind } = serde_json::from_str(value.get())?;
        let block = ReadBlock::read(&kind.0, value)?;
        // An index that is still open was never closed by a careless server.
        self.close(index_of(event), out);
        let open = match block {
            None => Open::Skipped,
            Some(block) => self.open_block(&kind.0, block, out),
        };
        self.open.insert(index_of(event), open);
        Ok(())
    }

    fn open_block(&mut self, kind: &str, block: ReadBlock<'_>, out: &mut VecDeque<ChatEvent>) -> Open {
        let owned = |text: Option<Str<'_>>| text.map(|text| text.0.into_owned()).unwrap_or_default();
        match kind {
            "text" => {
                let handle = self.sequencer.start(BlockKind::Text, out);
                let cited = block.web_citations().collect();
                self.text(handle, &owned(block.text), out);
                Open::Text { handle, cited }
            }
            "tool_use" => {
                self.has_calls = true;
                let name = owned(block.name);
                let custom = self.custom.contains(&name);
                let id = block.id.map(|id| id.0.into_owned()).filter(|id| !id.is_empty());
                let id = id.unwrap_or_else(|| new_id("toolu_"));
                let handle = self.sequencer.start(BlockKind::ToolCall { id, name, custom }, out);
                // Some servers send the arguments whole and at once.
                let given = block.input.map(|input| input.get().to_owned()).filter(|input| input != "{}");
                if custom {
                    return Open::CustomCall { handle, json: given.unwrap_or_default() };
                }
                Open::Call { handle, given, has_pieces: false }
            }
            "redacted_thinking" => {
                let handle = self.sequencer.start(BlockKind::Reasoning, out);
                if let Some(opaque) = made_by(&self.provider, OpaqueKind::Redacted, owned(block.data)) {
                    self.sequencer.delta(handle, Delta::Opaque(opaque), out);
                }
                Open::Reasoning { handle, signature: String::new() }
            }
            _ => {
                let handle = self.sequencer.start(BlockKind::Reasoning, out);
                self.text(handle, &owned(block.thinking), out);
                Open::Reasoning { handle, signature: owned(block.signature) }
            }
        }
    }

    fn text(&mut self, handle: usize, text: &str, out: &mut VecDeque<ChatEvent>) {
        if !text.is_empty() {
            self.sequencer.delta(handle, Delta::Text(text.to_owned()), out);
        }
    }

    fn delta(&mut self, event: &Event<'_>, out: &mut VecDeque<ChatEvent>) -> Result<(), serde_json::Error> {
        let Some(value) = event.delta else {
            return Ok(());
        };
        let delta: BlockDelta<'_> = match serde_json::from_str(value.get()) {
            Ok(delta) => delta,
            // Of a kind that is not known, any field may hold anything.
            Err(problem) => {
                let Tag { kind } = serde_json::from_str(value.get())?;
                let is_known =
                    matches!(&*kind.0, "text_delta" | "thinking_delta" | "signature_delta" | "input_json_delta");
                return if is_known { Err(problem) } else { Ok(()) };
            }
        };
        match (&*delta.kind.0, self.open.get_mut(&index_of(event))) {
            ("text_delta", Some(Open::Text { handle, .. })) => {
                let handle = *handle;
                self.text(handle, &piece(delta.text), out);
            }
            ("thinking_delta", Some(Open::Reasoning { handle, .. })) => {
                let handle = *handle;
                self.text(handle, &piece(delta.thinking), out);
            }
            ("signature_delta", Some(Open::Reasoning { signature, .. })) => signature.push_str(&piece(delta.signature)),
            ("input_json_delta", Some(Open::CustomCall { json, .. })) => json.push_str(&piece(delta.partial_json)),
            ("input_json_delta", Some(Open::Call { handle, has_pieces, .. })) => {
                let piece = piece(delta.partial_json);
                if !piece.is_empty() {
                    *has_pieces = true;
                    self.sequencer.delta(*handle, Delta::Arguments(piece.into_owned()), out);
                }
            }
            ("citations_delta", Some(Open::Text { cited, .. })) => {
                cited.extend(delta.citation.and_then(web_citation));
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, index: u64, out: &mut VecDeque<ChatEvent>) {
        let handle = match self.open.remove(&index) {
            None | Some(Open::Skipped) => return,
            Some(Open::Text { handle, cited }) => {
                cited.into_iter().for_each(|cited| self.sequencer.delta(handle, Delta::Citation(cited), out));
                handle
            }
            Some(Open::Reasoning { handle, signature }) => {
                if let Some(opaque) = made_by(&self.provider, OpaqueKind::Signature, signature) {
                    self.sequencer.delta(handle, Delta::Opaque(opaque), out);
                }
                handle
            }
            Some(Open::Call { handle, given, has_pieces }) => {
                if !has_pieces {
                    let whole = given.unwrap_or_else(|| "{}".to_owned());
                    self.sequencer.delta(handle, Delta::Arguments(whole), out);
                }
                handle
            }
            Some(Open::CustomCall { handle, json }) => {
                let text = arguments::unwrap(&json);
                if !text.is_empty() {
                    self.sequencer.delta(handle, Delta::Arguments(text), out);
                }
                handle
            }
        };
        self.sequencer.end(handle, out);
    }

    fn end_message(&mut self, event: &Event<'_>) -> Result<(), serde_json::Error> {
        if let Some(usage) = event.usage {
            self.counts.update(Counts::read(usage.get()));
        }
        if let Some(value) = event.delta {
            let delta: MessageDelta<'_> = serde_json::from_str(value.get())?;
            self.stop_reason = delta.stop_reason.map(|text| text.0.into_owned()).or(self.stop_reason.take());
            self.stop_sequence = delta.stop_sequence.map(|text| text.0.into_owned()).or(self.stop_sequence.take());
        }
        Ok(())
    }

    fn stop(&mut self, out: &mut VecDeque<ChatEvent>) {
        if self.phase == Phase::Waiting {
            out.push_back(ChatEvent::Started { id: None, usage: self.counts.usage() });
        }
        // Servers that stop a call at the token limit do not always close its block.
        while let Some(index) = self.open.keys().next().copied() {
            self.close(index, out);
        }
        self.sequencer.finish(out);
        self.phase = Phase::Over;
        let reason = finish_reason(self.stop_reason.as_deref(), self.stop_sequence.take(), self.has_calls);
        out.push_back(ChatEvent::Finished { reason, usage: self.counts.usage(), service_tier: None });
    }
}

impl StreamDecoder for Decoder {
    fn decode(&mut self, frame: &Frame, out: &mut VecDeque<ChatEvent>) -> Result<(), Failure> {
        let data = match &frame.data {
            Some(data) if !data.is_empty() && data != DONE && self.phase != Phase::Over => data,
            _ => return Ok(()),
        };
        let event: Event<'_> = serde_json::from_slice(data).map_err(|problem| unreadable(&problem))?;
        let name = String::from_utf8_lossy(&frame.event);
        let kind = event.kind.as_ref().map_or(&*name, |kind| &*kind.0);
        if kind == "error" || (event.error.is_some() && event.kind.is_none()) {
            let value = serde_json::from_slice(data).map_err(|problem| unreadable(&problem))?;
            out.push_back(ChatEvent::Failed(error::in_band(&value, FailureKind::UpstreamStream)));
            self.phase = Phase::Over;
            return Ok(());
        }
        self.event(kind, &event, out).map_err(|problem| unreadable(&problem))
    }

    fn finish(&mut self, _out: &mut VecDeque<ChatEvent>) -> Result<(), Failure> {
        match self.phase {
            Phase::Over => Ok(()),
            Phase::Waiting | Phase::Started => Err(cut_short()),
        }
    }
}

fn piece<'b>(text: Option<Str<'b>>) -> Cow<'b, str> {
    text.map(|text| text.0).unwrap_or_default()
}

/// A frame that is not what the protocol says.
pub(super) fn unreadable(problem: &serde_json::Error) -> Failure {
    Failure::new(FailureKind::UpstreamStream, format!("the provider sent an event that cannot be read: {problem}"))
}

/// The stream has no end.
pub(super) fn cut_short() -> Failure {
    Failure::new(FailureKind::UpstreamStream, "the provider's stream ended without message_stop")
}

/// The provider's index of a block; servers that number none have one at a time.
fn index_of(event: &Event<'_>) -> u64 {
    event.index.and_then(|value| value.get().parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::fixtures::{STREAM, WHOLE, events_of, request};
    use super::super::response;
    use super::*;
    use crate::chat::{Block, FinishReason, Tool, ToolInput, fold};

    fn read(stream: &str) -> Result<Vec<ChatEvent>, Failure> {
        events_of(stream.as_bytes(), 0, &request(json!({})))
    }

    /// Data lines without event names, as some servers send them.
    fn unnamed(data: &[&str]) -> String {
        data.iter().map(|data| format!("data:{data}\r\n\r\n")).collect()
    }

    #[test]
    fn a_stream_adds_up_to_the_whole_answer() {
        let streamed = fold(read(STREAM).unwrap()).unwrap();
        let whole = response::decode(WHOLE.as_bytes(), &request(json!({})), "claude-eu").unwrap();
        assert_eq!(whole.lost, ["content[].server_tool_use", "content[].web_search_tool_result"]);
        assert_eq!(streamed, crate::chat::ChatResponse { lost: Vec::new(), ..whole });
    }

    #[test]
    fn blocks_follow_each_other_without_gaps() {
        let (mut open, mut next) = (None, 0);
        for event in read(STREAM).unwrap() {
            match event {
                ChatEvent::BlockStarted { index, .. } => {
                    assert_eq!((open.replace(index), index), (None, next));
                    next += 1;
                }
                ChatEvent::Delta { index, .. } => assert_eq!(open, Some(index)),
                ChatEvent::BlockEnded { index } => assert_eq!(open.take(), Some(index)),
                ChatEvent::Started { .. } => assert_eq!(next, 0),
                ChatEvent::Finished { .. } => assert_eq!((open, next), (None, 5)),
                ChatEvent::Ping => {}
                ChatEvent::Failed(failure) => panic!("{failure}"),
            }
        }
    }

    proptest! {
        #[test]
        fn a_stream_cut_anywhere_gives_the_same_events(cut in 0..STREAM.len()) {
            let whole = events_of(STREAM.as_bytes(), 0, &request(json!({})));
            prop_assert_eq!(events_of(STREAM.as_bytes(), cut, &request(json!({}))), whole);
        }
    }

    #[test]
    fn a_careless_server_is_understood() {
        let stream = unnamed(&[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Hel"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","name":"f","input":{"a":1}}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":7,"output_tokens":2}}"#,
            r#"{"type":"message_delta","delta":{}}"#,
            r#"{"type":"message_stop"}"#,
            "[DONE]",
        ]);
        let response = fold(read(&stream).unwrap()).unwrap();
        match &response.blocks[..] {
            [Block::Text(text), Block::ToolCall(call)] => {
                assert_eq!((text.text.as_str(), call.arguments.as_str()), ("Hello", r#"{"a":1}"#));
                assert!(call.id.starts_with("toolu_"));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(response.finish, FinishReason::ToolCalls);
        assert_eq!(response.usage.map(|usage| (usage.input, usage.output)), Some((7, 2)));
    }

    #[test]
    fn arguments_that_were_cut_stay_as_they_are() {
        let stream = unnamed(&[
            r#"{"type":"message_start","message":{"id":"msg_1"}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\": \"x"}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"max_tokens"},"usage":{"output_tokens":2}}"#,
            r#"{"type":"message_stop"}"#,
        ]);
        let response = fold(read(&stream).unwrap()).unwrap();
        assert!(matches!(&response.blocks[..], [Block::ToolCall(call)] if call.arguments == "{\"a\": \"x"));
        assert_eq!(response.finish, FinishReason::Length);
    }

    #[test]
    fn the_text_of_a_free_text_tool_comes_once_and_whole() {
        let mut request = request(json!({}));
        request.tools.push(Tool {
            name: "sql".to_owned(),
            description: None,
            input: ToolInput::Custom { format: None },
        });
        let stream = unnamed(&[
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"sql","input":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"input\": \"sel"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"ect 1\"}"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_stop"}"#,
        ]);
        let events = events_of(stream.as_bytes(), 0, &request).unwrap();
        let deltas: Vec<&ChatEvent> = events.iter().filter(|event| matches!(event, ChatEvent::Delta { .. })).collect();
        let whole = ChatEvent::Delta { index: 0, delta: Delta::Arguments("select 1".to_owned()) };
        assert_eq!(deltas, [&whole]);
        assert!(matches!(&events[1], ChatEvent::BlockStarted { kind: BlockKind::ToolCall { custom: true, .. }, .. }));
    }

    #[test]
    fn an_error_in_the_stream_ends_it() {
        let stream = unnamed(&[
            r#"{"type":"message_start","message":{}}"#,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#,
            r#"{"type":"message_stop"}"#,
        ]);
        let events = read(&stream).unwrap();
        match &events[..] {
            [ChatEvent::Started { .. }, ChatEvent::Failed(failure)] => {
                assert_eq!((failure.kind, failure.code()), (FailureKind::Upstream(529), Some("overloaded_error")));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_stream_without_an_end_or_with_broken_json_is_a_failure() {
        let no_end = STREAM.split("event: message_stop").next().unwrap();
        let broken = "data: {\"type\":\"content_block_delta\",\n\n".to_owned();
        let wrong = unnamed(&[r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":5}}"#]);
        for stream in [no_end, "", "data: [DONE]\n\n", &broken, &wrong] {
            assert_eq!(read(stream).unwrap_err().kind, FailureKind::UpstreamStream, "{stream}");
        }
    }
}
