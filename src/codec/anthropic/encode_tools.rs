//! Tools as a provider wants them.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::chat::{ChatRequest, Target, Tool, ToolChoice, ToolInput};

/// A declared tool.
#[derive(Debug, Serialize)]
pub(super) struct WireTool<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    input_schema: Value,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

/// The `tool_choice` field.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct WireChoice<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    disable_parallel_tool_use: bool,
}

/// Writes the tools of `request`.
pub(super) fn tools<'a>(request: &'a ChatRequest, target: &Target<'_>, dropped: &mut Vec<String>) -> Vec<WireTool<'a>> {
    let strict_field = request.client.names.strict;
    let mut write = |tool: &'a Tool| {
        let (input_schema, is_strict) = match &tool.input {
            ToolInput::Function { schema, strict } => (object_schema(schema.as_ref()), *strict == Some(true)),
            ToolInput::Custom { format } => {
                if format.as_ref().is_some_and(|format| format.get("type").is_some_and(|kind| kind != "text")) {
                    dropped
                        .push(strict_field.replace(".function.strict", ".custom.format").replace(".strict", ".format"));
                }
                (wrapped_text(), false)
            }
        };
        if is_strict && !target.supports_response_schema {
            dropped.push(strict_field.to_owned());
        }
        let strict = is_strict && target.supports_response_schema;
        WireTool { name: &tool.name, description: tool.description.as_deref(), input_schema, strict }
    };
    request.tools.iter().map(&mut write).collect()
}

/// Writes the choice among the tools; `None` where nothing need be said.
pub(super) fn choice(request: &ChatRequest) -> Option<WireChoice<'_>> {
    if request.tools.is_empty() {
        return None;
    }
    let one_by_one = request.parallel_tool_calls == Some(false);
    let (kind, name) = match &request.tool_choice {
        None if one_by_one => ("auto", None),
        None => return None,
        Some(ToolChoice::Auto) => ("auto", None),
        Some(ToolChoice::Required) => ("any", None),
        Some(ToolChoice::None) => ("none", None),
        Some(ToolChoice::Named(name)) => ("tool", Some(name.as_str())),
    };
    Some(WireChoice { kind, name, disable_parallel_tool_use: one_by_one && kind != "none" })
}

/// The protocol demands an object's schema; whatever else the client wrote stays as it is.
fn object_schema(schema: Option<&Value>) -> Value {
    match schema {
        Some(Value::Object(schema)) if !schema.is_empty() => {
            let mut schema: Map<String, Value> = schema.clone();
            let is_open = match schema.get("type") {
                None | Some(Value::Null) => true,
                Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
                Some(_) => false,
            };
            if is_open {
                schema.insert("type".to_owned(), "object".into());
            }
            Value::Object(schema)
        }
        _ => json!({"type": "object", "properties": {}}),
    }
}

/// What stands in for a free-text tool.
fn wrapped_text() -> Value {
    json!({"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_is_an_object_s() {
        let empty = json!({"type":"object","properties":{}});
        assert_eq!(object_schema(None), empty);
        assert_eq!(object_schema(Some(&json!(null))), empty);
        assert_eq!(object_schema(Some(&json!({}))), empty);
        assert_eq!(object_schema(Some(&json!(true))), empty);
        let open = json!({"properties":{"a":{}},"$defs":{}});
        assert_eq!(object_schema(Some(&open)).to_string(), r#"{"properties":{"a":{}},"$defs":{},"type":"object"}"#);
        let nullable = json!({"type":["object","null"],"required":[]});
        assert_eq!(object_schema(Some(&nullable)), json!({"type":"object","required":[]}));
        let wrong = json!({"type":"string"});
        assert_eq!(object_schema(Some(&wrong)), wrong);
    }
}
