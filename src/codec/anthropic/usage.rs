//! Token counts: this protocol counts cached input apart, the unified format counts it in.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::chat::Usage;

/// What has been reported so far.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Counts {
    #[serde(default, deserialize_with = "count")]
    input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    output_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default, deserialize_with = "count")]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens_details: Option<Details>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Details {
    #[serde(default, deserialize_with = "count")]
    thinking_tokens: Option<u64>,
}

/// Counts as they are written, all of them.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Written {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
}

impl Counts {
    /// Reads a `usage` object; one that cannot be read counts nothing.
    pub(super) fn read(value: &str) -> Self {
        // A struct would read an array too.
        if value.starts_with('{') { serde_json::from_str(value).unwrap_or_default() } else { Self::default() }
    }

    /// Takes later counts, which are cumulative; a count that is not there leaves the earlier.
    pub(super) fn update(&mut self, later: Self) {
        self.input_tokens = later.input_tokens.or(self.input_tokens);
        self.output_tokens = later.output_tokens.or(self.output_tokens);
        self.cache_creation_input_tokens = later.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.cache_read_input_tokens = later.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.output_tokens_details = later.output_tokens_details.or(self.output_tokens_details);
    }

    /// `None` when the provider counted neither input nor output.
    pub(super) fn usage(self) -> Option<Usage> {
        self.input_tokens.or(self.output_tokens)?;
        let cache_read = self.cache_read_input_tokens.unwrap_or_default();
        let cache_write = self.cache_creation_input_tokens.unwrap_or_default();
        let input = self.input_tokens.unwrap_or_default().saturating_add(cache_read).saturating_add(cache_write);
        Some(Usage {
            input,
            output: self.output_tokens.unwrap_or_default(),
            cache_read,
            cache_write,
            reasoning: self.output_tokens_details.and_then(|details| details.thinking_tokens).unwrap_or_default(),
            estimated: false,
        })
    }
}

impl From<Usage> for Written {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input.saturating_sub(usage.cache_read).saturating_sub(usage.cache_write),
            cache_creation_input_tokens: usage.cache_write,
            cache_read_input_tokens: usage.cache_read,
            output_tokens: usage.output,
        }
    }
}

/// A count; what is no whole number of tokens (gateways send `null`, `12.0`, `-1`) counts as
/// far as it can be read.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Option::<&RawValue>::deserialize(deserializer)?;
    Ok(value.and_then(|value| value.get().split('.').next()?.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(json: &str) -> Counts {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn cached_input_is_counted_in_and_out_again() {
        let usage = counts(
            r#"{"input_tokens":3,"cache_creation_input_tokens":418,"cache_read_input_tokens":1111,"output_tokens":33,
                "output_tokens_details":{"thinking_tokens":7},"service_tier":"standard"}"#,
        )
        .usage()
        .unwrap();
        assert_eq!((usage.input, usage.cache_write, usage.cache_read), (1532, 418, 1111));
        assert_eq!((usage.output, usage.reasoning), (33, 7));
        let written = Written::from(usage);
        assert_eq!((written.input_tokens, written.output_tokens), (3, 33));
    }

    #[test]
    fn later_counts_override_earlier_ones_where_they_are_there() {
        let mut sum = counts(r#"{"input_tokens":34824,"output_tokens":0}"#);
        sum.update(counts(r#"{"input_tokens":3883,"output_tokens":49,"cache_read_input_tokens":30464}"#));
        sum.update(counts(r#"{"input_tokens":null,"output_tokens":50}"#));
        let usage = sum.usage().unwrap();
        assert_eq!((usage.input, usage.output), (34347, 50));
    }

    #[test]
    fn nonsense_is_no_count_and_no_failure() {
        assert_eq!(counts(r#"{"input_tokens":"x","output_tokens":-1}"#).usage(), None);
        assert_eq!(counts(r#"{"output_tokens":12.0}"#).usage().unwrap().output, 12);
        assert_eq!(Counts::read("[1]").usage(), None);
        let odd = Usage { input: 5, cache_read: 9, ..Usage::default() };
        assert_eq!(Written::from(odd).input_tokens, 0);
    }
}
