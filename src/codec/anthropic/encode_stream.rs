//! A streamed answer, from the unified format to this protocol.

use bytes::{BufMut, BytesMut};
use serde::Serialize;

use super::error::WireError;
use super::response::{Answer, message_id, packed, stop_reason};
use super::usage::Written;
use super::wire::{Block, Input, WebCitation, call_id};
use crate::chat::{BlockKind, ChatEvent, Citation, Delta, Failure, FinishReason, Opaque, Usage};
use crate::codec::{Exchange, KEEPALIVE, StreamEncoder};

/// Keeps a silent message alive (Anthropic, "Streaming messages", ping events).
pub(super) const PING: &[u8] = b"event: ping\ndata: {\"type\":\"ping\"}\n\n";

/// Writes one streamed answer.
pub(super) struct Encoder {
    model: String,
    request_id: String,
    phase: Phase,
    block: Current,
    /// The index of the next block: empty ones are not written, so it is not the event's.
    next: usize,
    usage: Option<Usage>,
    has_calls: bool,
    has_refusal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting,
    Started,
    Over,
}

/// The block that is being written. One that may turn out empty is begun with its first piece.
enum Current {
    None,
    Text {
        is_open: bool,
    },
    Reasoning {
        is_open: bool,
        opaque: Option<Opaque>,
    },
    Call,
    /// Free text is wrapped, so it must be whole.
    CustomCall {
        text: String,
    },
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    MessageStart { message: Answer<'a> },
    ContentBlockStart { index: usize, content_block: Block<'a> },
    ContentBlockDelta { index: usize, delta: Piece<'a> },
    ContentBlockStop { index: usize },
    MessageDelta { delta: End<'a>, usage: Written },
    MessageStop,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Piece<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    Arguments { partial_json: &'a str },
    #[serde(rename = "citations_delta")]
    Citation { citation: WebCitation<'a> },
}

#[derive(Serialize)]
struct End<'a> {
    stop_reason: &'static str,
    stop_sequence: Option<&'a str>,
}

impl Event<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::MessageStart { .. } => "message_start",
            Self::ContentBlockStart { .. } => "content_block_start",
            Self::ContentBlockDelta { .. } => "content_block_delta",
            Self::ContentBlockStop { .. } => "content_block_stop",
            Self::MessageDelta { .. } => "message_delta",
            Self::MessageStop => "message_stop",
        }
    }

    fn write(&self, out: &mut BytesMut) {
        write(self.name(), self, out);
    }
}

fn write(name: &str, data: &impl Serialize, out: &mut BytesMut) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    // Neither these values nor a growing buffer can fail.
    let _infallible = serde_json::to_writer((&mut *out).writer(), data);
    out.extend_from_slice(b"\n\n");
}

impl Encoder {
    pub(super) fn new(exchange: &Exchange) -> Self {
        Self {
            model: exchange.model.clone(),
            request_id: exchange.request_id.clone(),
            phase: Phase::Waiting,
            block: Current::None,
            next: 0,
            usage: None,
            has_calls: false,
            has_refusal: false,
        }
    }

    fn start(&mut self, id: Option<&str>, usage: Option<Usage>, out: &mut BytesMut) {
        self.phase = Phase::Started;
        self.usage = usage;
        let message = Answer {
            id: message_id(id),
            kind: "message",
            role: "assistant",
            model: &self.model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: usage.map(Written::from).unwrap_or_default(),
        };
        Event::MessageStart { message }.write(out);
    }

    fn start_block(&mut self, kind: &BlockKind, out: &mut BytesMut) {
        self.block = match kind {
            BlockKind::Text => Current::Text { is_open: false },
            BlockKind::Refusal => {
                self.has_refusal = true;
                Current::Text { is_open: false }
            }
            BlockKind::Reasoning => Current::Reasoning { is_open: false, opaque: None },
            BlockKind::ToolCall { id, name, custom } => {
                self.has_calls = true;
                self.open(Block::ToolUse { id: call_id(id), name, input: Input::Empty {} }, out);
                if *custom { Current::CustomCall { text: String::new() } } else { Current::Call }
            }
        };
    }

    fn open(&self, content_block: Block<'_>, out: &mut BytesMut) {
        Event::ContentBlockStart { index: self.next, content_block }.write(out);
    }

    fn piece(&self, delta: Piece<'_>, out: &mut BytesMut) {
        Event::ContentBlockDelta { index: self.next, delta }.write(out);
    }

    fn delta(&mut self, delta: &Delta, out: &mut BytesMut) {
        match (delta, &mut self.block) {
            (Delta::Text(text), Current::Text { is_open }) => {
                let is_first = !std::mem::replace(is_open, true);
                self.text(is_first, Piece::Text { text }, out);
            }
            (Delta::Citation(citation), Current::Text { is_open }) => {
                let is_first = !std::mem::replace(is_open, true);
                self.citation(is_first, citation, out);
            }
            (Delta::Text(thinking), Current::Reasoning { is_open, .. }) => {
                if !std::mem::replace(is_open, true) {
                    self.open(Block::Thinking { thinking: "", signature: "".into() }, out);
                }
                self.piece(Piece::Thinking { thinking }, out);
            }
            (Delta::Opaque(state), Current::Reasoning { opaque, .. }) => *opaque = Some(state.clone()),
            (Delta::Arguments(partial_json), Current::Call) => self.piece(Piece::Arguments { partial_json }, out),
            (Delta::Arguments(piece), Current::CustomCall { text }) => text.push_str(piece),
            _ => {}
        }
    }

    fn text(&self, is_first: bool, piece: Piece<'_>, out: &mut BytesMut) {
        if is_first {
            self.open(Block::text(""), out);
        }
        self.piece(piece, out);
    }

    fn citation(&self, is_first: bool, citation: &Citation, out: &mut BytesMut) {
        self.text(is_first, Piece::Citation { citation: citation.into() }, out);
    }

    fn end_block(&mut self, out: &mut BytesMut) {
        match std::mem::replace(&mut self.block, Current::None) {
            Current::None | Current::Text { is_open: false } | Current::Reasoning { is_open: false, opaque: None } => {
                return;
            }
            Current::Text { is_open: true } | Current::Call => {}
            Current::Reasoning { is_open: true, opaque } => {
                self.piece(Piece::Signature { signature: &packed(opaque.as_ref()) }, out);
            }
            Current::Reasoning { is_open: false, opaque: Some(opaque) } => {
                self.open(Block::RedactedThinking { data: opaque.pack().into() }, out);
            }
            Current::CustomCall { text } => {
                // A struct of strings always serialises.
                let json = serde_json::to_string(&Input::Custom { input: &text }).unwrap_or_default();
                self.piece(Piece::Arguments { partial_json: &json }, out);
            }
        }
        Event::ContentBlockStop { index: self.next }.write(out);
        self.next += 1;
    }

    fn finish(&mut self, reason: &FinishReason, usage: Option<Usage>, out: &mut BytesMut) {
        self.phase = Phase::Over;
        let (stop_reason, stop_sequence) = stop_reason(reason, self.has_calls, self.has_refusal);
        let usage = usage.or(self.usage).map(Written::from).unwrap_or_default();
        Event::MessageDelta { delta: End { stop_reason, stop_sequence }, usage }.write(out);
        Event::MessageStop.write(out);
    }
}

impl StreamEncoder for Encoder {
    fn encode(&mut self, event: &ChatEvent, out: &mut BytesMut) {
        match event {
            _ if self.phase == Phase::Over => {}
            ChatEvent::Started { id, usage } => self.start(id.as_deref(), *usage, out),
            ChatEvent::BlockStarted { kind, .. } => self.start_block(kind, out),
            ChatEvent::Delta { delta, .. } => self.delta(delta, out),
            ChatEvent::BlockEnded { .. } => self.end_block(out),
            ChatEvent::Finished { reason, usage, .. } => self.finish(reason, *usage, out),
            ChatEvent::Failed(failure) => self.fail(failure, out),
            // The proxy keeps the stream alive itself.
            ChatEvent::Ping => {}
        }
    }

    fn fail(&mut self, failure: &Failure, out: &mut BytesMut) {
        self.phase = Phase::Over;
        write("error", &WireError::new(failure, &self.request_id), out);
    }

    fn keepalive(&self) -> &'static [u8] {
        match self.phase {
            Phase::Started => PING,
            Phase::Waiting | Phase::Over => KEEPALIVE,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fixtures::{STREAM, events_of, exchange, named, request, stream_of};
    use super::*;
    use crate::chat::{Block as ChatBlock, FailureKind, OpaqueKind, Protocol, fold};

    fn block(index: usize, kind: BlockKind, deltas: Vec<Delta>) -> Vec<ChatEvent> {
        let mut events = vec![ChatEvent::BlockStarted { index, kind }];
        events.extend(deltas.into_iter().map(|delta| ChatEvent::Delta { index, delta }));
        events.push(ChatEvent::BlockEnded { index });
        events
    }

    fn whole(blocks: Vec<Vec<ChatEvent>>, reason: FinishReason) -> Vec<ChatEvent> {
        let mut events = vec![ChatEvent::Started { id: Some("resp_1".to_owned()), usage: None }];
        events.extend(blocks.into_iter().flatten());
        let usage = Usage { input: 10, output: 4, cache_read: 3, ..Usage::default() };
        events.push(ChatEvent::Finished { reason, usage: Some(usage), service_tier: None });
        events
    }

    fn text(text: &str) -> Delta {
        Delta::Text(text.to_owned())
    }

    fn call(custom: bool) -> BlockKind {
        BlockKind::ToolCall { id: "call:1".to_owned(), name: "f".to_owned(), custom }
    }

    fn opaque() -> Opaque {
        Opaque {
            protocol: Protocol::OpenAiResponses,
            provider: "oai".to_owned(),
            kind: OpaqueKind::Encrypted,
            data: "gA".to_owned(),
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let events = events_of(STREAM.as_bytes(), 0, &request(json!({}))).unwrap();
        let again = events_of(&stream_of(&events), 0, &request(json!({}))).unwrap();
        let mut sent = fold(events).unwrap();
        let got = fold(again).unwrap();
        // State crosses packed.
        for block in &mut sent.blocks {
            if let ChatBlock::Reasoning(reasoning) = block
                && let Some(opaque) = &mut reasoning.opaque
            {
                opaque.data = opaque.pack();
            }
        }
        assert_eq!(got, sent);
    }

    #[test]
    fn blocks_are_begun_with_their_first_piece_and_numbered_without_gaps() {
        let events = whole(
            vec![
                block(0, BlockKind::Text, vec![]),
                block(1, BlockKind::Reasoning, vec![Delta::Opaque(opaque())]),
                block(2, BlockKind::Reasoning, vec![text("Hm"), Delta::Opaque(opaque())]),
                block(3, BlockKind::Reasoning, vec![]),
                block(4, BlockKind::Reasoning, vec![text("Hm")]),
                block(5, BlockKind::Text, vec![text("a"), text("b")]),
                block(6, call(false), vec![Delta::Arguments("{\"a\":".to_owned())]),
                block(7, call(true), vec![Delta::Arguments("sel".to_owned()), Delta::Arguments("ect".to_owned())]),
            ],
            FinishReason::Stop,
        );
        let stream = stream_of(&events);
        let named = named(&stream);
        assert!(named.iter().all(|(name, data)| data["type"] == name.as_str()));
        let starts: Vec<(&Value, &Value)> = named
            .iter()
            .filter(|(name, _)| name == "content_block_start")
            .map(|(_, data)| (&data["index"], &data["content_block"]))
            .collect();
        let call = json!({"type":"tool_use","id":"call_1","name":"f","input":{}});
        let expected = [
            json!({"type":"redacted_thinking","data":opaque().pack()}),
            json!({"type":"thinking","thinking":"","signature":""}),
            json!({"type":"thinking","thinking":"","signature":""}),
            json!({"type":"text","text":""}),
            call.clone(),
            call,
        ];
        for (index, (start, expected)) in starts.iter().zip(&expected).enumerate() {
            assert_eq!((start.0, start.1), (&json!(index), expected));
        }
        assert_eq!(starts.len(), expected.len());
        let deltas: Vec<Value> = named
            .iter()
            .filter(|(name, _)| name == "content_block_delta")
            .map(|(_, data)| data["delta"].clone())
            .collect();
        assert_eq!(deltas[1], json!({"type":"signature_delta","signature":opaque().pack()}));
        assert_eq!(deltas[3], json!({"type":"signature_delta","signature":"llmp1."}));
        assert_eq!(deltas[7], json!({"type":"input_json_delta","partial_json":"{\"input\":\"select\"}"}));
        let (_, end) = &named[named.len() - 2];
        assert_eq!(end["delta"], json!({"stop_reason":"tool_use","stop_sequence":null}));
        let usage =
            json!({"input_tokens":7,"cache_creation_input_tokens":0,"cache_read_input_tokens":3,"output_tokens":4});
        assert_eq!(end["usage"], usage);
        assert_eq!(named.last().unwrap().0, "message_stop");
        let start = &named[0].1["message"];
        assert_eq!(
            (&start["model"], &start["content"], &start["stop_reason"]),
            (&json!("alias"), &json!([]), &json!(null))
        );
        assert_eq!(start["usage"]["input_tokens"], 0);
    }

    #[test]
    fn a_refusal_is_text_and_its_end_says_so() {
        let events = whole(vec![block(0, BlockKind::Refusal, vec![text("No")])], FinishReason::Stop);
        let named = named(&stream_of(&events));
        assert_eq!(named[2].1["delta"], json!({"type":"text_delta","text":"No"}));
        assert_eq!(named[4].1["delta"]["stop_reason"], "refusal");
    }

    #[test]
    fn a_failure_is_the_last_event_and_pings_come_only_while_the_message_is_open() {
        let mut encoder = Encoder::new(&exchange());
        let mut out = BytesMut::new();
        assert_eq!(encoder.keepalive(), KEEPALIVE);
        encoder.encode(&ChatEvent::Started { id: None, usage: None }, &mut out);
        assert_eq!(encoder.keepalive(), PING);
        encoder.encode(&ChatEvent::Ping, &mut out);
        encoder.encode(&ChatEvent::Failed(Failure::new(FailureKind::StreamIdleTimeout, "silent")), &mut out);
        encoder.encode(&ChatEvent::Finished { reason: FinishReason::Stop, usage: None, service_tier: None }, &mut out);
        let named = named(&out);
        assert_eq!(named.len(), 2);
        let error = json!({"type":"timeout_error","message":"silent"});
        assert_eq!(named[1], ("error".to_owned(), json!({"type":"error","error":error,"request_id":"req-1"})));
        assert_eq!(encoder.keepalive(), KEEPALIVE);
    }
}
