//! Requests and whole answers that are forwarded as they are.

use std::ops::Range;

use bytes::Bytes;

use super::{error, usage};
use crate::chat::{Failure, FailureKind};
use crate::codec::json::{Edit, Members, quote, splice, unquote};
use crate::codec::{Forwarded, Peek};

const ASK: &[u8] = br#"{"include_usage":true}"#;

/// The field that says what is asked for, which every request must have.
#[derive(Debug, Clone, Copy)]
pub(in crate::codec) struct Subject {
    /// Its name.
    pub name: &'static str,
    /// What its JSON may begin with.
    pub begins: &'static [char],
    /// The same in words.
    pub rule: &'static str,
}

/// Reads what routing must know.
pub(in crate::codec) fn peek(body: &Bytes, subject: Subject) -> Result<Peek, Failure> {
    let not_an_object = |why: &dyn std::fmt::Display| {
        Failure::new(FailureKind::InvalidJson, format!("the request body is not a JSON object: {why}"))
    };
    let text = std::str::from_utf8(body).map_err(|error| not_an_object(&error))?;
    let members = Members::read(text).map_err(|error| not_an_object(&error))?;
    if members.is_repeated("model") {
        return Err(invalid("model", "must not be given twice"));
    }
    let model = required(&members, "model")?;
    let name = unquote(model).ok_or_else(|| invalid("model", "must be a string"))?;
    if !required(&members, subject.name)?.starts_with(subject.begins) {
        return Err(invalid(subject.name, subject.rule));
    }
    let stream = flag(members.get("stream"), "stream")?;
    let options = members.get("stream_options");
    Ok(Peek {
        model: name.into_owned(),
        model_span: members.span(model),
        stream,
        include_usage: include_usage(options)?,
        stream_options: options.map(|options| members.span(options)),
    })
}

fn required<'b>(members: &Members<'b>, name: &str) -> Result<&'b str, Failure> {
    members
        .get(name)
        .filter(|value| *value != "null")
        .ok_or_else(|| Failure::new(FailureKind::MissingParameter, format!("`{name}` is required")).with_param(name))
}

fn invalid(param: &str, rule: &str) -> Failure {
    Failure::new(FailureKind::InvalidValue, format!("`{param}` {rule}")).with_param(param)
}

fn flag(value: Option<&str>, name: &str) -> Result<bool, Failure> {
    match value.unwrap_or("null") {
        "true" => Ok(true),
        "false" | "null" => Ok(false),
        _ => Err(invalid(name, "must be a boolean")),
    }
}

fn include_usage(options: Option<&str>) -> Result<bool, Failure> {
    let Some(options) = options.filter(|options| *options != "null") else {
        return Ok(false);
    };
    let members =
        Members::read(options).map_err(|error| invalid("stream_options", &format!("must be an object: {error}")))?;
    flag(members.get("include_usage"), "stream_options.include_usage")
}

/// What a provider that calls the model `model` gets in place of what the client wrote.
pub(in crate::codec) fn edits(body: &Bytes, peek: &Peek, model: &str, inject_usage: bool) -> Vec<Edit> {
    let mut edits = Vec::new();
    if peek.model != model {
        edits.push(Edit { span: peek.model_span.clone(), with: quote(model) });
    }
    if peek.stream && inject_usage && !peek.include_usage {
        edits.push(ask_for_usage(body, peek));
    }
    edits
}

/// The body with the edits; the same bytes when there are none.
pub(in crate::codec) fn edited(body: &Bytes, edits: Vec<Edit>) -> Bytes {
    if edits.is_empty() { body.clone() } else { splice(body, edits) }
}

fn ask_for_usage(body: &[u8], peek: &Peek) -> Edit {
    let Some(span) = &peek.stream_options else {
        let end = peek.model_span.end;
        return Edit { span: end..end, with: [br#","stream_options":"#, ASK].concat() };
    };
    let options = body.get(span.clone()).and_then(|options| std::str::from_utf8(options).ok());
    let Some(members) = options.and_then(|options| Members::read(options).ok()) else {
        return Edit { span: span.clone(), with: ASK.to_vec() };
    };
    if let Some(asked) = members.get("include_usage") {
        return Edit { span: shift(members.span(asked), span.start), with: b"true".to_vec() };
    }
    // Behind the opening brace; a comma only when something follows.
    let rest = options.and_then(|options| options.get(1..)).unwrap_or_default().trim_start();
    let comma: &[u8] = if rest.starts_with('}') { b"" } else { b"," };
    let start = span.start.saturating_add(1);
    Edit { span: start..start, with: [br#""include_usage":true"#, comma].concat() }
}

pub(in crate::codec) fn shift(span: Range<usize>, by: usize) -> Range<usize> {
    span.start.saturating_add(by)..span.end.saturating_add(by)
}

/// A whole answer for a client that calls the model `model`. Its array `list` holds what was
/// asked for.
///
/// # Errors
/// `UpstreamInvalidResponse` when it is no such answer.
pub(in crate::codec) fn forward_response(body: &Bytes, model: &str, list: &str) -> Result<Forwarded, Failure> {
    let unusable = |why: String| Failure::new(FailureKind::UpstreamInvalidResponse, why);
    let text = std::str::from_utf8(body).map_err(|error| unusable(format!("the answer is not UTF-8: {error}")))?;
    let members = Members::read(text).map_err(|error| unusable(format!("the answer is not a JSON object: {error}")))?;
    let Some(inside) = members.get(list).and_then(|list| list.strip_prefix('[')) else {
        return Err(error::reported_in(members.get("error"), &format!("the answer has no {list}")));
    };
    if inside.trim_start() == "]" && error::is_reported(members.get("error")) {
        return Err(error::reported_in(members.get("error"), "the answer is an error"));
    }
    let usage = usage::read(members.get("usage"));
    let edit = members.get("model").map(|name| Edit { span: members.span(name), with: quote(model) });
    Ok(Forwarded { body: edited(body, edit.into_iter().collect()), usage })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: Subject = Subject { name: "messages", begins: &['['], rule: "must be an array" };

    fn forward(body: &Bytes, model: &str, inject_usage: bool) -> Bytes {
        edited(body, edits(body, &peek(body, MESSAGES).unwrap(), model, inject_usage))
    }

    fn peeked(body: &str) -> Peek {
        peek(&Bytes::copy_from_slice(body.as_bytes()), MESSAGES).unwrap()
    }

    fn forwarded(body: &str, model: &str) -> String {
        let body = Bytes::copy_from_slice(body.as_bytes());
        String::from_utf8(forward(&body, model, true).to_vec()).unwrap()
    }

    #[test]
    fn required_fields_are_told_apart_from_wrong_ones() {
        for (body, kind, param) in [
            ("[]", FailureKind::InvalidJson, None),
            ("{", FailureKind::InvalidJson, None),
            (r#"{"messages":[]}"#, FailureKind::MissingParameter, Some("model")),
            (r#"{"model":null,"messages":[]}"#, FailureKind::MissingParameter, Some("model")),
            (r#"{"model":1,"messages":[]}"#, FailureKind::InvalidValue, Some("model")),
            (r#"{"model":"a","model":"b","messages":[]}"#, FailureKind::InvalidValue, Some("model")),
            (r#"{"model":"a"}"#, FailureKind::MissingParameter, Some("messages")),
            (r#"{"model":"a","messages":"hi"}"#, FailureKind::InvalidValue, Some("messages")),
            (r#"{"model":"a","messages":[],"stream":"yes"}"#, FailureKind::InvalidValue, Some("stream")),
            (r#"{"model":"a","messages":[],"stream_options":1}"#, FailureKind::InvalidValue, Some("stream_options")),
        ] {
            let failure = peek(&Bytes::from_static(body.as_bytes()), MESSAGES).unwrap_err();
            assert_eq!((failure.kind, failure.param.as_deref()), (kind, param), "{body}");
        }
        assert_eq!(
            peek(&Bytes::from_static(b"{\"model\":\"\xff\"}"), MESSAGES).unwrap_err().kind,
            FailureKind::InvalidJson
        );
    }

    #[test]
    fn what_routing_must_know_is_found() {
        let body = r#"{"stream" : true,"model":"m\u0031","stream_options": {"include_usage":true},"messages":[]}"#;
        let peek = peeked(body);
        assert_eq!((peek.model.as_str(), peek.stream, peek.include_usage), ("m1", true, true));
        assert_eq!(&body[peek.model_span], r#""m\u0031""#);
        assert_eq!(&body[peek.stream_options.unwrap()], r#"{"include_usage":true}"#);
        assert!(!peeked(r#"{"model":"m","messages":[],"stream":null,"stream_options":null}"#).include_usage);
    }

    #[test]
    fn a_request_that_needs_no_change_is_the_same_bytes() {
        let body = Bytes::from_static(br#"{"model":"m","messages":[],"n":1.10}"#);
        let forwarded = forward(&body, "m", true);
        assert_eq!(forwarded.as_ptr(), body.as_ptr());
        assert_eq!(self::forwarded(r#"{"model": "m" ,"messages":[]}"#, "x\"y"), r#"{"model": "x\"y" ,"messages":[]}"#);
    }

    #[test]
    fn usage_is_asked_for_whatever_the_client_wrote() {
        for (options, want) in [
            ("", r#","stream_options":{"include_usage":true}"#),
            (r#","stream_options":null"#, r#","stream_options":{"include_usage":true}"#),
            (r#","stream_options":{}"#, r#","stream_options":{"include_usage":true}"#),
            (r#","stream_options": { "x" : 1}"#, r#","stream_options": {"include_usage":true, "x" : 1}"#),
            (r#","stream_options":{"include_usage":false,"x":1}"#, r#","stream_options":{"include_usage":true,"x":1}"#),
            (r#","stream_options":{"include_usage":true}"#, r#","stream_options":{"include_usage":true}"#),
        ] {
            let body = format!(r#"{{"model":"m"{options},"messages":[],"stream":true}}"#);
            let want = format!(r#"{{"model":"n"{want},"messages":[],"stream":true}}"#);
            assert_eq!(forwarded(&body, "n"), want);
        }
        let body = Bytes::from_static(br#"{"model":"m","messages":[],"stream":true}"#);
        assert_eq!(forward(&body, "m", false), body);
    }

    #[test]
    fn an_answer_changes_in_its_model_only() {
        let body = br#"{"id":"x","model" : "gpt-real","choices":[{"message":{"content":"gpt-real"}}],"usage":{"prompt_tokens":3,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2}}}"#;
        let forwarded = forward_response(&Bytes::from_static(body), "alias", "choices").unwrap();
        let want = std::str::from_utf8(body).unwrap().replacen("gpt-real", "alias", 1);
        assert_eq!(forwarded.body, want);
        let usage = forwarded.usage.unwrap();
        assert_eq!((usage.input, usage.output, usage.cache_read), (3, 4, 2));
    }

    #[test]
    fn what_is_no_answer_is_refused_with_the_reason() {
        for (body, said) in [
            ("", "not a JSON object"),
            ("[]", "not a JSON object"),
            ("{}", "no choices"),
            (r#"{"choices":{}}"#, "no choices"),
            (r#"{"error":{"message":"quota"}}"#, "quota"),
            (r#"{"error":{"message":"quota"},"choices":[ ]}"#, "quota"),
        ] {
            let failure = forward_response(&Bytes::from_static(body.as_bytes()), "m", "choices").unwrap_err();
            assert_eq!(failure.kind, FailureKind::UpstreamInvalidResponse);
            assert!(failure.message.contains(said), "{body}: {failure}");
        }
    }
}
