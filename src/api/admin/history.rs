//! Who changed what, and going back.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use serde::Serialize;
use url::form_urlencoded;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, Required};
use utoipa::{IntoParams, ToSchema};

use super::auth::Admin;
use super::document::{HistoryFailures, UpdateFailures};
use super::error::AdminError;
use super::fields::Body;
use super::schemas::RollbackWish;
use super::writing::changed;
use crate::actors::ask;
use crate::actors::history::{ReadChanges, Rollback};
use crate::api::Shared;
use crate::config::{ChangeRecord, FieldError, Sealer, ShownChange};

const DEFAULT_LIMIT: i64 = 100;
const LARGEST_LIMIT: i64 = 500;

/// Changes of the configuration.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConfigChanges {
    /// The version of the configuration in force.
    version: i64,
    /// In the order in which they were made; never only a part of a version.
    changes: Vec<ShownChange>,
    /// Whether there are later ones.
    has_more: bool,
}

/// What a rollback changed, or would change.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConfigRollback {
    /// The version that the rollback made; the version before it when it changed nothing or was a dry run.
    version: i64,
    /// The version that the configuration is now the same as, but for what credentials keep.
    restored_to: i64,
    /// All at one version.
    changes: Vec<ShownChange>,
}

/// Which changes are asked for. Parameters that are not named here are ignored.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ChangesQuery {
    since: Option<i64>,
    limit: i64,
}

/// Shows who changed what.
///
/// Also changes made with plain SQL, as the actor `sql`.
#[utoipa::path(
    get, path = "/admin/v1/config/changes", tag = "config", operation_id = "list_config_changes",
    params(ChangesQuery),
    responses((status = 200, description = "Changes, oldest first", body = ConfigChanges), HistoryFailures),
)]
pub(super) async fn changes(
    _: Admin,
    shared: web::Data<Shared>,
    query: ChangesQuery,
) -> Result<HttpResponse, AdminError> {
    let writer = shared.handles.config.load();
    let page = ask(&writer, ReadChanges { since: query.since, limit: query.limit }).await??;
    let changes = shown(&page.changes, &shared.handles.sealer);
    let version = shared.handles.snapshot.load().version;
    Ok(HttpResponse::Ok().json(ConfigChanges { version, changes, has_more: page.has_more }))
}

/// Makes the configuration what it was at an earlier version.
///
/// The result is one new version. Providers return with their keys of then. A credential that
/// still exists keeps its present key and is never switched on; a deleted one returns switched off.
#[utoipa::path(
    post, path = "/admin/v1/config/rollback", tag = "config", operation_id = "rollback_config",
    request_body = RollbackWish,
    responses((status = 200, description = "What changed, or would change", body = ConfigRollback), UpdateFailures),
)]
pub(super) async fn rollback(admin: Admin, shared: web::Data<Shared>, body: Body) -> Result<HttpResponse, AdminError> {
    let mut fields = body.fields()?;
    let to = fields.required("version", |field| field.version())?;
    let dry_run = fields.optional("dry_run", |field| field.boolean())?.unwrap_or(false);
    fields.finish()?;
    let writer = shared.handles.config.load();
    let restored = ask(&writer, Rollback::new(to, dry_run, admin.actor)).await??;
    let changes = shown(&restored.done.changes, &shared.handles.sealer);
    let body = ConfigRollback { version: restored.done.version, restored_to: to, changes };
    Ok(changed(StatusCode::OK, restored.snapshot.version, &body))
}

fn shown(changes: &[ChangeRecord], sealer: &Sealer) -> Vec<ShownChange> {
    changes.iter().map(|change| change.shown(sealer)).collect()
}

// === impl ChangesQuery ===

impl ChangesQuery {
    fn parse(query: &str) -> Result<Self, FieldError> {
        let whole = |name: &str, least: i64, most: i64, range: &str| {
            let value = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
            let number = value.map(|(_, text)| text.parse().ok().filter(|number| (least..=most).contains(number)));
            number.map(|number| number.ok_or_else(|| FieldError::new(name, format!("must be an integer {range}"))))
        };
        let since = whole("since", 0, i64::MAX, ">= 0").transpose()?;
        let limit = whole("limit", 1, LARGEST_LIMIT, &format!("from 1 to {LARGEST_LIMIT}")).transpose()?;
        Ok(Self { since, limit: limit.unwrap_or(DEFAULT_LIMIT) })
    }
}

impl FromRequest for ChangesQuery {
    type Error = AdminError;
    type Future = Ready<Result<Self, AdminError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()).map_err(AdminError::from))
    }
}

impl IntoParams for ChangesQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let whole = |least: i64| ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least));
        let parameter = |name: &str, description: &str, schema: ObjectBuilder| {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
            parameter.required(Required::False).description(Some(description)).schema(Some(schema)).build()
        };
        let since = "Only changes after this version, the earliest first; without it the last ones are shown";
        let limit = "Changes to show; a version that this would cut is shown whole";
        let limits = whole(1).maximum(Some(LARGEST_LIMIT)).default(Some(DEFAULT_LIMIT.into()));
        vec![parameter("since", since, whole(0)), parameter("limit", limit, limits)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_values_are_named() {
        for (query, field) in [
            ("since=-1", "since"),
            ("since=x", "since"),
            ("since=", "since"),
            ("since=99999999999999999999", "since"),
            ("limit=0", "limit"),
            ("limit=501", "limit"),
            ("limit=1.5", "limit"),
        ] {
            assert_eq!(ChangesQuery::parse(query).unwrap_err().field, field, "{query}");
        }
        assert_eq!(ChangesQuery::parse("colour=red").unwrap(), ChangesQuery { since: None, limit: 100 });
        assert_eq!(ChangesQuery::parse("since=0&limit=500").unwrap(), ChangesQuery { since: Some(0), limit: 500 });
    }
}
