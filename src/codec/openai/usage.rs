//! Token counts on the wire, both ways.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::lenient::Count;
use crate::chat::Usage;

/// `usage` of an answer.
#[derive(Debug, Clone, Copy, Serialize)]
pub(in crate::codec) struct OutgoingUsage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct PromptDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct CompletionDetails {
    reasoning_tokens: u64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Received {
    prompt_tokens: Option<Count>,
    completion_tokens: Option<Count>,
    prompt_tokens_details: Option<ReceivedPromptDetails>,
    completion_tokens_details: Option<ReceivedCompletionDetails>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReceivedPromptDetails {
    cached_tokens: Count,
    cache_write_tokens: Count,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ReceivedCompletionDetails {
    reasoning_tokens: Count,
}

impl From<Usage> for OutgoingUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input,
            completion_tokens: usage.output,
            total_tokens: usage.total(),
            prompt_tokens_details: PromptDetails {
                cached_tokens: usage.cache_read,
                cache_write_tokens: usage.cache_write,
            },
            completion_tokens_details: CompletionDetails { reasoning_tokens: usage.reasoning },
        }
    }
}

/// Reads a `usage` object; `None` when it counts nothing.
pub(in crate::codec) fn read(raw: Option<&RawValue>) -> Option<Usage> {
    let wire: Received = serde_json::from_str(raw?.get()).ok()?;
    let prompt = wire.prompt_tokens_details.unwrap_or_default();
    let completion = wire.completion_tokens_details.unwrap_or_default();
    wire.prompt_tokens.or(wire.completion_tokens)?;
    Some(Usage {
        input: wire.prompt_tokens.unwrap_or_default().0,
        output: wire.completion_tokens.unwrap_or_default().0,
        cache_read: prompt.cached_tokens.0,
        cache_write: prompt.cache_write_tokens.0,
        reasoning: completion.reasoning_tokens.0,
        estimated: false,
    })
}
