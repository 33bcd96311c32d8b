//! Errors, both ways.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::wire::Text;
use crate::chat::{Failure, FailureKind};

/// How much of a body that is no JSON is told.
const LONGEST_TEXT: usize = 500;

#[derive(Serialize)]
struct ErrorBody<'f> {
    error: ErrorObject<'f>,
}

#[derive(Serialize)]
struct ErrorObject<'f> {
    message: &'f str,
    #[serde(rename = "type")]
    kind: &'f str,
    param: Option<&'f str>,
    code: Option<&'f str>,
}

/// An error object as providers and gateways write it.
#[derive(Debug, Default, Deserialize)]
struct Problem<'b> {
    #[serde(borrow)]
    message: Option<&'b RawValue>,
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'b>>,
    #[serde(borrow)]
    param: Option<&'b RawValue>,
    #[serde(borrow)]
    code: Option<&'b RawValue>,
}

#[derive(Deserialize)]
struct Envelope<'b> {
    #[serde(borrow)]
    error: Option<&'b RawValue>,
}

#[derive(Deserialize)]
struct Loose<'b> {
    #[serde(borrow)]
    message: Option<&'b RawValue>,
    #[serde(borrow)]
    detail: Option<&'b RawValue>,
}

pub(super) fn encode_error(failure: &Failure) -> Bytes {
    let error = ErrorObject {
        message: &failure.message,
        kind: failure.openai_type(),
        param: failure.param.as_deref(),
        code: failure.code(),
    };
    // A struct of strings always serialises.
    Bytes::from(serde_json::to_vec(&ErrorBody { error }).unwrap_or_default())
}

/// An error answer of a provider, whatever its body is.
pub(super) fn decode_error(status: u16, body: &[u8]) -> Failure {
    let kind = FailureKind::Upstream(status);
    if let Ok(Envelope { error: Some(error) }) = serde_json::from_slice(body) {
        return Problem::read(error.get()).failure(kind);
    }
    let text = match serde_json::from_slice::<Loose<'_>>(body) {
        Ok(Loose { message: Some(raw), .. } | Loose { detail: Some(raw), .. }) => plain(raw),
        _ => String::from_utf8_lossy(body).chars().take(LONGEST_TEXT).collect(),
    };
    if text.trim().is_empty() {
        return Failure::new(kind, format!("the provider answered with status {status}"));
    }
    Failure::new(kind, text)
}

/// An error within a stream, or in a body of status 200: its own words tell the status. Without
/// one it is `otherwise`.
pub(super) fn in_band(error: &str, otherwise: FailureKind) -> Failure {
    let problem = Problem::read(error);
    let kind = problem.status().map_or(otherwise, FailureKind::Upstream);
    problem.failure(kind)
}

/// The same within a stream, which is broken by an error without a status.
pub(super) fn in_stream(error: &str) -> Failure {
    in_band(error, FailureKind::UpstreamStream)
}

/// An error that says nothing.
pub(super) fn nameless() -> Failure {
    Problem::default().failure(FailureKind::UpstreamStream)
}

/// The `error` of an answer whose status is `failed`.
pub(super) fn failed_answer(error: Option<&str>) -> Failure {
    let problem = error.map(Problem::read).unwrap_or_default();
    problem.failure(FailureKind::UpstreamInvalidResponse)
}

/// Whether `body` is `{"error":{"message":…}}`.
pub(super) fn is_error_body(body: &[u8]) -> bool {
    let envelope = serde_json::from_slice::<Envelope<'_>>(body);
    let Ok(Envelope { error: Some(error) }) = envelope else {
        return false;
    };
    serde_json::from_str::<Problem<'_>>(error.get())
        .is_ok_and(|problem| problem.message.is_some_and(|message| message.get().starts_with('"')))
}

impl<'b> Problem<'b> {
    fn read(raw: &'b str) -> Self {
        // Some gateways write a bare string.
        let bare = |_error| Self { message: serde_json::from_str(raw).ok(), ..Self::default() };
        serde_json::from_str(raw).unwrap_or_else(bare)
    }

    fn code(&self) -> Option<String> {
        self.code.map(plain).filter(|code| !code.is_empty())
    }

    fn kind(&self) -> Option<&str> {
        self.kind.as_ref().map(|kind| kind.0.as_ref()).filter(|kind| *kind != "error" && !kind.is_empty())
    }

    fn status(&self) -> Option<u16> {
        let code = self.code();
        let words = [code.as_deref(), self.kind()];
        words.into_iter().flatten().find_map(status_of)
    }

    fn failure(&self, kind: FailureKind) -> Failure {
        let message = self.message.map(plain).filter(|text| !text.is_empty());
        let mut failure = Failure::new(
            kind,
            message.unwrap_or_else(|| "the provider reported an error without a message".to_owned()),
        );
        failure.param = self.param.map(plain);
        failure.upstream_code = self.code().or_else(|| self.kind().map(str::to_owned));
        failure
    }
}

/// A string's text, or the JSON of anything else.
fn plain(raw: &RawValue) -> String {
    serde_json::from_str::<Text<'_>>(raw.get())
        .map_or_else(|_error| Cow::Borrowed(raw.get()), |text| text.0)
        .into_owned()
}

fn status_of(word: &str) -> Option<u16> {
    match word {
        "authentication_error" | "invalid_api_key" => Some(401),
        "insufficient_quota" | "billing_error" => Some(402),
        "permission_error" => Some(403),
        "not_found_error" | "model_not_found" => Some(404),
        "request_too_large" => Some(413),
        "rate_limit_exceeded" | "rate_limit_error" | "requests" | "tokens" => Some(429),
        "invalid_request_error" | "invalid_prompt" | "context_length_exceeded" => Some(400),
        "overloaded_error" => Some(529),
        "overloaded" => Some(503),
        "timeout_error" => Some(504),
        _ => word.parse().ok().filter(|status| (400..600).contains(status)),
    }
}
