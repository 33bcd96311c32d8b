//! Bounded names of what a translation leaves out.

/// Fields that some protocol has and another has not. A client may send any other name; for
/// metrics those are one.
const FIELDS: [&str; 44] = [
    "container",
    "context_management",
    "frequency_penalty",
    "include",
    "logit_bias",
    "logprobs",
    "max_tool_calls",
    "mcp_servers",
    "messages[].content[].cache_control",
    "messages[].content[].citations",
    "messages[].content[].context",
    "messages[].content[].image_url.detail",
    "messages[].content[].title",
    "messages[].name",
    "metadata",
    "metadata.user_id",
    "output_config.effort",
    "output_config.format",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "stop_sequences",
    "store",
    "system[].cache_control",
    "temperature",
    "text.format",
    "text.verbosity",
    "thinking",
    "tool_choice.allowed_tools",
    "tools[].cache_control",
    "tools[].function.strict",
    "tools[].strict",
    "tools[].web_search",
    "top_k",
    "top_logprobs",
    "top_p",
    "truncation",
];

/// The metric label of a lost field.
pub(super) fn field_label(field: &str) -> &'static str {
    FIELDS.binary_search(&field).ok().and_then(|index| FIELDS.get(index)).map_or("other", |name| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_fields_keep_their_names_and_all_others_share_one() {
        assert!(FIELDS.is_sorted());
        assert_eq!(field_label("top_k"), "top_k");
        assert_eq!(field_label("x_made_up"), "other");
    }
}
