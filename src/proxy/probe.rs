//! A smallest possible paid request, to learn whether a provider answers for a model.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

use super::Proxy;
use super::outcome::hide;
use super::prepare::target;
use crate::chat::{ChatRequest, Failure, FailureKind, Operation, Protocol};
use crate::codec;
use crate::config::{Provider, ProviderRecord};
use crate::upstream::{UpstreamRequest, endpoint_url, headers, mask};

/// Answers this short cost least; some providers refuse fewer.
const MAX_TOKENS: u32 = 16;

/// What is asked.
const QUESTION: &str = "Hi";

impl Proxy {
    /// Asks `provider` for a short answer of `model`, a name that clients use or the provider's own.
    /// The breaker learns nothing of it.
    ///
    /// # Errors
    /// What went wrong, in words for the operator and without secrets.
    pub async fn probe(&self, provider: &Provider, model: &str, patience: Duration) -> Result<(), String> {
        let asked = tokio::time::timeout(patience, self.ask_once(provider, model)).await;
        let asked = asked.map_err(|_elapsed| format!("Timeout after {}s", patience.as_secs()))?;
        asked.map_err(|failure| {
            let failure = hide(&failure, provider);
            match failure.kind {
                FailureKind::Upstream(status) => format!("HTTP {status} - {}", failure.message),
                _ => failure.message,
            }
        })
    }

    async fn ask_once(&self, provider: &Provider, model: &str) -> Result<(), Failure> {
        let resolved = provider.models.resolve(model);
        let mapped = resolved.as_ref().map_or(model, |resolved| &resolved.mapped);
        let limits = resolved.as_ref().map(|resolved| resolved.limits).unwrap_or_default();
        if limits.is_embedding {
            let body = Bytes::from(json!({"model": mapped, "input": QUESTION}).to_string());
            let answer = self.post(provider, Operation::Embeddings, mapped, body).await?;
            return embedding_in(&answer);
        }
        let chat = question(mapped)?;
        let upstream = codec::upstream(provider.kind.protocol());
        let target = target(&self.settings, provider, mapped, limits);
        let body = upstream.encode_request(&chat, &target)?.body;
        let answer = self.post(provider, Operation::Generate, mapped, body).await?;
        upstream.decode_response(&answer, &chat, &provider.key).map(|_answer| ())
    }

    async fn post(
        &self,
        provider: &Provider,
        operation: Operation,
        model: &str,
        body: Bytes,
    ) -> Result<Bytes, Failure> {
        let url = endpoint_url(provider, operation, model).ok_or_else(|| {
            Failure::new(FailureKind::UnsupportedOperation, "this type of provider has no embeddings")
        })?;
        let id = uuid::Uuid::new_v4().to_string();
        let request = UpstreamRequest {
            url: &url,
            headers: headers(provider, &id, false, &[]),
            body,
            connect_timeout: provider.params.timeouts.connect.or(self.settings.timeouts.connect),
        };
        let failed = |error: &dyn std::error::Error| Failure::new(FailureKind::UpstreamConnect, error.to_string());
        let response = self.client.send(request).await.map_err(|error| failed(&error))?;
        let (status, limit) = (response.head.status, self.settings.upstream_max_response_bytes);
        let body = response.body.read_to_end(limit).await.map_err(|error| failed(&error))?;
        match status {
            200..300 => Ok(body),
            300..400 => {
                let message = format!("the redirect status {status}, which is not followed");
                Err(Failure::new(FailureKind::UpstreamInvalidResponse, message))
            }
            _ => Err(codec::upstream(provider.kind.protocol()).decode_error(status, &mask(&body, &provider.hidden))),
        }
    }
}

/// The models that a check asks for when none is named: the exact keys of the mapping, else the
/// names that its patterns lead to.
#[must_use]
pub fn probed_models(record: &ProviderRecord) -> Vec<String> {
    let entries = || record.model_mapping.as_object().into_iter().flatten();
    let (provider, _) = crate::config::ModelMap::compile(&record.model_mapping);
    let mut exact: Vec<String> = provider.exact_names().map(str::to_owned).collect();
    if exact.is_empty() {
        let target = |value: &Value| value.as_str().or_else(|| value.get("mapped_model")?.as_str()).map(str::to_owned);
        let is_literal = |name: &String| !name.contains(['*', '$']);
        exact = entries().filter_map(|(_, value)| target(value)).filter(is_literal).collect();
    }
    exact.sort();
    exact.dedup();
    exact
}

fn question(model: &str) -> Result<ChatRequest, Failure> {
    let body = json!({
        "model": model, "max_tokens": MAX_TOKENS, "messages": [{"role": "user", "content": QUESTION}],
    });
    let client = codec::client(Protocol::OpenAiChat, Operation::Generate)
        .ok_or_else(|| Failure::new(FailureKind::Internal, "there is no codec for Chat"))?;
    client.decode_request(body.to_string().as_bytes())
}

fn embedding_in(answer: &[u8]) -> Result<(), Failure> {
    let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
    match answer.get("data").and_then(Value::as_array) {
        Some(data) if !data.is_empty() => Ok(()),
        _ => Err(Failure::new(FailureKind::UpstreamInvalidResponse, "the answer holds no embedding")),
    }
}
