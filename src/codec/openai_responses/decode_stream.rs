//! A provider's streamed answer → chat.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{in_stream, nameless};
use super::stream_items::{Items, Words};
use super::wire::{Item, Part, Response, Text, citation, text_of};
use crate::chat::{ChatEvent, Failure, FailureKind};
use crate::codec::StreamDecoder;
use crate::sse::{DONE, Frame};

/// Any event. Values are read only where the event's type says what they are.
#[derive(Deserialize)]
struct Event<'b> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'b>>,
    #[serde(borrow)]
    output_index: Option<&'b RawValue>,
    #[serde(borrow)]
    content_index: Option<&'b RawValue>,
    #[serde(borrow)]
    summary_index: Option<&'b RawValue>,
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
    part: Option<&'b RawValue>,
    #[serde(borrow)]
    annotation: Option<&'b RawValue>,
    #[serde(borrow)]
    response: Option<&'b RawValue>,
    #[serde(borrow)]
    error: Option<&'b RawValue>,
}

/// Reads the events of one answer.
pub(super) struct Decoder {
    items: Items,
    is_started: bool,
    is_over: bool,
}

impl Decoder {
    pub(super) fn new(provider: &str) -> Self {
        Self { items: Items::new(provider), is_started: false, is_over: false }
    }

    fn start(&mut self, id: Option<String>, out: &mut VecDeque<ChatEvent>) {
        if !self.is_started {
            self.is_started = true;
            out.push_back(ChatEvent::Started { id, usage: None });
        }
    }

    fn fail(&mut self, failure: Failure, out: &mut VecDeque<ChatEvent>) {
        self.is_over = true;
        out.push_back(ChatEvent::Failed(failure));
    }

    fn event(&mut self, event: &Event<'_>, kind: &str, out: &mut VecDeque<ChatEvent>) -> Result<(), serde_json::Error> {
        match kind {
            "response.created" | "response.in_progress" | "response.queued" => {
                let response = event.response.map(read_response).transpose()?;
                let id = response.and_then(|response| response.id).map(Text::into_string);
                self.start(id.filter(|id| !id.is_empty()), out);
                return Ok(());
            }
            "response.completed" | "response.incomplete" | "response.failed" => {
                self.start(None, out);
                return self.terminal(event, kind, out);
            }
            _ if kind.starts_with("response.") => self.start(None, out),
            _ => return Ok(()),
        }
        self.growth(event, kind, out)
    }

    /// What adds to the answer.
    fn growth(
        &mut self,
        event: &Event<'_>,
        kind: &str,
        out: &mut VecDeque<ChatEvent>,
    ) -> Result<(), serde_json::Error> {
        let at = index(event.output_index);
        let place = (at, index(event.content_index).unwrap_or_default());
        let delta = || event.delta.map(text_of).unwrap_or_default();
        let whole = |raw: Option<&RawValue>| raw.map(text_of).unwrap_or_default();
        match kind {
            "response.output_text.delta" => self.items.part_delta(place, false, delta(), out),
            "response.refusal.delta" => self.items.part_delta(place, true, delta(), out),
            "response.output_text.done" => self.items.part_text(place, false, whole(event.text), out),
            "response.refusal.done" => self.items.part_text(place, true, whole(event.refusal), out),
            "response.content_part.done" => {
                if let Some(part) = event.part.map(Part::read).transpose()?.flatten() {
                    self.items.part_done(place, part, out);
                }
            }
            "response.output_text.annotation.added" => {
                if let Some(citation) = event.annotation.and_then(citation) {
                    self.items.cite(place, citation, out);
                }
            }
            "response.reasoning_summary_text.delta" => {
                self.items.reason(at, Words::Summary(index(event.summary_index).unwrap_or_default()), delta(), out);
            }
            "response.reasoning_text.delta" => self.items.reason(at, Words::Content, delta(), out),
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.items.arguments(at, delta(), out);
            }
            "response.function_call_arguments.done" => self.items.all_arguments(at, whole(event.arguments), out),
            "response.custom_tool_call_input.done" => self.items.all_arguments(at, whole(event.input), out),
            "response.output_item.added" => {
                if let Some(item) = event.item.map(Item::read).transpose()? {
                    self.items.added(at, item, out);
                }
            }
            "response.output_item.done" => {
                if let Some(item) = event.item.map(Item::read).transpose()? {
                    self.items.done(at, item, out);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn terminal(
        &mut self,
        event: &Event<'_>,
        kind: &str,
        out: &mut VecDeque<ChatEvent>,
    ) -> Result<(), serde_json::Error> {
        let Some(mut response) = event.response.map(read_response).transpose()? else {
            let failure = Failure::new(FailureKind::UpstreamStream, format!("`{kind}` without a response"));
            self.fail(failure, out);
            return Ok(());
        };
        let is_failed = response.status.as_ref().is_some_and(|status| status.0 == "failed");
        if is_failed || kind == "response.failed" {
            self.fail(response.error.map_or_else(nameless, |error| in_stream(error.get())), out);
            return Ok(());
        }
        if kind == "response.incomplete" {
            response.status = Some(Text("incomplete".into()));
        }
        let output = response.output.take().unwrap_or_default();
        let output: Result<Vec<Item>, _> = output.into_iter().map(Item::read).collect();
        self.items.complete(output?, out);
        self.is_over = true;
        out.push_back(ChatEvent::Finished {
            reason: response.finish(self.items.has_calls, self.items.has_refusal),
            usage: response.usage(),
            service_tier: response.service_tier.map(Text::into_string),
        });
        Ok(())
    }
}

impl StreamDecoder for Decoder {
    fn decode(&mut self, frame: &Frame, out: &mut VecDeque<ChatEvent>) -> Result<(), Failure> {
        let Some(data) = frame.data.as_ref().filter(|data| !data.is_empty() && *data != DONE) else {
            return Ok(());
        };
        if self.is_over {
            return Ok(());
        }
        let event: Event<'_> = serde_json::from_slice(data).map_err(|error| unreadable(&error))?;
        let name = String::from_utf8_lossy(&frame.event);
        let kind = event.kind.as_ref().map_or(name.as_ref(), |kind| kind.0.as_ref());
        if kind == "error" || (event.error.is_some() && event.response.is_none()) {
            // The error stands in a field of its own, or the event itself is the error.
            let failure = match event.error {
                Some(error) => in_stream(error.get()),
                None => in_stream(crate::codec::json::text_of(data).map_err(|error| unreadable(&error))?),
            };
            self.fail(failure, out);
            return Ok(());
        }
        self.event(&event, kind, out).map_err(|error| unreadable(&error))
    }

    fn finish(&mut self, _out: &mut VecDeque<ChatEvent>) -> Result<(), Failure> {
        if self.is_over {
            return Ok(());
        }
        Err(Failure::new(FailureKind::UpstreamStream, "the provider's stream ended without its terminal event"))
    }
}

pub(super) fn unreadable(error: &serde_json::Error) -> Failure {
    Failure::new(FailureKind::UpstreamStream, format!("an event of the provider's stream cannot be read: {error}"))
}

fn read_response(raw: &RawValue) -> Result<Response<'_>, serde_json::Error> {
    serde_json::from_str(raw.get())
}

fn index(raw: Option<&RawValue>) -> Option<u64> {
    serde_json::from_str(raw?.get()).ok()
}
