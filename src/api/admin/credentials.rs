//! Credentials.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};

use super::auth::Admin;
use super::document::{CreateFailures, DeleteFailures, ReadFailures, RowFailures, UpdateFailures};
use super::dto::{CreatedCredential, CredentialList, CredentialView, RotatedCredential, time};
use super::error::AdminError;
use super::fields::Body;
use super::page::ListQuery;
use super::reading::current;
use super::schemas::{CredentialChange, NewCredential, Rotation, StatusChange};
use super::writing::{apply, changed, deleted};
use super::{credential_body, row_id};
use crate::actors::config::Change;
use crate::api::Shared;
use crate::config::{Credential, CredentialPatch, CredentialRecord, Entity, Snapshot};

/// Lists credentials by id.
#[utoipa::path(
    get, path = "/admin/v1/credentials", tag = "credentials", operation_id = "list_credentials",
    params(ListQuery),
    responses((status = 200, description = "All of them, or a page", body = CredentialList), ReadFailures),
)]
pub(super) fn list(_: Admin, shared: web::Data<Shared>, query: ListQuery) -> Ready<Result<HttpResponse, AdminError>> {
    let now = Utc::now();
    let wanted =
        |credential: &&Arc<Credential>| query.wants(credential.record.is_enabled, || [credential.record.name.as_str()]);
    ready(current(&shared).map(|snapshot| {
        let (rows, paging) = query.cut(snapshot.credentials.iter().filter(wanted).collect());
        let credentials = rows.into_iter().map(|credential| CredentialView::new(credential, now)).collect();
        HttpResponse::Ok().json(CredentialList { version: snapshot.version, credentials, paging })
    }))
}

/// Shows one credential.
#[utoipa::path(
    get, path = "/admin/v1/credentials/{id}", tag = "credentials", operation_id = "get_credential",
    params(("id" = i32, Path)),
    responses((status = 200, description = "The credential", body = CredentialView), RowFailures),
)]
pub(super) fn show(
    _: Admin,
    shared: web::Data<Shared>,
    request: HttpRequest,
) -> Ready<Result<HttpResponse, AdminError>> {
    let shown = || view(&*current(&shared)?, row_id(&request, Entity::Credential)?);
    ready(shown().map(|credential| HttpResponse::Ok().json(credential)))
}

/// Adds a credential.
///
/// A generated key is shown in this answer only.
#[utoipa::path(
    post, path = "/admin/v1/credentials", tag = "credentials", operation_id = "create_credential",
    request_body = NewCredential,
    responses((status = 201, description = "The new credential", body = CreatedCredential), CreateFailures),
)]
pub(super) async fn create(admin: Admin, shared: web::Data<Shared>, body: Body) -> Result<HttpResponse, AdminError> {
    let new = credential_body::draft(body.fields()?)?;
    let applied = apply(&shared, admin, Change::CreateCredential(new.draft)).await?;
    let created = CreatedCredential {
        credential: view(&applied.snapshot, applied.id)?.with_preview_of(&new.key),
        key: new.is_generated.then(|| new.key.expose().to_owned()),
    };
    Ok(changed(StatusCode::CREATED, applied.version, &created))
}

/// Changes a credential.
///
/// What is absent stays as it is; an empty object changes nothing.
#[utoipa::path(
    put, path = "/admin/v1/credentials/{id}", tag = "credentials", operation_id = "update_credential",
    params(("id" = i32, Path)), request_body = CredentialChange,
    responses((status = 200, description = "The credential after the change", body = CredentialView), UpdateFailures),
)]
pub(super) async fn update(
    admin: Admin,
    shared: web::Data<Shared>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, AdminError> {
    let id = row_id(&request, Entity::Credential)?;
    patch(admin, &shared, id, credential_body::patch(body.fields()?)?).await
}

/// Switches a credential on or off.
#[utoipa::path(
    patch, path = "/admin/v1/credentials/{id}/status", tag = "credentials", operation_id = "set_credential_status",
    params(("id" = i32, Path)), request_body = StatusChange,
    responses((status = 200, description = "The credential after the change", body = CredentialView), UpdateFailures),
)]
pub(super) async fn set_status(
    admin: Admin,
    shared: web::Data<Shared>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, AdminError> {
    let id = row_id(&request, Entity::Credential)?;
    patch(admin, &shared, id, credential_body::status(body.fields()?)?).await
}

/// Replaces a credential's key.
///
/// The old key works until the grace is over; a second rotation ends the first grace.
#[utoipa::path(
    post, path = "/admin/v1/credentials/{id}/rotate", tag = "credentials", operation_id = "rotate_credential",
    params(("id" = i32, Path)), request_body = Rotation,
    responses((status = 200, description = "The new key, shown only here", body = RotatedCredential), UpdateFailures),
)]
pub(super) async fn rotate(
    admin: Admin,
    shared: web::Data<Shared>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, AdminError> {
    let id = row_id(&request, Entity::Credential)?;
    let rotation = credential_body::rotation(body.optional_fields()?)?;
    let snapshot = current(&shared)?;
    let patch = replace_key(&find(&snapshot, id)?.record, &rotation, Utc::now())?;
    let applied = apply(&shared, admin, Change::UpdateCredential(id, patch)).await?;
    let credential = find(&applied.snapshot, id)?;
    let until = credential.record.previous_valid_until.map(time);
    let old_key = until.as_ref().map_or_else(|| "no longer works".to_owned(), |end| format!("works until {end}"));
    let rotated = RotatedCredential {
        version: applied.version,
        new_key: rotation.key.expose().to_owned(),
        message: format!("The old key {old_key}. The new key is shown only now"),
        previous_key_valid_until: until,
        credential: CredentialView::new(credential, Utc::now()),
    };
    Ok(changed(StatusCode::OK, applied.version, &rotated))
}

fn replace_key(
    before: &CredentialRecord,
    rotation: &credential_body::Rotation,
    now: DateTime<Utc>,
) -> Result<CredentialPatch, AdminError> {
    let key_hash = rotation.key.hash();
    if key_hash == before.key_hash {
        return Err(AdminError::conflict("key", "This is the present key; a rotation needs another one"));
    }
    let grace_until = (!rotation.grace.is_zero()).then(|| now + rotation.grace);
    Ok(CredentialPatch { key_hash: Some(key_hash), grace_until, ..CredentialPatch::default() })
}

/// Removes a credential.
///
/// Running requests finish.
#[utoipa::path(
    delete, path = "/admin/v1/credentials/{id}", tag = "credentials", operation_id = "delete_credential",
    params(("id" = i32, Path)),
    responses((status = 204, description = "It is gone"), DeleteFailures),
)]
pub(super) async fn delete(
    admin: Admin,
    shared: web::Data<Shared>,
    request: HttpRequest,
) -> Result<HttpResponse, AdminError> {
    let id = row_id(&request, Entity::Credential)?;
    let applied = apply(&shared, admin, Change::DeleteCredential(id)).await?;
    Ok(deleted(applied.version))
}

async fn patch(admin: Admin, shared: &Shared, id: i32, patch: CredentialPatch) -> Result<HttpResponse, AdminError> {
    let applied = apply(shared, admin, Change::UpdateCredential(id, patch)).await?;
    Ok(changed(StatusCode::OK, applied.version, &view(&applied.snapshot, applied.id)?))
}

fn view(snapshot: &Snapshot, id: i32) -> Result<CredentialView, AdminError> {
    find(snapshot, id).map(|credential| CredentialView::new(credential, Utc::now()))
}

fn find(snapshot: &Snapshot, id: i32) -> Result<&Credential, AdminError> {
    let found = snapshot.credentials.iter().find(|credential| credential.record.id == id);
    found.map(Arc::as_ref).ok_or_else(|| AdminError::no_row(Entity::Credential, id))
}
