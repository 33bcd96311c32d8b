//! The one end of a request.
//!
//! Metrics, the request log and what the provider proved all hang on [`Finish`]. It ends exactly
//! once: complete, failed, or, when it is dropped before, cancelled by the client.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use super::Caller;
use super::count_usage::Tally;
use super::ending::Ending;
use super::fields::field_label;
use super::outcome::{CANCELLED, attempt_label, category, outcome_of};
use super::progress::Progress;
use super::record::{Labels, Record};
use super::reporter::Reporter;
use super::timings::{Stage, Timings};
use crate::actors::finished::AttemptMade;
use crate::actors::provider_pool::{AttemptFacts, Fault, Outcome, Permit, ReportOutcome};
use crate::actors::tell;
use crate::chat::{Failure, FailureKind, Usage};
use crate::config::{Candidate, MatchKind, Provider, Snapshot};
use crate::store::RequestLog;
use crate::telemetry::IntGauge;
use crate::telemetry::trace::TraceContext;
use crate::upstream::mask;

/// What is known of a request when its head has come.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Its method.
    pub method: &'static str,
    /// Its canonical path, or `other`.
    pub path: &'static str,
    /// The client's protocol, in words.
    pub protocol: &'static str,
    /// The client's name, from its `User-Agent`.
    pub client: &'static str,
    /// Our id of it.
    pub request_id: String,
    /// Its span; `None` while there are no spans.
    pub trace: Option<TraceContext>,
}

/// The record of a request while it runs.
pub struct Finish {
    reporter: Arc<Reporter>,
    opening: Opening,
    started: Instant,
    timestamp: DateTime<Utc>,
    active: IntGauge,
    timings: Timings,
    facts: Facts,
    attempt: Option<Attempt>,
    ended: bool,
}

/// What becomes known on the way.
#[derive(Default)]
struct Facts {
    caller: Option<Caller>,
    /// Bounded, for metrics.
    model_label: Option<String>,
    model: Option<String>,
    mapped: Option<Arc<str>>,
    provider: Option<Arc<Provider>>,
    streaming: bool,
    attempts: i32,
    /// The provider of the last failed attempt and what became of it.
    left: Option<(Arc<str>, &'static str)>,
    first_content: Option<Duration>,
    /// Our own time until then; while a stream runs all of it is waiting.
    gateway: Option<Duration>,
    usage: Option<Usage>,
    /// What is counted when the request has ended, where the provider did not get to it.
    uncounted: Option<Tally>,
    upstream_request_id: Option<String>,
    /// Headers of the provider's last answer that the client gets.
    passed_on: Vec<(String, String)>,
    /// What of the request the provider could not take.
    dropped: Vec<String>,
    /// The attempts that have ended, for exporters.
    made: Vec<AttemptMade>,
}

/// The attempt that is running.
struct Attempt {
    provider: Arc<Provider>,
    started: tokio::time::Instant,
    /// What it has shown so far.
    facts: AttemptFacts,
    /// How far it has come, until it has brought an answer.
    progress: Option<Rc<Progress>>,
    /// Its span; `None` while there are no spans.
    trace: Option<TraceContext>,
    /// Given back when the attempt has ended.
    _permit: Permit,
}

impl Finish {
    /// A request that has just come in.
    #[must_use]
    pub fn new(reporter: Arc<Reporter>, opening: Opening) -> Self {
        let active = reporter.handles.telemetry.active_requests.with_label_values(&[opening.path]);
        active.inc();
        Self {
            reporter,
            opening,
            started: Instant::now(),
            timestamp: Utc::now(),
            active,
            timings: Timings::new(),
            facts: Facts::default(),
            attempt: None,
            ended: false,
        }
    }

    /// Where the end will be told.
    pub(super) fn reporter(&self) -> Arc<Reporter> {
        Arc::clone(&self.reporter)
    }

    /// Adds the time since the last lap to a stage.
    pub fn lap(&mut self, stage: Stage) {
        self.timings.lap(stage);
    }

    /// Where the time went so far, as a `Server-Timing` header.
    pub(super) fn server_timing(&self) -> String {
        self.timings.header(self.started.elapsed())
    }

    /// Corrects the client's protocol and path, where only the body told them.
    pub fn detected(&mut self, path: &'static str, protocol: &'static str) {
        self.opening.path = path;
        self.opening.protocol = protocol;
    }

    /// Our id of the request.
    #[must_use]
    pub fn request_id(&self) -> &str {
        &self.opening.request_id
    }

    /// Whose request it is.
    pub fn known_caller(&mut self, caller: &Caller) {
        self.facts.caller = Some(caller.clone());
    }

    pub(super) fn asked(&mut self, model: &str, stream: bool) {
        self.facts.model = Some(model.to_owned());
        self.facts.streaming = stream;
    }

    /// The metric label of the model: the name itself when some mapping holds it, else the
    /// mapping key that matched. Anything else a client can make up would be unbounded.
    pub(super) fn mapped_by(&mut self, snapshot: &Snapshot, asked: &str, candidates: &[Candidate]) {
        let key = candidates.first().filter(|candidate| candidate.kind != MatchKind::Exact);
        let label = if snapshot.is_exact_model(asked) { Some(asked) } else { key.map(|key| &*key.mapping_key) };
        self.facts.model_label = label.map(str::to_owned);
    }

    pub(super) fn attempt(&mut self, candidate: &Candidate, permit: Permit, dropped: &[String]) {
        if let Some((provider, reason)) = self.facts.left.take() {
            self.reporter.handles.telemetry.failovers.with_label_values(&[&provider, reason]).inc();
        }
        self.facts.dropped = dropped.to_vec();
        self.facts.attempts += 1;
        self.facts.mapped = Some(Arc::clone(&candidate.mapped_model));
        self.facts.provider = Some(Arc::clone(&candidate.provider));
        let provider = Arc::clone(&candidate.provider);
        let started = tokio::time::Instant::now();
        let facts = AttemptFacts::default();
        let trace = self.opening.trace.as_ref().map(TraceContext::child);
        self.attempt = Some(Attempt { provider, started, facts, progress: None, trace, _permit: permit });
    }

    /// The span of the running attempt, which the provider is told.
    pub(super) fn attempt_trace(&self) -> Option<TraceContext> {
        self.attempt.as_ref()?.trace.clone()
    }

    /// Where to see how far the running attempt has come.
    pub(super) fn watch(&mut self, progress: Rc<Progress>) {
        if let Some(attempt) = &mut self.attempt {
            attempt.progress = Some(progress);
        }
    }

    /// The running attempt has brought what it could: when the head of its answer came, if it did.
    pub(super) fn head_came(&mut self, at: Option<tokio::time::Instant>) {
        let Some(attempt) = &mut self.attempt else {
            return;
        };
        attempt.progress = None;
        if let Some(at) = at {
            let latency = at.saturating_duration_since(attempt.started);
            attempt.facts.latency = Some(latency);
            let histogram = &self.reporter.handles.telemetry.providers.latency;
            histogram.with_label_values(&[&*attempt.provider.key]).observe(latency.as_secs_f64());
        }
    }

    /// The running attempt has failed; the request may go on with another.
    pub(super) fn attempt_failed(&mut self, failure: &Failure) {
        let label = attempt_label(failure);
        let message = fit(&self.hide(failure).message);
        if let Some(attempt) = &mut self.attempt {
            let status = failure.is_from_upstream().then(|| failure.status());
            attempt.facts.fault = Some(Fault { status, category: category(failure.kind), message });
            let (provider, kind) = (&*attempt.provider.key, category(failure.kind));
            let (request_id, status) = (self.opening.request_id.as_str(), failure.status());
            log::warn!(request_id, provider, kind, status; "attempt failed");
            self.timings.failed(provider, label, attempt.started.elapsed());
            self.facts.left = Some((Arc::clone(&attempt.provider.key), label));
        }
        self.report(outcome_of(failure), label);
    }

    pub(super) fn first_content(&mut self) {
        let elapsed = self.started.elapsed();
        self.facts.first_content = Some(elapsed);
        self.facts.gateway = Some(self.timings.gateway(elapsed));
        if let Some(attempt) = &mut self.attempt {
            attempt.facts.ttft = Some(attempt.started.elapsed());
        }
    }

    pub(super) fn usage(&mut self, usage: Option<Usage>) {
        self.facts.usage = usage.or(self.facts.usage);
    }

    /// What was asked and said so far of an answer that now ends early.
    pub(super) fn uncounted(&mut self, tally: Option<Tally>) {
        self.facts.uncounted = tally;
    }

    /// Whether the end has come.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Headers of the provider's answer that the client gets.
    pub(super) fn passed_on(&mut self, headers: Vec<(String, String)>) {
        let id = headers.iter().find(|(name, _)| name == "x-upstream-request-id");
        self.facts.upstream_request_id = id.map(|(_, id)| id.clone());
        self.facts.passed_on = headers;
    }

    /// The same, to be sent.
    pub(super) fn take_passed_on(&mut self) -> Vec<(String, String)> {
        std::mem::take(&mut self.facts.passed_on)
    }

    /// What of the request the provider could not take: sorted, distinct paths.
    pub(super) fn dropped(&self) -> &[String] {
        &self.facts.dropped
    }

    /// The provider of the last attempt and the number of attempts, for the client.
    pub(super) fn attempts(&self) -> Option<(&str, i32)> {
        self.facts.provider.as_ref().map(|provider| (&*provider.key, self.facts.attempts))
    }

    /// What the provider said, without its key.
    pub(super) fn mask<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        self.facts.provider.as_ref().map_or(Cow::Borrowed(text), |provider| mask(text, &provider.secret))
    }

    /// The same failure without the provider's key, and anything like a key, in its words.
    pub(super) fn hide(&self, failure: &Failure) -> Failure {
        let hidden = |text: &str| String::from_utf8_lossy(&self.mask(text.as_bytes())).into_owned();
        Failure {
            message: hidden(&failure.message),
            param: failure.param.as_deref().map(hidden),
            upstream_code: failure.upstream_code.as_deref().map(hidden),
            ..failure.clone()
        }
    }

    /// Ends the request with an answer of ours that took no provider.
    pub fn answered(mut self, status: u16) {
        self.end(Ending::Complete(status));
    }

    /// Ends the request with a failure that is told as an HTTP error.
    pub fn failed(mut self, failure: &Failure) {
        self.end(Ending::Refused(failure));
    }

    pub(super) fn end(&mut self, ending: Ending<'_>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.take_stock(&ending);
        match &ending {
            Ending::Complete(_) => self.report(Outcome::Success, "success"),
            Ending::Broken(failure) if failure.kind != FailureKind::ShuttingDown => self.attempt_failed(failure),
            // Cut off while the provider was waited for, which says nothing about it.
            Ending::Broken(_) | Ending::Refused(_) | Ending::Cancelled => {
                if self.attempt.is_some() {
                    self.timings.lap(Stage::Upstream);
                    self.report(Outcome::Neutral, CANCELLED);
                }
            }
        }
        self.active.dec();
        let took = self.started.elapsed();
        self.count(&ending, took);
        let uncounted = self.facts.uncounted.take();
        let record = self.record(&ending, took);
        match uncounted {
            // Nothing but the row and its tokens waits for the count.
            Some(tally) => tally.count_for_record(move |counted| record.write(counted)),
            None => record.write(None),
        }
    }

    /// What an attempt that is given up while it runs has cost: the provider took the request, so
    /// it has its input at least.
    fn take_stock(&mut self, ending: &Ending<'_>) {
        let is_cut = ending.failure().is_some_and(|failure| failure.kind == FailureKind::ShuttingDown);
        let progress = self.attempt.as_mut().and_then(|attempt| attempt.progress.take());
        if let Some(progress) = progress.filter(|_| is_cut || matches!(ending, Ending::Cancelled)) {
            self.usage(progress.usage());
            self.uncounted(progress.tally());
        }
    }

    /// Tells the pool what the running attempt proved.
    fn report(&mut self, outcome: Outcome, label: &'static str) {
        let Some(Attempt { provider, started, facts, trace, .. }) = self.attempt.take() else {
            return;
        };
        self.facts.made.push(AttemptMade {
            provider: Arc::clone(&provider),
            mapped_model: self.facts.mapped.clone().unwrap_or_default(),
            after: started.saturating_duration_since(self.started.into()),
            took: started.elapsed(),
            outcome: label,
            status: facts.fault.as_ref().map_or((label == "success").then_some(200), |fault| fault.status),
            error: facts.fault.as_ref().map(|fault| fault.message.clone()),
            trace,
        });
        let handles = &self.reporter.handles;
        handles.telemetry.upstream_attempts.with_label_values(&[&*provider.key, label]).inc();
        let report = ReportOutcome { provider: provider.id, outcome, started, facts };
        tell(&handles.provider_pool.load(), report, "provider_pool", &handles.telemetry);
    }

    fn count(&self, ending: &Ending<'_>, took: Duration) {
        let (facts, opening) = (&self.facts, &self.opening);
        let telemetry = &self.reporter.handles.telemetry;
        let model = facts.model_label.as_deref().unwrap_or("unknown");
        let provider = facts.provider.as_ref().map_or("none", |provider| &*provider.key);
        let name = facts.caller.as_ref().map_or("unknown", Caller::name);
        let (method, path, client) = (opening.method, opening.path, opening.client);
        let status = ending.status().to_string();
        telemetry.requests.with_label_values(&[method, path, model, provider, &status, name, client]).inc();
        telemetry
            .request_duration
            .with_label_values(&[method, path, model, provider, name, client])
            .observe(took.as_secs_f64());
        if facts.streaming {
            telemetry.streams.with_label_values(&[path, provider, ending.outcome()]).inc();
        }
        if matches!(ending, Ending::Cancelled) {
            telemetry.client_disconnects.inc();
        }
        for field in &facts.dropped {
            let provider_protocol = facts.provider.as_ref().map_or("none", |provider| provider.kind.protocol().name());
            let labels = [opening.protocol, provider_protocol, field_label(field)];
            telemetry.dropped_fields.with_label_values(&labels).inc();
        }
        if let Some(first) = facts.first_content {
            telemetry.ttft.with_label_values(&["provider", model, provider]).observe(first.as_secs_f64());
        }
    }

    /// What is left to tell.
    fn record(&mut self, ending: &Ending<'_>, took: Duration) -> Record {
        let (facts, client) = (&self.facts, self.opening.client);
        let labels = Labels {
            model: facts.model_label.as_deref().unwrap_or("unknown").to_owned(),
            provider: facts.provider.as_ref().map_or("none", |provider| &*provider.key).to_owned(),
            caller: facts.caller.as_ref().map_or("unknown", Caller::name).to_owned(),
            client,
        };
        let spoke_for = facts.first_content.map(|first| took.saturating_sub(first));
        let (reporter, usage) = (Arc::clone(&self.reporter), facts.usage);
        let (trace, made) = (self.opening.trace.take(), std::mem::take(&mut self.facts.made));
        let row = self.row(ending, took).map(Box::new);
        Record { reporter, row, labels, spoke_for, usage, trace, made }
    }

    /// A row for each request that passed key and limit, without its tokens, if anybody wants it.
    fn row(&mut self, ending: &Ending<'_>, took: Duration) -> Option<RequestLog> {
        let wanted = self.reporter.handles.exporters.wants(&self.opening.request_id);
        let is_told = (self.reporter.log_requests || wanted.anything()) && ending.is_logged();
        let caller = self.facts.caller.take().filter(|_| is_told)?;
        let (facts, opening) = (&mut self.facts, &mut self.opening);
        let provider = facts.provider.take();
        let failure = ending.failure();
        let gateway = facts.gateway.unwrap_or_else(|| self.timings.gateway(took));
        Some(RequestLog {
            timestamp: self.timestamp,
            request_id: std::mem::take(&mut opening.request_id),
            endpoint: opening.path.to_owned(),
            credential_name: caller.name().to_owned(),
            client: opening.client.to_owned(),
            model_requested: facts.model.take().map(|model| fit(&model)),
            model_mapped: facts.mapped.take().map(|mapped| mapped.to_string()),
            provider_name: provider.as_ref().map(|provider| provider.key.to_string()),
            provider_type: provider.as_ref().map(|provider| provider.kind.name().to_owned()),
            client_protocol: opening.protocol.to_owned(),
            provider_protocol: provider.as_ref().map(|provider| provider.kind.protocol().name().to_owned()),
            is_streaming: facts.streaming,
            status_code: i32::from(ending.status()),
            outcome: ending.outcome().to_owned(),
            attempts: facts.attempts,
            input_tokens: None,
            output_tokens: None,
            total_tokens: None,
            cached_tokens: None,
            reasoning_tokens: None,
            estimated: false,
            total_duration_ms: milliseconds(took),
            ttft_ms: facts.first_content.map(milliseconds),
            gateway_us: Some(i64::try_from(gateway.as_micros()).unwrap_or(i64::MAX)),
            dropped_fields: (!facts.dropped.is_empty()).then(|| facts.dropped.join(",")),
            error_category: ending.category().map(str::to_owned),
            error_message: failure.map(|failure| fit(&failure.message)),
            upstream_request_id: facts.upstream_request_id.take(),
            replica_id: self.reporter.replica_id.clone(),
            config_version: caller.snapshot.version,
            request_headers: None,
            request_body: None,
            response_body: None,
        })
    }
}

impl Drop for Finish {
    fn drop(&mut self) {
        self.end(Ending::Cancelled);
    }
}

/// At most this many characters of what a client or a provider wrote: rows wait in memory.
const LONGEST_TEXT: usize = 2000;

/// A text as a row can hold it. PostgreSQL refuses a NUL, and with it the whole batch.
fn fit(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).map(|c| if c == '\0' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
