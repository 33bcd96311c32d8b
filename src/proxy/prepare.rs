//! The request as a candidate wants it: forwarded, or translated.

use std::cell::OnceCell;
use std::sync::Arc;

use bytes::Bytes;

use super::{Call, Proxy};
use crate::chat::{ChatRequest, Failure, FailureKind, Operation, Target};
use crate::codec::{self, Exchange, Peek};
use crate::config::{Candidate, ModelLimits, Provider, ProviderKind};
use crate::settings::Settings;

/// A request on its way.
pub(super) struct Request {
    /// Who asks where.
    pub call: Call,
    /// The body as it came.
    pub body: Bytes,
    /// What routing read of it.
    pub peek: Peek,
    /// The body as a chat, read when a candidate of another protocol wants it.
    chat: OnceCell<Result<Arc<ChatRequest>, Failure>>,
}

/// What is sent to a candidate.
pub(super) enum Prepared {
    /// The client's own body.
    Verbatim(Bytes),
    /// The request in the candidate's protocol.
    Translated(Box<Translated>),
}

impl Prepared {
    /// What of the client's request the candidate cannot take.
    pub(super) fn dropped(&self) -> &[String] {
        match self {
            Self::Verbatim(_) => &[],
            Self::Translated(translated) => &translated.dropped,
        }
    }
}

/// A translated request.
pub(super) struct Translated {
    /// The body.
    pub body: Bytes,
    /// What of the client's request the candidate cannot take: sorted, distinct paths.
    pub dropped: Vec<String>,
    /// The request that was translated.
    pub chat: Arc<ChatRequest>,
    /// What the answer's encoder needs to know.
    pub exchange: Exchange,
}

impl Request {
    pub(super) const fn new(call: Call, body: Bytes, peek: Peek) -> Self {
        Self { call, body, peek, chat: OnceCell::new() }
    }

    /// The body as a chat.
    ///
    /// # Errors
    /// When it is none, or no other protocol can carry it.
    pub(super) fn chat(&self) -> Result<&Arc<ChatRequest>, Failure> {
        let decode = || self.call.endpoint.client()?.decode_request(&self.body).map(Arc::new);
        self.chat.get_or_init(decode).as_ref().map_err(Clone::clone)
    }

    /// Whether the answer is a stream.
    pub(super) fn is_streamed(&self) -> bool {
        let streams = matches!(self.call.endpoint.operation, Operation::Generate | Operation::Completions);
        self.peek.stream && streams
    }

    /// Whether this candidate gets the client's own body.
    pub(super) fn is_verbatim(&self, candidate: &Candidate) -> bool {
        candidate.provider.kind.protocol() == self.call.endpoint.protocol
    }

    /// The operation that the candidate is asked for.
    pub(super) fn operation(&self, candidate: &Candidate) -> Operation {
        if self.is_verbatim(candidate) { self.call.endpoint.operation } else { Operation::Generate }
    }

    /// The request for this candidate.
    ///
    /// # Errors
    /// When the candidate's protocol cannot carry it, or strict translation would lose a field.
    pub(super) fn prepare(&self, proxy: &Proxy, candidate: &Candidate) -> Result<Prepared, Failure> {
        let provider = &*candidate.provider;
        if self.is_verbatim(candidate) {
            let inject = provider.params.inject_usage;
            let verbatim = self.call.endpoint.verbatim();
            let body = verbatim.forward_request(&self.body, &self.peek, &candidate.mapped_model, inject);
            return Ok(Prepared::Verbatim(body));
        }
        let chat = self.chat()?;
        let target = target(&proxy.settings, provider, &candidate.mapped_model, candidate.limits);
        let encoded = codec::upstream(provider.kind.protocol()).encode_request(chat, &target)?;
        let mut dropped = encoded.dropped;
        dropped.extend(chat.foreign.iter().cloned());
        dropped.sort();
        dropped.dedup();
        if let (true, Some(first)) = (self.call.strict, dropped.first()) {
            let message =
                format!("strict translation: the provider {} cannot take {}", provider.key, dropped.join(", "));
            return Err(Failure::new(FailureKind::TranslationLoss, message).with_param(first));
        }
        let exchange = Exchange {
            model: self.peek.model.clone(),
            provider: Arc::clone(&provider.key),
            request_id: self.call.request_id.clone(),
            created: chrono::Utc::now().timestamp(),
            include_usage: chat.include_usage,
            client: chat.client.clone(),
        };
        Ok(Prepared::Translated(Box::new(Translated { body: encoded.body, dropped, chat: Arc::clone(chat), exchange })))
    }
}

/// What the encoder of a request must know of where it goes.
pub(super) fn target<'t>(
    settings: &Settings,
    provider: &'t Provider,
    model: &'t str,
    limits: ModelLimits,
) -> Target<'t> {
    Target {
        model,
        provider: &provider.key,
        max_tokens_field: provider.params.max_tokens_field.as_deref().unwrap_or(match provider.kind {
            ProviderKind::Custom => "max_tokens",
            _ => "max_completion_tokens",
        }),
        thinking_style: provider.params.thinking_style,
        inject_usage: provider.params.inject_usage,
        max_output_tokens: limits.max_output_tokens,
        supports_response_schema: limits.supports_response_schema,
        default_max_tokens: settings.anthropic_default_max_tokens,
    }
}
