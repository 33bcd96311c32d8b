//! What is left to tell of a request that has ended: its tokens, which may have to be counted
//! first, what they cost, its row and its line in the log.

use std::sync::Arc;
use std::time::Duration;

use log::kv::Value;

use super::capture::Capture;
use super::count_usage::complete;
use super::facts::Facts;
use super::reporter::Reporter;
use crate::actors::finished::{AttemptMade, Captured, Finished};
use crate::chat::Usage;
use crate::config::Prices;
use crate::store::RequestLog;
use crate::telemetry::trace::TraceContext;

/// No request has more; a provider that says so must not make a counter wrap.
const MOST_TOKENS: u64 = 1_000_000_000_000;

/// A million dollars, in micro-dollars: no request costs more, and sums of such rows still fit.
const MOST_COST: i64 = 1_000_000_000_000;

/// A request that has ended, but for its tokens.
pub(super) struct Record {
    reporter: Arc<Reporter>,
    row: RequestLog,
    /// Whether it passed key and limit.
    is_logged: bool,
    /// As a bounded label.
    model: String,
    /// From the first content to the end.
    spoke_for: Option<Duration>,
    usage: Option<Usage>,
    prices: Prices,
    attempts: Vec<AttemptMade>,
    captured: Option<Captured>,
    /// Its span; `None` while there are no spans.
    trace: Option<TraceContext>,
}

// === impl Record ===

impl Record {
    /// Of a request with this row.
    pub(super) fn new(
        reporter: Arc<Reporter>,
        facts: &mut Facts,
        row: RequestLog,
        took: Duration,
        is_logged: bool,
    ) -> Self {
        Self {
            reporter,
            row,
            is_logged,
            model: facts.model_label().to_owned(),
            spoke_for: facts.first_content.map(|first| took.saturating_sub(first)),
            usage: facts.usage,
            prices: facts.prices,
            attempts: std::mem::take(&mut facts.made),
            captured: facts.capture.take().and_then(Capture::into_captured),
            trace: None,
        }
    }

    /// The same, within a span.
    pub(super) fn traced(self, trace: Option<TraceContext>) -> Self {
        Self { trace, ..self }
    }

    /// Tells it, with what was counted where the provider did not.
    pub(super) fn write(mut self, counted: Option<Usage>) {
        let usage = complete(self.usage, counted);
        if let Some(usage) = usage {
            self.take_in(&usage);
            self.count(&usage);
        }
        self.log();
        let handles = &self.reporter.handles;
        if !self.is_logged {
            return;
        }
        if handles.exporters.wants(&self.row.request_id).anything() {
            handles.exporters.tell(Finished {
                captured: self.captured.take().unwrap_or_else(|| Captured::nothing(&self.row)),
                row: self.row.clone(),
                attempts: std::mem::take(&mut self.attempts),
                trace: self.trace.take(),
            });
        }
        if self.reporter.log_requests {
            handles.metrics.finished(self.row);
        }
    }

    fn take_in(&mut self, usage: &Usage) {
        let Self { row, prices, .. } = self;
        row.input_tokens = Some(clamp(usage.input));
        row.output_tokens = Some(clamp(usage.output));
        row.total_tokens = Some(clamp(usage.total()));
        row.cached_tokens = Some(clamp(usage.cache_read));
        row.cache_write_tokens = Some(clamp(usage.cache_write));
        row.reasoning_tokens = Some(clamp(usage.reasoning));
        row.estimated = usage.estimated;
        row.cost_microusd = prices.cost(usage).map(|cost| cost.min(MOST_COST));
    }

    fn count(&self, usage: &Usage) {
        let Self { row, model, .. } = self;
        let (provider, caller, client) = (self.provider(), row.credential_name.as_str(), row.client.as_str());
        let telemetry = &self.reporter.handles.telemetry;
        for (kind, tokens) in [("prompt", usage.input), ("completion", usage.output), ("total", usage.total())] {
            telemetry
                .tokens
                .with_label_values(&[model, provider, kind, caller, client])
                .inc_by(tokens.min(MOST_TOKENS));
        }
        if let Some(cost) = row.cost_microusd {
            let cost = u64::try_from(cost).unwrap_or_default();
            telemetry.cost.with_label_values(&[model, provider, caller, client]).inc_by(cost);
        }
        let seconds = self.spoke_for.unwrap_or_default().as_secs_f64();
        let output = u32::try_from(usage.output).ok().filter(|output| *output > 0);
        if let (Some(output), true) = (output, seconds > 0.0) {
            let speed = f64::from(output) / seconds;
            telemetry.tokens_per_second.with_label_values(&["provider", model, provider]).observe(speed);
        }
    }

    fn provider(&self) -> &str {
        self.row.provider_name.as_deref().unwrap_or("none")
    }

    /// A line for each request.
    fn log(&self) {
        if !log::log_enabled!(log::Level::Info) {
            return;
        }
        let row = &self.row;
        let texts = [
            ("request_id", Some(row.request_id.as_str())),
            ("endpoint", Some(row.endpoint.as_str())),
            ("credential", Some(bearable(&row.credential_name))),
            ("model", row.model_requested.as_deref().map(bearable)),
            ("provider", row.provider_name.as_deref().map(bearable)),
            ("outcome", Some(row.outcome.as_str())),
        ];
        let numbers = [
            ("status", Some(row.status_code.into())),
            ("attempts", Some(row.attempts.into())),
            ("ttft_ms", row.ttft_ms),
            ("duration_ms", Some(row.total_duration_ms)),
            ("input_tokens", row.input_tokens),
            ("output_tokens", row.output_tokens),
            ("cost_microusd", row.cost_microusd),
        ];
        // What is not known has no field, rather than one that says so in words.
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, Value::from(text?))));
        let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name, Value::from(number?))));
        let fields: Vec<(&str, Value<'_>)> = texts.chain(numbers).collect();
        let mut line = log::Record::builder();
        line.level(log::Level::Info).target(module_path!()).key_values(&fields);
        log::logger().log(&line.args(format_args!("request")).build());
    }
}

fn clamp(tokens: u64) -> i64 {
    i64::try_from(tokens.min(MOST_TOKENS)).unwrap_or(i64::MAX)
}

/// A name as a line can show it: of bearable length.
fn bearable(text: &str) -> &str {
    const LONGEST: usize = 200;
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or(text)
}
