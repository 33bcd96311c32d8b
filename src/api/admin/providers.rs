//! Providers.

use std::future::{Ready, ready};

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::auth::Admin;
use super::document::{CreateFailures, DeleteFailures, ReadFailures, RowFailures, UpdateFailures};
use super::dto::{ProviderList, ProviderView};
use super::error::AdminError;
use super::fields::Body;
use super::page::ListQuery;
use super::reading::current;
use super::schemas::{NewProvider, ProviderChange, StatusChange};
use super::writing::{apply, changed, deleted};
use super::{provider_body, row_id};
use crate::actors::config::{Applied, Change};
use crate::api::Shared;
use crate::config::{AddressRule, Entity, ProviderPatch, ProviderRecord, Snapshot};

/// Lists providers by id.
#[utoipa::path(
    get, path = "/admin/v1/providers", tag = "providers", operation_id = "list_providers",
    params(ListQuery),
    responses((status = 200, description = "All of them, or a page", body = ProviderList), ReadFailures),
)]
pub(super) fn list(_: Admin, shared: web::Data<Shared>, query: ListQuery) -> Ready<Result<HttpResponse, AdminError>> {
    ready(current(&shared).map(|snapshot| {
        let wanted = |record: &&ProviderRecord| query.wants(record.is_enabled, || searched(record));
        let (rows, paging) = query.cut(snapshot.providers.iter().filter(wanted).collect());
        let providers = rows.into_iter().map(|record| ProviderView::new(record, &shared.handles.sealer)).collect();
        HttpResponse::Ok().json(ProviderList { version: snapshot.version, providers, paging })
    }))
}

/// The texts of a provider that a search looks into.
fn searched(record: &ProviderRecord) -> Vec<&str> {
    let mut texts = vec![record.provider_key.as_str(), &record.provider_type, &record.api_base];
    for (key, target) in record.model_mapping.as_object().into_iter().flatten() {
        texts.push(key);
        texts.extend(target.as_str().or_else(|| target.get("mapped_model").and_then(Value::as_str)));
    }
    texts
}

/// Shows one provider.
#[utoipa::path(
    get, path = "/admin/v1/providers/{id}", tag = "providers", operation_id = "get_provider",
    params(("id" = i32, Path)),
    responses((status = 200, description = "The provider", body = ProviderView), RowFailures),
)]
pub(super) fn show(
    _: Admin,
    shared: web::Data<Shared>,
    request: HttpRequest,
) -> Ready<Result<HttpResponse, AdminError>> {
    let shown = || view(&shared, &*current(&shared)?, row_id(&request, Entity::Provider)?);
    ready(shown().map(|provider| HttpResponse::Ok().json(provider)))
}

/// Adds a provider.
#[utoipa::path(
    post, path = "/admin/v1/providers", tag = "providers", operation_id = "create_provider",
    request_body = NewProvider,
    responses((status = 201, description = "The new provider", body = ProviderView), CreateFailures),
)]
pub(super) async fn create(admin: Admin, shared: web::Data<Shared>, body: Body) -> Result<HttpResponse, AdminError> {
    let draft = provider_body::draft(body.fields()?, addresses(&shared))?;
    let applied = apply(&shared, admin, Change::CreateProvider(draft)).await?;
    answer(&shared, StatusCode::CREATED, &applied)
}

/// Changes a provider.
///
/// What is absent stays as it is; an empty object changes nothing.
#[utoipa::path(
    put, path = "/admin/v1/providers/{id}", tag = "providers", operation_id = "update_provider",
    params(("id" = i32, Path)), request_body = ProviderChange,
    responses((status = 200, description = "The provider after the change", body = ProviderView), UpdateFailures),
)]
pub(super) async fn update(
    admin: Admin,
    shared: web::Data<Shared>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, AdminError> {
    let id = row_id(&request, Entity::Provider)?;
    patch(admin, &shared, id, provider_body::patch(body.fields()?, addresses(&shared))?).await
}

/// Switches a provider on or off.
#[utoipa::path(
    patch, path = "/admin/v1/providers/{id}/status", tag = "providers", operation_id = "set_provider_status",
    params(("id" = i32, Path)), request_body = StatusChange,
    responses((status = 200, description = "The provider after the change", body = ProviderView), UpdateFailures),
)]
pub(super) async fn set_status(
    admin: Admin,
    shared: web::Data<Shared>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, AdminError> {
    let id = row_id(&request, Entity::Provider)?;
    patch(admin, &shared, id, provider_body::status(body.fields()?)?).await
}

/// Removes a provider.
///
/// Running requests finish.
#[utoipa::path(
    delete, path = "/admin/v1/providers/{id}", tag = "providers", operation_id = "delete_provider",
    params(("id" = i32, Path)),
    responses((status = 204, description = "It is gone"), DeleteFailures),
)]
pub(super) async fn delete(
    admin: Admin,
    shared: web::Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, AdminError> {
    let id = row_id(&request, Entity::Provider)?;
    let applied = apply(&shared, admin, Change::DeleteProvider(id)).await?;
    Ok(deleted(applied.version))
}

fn addresses(shared: &Shared) -> AddressRule {
    AddressRule::new(shared.settings.upstream.allow_link_local)
}

async fn patch(admin: Admin, shared: &Shared, id: i32, patch: ProviderPatch) -> Result<HttpResponse, AdminError> {
    let applied = apply(shared, admin, Change::UpdateProvider(id, patch)).await?;
    answer(shared, StatusCode::OK, &applied)
}

fn answer(shared: &Shared, status: StatusCode, applied: &Applied) -> Result<HttpResponse, AdminError> {
    Ok(changed(status, applied.version, &view(shared, &applied.snapshot, applied.id)?))
}

fn view(shared: &Shared, snapshot: &Snapshot, id: i32) -> Result<ProviderView, AdminError> {
    let found = snapshot.providers.iter().find(|record| record.id == id);
    let view = |record| ProviderView::new(record, &shared.handles.sealer);
    found.map(view).ok_or_else(|| AdminError::no_row(Entity::Provider, id))
}
