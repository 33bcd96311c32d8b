//! Failed attempts, and errors of our own.

use actix_web::{HttpRequest, HttpResponse, web};

use super::query::{ExportQuery, ListQuery};
use super::{DeletedLogs, ErrorLogPage, Place, delete_many, delete_one, export, log_id};
use crate::actors::ask;
use crate::actors::logs::{ReadErrorLog, ReadErrorLogs};
use crate::api::Shared;
use crate::api::admin::auth::Admin;
use crate::api::admin::document::{LogDeleteFailures, LogFailures, LogRowFailures, LogsDeleteFailures};
use crate::api::admin::error::AdminError;
use crate::api::admin::fields::Body;
use crate::api::admin::schemas::LogIds;
use crate::store::logs::{ErrorFilter, ErrorLogDetail, ErrorLogItem, LogTable};

const TABLE: LogTable = LogTable::Errors;

/// Lists error logs, newest first unless asked otherwise.
#[utoipa::path(
    get, path = "/admin/v1/error-logs", tag = "logs", operation_id = "list_error_logs",
    params(ListQuery<ErrorFilter>),
    responses((status = 200, description = "A page without headers and bodies", body = ErrorLogPage), LogFailures),
)]
pub(in crate::api::admin) async fn list(
    _: Admin,
    shared: web::Data<Shared>,
    query: ListQuery<ErrorFilter>,
) -> Result<HttpResponse, AdminError> {
    let size = query.slice.size;
    let rows = ask(&shared.handles.logs.load(), ReadErrorLogs(query.filter, query.slice)).await??;
    let place = Place::of(&rows, query.page, size);
    Ok(HttpResponse::Ok().json(ErrorLogPage { items: rows.items, place }))
}

/// Gives error logs as a table for spreadsheets.
///
/// All rows that the filters mean, without headers and bodies. Text that a spreadsheet would take
/// for a formula begins with an apostrophe. When the database fails half-way the answer is cut off.
#[utoipa::path(
    get, path = "/admin/v1/error-logs/export", tag = "logs", operation_id = "export_error_logs",
    params(ExportQuery<ErrorFilter>),
    responses((status = 200, description = "CSV (RFC 4180) with the names of the columns", body = String,
        content_type = "text/csv"), LogFailures),
)]
pub(in crate::api::admin) async fn export(
    _: Admin,
    shared: web::Data<Shared>,
    query: ExportQuery<ErrorFilter>,
) -> Result<HttpResponse, AdminError> {
    let ExportQuery { filter, sort, descending } = query;
    let read = move |slice| {
        let (actor, question) = (shared.handles.logs.load(), ReadErrorLogs(filter.clone(), slice));
        async move { Ok(ask(&actor, question).await??) }
    };
    export::csv("error-logs.csv", ErrorLogItem::COLUMNS, export::first(sort, descending), read).await
}

/// Shows an error log with its headers and bodies.
#[utoipa::path(
    get, path = "/admin/v1/error-logs/{id}", tag = "logs", operation_id = "get_error_log",
    params(("id" = i64, Path)),
    responses((status = 200, description = "All columns", body = ErrorLogDetail), LogRowFailures),
)]
pub(in crate::api::admin) async fn show(
    _: Admin,
    request: HttpRequest,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, AdminError> {
    let id = log_id(&request, TABLE)?;
    let row = ask(&shared.handles.logs.load(), ReadErrorLog(id)).await??;
    Ok(HttpResponse::Ok().json(row.ok_or_else(|| AdminError::no_log(TABLE, id))?))
}

/// Deletes an error log.
#[utoipa::path(
    delete, path = "/admin/v1/error-logs/{id}", tag = "logs", operation_id = "delete_error_log",
    params(("id" = i64, Path)),
    responses((status = 204, description = "It is gone"), LogDeleteFailures),
)]
pub(in crate::api::admin) async fn delete(
    _: Admin,
    request: HttpRequest,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, AdminError> {
    delete_one(&request, &shared, TABLE).await
}

/// Deletes error logs by their ids.
#[utoipa::path(
    post, path = "/admin/v1/error-logs/batch-delete", tag = "logs", operation_id = "delete_error_logs",
    request_body = LogIds,
    responses((status = 200, description = "How many there were of them", body = DeletedLogs), LogsDeleteFailures),
)]
pub(in crate::api::admin) async fn batch_delete(
    _: Admin,
    shared: web::Data<Shared>,
    body: Body,
) -> Result<HttpResponse, AdminError> {
    delete_many(&body, &shared, TABLE).await
}
