//! `POST /v2`: one path for all three protocols.

use actix_web::http::header::HeaderMap;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;

use super::extract::text;
use super::generate::{Edge, answer};
use super::{CHAT, MESSAGES, RESPONSES, Shared};
use crate::chat::{Failure, FailureKind, Protocol};
use crate::codec::json::Members;
use crate::proxy::{Endpoint, Proxy};

/// What only a Messages body holds, beside `system`.
const ANTHROPIC_MARKS: [&[u8]; 3] = [b"\"tool_use\"", b"\"tool_result\"", b"\"input_schema\""];

/// Answers a request in the protocol that it was made in.
pub(super) async fn detect(
    request: HttpRequest,
    payload: web::Payload,
    shared: web::Data<Shared>,
    proxy: web::Data<Proxy>,
) -> HttpResponse {
    let named = by_header(request.headers());
    let assumed = Endpoint { path: "/v2", ..named.as_ref().ok().copied().flatten().unwrap_or(CHAT) };
    let is_anthropic = request.headers().contains_key("anthropic-version");
    let decide = |body: &Bytes| {
        let found = match named? {
            Some(endpoint) => endpoint,
            None => by_body(body, is_anthropic),
        };
        Ok(Endpoint { path: "/v2", ..found })
    };
    answer(&Edge { request: &request, shared: &shared, proxy: &proxy }, payload, assumed, decide).await
}

/// The protocol that the client names, if it names one.
fn by_header(headers: &HeaderMap) -> Result<Option<Endpoint>, Failure> {
    let Some(name) = text(headers, "x-protocol") else {
        return Ok(None);
    };
    [CHAT, MESSAGES, RESPONSES].into_iter().find(|endpoint| endpoint.protocol.name() == name).map(Some).ok_or_else(
        || {
            let known = [Protocol::OpenAiChat, Protocol::Anthropic, Protocol::OpenAiResponses].map(Protocol::name);
            let message = format!("the header x-protocol must be one of {}", known.join(", "));
            Failure::new(FailureKind::InvalidValue, message).with_param("x-protocol")
        },
    )
}

/// The protocol that a body has the marks of. A body that is no JSON object is left to Chat's
/// errors.
fn by_body(body: &[u8], is_anthropic: bool) -> Endpoint {
    let members = std::str::from_utf8(body).ok().and_then(|text| Members::read(text).ok());
    let has = |name: &str| members.as_ref().is_some_and(|members| members.get(name).is_some());
    if has("input") {
        return RESPONSES;
    }
    // Within a string the quotes would be escaped, so these are keys or values of their own.
    let marked = || ANTHROPIC_MARKS.iter().any(|mark| memchr::memmem::find(body, mark).is_some());
    if is_anthropic || (has("max_tokens") && (has("system") || marked())) { MESSAGES } else { CHAT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_told_by_its_marks() {
        let detected = |body: &str, version| by_body(body.as_bytes(), version).protocol;
        assert_eq!(detected(r#"{"input":"hi"}"#, false), Protocol::OpenAiResponses);
        assert_eq!(detected(r#"{"messages":[]}"#, false), Protocol::OpenAiChat);
        assert_eq!(detected(r#"{"messages":[]}"#, true), Protocol::Anthropic);
        assert_eq!(detected(r#"{"max_tokens":1,"system":"s","messages":[]}"#, false), Protocol::Anthropic);
        assert_eq!(detected(r#"{"max_tokens":1,"tools":[{"input_schema":{}}]}"#, false), Protocol::Anthropic);
        let quoted = r#"{"max_tokens":1,"messages":[{"content":"\"tool_use\""}]}"#;
        assert_eq!(detected(quoted, false), Protocol::OpenAiChat);
        assert_eq!(detected("nonsense", false), Protocol::OpenAiChat);
    }
}
