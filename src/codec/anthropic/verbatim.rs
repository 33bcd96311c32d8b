//! Forwarding between a client and a provider of this protocol.

use std::ops::Range;
use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode_stream::{cut_short, unreadable};
use super::encode_stream::PING;
use super::error;
use super::response::reported;
use super::usage::Counts;
use super::wire::Str;
use crate::chat::{Failure, FailureKind, PACKED_PREFIX, may_hold_packed};
use crate::codec::heard::finder;
use crate::codec::json::{Edit, Members, check, quote, splice, text_of, unquote};
use crate::codec::write_edited;
use crate::codec::{Forwarded, Heard, KEEPALIVE, Peek, Seen, VerbatimStream};
use crate::sse::{DONE, Frame};

/// Reads what routing must know. `needs_max_tokens`: counting tokens does not.
pub(super) fn peek(body: &Bytes, needs_max_tokens: bool) -> Result<Peek, Failure> {
    let invalid = || Failure::new(FailureKind::InvalidJson, "the body is not a JSON object");
    let text = std::str::from_utf8(body).map_err(|_error| invalid())?;
    let members = Members::read(text).map_err(|_error| invalid())?;
    let model = required(&members, "model")?;
    if members.is_repeated("model") {
        return Err(wrong("model", "stand once"));
    }
    let name = unquote(model).ok_or_else(|| wrong("model", "be a string"))?;
    if !required(&members, "messages")?.starts_with('[') {
        return Err(wrong("messages", "be an array"));
    }
    let is_positive = |value: &str| value.parse::<u64>().is_ok_and(|count| count > 0);
    if needs_max_tokens && !is_positive(required(&members, "max_tokens")?) {
        return Err(wrong("max_tokens", "be a whole number of at least 1"));
    }
    let stream = match said(&members, "stream") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(wrong("stream", "be true or false")),
    };
    Ok(Peek {
        model: name.into_owned(),
        model_span: members.span(model),
        stream,
        include_usage: false,
        stream_options: None,
    })
}

fn said<'b>(members: &Members<'b>, name: &str) -> Option<&'b str> {
    members.get(name).filter(|value| *value != "null")
}

fn required<'b>(members: &Members<'b>, name: &str) -> Result<&'b str, Failure> {
    said(members, name)
        .ok_or_else(|| Failure::new(FailureKind::MissingParameter, format!("`{name}` is required")).with_param(name))
}

fn wrong(name: &str, must: &str) -> Failure {
    Failure::new(FailureKind::InvalidValue, format!("`{name}` must {must}")).with_param(name)
}

/// The body for a provider that calls the model `model`.
pub(super) fn forward_request(body: &Bytes, peek: &Peek, model: &str) -> Bytes {
    let mut edits = Vec::new();
    if peek.model != model {
        edits.push(Edit { span: peek.model_span.clone(), with: quote(model) });
    }
    if may_hold_packed(body)
        && let Ok(text) = std::str::from_utf8(body)
    {
        edits.extend(foreign_reasoning(text).unwrap_or_default());
    }
    if edits.is_empty() {
        return body.clone();
    }
    splice(body, edits)
}

/// Takes out thinking whose state is packed: another protocol's provider made it, and a provider
/// of this one would refuse it. A message that held nothing else goes as a whole.
fn foreign_reasoning(text: &str) -> Option<Vec<Edit>> {
    let members = Members::read(text).ok()?;
    let messages: Vec<&RawValue> = serde_json::from_str(members.get("messages")?).ok()?;
    let mut edits = Vec::new();
    let mut is_kept = Vec::with_capacity(messages.len());
    for message in &messages {
        let blocks = blocks_of(message).unwrap_or_default();
        let kept: Vec<bool> = blocks.iter().map(|block| !is_foreign(block)).collect();
        let is_empty = !kept.is_empty() && !kept.contains(&true);
        is_kept.push(!is_empty);
        if !is_empty {
            take_out(text, &blocks, &kept, &mut edits);
        }
    }
    take_out(text, &messages, &is_kept, &mut edits);
    Some(edits)
}

fn blocks_of(message: &RawValue) -> Option<Vec<&RawValue>> {
    if !may_hold_packed(message.get().as_bytes()) {
        return None;
    }
    serde_json::from_str(Members::read(message.get()).ok()?.get("content")?).ok()
}

fn is_foreign(block: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Thinking<'b> {
        #[serde(borrow, rename = "type")]
        kind: Str<'b>,
        #[serde(borrow)]
        signature: Option<Str<'b>>,
        #[serde(borrow)]
        data: Option<Str<'b>>,
    }
    let Ok(block) = serde_json::from_str::<Thinking<'_>>(block.get()) else {
        return false;
    };
    let state = match &*block.kind.0 {
        "thinking" => block.signature,
        "redacted_thinking" => block.data,
        _ => None,
    };
    state.is_some_and(|state| state.0.starts_with(PACKED_PREFIX))
}

/// Takes elements of an array out of `text`, each with one comma.
fn take_out(text: &str, elements: &[&RawValue], kept: &[bool], edits: &mut Vec<Edit>) {
    let start = |value: &RawValue| value.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
    let end = |value: &RawValue| start(value).saturating_add(value.get().len());
    let mut cut = |span: Range<usize>| edits.push(Edit { span, with: Vec::new() });
    let (Some(first), Some(last)) = (elements.first(), elements.last()) else {
        return;
    };
    let Some((last_index, last_kept)) = elements.iter().enumerate().rfind(|(index, _)| kept.get(*index) == Some(&true))
    else {
        return cut(start(first)..end(last));
    };
    let pairs = elements.iter().zip(elements.iter().skip(1)).take(last_index);
    for ((element, next), is_kept) in pairs.zip(kept) {
        if !is_kept {
            cut(start(element)..start(next));
        }
    }
    if last_index + 1 < elements.len() {
        cut(end(last_kept)..end(last));
    }
}

/// A whole answer for a client that calls the model `model`.
pub(super) fn forward_response(body: &Bytes, model: &str) -> Result<Forwarded, Failure> {
    let unusable =
        |why: &str| Failure::new(FailureKind::UpstreamInvalidResponse, format!("the provider's answer {why}"));
    let text = std::str::from_utf8(body).map_err(|_error| unusable("is not UTF-8"))?;
    let members = Members::read(text).map_err(|_error| unusable("is not a JSON object"))?;
    if !said(&members, "content").is_some_and(|content| content.starts_with('[')) {
        return Err(reported(body).unwrap_or_else(|| unusable("has no content")));
    }
    if said(&members, "type").and_then(unquote).is_some_and(|kind| kind != "message") {
        return Err(reported(body).unwrap_or_else(|| unusable("is not a message")));
    }
    let usage = said(&members, "usage").and_then(|usage| Counts::read(usage).usage());
    let body = match members.get("model") {
        Some(value) => splice(body, vec![Edit { span: members.span(value), with: quote(model) }]),
        None => body.clone(),
    };
    Ok(Forwarded { body, usage })
}

/// Forwards one stream.
pub(super) struct Stream {
    model: Vec<u8>,
    counts: Counts,
    has_content: bool,
    is_over: bool,
    /// Whether the last frame was closed by its blank line.
    is_closed: bool,
    request_id: String,
    heard: Heard,
}

/// Where an event holds a piece of a block, and a block as it begins.
static DELTA: LazyLock<Finder<'_>> = LazyLock::new(|| finder("\"delta\""));
static BLOCK: LazyLock<Finder<'_>> = LazyLock::new(|| finder("\"content_block\""));

/// An event's members, as far as forwarding must know them.
#[derive(Debug, Deserialize)]
struct Event<'b> {
    #[serde(borrow, rename = "type")]
    kind: Option<Str<'b>>,
    #[serde(borrow)]
    message: Option<&'b RawValue>,
    #[serde(borrow)]
    content_block: Option<&'b RawValue>,
    #[serde(borrow)]
    delta: Option<&'b RawValue>,
    #[serde(borrow)]
    usage: Option<&'b RawValue>,
    #[serde(borrow)]
    error: Option<&'b RawValue>,
}

/// Where text may stand in a block or a piece of one.
#[derive(Debug, Deserialize)]
struct Content<'b> {
    #[serde(borrow, rename = "type")]
    kind: Option<Str<'b>>,
    #[serde(borrow)]
    text: Option<Str<'b>>,
    #[serde(borrow)]
    thinking: Option<Str<'b>>,
    #[serde(borrow)]
    partial_json: Option<Str<'b>>,
}

impl Stream {
    pub(super) fn new(model: &str, request_id: &str) -> Self {
        let (model, request_id) = (quote(model), request_id.to_owned());
        Self {
            model,
            counts: Counts::default(),
            has_content: false,
            is_over: false,
            is_closed: true,
            request_id,
            heard: Heard::json(),
        }
    }

    /// Keeps what an event says, for which it need not be read.
    fn hear(&mut self, frame: &Frame, data: &[u8]) {
        let is_text = |name: &[u8]| matches!(name, b"text" | b"thinking" | b"partial_json" | b"name");
        match &*frame.event {
            b"content_block_delta" | b"" => self.heard.hear_member(data, &DELTA, is_text),
            b"content_block_start" => self.heard.hear_member(data, &BLOCK, is_text),
            _ => {}
        }
    }

    /// Whether nothing that a frame may tell matters any more: the content has begun, and words
    /// that every other event of interest holds are not there. Text may hold them too; such a
    /// frame is read for nothing. That it can be read at all is checked in any case.
    fn can_skip(&self, data: &[u8]) -> bool {
        const TELLING: [&[u8]; 3] = [b"message_", b"error", b"\\u"];
        self.has_content && !TELLING.iter().any(|word| memmem::find(data, word).is_some())
    }

    fn start(&mut self, frame: &Frame, message: &RawValue, out: &mut BytesMut) -> Result<(), serde_json::Error> {
        let members = Members::read(message.get())?;
        if let Some(usage) = said(&members, "usage") {
            self.counts.update(Counts::read(usage));
        }
        let model = members.get("model").zip(frame.data.as_ref());
        match model {
            Some((model, data)) => {
                let at = message.get().as_ptr().addr().saturating_sub(data.as_ptr().addr());
                let span = members.span(model);
                let edit = Edit { span: at + span.start..at + span.end, with: self.model.clone() };
                write_edited(frame, data, edit, out);
            }
            None => out.extend_from_slice(&frame.raw),
        }
        Ok(())
    }

    fn read(&mut self, frame: &Frame, text: &str, out: &mut BytesMut) -> Result<Seen, serde_json::Error> {
        let event: Event<'_> = serde_json::from_str(text)?;
        let name = String::from_utf8_lossy(&frame.event);
        let kind = event.kind.as_ref().map_or(&*name, |kind| &*kind.0);
        let mut seen = Seen::default();
        match (kind, event.message) {
            ("message_start", Some(message)) => {
                self.start(frame, message, out)?;
                seen.usage = self.counts.usage();
                return Ok(seen);
            }
            ("content_block_start", _) => seen.content = event.content_block.is_some_and(is_content),
            ("content_block_delta", _) => seen.content = event.delta.is_some_and(is_content),
            ("message_delta", _) => {
                self.counts.update(event.usage.map(|usage| Counts::read(usage.get())).unwrap_or_default());
                seen.usage = self.counts.usage();
            }
            ("message_stop", _) => {
                seen.ended = true;
                seen.usage = self.counts.usage();
                self.is_over = true;
            }
            _ if kind == "error" || (event.kind.is_none() && event.error.is_some()) => {
                seen.failed = Some(error::in_band(&serde_json::from_str(text)?, FailureKind::UpstreamStream));
                self.is_over = true;
            }
            _ => {}
        }
        self.has_content |= seen.content;
        out.extend_from_slice(&frame.raw);
        Ok(seen)
    }
}

impl VerbatimStream for Stream {
    fn forward(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<Seen, Failure> {
        self.is_closed = [&b"\n\n"[..], b"\r\r", b"\n\r\n", b"\n\r"].iter().any(|end| frame.raw.ends_with(end));
        match &frame.data {
            Some(data) if !data.is_empty() && data != DONE => {
                let text = text_of(data).map_err(|problem| unreadable(&problem))?;
                self.hear(frame, data);
                if self.can_skip(data) {
                    check(text).map_err(|problem| unreadable(&problem))?;
                    out.extend_from_slice(&frame.raw);
                    return Ok(Seen::default());
                }
                self.read(frame, text, out).map_err(|problem| unreadable(&problem))
            }
            _ => {
                out.extend_from_slice(&frame.raw);
                Ok(Seen::default())
            }
        }
    }

    fn finish(&mut self, out: &mut BytesMut) -> Result<(), Failure> {
        if !self.is_closed {
            out.extend_from_slice(b"\n\n");
            self.is_closed = true;
        }
        if self.is_over { Ok(()) } else { Err(cut_short()) }
    }

    fn fail(&mut self, failure: &Failure, out: &mut BytesMut) {
        out.extend_from_slice(b"event: error\ndata: ");
        out.extend_from_slice(&super::error::encode(failure, &self.request_id));
        out.extend_from_slice(b"\n\n");
        self.is_over = true;
    }

    fn keepalive(&self) -> &'static [u8] {
        if self.has_content && !self.is_over { PING } else { KEEPALIVE }
    }

    fn said(&self) -> Heard {
        self.heard.clone()
    }
}

/// Whether a block or a piece holds a content token.
fn is_content(value: &RawValue) -> bool {
    let Ok(content) = serde_json::from_str::<Content<'_>>(value.get()) else {
        return false;
    };
    let is_call = content.kind.is_some_and(|kind| kind.0 == "tool_use" || kind.0.ends_with("_tool_use"));
    is_call || [content.text, content.thinking, content.partial_json].iter().flatten().any(|text| !text.0.is_empty())
}

#[cfg(test)]
mod tests;
