//! Every metric, declared once and passed by handle.

pub mod providers;
pub mod trace;

use prometheus::{Encoder as _, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
pub use prometheus::{IntCounter, IntGauge};

use self::providers::ProviderMetrics;

/// Buckets of durations, in seconds.
const DURATION: [f64; 17] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
/// Buckets of the time to the first content token, in seconds.
const TTFT: [f64; 14] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];
/// Buckets of a stream's speed, in output tokens per second.
const SPEED: [f64; 13] = [1.0, 5.0, 10.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 500.0, 1000.0];

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
    /// Attempts at providers, by what became of them.
    pub upstream_attempts: IntCounterVec,
    /// Attempts after which another provider was tried, by why.
    pub failovers: IntCounterVec,
    /// Streams, by how they ended.
    pub streams: IntCounterVec,
    /// Requests whose client left before their end.
    pub client_disconnects: IntCounter,
    /// Messages and rows that a full queue refused.
    pub mailbox_dropped: IntCounterVec,
    /// Events that Langfuse never got.
    pub langfuse_dropped: IntCounter,
    /// Spans that the collector never got.
    pub otel_dropped: IntCounter,
    /// Fields of requests that a provider's protocol could not take.
    pub dropped_fields: IntCounterVec,
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
        let request = ["method", "endpoint", "model", "provider", "api_key_name", "client"];
        let status = ["method", "endpoint", "model", "provider", "status_code", "api_key_name", "client"];
        let tokens = ["model", "provider", "token_type", "api_key_name", "client"];
        let stream = ["source", "model", "provider"];
        let dropped = ["client_protocol", "provider_protocol", "field"];
        let telemetry = Self {
            registry: Registry::new(),
            requests: counter("requests_total", "Finished requests, rejected ones too", &status)?,
            request_duration: histogram(
                "request_duration_seconds",
                "Time from a request's head to the end of its answer",
                &DURATION,
                &request,
            )?,
            active_requests: gauge("active_requests", "Requests that are being answered", &["endpoint"])?,
            tokens: counter("tokens_total", "Tokens by kind: prompt, completion, total", &tokens)?,
            ttft: histogram("ttft_seconds", "Time to the first content token of a stream", &TTFT, &stream)?,
            tokens_per_second: histogram(
                "tokens_per_second",
                "Output tokens per second of a stream after its first token",
                &SPEED,
                &stream,
            )?,
            providers: ProviderMetrics::new()?,
            upstream_attempts: counter(
                "upstream_attempts_total",
                "Attempts at providers by what became of them",
                &["provider", "outcome"],
            )?,
            failovers: counter(
                "failovers_total",
                "Attempts after which another provider was tried",
                &["provider", "reason"],
            )?,
            streams: counter("streams_total", "Streams by how they ended", &["endpoint", "provider", "outcome"])?,
            client_disconnects: IntCounter::new(
                full("client_disconnects_total"),
                "Requests whose client left before their end",
            )?,
            mailbox_dropped: counter(
                "mailbox_dropped_total",
                "Messages and rows that a full queue refused",
                &["mailbox"],
            )?,
            langfuse_dropped: IntCounter::new(full("langfuse_dropped_total"), "Events that Langfuse never got")?,
            otel_dropped: IntCounter::new(full("otel_dropped_total"), "Spans that the collector never got")?,
            dropped_fields: counter("dropped_fields_total", "Fields that a translation had to leave out", &dropped)?,
            config_version: IntGauge::new(full("config_version"), "Version of the configuration in force")?,
            database_up: IntGauge::new(full("database_up"), "1 while the database answers")?,
            redis_up: IntGauge::new(full("redis_up"), "1 while Redis answers")?,
            rate_limit_fallback: IntCounter::new(
                full("rate_limit_fallback_total"),
                "Rate limit decisions taken without Redis although it is configured",
            )?,
            feed_subscribers: IntGauge::new(full("feed_subscribers"), "Open connections to the config feed")?,
        };
        telemetry.register()?;
        Ok(telemetry)
    }

    fn register(&self) -> Result<(), prometheus::Error> {
        let build = IntGaugeVec::new(
            Opts::new("llm_proxy_build_info", "Always 1; the labels tell the build"),
            &["version", "commit"],
        )?;
        build.with_label_values(&[crate_version(), commit()]).set(1);
        self.registry.register(Box::new(build))?;
        self.registry.register(Box::new(self.requests.clone()))?;
        self.registry.register(Box::new(self.request_duration.clone()))?;
        self.registry.register(Box::new(self.active_requests.clone()))?;
        self.registry.register(Box::new(self.tokens.clone()))?;
        self.registry.register(Box::new(self.ttft.clone()))?;
        self.registry.register(Box::new(self.tokens_per_second.clone()))?;
        self.providers.register(&self.registry)?;
        self.registry.register(Box::new(self.upstream_attempts.clone()))?;
        self.registry.register(Box::new(self.failovers.clone()))?;
        self.registry.register(Box::new(self.streams.clone()))?;
        self.registry.register(Box::new(self.client_disconnects.clone()))?;
        self.registry.register(Box::new(self.mailbox_dropped.clone()))?;
        self.registry.register(Box::new(self.langfuse_dropped.clone()))?;
        self.registry.register(Box::new(self.otel_dropped.clone()))?;
        self.registry.register(Box::new(self.dropped_fields.clone()))?;
        self.registry.register(Box::new(self.config_version.clone()))?;
        self.registry.register(Box::new(self.database_up.clone()))?;
        self.registry.register(Box::new(self.redis_up.clone()))?;
        self.registry.register(Box::new(self.rate_limit_fallback.clone()))?;
        self.registry.register(Box::new(self.feed_subscribers.clone()))
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

fn counter(name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(full(name), help), labels)
}

fn gauge(name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
    IntGaugeVec::new(Opts::new(full(name), help), labels)
}

fn histogram(name: &str, help: &str, buckets: &[f64], labels: &[&str]) -> Result<HistogramVec, prometheus::Error> {
    HistogramVec::new(HistogramOpts::new(full(name), help).buckets(buckets.to_vec()), labels)
}

fn full(name: &str) -> String {
    format!("llm_proxy_{name}")
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
