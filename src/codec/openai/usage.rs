//! Token counts on the wire, both ways.

use serde::Serialize;

use super::lenient::Count;
use crate::chat::Usage;
use crate::codec::json::Members;

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
pub(in crate::codec) fn read(raw: Option<&str>) -> Option<Usage> {
    let usage = Members::read(raw?).ok()?;
    let given = |name: &str| usage.get(name).filter(|value| *value != "null");
    let details = |name: &str| given(name).and_then(|details| Members::read(details).ok());
    let count = |members: &Option<Members<'_>>, name: &str| {
        members.as_ref().and_then(|members| members.get(name)).map_or(0, |value| Count::of(value).0)
    };
    let (prompt, completion) = (details("prompt_tokens_details"), details("completion_tokens_details"));
    given("prompt_tokens").or_else(|| given("completion_tokens"))?;
    let usage = Some(usage);
    Some(Usage {
        input: count(&usage, "prompt_tokens"),
        output: count(&usage, "completion_tokens"),
        cache_read: count(&prompt, "cached_tokens"),
        cache_write: count(&prompt, "cache_write_tokens"),
        reasoning: count(&completion, "reasoning_tokens"),
        estimated: false,
    })
}
