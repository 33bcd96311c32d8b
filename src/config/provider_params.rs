//! `provider_params`: how one provider differs from the rest of its kind.

use std::time::Duration;

use serde_json::{Map, Value};

use super::FieldError;
use crate::chat::ThinkingStyle;

/// What a secret header value reads back as; written back, it keeps the stored value.
pub const MASK: &str = "***";

/// Options of one provider.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderParams {
    /// Static request headers, lower-case names.
    pub headers: Vec<(String, String)>,
    /// Overrides of the process-wide timeouts.
    pub timeouts: Timeouts,
    /// Whether `stream_options.include_usage` may be added to a streamed request.
    pub inject_usage: bool,
    /// Azure's `api-version`.
    pub api_version: Option<String>,
    /// Which `anthropic-beta` values of a client reach the provider.
    pub beta_policy: BetaPolicy,
    /// The field for the longest answer in a translated Chat request; unset goes by the kind.
    pub max_tokens_field: Option<String>,
    /// How reasoning is asked for.
    pub thinking_style: ThinkingStyle,
    /// Attempts that each replica may have in flight here; `None` is no limit.
    pub max_concurrency: Option<u32>,
}

/// Which `anthropic-beta` values of a client reach an Anthropic provider.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BetaPolicy {
    /// None.
    Drop,
    /// Those in the list.
    Allow(Vec<String>),
    /// All.
    #[default]
    Passthrough,
}

/// Timeouts of one provider. `None`: the process-wide setting holds; zero: off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP and TLS to the provider.
    pub connect: Option<Duration>,
    /// Attempt start to the first content token.
    pub ttft: Option<Duration>,
    /// Silence within a stream.
    pub stream_idle: Option<Duration>,
    /// A whole answer.
    pub request: Option<Duration>,
    /// A whole stream.
    pub stream_total: Option<Duration>,
}

impl Default for ProviderParams {
    fn default() -> Self {
        Self {
            headers: Vec::new(),
            timeouts: Timeouts::default(),
            inject_usage: true,
            api_version: None,
            beta_policy: BetaPolicy::Passthrough,
            max_tokens_field: None,
            thinking_style: ThinkingStyle::Auto,
            max_concurrency: None,
        }
    }
}

/// Every option there is.
const KNOWN: [&str; 9] = [
    "headers",
    "timeouts",
    "inject_usage",
    "api_version",
    "anthropic_beta_policy",
    "anthropic_beta_allowlist",
    "max_concurrency",
    "max_tokens_field",
    "thinking_style",
];

impl ProviderParams {
    /// Compiles the stored object. Wrong entries are left out and reported with their path.
    #[must_use]
    pub fn compile(params: &Value) -> (Self, Vec<FieldError>) {
        let (mut compiled, mut errors) = (Self::default(), Vec::new());
        let Value::Object(entries) = params else {
            errors.push(FieldError::new("provider_params", "must be an object"));
            return (compiled, errors);
        };
        for (name, value) in entries {
            let field = format!("provider_params.{name}");
            if let Err(message) = compiled.set(name, value, &field, &mut errors) {
                errors.push(FieldError::new(field, message));
            }
        }
        if let (BetaPolicy::Allow(allowed), Some(list)) =
            (&mut compiled.beta_policy, entries.get("anthropic_beta_allowlist"))
        {
            *allowed = strings(list).unwrap_or_default();
        }
        (compiled, errors)
    }

    fn set(
        &mut self,
        name: &str,
        value: &Value,
        field: &str,
        errors: &mut Vec<FieldError>,
    ) -> Result<(), &'static str> {
        match name {
            "headers" => {
                let entries = value.as_object().ok_or("must be an object of strings")?;
                for (name, value) in entries {
                    match check_header(name, value) {
                        Ok(header) => self.headers.push(header),
                        Err(message) => errors.push(FieldError::new(format!("{field}.{name}"), message)),
                    }
                }
            }
            "timeouts" => {
                let entries = value.as_object().ok_or("must be an object of seconds")?;
                for (name, value) in entries {
                    if let Err(message) = self.timeouts.set(name, value) {
                        errors.push(FieldError::new(format!("{field}.{name}"), message));
                    }
                }
            }
            "inject_usage" => self.inject_usage = value.as_bool().ok_or("must be true or false")?,
            "api_version" => {
                let version = text(value)?;
                // It goes into the address as it is.
                if !version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
                    return Err("must consist of letters, digits, -, . and _");
                }
                self.api_version = Some(version.to_owned());
            }
            "anthropic_beta_policy" => {
                self.beta_policy = match text(value)? {
                    "drop" => BetaPolicy::Drop,
                    "passthrough" => BetaPolicy::Passthrough,
                    "allowlist" => BetaPolicy::Allow(Vec::new()),
                    _ => return Err("must be drop, allowlist or passthrough"),
                }
            }
            // Checked here; it joins its policy when both have been read.
            "anthropic_beta_allowlist" => drop(strings(value)?),
            "max_concurrency" if value.is_null() => self.max_concurrency = None,
            "max_concurrency" => {
                let most = value.as_u64().filter(|most| *most > 0).ok_or("must be an integer >= 1 or null")?;
                // More than can ever run is no limit in effect.
                self.max_concurrency = Some(u32::try_from(most).unwrap_or(u32::MAX));
            }
            "max_tokens_field" => {
                let field = text(value)?;
                if !matches!(field, "max_completion_tokens" | "max_tokens") {
                    return Err("must be max_completion_tokens or max_tokens");
                }
                self.max_tokens_field = Some(field.to_owned());
            }
            "thinking_style" => {
                self.thinking_style = match text(value)? {
                    "auto" => ThinkingStyle::Auto,
                    "adaptive" => ThinkingStyle::Adaptive,
                    "budget" => ThinkingStyle::Budget,
                    "off" => ThinkingStyle::Off,
                    _ => return Err("must be auto, adaptive, budget or off"),
                }
            }
            _ => return Err("is not a known option"),
        }
        Ok(())
    }

    /// The stored object as an operator may see it: values of headers whose names hold key,
    /// token, secret, auth or cookie become [`MASK`], and so does what is no option of ours.
    #[must_use]
    pub fn masked(params: &Value) -> Value {
        let mask = || Value::String(MASK.to_owned());
        let mut shown = match params {
            Value::Object(params) => params.clone(),
            Value::Null => return Value::Null,
            // Written with plain SQL: anything may stand in it.
            _ => return mask(),
        };
        for (name, value) in &mut shown {
            match (name.as_str(), value) {
                ("headers", Value::Object(headers)) => {
                    for (_, value) in headers.iter_mut().filter(|(name, _)| is_secret_header(name)) {
                        *value = mask();
                    }
                }
                (name, value) if name == "headers" || !KNOWN.contains(&name) => *value = mask(),
                _ => {}
            }
        }
        Value::Object(shown)
    }

    /// Puts stored header values back where the operator returned a [`MASK`].
    #[must_use]
    pub fn restore_masked(mut written: Map<String, Value>, stored: &Value) -> Map<String, Value> {
        let kept = stored.get("headers").and_then(Value::as_object);
        if let (Some(headers), Some(kept)) = (written.get_mut("headers").and_then(Value::as_object_mut), kept) {
            for (name, value) in headers.iter_mut().filter(|(_, value)| *value == MASK) {
                let before = kept.iter().find(|(old, _)| old.eq_ignore_ascii_case(name));
                if let (true, Some((_, before))) = (is_secret_header(name), before) {
                    *value = before.clone();
                }
            }
        }
        written
    }
}

impl Timeouts {
    fn set(&mut self, name: &str, value: &Value) -> Result<(), &'static str> {
        let slot = match name {
            "connect_secs" => &mut self.connect,
            "ttft_secs" => &mut self.ttft,
            "stream_idle_secs" => &mut self.stream_idle,
            "request_secs" => &mut self.request,
            "stream_total_secs" => &mut self.stream_total,
            _ => return Err("is not a known timeout"),
        };
        // A day bounds the value so that adding it to a clock cannot overflow.
        let seconds = value.as_f64().filter(|seconds| (0.0..=86_400.0).contains(seconds));
        let seconds = seconds.ok_or("must be a number of seconds from 0 to 86400")?;
        *slot = Some(Duration::from_secs_f64(seconds));
        Ok(())
    }
}

fn text(value: &Value) -> Result<&str, &'static str> {
    value.as_str().filter(|text| !text.is_empty()).ok_or("must be a string")
}

fn strings(value: &Value) -> Result<Vec<String>, &'static str> {
    let list = value.as_array().ok_or("must be an array of strings")?;
    list.iter().map(|entry| entry.as_str().map(str::to_owned).ok_or("must be an array of strings")).collect()
}

/// Whether a header of this name may hold a secret, and is never shown.
#[must_use]
pub fn is_secret_header(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["key", "token", "secret", "auth", "cookie", "password", "credential"].iter().any(|part| name.contains(part))
}

/// Headers that belong to the connection or to the message's framing (RFC 9110, 7.6.1).
const REFUSED: [&str; 12] = [
    "connection",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
    "content-length",
];

fn check_header(name: &str, value: &Value) -> Result<(String, String), &'static str> {
    // RFC 9110, 5.6.2: a field name is a token.
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(is_token) {
        return Err("is not a header name");
    }
    let name = name.to_ascii_lowercase();
    if REFUSED.contains(&name.as_str()) {
        return Err("cannot be set: it belongs to the connection");
    }
    let value = value.as_str().ok_or("must be a string")?;
    if value.chars().any(|c| !c.is_ascii() || c.is_control() && c != '\t') {
        return Err("must be ASCII without control characters");
    }
    Ok((name, value.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_wrong_option_is_named_by_its_path() {
        let (params, errors) = ProviderParams::compile(&json!({
            "headers": {"X-Team": "a", "Host": "h", "bad name": "x", "n": 1, "inj": "a\r\nb", "wide": "\u{e9}"},
            "timeouts": {"ttft_secs": 1.5, "connect_secs": -1, "nap_secs": 1},
            "inject_usage": false, "max_concurrency": 0, "api_version": "1&x=2", "anthropic_beta_policy": "maybe",
            "thinking_style": "adaptive", "colour": "red",
        }));
        assert_eq!(params.headers, [("x-team".to_owned(), "a".to_owned())]);
        assert_eq!(params.timeouts.ttft, Some(Duration::from_millis(1500)));
        assert!(!params.inject_usage);
        let mut fields: Vec<&str> = errors.iter().map(|e| e.field.trim_start_matches("provider_params.")).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "anthropic_beta_policy",
                "api_version",
                "colour",
                "headers.Host",
                "headers.bad name",
                "headers.inj",
                "headers.n",
                "headers.wide",
                "max_concurrency",
                "timeouts.connect_secs",
                "timeouts.nap_secs"
            ]
        );
    }

    #[test]
    fn secret_headers_read_back_masked_and_survive_being_written_back() {
        let stored = json!({"headers": {"X-Api-Key": "s3cret", "x-team": "a"}});
        let shown = ProviderParams::masked(&stored);
        assert_eq!(shown, json!({"headers": {"X-Api-Key": "***", "x-team": "a"}}));
        let Value::Object(written) = shown else { unreachable!() };
        assert_eq!(Value::Object(ProviderParams::restore_masked(written, &stored)), stored);
    }

    #[test]
    fn what_plain_sql_put_in_a_wrong_place_is_masked_whole() {
        for (stored, shown) in [
            (json!({"headers": [{"authorization": "X"}]}), json!({"headers": "***"})),
            (
                json!({"Headers": {"authorization": "X"}, "api_version": "1"}),
                json!({"Headers": "***", "api_version": "1"}),
            ),
            (json!([{"headers": {"authorization": "X"}}]), json!("***")),
        ] {
            assert_eq!(ProviderParams::masked(&stored), shown);
        }
    }
}
