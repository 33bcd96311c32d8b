//! The admin API: `/admin/v1`.
//!
//! Reads answer from the published snapshot; writes go through the one writer of configuration
//! and return when every new request sees them.

pub(super) mod auth;
mod checks;
mod circuit;
mod config;
mod credential_body;
mod credentials;
mod detailed;
pub(super) mod document;
mod dto;
pub(super) mod error;
mod explain;
mod fields;
mod history;
mod logs;
mod page;
mod provider_body;
mod providers;
mod reading;
mod schemas;
#[cfg(test)]
mod tests;
mod writing;

use std::future::{Ready, ready};

use actix_web::{HttpRequest, HttpResponse, Resource, web};

use self::auth::Admin;
use self::error::AdminError;
use super::{get, live, openapi};
use crate::config::Entity;

/// Mounts everything below `/admin/v1`, and what else the admin key opens. Needs `web::Data<Shared>`.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    let scope = web::scope("/admin/v1")
        .service(resource("/auth/validate", "POST").route(web::post().to(auth::validate)))
        .service(resource("/openapi.json", "GET, HEAD").route(get().to(document)))
        .service(resource("/config/version", "GET, HEAD").route(get().to(config::version)))
        .service(resource("/config/feed", "GET").route(web::get().to(live::feed)))
        .service(resource("/config/reload", "POST").route(web::post().to(config::reload)))
        .service(resource("/config/changes", "GET, HEAD").route(get().to(history::changes)))
        .service(resource("/config/rollback", "POST").route(web::post().to(history::rollback)))
        .service(resource("/explain", "POST").route(web::post().to(explain::explain_route)))
        .configure(provider_routes)
        .configure(credential_routes)
        .configure(logs::routes)
        .default_service(web::to(unknown_path));
    app.service(scope).service(resource("/health/detailed", "GET, HEAD").route(get().to(detailed::detailed)));
}

fn provider_routes(scope: &mut web::ServiceConfig) {
    scope
        .service(
            resource("/providers", "GET, HEAD, POST")
                .route(get().to(providers::list))
                .route(web::post().to(providers::create)),
        )
        .service(
            resource("/providers/{id}", "GET, HEAD, PUT, DELETE")
                .route(get().to(providers::show))
                .route(web::put().to(providers::update))
                .route(web::delete().to(providers::delete)),
        )
        .service(resource("/providers/{id}/status", "PATCH").route(web::patch().to(providers::set_status)))
        .service(resource("/providers/{id}/health", "POST").route(web::post().to(checks::one)))
        .service(resource("/health/providers/{id}", "GET, HEAD").route(get().to(checks::one_by_query)))
        .service(resource("/health/check", "POST").route(web::post().to(checks::many)));
}

fn credential_routes(scope: &mut web::ServiceConfig) {
    scope
        .service(
            resource("/credentials", "GET, HEAD, POST")
                .route(get().to(credentials::list))
                .route(web::post().to(credentials::create)),
        )
        .service(
            resource("/credentials/{id}", "GET, HEAD, PUT, DELETE")
                .route(get().to(credentials::show))
                .route(web::put().to(credentials::update))
                .route(web::delete().to(credentials::delete)),
        )
        .service(resource("/credentials/{id}/status", "PATCH").route(web::patch().to(credentials::set_status)))
        .service(resource("/credentials/{id}/rotate", "POST").route(web::post().to(credentials::rotate)));
}

/// A path that refuses every method but those of its routes, which `allow` repeats.
fn resource(path: &str, allow: &'static str) -> Resource {
    let refuse = move |_: Admin| ready(Err::<HttpResponse, _>(AdminError::wrong_method(allow)));
    super::resource(path).default_service(web::to(refuse))
}

fn unknown_path(_: Admin, request: HttpRequest) -> Ready<Result<HttpResponse, AdminError>> {
    ready(Err(AdminError::no_path(request.path())))
}

/// The row that the path names. What is no integer names no row.
fn row_id(request: &HttpRequest, entity: Entity) -> Result<i32, AdminError> {
    let text = request.match_info().query("id");
    text.parse().map_err(|_error| AdminError::no_row(entity, text))
}

/// Describes this API.
#[utoipa::path(
    get, path = "/admin/v1/openapi.json", tag = "config", operation_id = "get_openapi", security(()),
    responses((status = 200, description = "An OpenAPI 3.1 document", body = serde_json::Value)),
)]
fn document() -> Ready<HttpResponse> {
    ready(HttpResponse::Ok().json(openapi::shared()))
}
