//! What metrics say of a request that has ended. Tokens and cost follow when they are known.

use std::time::Duration;

use super::ending::Ending;
use super::facts::Facts;
use super::fields::field_label;
use super::{Caller, Opening};
use crate::chat::FailureKind;
use crate::telemetry::Telemetry;

/// A request that has ended.
pub(super) struct Ended<'e> {
    pub opening: &'e Opening,
    pub facts: &'e Facts,
    pub ending: &'e Ending<'e>,
    /// From its head to its end.
    pub took: Duration,
    /// All of it that was not spent waiting for the provider or the client.
    pub gateway: Duration,
}

// === impl Ended ===

impl Ended<'_> {
    /// Moves the counters, once.
    pub(super) fn count(&self, telemetry: &Telemetry) {
        let Self { opening, facts, ending, took, .. } = self;
        let (model, provider, name) = (facts.model_label(), facts.provider_label(), facts.caller_label());
        let (method, path, client) = (opening.method, opening.path, opening.client);
        let status = ending.status().to_string();
        telemetry.requests.with_label_values(&[method, path, model, provider, &status, name, client]).inc();
        telemetry
            .request_duration
            .with_label_values(&[method, path, model, provider, name, client])
            .observe(took.as_secs_f64());
        if matches!(ending, Ending::Cancelled) {
            telemetry.client_disconnects.inc();
        }
        if ending.failure().is_some_and(|failure| failure.kind == FailureKind::RateLimited) {
            telemetry.rate_limited.with_label_values(&[name]).inc();
        }
        if facts.streaming {
            telemetry.streams.with_label_values(&[path, provider, ending.outcome()]).inc();
        }
        if let Some(first) = facts.first_content {
            telemetry.ttft.with_label_values(&["provider", model, provider]).observe(first.as_secs_f64());
        }
        self.count_protocols(telemetry);
    }

    /// Which protocols met, and what that cost.
    fn count_protocols(&self, telemetry: &Telemetry) {
        let Self { opening, facts, gateway, .. } = self;
        let (model, provider, ours) = (facts.model_label(), facts.provider_label(), opening.protocol);
        let theirs = facts.provider.as_ref().map_or("none", |provider| provider.kind.protocol().name());
        telemetry
            .protocols
            .gateway_overhead
            .with_label_values(&[opening.path, ours, theirs])
            .observe(gateway.as_secs_f64());
        for field in &facts.dropped {
            telemetry.protocols.dropped_fields.with_label_values(&[ours, theirs, field_label(field)]).inc();
        }
        if facts.provider.is_none() {
            return;
        }
        if ours == theirs {
            telemetry.protocols.bypass_requests.with_label_values(&[model, provider, opening.path]).inc();
            telemetry.protocols.bypass_streaming_bytes.with_label_values(&[model, provider]).inc_by(facts.sent);
        } else {
            telemetry.protocols.cross_protocol_requests.with_label_values(&[ours, theirs, provider]).inc();
        }
    }
}

// === impl Facts ===

impl Facts {
    /// The model as a bounded label.
    pub(super) fn model_label(&self) -> &str {
        self.model_label.as_deref().unwrap_or("unknown")
    }

    /// The provider as a label.
    pub(super) fn provider_label(&self) -> &str {
        self.provider.as_ref().map_or("none", |provider| &*provider.key)
    }

    /// The credential's name as a label.
    pub(super) fn caller_label(&self) -> &str {
        self.caller.as_ref().map_or("unknown", Caller::name)
    }
}
