//! A streamed answer of a Chat provider.

use std::collections::{HashMap, VecDeque};

use serde_json::value::RawValue;

use super::finish;
use super::wire::{Annotation, Call, Chunk, Detail, Said};
use crate::chat::{BlockKind, ChatEvent, Delta, Failure, Sequencer, Usage};
use crate::codec::StreamDecoder;
use crate::codec::openai::stream::broken;
use crate::codec::openai::{error, random_letters, usage};
use crate::sse::{DONE, Frame};

/// Reads one streamed answer.
#[derive(Debug)]
pub(super) struct Decoder {
    provider: String,
    sequencer: Sequencer,
    /// The text, reasoning or refusal block that grows now.
    growing: Option<(BlockKind, usize)>,
    calls: Vec<OpenCall>,
    /// The wire's index of a call to its place in `calls`.
    by_index: HashMap<u64, usize>,
    has_refusal: bool,
    /// Reasoning comes as plain text, so what `reasoning_details` say alone is a repetition.
    has_plain_reasoning: bool,
    started: bool,
    finish_reason: Option<String>,
    usage: Option<Usage>,
    service_tier: Option<String>,
    /// Finished or failed: nothing comes after.
    over: bool,
}

/// A tool call that is being received.
#[derive(Debug)]
struct OpenCall {
    id: String,
    /// Its block; `None` until its name is known.
    handle: Option<usize>,
    /// Arguments that came before the name.
    early: String,
}

/// An id for a call that came without one.
pub(super) fn made_up_call_id() -> String {
    format!("call_{}", random_letters())
}

impl Decoder {
    pub(super) fn new(provider: &str) -> Self {
        Self {
            provider: provider.to_owned(),
            sequencer: Sequencer::default(),
            growing: None,
            calls: Vec::new(),
            by_index: HashMap::new(),
            has_refusal: false,
            has_plain_reasoning: false,
            started: false,
            finish_reason: None,
            usage: None,
            service_tier: None,
            over: false,
        }
    }

    fn chunk(&mut self, chunk: Chunk<'_>, out: &mut VecDeque<ChatEvent>) -> Result<(), Failure> {
        if let Some(failure) = chunk.error.and_then(|error| error::decode_in_stream(error.get())) {
            self.over = true;
            out.push_back(ChatEvent::Failed(failure));
            return Ok(());
        }
        self.usage = usage::read(chunk.usage.map(RawValue::get)).or(self.usage);
        if let Some(tier) = chunk.service_tier.some() {
            self.service_tier = Some(tier.to_owned());
        }
        let choices = chunk.choices.unwrap_or_default();
        // Azure opens with a chunk that has no choices and neither id nor model.
        if !self.started && !choices.is_empty() {
            self.started = true;
            out.push_back(ChatEvent::Started { id: chunk.id.some().map(str::to_owned), usage: None });
        }
        // Further choices cannot be told apart elsewhere.
        for choice in choices.iter().filter(|choice| choice.index.unwrap_or_default().0 == 0) {
            if let Some(said) = &choice.delta {
                self.said(said, out);
            }
            match choice.finish_reason.some() {
                Some("error") => return Err(broken("the provider ended the answer with an error")),
                Some(reason) => self.finish_reason = Some(reason.to_owned()),
                None => {}
            }
        }
        Ok(())
    }

    fn said(&mut self, said: &Said<'_>, out: &mut VecDeque<ChatEvent>) {
        let details = said.reasoning_details.as_deref().unwrap_or_default();
        match said.reasoning_text() {
            Some(text) => {
                self.has_plain_reasoning = true;
                self.grow(BlockKind::Reasoning, text, out);
                details.iter().for_each(|detail| self.state(detail, out));
            }
            None => details.iter().for_each(|detail| {
                if !self.has_plain_reasoning {
                    self.grow(BlockKind::Reasoning, detail.said(), out);
                }
                self.state(detail, out);
            }),
        }
        self.grow(BlockKind::Text, &said.content.0, out);
        if let (true, Some(audio)) = (said.content.is_empty(), &said.audio) {
            self.grow(BlockKind::Text, &audio.transcript.0, out);
        }
        for citation in said.annotations.iter().flatten().filter_map(Annotation::citation) {
            let handle = self.block(BlockKind::Text, out);
            self.sequencer.delta(handle, Delta::Citation(citation), out);
        }
        self.has_refusal |= !said.refusal.is_empty();
        self.grow(BlockKind::Refusal, &said.refusal.0, out);
        for call in said.tool_calls.iter().flatten() {
            self.call(call, out);
        }
        if let Some(function) = &said.function_call {
            // The old form has one call, without id or index.
            let place = if self.calls.is_empty() { self.open_call(None) } else { 0 };
            self.piece(place, Piece { name: function.name.some(), text: &function.arguments.0, custom: false }, out);
        }
    }

    fn grow(&mut self, kind: BlockKind, text: &str, out: &mut VecDeque<ChatEvent>) {
        if !text.is_empty() {
            let handle = self.block(kind, out);
            self.sequencer.delta(handle, Delta::Text(text.to_owned()), out);
        }
    }

    /// The block of this kind that grows now, or a new one.
    fn block(&mut self, kind: BlockKind, out: &mut VecDeque<ChatEvent>) -> usize {
        if let Some((growing, handle)) = &self.growing
            && *growing == kind
        {
            return *handle;
        }
        let handle = self.sequencer.start(kind.clone(), out);
        self.growing = Some((kind, handle));
        handle
    }

    fn state(&mut self, detail: &Detail<'_>, out: &mut VecDeque<ChatEvent>) {
        let Some(opaque) = detail.opaque(&self.provider) else {
            return;
        };
        // Without open text it belongs to reasoning that is withheld.
        let is_open = matches!(self.growing, None | Some((BlockKind::Reasoning, _)));
        // A signature without the text that it signs is of no use to anybody.
        if is_open || detail.signature.is_empty() {
            let handle = self.block(BlockKind::Reasoning, out);
            self.sequencer.delta(handle, Delta::Opaque(opaque), out);
            self.sequencer.end(handle, out);
            self.growing = None;
        }
    }

    fn call(&mut self, call: &Call<'_>, out: &mut VecDeque<ChatEvent>) {
        let piece = match (&call.custom, &call.function) {
            (Some(custom), _) => Piece { name: custom.name.some(), text: &custom.input.0, custom: true },
            (None, Some(function)) => Piece { name: function.name.some(), text: &function.arguments.0, custom: false },
            (None, None) => Piece { name: None, text: "", custom: false },
        };
        let id = call.id.some();
        let known = match call.index {
            Some(index) => self.by_index.get(&index.0).copied(),
            None => match id {
                Some(id) => self.calls.iter().position(|open| open.id == id),
                None if piece.name.is_some() => None,
                None => self.calls.len().checked_sub(1),
            },
        };
        // Some servers give every call of an answer the same index.
        let is_other = |open: &OpenCall| id.is_some_and(|id| id != open.id) && piece.name.is_some();
        let known =
            known.filter(|place| self.calls.get(*place).is_some_and(|open| open.handle.is_none() || !is_other(open)));
        let place = known.unwrap_or_else(|| self.open_call(id));
        if let Some(index) = call.index {
            self.by_index.insert(index.0, place);
        }
        // An id may come later than the first fragment, but not later than the name.
        if let (Some(id), Some(open)) = (id, self.calls.get_mut(place).filter(|open| open.handle.is_none())) {
            id.clone_into(&mut open.id);
        }
        self.piece(place, piece, out);
    }

    fn open_call(&mut self, id: Option<&str>) -> usize {
        let id = id.map_or_else(made_up_call_id, str::to_owned);
        self.calls.push(OpenCall { id, handle: None, early: String::new() });
        self.calls.len().saturating_sub(1)
    }

    fn piece(&mut self, place: usize, piece: Piece<'_>, out: &mut VecDeque<ChatEvent>) {
        let Some(call) = self.calls.get_mut(place) else {
            return;
        };
        let Some(handle) = call.handle else {
            call.early.push_str(piece.text);
            if let Some(name) = piece.name {
                let (id, name) = (call.id.clone(), name.to_owned());
                let handle = self.sequencer.start(BlockKind::ToolCall { id, name, custom: piece.custom }, out);
                call.handle = Some(handle);
                self.growing = None;
                let early = std::mem::take(&mut call.early);
                if !early.is_empty() {
                    self.sequencer.delta(handle, Delta::Arguments(early), out);
                }
            }
            return;
        };
        if !piece.text.is_empty() {
            self.sequencer.delta(handle, Delta::Arguments(piece.text.to_owned()), out);
        }
    }

    fn end(&mut self, out: &mut VecDeque<ChatEvent>) {
        self.over = true;
        self.sequencer.finish(out);
        let has_calls = self.calls.iter().any(|call| call.handle.is_some());
        let word = self.finish_reason.as_deref().unwrap_or_default();
        out.push_back(ChatEvent::Finished {
            reason: finish::decode(word, has_calls, self.has_refusal),
            usage: self.usage,
            service_tier: self.service_tier.take(),
        });
    }
}

/// What a fragment tells of a call.
#[derive(Debug, Clone, Copy)]
struct Piece<'b> {
    name: Option<&'b str>,
    text: &'b str,
    custom: bool,
}

impl StreamDecoder for Decoder {
    fn decode(&mut self, frame: &Frame, out: &mut VecDeque<ChatEvent>) -> Result<(), Failure> {
        let Some(data) = frame.data.as_ref().filter(|_| !self.over) else {
            return Ok(());
        };
        if data.trim_ascii() == DONE {
            if !self.started {
                return Err(broken("the stream ended before any choice"));
            }
            self.end(out);
            return Ok(());
        }
        let text = std::str::from_utf8(data).map_err(|error| broken(&format!("an event is not UTF-8: {error}")))?;
        let chunk = serde_json::from_str(text).map_err(|error| broken(&format!("an event cannot be read: {error}")))?;
        self.chunk(chunk, out)
    }

    fn finish(&mut self, out: &mut VecDeque<ChatEvent>) -> Result<(), Failure> {
        if self.over {
            return Ok(());
        }
        if self.finish_reason.is_none() {
            return Err(broken("the stream ended without a finish_reason or [DONE]"));
        }
        self.end(out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Block, ChatResponse, FailureKind, FinishReason, ToolCall, fold};
    use crate::codec::openai_chat::decode_response;
    use crate::sse::Parser;

    fn events_cut(stream: &str, cut: usize) -> Result<Vec<ChatEvent>, Failure> {
        let (mut parser, mut decoder, mut out) = (Parser::new(1 << 20), Decoder::new("p"), VecDeque::new());
        for piece in [&stream.as_bytes()[..cut], &stream.as_bytes()[cut..]] {
            parser.feed(piece);
            while let Some(frame) = parser.next_frame().unwrap() {
                decoder.decode(&frame, &mut out)?;
            }
        }
        if let Some(frame) = parser.finish() {
            decoder.decode(&frame, &mut out)?;
        }
        decoder.finish(&mut out)?;
        Ok(out.into())
    }

    /// The stream of the given chunks, checked against the grammar of events.
    fn events(chunks: &[&str]) -> Result<Vec<ChatEvent>, Failure> {
        let stream: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
        let events = events_cut(&stream, 0)?;
        let (mut open, mut next) = (None, 0);
        for (place, event) in events.iter().enumerate() {
            match event {
                ChatEvent::Started { .. } => assert_eq!(place, 0),
                ChatEvent::BlockStarted { index, .. } => {
                    assert_eq!((open.replace(*index), *index), (None, next));
                    next += 1;
                }
                ChatEvent::Delta { index, .. } => assert_eq!(open, Some(*index)),
                ChatEvent::BlockEnded { index } => assert_eq!(open.take(), Some(*index)),
                ChatEvent::Finished { .. } => assert_eq!((place + 1, open), (events.len(), None)),
                ChatEvent::Failed(_) | ChatEvent::Ping => {}
            }
        }
        Ok(events)
    }

    fn answer(deltas: &[&str], finish: &str) -> ChatResponse {
        let mut chunks: Vec<String> = deltas
            .iter()
            .map(|delta| format!(r#"{{"id":"c","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#))
            .collect();
        chunks.push(format!(r#"{{"id":"c","choices":[{{"index":0,"delta":{{}},"finish_reason":"{finish}"}}]}}"#));
        chunks.push("[DONE]".to_owned());
        let chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        fold(events(&chunks).unwrap()).unwrap()
    }

    fn calls(answer: &ChatResponse) -> Vec<&ToolCall> {
        let calls = answer.blocks.iter().filter_map(|block| match block {
            Block::ToolCall(call) => Some(call),
            _ => None,
        });
        calls.collect()
    }

    #[test]
    fn a_stream_adds_up_to_the_whole_answer() {
        let streamed = answer(
            &[
                r#"{"role":"assistant","content":""}"#,
                r#"{"reasoning":"th","reasoning_details":[{"type":"reasoning.text","text":"th","index":0}]}"#,
                r#"{"reasoning":"ink"}"#,
                r#"{"reasoning_details":[{"type":"reasoning.text","signature":"s","index":0}]}"#,
                r#"{"content":"a\u00e9"}"#,
                r#"{"content":"b","annotations":[{"type":"url_citation","url_citation":{"url":"u","title":"t","start_index":0,"end_index":2}}]}"#,
                r#"{"tool_calls":[{"index":0,"id":"i","type":"function","function":{"name":"f","arguments":""}}]}"#,
                r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"n\":1.10}"}}]}"#,
            ],
            "tool_calls",
        );
        let whole = r#"{"id":"c","choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant",
            "reasoning":"think","reasoning_details":[{"type":"reasoning.text","text":"think","signature":"s","index":0}],
            "content":"aéb","annotations":[{"type":"url_citation","url_citation":{"url":"u","title":"t","start_index":0,"end_index":2}}],
            "tool_calls":[{"id":"i","type":"function","function":{"name":"f","arguments":"{\"n\":1.10}"}}]}}]}"#;
        assert_eq!(streamed, decode_response::decode(whole.as_bytes(), "p").unwrap());
    }

    #[test]
    fn calls_are_told_apart_however_servers_number_them() {
        let start = |index: &str, id: &str, arguments: &str| {
            format!(r#"{{"tool_calls":[{{{index}"id":"{id}","function":{{"name":"f","arguments":"{arguments}"}}}}]}}"#)
        };
        let more = |index: &str, arguments: &str| {
            format!(r#"{{"tool_calls":[{{{index}"function":{{"arguments":"{arguments}"}}}}]}}"#)
        };
        let (zero, one, two) = (r#""index":0,"#, r#""index":1,"#, r#""index":2,"#);
        for deltas in [
            vec![start(one, "a", "[1"), start(two, "b", "[2"), more(one, ",1]"), more(two, ",2]")],
            vec![start(zero, "a", "[1,1]"), start(zero, "b", "[2,2]")],
            vec![start("", "a", "[1,1]"), start("", "b", "[2,"), more("", "2]")],
            vec![start(zero, "a", "[1"), start(zero, "a", ",1]"), start(one, "b", "[2,2]"), r#"{"content":""}"#.to_owned()],
            vec![
                r#"{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"[1"}},{"index":1,"id":"b","function":{"name":"f","arguments":"[2,2]"}}]}"#.to_owned(),
                r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":",1]"}}]}"#.to_owned(),
            ],
        ] {
            let answer = answer(&deltas.iter().map(String::as_str).collect::<Vec<_>>(), "stop");
            let mut seen: Vec<_> = calls(&answer).iter().map(|call| (call.id.clone(), call.arguments.clone())).collect();
            seen.sort();
            let pair = |id: &str, arguments: &str| (id.to_owned(), arguments.to_owned());
            assert_eq!(seen, [pair("a", "[1,1]"), pair("b", "[2,2]")], "{deltas:?}");
            assert_eq!(answer.finish, FinishReason::ToolCalls);
        }
    }

    #[test]
    fn calls_without_ids_get_one_and_old_functions_are_calls() {
        let new = answer(
            &[
                r#"{"tool_calls":[{"function":{"name":"f","arguments":"{}"}},{"function":{"name":"g","arguments":"{}"}}]}"#,
            ],
            "tool_calls",
        );
        assert_eq!(calls(&new).len(), 2);
        assert_ne!(calls(&new)[0].id, calls(&new)[1].id);
        let old = answer(
            &[r#"{"function_call":{"name":"f","arguments":""}}"#, r#"{"function_call":{"arguments":"{}"}}"#],
            "function_call",
        );
        assert_eq!((calls(&old)[0].arguments.as_str(), old.finish.clone()), ("{}", FinishReason::ToolCalls));
        let custom = answer(
            &[
                r#"{"tool_calls":[{"index":0,"id":"c","type":"custom","custom":{"name":"g","input":"fr"}}]}"#,
                r#"{"tool_calls":[{"index":0,"custom":{"input":"ee"}}]}"#,
            ],
            "tool_calls",
        );
        assert_eq!((calls(&custom)[0].arguments.as_str(), calls(&custom)[0].custom), ("free", true));
    }

    #[test]
    fn usage_is_the_last_that_was_sent_and_other_choices_are_left_out() {
        let events = events(&[
            r#"{"choices":[],"id":"","model":"","prompt_filter_results":[]}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
            r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#,
            r#"{"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#,
            "[DONE]",
        ])
        .unwrap();
        assert_eq!(events[0], ChatEvent::Started { id: Some("c".to_owned()), usage: None });
        let answer = fold(events).unwrap();
        assert_eq!(answer.usage.unwrap().output, 2);
        assert_eq!(answer.blocks.len(), 1);
    }

    #[test]
    fn a_stream_is_complete_only_with_its_end() {
        let text = r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
        let stop = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
        for chunks in [vec![text, stop], vec![text, "[DONE]"]] {
            assert_eq!(fold(events(&chunks).unwrap()).unwrap().finish, FinishReason::Stop);
        }
        let failed = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"error"}]}"#;
        for chunks in [vec![], vec!["[DONE]"], vec![text], vec![text, "{\"choices\":"], vec![text, failed]] {
            assert_eq!(events(&chunks).unwrap_err().kind, FailureKind::UpstreamStream, "{chunks:?}");
        }
    }

    #[test]
    fn a_signature_brings_its_text_again_or_has_none() {
        let details = |text: &str| {
            format!(
                r#"{{"reasoning_details":[{{"type":"reasoning.text","text":"{text}","signature":"s","index":0}}]}}"#
            )
        };
        let repeated = answer(&[r#"{"reasoning_content":"think"}"#, &details("think"), r#"{"content":"a"}"#], "stop");
        let withheld = answer(&[&details(""), r#"{"content":"a"}"#], "stop");
        for (answer, expected) in [(repeated, "think"), (withheld, "")] {
            let Block::Reasoning(reasoning) = &answer.blocks[0] else { panic!("{answer:?}") };
            assert_eq!((reasoning.text.as_str(), reasoning.opaque.is_some()), (expected, true));
            assert_eq!(answer.blocks.len(), 2);
        }
    }

    #[test]
    fn nothing_comes_after_an_error() {
        let text = r#"{"choices":[{"index":0,"delta":{"content":"a"}}]}"#;
        let error = r#"{"error":{"message":"m","type":"server_error","code":"x"},"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"error"}]}"#;
        let events = events(&[text, error, text, "[DONE]"]).unwrap();
        let Some(ChatEvent::Failed(failure)) = events.last() else { panic!("{events:?}") };
        assert_eq!((failure.status(), failure.code()), (502, Some("x")));
        assert_eq!(events.iter().filter(|event| event.is_content()).count(), 1);
    }

    #[test]
    fn a_stream_cut_at_any_byte_gives_the_same_events() {
        let stream = concat!(
            ": c\r\n\r\n",
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"é\u{2028}\"}}]}\r\n\r\n",
            "data:{\"choices\":[{\"delta\":{\"content\":\"data: [DONE]\"}}]}\n\n",
            "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":3,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\n\n",
            "data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n",
            "data: [DONE]",
        );
        let whole = events_cut(stream, 0).unwrap();
        assert_eq!(fold(whole.clone()).unwrap().blocks.len(), 3);
        for cut in 0..stream.len() {
            assert_eq!(events_cut(stream, cut).unwrap(), whole, "cut at {cut}");
        }
    }
}
