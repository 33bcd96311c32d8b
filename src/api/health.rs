//! Whether this process is alive and takes requests, and its metrics.

use actix_web::{HttpResponse, web};
use serde::Serialize;

use super::Shared;

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
    let status = if is_serving(&shared) { "ok" } else { "draining" };
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
    if is_serving(&shared) {
        let version = Some(shared.handles.snapshot.load().version);
        return HttpResponse::Ok().json(Ready { status: "ready", version });
    }
    HttpResponse::ServiceUnavailable().json(Ready { status: "draining", version: None })
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

fn is_serving(shared: &Shared) -> bool {
    *shared.phase.borrow() == Phase::Serving
}
