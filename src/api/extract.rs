//! What the head of a request says: who asks, under which id, with what.

use std::rc::Rc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CONNECTION, HeaderMap, HeaderValue, USER_AGENT};

use super::client::client_name;
use super::{Exchange, Phase, Shared};
use crate::chat::{Failure, FailureKind, Protocol};
use crate::config::{KeyHash, KeyRefusal};
use crate::proxy::{Caller, Finish, Opening, shown_headers, shutting_down};
use crate::telemetry::trace::TraceContext;
use crate::upstream;

/// Starts the record of a request that came to `path`.
pub(super) fn open(request: &HttpRequest, shared: &Shared, path: &'static str, protocol: Protocol) -> Finish {
    let user_agent = text(request.headers(), USER_AGENT.as_str()).unwrap_or_default();
    let request_id = request_id(request.headers().get("x-request-id"));
    let opening = Opening {
        method: method(request.method()),
        path,
        protocol: protocol.name(),
        client: client_name(user_agent),
        headers: shared.reporter.wants_content(&request_id).then(|| shown_headers(pairs(request.headers()), &[])),
        trace: shared.handles.exporters.trace(|| caller_span(request.headers())),
        request_id,
    };
    Finish::new(shared.reporter.clone(), opening)
}

fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

/// The span that a client makes its request in. Of several `traceparent`s none counts (W3C Trace
/// Context, 3.2); several `tracestate`s are one list (3.3.1).
fn caller_span(headers: &HeaderMap) -> Option<TraceContext> {
    let lines = |name: &str| headers.get_all(name).filter_map(|line| line.to_str().ok()).collect::<Vec<_>>();
    let [parent] = <[&str; 1]>::try_from(lines("traceparent")).ok()?;
    TraceContext::from_headers(parent, &lines("tracestate").join(","))
}

/// Our id of the request: the client's when it is fit for logs and headers, else a new one. Those
/// that come one after the other stand side by side in an index (RFC 9562, 5.7), which spares the
/// request log a page to write for each.
pub(super) fn request_id(given: Option<&HeaderValue>) -> String {
    let fits = |id: &&str| {
        (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
    };
    given.and_then(|id| id.to_str().ok()).filter(fits).map_or_else(|| uuid::Uuid::now_v7().to_string(), str::to_owned)
}

/// Whether the process takes this data-plane request.
///
/// # Errors
/// `ShuttingDown` or `NotReady`.
pub(super) fn is_open(request: &HttpRequest, shared: &Shared) -> Result<(), Failure> {
    let is_first = || request.conn_data::<Rc<Exchange>>().is_some_and(|exchange| exchange.is_first());
    if *shared.phase.borrow() == Phase::Closing && !is_first() {
        return Err(shutting_down());
    }
    if !shared.handles.snapshot.load().is_loaded() {
        let message = "llm-proxy has no configuration yet: it is waiting for its database";
        return Err(Failure::new(FailureKind::NotReady, message).with_retry_after(Duration::from_secs(1)));
    }
    Ok(())
}

/// The caller of a data-plane request.
///
/// # Errors
/// Those of [`is_open`], or `InvalidApiKey` with the reason in the message.
pub(super) fn caller(request: &HttpRequest, shared: &Shared) -> Result<Caller, Failure> {
    is_open(request, shared)?;
    let snapshot = shared.handles.snapshot.load();
    if shared.settings.allow_anonymous && !snapshot.has_enabled_credential() {
        return Ok(Caller { snapshot, credential: None });
    }
    let refuse = |message: &str| Failure::new(FailureKind::InvalidApiKey, message);
    let key = client_key(request.headers())
        .ok_or_else(|| refuse("no API key given: send it as Authorization: Bearer <key>, x-api-key or api-key"))?;
    let found = snapshot.authenticate(&KeyHash::of(key), chrono::Utc::now()).cloned();
    match found {
        Ok(credential) => Ok(Caller { snapshot, credential: Some(credential) }),
        Err(KeyRefusal::Unknown) => Err(refuse("the API key is not known")),
        Err(KeyRefusal::Disabled) => Err(refuse("the API key is disabled")),
        Err(KeyRefusal::Expired) => Err(refuse("the API key has expired")),
    }
}

/// The first non-empty key among the places where clients put theirs.
fn client_key(headers: &HeaderMap) -> Option<&str> {
    let full = |key: &&str| !key.is_empty();
    text(headers, "x-api-key")
        .filter(full)
        .or_else(|| bearer(headers).filter(full))
        .or_else(|| text(headers, "api-key").filter(full))
}

/// The token of `Authorization: Bearer`; the scheme's case does not count (RFC 9110, 11.1).
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = text(headers, AUTHORIZATION.as_str())?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Headers of the client that a provider of the same protocol gets.
pub(super) fn forwarded(headers: &HeaderMap, protocol: Protocol) -> Vec<(upstream::HeaderName, upstream::HeaderValue)> {
    let names: &[&'static str] = match protocol {
        Protocol::OpenAiChat | Protocol::OpenAiResponses => &["idempotency-key", "openai-beta"],
        Protocol::Anthropic => &["idempotency-key", "anthropic-version", "anthropic-beta"],
    };
    let pair = |name: &&'static str| {
        // A list may come in several lines (RFC 9110, 5.3).
        let lines: Vec<&[u8]> = headers.get_all(*name).map(HeaderValue::as_bytes).collect();
        let value = upstream::HeaderValue::from_bytes(&lines.join(&b", "[..])).ok().filter(|_| !lines.is_empty())?;
        Some((upstream::HeaderName::from_static(name), value))
    };
    names.iter().filter(|name| !is_for_this_connection(headers, name)).filter_map(pair).collect()
}

/// Whether the client names this header in `Connection`, and so for us alone (RFC 9110, 7.6.1).
fn is_for_this_connection(headers: &HeaderMap, name: &str) -> bool {
    let lines = headers.get_all(CONNECTION).filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|option| option.trim().eq_ignore_ascii_case(name))
}

/// The query string that a provider of the same protocol gets: only Anthropic's `beta`.
pub(super) fn forwarded_query(request: &HttpRequest, protocol: Protocol) -> Option<String> {
    let is_beta = |pair: &&str| pair.split('=').next() == Some("beta");
    let beta = request.query_string().split('&').find(is_beta).filter(|_| protocol == Protocol::Anthropic);
    beta.filter(|pair| pair.bytes().all(|byte| byte.is_ascii_graphic())).map(str::to_owned)
}

/// Whether losing a field in translation is refused: the client's wish wins over the setting.
pub(super) fn strict(headers: &HeaderMap, default: bool) -> bool {
    match text(headers, "x-llm-proxy-strict") {
        Some(wish) if wish.eq_ignore_ascii_case("true") => true,
        Some(wish) if wish.eq_ignore_ascii_case("false") => false,
        _ => default,
    }
}

/// A header's trimmed text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// The method as a bounded label.
fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
