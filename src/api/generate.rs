//! Generation requests: from the socket to the proxy and back.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;

use super::extract::{self, text};
use super::held::hold;
use super::payload::{self, BodyError};
use super::{Exchange, Shared, reply};
use crate::actors::rate_limiter::Decision;
use crate::chat::{Failure, FailureKind, Operation, Protocol};
use crate::proxy::{Call, Caller, Endpoint, Finish, Proxy, Stage, refusal, shutting_down, throttle};

/// Answers a generation request of `endpoint`.
pub(super) async fn generate(
    endpoint: Endpoint,
    request: HttpRequest,
    payload: web::Payload,
    shared: web::Data<Shared>,
    proxy: web::Data<Proxy>,
) -> HttpResponse {
    answer(&Edge { request: &request, shared: &shared, proxy: &proxy }, payload, endpoint, |_| Ok(endpoint)).await
}

/// What a request meets at the edge.
pub(super) struct Edge<'e> {
    /// Its head.
    pub request: &'e HttpRequest,
    /// What all workers share.
    pub shared: &'e Shared,
    /// This worker's way to the providers.
    pub proxy: &'e Arc<Proxy>,
}

/// Answers a request whose endpoint `detect` tells from its body; errors before that have the
/// shape of `assumed`.
pub(super) async fn answer(
    edge: &Edge<'_>,
    payload: web::Payload,
    assumed: Endpoint,
    detect: impl FnOnce(&Bytes) -> Result<Endpoint, Failure>,
) -> HttpResponse {
    let Edge { request, shared, proxy } = edge;
    let mut finish = extract::open(request, shared, assumed.path, assumed.protocol);
    let request_id = finish.request_id().to_owned();
    let slot = extract::is_open(request, shared).and_then(|()| shared.slots.take().ok_or_else(overloaded));
    let slot = match slot {
        Ok(slot) => slot,
        Err(failure) => {
            return finished(reply::failure(assumed, &failure, finish), assumed, None, &request_id);
        }
    };
    // Held until the answer's last byte.
    let end = |response, endpoint, decision| {
        finished(response, endpoint, decision, &request_id).map_body(|_, body| hold(body, slot))
    };
    let (caller, decision) = match admit(request, shared, assumed, &mut finish).await {
        Ok(admitted) => admitted,
        Err((failure, decision)) => return end(reply::failure(assumed, &failure, finish), assumed, decision),
    };
    finish.known_caller(&caller);
    let body = tokio::select! {
        body = read(request, payload, shared.settings.http.max_body_bytes) => body,
        () = shared.reporter.cut() => Err(Unread::Refused(shutting_down())),
    };
    finish.lap(Stage::Body);
    let (body, endpoint) = match body.and_then(|body| Ok((detect(&body)?, body))) {
        Ok((endpoint, body)) => (body, endpoint),
        // Nobody is left to be answered; dropping the record says so.
        Err(Unread::Gone) => return HttpResponse::BadRequest().force_close().finish(),
        Err(Unread::Refused(failure)) => return end(reply::failure(assumed, &failure, finish), assumed, decision),
    };
    finish.came(endpoint, &body);
    let call = Call {
        endpoint,
        request_id: request_id.clone(),
        caller,
        forwarded: extract::forwarded(request.headers(), endpoint.protocol),
        query: extract::forwarded_query(request, endpoint.protocol),
        strict: extract::strict(request.headers(), shared.settings.strict_translation),
    };
    let served = match endpoint.operation {
        Operation::CountTokens => proxy.count_tokens(call, body, finish).await,
        _ => proxy.serve(call, body, finish).await,
    };
    let response = match served {
        Ok(answer) => reply::to_http(answer, request.conn_data::<Rc<Exchange>>()),
        Err(unanswered) => reply::failure(endpoint, &unanswered.failure, unanswered.finish),
    };
    end(response, endpoint, decision)
}

/// What headers alone decide, before the body is read: the key, then the rate limit.
async fn admit(
    request: &HttpRequest,
    shared: &Shared,
    endpoint: Endpoint,
    finish: &mut Finish,
) -> Result<(Caller, Option<Decision>), (Failure, Option<Decision>)> {
    let caller = extract::caller(request, shared).map_err(|failure| (failure, None))?;
    finish.lap(Stage::Auth);
    if endpoint.operation == Operation::CountTokens {
        return Ok((caller, None));
    }
    let decision = throttle(&caller, &shared.handles.limits.load()).await;
    finish.lap(Stage::Limit);
    match decision.as_ref().and_then(refusal) {
        Some(failure) => {
            // Whose request it was is known, also where it is refused.
            finish.known_caller(&caller);
            Err((failure, decision))
        }
        None => Ok((caller, decision)),
    }
}

/// Why there is no body to go on with.
enum Unread {
    Refused(Failure),
    /// The client left in the middle of it.
    Gone,
}

impl From<Failure> for Unread {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

async fn read(request: &HttpRequest, payload: web::Payload, limit: usize) -> Result<Bytes, Unread> {
    let headers = request.headers();
    let too_large = || Failure::new(FailureKind::RequestTooLarge, format!("the body is larger than {limit} bytes"));
    let announced = text(headers, CONTENT_LENGTH.as_str()).and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large().into());
    }
    let encoding = text(headers, CONTENT_ENCODING.as_str()).filter(|encoding| !encoding.is_empty());
    if let Some(encoding) = encoding.filter(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        let message = format!("the body is encoded as {encoding:?}; send it uncompressed");
        return Err(Failure::new(FailureKind::UnsupportedContentEncoding, message).into());
    }
    payload::read(payload, announced, limit).await.map_err(|error| match error {
        BodyError::TooLarge => too_large().into(),
        BodyError::Slow => payload::too_slow().into(),
        BodyError::Gone => Unread::Gone,
        BodyError::Unreadable(error) => {
            Failure::new(FailureKind::InvalidJson, format!("the body cannot be read: {error}")).into()
        }
    })
}

/// What a request is told for which there is no place.
fn overloaded() -> Failure {
    let message = "llm-proxy is running as many requests as it may (MAX_CONCURRENT_REQUESTS)";
    Failure::new(FailureKind::Overloaded, message).with_retry_after(Duration::from_secs(1))
}

/// Adds what every answer of a generation endpoint carries.
fn finished(
    mut response: HttpResponse,
    endpoint: Endpoint,
    decision: Option<Decision>,
    request_id: &str,
) -> HttpResponse {
    reply::set(&mut response, "x-request-id", request_id);
    let is_anthropic = endpoint.protocol == Protocol::Anthropic;
    if is_anthropic {
        reply::set(&mut response, "request-id", request_id);
    }
    let Some(decision) = decision else {
        return response;
    };
    let (limit, remaining) = (decision.limit.to_string(), decision.remaining.to_string());
    if is_anthropic {
        let reset = chrono::Utc::now() + decision.full_in;
        let reset = crate::config::rfc3339(reset);
        reply::set(&mut response, "anthropic-ratelimit-requests-limit", &limit);
        reply::set(&mut response, "anthropic-ratelimit-requests-remaining", &remaining);
        reply::set(&mut response, "anthropic-ratelimit-requests-reset", &reset);
    }
    reply::set(&mut response, "x-ratelimit-limit-requests", &limit);
    reply::set(&mut response, "x-ratelimit-remaining-requests", &remaining);
    reply::set(&mut response, "x-ratelimit-reset-requests", &go_duration(decision.full_in));
    if !decision.can_recover {
        reply::set(&mut response, "x-should-retry", "false");
    }
    response
}

/// A time as OpenAI writes it in its rate limit headers: `20ms`, `1.5s`, `2m3s`.
fn go_duration(time: Duration) -> String {
    let (minutes, rest) = (time.as_secs() / 60, time.as_secs() % 60);
    match (minutes, rest) {
        (0, 0) => format!("{}ms", time.as_millis()),
        (0, _) => {
            format!("{}s", Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).as_secs_f64())
        }
        (minutes, rest) => format!("{minutes}m{rest}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_openai_writes_them() {
        for (milliseconds, text) in [(20, "20ms"), (1500, "1.5s"), (123_000, "2m3s"), (3_600_000, "60m0s"), (0, "0ms")]
        {
            assert_eq!(go_duration(Duration::from_millis(milliseconds)), text);
        }
    }
}
