//! Logs: lists, single rows, sums, and their removal.

pub(super) mod error_logs;
mod export;
mod parameters;
mod query;
pub(super) mod request_logs;
pub(super) mod stats;
pub(super) mod summary;

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::AdminError;
use super::fields::Body;
use super::resource;
use crate::actors::ask;
use crate::actors::logs::DeleteLogs;
use crate::api::{Shared, get};
use crate::store::logs::{ErrorLogItem, LogPage, LogTable, RequestLogItem};

/// A page of the request logs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RequestLogPage {
    /// Rows without headers and bodies.
    items: Vec<RequestLogItem>,
    #[serde(flatten)]
    place: Place,
}

/// A page of the error logs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorLogPage {
    /// Rows without headers and bodies.
    items: Vec<ErrorLogItem>,
    #[serde(flatten)]
    place: Place,
}

/// Where a page stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Place {
    /// Rows of the whole list.
    total: i64,
    /// From 1; null when a cursor was given.
    #[schema(required)]
    page: Option<i64>,
    /// Rows on a page.
    page_size: i64,
    /// Pages of the whole list.
    total_pages: i64,
    /// Goes on from here as the parameter `cursor`; null at the end.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// How many rows were deleted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeletedLogs {
    deleted: usize,
}

/// Mounts the calls about logs.
pub(super) fn routes(scope: &mut web::ServiceConfig) {
    scope
        .service(resource("/logs", "GET, HEAD").route(get().to(request_logs::list)))
        .service(resource("/logs/stats", "GET, HEAD").route(get().to(stats::stats)))
        .service(resource("/logs/export", "GET").route(web::get().to(request_logs::export)))
        .service(resource("/logs/batch-delete", "POST").route(web::post().to(request_logs::batch_delete)))
        .service(
            resource("/logs/{id}", "GET, HEAD, DELETE")
                .route(get().to(request_logs::show))
                .route(web::delete().to(request_logs::delete)),
        )
        .service(resource("/error-logs", "GET, HEAD").route(get().to(error_logs::list)))
        .service(resource("/error-logs/export", "GET").route(web::get().to(error_logs::export)))
        .service(resource("/error-logs/batch-delete", "POST").route(web::post().to(error_logs::batch_delete)))
        .service(
            resource("/error-logs/{id}", "GET, HEAD, DELETE")
                .route(get().to(error_logs::show))
                .route(web::delete().to(error_logs::delete)),
        )
        .service(resource("/metrics/summary", "GET, HEAD").route(get().to(summary::summary)));
}

impl Place {
    /// Of the page number `page`.
    fn of<T>(rows: &LogPage<T>, page: Option<i64>, page_size: i64) -> Self {
        let total = rows.total.unwrap_or(0);
        let total_pages = total / page_size + i64::from(total % page_size > 0);
        let next_cursor = rows.next.as_ref().map(crate::store::logs::Cursor::encode);
        Self { total, page, page_size, total_pages, next_cursor }
    }
}

/// The id in the path. What is no integer names no row.
fn log_id(request: &HttpRequest, table: LogTable) -> Result<i64, AdminError> {
    let text = request.match_info().query("id");
    text.parse().map_err(|_error| AdminError::no_log(table, text))
}

async fn delete_one(request: &HttpRequest, shared: &Shared, table: LogTable) -> Result<HttpResponse, AdminError> {
    let id = log_id(request, table)?;
    match ask(&shared.handles.logs.load(), DeleteLogs(table, vec![id])).await?? {
        0 => Err(AdminError::no_log(table, id)),
        _ => Ok(HttpResponse::NoContent().finish()),
    }
}

async fn delete_many(body: &Body, shared: &Shared, table: LogTable) -> Result<HttpResponse, AdminError> {
    let mut fields = body.fields()?;
    let ids = fields.required("ids", |field| field.ids())?;
    fields.finish()?;
    let deleted = ask(&shared.handles.logs.load(), DeleteLogs(table, ids)).await??;
    Ok(HttpResponse::Ok().json(DeletedLogs { deleted }))
}
