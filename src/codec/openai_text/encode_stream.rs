//! A streamed answer for a client of text completions.

use bytes::BytesMut;
use serde::Serialize;

use super::encode_response::{answer_id, finish_reason};
use crate::chat::{BlockKind, ChatEvent, Delta, Failure, FinishReason, Usage};
use crate::codec::openai::stream::{DONE_EVENT, write_failure, write_json};
use crate::codec::openai::usage::OutgoingUsage;
use crate::codec::{Exchange, StreamEncoder};

/// Writes one streamed answer.
#[derive(Debug)]
pub(super) struct Encoder {
    /// What every chunk begins with, up to its choices.
    head: Vec<u8>,
    include_usage: bool,
    /// Whether the open block is one that the client may read.
    is_visible: bool,
    over: bool,
}

#[derive(Serialize)]
struct Head<'e> {
    id: String,
    object: &'static str,
    created: i64,
    model: &'e str,
}

impl Encoder {
    pub(super) fn new(exchange: &Exchange) -> Self {
        let Exchange { model, created, include_usage, .. } = exchange;
        let head = Head { id: answer_id(), object: "text_completion", created: *created, model };
        // A struct of strings and a number always serialises.
        let mut head = serde_json::to_vec(&head).unwrap_or_default();
        head.pop();
        head.splice(..0, *b"data: ");
        Self { head, include_usage: *include_usage, is_visible: false, over: false }
    }

    fn write(&self, text: &str, finish_reason: Option<&'static str>, out: &mut BytesMut) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(br#","choices":[{"text":"#);
        write_json(&text, out);
        out.extend_from_slice(br#","index":0,"logprobs":null,"finish_reason":"#);
        write_json(&finish_reason, out);
        let usage: &[u8] = if self.include_usage { br#","usage":null"# } else { b"" };
        for piece in [b"}]", usage, b"}\n\n"] {
            out.extend_from_slice(piece);
        }
    }

    fn finish(&mut self, reason: &FinishReason, usage: Option<Usage>, out: &mut BytesMut) {
        self.over = true;
        self.write("", Some(finish_reason(reason)), out);
        if let Some(usage) = usage.filter(|_| self.include_usage) {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(br#","choices":[],"usage":"#);
            write_json(&OutgoingUsage::from(usage), out);
            out.extend_from_slice(b"}\n\n");
        }
        out.extend_from_slice(DONE_EVENT);
    }
}

impl StreamEncoder for Encoder {
    fn encode(&mut self, event: &ChatEvent, out: &mut BytesMut) {
        if self.over {
            return;
        }
        match event {
            ChatEvent::BlockStarted { kind, .. } => {
                self.is_visible = matches!(kind, BlockKind::Text | BlockKind::Refusal);
            }
            ChatEvent::Delta { delta: Delta::Text(text), .. } if self.is_visible => self.write(text, None, out),
            ChatEvent::Finished { reason, usage, .. } => self.finish(reason, *usage, out),
            ChatEvent::Failed(failure) => self.fail(failure, out),
            ChatEvent::Started { .. } | ChatEvent::Delta { .. } | ChatEvent::BlockEnded { .. } | ChatEvent::Ping => {}
        }
    }

    fn fail(&mut self, failure: &Failure, out: &mut BytesMut) {
        self.over = true;
        write_failure(failure, out);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::chat::{ClientSide, FailureKind};

    fn written(events: &[ChatEvent], include_usage: bool) -> Vec<Value> {
        let exchange = Exchange {
            model: "al\"ias".to_owned(),
            provider: "p".into(),
            request_id: "r".to_owned(),
            created: 7,
            include_usage,
            client: ClientSide::default(),
        };
        let (mut encoder, mut out) = (Encoder::new(&exchange), BytesMut::new());
        for event in events {
            encoder.encode(event, &mut out);
        }
        let stream = String::from_utf8(out.to_vec()).unwrap();
        let frames = stream.split_terminator("\n\n").map(|frame| frame.strip_prefix("data: ").unwrap());
        frames.map(|data| if data == "[DONE]" { json!(data) } else { serde_json::from_str(data).unwrap() }).collect()
    }

    fn block(index: usize, kind: BlockKind, delta: Delta) -> [ChatEvent; 3] {
        [ChatEvent::BlockStarted { index, kind }, ChatEvent::Delta { index, delta }, ChatEvent::BlockEnded { index }]
    }

    fn answer() -> Vec<ChatEvent> {
        let call = BlockKind::ToolCall { id: "i".to_owned(), name: "f".to_owned(), custom: false };
        let usage = Some(Usage { input: 5, output: 3, ..Usage::default() });
        let mut events = vec![ChatEvent::Started { id: Some("msg_1".to_owned()), usage: None }, ChatEvent::Ping];
        events.extend(block(0, BlockKind::Reasoning, Delta::Text("hidden".to_owned())));
        events.extend(block(1, BlockKind::Text, Delta::Text("é \"x\"\n".to_owned())));
        events.extend(block(2, call, Delta::Arguments("{}".to_owned())));
        events.push(ChatEvent::Finished { reason: FinishReason::Length, usage, service_tier: None });
        events
    }

    #[test]
    fn only_text_appears_and_the_last_choice_has_the_finish_reason() {
        let chunks = written(&answer(), false);
        let id = chunks[0]["id"].clone();
        let chunk = |text: &str, finish_reason: Value| {
            json!({"id": id, "object": "text_completion", "created": 7, "model": "al\"ias",
                "choices": [{"text": text, "index": 0, "logprobs": null, "finish_reason": finish_reason}]})
        };
        assert_eq!(chunks, [chunk("é \"x\"\n", Value::Null), chunk("", json!("length")), json!("[DONE]")]);
    }

    #[test]
    fn usage_comes_in_a_chunk_of_its_own_to_who_asked() {
        let chunks = written(&answer(), true);
        assert_eq!(chunks[..2].iter().map(|chunk| &chunk["usage"]).collect::<Vec<_>>(), [&Value::Null; 2]);
        assert_eq!((&chunks[2]["choices"], &chunks[2]["usage"]["total_tokens"]), (&json!([]), &json!(8)));
        assert_eq!(chunks[3], "[DONE]");
    }

    #[test]
    fn a_failed_stream_ends_with_the_error_and_no_sign_of_success() {
        let mut events = answer();
        events.insert(7, ChatEvent::Failed(Failure::new(FailureKind::StreamIdleTimeout, "silent")));
        let chunks = written(&events, true);
        assert_eq!(
            chunks.last().unwrap(),
            &json!({"error": {"message": "silent", "type": "timeout_error", "param": null, "code": "stream_idle_timeout"}})
        );
        assert_eq!(chunks.len(), 2);
    }
}
