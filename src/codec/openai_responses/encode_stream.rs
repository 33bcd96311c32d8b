//! Chat → a streamed answer for a client.

use bytes::{BufMut as _, BytesMut};
use serde::Serialize;

use super::encode_response::arguments;
use super::output::{Annotation, Item, Part, Response, State, Status, Summary, ending, made_id};
use crate::chat::{BlockKind, ChatEvent, Citation, Delta, Failure, FinishReason, Usage};
use crate::codec::{Exchange, StreamEncoder};

/// Any event; each has the fields that its type needs.
#[derive(Default, Serialize)]
struct Event<'e> {
    #[serde(rename = "type")]
    kind: &'static str,
    sequence_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_id: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotation_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<[(); 0]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'e str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotation: Option<&'e Annotation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<AnyPart<'e>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<&'e Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Response<'e>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum AnyPart<'e> {
    Content(&'e Part),
    Summary(&'e Summary),
}

#[derive(Serialize)]
struct ErrorEvent<'e> {
    #[serde(rename = "type")]
    kind: &'static str,
    sequence_number: u64,
    code: Option<&'e str>,
    message: &'e str,
    param: Option<&'e str>,
}

/// How an answer that is sent ended.
struct End<'e> {
    kind: &'static str,
    status: Status,
    usage: Option<&'e Usage>,
    service_tier: Option<&'e str>,
    reason: Option<&'static str>,
    error: Option<&'e str>,
}

/// Writes one answer.
pub(super) struct Encoder {
    exchange: Exchange,
    id: String,
    sequence_number: u64,
    /// All items so far; the last may be open.
    output: Vec<Item>,
    is_item_open: bool,
    is_started: bool,
    is_over: bool,
}

impl Encoder {
    pub(super) fn new(exchange: &Exchange) -> Self {
        Self {
            exchange: exchange.clone(),
            id: made_id("resp_"),
            sequence_number: 0,
            output: Vec::new(),
            is_item_open: false,
            is_started: false,
            is_over: false,
        }
    }

    fn start(&mut self, out: &mut BytesMut) {
        if self.is_started {
            return;
        }
        self.is_started = true;
        for kind in ["response.created", "response.in_progress"] {
            self.respond(
                &End { kind, status: Status::InProgress, usage: None, service_tier: None, reason: None, error: None },
                out,
            );
        }
    }

    /// An event with the whole response object.
    fn respond(&mut self, end: &End<'_>, out: &mut BytesMut) {
        let state = State {
            id: &self.id,
            status: end.status,
            output: &self.output,
            usage: end.usage,
            service_tier: end.service_tier,
            reason: end.reason,
            error: end.error,
        };
        let response = Some(Response::new(&self.exchange, state));
        let event = Event { kind: end.kind, sequence_number: self.sequence_number, response, ..Event::default() };
        write(end.kind, &event, out);
        self.sequence_number += 1;
    }

    /// An event about the last item, filled in by `with`.
    fn tell<'e>(&'e mut self, kind: &'static str, out: &mut BytesMut, with: impl FnOnce(&mut Event<'e>, &'e Item)) {
        let sequence_number = self.sequence_number;
        self.sequence_number += 1;
        let Some(item) = self.output.last() else {
            return;
        };
        let output_index = self.output.len().checked_sub(1);
        let mut event = Event { kind, sequence_number, item_id: Some(item.id()), output_index, ..Event::default() };
        with(&mut event, item);
        write(kind, &event, out);
    }

    /// An event about the last part of the last item, which is a message.
    fn tell_part<'e>(
        &'e mut self,
        kind: &'static str,
        out: &mut BytesMut,
        with: impl FnOnce(&mut Event<'e>, &'e Part),
    ) {
        self.tell(kind, out, |event, item| {
            if let Item::Message { content, .. } = item {
                event.content_index = content.len().checked_sub(1);
                if let Some(part) = content.last() {
                    with(event, part);
                }
            }
        });
    }

    /// An event that has the whole item and no id beside it.
    fn tell_item(&mut self, kind: &'static str, out: &mut BytesMut) {
        self.tell(kind, out, |event, item| {
            event.item_id = None;
            event.item = Some(item);
        });
    }

    fn open(&mut self, item: Item, out: &mut BytesMut) {
        self.close(Status::Completed, out);
        self.output.push(item);
        self.is_item_open = true;
        self.tell_item("response.output_item.added", out);
    }

    fn close(&mut self, status: Status, out: &mut BytesMut) {
        if !std::mem::take(&mut self.is_item_open) {
            return;
        }
        if let Some(item) = self.output.last_mut() {
            item.close(status);
        }
        self.tell_item("response.output_item.done", out);
    }

    fn begin(&mut self, kind: &BlockKind, out: &mut BytesMut) {
        match kind {
            BlockKind::Text => self.begin_part(Part::text(String::new(), Vec::new()), out),
            BlockKind::Refusal => self.begin_part(Part::Refusal { refusal: String::new() }, out),
            // Reasoning that turns out to be empty or hidden leaves no item behind.
            BlockKind::Reasoning => self.close(Status::Completed, out),
            BlockKind::ToolCall { id, name, custom } => {
                self.open(Item::call(id.clone(), name.clone(), String::new(), *custom), out);
            }
        }
    }

    /// Texts that follow each other are parts of one message.
    fn begin_part(&mut self, part: Part, out: &mut BytesMut) {
        if !self.is_item_open || !matches!(self.output.last(), Some(Item::Message { .. })) {
            self.open(Item::message(Vec::new()), out);
        }
        if let Some(Item::Message { content, .. }) = self.output.last_mut() {
            content.push(part);
        }
        self.tell_part("response.content_part.added", out, |event, part| event.part = Some(AnyPart::Content(part)));
    }

    fn grow(&mut self, delta: &Delta, out: &mut BytesMut) {
        match delta {
            Delta::Text(piece) => self.grow_text(piece, out),
            Delta::Arguments(piece) => self.grow_arguments(piece, out),
            Delta::Citation(citation) => self.cite(citation, out),
            Delta::Opaque(opaque) if self.exchange.client.wants_encrypted_reasoning => {
                let packed = opaque.pack();
                self.open_reasoning(out);
                if let Some(Item::Reasoning { encrypted_content, .. }) = self.output.last_mut() {
                    *encrypted_content = Some(packed);
                }
            }
            Delta::Opaque(_) => {}
        }
    }

    fn open_reasoning(&mut self, out: &mut BytesMut) {
        if !self.is_item_open {
            self.open(Item::reasoning(String::new(), None), out);
        }
    }

    fn grow_text(&mut self, piece: &str, out: &mut BytesMut) {
        let Some(Item::Message { content, .. }) = self.output.last_mut().filter(|_| self.is_item_open) else {
            self.grow_reasoning(piece, out);
            return;
        };
        let kind = match content.last_mut() {
            Some(Part::OutputText { text, .. }) => {
                text.push_str(piece);
                "response.output_text.delta"
            }
            Some(Part::Refusal { refusal }) => {
                refusal.push_str(piece);
                "response.refusal.delta"
            }
            None => return,
        };
        self.tell_part(kind, out, |event, part| {
            event.logprobs = matches!(part, Part::OutputText { .. }).then_some([]);
            event.delta = Some(piece);
        });
    }

    fn grow_reasoning(&mut self, piece: &str, out: &mut BytesMut) {
        self.open_reasoning(out);
        let Some(Item::Reasoning { summary, .. }) = self.output.last_mut() else {
            return;
        };
        if summary.is_empty() {
            summary.push(Summary { text: String::new() });
            self.tell_summary("response.reasoning_summary_part.added", out, |event, summary| {
                event.part = Some(AnyPart::Summary(summary));
            });
        }
        if let Some(Item::Reasoning { summary, .. }) = self.output.last_mut()
            && let Some(summary) = summary.last_mut()
        {
            summary.text.push_str(piece);
        }
        self.tell_summary("response.reasoning_summary_text.delta", out, |event, _| event.delta = Some(piece));
    }

    fn tell_summary<'e>(
        &'e mut self,
        kind: &'static str,
        out: &mut BytesMut,
        with: impl FnOnce(&mut Event<'e>, &'e Summary),
    ) {
        self.tell(kind, out, |event, item| {
            if let Item::Reasoning { summary, .. } = item {
                event.summary_index = Some(0);
                if let Some(summary) = summary.last() {
                    with(event, summary);
                }
            }
        });
    }

    fn grow_arguments(&mut self, piece: &str, out: &mut BytesMut) {
        let (kind, all) = match self.output.last_mut() {
            Some(Item::FunctionCall { arguments, .. }) => ("response.function_call_arguments.delta", arguments),
            Some(Item::CustomToolCall { input, .. }) => ("response.custom_tool_call_input.delta", input),
            _ => return,
        };
        all.push_str(piece);
        self.tell(kind, out, |event, _| event.delta = Some(piece));
    }

    fn cite(&mut self, citation: &Citation, out: &mut BytesMut) {
        let Some(Item::Message { content, .. }) = self.output.last_mut() else {
            return;
        };
        let Some(Part::OutputText { text, annotations, .. }) = content.last_mut() else {
            return;
        };
        annotations.push(Annotation::new(citation, text));
        self.tell_part("response.output_text.annotation.added", out, |event, part| {
            if let Part::OutputText { annotations, .. } = part {
                event.annotation_index = annotations.len().checked_sub(1);
                event.annotation = annotations.last();
            }
        });
    }

    /// A block is complete; its item stays open, for its status depends on what comes next.
    fn end_block(&mut self, out: &mut BytesMut) {
        if !self.is_item_open {
            return;
        }
        match self.output.last() {
            Some(Item::Message { content, .. }) => {
                let is_text = matches!(content.last(), Some(Part::OutputText { .. }));
                self.tell_part(if is_text { "response.output_text.done" } else { "response.refusal.done" }, out, whole);
                self.tell_part("response.content_part.done", out, |event, part| {
                    event.part = Some(AnyPart::Content(part));
                });
            }
            Some(Item::Reasoning { summary, .. }) if !summary.is_empty() => {
                self.tell_summary("response.reasoning_summary_text.done", out, |event, summary| {
                    event.text = Some(&summary.text);
                });
                self.tell_summary("response.reasoning_summary_part.done", out, |event, summary| {
                    event.part = Some(AnyPart::Summary(summary));
                });
            }
            Some(Item::FunctionCall { arguments: all, .. }) => {
                if all.is_empty() {
                    self.grow_arguments(arguments("", false), out);
                }
                self.tell("response.function_call_arguments.done", out, |event, item| {
                    if let Item::FunctionCall { name, arguments, .. } = item {
                        event.name = Some(name);
                        event.arguments = Some(arguments);
                    }
                });
            }
            Some(Item::CustomToolCall { .. }) => {
                self.tell("response.custom_tool_call_input.done", out, |event, item| {
                    if let Item::CustomToolCall { input, .. } = item {
                        event.input = Some(input);
                    }
                });
            }
            Some(Item::Reasoning { .. }) | None => {}
        }
    }

    fn finish(&mut self, finish: &FinishReason, usage: Option<&Usage>, tier: Option<&str>, out: &mut BytesMut) {
        let (status, reason) = ending(finish, &self.output);
        self.close(status, out);
        self.is_over = true;
        let kind = if status == Status::Completed { "response.completed" } else { "response.incomplete" };
        self.respond(&End { kind, status, usage, service_tier: tier, reason, error: None }, out);
    }
}

impl StreamEncoder for Encoder {
    fn encode(&mut self, event: &ChatEvent, out: &mut BytesMut) {
        if self.is_over {
            return;
        }
        match event {
            ChatEvent::Started { .. } => self.start(out),
            ChatEvent::BlockStarted { kind, .. } => self.begin(kind, out),
            ChatEvent::Delta { delta, .. } => self.grow(delta, out),
            ChatEvent::BlockEnded { .. } => self.end_block(out),
            ChatEvent::Finished { reason, usage, service_tier } => {
                self.start(out);
                self.finish(reason, usage.as_ref(), service_tier.as_deref(), out);
            }
            ChatEvent::Failed(failure) => self.fail(failure, out),
            ChatEvent::Ping => {}
        }
    }

    fn fail(&mut self, failure: &Failure, out: &mut BytesMut) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let event = ErrorEvent {
            kind: "error",
            sequence_number: self.sequence_number,
            code: failure.code(),
            message: &failure.message,
            param: failure.param.as_deref(),
        };
        write("error", &event, out);
        self.sequence_number += 1;
        if !self.is_started {
            return;
        }
        if let Some(item) = self.output.last_mut().filter(|_| self.is_item_open) {
            item.close(Status::Incomplete);
        }
        let error = Some(failure.message.as_str());
        let end = End {
            kind: "response.failed",
            status: Status::Failed,
            usage: None,
            service_tier: None,
            reason: None,
            error,
        };
        self.respond(&end, out);
    }
}

fn whole<'e>(event: &mut Event<'e>, part: &'e Part) {
    match part {
        Part::OutputText { text, .. } => {
            event.text = Some(text);
            event.logprobs = Some([]);
        }
        Part::Refusal { refusal } => event.refusal = Some(refusal),
    }
}

fn write(kind: &str, event: &impl Serialize, out: &mut BytesMut) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    // Writing to memory cannot fail, and nothing in an event refuses to be written.
    let _ = serde_json::to_writer((&mut *out).writer(), event);
    out.extend_from_slice(b"\n\n");
}
