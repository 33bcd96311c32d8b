//! The row of a failed attempt, or of an error of our own.

use std::time::Duration;

use chrono::Utc;

use super::Opening;
use super::capture::{body_text, json_object};
use super::facts::{Facts, Running};
use super::outcome::category;
use super::row::{fit, milliseconds};
use crate::chat::Failure;
use crate::store::ErrorLog;
use crate::upstream::mask;

/// What a row of the error log is made of.
pub(super) struct ErrorRow<'e> {
    pub opening: &'e Opening,
    pub facts: &'e Facts,
    /// Secrets masked.
    pub failure: &'e Failure,
    /// The attempt that failed; `None`: an error of our own.
    pub attempt: Option<&'e Running>,
    /// Most bytes of a body; `None`: no bodies and no headers.
    pub bodies: Option<usize>,
}

// === impl ErrorRow ===

impl ErrorRow<'_> {
    /// The row of a failure that came after `took`.
    pub(super) fn build(&self, took: Duration) -> ErrorLog {
        let Self { opening, facts, failure, attempt, bodies } = self;
        let provider = attempt.map(|attempt| &*attempt.provider);
        let asked = facts.capture.as_ref().zip(*bodies);
        let sent = attempt.map(|attempt| &attempt.evidence).zip(*bodies);
        let shown = |body: &[u8], most| body_text(&provider.map_or(body.into(), |own| mask(body, &own.hidden)), most);
        let full = |text: String| Some(text).filter(|text| !text.is_empty());
        ErrorLog {
            request_id: opening.request_id.clone(),
            timestamp: Utc::now(),
            attempt: facts.attempts,
            error_category: category(failure.kind).to_owned(),
            error_code: failure.code().map(fit),
            error_message: Some(fit(&failure.message)),
            endpoint: opening.path.to_owned(),
            client_protocol: opening.protocol.to_owned(),
            request_headers: asked.map(|(capture, _)| capture.headers()),
            request_body: asked.map(|(capture, most)| capture.request(most)),
            provider_name: provider.map(|provider| provider.key.to_string()),
            provider_api_base: provider.map(|provider| provider.api_base.clone()),
            provider_protocol: provider.map(|provider| provider.kind.protocol().name().to_owned()),
            model_requested: facts.model.as_deref().map(fit),
            mapped_model: attempt.and(facts.mapped.as_deref()).map(fit),
            response_status_code: attempt.and_then(|attempt| attempt.evidence.status).map(i32::from),
            response_body: sent.and_then(|(evidence, most)| full(shown(&evidence.response_body, most))),
            total_duration_ms: Some(milliseconds(took)),
            credential_name: facts.caller_label().to_owned(),
            client: opening.client.to_owned(),
            is_streaming: facts.streaming,
            provider_request_headers: sent.map(|(evidence, _)| json_object(&evidence.request_headers)),
            provider_request_body: sent.and_then(|(evidence, most)| full(shown(&evidence.request_body, most))),
        }
    }
}
