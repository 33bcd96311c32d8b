//! Error bodies and error chunks, both directions.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chat::{Failure, FailureKind};

/// How much of a body that is not JSON is told to the client.
const RAW_TEXT_LIMIT: usize = 500;

#[derive(Serialize)]
struct Envelope<'f> {
    error: Body<'f>,
}

#[derive(Serialize)]
struct Body<'f> {
    message: &'f str,
    r#type: &'f str,
    param: Option<&'f str>,
    code: Option<&'f str>,
}

/// An error object as providers send it: every member may be missing or of another type.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Received {
    message: Value,
    r#type: Value,
    param: Value,
    code: Value,
    status: Value,
    status_code: Value,
    /// Gateways that answer 422 list what is wrong here.
    detail: Value,
}

/// The body of an HTTP error.
pub(in crate::codec) fn encode(failure: &Failure) -> Bytes {
    Bytes::from(envelope(failure, failure.param.as_deref()))
}

/// The data of the event that ends a broken stream.
pub(in crate::codec) fn encode_in_band(failure: &Failure) -> Vec<u8> {
    envelope(failure, None)
}

fn envelope(failure: &Failure, param: Option<&str>) -> Vec<u8> {
    let body = Body { message: &failure.message, r#type: failure.openai_type(), param, code: failure.code() };
    // A struct of strings always serialises.
    serde_json::to_vec(&Envelope { error: body }).unwrap_or_default()
}

/// Whether `body` has the shape that the official clients read.
pub(in crate::codec) fn is_error_body(body: &[u8]) -> bool {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return false;
    };
    body.get("error").is_some_and(|error| {
        error.get("message").is_some_and(Value::is_string) && error.get("type").is_some_and(Value::is_string)
    })
}

/// Reads a body of an HTTP error.
pub(in crate::codec) fn decode(status: u16, body: &[u8]) -> Failure {
    let kind = FailureKind::Upstream(status);
    let Ok(json) = serde_json::from_slice::<Value>(body) else {
        let text: String = String::from_utf8_lossy(body).trim().chars().take(RAW_TEXT_LIMIT).collect();
        return Failure::new(kind, if text.is_empty() { silent(status) } else { text });
    };
    // Some gateways send a list of one error, some the error without its envelope.
    let json = json.get(0).unwrap_or(&json);
    let error = json.get("error").filter(|error| is_truthy(error)).unwrap_or(json);
    read(kind, error).unwrap_or_else(|| Failure::new(kind, silent(status)))
}

/// Reads the `error` of a stream chunk, or of an answer of status 200; `None` when it is null or
/// says nothing. Without a status of its own it is `otherwise`.
pub(in crate::codec) fn decode_in_band(error: &str, otherwise: FailureKind) -> Option<Failure> {
    let error: Value = serde_json::from_str(error).ok().filter(is_truthy)?;
    let kind = status_of(&error).map_or(otherwise, FailureKind::Upstream);
    Some(read(kind, &error).unwrap_or_else(|| Failure::new(kind, "the provider reported an error in its answer")))
}

/// The same of a stream chunk: without a status of its own the stream is broken.
pub(in crate::codec) fn decode_in_stream(error: &str) -> Option<Failure> {
    decode_in_band(error, FailureKind::UpstreamStream)
}

/// Whether a whole answer is an error in the guise of a success.
pub(in crate::codec) fn is_reported(error: Option<&str>) -> bool {
    error.is_some_and(|error| serde_json::from_str::<Value>(error).is_ok_and(|error| is_truthy(&error)))
}

/// Why a body that should be an answer is none: the error that it holds, else `otherwise`.
pub(in crate::codec) fn reported_in(error: Option<&str>, otherwise: &str) -> Failure {
    let kind = FailureKind::UpstreamInvalidResponse;
    let failure = error.and_then(|error| decode_in_band(error, kind));
    failure.unwrap_or_else(|| Failure::new(kind, otherwise))
}

fn silent(status: u16) -> String {
    format!("the provider answered with status {status}")
}

/// What the official Python client takes for an error.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

fn read(kind: FailureKind, error: &Value) -> Option<Failure> {
    if let Value::String(message) = error {
        return Some(Failure::new(kind, message));
    }
    let received = Received::deserialize(error).ok()?;
    let message = [&received.message, &received.detail].into_iter().find_map(|value| match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    })?;
    let mut failure = Failure::new(kind, message);
    failure.param = word(&received.param);
    failure.upstream_code = word(&received.code).or_else(|| word(&received.r#type));
    Some(failure)
}

/// A string, or a number as its digits.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The status that an error within a stream would have had as an HTTP answer, if it tells.
fn status_of(error: &Value) -> Option<u16> {
    let received = Received::deserialize(error).ok()?;
    let numbers = [&received.status_code, &received.status, &received.code];
    let number = numbers.into_iter().filter_map(|value| match value {
        Value::Number(number) => number.as_u64().and_then(|number| u16::try_from(number).ok()),
        Value::String(text) => text.parse().ok(),
        _ => None,
    });
    let words = [&received.code, &received.r#type].into_iter().filter_map(Value::as_str);
    number.filter(|status| (400..600).contains(status)).chain(words.filter_map(status_of_word)).next()
}

fn status_of_word(word: &str) -> Option<u16> {
    Some(match word {
        "rate_limit_exceeded" | "rate_limit_error" | "rate_limit" | "requests" | "tokens" | "too_many_requests" => 429,
        "insufficient_quota" | "billing_error" => 402,
        "overloaded" | "overloaded_error" | "engine_overloaded" => 529,
        "authentication_error" | "invalid_api_key" => 401,
        "permission_error" | "permission_denied" => 403,
        "not_found_error" | "model_not_found" | "not_found" => 404,
        "request_too_large" => 413,
        "timeout" | "timeout_error" => 504,
        "invalid_request_error" | "invalid_request" | "content_filter" | "context_length_exceeded" => 400,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_band(error: &str) -> Option<Failure> {
        decode_in_band(error, FailureKind::UpstreamStream)
    }

    #[test]
    fn an_error_body_has_all_four_members_even_when_two_are_null() {
        let failure = Failure::new(FailureKind::Upstream(418), "no");
        assert_eq!(
            encode(&failure),
            r#"{"error":{"message":"no","type":"invalid_request_error","param":null,"code":null}}"#
        );
        let failure = Failure::new(FailureKind::MissingParameter, "\"model\" is missing").with_param("model");
        assert_eq!(
            encode(&failure),
            r#"{"error":{"message":"\"model\" is missing","type":"invalid_request_error","param":"model","code":"missing_required_parameter"}}"#
        );
        assert!(std::str::from_utf8(&encode_in_band(&failure)).unwrap().contains(r#""param":null"#));
    }

    #[test]
    fn a_providers_error_keeps_status_message_param_and_code() {
        let body = br#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#;
        let failure = decode(400, body);
        assert_eq!(failure.kind, FailureKind::Upstream(400));
        assert_eq!(failure.message, "too long");
        assert_eq!(failure.param.as_deref(), Some("messages"));
        assert_eq!(failure.code(), Some("context_length_exceeded"));
        assert_eq!(decode(429, br#"{"error":{"message":"x","code":null,"type":"tokens"}}"#).code(), Some("tokens"));
        assert_eq!(decode(429, br#"{"error":{"message":"x","code":429}}"#).code(), Some("429"));
    }

    #[test]
    fn every_other_body_still_makes_a_failure_with_a_message() {
        for (body, message) in [
            ("", "the provider answered with status 502"),
            (" <html>Bad</html>\n", "<html>Bad</html>"),
            ("{}", "the provider answered with status 502"),
            (r#"{"error":"oops"}"#, "oops"),
            (r#"{"error":null,"message":"bare"}"#, "bare"),
            (r#"[{"error":{"message":"in a list","code":400,"status":"X"}}]"#, "in a list"),
            (r#"{"detail":[{"msg":"field required"}]}"#, r#"[{"msg":"field required"}]"#),
        ] {
            let failure = decode(502, body.as_bytes());
            assert_eq!((failure.status(), failure.message.as_str()), (502, message), "{body}");
        }
        assert_eq!(decode(500, "é".repeat(900).as_bytes()).message.chars().count(), 500);
    }

    #[test]
    fn an_error_within_a_stream_has_the_status_that_it_names_or_implies() {
        for (error, status) in [
            (r#"{"message":"m","type":"invalid_request_error","code":"tool_use_failed","status_code":400}"#, 400),
            (r#"{"message":"m","code":429}"#, 429),
            (r#"{"message":"m","type":"rate_limit_error"}"#, 429),
            (r#"{"message":"m","code":"insufficient_quota","type":"insufficient_quota"}"#, 402),
            (r#"{"message":"m","type":"overloaded_error"}"#, 529),
            (r#"{"message":"m","type":"server_error","code":null}"#, 502),
            (r#"{"message":"m","code":12}"#, 502),
            (r#""oops""#, 502),
        ] {
            assert_eq!(in_band(error).unwrap().status(), status, "{error}");
        }
        for nothing in ["null", "false", "\"\"", "{}", "0"] {
            assert_eq!(in_band(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn only_the_shape_that_clients_read_is_fit_to_be_forwarded() {
        assert!(is_error_body(br#"{"error":{"message":"m","type":"t"}}"#));
        for body in ["", "[]", "{}", r#"{"error":"m"}"#, r#"{"error":{"message":"m"}}"#, r#"{"error":{"type":"t"}}"#] {
            assert!(!is_error_body(body.as_bytes()), "{body}");
        }
    }
}
