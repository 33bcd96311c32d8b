//! The requests of a time, in buckets and by name.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};

use super::parameters::{Parameters, described, time, whole};
use crate::actors::ask;
use crate::actors::logs::ReadLogSummary;
use crate::api::Shared;
use crate::api::admin::auth::Admin;
use crate::api::admin::document::LogFailures;
use crate::api::admin::error::AdminError;
use crate::config::FieldError;
use crate::store::logs::{Dimension, PercentilesBy, SummaryWindow, SumsBy};

const BUCKETS: [i64; 5] = [10, 60, 300, 3600, 86400];
/// As many as a chart shows.
const WANTED_BUCKETS: i64 = 120;
const MOST_BUCKETS: i64 = 500;

/// Which time is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::api::admin) struct SummaryQuery(SummaryWindow);

/// Figures of some requests.
#[derive(Debug, Default, Serialize, ToSchema)]
struct LogFigures {
    requests: i64,
    /// Those with the outcome `failed`.
    errors: i64,
    /// Those whose client left.
    cancelled: i64,
    input_tokens: i64,
    output_tokens: i64,
    total_tokens: i64,
    /// Micro-dollars; null where no request has a price.
    #[schema(required)]
    cost_microusd: Option<i64>,
    /// Half of the requests took no longer. In buckets of 5 minutes and more within 6.3 %.
    #[schema(required)]
    p50_ms: Option<i64>,
    /// 95 % of the requests took no longer.
    #[schema(required)]
    p95_ms: Option<i64>,
    /// The same to the first byte.
    #[schema(required)]
    ttft_p50_ms: Option<i64>,
    /// The same to the first byte.
    #[schema(required)]
    ttft_p95_ms: Option<i64>,
}

/// Figures of a part of the time.
#[derive(Debug, Serialize, ToSchema)]
struct LogBucket {
    /// A multiple of `bucket_secs` since 1970; the first bucket may begin before `start_time`, but
    /// counts no request from before it.
    start: DateTime<Utc>,
    #[serde(flatten)]
    figures: LogFigures,
}

/// Figures by name; what reached no provider, or named no model, has the empty name.
#[derive(Debug, Serialize, ToSchema)]
struct NamedFigures {
    name: String,
    #[serde(flatten)]
    figures: LogFigures,
}

/// Figures of all replicas, from their request logs.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api::admin) struct MetricsSummary {
    /// Whether requests are logged. If not, there are no figures.
    enabled: bool,
    start_time: DateTime<Utc>,
    end_time: DateTime<Utc>,
    bucket_secs: i64,
    totals: LogFigures,
    /// Every bucket of the time, also empty ones.
    buckets: Vec<LogBucket>,
    /// Most requests first.
    providers: Vec<NamedFigures>,
    /// Most requests first.
    models: Vec<NamedFigures>,
    /// Most requests first.
    credentials: Vec<NamedFigures>,
}

/// Sums up the requests of a time.
#[utoipa::path(
    get, path = "/admin/v1/metrics/summary", tag = "logs", operation_id = "get_metrics_summary",
    params(SummaryQuery),
    responses((status = 200, description = "Figures of all replicas", body = MetricsSummary), LogFailures),
)]
pub(in crate::api::admin) async fn summary(
    _: Admin,
    shared: web::Data<Shared>,
    SummaryQuery(window): SummaryQuery,
) -> Result<HttpResponse, AdminError> {
    let mut found = (SumsBy::new(), PercentilesBy::new());
    let enabled = shared.settings.request_log.enabled;
    if enabled {
        found = ask(&shared.handles.logs.load(), ReadLogSummary(window)).await??;
    }
    Ok(HttpResponse::Ok().json(shown(enabled, window, &found)))
}

fn shown(enabled: bool, window: SummaryWindow, found: &(SumsBy, PercentilesBy)) -> MetricsSummary {
    let named = |dimension| {
        let names = found.0.iter().filter(|((of, _), _)| *of == dimension);
        let mut all: Vec<NamedFigures> = names
            .map(|((_, name), _)| NamedFigures { name: name.clone(), figures: figures(found, dimension, name) })
            .collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.figures.requests));
        all
    };
    MetricsSummary {
        enabled,
        start_time: window.start,
        end_time: window.end,
        bucket_secs: window.bucket_secs,
        totals: figures(found, Dimension::All, ""),
        buckets: if enabled { buckets(window, found) } else { Vec::new() },
        providers: named(Dimension::Provider),
        models: named(Dimension::Model),
        credentials: named(Dimension::Credential),
    }
}

fn buckets(window: SummaryWindow, found: &(SumsBy, PercentilesBy)) -> Vec<LogBucket> {
    let secs = window.bucket_secs;
    let bucket = |number: i64| {
        let start = DateTime::from_timestamp(number.saturating_mul(secs), 0)?;
        Some(LogBucket { start, figures: figures(found, Dimension::Bucket, &number.to_string()) })
    };
    numbers(window).filter_map(bucket).collect()
}

/// The numbers of the buckets of a window.
fn numbers(window: SummaryWindow) -> std::ops::Range<i64> {
    let secs = window.bucket_secs;
    // The end is exclusive.
    let last = window.end - TimeDelta::milliseconds(1);
    window.start.timestamp().div_euclid(secs)..last.timestamp().div_euclid(secs).saturating_add(1)
}

fn figures((sums, percentiles): &(SumsBy, PercentilesBy), dimension: Dimension, name: &str) -> LogFigures {
    let key = (dimension, name.to_owned());
    let Some(sums) = sums.get(&key) else {
        return LogFigures::default();
    };
    let times = percentiles.get(&key).copied().unwrap_or_default();
    LogFigures {
        requests: sums.requests,
        errors: sums.failed,
        cancelled: sums.cancelled,
        input_tokens: sums.input_tokens,
        output_tokens: sums.output_tokens,
        total_tokens: sums.total_tokens,
        cost_microusd: sums.cost_microusd,
        p50_ms: times.p50_ms,
        p95_ms: times.p95_ms,
        ttft_p50_ms: times.ttft_p50_ms,
        ttft_p95_ms: times.ttft_p95_ms,
    }
}

// === impl SummaryQuery ===

impl SummaryQuery {
    fn read(parameters: &Parameters, now: DateTime<Utc>) -> Result<Self, FieldError> {
        let (start, end) = parameters.window()?;
        let now = now.duration_trunc(TimeDelta::milliseconds(1)).unwrap_or(now);
        let end = end.unwrap_or(now);
        let start = start.unwrap_or_else(|| end.checked_sub_signed(TimeDelta::hours(1)).unwrap_or(end));
        if start >= end {
            return Err(FieldError::new("start_time", "must be before end_time, which is now by default"));
        }
        let sizes = BUCKETS.map(|secs| (secs.to_string(), secs));
        let sizes: Vec<(&str, i64)> = sizes.iter().map(|(text, secs)| (text.as_str(), *secs)).collect();
        let asked = parameters.one_of("bucket_secs", &sizes)?;
        let count = |bucket_secs| {
            let range = numbers(SummaryWindow { start, end, bucket_secs });
            range.end - range.start
        };
        let (name, bucket_secs) = match asked {
            Some(secs) => ("bucket_secs", secs),
            None => {
                let wanted = |secs: &i64| count(*secs) <= WANTED_BUCKETS.saturating_add(1);
                ("start_time", BUCKETS.into_iter().find(wanted).unwrap_or(86400))
            }
        };
        if count(bucket_secs) > MOST_BUCKETS {
            return Err(FieldError::new(name, format!("would make more than {MOST_BUCKETS} buckets")));
        }
        Ok(Self(SummaryWindow { start, end, bucket_secs }))
    }
}

impl FromRequest for SummaryQuery {
    type Error = AdminError;
    type Future = Ready<Result<Self, AdminError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::read(&Parameters::from(request), Utc::now()).map_err(AdminError::from))
    }
}

impl IntoParams for SummaryQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let sizes = whole(10).enum_values(Some(BUCKETS));
        vec![
            described("start_time", "From here on; an hour before the end by default", time()),
            described("end_time", "Before this; now by default", time()),
            described(
                "bucket_secs",
                "The length of a bucket; by default the least that makes about 120 or fewer",
                sizes,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<SummaryWindow, FieldError> {
        let now = "2026-03-05T12:34:56.789123Z".parse().unwrap();
        SummaryQuery::read(&Parameters::parse(query), now).map(|query| query.0)
    }

    #[test]
    fn buckets_are_as_short_as_a_chart_can_show() {
        for (query, secs) in [
            ("start_time=2026-03-05T12:20:00Z", 10),
            ("", 60),
            ("start_time=2026-03-05T03:00:00Z", 300),
            ("start_time=2026-03-03T00:00:00Z", 3600),
            ("start_time=2026-01-01T00:00:00Z", 86400),
            ("start_time=2025-01-01T00:00:00Z", 86400),
            ("bucket_secs=10", 10),
        ] {
            assert_eq!(read(query).unwrap().bucket_secs, secs, "{query}");
        }
        let hour = read("").unwrap();
        assert_eq!((hour.end - hour.start, numbers(hour).count()), (TimeDelta::hours(1), 61));
    }

    #[test]
    fn a_wrong_time_is_named() {
        for (query, field) in [
            ("bucket_secs=7", "bucket_secs"),
            ("bucket_secs=10&start_time=2026-03-05T10:00:00Z", "bucket_secs"),
            ("start_time=2020-01-01T00:00:00Z", "start_time"),
            ("start_time=2027-01-01T00:00:00Z", "start_time"),
            ("start_time=2026-03-05T10:00:00Z&end_time=2026-03-05T09:00:00Z", "end_time"),
            ("start_time=now", "start_time"),
        ] {
            assert_eq!(read(query).unwrap_err().field, field, "{query}");
        }
    }
}
