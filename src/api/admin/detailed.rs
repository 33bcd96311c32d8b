//! What this replica knows of itself and of everything it depends on.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Admin;
use super::circuit::Clocks;
use super::document::DetailFailures;
use super::dto::time;
use super::error::AdminError;
use super::schemas;
use crate::actors::ask;
use crate::actors::database::DatabaseStatus;
use crate::actors::export::ExportStatus;
use crate::actors::provider_pool::{Fault, PoolView, ReadVitals, Vitals};
use crate::actors::rate_limiter::RedisStatus;
use crate::api::Shared;
use crate::config::{ConfigError, Provider, ProviderId, ProviderParams, ProviderRecord, Snapshot, Source};
use crate::telemetry::crate_version;

/// What a replica knows of its health.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DetailedHealth)]
pub(super) struct Detailed {
    /// `degraded` when an enabled provider's circuit is not closed, the database or Redis is down, the configuration
    /// came from the snapshot file or is not there, or a part of it cannot be used.
    #[schema(schema_with = schemas::health)]
    status: &'static str,
    app_version: &'static str,
    replica_id: String,
    uptime_secs: u64,
    snapshot: SnapshotHealth,
    database: DatabaseHealth,
    redis: RedisHealth,
    langfuse: LangfuseHealth,
    /// All providers by id.
    providers: Vec<ProviderHealth>,
}

/// The configuration in force.
#[derive(Debug, Serialize, ToSchema)]
struct SnapshotHealth {
    version: i64,
    /// Where it came from; null while there is none.
    #[schema(required, schema_with = schemas::source)]
    source: Option<&'static str>,
    /// When this replica read it; null while there is none.
    #[schema(required, format = DateTime)]
    loaded_at: Option<String>,
    /// What of the stored rows cannot be used.
    config_errors: Vec<RowError>,
}

/// A part of a stored row that cannot be used.
#[derive(Debug, Serialize, ToSchema)]
struct RowError {
    /// `provider` or `credential`.
    entity: &'static str,
    id: i32,
    /// Which field, as a path.
    field: String,
    /// For people.
    message: String,
}

/// The database, as last met.
#[derive(Debug, Serialize, ToSchema)]
struct DatabaseHealth {
    /// `sqlite` or `postgres`.
    backend: &'static str,
    #[schema(schema_with = schemas::up_or_down)]
    status: &'static str,
    /// How long its last answer took, in milliseconds.
    #[schema(required)]
    latency_ms: Option<f64>,
    /// Why it did not answer the last time that it did not; stays when it is up again.
    #[schema(required)]
    last_error: Option<String>,
}

/// Redis, as last met.
#[derive(Debug, Serialize, ToSchema)]
struct RedisHealth {
    configured: bool,
    #[schema(schema_with = schemas::redis_status)]
    status: &'static str,
    /// Why it did not answer the last time that it did not; stays when it is up again.
    #[schema(required)]
    last_error: Option<String>,
}

/// The export of traces.
#[derive(Debug, Serialize, ToSchema)]
struct LangfuseHealth {
    enabled: bool,
    /// Events that wait to be sent.
    queued: usize,
    /// Events that were never sent.
    dropped: u64,
}

/// What this replica knows of a provider.
#[derive(Debug, Serialize, ToSchema)]
struct ProviderHealth {
    id: i32,
    provider_key: String,
    provider_type: String,
    is_enabled: bool,
    /// The configured weight.
    weight: i32,
    /// The weight after breaker and slow start; 0 while the circuit is open, in a cooldown, or when it cannot be used.
    effective_weight: f64,
    /// The state of its circuit.
    #[schema(schema_with = schemas::admission)]
    admission: &'static str,
    /// When a cooldown or an open circuit ends.
    #[schema(required, format = DateTime)]
    retry_at: Option<String>,
    /// Attempts under way, streams to their end.
    in_flight: u32,
    /// As many as each replica may have; null is unlimited.
    #[schema(required)]
    max_concurrency: Option<u32>,
    /// Moving average of the time from the start of an attempt to the head of its answer; each new one counts an eighth.
    #[schema(required)]
    ewma_latency_ms: Option<f64>,
    /// The same to the first content token, of streams.
    #[schema(required)]
    ewma_ttft_ms: Option<f64>,
    #[schema(required, format = DateTime)]
    last_success_at: Option<String>,
    #[schema(required)]
    last_error: Option<LastError>,
}

/// The last failed attempt.
#[derive(Debug, Serialize, ToSchema)]
struct LastError {
    #[schema(format = DateTime)]
    at: String,
    /// The status of the provider's answer; null when it gave no usable one.
    #[schema(required)]
    status: Option<u16>,
    /// As in the request log.
    category: &'static str,
    /// For people; keys are masked.
    message: String,
}

/// Tells what this replica knows of itself, its database, Redis and every provider.
///
/// Asks nobody outside: all of it is what requests and background work have met.
#[utoipa::path(
    get, path = "/health/detailed", tag = "health", operation_id = "get_detailed_health",
    responses((status = 200, description = "Of this replica; also when it is degraded", body = Detailed), DetailFailures),
)]
pub(super) async fn detailed(_: Admin, shared: web::Data<Shared>) -> Result<HttpResponse, AdminError> {
    let handles = &shared.handles;
    let vitals = ask(&handles.provider_pool.load(), ReadVitals).await.map_err(AdminError::no_vitals)?;
    let (snapshot, pool) = (handles.snapshot.load(), handles.pool.load());
    let (database, redis) = (handles.database.load(), handles.redis.load());
    let providers = providers(&snapshot, &pool, vitals);
    let is_degraded = snapshot.source != Source::Database
        || !snapshot.errors.is_empty()
        || !database.is_up
        || (redis.is_configured && !redis.is_up)
        || providers.iter().any(|provider| provider.is_enabled && provider.admission != "closed");
    Ok(HttpResponse::Ok().json(Detailed {
        status: if is_degraded { "degraded" } else { "ok" },
        app_version: crate_version(),
        replica_id: shared.settings.replica_id.clone(),
        uptime_secs: handles.started.elapsed().as_secs(),
        snapshot: SnapshotHealth::from(&*snapshot),
        database: DatabaseHealth::new(shared.settings.database.backend(), &database),
        redis: RedisHealth::from(&*redis),
        langfuse: LangfuseHealth::from(handles.exporters.langfuse_status()),
        providers,
    }))
}

fn providers(snapshot: &Snapshot, pool: &PoolView, vitals: Vec<(ProviderId, Vitals)>) -> Vec<ProviderHealth> {
    let usable: HashMap<ProviderId, &Provider> =
        snapshot.usable.iter().map(|provider| (provider.id, &**provider)).collect();
    let (clocks, mut vitals) = (Clocks::now(), HashMap::<ProviderId, Vitals>::from_iter(vitals));
    let health = |record: &ProviderRecord| {
        let id = ProviderId(record.id);
        let vitals = vitals.remove(&id).unwrap_or_default();
        ProviderHealth::new(record, usable.get(&id).copied(), (pool, clocks), vitals)
    };
    snapshot.providers.iter().map(health).collect()
}

fn rounded(milliseconds: f64) -> f64 {
    (milliseconds * 1000.0).round() / 1000.0
}

// === conversions ===

impl ProviderHealth {
    fn new(
        record: &ProviderRecord,
        usable: Option<&Provider>,
        (pool, clocks): (&PoolView, Clocks),
        vitals: Vitals,
    ) -> Self {
        let id = ProviderId(record.id);
        let (admission, retry_at) = clocks.circuit(pool.admission(id));
        Self {
            id: record.id,
            provider_key: record.provider_key.clone(),
            provider_type: record.provider_type.clone(),
            is_enabled: record.is_enabled,
            weight: record.weight,
            effective_weight: usable.map_or(0.0, |provider| pool.effective_weight(provider)),
            admission,
            retry_at,
            in_flight: pool.in_flight(id),
            max_concurrency: ProviderParams::compile(&record.provider_params).0.max_concurrency,
            ewma_latency_ms: vitals.latency.milliseconds().map(rounded),
            ewma_ttft_ms: vitals.ttft.milliseconds().map(rounded),
            last_success_at: vitals.last_success_at.map(time),
            last_error: vitals.last_error.map(|(at, Fault { status, category, message })| LastError {
                at: time(at),
                status,
                category,
                message,
            }),
        }
    }
}

impl From<&Snapshot> for SnapshotHealth {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            version: snapshot.version,
            source: match snapshot.source {
                Source::Nowhere => None,
                Source::Database => Some("database"),
                Source::SnapshotFile => Some("snapshot_file"),
            },
            loaded_at: snapshot.is_loaded().then(|| time(snapshot.loaded_at)),
            config_errors: snapshot.errors.iter().map(RowError::from).collect(),
        }
    }
}

impl From<&ConfigError> for RowError {
    fn from(error: &ConfigError) -> Self {
        let ConfigError { entity, id, field, message } = error;
        Self { entity: entity.name(), id: *id, field: field.clone(), message: message.clone() }
    }
}

impl DatabaseHealth {
    fn new(backend: &'static str, status: &DatabaseStatus) -> Self {
        Self {
            backend,
            status: up_or_down(status.is_up),
            latency_ms: status.latency.map(|latency| rounded(latency.as_secs_f64() * 1000.0)),
            last_error: status.last_error.clone(),
        }
    }
}

impl From<&RedisStatus> for RedisHealth {
    fn from(redis: &RedisStatus) -> Self {
        Self {
            configured: redis.is_configured,
            status: if redis.is_configured { up_or_down(redis.is_up) } else { "disabled" },
            last_error: redis.last_error.clone(),
        }
    }
}

impl From<ExportStatus> for LangfuseHealth {
    fn from(ExportStatus { is_enabled, queued, dropped }: ExportStatus) -> Self {
        Self { enabled: is_enabled, queued, dropped }
    }
}

const fn up_or_down(is_up: bool) -> &'static str {
    if is_up { "up" } else { "down" }
}
