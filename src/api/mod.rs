//! The HTTP edge. With `server` the only user of actix-web.

mod admin;
mod client;
mod cors;
mod detect;
mod exchange;
mod extract;
mod generate;
mod health;
mod held;
mod live;
mod model_info;
mod models;
mod openapi;
mod payload;
mod reply;
mod slots;
mod ui;

use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, Resource, guard, web};

use crate::actors::Handles;
use crate::chat::{Operation, Protocol};
use crate::proxy::{Endpoint, Reporter};
use crate::settings::Settings;
use crate::telemetry::Telemetry;

pub use exchange::{Exchange, Newcomers};
pub use health::Phase;
pub use live::{FeedTimings, is_hang_up};
pub use openapi::openapi;
pub use payload::keep_pace;
pub use reply::finish;
pub use slots::RequestSlots;

/// What every handler needs; one for all workers.
pub struct Shared {
    /// The actors and their views.
    pub handles: Handles,
    /// The environment.
    pub settings: Arc<Settings>,
    /// The metrics.
    pub telemetry: Telemetry,
    /// Where ends of requests are told.
    pub reporter: Arc<Reporter>,
    /// Whether the process takes requests.
    pub phase: tokio::sync::watch::Receiver<Phase>,
    /// The places of generation requests.
    pub slots: RequestSlots,
    /// How patient the feed of changes is.
    pub feed: FeedTimings,
}

/// Every generation endpoint: canonical path, protocol, operation.
const CHAT: Endpoint = endpoint("/v1/chat/completions", Protocol::OpenAiChat, Operation::Generate);
const COMPLETIONS: Endpoint = endpoint("/v1/completions", Protocol::OpenAiChat, Operation::Completions);
const EMBEDDINGS: Endpoint = endpoint("/v1/embeddings", Protocol::OpenAiChat, Operation::Embeddings);
const MESSAGES: Endpoint = endpoint("/v1/messages", Protocol::Anthropic, Operation::Generate);
const COUNT_TOKENS: Endpoint = endpoint("/v1/messages/count_tokens", Protocol::Anthropic, Operation::CountTokens);
const RESPONSES: Endpoint = endpoint("/v1/responses", Protocol::OpenAiResponses, Operation::Generate);

const fn endpoint(path: &'static str, protocol: Protocol, operation: Operation) -> Endpoint {
    Endpoint { path, protocol, operation }
}

/// Every route of the server. Wants `web::Data` of [`Shared`] and of `proxy::Proxy`.
pub fn routes(config: &mut web::ServiceConfig) {
    for endpoint in [CHAT, COMPLETIONS, EMBEDDINGS, MESSAGES, COUNT_TOKENS, RESPONSES] {
        let name = endpoint.path.trim_start_matches("/v1");
        generation(config, endpoint.path, endpoint);
        generation(config, &format!("/v2{name}"), endpoint);
        // The shortest form only for what clients call with a base URL without a version.
        if matches!(endpoint, CHAT | MESSAGES | RESPONSES) {
            generation(config, name, endpoint);
        }
    }
    config.service(resource("/v2").route(web::post().to(detect::detect)).default_service(wrong_method("/v2", "POST")));
    for path in ["/v1/models", "/v2/models"] {
        config.service(reading(path).route(get().to(models::list)));
        config.service(reading(&format!("{path}/{{id:.+}}")).route(get().to(models::one)));
    }
    for path in ["/v1/model/info", "/v2/model/info"] {
        config.service(reading(path).route(get().to(model_info::info)));
    }
    config.service(
        resource("/api/event_logging/batch")
            .route(web::post().to(event_logging))
            .default_service(wrong_method("other", "POST")),
    );
    config
        .service(reading("/health").route(get().to(health::health)))
        .service(reading("/health/live").route(get().to(health::live)))
        .service(reading("/health/ready").route(get().to(health::ready)))
        .service(reading("/metrics").route(get().to(health::metrics)))
        .configure(admin::routes)
        .configure(openapi::routes)
        .configure(ui::routes)
        .default_service(web::to(reply::unknown_url));
}

/// A path with and without a trailing slash, that answers POST. They are two resources, which are
/// compared as they are; one of two paths would be a regex.
fn generation(config: &mut web::ServiceConfig, path: &str, endpoint: Endpoint) {
    for path in [path.to_owned(), format!("{path}/")] {
        let handler =
            move |request, payload, shared, proxy| generate::generate(endpoint, request, payload, shared, proxy);
        let resource = web::resource(path).route(web::post().to(handler));
        config.service(resource.default_service(wrong_method(endpoint.path, "POST")));
    }
}

/// A path with and without a trailing slash, that answers GET and HEAD.
fn reading(path: &str) -> Resource {
    resource(path).default_service(wrong_method("other", "GET, HEAD"))
}

fn wrong_method(path: &'static str, allowed: &'static str) -> actix_web::Route {
    web::to(move |request: HttpRequest, shared: web::Data<Shared>| {
        std::future::ready(reply::wrong_method(path, allowed, &request, &shared))
    })
}

fn resource(path: &str) -> Resource {
    web::resource([path.to_owned(), format!("{path}/")])
}

fn get() -> actix_web::Route {
    web::route().guard(guard::Any(guard::Method(Method::GET)).or(guard::Method(Method::HEAD)))
}

/// Claude Code sends its own usage events beside its requests; they are nobody's business here.
async fn event_logging(request: HttpRequest, payload: web::Payload, shared: web::Data<Shared>) -> HttpResponse {
    if let Err(payload::BodyError::Slow) = payload::discard(payload).await {
        return reply::refuse(&request, &shared, "other", payload::too_slow());
    }
    HttpResponse::Ok().json(serde_json::json!({"status": "ok"}))
}
