//! Why an answer ended, both ways, and the tiers that serve it.

use crate::chat::FinishReason;

/// Reads a `finish_reason`. Some servers say `stop` although tools are to be run, or nothing.
pub(super) fn decode(word: &str, has_calls: bool, has_refusal: bool) -> FinishReason {
    match word {
        "length" | "max_tokens" => FinishReason::Length,
        "content_filter" => FinishReason::ContentFilter,
        "refusal" => FinishReason::Refusal,
        "tool_calls" | "function_call" => FinishReason::ToolCalls,
        _ if has_calls => FinishReason::ToolCalls,
        _ if has_refusal => FinishReason::Refusal,
        _ => FinishReason::Stop,
    }
}

/// The `finish_reason` of an answer.
pub(super) const fn encode(reason: &FinishReason, legacy_functions: bool, has_refusal: bool) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence(_) => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls if legacy_functions => "function_call",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Refusal if has_refusal => "stop",
        FinishReason::Refusal | FinishReason::ContentFilter => "content_filter",
    }
}

/// The tiers that the protocol knows; another protocol's word is left out.
pub(super) fn known_tier(tier: Option<&str>) -> Option<&str> {
    tier.filter(|tier| ["auto", "default", "flex", "scale", "priority", "fast"].contains(tier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_finish_reasons_are_read_for_what_they_mean() {
        assert_eq!(decode("stop", true, false), FinishReason::ToolCalls);
        assert_eq!(decode("", true, false), FinishReason::ToolCalls);
        assert_eq!(decode("stop", false, true), FinishReason::Refusal);
        assert_eq!(decode("eos", false, false), FinishReason::Stop);
        assert_eq!(decode("length", true, false), FinishReason::Length);
        assert_eq!(decode("function_call", false, false), FinishReason::ToolCalls);
    }

    #[test]
    fn a_refusal_is_a_filtered_answer_unless_it_is_shown() {
        assert_eq!(encode(&FinishReason::Refusal, false, false), "content_filter");
        assert_eq!(encode(&FinishReason::Refusal, false, true), "stop");
        assert_eq!(encode(&FinishReason::ToolCalls, true, false), "function_call");
        assert_eq!(encode(&FinishReason::StopSequence(None), false, false), "stop");
        assert_eq!(known_tier(Some("standard")), None);
    }
}
