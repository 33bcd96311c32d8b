//! Whether this process is alive and takes requests, and its metrics.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::Shared;
use crate::config::Snapshot;

/// Where the process is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It serves.
    Serving,
    /// It serves, but wants no new traffic.
    Draining,
    /// New requests are refused; running ones end.
    Closing,
}

#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    providers_count: usize,
    credentials_count: usize,
}

#[derive(Debug, Serialize)]
struct Ready {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
}

/// Always 200: what is configured.
pub(super) async fn health(shared: web::Data<Shared>) -> HttpResponse {
    let snapshot = shared.handles.snapshot.load();
    let status = waits(&shared, &snapshot).unwrap_or("ok");
    HttpResponse::Ok().json(Health {
        status,
        providers_count: snapshot.providers.iter().filter(|provider| provider.is_enabled).count(),
        credentials_count: snapshot.credentials.iter().filter(|found| found.record.is_enabled).count(),
    })
}

/// Always 200: the process answers.
pub(super) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(Ready { status: "ok", version: None })
}

/// 200 while the process wants traffic, else 503.
pub(super) async fn ready(shared: web::Data<Shared>) -> HttpResponse {
    let snapshot = shared.handles.snapshot.load();
    match waits(&shared, &snapshot) {
        None => HttpResponse::Ok().json(Ready { status: "ready", version: Some(snapshot.version) }),
        Some(status) => HttpResponse::ServiceUnavailable().json(Ready { status, version: None }),
    }
}

/// Prometheus' text format.
pub(super) async fn metrics(shared: web::Data<Shared>) -> HttpResponse {
    match shared.telemetry.render() {
        Ok(text) => HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(text),
        Err(error) => {
            log::error!(error:%; "cannot render the metrics");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// Why the process wants no traffic; `None` when it does.
fn waits(shared: &Shared, snapshot: &Snapshot) -> Option<&'static str> {
    match *shared.phase.borrow() {
        Phase::Draining | Phase::Closing => Some("draining"),
        Phase::Serving if !snapshot.is_loaded() => Some("starting"),
        Phase::Serving => None,
    }
}
