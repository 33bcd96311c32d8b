//! Arguments of tool calls between raw JSON text and the objects of this protocol, and the
//! wrapping of free-text tools, which it does not know, as functions with one string.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::{Input, Str};
use crate::chat::{ChatRequest, ToolCall, ToolInput};

/// The arguments of `call` as an object, without changing a byte of them.
pub(super) fn to_input(call: &ToolCall) -> Input<'_> {
    if call.custom {
        return Input::Custom { input: &call.arguments };
    }
    if call.arguments.trim().is_empty() {
        return Input::Empty {};
    }
    match serde_json::from_str::<&RawValue>(&call.arguments) {
        Ok(value) if value.get().starts_with('{') => Input::Object(value),
        _ => Input::Unreadable { text: &call.arguments },
    }
}

/// The text that a wrapped call holds; text that is wrapped otherwise, or cut, comes as it is.
pub(super) fn unwrap(json: &str) -> String {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wrapped<'b> {
        #[serde(borrow)]
        input: Str<'b>,
    }
    match serde_json::from_str::<Wrapped<'_>>(json) {
        Ok(wrapped) => wrapped.input.0.into_owned(),
        Err(_) => json.to_owned(),
    }
}

/// Names of the tools of `request` that take free text.
pub(super) fn custom_tools(request: &ChatRequest) -> Vec<String> {
    let is_custom = |input: &ToolInput| matches!(input, ToolInput::Custom { .. });
    request.tools.iter().filter(|tool| is_custom(&tool.input)).map(|tool| tool.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(arguments: &str, custom: bool) -> String {
        let call = ToolCall { id: String::new(), name: String::new(), arguments: arguments.to_owned(), custom };
        serde_json::to_string(&to_input(&call)).unwrap()
    }

    #[test]
    fn arguments_keep_numbers_and_key_order_and_are_always_an_object() {
        let odd = r#"{"z":12345678901234567890123,"a": 1.10}"#;
        assert_eq!(written(odd, false), odd);
        assert_eq!(written(" ", false), "{}");
        assert_eq!(written("{\"a\":", false), r#"{"_raw":"{\"a\":"}"#);
        assert_eq!(written("[1]", false), r#"{"_raw":"[1]"}"#);
    }

    #[test]
    fn free_text_is_wrapped_and_unwrapped() {
        let text = "line \"1\"\n{}";
        assert_eq!(unwrap(&written(text, true)), text);
        assert_eq!(unwrap(r#"{"input":"cut"#), r#"{"input":"cut"#);
        assert_eq!(unwrap(r#"{"other":1}"#), r#"{"other":1}"#);
    }
}
