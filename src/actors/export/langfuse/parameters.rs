//! Options of the model, as Langfuse can hold them.

use serde_json::{Map, Value};

/// Members of requests that tell how the model shall answer, of all protocols.
const NAMES: [&str; 24] = [
    "temperature",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "top_p",
    "top_k",
    "n",
    "best_of",
    "seed",
    "stop",
    "stop_sequences",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
    "top_logprobs",
    "reasoning_effort",
    "reasoning",
    "thinking",
    "verbosity",
    "service_tier",
    "parallel_tool_calls",
    "dimensions",
    "encoding_format",
    "truncation",
];

/// Most bytes of an option.
const LONGEST: usize = 1000;

/// Options that the request sets: texts, numbers, flags and lists of texts, which is all that the
/// API's `MapValue` knows; anything else is written as JSON text.
pub(super) fn parameters(body: &Map<String, Value>) -> Map<String, Value> {
    let set = NAMES.iter().filter_map(|name| body.get_key_value(*name)).filter(|(_, value)| !value.is_null());
    set.map(|(name, value)| (name.clone(), fit(value))).collect()
}

fn fit(value: &Value) -> Value {
    match value {
        Value::Bool(_) | Value::Number(_) => value.clone(),
        Value::String(text) => Value::String(super::cut::text(text.clone(), LONGEST)),
        Value::Array(texts) if texts.len() <= 16 && texts.iter().all(is_short) => value.clone(),
        other => Value::String(super::cut::text(other.to_string(), LONGEST)),
    }
}

fn is_short(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() <= LONGEST)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn options_are_told_in_forms_that_langfuse_takes() {
        let body = json!({
            "model": "m", "messages": [], "stream": true, "user": "u", "temperature": 0.50, "max_tokens": 7, "top_p": null,
            "stop": ["a", "b"], "reasoning": {"effort": "low"}, "parallel_tool_calls": false,
            "stop_sequences": [1, "x"], "service_tier": "é".repeat(1000),
        });
        let told = Value::Object(parameters(body.as_object().unwrap()));
        let tier = told["service_tier"].as_str().unwrap();
        assert!(tier.len() < 1100 && tier.contains("cut 1000 bytes"), "{tier}");
        assert_eq!(
            told,
            json!({"temperature": 0.5, "max_tokens": 7, "stop": ["a", "b"], "stop_sequences": r#"[1,"x"]"#,
                "reasoning": r#"{"effort":"low"}"#, "service_tier": tier, "parallel_tool_calls": false})
        );
    }
}
