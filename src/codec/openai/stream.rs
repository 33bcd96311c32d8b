//! Forwarding a stream of chunks, frame by frame.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::Serialize;
use serde_json::value::RawValue;

use super::alike::Alike;
use super::body::shift;
use super::{error, usage};
use crate::chat::{Failure, FailureKind, Usage};
use crate::codec::json::{Edit, quote};
use crate::codec::write_edited;
use crate::codec::{Heard, Peek, Seen, VerbatimStream};
use crate::sse::{DONE, Frame};

/// What is sent to end a stream in good order.
pub(in crate::codec) const DONE_EVENT: &[u8] = b"data: [DONE]\n\n";

/// What one chunk tells.
#[derive(Debug, Default)]
pub(in crate::codec) struct Told<'b> {
    pub model: Option<&'b RawValue>,
    pub usage: Option<&'b RawValue>,
    pub error: Option<&'b RawValue>,
    /// Whether it says something of a choice.
    pub has_choices: bool,
    /// Whether it holds a content token.
    pub has_content: bool,
    /// Whose texts it holds that are not empty, and where each stands in it.
    pub texts: OnlyText,
}

/// The one text of a chunk that is not empty, if it is the only one.
#[derive(Debug, Default)]
pub(in crate::codec) enum OnlyText {
    /// No text yet.
    #[default]
    Nothing,
    /// Whose it is, and where it stands in the chunk.
    One(u64, Range<usize>),
    /// More than one, or one that stands nowhere as it is.
    Other,
}

impl OnlyText {
    /// Takes in a piece of what `choice` says in `chunk`.
    pub(in crate::codec) fn note(&mut self, chunk: &str, choice: u64, piece: &str) {
        if piece.is_empty() {
            return;
        }
        let start = piece.as_ptr().addr().wrapping_sub(chunk.as_ptr().addr());
        let place = start..start.saturating_add(piece.len());
        let stands = chunk.get(place.clone()) == Some(piece);
        *self = if matches!(self, Self::Nothing) && stands { Self::One(choice, place) } else { Self::Other };
    }

    fn only(&self) -> Option<(u64, Range<usize>)> {
        match self {
            Self::One(choice, place) => Some((*choice, place.clone())),
            Self::Nothing | Self::Other => None,
        }
    }
}

/// Every choice seen.
#[derive(Debug, Default)]
pub(in crate::codec) struct Choices {
    /// Whether it was given its finish reason.
    finished: BTreeMap<u64, bool>,
    heard: Heard,
}

/// Reads a chunk and notes its choices.
pub(in crate::codec) type ReadChunk = for<'b> fn(&'b str, &mut Choices) -> Result<Told<'b>, serde_json::Error>;

/// Forwards one stream.
#[derive(Debug)]
pub(in crate::codec) struct Stream {
    /// The client's name for the model, as JSON.
    model: Vec<u8>,
    include_usage: bool,
    usage: Option<Usage>,
    choices: Choices,
    read: ReadChunk,
    /// The last chunk but for its text, where it held nothing else that can change.
    alike: Option<Alike>,
    ended: bool,
}

impl Choices {
    pub(in crate::codec) fn note(&mut self, index: u64, is_finished: bool) {
        *self.finished.entry(index).or_default() |= is_finished;
    }

    /// Takes in a piece of what a choice says.
    pub(in crate::codec) fn hear(&mut self, index: u64, piece: &str) {
        self.heard.hear(index, piece.as_bytes());
    }

    fn are_finished(&self) -> bool {
        !self.finished.is_empty() && self.finished.values().all(|finished| *finished)
    }
}

impl Stream {
    pub(in crate::codec) fn new(peek: &Peek, read: ReadChunk) -> Self {
        Self {
            model: quote(&peek.model),
            include_usage: peek.include_usage,
            usage: None,
            choices: Choices::default(),
            read,
            alike: None,
            ended: false,
        }
    }

    fn end(&mut self, out: &mut BytesMut) -> Result<Seen, Failure> {
        if self.choices.finished.is_empty() {
            return Err(broken("the stream ended before any choice"));
        }
        self.ended = true;
        out.extend_from_slice(DONE_EVENT);
        Ok(Seen { ended: true, usage: self.usage, ..Seen::default() })
    }

    /// Whether the chunk holds nothing but usage that the client did not ask for.
    fn is_hidden(&self, chunk: &Told<'_>) -> bool {
        !self.include_usage && chunk.usage.is_some() && !chunk.has_choices
    }
}

impl VerbatimStream for Stream {
    fn forward(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<Seen, Failure> {
        let Some(data) = frame.data.as_ref().filter(|_| !self.ended) else {
            return Ok(Seen::default());
        };
        if let Some(alike) = &self.alike
            && let Some(text) = alike.text(frame)
        {
            alike.write(text, out);
            self.choices.hear(alike.choice, text);
            return Ok(Seen { content: true, usage: self.usage, ..Seen::default() });
        }
        if data.trim_ascii() == DONE {
            return self.end(out);
        }
        let text = std::str::from_utf8(data).map_err(|error| broken(&format!("an event is not UTF-8: {error}")))?;
        let chunk = (self.read)(text, &mut self.choices)
            .map_err(|error| broken(&format!("an event cannot be read: {error}")))?;
        if let Some(failure) = chunk.error.and_then(|error| error::decode_in_stream(error.get())) {
            write_frame(frame, data, None, out);
            // No word of success may follow it.
            self.ended = true;
            return Ok(Seen { usage: self.usage, failed: Some(failure), ..Seen::default() });
        }
        self.usage = usage::read(chunk.usage.map(RawValue::get)).or(self.usage);
        self.alike = None;
        if !self.is_hidden(&chunk) {
            let before = out.len();
            let edit = chunk.model.map(|model| {
                let start = model.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
                Edit { span: shift(0..model.get().len(), start), with: self.model.clone() }
            });
            write_frame(frame, data, edit, out);
            let only = chunk.texts.only().filter(|_| chunk.has_content && chunk.usage.is_none());
            self.alike =
                only.and_then(|(choice, place)| Alike::learn(frame, (choice, text.get(place)?), out.get(before..)?));
        }
        Ok(Seen { content: chunk.has_content, usage: self.usage, ..Seen::default() })
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), Failure> {
        if self.ended {
            return Ok(());
        }
        if !self.choices.are_finished() {
            return Err(broken("the stream ended without a finish_reason or [DONE]"));
        }
        self.ended = true;
        out.extend_from_slice(DONE_EVENT);
        Ok(())
    }

    fn fail(&mut self, failure: &Failure, out: &mut BytesMut) {
        write_failure(failure, out);
    }

    fn said(&self) -> Heard {
        self.choices.heard.clone()
    }
}

/// Ends a stream that has begun with an error.
pub(in crate::codec) fn write_failure(failure: &Failure, out: &mut BytesMut) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(&error::encode_in_band(failure));
    out.extend_from_slice(b"\n\n");
}

/// Strings and numbers always serialise, and a buffer that grows takes them all.
pub(in crate::codec) fn write_json(value: &impl Serialize, out: &mut BytesMut) {
    let written = serde_json::to_writer((&mut *out).writer(), value);
    debug_assert!(written.is_ok(), "{written:?}");
}

pub(in crate::codec) fn broken(message: &str) -> Failure {
    Failure::new(FailureKind::UpstreamStream, message)
}

/// Writes `frame` with an edit of its data; all other bytes stay as they came.
fn write_frame(frame: &Frame, data: &Bytes, edit: Option<Edit>, out: &mut BytesMut) {
    match edit {
        None => out.extend_from_slice(&frame.raw),
        Some(edit) => write_edited(frame, data, edit, out),
    }
    if !ends_with_blank_line(out) {
        out.extend_from_slice(b"\n\n");
    }
}

/// The last frame of a stream may lack the blank line without which clients drop it.
fn ends_with_blank_line(raw: &[u8]) -> bool {
    let line = raw.strip_suffix(b"\r\n").or_else(|| raw.strip_suffix(b"\n")).or_else(|| raw.strip_suffix(b"\r"));
    line.is_some_and(|line| line.ends_with(b"\n") || line.ends_with(b"\r"))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::sse::Parser;

    #[derive(Deserialize)]
    struct Chunk<'b> {
        #[serde(borrow)]
        model: Option<&'b RawValue>,
        #[serde(borrow)]
        usage: Option<&'b RawValue>,
        #[serde(borrow)]
        error: Option<&'b RawValue>,
        #[serde(default)]
        choices: Vec<Choice>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Choice {
        index: u64,
        text: String,
        finish_reason: String,
    }

    fn read<'b>(text: &'b str, choices: &mut Choices) -> Result<Told<'b>, serde_json::Error> {
        let chunk: Chunk<'b> = serde_json::from_str(text)?;
        for choice in &chunk.choices {
            choices.note(choice.index, !choice.finish_reason.is_empty());
        }
        let has_content = chunk.choices.iter().any(|choice| !choice.text.is_empty());
        let has_choices = !chunk.choices.is_empty();
        let texts = OnlyText::default();
        Ok(Told { model: chunk.model, usage: chunk.usage, error: chunk.error, has_choices, has_content, texts })
    }

    fn peek(include_usage: bool) -> Peek {
        Peek { model: "alias".to_owned(), model_span: 0..0, stream: true, include_usage, stream_options: None }
    }

    struct Run {
        out: String,
        seen: Vec<Seen>,
        end: Result<(), Failure>,
    }

    fn run_cut(stream: &str, include_usage: bool, cut: usize) -> Run {
        let (mut parser, mut forward) = (Parser::new(1 << 20), Stream::new(&peek(include_usage), read));
        let (mut out, mut seen) = (BytesMut::new(), Vec::new());
        let mut end = Ok(());
        let mut take = |frame: Frame| match forward.forward(&frame, &mut out) {
            Ok(told) => seen.push(told),
            Err(failure) => end = Err(failure),
        };
        for piece in [&stream.as_bytes()[..cut], &stream.as_bytes()[cut..]] {
            parser.feed(piece);
            while let Some(frame) = parser.next_frame().unwrap() {
                take(frame);
            }
        }
        if let Some(frame) = parser.finish() {
            take(frame);
        }
        end = end.and_then(|()| forward.finish(&mut out));
        Run { out: String::from_utf8(out.to_vec()).unwrap(), seen, end }
    }

    fn run(stream: &str, include_usage: bool) -> Run {
        run_cut(stream, include_usage, 0)
    }

    const STREAM: &str = concat!(
        ": hello\n\n",
        "data: {\"choices\":[],\"model\":\"\",\"prompt_filter_results\":[]}\n\n",
        "data: {\"id\":\"c\",\"model\" : \"real\",\"choices\":[{\"index\":0,\"text\":\"\"}],\"usage\":null}\n\n",
        "data:{\"id\":\"c\",\"model\":\"real\",\"choices\":[{\"index\":0,\"text\":\"data: [DONE] real \u{2028}é\"}]}\r\n\r\n",
        "data: {\"id\":\"c\",\"model\":\"real\",\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"id\":\"c\",\"model\":\"real\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7}}\n\n",
        "data: [DONE]\n\n",
    );

    #[test]
    fn all_bytes_but_the_model_and_the_hidden_usage_chunk_are_forwarded() {
        let all = run(STREAM, true);
        all.end.unwrap();
        let want = STREAM.replace("\"real\"", "\"alias\"").replace("\"model\":\"\"", "\"model\":\"alias\"");
        assert_eq!(all.out, want.strip_prefix(": hello\n\n").unwrap());
        let hidden = run(STREAM, false);
        assert!(!hidden.out.contains("prompt_tokens"));
        assert!(hidden.out.contains("prompt_filter_results"));
        let content: Vec<bool> = hidden.seen.iter().map(|seen| seen.content).collect();
        assert_eq!(content, [false, false, false, true, false, false, false]);
        let last = hidden.seen.last().unwrap();
        assert!(last.ended);
        assert_eq!(last.usage.map(|usage| usage.total()), Some(12));
    }

    #[test]
    fn a_stream_cut_at_any_byte_is_forwarded_the_same() {
        let whole = run(STREAM, true);
        for cut in 0..STREAM.len() {
            let cut_run = run_cut(STREAM, true, cut);
            assert_eq!(cut_run.out.replace('\r', ""), whole.out.replace('\r', ""), "cut at {cut}");
            assert_eq!(cut_run.seen.last(), whole.seen.last());
        }
    }

    #[test]
    fn a_missing_done_is_added_only_when_every_choice_is_finished() {
        let finished =
            "data: {\"choices\":[{\"index\":1,\"finish_reason\":\"length\"},{\"finish_reason\":\"stop\"}]}\n\n";
        let run_finished = run(finished, false);
        run_finished.end.unwrap();
        assert_eq!(run_finished.out, format!("{finished}data: [DONE]\n\n"));
        let one_open = "data: {\"choices\":[{\"index\":1,\"finish_reason\":\"\"},{\"finish_reason\":\"stop\"}]}\n\n";
        assert_eq!(run(one_open, false).end.unwrap_err().kind, FailureKind::UpstreamStream);
        assert_eq!(run("", false).end.unwrap_err().kind, FailureKind::UpstreamStream);
        assert_eq!(run("data: [DONE]\n\n", false).end.unwrap_err().kind, FailureKind::UpstreamStream);
        assert_eq!(run("data: {\"choices\":[{\"text\"\n\n", false).end.unwrap_err().kind, FailureKind::UpstreamStream);
    }

    #[test]
    fn an_error_chunk_is_told_and_written_as_it_came() {
        let error = "event: error\ndata: {\"error\":{\"message\":\"m\",\"type\":\"rate_limit_error\"},\"model\":\"real\",\"choices\":[{\"text\":\"x\",\"finish_reason\":\"error\"}]}\n\n";
        let run_error = run(error, false);
        assert_eq!(run_error.out, error);
        assert_eq!(run_error.seen[0].failed.as_ref().unwrap().status(), 429);
        assert!(!run_error.seen[0].content);
    }

    #[test]
    fn an_event_of_several_lines_or_without_its_end_stays_an_event() {
        let stream = "data: {\"model\":\"real\",\ndata: \"choices\":[{\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]";
        let run_lines = run(stream, false);
        assert_eq!(
            run_lines.out,
            "data: {\"model\":\"alias\",\ndata: \"choices\":[{\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
        );
        let cut = run("data: {\"model\":\"real\",\"choices\":[{\"finish_reason\":\"stop\"}]}", false);
        assert_eq!(
            cut.out,
            "data: {\"model\":\"alias\",\"choices\":[{\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
        );
    }
}
