//! Errors, both ways.

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::chat::{Failure, FailureKind};

/// How much of a body that is no error of any protocol is told, in characters.
const LONGEST_TEXT: usize = 500;

/// An error body, and the `error` event of a stream.
#[derive(Debug, Serialize)]
pub(super) struct WireError<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    error: Told,
    request_id: &'a str,
}

#[derive(Debug, Serialize)]
struct Told {
    #[serde(rename = "type")]
    kind: &'static str,
    message: String,
}

/// What an error body says.
#[derive(Debug, Default)]
struct Said {
    message: Option<String>,
    kind: Option<String>,
    code: Option<String>,
    param: Option<String>,
}

impl<'a> WireError<'a> {
    pub(super) fn new(failure: &Failure, request_id: &'a str) -> Self {
        let message = match &failure.param {
            // The protocol has no field for it.
            Some(param) => format!("{} (param: {param})", failure.message),
            None => failure.message.clone(),
        };
        let error = Told { kind: failure.anthropic_type(), message };
        Self { kind: "error", error, request_id }
    }
}

/// Writes an error body.
pub(super) fn encode(failure: &Failure, request_id: &str) -> Bytes {
    // A struct of strings always serialises.
    serde_json::to_vec(&WireError::new(failure, request_id)).unwrap_or_default().into()
}

/// Reads the error body of a status.
pub(super) fn decode(status: u16, body: &[u8]) -> Failure {
    let said = serde_json::from_slice(body).ok().map(|value| said(&value)).unwrap_or_default();
    let message = said.message.clone().unwrap_or_else(|| {
        let text = String::from_utf8_lossy(body);
        let text = text.trim();
        if text.is_empty() {
            return format!("the provider answered with status {status}");
        }
        text.chars().take(LONGEST_TEXT).collect()
    });
    failure(FailureKind::Upstream(status), message, said)
}

/// Reads an error that came in a 200 body or in a stream: its type tells the status. Without one
/// it is `otherwise`.
pub(super) fn in_band(value: &Value, otherwise: FailureKind) -> Failure {
    let said = said(value);
    let message = said.message.clone().unwrap_or_else(|| "the provider reported an error".to_owned());
    let status = [&said.kind, &said.code].into_iter().flatten().find_map(|word| status_of(word));
    failure(status.map_or(otherwise, FailureKind::Upstream), message, said)
}

/// Whether `body` is an error of this protocol.
pub(super) fn is_error_body(body: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return false;
    };
    let has = |name: &str| value.get("error").and_then(|error| error.get(name)).is_some_and(Value::is_string);
    value.get("type").is_some_and(|kind| kind == "error") && has("type") && has("message")
}

fn failure(kind: FailureKind, message: String, said: Said) -> Failure {
    let mut failure = Failure::new(kind, message);
    failure.param = said.param;
    failure.upstream_code = said.code.or(said.kind);
    failure
}

/// Reads whatever shape a gateway gives its errors.
fn said(value: &Value) -> Said {
    let text = |value: &Value, name: &str| match value.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match value.get("error") {
        Some(Value::String(message)) => Said { message: Some(message.clone()), ..Said::default() },
        Some(error @ Value::Object(_)) => Said {
            message: text(error, "message"),
            kind: text(error, "type"),
            code: text(error, "code"),
            param: text(error, "param"),
        },
        _ => Said { message: text(value, "message").or_else(|| text(value, "detail")), ..Said::default() },
    }
}

fn status_of(word: &str) -> Option<u16> {
    Some(match word {
        "invalid_request_error" => 400,
        "authentication_error" => 401,
        "billing_error" => 402,
        "permission_error" => 403,
        "not_found_error" => 404,
        "request_too_large" => 413,
        "rate_limit_error" => 429,
        "api_error" => 500,
        "timeout_error" => 504,
        "overloaded_error" => 529,
        _ => return word.parse().ok().filter(|status| (400..600).contains(status)),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_error_is_written_with_its_request_and_its_field() {
        let failure = Failure::new(FailureKind::InvalidValue, "must be \"x\"").with_param("messages[0].role");
        let body: Value = serde_json::from_slice(&encode(&failure, "req-1")).unwrap();
        let message = "must be \"x\" (param: messages[0].role)";
        let error = json!({"type":"invalid_request_error","message":message});
        assert_eq!(body, json!({"type":"error","error":error,"request_id":"req-1"}));
        assert!(is_error_body(&encode(&failure, "")));
    }

    #[test]
    fn errors_are_read_in_every_shape() {
        let own = br#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}"#;
        let failure = decode(529, own);
        assert_eq!((failure.status(), failure.message.as_str()), (529, "Overloaded"));
        assert_eq!(failure.code(), Some("overloaded_error"));
        let other = br#"{"error":{"message":"no","type":"t","code":1302,"param":"p"}}"#;
        let failure = decode(400, other);
        assert_eq!((failure.code(), failure.param.as_deref()), (Some("1302"), Some("p")));
        assert_eq!(decode(400, br#"{"error":"bad"}"#).message, "bad");
        assert_eq!(decode(400, br#"{"detail":"bad"}"#).message, "bad");
        assert_eq!(decode(503, b" \n").message, "the provider answered with status 503");
        assert_eq!(decode(502, "é".repeat(900).as_bytes()).message.chars().count(), 500);
        assert_eq!(decode(404, b"<html>").code(), Some("upstream_not_found"));
    }

    #[test]
    fn the_type_of_an_error_in_a_stream_tells_its_status() {
        let of = |value: &Value| in_band(value, FailureKind::UpstreamStream);
        let status = |kind: &str| of(&json!({"type":"error","error":{"type":kind,"message":"m"}})).status();
        assert_eq!(status("overloaded_error"), 529);
        assert_eq!(status("rate_limit_error"), 429);
        assert_eq!(status("new_error"), 502);
        assert_eq!(of(&json!({"error":{"code":429,"message":"m"}})).status(), 429);
    }

    #[test]
    fn other_bodies_are_no_errors_of_this_protocol() {
        for body in ["", "<html>", r#"{"error":{"message":"m","type":"t"}}"#, r#"{"type":"error","error":"x"}"#] {
            assert!(!is_error_body(body.as_bytes()), "{body}");
        }
    }
}
