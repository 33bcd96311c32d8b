//! The one end of a request.
//!
//! Metrics, the request log and what the provider proved all hang on [`Finish`]. It ends exactly
//! once: complete, failed, or, when it is dropped before, cancelled by the client.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::capture::{Capture, ShownHeaders};
use super::count_usage::Tally;
use super::ending::Ending;
use super::errors::ErrorRow;
use super::facts::{Evidence, Facts, Running};
use super::measure::Ended;
use super::outcome::{CANCELLED, attempt_label, category, hide, is_ours, outcome_of, shutting_down};
use super::progress::Progress;
use super::record::Record;
use super::reporter::Reporter;
use super::row::fit;
use super::timings::{Stage, Timings};
use super::{Caller, Endpoint};
use crate::actors::finished::AttemptMade;
use crate::actors::provider_pool::{AttemptFacts, Fault, Outcome, Permit, ReportOutcome};
use crate::chat::{Failure, FailureKind, Usage};
use crate::config::{Candidate, MatchKind, Snapshot};
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
    /// Its headers, where somebody wants to see what was asked and answered.
    pub headers: Option<ShownHeaders>,
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
    running: Option<Running>,
    ended: bool,
}

impl Finish {
    /// A request that has just come in.
    #[must_use]
    pub fn new(reporter: Arc<Reporter>, mut opening: Opening) -> Self {
        let active = reporter.handles.telemetry.active_requests.with_label_values(&[opening.path]);
        active.inc();
        Self {
            reporter,
            started: Instant::now(),
            timestamp: Utc::now(),
            active,
            timings: Timings::new(),
            facts: Facts { capture: opening.headers.take().map(Capture::new), ..Facts::default() },
            opening,
            running: None,
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

    /// The body has come, and with it the client's protocol and path, where only it tells them.
    pub fn came(&mut self, endpoint: Endpoint, body: &Bytes) {
        self.opening.path = endpoint.path;
        self.opening.protocol = endpoint.protocol.name();
        if let Some(capture) = &mut self.facts.capture {
            capture.asked(endpoint, body);
        }
    }

    /// A part of the answer's body goes out.
    pub(super) fn answers(&mut self, part: &[u8]) {
        if let Some(capture) = &mut self.facts.capture {
            capture.answered(part);
        }
    }

    /// A part of a stream goes out.
    pub(super) fn streams(&mut self, part: &[u8]) {
        self.facts.sent += u64::try_from(part.len()).unwrap_or_default();
        self.answers(part);
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
        self.facts.prices = candidate.limits.prices;
        self.running = Some(Running {
            provider: Arc::clone(&candidate.provider),
            started: tokio::time::Instant::now(),
            facts: AttemptFacts::default(),
            evidence: Evidence::default(),
            progress: None,
            trace: self.opening.trace.as_ref().map(TraceContext::child),
            _permit: permit,
        });
    }

    /// The span of the running attempt, which the provider is told.
    pub(super) fn attempt_trace(&self) -> Option<TraceContext> {
        self.running.as_ref()?.trace.clone()
    }

    /// Where to see how far the running attempt has come.
    pub(super) fn watch(&mut self, progress: Rc<Progress>) {
        if let Some(running) = &mut self.running {
            running.progress = Some(progress);
        }
    }

    /// The running attempt has brought what it could.
    pub(super) fn came_back(&mut self, evidence: Evidence) {
        let Some(running) = &mut self.running else {
            return;
        };
        running.progress = None;
        let head = evidence.head_at.map(|at| at.saturating_duration_since(running.started));
        if let Some(latency) = head {
            running.facts.latency = Some(latency);
            let histogram = &self.reporter.handles.telemetry.providers.latency;
            histogram.with_label_values(&[&*running.provider.key]).observe(latency.as_secs_f64());
        }
        self.timings.met(evidence.connected, head);
        running.evidence = evidence;
    }

    /// The running attempt has failed; the request may go on with another.
    pub(super) fn attempt_failed(&mut self, failure: &Failure) {
        let label = attempt_label(failure);
        let hidden = self.hide(failure);
        if let Some(mut running) = self.running.take() {
            let (provider, kind, status) = (&*running.provider.key, category(failure.kind), failure.status());
            let fault_status = failure.is_from_upstream().then_some(status);
            running.facts.fault = Some(Fault { status: fault_status, category: kind, message: fit(&hidden.message) });
            let request_id = self.opening.request_id.as_str();
            log::warn!(request_id, provider, kind, status; "attempt failed");
            self.timings.failed(provider, label, running.started.elapsed());
            self.facts.left = Some((Arc::clone(&running.provider.key), label));
            self.tell_error(&hidden, Some(&running));
            self.running = Some(running);
        }
        self.report(outcome_of(failure), label);
    }

    pub(super) fn first_content(&mut self) {
        let elapsed = self.started.elapsed();
        self.facts.first_content = Some(elapsed);
        self.facts.gateway = Some(self.timings.gateway(elapsed));
        if let Some(running) = &mut self.running {
            running.facts.ttft = Some(running.started.elapsed());
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
        self.facts.upstream_request_id = id.map(|(_, id)| fit(id));
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

    /// What the provider said, without its secrets.
    pub(super) fn mask<'t>(&self, text: &'t [u8]) -> Cow<'t, [u8]> {
        self.facts.provider.as_ref().map_or(Cow::Borrowed(text), |provider| mask(text, &provider.hidden))
    }

    /// The same failure without the provider's secrets, and anything like a key, in its words.
    pub(super) fn hide(&self, failure: &Failure) -> Failure {
        self.facts.provider.as_ref().map_or_else(|| failure.clone(), |provider| hide(failure, provider))
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
                if self.running.is_some() {
                    self.timings.lap(Stage::Upstream);
                    self.report(Outcome::Neutral, CANCELLED);
                }
            }
        }
        if let Some(failure) = ending.failure().filter(|failure| is_ours(failure)) {
            self.tell_error(failure, None);
        }
        self.active.dec();
        let took = self.started.elapsed();
        let gateway = self.facts.gateway.unwrap_or_else(|| self.timings.gateway(took));
        let ended = Ended { opening: &self.opening, facts: &self.facts, ending: &ending, took, gateway };
        ended.count(&self.reporter.handles.telemetry);
        let row = ended.row(&self.reporter, self.timestamp);
        let is_logged = self.facts.caller.is_some() && ending.is_logged();
        let uncounted = self.facts.uncounted.take();
        let record = Record::new(Arc::clone(&self.reporter), &mut self.facts, row, took, is_logged);
        let record = record.traced(self.opening.trace.take());
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
        let progress = self.running.as_mut().and_then(|running| running.progress.take());
        if let Some(progress) = progress.filter(|_| is_cut || matches!(ending, Ending::Cancelled)) {
            self.usage(progress.usage());
            self.uncounted(progress.tally());
        }
    }

    /// Tells the pool what the running attempt proved.
    fn report(&mut self, outcome: Outcome, label: &'static str) {
        let Some(Running { provider, started, facts, evidence, trace, .. }) = self.running.take() else {
            return;
        };
        let handles = &self.reporter.handles;
        handles.telemetry.upstream_attempts.with_label_values(&[&*provider.key, label]).inc();
        if self.facts.capture.is_some() || trace.is_some() {
            let took = started.elapsed();
            self.facts.made.push(AttemptMade {
                provider: Arc::clone(&provider),
                mapped_model: self.facts.mapped.as_deref().map(fit).unwrap_or_default(),
                after: self.started.elapsed().saturating_sub(took),
                took,
                outcome: label,
                status: evidence.status,
                error: facts.fault.as_ref().map(|fault| fault.message.clone()),
                trace,
            });
        }
        let report = ReportOutcome { provider: provider.id, outcome, started, facts };
        handles.outcomes.tell(report);
    }

    /// Tells the error log of a failed attempt, or of an error of our own.
    fn tell_error(&self, failure: &Failure, attempt: Option<&Running>) {
        if !self.reporter.errors {
            return;
        }
        let row =
            ErrorRow { opening: &self.opening, facts: &self.facts, failure, attempt, bodies: self.reporter.bodies };
        let took = attempt.map_or_else(|| self.started.elapsed(), |attempt| attempt.started.elapsed());
        self.reporter.handles.metrics.failed(row.build(took));
    }
}

impl Drop for Finish {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // Nobody reads any more; but when the process ends, it was not the client who left.
        if self.reporter.is_cut() {
            let failure = shutting_down();
            let has_begun = self.facts.first_content.is_some();
            self.end(if has_begun { Ending::Broken(&failure) } else { Ending::Refused(&failure) });
        } else {
            self.end(Ending::Cancelled);
        }
    }
}
