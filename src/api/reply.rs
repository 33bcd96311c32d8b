//! Replies in the web framework's terms, and the errors that no handler makes.

use std::cell::Cell;
use std::rc::Rc;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse, ResponseError as _, web};

use super::admin::error::AdminError;
use super::held::hold;
use super::{Exchange, Phase, Shared, cors, extract};
use crate::chat::{Failure, FailureKind, Operation, Protocol};
use crate::codec::encode_error;
use crate::proxy::{Endpoint, Finish, Reply, ReplyBody, failure_reply};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A reply of the proxy.
pub(super) fn to_http(reply: Reply, exchange: Option<&Rc<Exchange>>) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut builder = HttpResponse::build(status);
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            builder.insert_header((name, value));
        }
    }
    match reply.body {
        ReplyBody::Whole(body) => builder.content_type("application/json").body(body),
        ReplyBody::Stream(stream) => {
            let last = LastIfBroken { is_broken: stream.is_broken(), exchange: exchange.cloned() };
            let response = builder
                .content_type("text/event-stream; charset=utf-8")
                .insert_header((CACHE_CONTROL, "no-cache"))
                .insert_header(("x-accel-buffering", "no"))
                .streaming(stream);
            response.map_body(|_, body| hold(body, last))
        }
    }
}

/// Ends the connection with a stream that ends with a failure. Its head, which promised to keep the
/// connection, is long gone then.
struct LastIfBroken {
    is_broken: Rc<Cell<bool>>,
    exchange: Option<Rc<Exchange>>,
}

impl Drop for LastIfBroken {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange.as_ref().filter(|_| self.is_broken.get()) {
            exchange.end_with_answer();
        }
    }
}

/// A failure in the client's protocol; ends the record of the request.
pub(super) fn failure(endpoint: Endpoint, failure: &Failure, finish: Finish) -> HttpResponse {
    let encode = |failure: &Failure, id: &str| encode_error(endpoint.protocol, failure, id);
    let mut response = to_http(failure_reply(failure, finish, encode), None);
    match failure.kind {
        FailureKind::InvalidApiKey => set(&mut response, "www-authenticate", "Bearer"),
        FailureKind::ShuttingDown | FailureKind::RequestTimeout => close(&mut response),
        _ => {}
    }
    response
}

/// Ends the connection after this answer.
pub(super) fn close<B>(response: &mut HttpResponse<B>) {
    response.head_mut().set_connection_type(ConnectionType::Close);
}

/// Sets a header; a value that no header can hold is left out.
pub(super) fn set(response: &mut HttpResponse, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// The answer to a path that does not exist.
pub(super) async fn unknown_url(request: HttpRequest, shared: web::Data<Shared>) -> HttpResponse {
    if request.path() == "/admin" || request.path().starts_with("/admin/") {
        return AdminError::no_path(request.path()).error_response();
    }
    let message = format!("unknown request URL: {} {}", request.method(), request.path());
    refuse(&request, &shared, "other", Failure::new(FailureKind::UnknownUrl, message))
}

/// The answer to a path that exists, asked with a method that it does not know.
pub(super) fn wrong_method(
    path: &'static str,
    allowed: &'static str,
    request: &HttpRequest,
    shared: &Shared,
) -> HttpResponse {
    let message = format!("{} does not take {}; it takes {allowed}", request.path(), request.method());
    let mut response = refuse(request, shared, path, Failure::new(FailureKind::MethodNotAllowed, message));
    set(&mut response, "allow", allowed);
    response
}

/// The answer to a request that nobody takes.
pub(super) fn refuse(request: &HttpRequest, shared: &Shared, path: &'static str, cause: Failure) -> HttpResponse {
    let protocol = if is_anthropic(request.path()) { Protocol::Anthropic } else { Protocol::OpenAiChat };
    let endpoint = Endpoint { path, protocol, operation: Operation::Generate };
    let finish = extract::open(request, shared, path, endpoint.protocol);
    let request_id = finish.request_id().to_owned();
    let mut response = failure(endpoint, &cause, finish);
    set(&mut response, "x-request-id", &request_id);
    if endpoint.protocol == Protocol::Anthropic {
        set(&mut response, "request-id", &request_id);
    }
    response
}

/// Whether errors of a path have Anthropic's shape.
fn is_anthropic(path: &str) -> bool {
    ["/v1/messages", "/v2/messages", "/messages"].iter().any(|prefix| path.starts_with(prefix))
}

/// Middleware: every answer carries a request id, those of the admin API and of health too, and
/// what pages of other origins need; once the process is to stop, it ends its connection.
///
/// # Errors
/// Those of the handler.
pub async fn finish(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    let given = request.headers().get(X_REQUEST_ID).cloned();
    let shared = request.app_data::<web::Data<Shared>>().cloned();
    let mut response = cors::serve(request, next).await?;
    let is_stopping = shared.is_some_and(|shared| *shared.phase.borrow() != Phase::Serving);
    if is_stopping && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        // What load balancers keep must be gone before the listener is.
        close(response.response_mut());
    }
    if !response.headers().contains_key(X_REQUEST_ID)
        && let Ok(id) = HeaderValue::try_from(extract::request_id(given.as_ref()))
    {
        response.headers_mut().insert(X_REQUEST_ID, id);
    }
    Ok(response)
}
