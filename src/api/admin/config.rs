//! Which configuration is in force.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use chrono::Utc;

use super::auth::Admin;
use super::document::{ReadFailures, ReloadFailures};
use super::dto::{ConfigStatus, ConfigVersion, Replica, time};
use super::error::AdminError;
use super::writing::changed;
use crate::actors::ask;
use crate::actors::config::Reload;
use crate::api::Shared;
use crate::store::silent_after;

/// Tells the version of the configuration in force.
#[utoipa::path(
    get, path = "/admin/v1/config/version", tag = "config", operation_id = "get_config_version",
    responses((status = 200, description = "The version here and on other replicas", body = ConfigVersion), ReadFailures),
)]
pub(super) fn version(_: Admin, shared: web::Data<Shared>) -> Ready<HttpResponse> {
    let snapshot = shared.handles.snapshot.load();
    let now = Utc::now();
    let here = Replica { id: shared.settings.replica_id.clone(), version: snapshot.version, seen_at: time(now) };
    // While the database is away the list is not renewed.
    let seen = shared.handles.replicas.load();
    let others = seen.iter().filter(|seen| seen.id != here.id && seen.seen_at >= now - silent_after());
    let mut replicas: Vec<Replica> = others.map(Replica::from).collect();
    replicas.push(here);
    replicas.sort_unstable_by(|one, other| one.id.cmp(&other.id));
    ready(HttpResponse::Ok().json(ConfigVersion { status: ConfigStatus::from(&*snapshot), replicas }))
}

/// Reads the database again, on this replica, whatever the version.
#[utoipa::path(
    post, path = "/admin/v1/config/reload", tag = "config", operation_id = "reload_config",
    responses((status = 200, description = "What was read is in force", body = ConfigStatus), ReloadFailures),
)]
pub(super) async fn reload(_: Admin, shared: web::Data<Shared>) -> Result<HttpResponse, AdminError> {
    let writer = shared.handles.config.load();
    let snapshot = ask(&writer, Reload).await??;
    Ok(changed(StatusCode::OK, snapshot.version, &ConfigStatus::from(Arc::as_ref(&snapshot))))
}
