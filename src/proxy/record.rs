//! What is left to tell of a request that has ended: its row, and its tokens, which may have to be
//! counted first.

use std::sync::Arc;
use std::time::Duration;

use super::count_usage::complete;
use super::reporter::Reporter;
use crate::actors::finished::{AttemptMade, Captured, Finished};
use crate::actors::metrics::RecordFinished;
use crate::actors::tell;
use crate::chat::Usage;
use crate::store::RequestLog;
use crate::telemetry::trace::TraceContext;

/// No request has more; a provider that says so must not make a counter wrap.
const MOST_TOKENS: u64 = 1_000_000_000_000;

/// A request that has ended, but for its tokens.
pub(super) struct Record {
    /// Where it is told.
    pub reporter: Arc<Reporter>,
    /// Its row, without tokens, when it gets one.
    pub row: Option<Box<RequestLog>>,
    /// Labels of its tokens.
    pub labels: Labels,
    /// From the first content to the end.
    pub spoke_for: Option<Duration>,
    /// What the provider reported.
    pub usage: Option<Usage>,
    /// Its span; `None` while there are no spans.
    pub trace: Option<TraceContext>,
    /// Its attempts.
    pub made: Vec<AttemptMade>,
}

/// Labels of tokens.
pub(super) struct Labels {
    /// Bounded.
    pub model: String,
    /// Its key, or `none`.
    pub provider: String,
    /// The credential's name.
    pub caller: String,
    /// The client's name.
    pub client: &'static str,
}

impl Record {
    /// Tells it, with what was counted where the provider did not.
    pub(super) fn write(mut self, counted: Option<Usage>) {
        let usage = complete(self.usage, counted);
        if let Some(usage) = usage {
            self.count(&usage);
        }
        let handles = &self.reporter.handles;
        if let Some(mut row) = self.row.take() {
            let tokens = |count: fn(&Usage) -> u64| usage.as_ref().map(|usage| clamp(count(usage)));
            row.input_tokens = tokens(|usage| usage.input);
            row.output_tokens = tokens(|usage| usage.output);
            row.total_tokens = tokens(Usage::total);
            row.cached_tokens = tokens(|usage| usage.cache_read);
            row.reasoning_tokens = tokens(|usage| usage.reasoning);
            row.estimated = usage.is_some_and(|usage| usage.estimated);
            if handles.exporters.wants(&row.request_id).anything() {
                handles.exporters.tell(Finished {
                    captured: Captured::nothing(&row),
                    row: (*row).clone(),
                    attempts: std::mem::take(&mut self.made),
                    trace: self.trace.take(),
                });
            }
            if self.reporter.log_requests {
                tell(&handles.metrics.load(), RecordFinished(row), "request_log", &handles.telemetry);
            }
        }
    }

    fn count(&self, usage: &Usage) {
        let Labels { model, provider, caller, client } = &self.labels;
        let telemetry = &self.reporter.handles.telemetry;
        for (kind, tokens) in [("prompt", usage.input), ("completion", usage.output), ("total", usage.total())] {
            telemetry
                .tokens
                .with_label_values(&[model, provider, kind, caller, client])
                .inc_by(tokens.min(MOST_TOKENS));
        }
        let seconds = self.spoke_for.unwrap_or_default().as_secs_f64();
        let output = u32::try_from(usage.output).ok().filter(|output| *output > 0);
        if let (Some(output), true) = (output, seconds > 0.0) {
            let speed = f64::from(output) / seconds;
            telemetry.tokens_per_second.with_label_values(&["provider", model, provider]).observe(speed);
        }
    }
}

fn clamp(tokens: u64) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}
