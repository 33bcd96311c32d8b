//! Where a request would go, and why.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Admin;
use super::circuit::Clocks;
use super::document::ExplainFailures;
use super::error::AdminError;
use super::fields::{Body, Field};
use super::schemas::{self, RoutingQuestion};
use crate::api::Shared;
use crate::chat::{Operation, Protocol};
use crate::config::{Credential, Entity, FieldError, MatchKind, Quota, Snapshot};
use crate::proxy::{Assessed, Exclusion, Explanation, Question, Verdict, Views, explain};

/// The longest name of a model that can be asked about.
pub(super) const LONGEST_MODEL: usize = 4096;

/// What would become of a request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RoutingExplanation {
    /// The version of the configuration in force.
    version: i64,
    /// The name that was asked about.
    model: String,
    /// The name that is looked up: without the configured prefix.
    resolved_model: String,
    /// The credential that was asked about.
    #[schema(required)]
    credential: Option<RoutingCredential>,
    /// How such a request would end before a provider is asked.
    #[schema(schema_with = schemas::outcome)]
    outcome: &'static str,
    /// All providers by id. They are told as if the credential might use the model.
    candidates: Vec<RoutingCandidate>,
}

/// What a credential may do.
#[derive(Debug, Serialize, ToSchema)]
struct RoutingCredential {
    id: i32,
    name: String,
    /// Whether it may use the model.
    allowed: bool,
    /// Requests per second; null is unlimited.
    #[schema(required)]
    rate_limit: Option<i32>,
    /// Bucket size; null is `rate_limit`.
    #[schema(required)]
    burst: Option<i32>,
    /// Whole tokens left in its bucket on this replica; null is unlimited.
    #[schema(required)]
    remaining: Option<u32>,
}

/// A provider as such a request finds it.
#[derive(Debug, Serialize, ToSchema)]
struct RoutingCandidate {
    provider_id: i32,
    provider_key: String,
    provider_type: String,
    /// The configured weight.
    weight: i32,
    /// The weight after breaker and slow start; 0 while the circuit is open, in a cooldown, or when it cannot be used.
    effective_weight: f64,
    /// Its share of such requests on this replica, from 0 to 1.
    probability: f64,
    /// The mapping key that matches.
    #[schema(required)]
    mapping_key: Option<String>,
    /// How the key matches.
    #[schema(required, schema_with = schemas::match_kind)]
    r#match: Option<&'static str>,
    /// The provider's name for the model.
    #[schema(required)]
    mapped_model: Option<String>,
    /// Whether the body is forwarded without translation.
    same_protocol: bool,
    /// The state of its circuit on this replica.
    #[schema(schema_with = schemas::admission)]
    admission: &'static str,
    /// When a cooldown or an open circuit ends.
    #[schema(required, format = DateTime)]
    retry_at: Option<String>,
    /// Attempts that this replica has running there, streams to their end.
    in_flight: u32,
    /// As many as each replica may have; null is unlimited.
    #[schema(required)]
    max_concurrency: Option<u32>,
    /// Whether it may be chosen. When all are shut, the best one is.
    eligible: bool,
    /// Why it may not.
    #[schema(required, schema_with = schemas::exclusion)]
    excluded_because: Option<&'static str>,
}

/// Explains where a request would go, without sending it.
///
/// Takes nothing from the credential's bucket.
#[utoipa::path(
    post, path = "/admin/v1/explain", tag = "config", operation_id = "explain",
    request_body = RoutingQuestion,
    responses((status = 200, description = "Every provider, and why", body = RoutingExplanation), ExplainFailures),
)]
pub(super) fn explain_route(
    _: Admin,
    shared: web::Data<Shared>,
    body: Body,
) -> Ready<Result<HttpResponse, AdminError>> {
    ready(answer(&shared, &body).map(|explained| HttpResponse::Ok().json(explained)))
}

fn answer(shared: &Shared, body: &Body) -> Result<RoutingExplanation, AdminError> {
    let snapshot = shared.handles.snapshot.load();
    let question = question(body, &snapshot)?;
    let pool = shared.handles.pool.load();
    let views = Views {
        snapshot: &snapshot,
        pool: &pool,
        sealer: &shared.handles.sealer,
        suffix: shared.settings.provider_suffix.as_deref(),
    };
    let Explanation { resolved_model, verdict, candidates } = explain(&question, &views);
    let clocks = Clocks::now();
    let limits = shared.handles.limits.load();
    let credential = question.credential.as_deref().map(|Credential { record, quota, .. }| RoutingCredential {
        id: record.id,
        name: record.name.clone(),
        allowed: verdict != Verdict::ModelNotAllowed,
        rate_limit: record.rate_limit,
        burst: record.burst,
        // A bucket outlives its quota for a while.
        remaining: limits.get(&record.id).filter(|_| *quota != Quota::Unlimited).map(|limiter| limiter.remaining()),
    });
    Ok(RoutingExplanation {
        version: snapshot.version,
        model: question.model,
        resolved_model,
        credential,
        outcome: verdict.name(),
        candidates: candidates.into_iter().map(|candidate| RoutingCandidate::new(candidate, clocks)).collect(),
    })
}

// === the question ===

fn question(body: &Body, snapshot: &Snapshot) -> Result<Question, AdminError> {
    let mut fields = body.fields()?;
    let model = fields.required("model", |field| Ok(field.text(1..=LONGEST_MODEL)?.to_owned()))?;
    let protocol = fields.required("protocol", |field| protocol(&field))?;
    let operation = fields.optional("operation", |field| operation(&field, protocol))?.unwrap_or(Operation::Generate);
    let id = fields.nullable("credential_id", |field| field.integer(i32::MIN..=i32::MAX))?.flatten();
    fields.finish()?;
    let find = |id: i32| {
        let found = snapshot.credentials.iter().find(|credential| credential.record.id == id);
        found.map(Arc::clone).ok_or_else(|| AdminError::no_row(Entity::Credential, id))
    };
    Ok(Question { model, protocol, operation, credential: id.map(find).transpose()? })
}

fn protocol(field: &Field) -> Result<Protocol, FieldError> {
    let name = field.text(0..=usize::MAX)?;
    let known = [Protocol::OpenAiChat, Protocol::Anthropic, Protocol::OpenAiResponses];
    let found = known.into_iter().find(|protocol| protocol.name() == name);
    found.ok_or_else(|| field.refuse(format!("must be one of {}", known.map(Protocol::name).join(", "))))
}

/// The operation, when the client's protocol has it.
fn operation(field: &Field, protocol: Protocol) -> Result<Operation, FieldError> {
    let (operation, home) = match field.text(0..=usize::MAX)? {
        "generate" => (Operation::Generate, protocol),
        "completions" => (Operation::Completions, Protocol::OpenAiChat),
        "embeddings" => (Operation::Embeddings, Protocol::OpenAiChat),
        "count_tokens" => (Operation::CountTokens, Protocol::Anthropic),
        _ => return Err(field.refuse("must be one of generate, completions, embeddings, count_tokens")),
    };
    if home == protocol { Ok(operation) } else { Err(field.refuse(format!("exists only for the protocol {home}"))) }
}

// === impl RoutingCandidate ===

impl RoutingCandidate {
    fn new(candidate: Assessed<'_>, clocks: Clocks) -> Self {
        let Assessed { record, mapping, admission, prospect, .. } = candidate;
        let kind = mapping.as_ref().map(|mapping| mapping.kind);
        let (mapping_key, mapped_model) = mapping.map(|mapping| (mapping.key, mapping.mapped_model)).unzip();
        let (admission, retry_at) = clocks.circuit(admission);
        Self {
            provider_id: record.id,
            provider_key: record.provider_key.clone(),
            provider_type: record.provider_type.clone(),
            weight: record.weight,
            effective_weight: candidate.effective_weight,
            probability: prospect.unwrap_or_default(),
            mapping_key,
            r#match: kind.map(MatchKind::name),
            mapped_model,
            same_protocol: candidate.same_protocol,
            admission,
            retry_at,
            in_flight: candidate.in_flight,
            max_concurrency: candidate.max_concurrency,
            eligible: prospect.is_ok(),
            excluded_because: prospect.err().map(Exclusion::name),
        }
    }
}
