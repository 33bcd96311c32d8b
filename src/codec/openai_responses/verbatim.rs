//! Requests, answers and streams between two ends that both speak Responses.

use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::{in_band, is_error_body};
use super::fields::missing;
use super::wire::{Text, usage};
use crate::chat::{Failure, FailureKind, PACKED_PREFIX, may_hold_packed};
use crate::codec::json::{Edit, Members, quote, splice, unquote};
use crate::codec::{Forwarded, Peek};

#[derive(Deserialize)]
struct ReasoningItem<'b> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'b>>,
    #[serde(borrow)]
    encrypted_content: Option<Text<'b>>,
}

pub(super) fn peek(body: &Bytes) -> Result<Peek, Failure> {
    let invalid = |what: &str| Failure::new(FailureKind::InvalidJson, format!("the body is not a JSON object: {what}"));
    let text = std::str::from_utf8(body).map_err(|error| invalid(&error.to_string()))?;
    let members = Members::read(text).map_err(|error| invalid(&error.to_string()))?;
    let given = |name: &str| members.get(name).filter(|value| *value != "null");
    let model = given("model").ok_or_else(|| missing("model".to_owned()))?;
    if members.is_repeated("model") {
        return Err(wrong("model", "`model` stands more than once"));
    }
    let name = unquote(model).ok_or_else(|| wrong("model", "`model` must be a string"))?;
    let stream = match given("stream") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(wrong("stream", "`stream` must be a boolean")),
    };
    if !["input", "prompt", "previous_response_id", "conversation"].into_iter().any(|name| given(name).is_some()) {
        return Err(missing("input".to_owned()));
    }
    Ok(Peek {
        model: name.into_owned(),
        model_span: members.span(model),
        stream,
        include_usage: false,
        stream_options: None,
    })
}

fn wrong(param: &str, message: &str) -> Failure {
    Failure::new(FailureKind::InvalidValue, message).with_param(param)
}

pub(super) fn forward_request(body: &Bytes, peek: &Peek, model: &str) -> Bytes {
    let mut edits = Vec::new();
    if peek.model != model {
        edits.push(Edit { span: peek.model_span.clone(), with: quote(model) });
    }
    if may_hold_packed(body) {
        edits.extend(packed_items(body).unwrap_or_default().into_iter().map(|span| Edit { span, with: Vec::new() }));
    }
    if edits.is_empty() { body.clone() } else { splice(body, edits) }
}

/// Where reasoning items stand that another protocol's provider made, a comma included.
fn packed_items(body: &[u8]) -> Option<Vec<Range<usize>>> {
    let text = std::str::from_utf8(body).ok()?;
    let members = Members::read(text).ok()?;
    let items: Vec<&RawValue> = serde_json::from_str(members.get("input")?).ok()?;
    let is_packed: Vec<bool> = items.iter().map(|item| is_packed(item)).collect();
    let spans: Vec<Range<usize>> = items.iter().map(|item| members.span(item.get())).collect();
    let mut removed = Vec::new();
    let mut kept_until = None;
    for (i, (span, packed)) in spans.iter().zip(&is_packed).enumerate() {
        if !packed {
            kept_until = Some(span.end);
            continue;
        }
        // Up to the next item; when none is kept behind it, from the end of the last kept one.
        let is_kept_behind = is_packed.iter().skip(i).any(|packed| !packed);
        match (is_kept_behind, spans.get(i + 1), kept_until) {
            (true, Some(next), _) => removed.push(span.start..next.start),
            (_, _, from) => {
                let until = spans.last().map_or(span.end, |last| last.end);
                removed.push(from.unwrap_or(span.start)..until);
                break;
            }
        }
    }
    Some(removed)
}

fn is_packed(item: &RawValue) -> bool {
    serde_json::from_str::<ReasoningItem<'_>>(item.get()).is_ok_and(|item| {
        item.kind.is_some_and(|kind| kind.0 == "reasoning")
            && item.encrypted_content.is_some_and(|data| data.0.starts_with(PACKED_PREFIX))
    })
}

pub(super) fn forward_response(body: &Bytes, model: &str) -> Result<Forwarded, Failure> {
    let invalid = |what: &str| {
        Failure::new(FailureKind::UpstreamInvalidResponse, format!("the provider's answer cannot be used: {what}"))
    };
    let text = std::str::from_utf8(body).map_err(|error| invalid(&error.to_string()))?;
    let members = Members::read(text).map_err(|error| invalid(&error.to_string()))?;
    let is_response = members.get("object").and_then(unquote).is_some_and(|object| object == "response");
    if !is_response && (members.get("output").is_none() || is_error_body(body)) {
        let reported = members.get("error").filter(|error| *error != "null");
        let reported = reported.map(|error| in_band(error, FailureKind::UpstreamInvalidResponse));
        return Err(reported.unwrap_or_else(|| invalid("it is no response object")));
    }
    let usage = members.get("usage").and_then(usage);
    let edit = members.get("model").and_then(|value| model_edit(&members, value, model));
    let body = edit.map_or_else(|| body.clone(), |edit| splice(body, vec![edit]));
    Ok(Forwarded { body, usage })
}

/// What puts the client's name for the model in the place of `value`.
pub(super) fn model_edit(members: &Members<'_>, value: &str, model: &str) -> Option<Edit> {
    let name = unquote(value)?;
    (name != model).then(|| Edit { span: members.span(value), with: quote(model) })
}
