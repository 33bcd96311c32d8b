//! Sums over the requests that filters mean.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::query::Filtered;
use crate::actors::ask;
use crate::actors::logs::ReadLogStats;
use crate::api::Shared;
use crate::api::admin::auth::Admin;
use crate::api::admin::document::LogFailures;
use crate::api::admin::error::AdminError;
use crate::store::logs::{Dimension, RequestFilter, Sums, SumsBy};

/// Sums over requests. Maps are by name; what reached no provider, or named no model, has the
/// empty name.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api::admin) struct LogStats {
    /// How many requests.
    total_requests: i64,
    /// How many of them have the outcome `failed`.
    total_errors: i64,
    /// `total_errors` as a part of `total_requests`, from 0 to 1.
    error_rate: f64,
    /// Prompt tokens.
    total_input_tokens: i64,
    /// Answer tokens.
    total_output_tokens: i64,
    /// Micro-dollars; null where no request has a price.
    #[schema(required)]
    total_cost_microusd: Option<i64>,
    /// From begin to end, in milliseconds; null without requests.
    #[schema(required)]
    avg_duration_ms: Option<f64>,
    /// To the first byte, in milliseconds; null where no request has one.
    #[schema(required)]
    avg_ttft_ms: Option<f64>,
    /// Requests by provider.
    requests_by_provider: BTreeMap<String, i64>,
    /// Requests by model.
    requests_by_model: BTreeMap<String, i64>,
    /// Requests by status.
    requests_by_status: BTreeMap<String, i64>,
    /// Micro-dollars by provider, where a request has a price.
    cost_by_provider: BTreeMap<String, i64>,
    /// Micro-dollars by model, where a request has a price.
    cost_by_model: BTreeMap<String, i64>,
    /// Micro-dollars by credential, where a request has a price.
    cost_by_credential: BTreeMap<String, i64>,
}

impl From<SumsBy> for LogStats {
    fn from(sums: SumsBy) -> Self {
        let all = sums.get(&(Dimension::All, String::new())).cloned().unwrap_or_default();
        let requests = |dimension| by(&sums, dimension, |sums| Some(sums.requests));
        let costs = |dimension| by(&sums, dimension, |sums| sums.cost_microusd);
        Self {
            total_requests: all.requests,
            total_errors: all.failed,
            error_rate: ratio(all.failed, all.requests).unwrap_or(0.0),
            total_input_tokens: all.input_tokens,
            total_output_tokens: all.output_tokens,
            total_cost_microusd: all.cost_microusd,
            avg_duration_ms: ratio(all.duration_ms, all.requests),
            avg_ttft_ms: ratio(all.ttft_ms, all.ttft_requests),
            requests_by_provider: requests(Dimension::Provider),
            requests_by_model: requests(Dimension::Model),
            requests_by_status: requests(Dimension::Status),
            cost_by_provider: costs(Dimension::Provider),
            cost_by_model: costs(Dimension::Model),
            cost_by_credential: costs(Dimension::Credential),
        }
    }
}

fn by(sums: &SumsBy, dimension: Dimension, value: impl Fn(&Sums) -> Option<i64>) -> BTreeMap<String, i64> {
    let of = sums.iter().filter(|((of, _), _)| *of == dimension);
    of.filter_map(|((_, name), sums)| Some((name.clone(), value(sums)?))).collect()
}

/// `None` without a whole.
fn ratio(part: i64, whole: i64) -> Option<f64> {
    use rust_decimal::prelude::ToPrimitive as _;
    rust_decimal::Decimal::from(part).checked_div(whole.into())?.round_dp(6).to_f64()
}

/// Sums over request logs.
#[utoipa::path(
    get, path = "/admin/v1/logs/stats", tag = "logs", operation_id = "get_log_stats",
    params(Filtered<RequestFilter>),
    responses((status = 200, description = "Sums over all rows that the filters mean", body = LogStats), LogFailures),
)]
pub(in crate::api::admin) async fn stats(
    _: Admin,
    shared: web::Data<Shared>,
    Filtered(filter): Filtered<RequestFilter>,
) -> Result<HttpResponse, AdminError> {
    let sums = ask(&shared.handles.logs.load(), ReadLogStats(filter)).await??;
    Ok(HttpResponse::Ok().json(LogStats::from(sums)))
}
