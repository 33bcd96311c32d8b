//! Where a provider is addressed, and how we tell it who we are.

use awc::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};

use crate::chat::{Operation, Protocol};
use crate::config::{BetaPolicy, Provider, ProviderKind};
use crate::telemetry::trace::TraceContext;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const API_KEY: HeaderName = HeaderName::from_static("api-key");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");
const ANTHROPIC_BETA: HeaderName = HeaderName::from_static("anthropic-beta");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("llm-proxy/", env!("CARGO_PKG_VERSION")));
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");

/// The API version that an Azure deployment gets when none is configured.
const AZURE_VERSION: &str = "2024-10-21";
/// The API version of Anthropic when the client names none.
const ANTHROPIC_DEFAULT_VERSION: HeaderValue = HeaderValue::from_static("2023-06-01");

/// The address of an operation; `None` when this kind of provider has no such thing.
#[must_use]
pub fn endpoint_url(provider: &Provider, operation: Operation, mapped_model: &str) -> Option<String> {
    let base = provider.api_base.as_str();
    match provider.kind {
        ProviderKind::OpenAi | ProviderKind::Custom => Some(format!("{base}/{}", openai_path(operation)?)),
        ProviderKind::Azure => Some(azure_url(provider, openai_path(operation)?, mapped_model)),
        ProviderKind::Anthropic => {
            let base = base.strip_suffix("/v1").unwrap_or(base);
            match operation {
                Operation::Generate => Some(format!("{base}/v1/messages")),
                Operation::CountTokens => Some(format!("{base}/v1/messages/count_tokens")),
                Operation::Completions | Operation::Embeddings => None,
            }
        }
        ProviderKind::ResponseApi => (operation == Operation::Generate).then(|| format!("{base}/responses")),
    }
}

const fn openai_path(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::Generate => Some("chat/completions"),
        Operation::Completions => Some("completions"),
        Operation::Embeddings => Some("embeddings"),
        Operation::CountTokens => None,
    }
}

/// Azure addresses a deployment in the path, or, on its v1 surface, by the model in the body.
fn azure_url(provider: &Provider, path: &str, mapped_model: &str) -> String {
    let base = provider.api_base.as_str();
    let version = provider.params.api_version.as_deref();
    if base.ends_with("/openai/v1") {
        return version
            .map_or_else(|| format!("{base}/{path}"), |version| format!("{base}/{path}?api-version={version}"));
    }
    let version = version.unwrap_or(AZURE_VERSION);
    let is_deployment = base.rsplit_once('/').is_some_and(|(parent, _)| parent.ends_with("/openai/deployments"));
    if is_deployment {
        return format!("{base}/{path}?api-version={version}");
    }
    let deployment = percent_encode(mapped_model);
    format!("{base}/openai/deployments/{deployment}/{path}?api-version={version}")
}

/// A path segment (RFC 3986, 3.3): the model is the operator's word, but may hold anything.
fn percent_encode(segment: &str) -> String {
    use std::fmt::Write as _;
    segment.bytes().fold(String::with_capacity(segment.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// All headers of a request: ours, the client's that may pass, the operator's. The operator's
/// override ours but for the authentication.
#[must_use]
pub fn headers(
    provider: &Provider,
    request_id: &str,
    stream: bool,
    forwarded: &[(HeaderName, HeaderValue)],
) -> Vec<(HeaderName, HeaderValue)> {
    let accept = if stream { EVENTS } else { JSON };
    let mut headers = vec![(CONTENT_TYPE, JSON), (ACCEPT, accept), (USER_AGENT, AGENT)];
    headers.extend(HeaderValue::from_str(request_id).ok().map(|id| (X_REQUEST_ID, id)));
    if provider.kind.protocol() == Protocol::Anthropic {
        headers.push((ANTHROPIC_VERSION, ANTHROPIC_DEFAULT_VERSION));
    }
    headers.extend(forwarded.iter().filter_map(|(name, value)| {
        let value = if *name == ANTHROPIC_BETA { beta(&provider.params.beta_policy, value)? } else { value.clone() };
        Some((name.clone(), value))
    }));
    for (name, value) in &provider.params.headers {
        // Both were checked when the provider was compiled.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value)) {
            headers.push((name, value));
        }
    }
    headers.extend(authentication(provider));
    headers
}

/// What tells a provider which span its answer is a part of (W3C Trace Context, 3.2 and 3.3).
#[must_use]
pub fn trace_headers(trace: Option<&TraceContext>) -> Vec<(HeaderName, HeaderValue)> {
    let parent = trace.and_then(|trace| HeaderValue::try_from(trace.traceparent()).ok());
    let state = trace.and_then(TraceContext::tracestate).and_then(|state| HeaderValue::from_str(state).ok());
    parent.map(|value| (TRACEPARENT, value)).into_iter().chain(state.map(|value| (TRACESTATE, value))).collect()
}

/// What of a client's `anthropic-beta` the provider gets.
fn beta(policy: &BetaPolicy, value: &HeaderValue) -> Option<HeaderValue> {
    match policy {
        BetaPolicy::Drop => None,
        BetaPolicy::Passthrough => Some(value.clone()),
        BetaPolicy::Allow(allowed) => {
            let given = value.to_str().ok()?.split(',').map(str::trim);
            let kept: Vec<&str> = given.filter(|beta| allowed.iter().any(|allowed| allowed == beta)).collect();
            (!kept.is_empty()).then(|| HeaderValue::from_str(&kept.join(",")).ok()).flatten()
        }
    }
}

fn authentication(provider: &Provider) -> Option<(HeaderName, HeaderValue)> {
    let secret = provider.secret.expose();
    let (name, mut value) = match provider.kind {
        _ if secret.is_empty() => return None,
        ProviderKind::OpenAi | ProviderKind::Custom | ProviderKind::ResponseApi => {
            (AUTHORIZATION, HeaderValue::try_from(format!("Bearer {secret}")).ok()?)
        }
        ProviderKind::Azure => (API_KEY, HeaderValue::from_str(secret).ok()?),
        ProviderKind::Anthropic => (X_API_KEY, HeaderValue::from_str(secret).ok()?),
    };
    value.set_sensitive(true);
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::{ProviderRecord, Secret};

    fn provider(kind: &str, base: &str, params: serde_json::Value) -> Provider {
        let now = chrono::Utc::now();
        let record = ProviderRecord {
            id: 1,
            provider_key: "p".to_owned(),
            provider_type: kind.to_owned(),
            api_base: base.to_owned(),
            api_key: Secret::new("secret".to_owned()),
            model_mapping: json!({}),
            weight: 1,
            provider_params: params,
            is_enabled: true,
            created_at: now,
            updated_at: now,
        };
        let (provider, errors) = Provider::compile(&record, &crate::config::Sealer::default());
        assert_eq!(errors, []);
        provider.unwrap()
    }

    fn url(kind: &str, base: &str, operation: Operation) -> Option<String> {
        endpoint_url(&provider(kind, base, json!({})), operation, "gpt 4")
    }

    #[test]
    fn every_kind_is_addressed_as_its_documentation_says() {
        let generate = |kind, base| url(kind, base, Operation::Generate).unwrap();
        assert_eq!(generate("openai", "https://h/v1"), "https://h/v1/chat/completions");
        assert_eq!(generate("anthropic", "https://h"), "https://h/v1/messages");
        assert_eq!(generate("anthropic", "https://h/v1"), "https://h/v1/messages");
        assert_eq!(generate("response_api", "https://h/v1"), "https://h/v1/responses");
        assert_eq!(generate("azure", "https://h/openai/v1"), "https://h/openai/v1/chat/completions");
        let version = "api-version=2024-10-21";
        assert_eq!(
            generate("azure", "https://h"),
            format!("https://h/openai/deployments/gpt%204/chat/completions?{version}")
        );
        assert_eq!(
            generate("azure", "https://h/openai/deployments/d"),
            format!("https://h/openai/deployments/d/chat/completions?{version}")
        );
        assert_eq!(url("anthropic", "https://h", Operation::Embeddings), None);
        assert_eq!(url("openai", "https://h", Operation::CountTokens), None);
        let v1 = provider("azure", "https://h/openai/v1", json!({"api_version": "preview"}));
        assert_eq!(
            endpoint_url(&v1, Operation::Embeddings, "m").unwrap(),
            "https://h/openai/v1/embeddings?api-version=preview"
        );
    }

    #[test]
    fn the_operators_headers_override_ours_but_not_the_authentication() {
        let params = json!({"headers": {"user-agent": "me", "x-api-key": "no", "x-team": "a"}});
        let provider = provider("anthropic", "https://h", params);
        let sent = headers(&provider, "id", true, &[]);
        let last = |name: &str| sent.iter().rev().find(|(found, _)| found == name).unwrap().1.to_str().unwrap();
        assert_eq!(last("user-agent"), "me");
        assert_eq!(last("x-api-key"), "secret");
        assert_eq!(last("x-team"), "a");
        assert_eq!(last("anthropic-version"), "2023-06-01");
        assert_eq!(last("accept"), "text/event-stream");
    }

    #[test]
    fn betas_pass_by_policy() {
        let value = HeaderValue::from_static("a-1, b-2");
        let kept = |params| {
            let provider = provider("anthropic", "https://h", params);
            beta(&provider.params.beta_policy, &value).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(kept(json!({})).as_deref(), Some("a-1, b-2"));
        assert_eq!(kept(json!({"anthropic_beta_policy": "drop"})), None);
        let list = json!({"anthropic_beta_allowlist": ["b-2"], "anthropic_beta_policy": "allowlist"});
        assert_eq!(kept(list).as_deref(), Some("b-2"));
    }
}
