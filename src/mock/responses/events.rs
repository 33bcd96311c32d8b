//! The events of a Responses stream.

use super::output_text;
use crate::mock::{
    frames::Frame,
    text::{fragments, pieces, string},
};
use serde_json::{Value, json};

/// A stream of events under construction.
#[derive(Default)]
pub(super) struct Events {
    frames: Vec<Frame>,
}

/// Where an event of an item belongs.
struct Place<'a> {
    output_index: usize,
    item: &'a Value,
}

impl Events {
    /// The frames of all events so far.
    pub(super) fn into_frames(self) -> Vec<Frame> {
        self.frames
    }

    /// Adds an event; `fields` follow its type and number.
    pub(super) fn push(&mut self, kind: &str, fields: Value, token: bool) {
        let mut event = json!({"type": kind, "sequence_number": self.frames.len()});
        if let (Some(event), Value::Object(fields)) = (event.as_object_mut(), fields) {
            event.extend(fields);
        }
        self.frames.push(Frame::event(kind, &event).token_if(token));
    }

    /// Adds the events of a finished output `item`, from its announcement to its end.
    pub(super) fn item(&mut self, output_index: usize, item: &Value) {
        let place = &Place { output_index, item };
        let opened = json!({"output_index": place.output_index, "item": opened(place.item)});
        self.push("response.output_item.added", opened, false);
        match string(place.item, "type") {
            "reasoning" => self.summary(place),
            "message" => self.text(place),
            _ => self.call(place),
        }
        let done = json!({"output_index": place.output_index, "item": place.item});
        self.push("response.output_item.done", done, false);
    }

    fn summary(&mut self, place: &Place<'_>) {
        let part = place.item.pointer("/summary/0").cloned().unwrap_or_default();
        let at = |fields| place.fields("summary_index", fields);
        let kind = |step: &str| format!("response.reasoning_summary_{step}");
        self.push(&kind("part.added"), at(json!({"part": {"type": "summary_text", "text": ""}})), false);
        for piece in pieces(string(&part, "text")) {
            self.push(&kind("text.delta"), at(json!({"delta": piece})), true);
        }
        self.push(&kind("text.done"), at(json!({"text": part.get("text")})), false);
        self.push(&kind("part.done"), at(json!({"part": part})), false);
    }

    fn text(&mut self, place: &Place<'_>) {
        let part = place.item.pointer("/content/0").cloned().unwrap_or_default();
        let at = |fields| place.fields("content_index", fields);
        self.push("response.content_part.added", at(json!({"part": output_text("")})), false);
        for piece in pieces(string(&part, "text")) {
            self.push("response.output_text.delta", at(json!({"delta": piece, "logprobs": []})), true);
        }
        let text = json!({"text": part.get("text"), "logprobs": []});
        self.push("response.output_text.done", at(text), false);
        self.push("response.content_part.done", at(json!({"part": part})), false);
    }

    fn call(&mut self, place: &Place<'_>) {
        let arguments = string(place.item, "arguments");
        let id = place.item.get("id");
        for fragment in fragments(arguments) {
            let delta = json!({"item_id": id, "output_index": place.output_index, "delta": fragment});
            self.push("response.function_call_arguments.delta", delta, true);
        }
        let done = json!({
            "item_id": id,
            "output_index": place.output_index,
            "name": place.item.get("name"),
            "arguments": arguments,
        });
        self.push("response.function_call_arguments.done", done, false);
    }
}

impl Place<'_> {
    /// `fields` of an event of the first part, with where that part is; `index` is its key.
    fn fields(&self, index: &str, fields: Value) -> Value {
        let mut placed = json!({"item_id": self.item.get("id"), "output_index": self.output_index, index: 0});
        if let (Some(placed), Value::Object(fields)) = (placed.as_object_mut(), fields) {
            placed.extend(fields);
        }
        placed
    }
}

/// `item` as it is announced: nothing in it yet.
fn opened(item: &Value) -> Value {
    let mut opened = item.clone();
    let nothing =
        [("status", json!("in_progress")), ("content", json!([])), ("summary", json!([])), ("arguments", json!(""))];
    for (key, value) in nothing {
        if let Some(field) = opened.get_mut(key) {
            *field = value;
        }
    }
    opened
}
