//! A provider as a request meets it.

use std::sync::Arc;

use url::Url;

use super::{AddressRule, FieldError, ModelMap, ProviderParams, ProviderRecord, Sealer, Secret, is_secret_header};
use crate::chat::Protocol;

/// A provider's primary key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderId(pub i32);

/// The product flavour behind a provider: it decides protocol, URL and authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// OpenAI itself.
    OpenAi,
    /// Azure OpenAI.
    Azure,
    /// Anthropic itself.
    Anthropic,
    /// A service that speaks OpenAI Responses.
    ResponseApi,
    /// Any OpenAI-compatible server.
    Custom,
}

impl ProviderKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::OpenAi, Self::Azure, Self::Anthropic, Self::ResponseApi, Self::Custom];

    /// Reads a provider type, aliases included, in any case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "openai" => Self::OpenAi,
            "azure" | "azure_openai" | "azure-openai" => Self::Azure,
            "anthropic" | "claude" => Self::Anthropic,
            "response_api" | "response-api" | "responses" => Self::ResponseApi,
            "custom" | "openai_compatible" | "openai-compatible" => Self::Custom,
            _ => return None,
        })
    }

    /// The canonical provider type, as stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Azure => "azure",
            Self::Anthropic => "anthropic",
            Self::ResponseApi => "response_api",
            Self::Custom => "custom",
        }
    }

    /// The wire format it speaks.
    #[must_use]
    pub const fn protocol(self) -> Protocol {
        match self {
            Self::OpenAi | Self::Azure | Self::Custom => Protocol::OpenAiChat,
            Self::Anthropic => Protocol::Anthropic,
            Self::ResponseApi => Protocol::OpenAiResponses,
        }
    }

    /// Whether a provider type means [`ProviderKind::Custom`], the only kind that may do
    /// without a key.
    #[must_use]
    pub fn is_custom(provider_type: &str) -> bool {
        Self::parse(provider_type) == Some(Self::Custom)
    }
}

/// A provider that can be used: enabled, and all of its row makes sense.
#[derive(Debug)]
pub struct Provider {
    /// Primary key.
    pub id: ProviderId,
    /// The operator's name for it.
    pub key: Arc<str>,
    /// Product flavour.
    pub kind: ProviderKind,
    /// Absolute URL without a trailing slash.
    pub api_base: String,
    /// The key we present; empty only for [`ProviderKind::Custom`].
    pub secret: Secret,
    /// What must not be seen in the provider's own words: the key, and what its secret headers hold.
    pub hidden: Vec<Secret>,
    /// Configured share of the traffic.
    pub weight: u32,
    /// Options.
    pub params: ProviderParams,
    /// Which models it serves.
    pub models: ModelMap,
}

impl Provider {
    /// Compiles a stored row. Wrong mapping keys and unknown options are left out and reported;
    /// anything else that is wrong makes the whole provider unusable (`None`).
    #[must_use]
    pub fn compile(record: &ProviderRecord, sealer: &Sealer) -> (Option<Self>, Vec<FieldError>) {
        let (models, mut errors) = ModelMap::compile(&record.model_mapping);
        let (params, wrong) = ProviderParams::compile(&record.provider_params);
        errors.extend(wrong);
        match Self::essentials(record, sealer) {
            Ok((kind, api_base, weight, secret)) => {
                let hidden = hidden(&secret, &params);
                let provider = Self {
                    id: ProviderId(record.id),
                    key: Arc::from(record.provider_key.as_str()),
                    kind,
                    api_base,
                    secret,
                    hidden,
                    weight,
                    params,
                    models,
                };
                (Some(provider), errors)
            }
            Err(error) => {
                errors.push(error);
                (None, errors)
            }
        }
    }

    fn essentials(record: &ProviderRecord, sealer: &Sealer) -> Result<(ProviderKind, String, u32, Secret), FieldError> {
        let kind = Self::check_kind(&record.provider_type)?;
        let api_base = Self::check_api_base(&record.api_base)?;
        let secret = sealer.open(&record.api_key).map_err(|error| FieldError::new("api_key", error.to_string()))?;
        if secret.is_empty() && kind != ProviderKind::Custom {
            return Err(FieldError::new("api_key", "may be empty only for provider type custom"));
        }
        // The key becomes a header value; what none can hold would silently not be sent.
        if secret.expose().chars().any(|c| !c.is_ascii() || c.is_control()) {
            return Err(FieldError::new("api_key", "must be ASCII without control characters"));
        }
        let weight =
            u32::try_from(record.weight).map_err(|_negative| FieldError::new("weight", "must be an integer >= 0"))?;
        Ok((kind, api_base, weight, secret))
    }

    /// The kind of a provider type.
    ///
    /// # Errors
    /// When it is not known.
    pub fn check_kind(text: &str) -> Result<ProviderKind, FieldError> {
        ProviderKind::parse(text).ok_or_else(|| {
            let known = ProviderKind::ALL.map(ProviderKind::name).join(", ");
            FieldError::new("provider_type", format!("must be one of {known}"))
        })
    }

    /// The canonical form of an `api_base`: trailing slashes trimmed.
    ///
    /// # Errors
    /// When it is not an absolute http(s) URL without userinfo, query and fragment, or longer
    /// than 500 characters.
    pub fn check_api_base(text: &str) -> Result<String, FieldError> {
        let error = |message: &str| Err(FieldError::new("api_base", message));
        let trimmed = text.trim_end_matches('/');
        if trimmed.chars().count() > 500 {
            return error("must have at most 500 characters");
        }
        let Ok(url) = Url::parse(trimmed) else {
            return error("must be an absolute http or https URL");
        };
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return error("must be an absolute http or https URL");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return error("must not contain a user name or password");
        }
        if url.query().is_some() || url.fragment().is_some() {
            return error("must not contain a query or fragment");
        }
        // The HTTP client parses more strictly than the URL standard allows: `http:///host` is no
        // address to it.
        if trimmed.split_once("://").is_none_or(|(_, rest)| rest.starts_with('/')) {
            return error("must be an absolute http or https URL");
        }
        if trimmed.contains(['\\', '"', '<', '>', '^', '`', '{', '|', '}']) {
            return error("must be percent-encoded where a URL does not allow a character");
        }
        if trimmed.chars().any(|c| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
            return error("must be ASCII without spaces");
        }
        Ok(trimmed.to_owned())
    }

    /// Whether the host of a canonical `api_base` may be connected to, as far as that is known
    /// without asking for its address. Whoever connects judges the addresses themselves.
    ///
    /// # Errors
    /// When it names an address, or a metadata service, that `rule` refuses.
    pub fn check_host(api_base: &str, rule: AddressRule) -> Result<(), FieldError> {
        let url = Url::parse(api_base).ok();
        match url.as_ref().and_then(Url::host).map(|host| rule.check_host(&host)) {
            Some(Err(class)) => Err(FieldError::new("api_base", format!("must not name {class}"))),
            Some(Ok(())) | None => Ok(()),
        }
    }
}

/// A header's value shorter than this is no secret, and would be found in innocent words.
const SHORTEST_SECRET: usize = 8;

/// Whether a value may well be an ordinary word, such as a kind of authentication, which an error
/// would hold for other reasons.
fn is_word(value: &str) -> bool {
    value.len() < 16 && value.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte == b'_')
}

/// The longest first, since one may be a part of another.
fn hidden(secret: &Secret, params: &ProviderParams) -> Vec<Secret> {
    let headers = params.headers.iter().filter(|(name, _)| is_secret_header(name));
    // Credentials may be quoted without their scheme (RFC 9110, 11.4).
    let parts = headers.flat_map(|(_, value)| [Some(value.as_str()), value.split_once(' ').map(|(_, token)| token)]);
    let parts = parts.flatten().map(str::trim).filter(|part| part.len() >= SHORTEST_SECRET && !is_word(part));
    let mut hidden: Vec<&str> = parts.chain(Some(secret.expose()).filter(|key| !key.is_empty())).collect();
    hidden.sort_unstable_by_key(|text| std::cmp::Reverse(text.len()));
    hidden.into_iter().map(|text| Secret::new(text.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_become_the_canonical_type() {
        for (alias, name) in [
            ("OpenAI", "openai"),
            ("azure-openai", "azure"),
            ("claude", "anthropic"),
            ("responses", "response_api"),
            ("openai_compatible", "custom"),
        ] {
            assert_eq!(ProviderKind::parse(alias).map(ProviderKind::name), Some(name));
        }
        assert!(Provider::check_kind("gemini").unwrap_err().message.contains("response_api"));
    }

    #[test]
    fn a_key_and_what_secret_headers_hold_is_hidden_the_longest_first() {
        let headers =
            [("authorization", "Basic dXNlcjpwYXNz"), ("x-token-kind", "standard"), ("x-region", "eu-central-1")];
        let params = ProviderParams {
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            ..ProviderParams::default()
        };
        let hidden = hidden(&Secret::new("sk-1".to_owned()), &params);
        let hidden: Vec<_> = hidden.iter().map(Secret::expose).collect();
        assert_eq!(hidden, ["Basic dXNlcjpwYXNz", "dXNlcjpwYXNz", "sk-1"]);
    }

    #[test]
    fn an_api_base_is_an_absolute_plain_url() {
        assert_eq!(Provider::check_api_base("http://127.0.0.1:9/v1//").unwrap(), "http://127.0.0.1:9/v1");
        for wrong in [
            "",
            "host/v1",
            "ftp://h",
            "http://",
            "https://u:p@h",
            "https://u@h",
            "http://h?x=1",
            "http://h#f",
            "http://h/a b",
            "http:///h",
            "http:h",
            "http://h/a\\b",
            "http://h/{a}",
        ] {
            assert!(Provider::check_api_base(wrong).is_err(), "{wrong}");
        }
        assert!(Provider::check_api_base(&format!("http://h/{}", "a".repeat(500))).is_err());
    }
}
