//! Every metric, declared once and passed by handle.

mod declare;
pub mod protocols;
pub mod providers;
pub mod trace;

use prometheus::core::Collector as _;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder as _, HistogramVec, IntCounterVec, IntGaugeVec, Registry, TextEncoder};
pub use prometheus::{IntCounter, IntGauge};

use self::declare::Declare;
use self::protocols::ProtocolMetrics;
use self::providers::ProviderMetrics;

/// Buckets of durations, in seconds.
const DURATION: [f64; 17] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
/// Buckets of the time to the first content token, in seconds.
const TTFT: [f64; 14] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];
/// Buckets of a stream's speed, in output tokens per second.
const SPEED: [f64; 13] = [1.0, 5.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1000.0];

/// Every value of the label `mailbox`.
const MAILBOXES: [&str; 5] = ["request_log", "error_log", "feed", "provider_pool", "rate_limiter"];

/// The metric families of this process.
#[derive(Debug, Clone)]
pub struct Telemetry {
    registry: Registry,
    /// Finished requests, rejected ones too.
    pub requests: IntCounterVec,
    /// Time from a request's head to the end of its answer.
    pub request_duration: HistogramVec,
    /// Requests that are being answered.
    pub active_requests: IntGaugeVec,
    /// Tokens, by kind.
    pub tokens: IntCounterVec,
    /// Time to the first content token of a stream.
    pub ttft: HistogramVec,
    /// Output tokens per second of a stream, after its first one.
    pub tokens_per_second: HistogramVec,
    /// Of each provider.
    pub providers: ProviderMetrics,
    /// Of the protocols that meet.
    pub protocols: ProtocolMetrics,
    /// Attempts at providers, by what became of them.
    pub upstream_attempts: IntCounterVec,
    /// Attempts after which another provider was tried, by why.
    pub failovers: IntCounterVec,
    /// Streams, by how they ended.
    pub streams: IntCounterVec,
    /// Requests whose client left before their end.
    pub client_disconnects: IntCounter,
    /// What requests cost, in micro-dollars.
    pub cost: IntCounterVec,
    /// Requests that a rate limit refused.
    pub rate_limited: IntCounterVec,
    /// Messages and rows that a full queue refused.
    pub mailbox_dropped: IntCounterVec,
    /// Events that Langfuse never got.
    pub langfuse_dropped: IntCounter,
    /// Spans that the collector never got.
    pub otel_dropped: IntCounter,
    /// The version of the published configuration.
    pub config_version: IntGauge,
    /// Whether the database answers.
    pub database_up: IntGauge,
    /// Whether Redis answers; 0 also where none is configured.
    pub redis_up: IntGauge,
    /// Rate limit decisions that were taken without Redis although it is configured.
    pub rate_limit_fallback: IntCounter,
    /// Open connections to the feed of configuration changes.
    pub feed_subscribers: IntGauge,
}

impl Telemetry {
    /// Declares every family in a registry of its own.
    ///
    /// # Errors
    /// When a declaration contradicts itself; a bug, told at start.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let declare = Declare(&registry);
        declare.build()?;
        let request = ["method", "endpoint", "model", "provider", "api_key_name", "client"];
        let status = ["method", "endpoint", "model", "provider", "status_code", "api_key_name", "client"];
        let tokens = ["model", "provider", "token_type", "api_key_name", "client"];
        let cost = ["model", "provider", "api_key_name", "client"];
        let stream = ["source", "model", "provider"];
        let speed = "Output tokens per second of a stream after its first token";
        let cost_help = "What requests cost in micro-dollars, where their models have prices";
        let took = "Time from a request's head to the end of its answer";
        let outcomes = "Attempts at providers by what became of them";
        Ok(Self {
            requests: declare.counter("requests_total", "Finished requests, rejected ones too", &status)?,
            request_duration: declare.histogram("request_duration_seconds", took, &DURATION, &request)?,
            active_requests: declare.gauge("active_requests", "Requests that are being answered", &["endpoint"])?,
            tokens: declare.counter("tokens_total", "Tokens by kind: prompt, completion, total", &tokens)?,
            cost: declare.counter("cost_microdollars_total", cost_help, &cost)?,
            ttft: declare.histogram("ttft_seconds", "Time to the first content token of a stream", &TTFT, &stream)?,
            tokens_per_second: declare.histogram("tokens_per_second", speed, &SPEED, &stream)?,
            providers: ProviderMetrics::new(&declare)?,
            protocols: ProtocolMetrics::new(&declare)?,
            upstream_attempts: declare.counter("upstream_attempts_total", outcomes, &["provider", "outcome"])?,
            failovers: declare.counter(
                "failovers_total",
                "Attempts after which another provider was tried",
                &["provider", "reason"],
            )?,
            streams: declare.counter(
                "streams_total",
                "Streams by how they ended",
                &["endpoint", "provider", "outcome"],
            )?,
            client_disconnects: declare
                .count("client_disconnects_total", "Requests whose client left before their end")?,
            rate_limited: declare.counter(
                "rate_limited_total",
                "Requests that a rate limit refused",
                &["api_key_name"],
            )?,
            rate_limit_fallback: declare.count(
                "rate_limit_fallback_total",
                "Rate limit decisions taken without Redis although it is configured",
            )?,
            mailbox_dropped: declare.counter_from_zero(
                "mailbox_dropped_total",
                "Messages and rows that a full queue refused",
                "mailbox",
                &MAILBOXES,
            )?,
            langfuse_dropped: declare.count("langfuse_dropped_total", "Events that Langfuse never got")?,
            otel_dropped: declare.count("otel_dropped_total", "Spans that the collector never got")?,
            config_version: declare.level("config_version", "Version of the configuration in force")?,
            database_up: declare.level("database_up", "1 while the database answers")?,
            redis_up: declare.level("redis_up", "1 while Redis answers")?,
            feed_subscribers: declare.level("feed_subscribers", "Open connections to the config feed")?,
            registry,
        })
    }

    /// Requests that are being answered.
    #[must_use]
    pub fn active(&self) -> f64 {
        let families = self.active_requests.collect();
        families.iter().flat_map(MetricFamily::get_metric).map(|metric| metric.get_gauge().get_value()).sum()
    }

    /// All families in Prometheus' text format.
    ///
    /// # Errors
    /// When a family cannot be encoded; a bug.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        self.providers.refresh();
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// The version of this build.
#[must_use]
pub const fn crate_version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// The commit of this build, `unknown` where the build did not say.
#[must_use]
pub const fn commit() -> &'static str {
    match option_env!("LLM_PROXY_COMMIT") {
        Some(commit) => commit,
        None => "unknown",
    }
}
