//! Carrying out a change and answering with the version that has it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;

use super::auth::Admin;
use super::error::AdminError;
use crate::actors::ask;
use crate::actors::config::{Applied, Apply, Change};
use crate::api::Shared;

/// Names the version of the configuration that has the change.
const VERSION: &str = "x-config-version";

/// Stores `change`; when this returns, every new request sees it.
pub(super) async fn apply(shared: &Shared, admin: Admin, change: Change) -> Result<Applied, AdminError> {
    let writer = shared.handles.config.load();
    Ok(ask(&writer, Apply::new(change, admin.actor)).await??)
}

/// An answer that names `version`.
pub(super) fn changed(status: StatusCode, version: i64, body: &impl Serialize) -> HttpResponse {
    HttpResponse::build(status).insert_header((VERSION, version.to_string())).json(body)
}

/// The answer to a deletion.
pub(super) fn deleted(version: i64) -> HttpResponse {
    HttpResponse::NoContent().insert_header((VERSION, version.to_string())).finish()
}
