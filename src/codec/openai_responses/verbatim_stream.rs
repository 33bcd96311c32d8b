//! Forwarding a stream between two ends that both speak Responses.

use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode_stream::unreadable;
use super::error::{in_stream, nameless};
use super::verbatim::model_edit;
use super::wire::{Text, usage};
use crate::chat::{Failure, FailureKind};
use crate::codec::heard::finder;
use crate::codec::json::{Edit, Members, check, splice, text_of};
use crate::codec::write_edited;
use crate::codec::{Heard, Seen, VerbatimStream};
use crate::sse::{DONE, Frame};

/// What may matter of an event.
#[derive(Deserialize)]
struct Event<'b> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'b>>,
    #[serde(borrow)]
    delta: Option<&'b RawValue>,
    #[serde(borrow)]
    text: Option<&'b RawValue>,
    #[serde(borrow)]
    refusal: Option<&'b RawValue>,
    #[serde(borrow)]
    arguments: Option<&'b RawValue>,
    #[serde(borrow)]
    input: Option<&'b RawValue>,
    #[serde(borrow)]
    item: Option<&'b RawValue>,
    #[serde(borrow)]
    response: Option<&'b RawValue>,
    #[serde(borrow)]
    error: Option<&'b RawValue>,
}

/// How far the stream has counted.
#[derive(Deserialize)]
struct Numbered {
    sequence_number: Option<u64>,
}

#[derive(Deserialize)]
struct Call<'b> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'b>>,
    #[serde(borrow)]
    name: Option<Text<'b>>,
}

/// Forwards one answer.
pub(super) struct Forwarder {
    /// The client's name for the model.
    model: String,
    has_content: bool,
    is_over: bool,
    /// What `fail` needs: the data last forwarded, the response as it was created, the items
    /// that are complete. Slices of what came, not copies.
    last: Bytes,
    created: Option<Bytes>,
    items: Vec<Bytes>,
    heard: Heard,
}

/// Where an event holds a piece of an item, and an item as it begins.
static DELTA: LazyLock<Finder<'_>> = LazyLock::new(|| finder("\"delta\""));
static ITEM: LazyLock<Finder<'_>> = LazyLock::new(|| finder("\"item\""));

impl Forwarder {
    pub(super) fn new(model: String) -> Self {
        Self {
            model,
            has_content: false,
            is_over: false,
            last: Bytes::new(),
            created: None,
            items: Vec::new(),
            heard: Heard::json(),
        }
    }

    /// Keeps what an event says, for which it need not be read.
    fn hear(&mut self, frame: &Frame, data: &[u8]) {
        match &*frame.event {
            b"response.output_item.added" => self.heard.hear_member(data, &ITEM, |name| name == b"name"),
            b"response.audio.delta" => {}
            event if event.is_empty() || event.ends_with(b".delta") => {
                self.heard.hear_member(data, &DELTA, |_| false);
            }
            _ => {}
        }
    }

    /// Whether an event may hold more than another piece of content. Within a text the quotes
    /// would be escaped, so these words are found where they are a key or a type, or not at all.
    fn may_matter(&self, data: &[u8]) -> bool {
        let has = |word: &[u8]| memmem::find(data, word).is_some();
        !self.has_content || has(b"\"response\"") || has(b"\"error\"") || has(b"\"response.output_item.done\"")
    }

    fn read(&mut self, event: &Event<'_>, frame: &Frame) -> Seen {
        let name = String::from_utf8_lossy(&frame.event);
        let kind = event.kind.as_ref().map_or(name.as_ref(), |kind| kind.0.as_ref());
        let mut seen = Seen { content: is_content(event, kind), ..Seen::default() };
        self.has_content |= seen.content;
        let response = event.response.and_then(|raw| Members::read(raw.get()).ok());
        seen.usage = response.as_ref().and_then(|response| usage(response.get("usage")?));
        seen.ended = matches!(kind, "response.completed" | "response.incomplete");
        if kind == "response.failed" {
            let error = response.as_ref().and_then(|response| response.get("error"));
            seen.failed = Some(error.map_or_else(nameless, in_stream));
        } else if kind == "error" || (event.error.is_some() && event.response.is_none()) {
            let whole = frame.data.as_ref().and_then(|data| serde_json::from_slice::<&RawValue>(data).ok());
            seen.failed = Some(event.error.or(whole).map_or_else(nameless, |error| in_stream(error.get())));
        }
        self.is_over |= seen.ended || seen.failed.is_some();
        self.remember(event, kind, frame);
        seen
    }

    fn remember(&mut self, event: &Event<'_>, kind: &str, frame: &Frame) {
        let Some(data) = &frame.data else { return };
        let keep = |raw: &RawValue| data.slice_ref(raw.get().as_bytes());
        match kind {
            "response.created" => self.created = event.response.map(keep),
            "response.output_item.done" => self.items.extend(event.item.map(keep)),
            _ => {}
        }
    }

    /// The response that began, as failed, with the items that are complete.
    fn failed_response(&self, failure: &Failure) -> Option<Bytes> {
        let text = std::str::from_utf8(self.created.as_ref()?).ok()?;
        let members = Members::read(text).ok()?;
        let error = serde_json::json!({"code": "server_error", "message": failure.message});
        let output = self.items.iter().map(|item| String::from_utf8_lossy(item)).collect::<Vec<_>>().join(",");
        let model = model_edit(&members, members.get("model")?, &self.model);
        let edit = |name: &str, with: String| {
            members.get(name).map(|value| Edit { span: members.span(value), with: with.into_bytes() })
        };
        let edits = [
            edit("status", "\"failed\"".to_owned()),
            edit("error", error.to_string()),
            edit("output", format!("[{output}]")),
            model,
        ];
        Some(splice(text.as_bytes(), edits.into_iter().flatten().collect()))
    }

    /// What puts the client's name for the model into the data.
    fn renaming(&self, response: &RawValue, data: &[u8]) -> Option<Edit> {
        let members = Members::read(response.get()).ok()?;
        let mut edit = model_edit(&members, members.get("model")?, &self.model)?;
        // The span is one of the response's text, which is a part of the event's.
        shift(&mut edit, response.get().as_ptr().addr().saturating_sub(data.as_ptr().addr()));
        Some(edit)
    }
}

impl VerbatimStream for Forwarder {
    fn forward(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<Seen, Failure> {
        let Some(data) = frame.data.as_ref().filter(|data| *data != DONE && !data.is_empty()) else {
            out.extend_from_slice(&frame.raw);
            return Ok(Seen::default());
        };
        let text = text_of(data).map_err(|error| unreadable(&error))?;
        self.hear(frame, data);
        if !self.may_matter(data) {
            check(text).map_err(|error| unreadable(&error))?;
            self.last = data.clone();
            out.extend_from_slice(&frame.raw);
            return Ok(Seen::default());
        }
        let event: Event<'_> = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
        self.last = data.clone();
        match event.response.and_then(|response| self.renaming(response, data)) {
            Some(edit) => write_edited(frame, data, edit, out),
            None => out.extend_from_slice(&frame.raw),
        }
        Ok(self.read(&event, frame))
    }

    fn fail(&mut self, failure: &Failure, out: &mut BytesMut) {
        let numbered: Option<Numbered> = serde_json::from_slice(&self.last).ok();
        let mut sequence_number = numbered.and_then(|event| event.sequence_number).map_or(0, |number| number + 1);
        let error = serde_json::json!({
            "type": "error", "sequence_number": sequence_number, "code": failure.code(),
            "message": failure.message, "param": null,
        });
        out.extend_from_slice(format!("event: error\ndata: {error}\n\n").as_bytes());
        if let Some(response) = self.failed_response(failure) {
            sequence_number += 1;
            let head = format!("{{\"type\":\"response.failed\",\"sequence_number\":{sequence_number},\"response\":");
            out.extend_from_slice(format!("event: response.failed\ndata: {head}").as_bytes());
            out.extend_from_slice(&response);
            out.extend_from_slice(b"}\n\n");
        }
        self.is_over = true;
    }

    fn finish(&mut self, _out: &mut BytesMut) -> Result<(), Failure> {
        if self.is_over {
            return Ok(());
        }
        Err(Failure::new(FailureKind::UpstreamStream, "the provider's stream ended without its terminal event"))
    }

    fn said(&self) -> Heard {
        self.heard.clone()
    }
}

fn is_content(event: &Event<'_>, kind: &str) -> bool {
    let is_said = |raw: Option<&RawValue>| raw.is_some_and(|raw| !matches!(raw.get(), "\"\"" | "null"));
    if kind == "response.output_item.added" || kind == "response.output_item.done" {
        let item = event.item.and_then(|raw| serde_json::from_str::<Call<'_>>(raw.get()).ok());
        return item.is_some_and(|item| {
            let is_call = item.kind.is_some_and(|kind| matches!(kind.0.as_ref(), "function_call" | "custom_tool_call"));
            is_call && item.name.is_some_and(|name| !name.0.is_empty())
        });
    }
    let whole = [event.text, event.refusal, event.arguments, event.input];
    kind.ends_with(".delta") && is_said(event.delta) || kind.ends_with(".done") && whole.into_iter().any(is_said)
}

fn shift(edit: &mut Edit, by: usize) {
    edit.span = edit.span.start.saturating_add(by)..edit.span.end.saturating_add(by);
}
