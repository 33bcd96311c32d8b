//! Active checks: small paid requests to providers, sent only when an operator asks.

use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Utc;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use url::form_urlencoded;
use utoipa::ToSchema;

use super::auth::Admin;
use super::document::{CheckFailures, CheckOneFailures};
use super::dto::time;
use super::error::AdminError;
use super::fields::{Body, Fields};
use super::reading::current;
use super::row_id;
use super::schemas::{self, CheckWish, ChecksWish};
use crate::api::Shared;
use crate::config::{Entity, FieldError, Provider, ProviderRecord};
use crate::proxy::{Proxy, probed_models};

/// Longest and default patience with one answer, in seconds.
pub(super) const MOST_SECS: i32 = 120;
pub(super) const DEFAULT_SECS: i32 = 30;
/// Most and default number of requests at a time.
pub(super) const MOST_AT_ONCE: i32 = 10;
pub(super) const DEFAULT_AT_ONCE: i32 = 2;

/// What a check of one provider found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProviderCheck {
    provider_id: i32,
    provider_key: String,
    provider_type: String,
    /// `healthy` when any model answered; `unknown` when there was nothing to ask.
    #[schema(schema_with = schemas::check_status)]
    status: &'static str,
    models: Vec<ModelCheck>,
    summary: CheckSummary,
    /// Of the models that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    avg_response_time_ms: Option<u64>,
    #[schema(format = DateTime)]
    checked_at: String,
}

/// What one model did.
#[derive(Debug, Serialize, ToSchema)]
struct ModelCheck {
    model: String,
    #[schema(schema_with = schemas::check_status)]
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_time_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct CheckSummary {
    total_models: usize,
    healthy_models: usize,
    unhealthy_models: usize,
}

/// What a check of several providers found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProviderChecks {
    providers: Vec<ProviderCheck>,
    total_providers: usize,
    healthy_providers: usize,
    unhealthy_providers: usize,
}

/// How to check.
struct Manner {
    /// `None`: those that the mapping names.
    models: Option<Vec<String>>,
    at_once: usize,
    patience: Duration,
}

/// Asks a provider for a short answer of each model. The requests are paid for; the breaker learns nothing.
#[utoipa::path(
    post, path = "/admin/v1/providers/{id}/health", tag = "health", operation_id = "check_provider",
    params(("id" = i32, Path)), request_body = CheckWish,
    responses((status = 200, description = "What each model did", body = ProviderCheck), CheckFailures),
)]
pub(super) async fn one(
    _: Admin,
    shared: web::Data<Shared>,
    proxy: web::Data<Proxy>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, AdminError> {
    let mut fields = body.optional_fields()?;
    let manner = Manner::read(&mut fields)?;
    fields.finish()?;
    let record = find(&shared, row_id(&request, Entity::Provider)?)?;
    Ok(HttpResponse::Ok().json(check(&proxy, &record, &manner, manner.at_once).await))
}

/// The same with the query `models=a,b`.
#[utoipa::path(
    get, path = "/admin/v1/health/providers/{id}", tag = "health", operation_id = "get_provider_check",
    params(
        ("id" = i32, Path),
        ("models" = Option<String>, Query, description = "Names, with commas between"),
        ("timeout_secs" = Option<i32>, Query, description = "Patience with each, from 1 to 120; 30 by default"),
    ),
    responses((status = 200, description = "What each model did", body = ProviderCheck), CheckOneFailures),
)]
pub(super) async fn one_by_query(
    _: Admin,
    shared: web::Data<Shared>,
    proxy: web::Data<Proxy>,
    request: HttpRequest,
) -> Result<HttpResponse, AdminError> {
    let manner = Manner::parse(request.query_string())?;
    let record = find(&shared, row_id(&request, Entity::Provider)?)?;
    Ok(HttpResponse::Ok().json(check(&proxy, &record, &manner, manner.at_once).await))
}

/// Checks several providers, or all: several at a time, the models of each one after the other.
#[utoipa::path(
    post, path = "/admin/v1/health/check", tag = "health", operation_id = "check_providers",
    request_body = ChecksWish,
    responses((status = 200, description = "What each provider did", body = ProviderChecks), CheckFailures),
)]
pub(super) async fn many(
    _: Admin,
    shared: web::Data<Shared>,
    proxy: web::Data<Proxy>,
    body: Body,
) -> Result<HttpResponse, AdminError> {
    let mut fields = body.optional_fields()?;
    let ids = fields.optional("provider_ids", |field| field.ids())?;
    let manner = Manner::read(&mut fields)?;
    fields.finish()?;
    let records = match ids {
        Some(ids) => ids.into_iter().map(|id| find(&shared, id)).collect::<Result<Vec<_>, _>>()?,
        None => current(&shared)?.providers.clone(),
    };
    let checked = stream::iter(&records).map(|record| check(&proxy, record, &manner, 1));
    let providers: Vec<ProviderCheck> = checked.buffered(manner.at_once).collect().await;
    let with = |status| providers.iter().filter(|one| one.status == status).count();
    let (healthy_providers, unhealthy_providers) = (with(HEALTHY), with(UNHEALTHY));
    let total_providers = providers.len();
    let checks = ProviderChecks { providers, total_providers, healthy_providers, unhealthy_providers };
    Ok(HttpResponse::Ok().json(checks))
}

const HEALTHY: &str = "healthy";
const UNHEALTHY: &str = "unhealthy";

fn find(shared: &Shared, id: impl Into<i64>) -> Result<ProviderRecord, AdminError> {
    let id = id.into();
    let snapshot = current(shared)?;
    let found = snapshot.providers.iter().find(|record| i64::from(record.id) == id);
    found.cloned().ok_or_else(|| AdminError::no_row(Entity::Provider, id))
}

async fn check(proxy: &Proxy, record: &ProviderRecord, manner: &Manner, at_once: usize) -> ProviderCheck {
    let (provider, _) = Provider::compile(record, &proxy.handles.sealer);
    let names = match (&manner.models, record.is_enabled && provider.is_some()) {
        (_, false) => Vec::new(),
        (Some(names), true) => names.clone(),
        (None, true) => probed_models(record),
    };
    let asked = stream::iter(names).map(|model| ask(proxy, provider.as_ref(), model, manner.patience));
    let models: Vec<ModelCheck> = asked.buffered(at_once).collect().await;
    let times: Vec<u64> =
        models.iter().filter_map(|one| one.response_time_ms.filter(|_| one.error.is_none())).collect();
    let (total, healthy) = (models.len(), times.len());
    let status = match (record.is_enabled, total, healthy) {
        (false, ..) => "disabled",
        (true, 0, _) => "unknown",
        (true, _, 0) => UNHEALTHY,
        (true, ..) => HEALTHY,
    };
    ProviderCheck {
        provider_id: record.id,
        provider_key: record.provider_key.clone(),
        provider_type: record.provider_type.clone(),
        status,
        models,
        summary: CheckSummary { total_models: total, healthy_models: healthy, unhealthy_models: total - healthy },
        avg_response_time_ms: u64::try_from(healthy).ok().and_then(|n| times.iter().sum::<u64>().checked_div(n)),
        checked_at: time(Utc::now()),
    }
}

async fn ask(proxy: &Proxy, provider: Option<&Provider>, model: String, patience: Duration) -> ModelCheck {
    let begun = Instant::now();
    let result = match provider {
        Some(provider) => proxy.probe(provider, &model, patience).await,
        None => Err("the provider's row cannot be used".to_owned()),
    };
    let response_time_ms = u64::try_from(begun.elapsed().as_millis()).ok();
    let status = if result.is_ok() { HEALTHY } else { UNHEALTHY };
    ModelCheck { model, status, response_time_ms, error: result.err() }
}

// === impl Manner ===

impl Manner {
    fn read(fields: &mut Fields) -> Result<Self, FieldError> {
        let models = fields.optional("models", |field| field.texts())?;
        let at_once = fields.optional("max_concurrent", |field| field.integer(1..=MOST_AT_ONCE))?;
        let secs = fields.optional("timeout_secs", |field| field.integer(1..=MOST_SECS))?;
        Ok(Self::new(models, at_once, secs))
    }

    fn parse(query: &str) -> Result<Self, FieldError> {
        let value =
            |name| form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value);
        let names =
            value("models").map(|names| names.split(',').map(|name| name.trim().to_owned()).collect::<Vec<_>>());
        let models = names.map(|names| names.into_iter().filter(|name| !name.is_empty()).collect());
        let secs = value("timeout_secs").map(|text| {
            let secs = text.parse::<i32>().ok().filter(|secs| (1..=MOST_SECS).contains(secs));
            secs.ok_or_else(|| FieldError::new("timeout_secs", format!("must be an integer from 1 to {MOST_SECS}")))
        });
        Ok(Self::new(models, None, secs.transpose()?))
    }

    fn new(models: Option<Vec<String>>, at_once: Option<i32>, secs: Option<i32>) -> Self {
        // Both were checked to be positive.
        let secs = secs.unwrap_or(DEFAULT_SECS).unsigned_abs();
        let at_once = usize::try_from(at_once.unwrap_or(DEFAULT_AT_ONCE)).unwrap_or(1);
        Self {
            models: models.filter(|names| !names.is_empty()),
            at_once,
            patience: Duration::from_secs(u64::from(secs)),
        }
    }
}
