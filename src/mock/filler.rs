//! The simplest value that satisfies a JSON schema: arguments of tool calls and JSON-mode answers.

use serde_json::{Map, Value, json};

/// Nesting at which a schema that refers to itself is cut with null.
const DEEPEST: usize = 24;
/// Items made for `minItems`, at most.
const MOST_ITEMS: u64 = 16;

/// A value for `schema`: string "mock", integer 1, number 1.5, boolean true, the first of an
/// enum, an empty array (or `minItems` items), an object with its required properties (with all
/// of them when none is named required). A schema that is not an object gives `{}`.
pub(super) fn fill(schema: &Value) -> Value {
    if schema.is_object() { value(schema, schema, 0) } else { json!({}) }
}

fn value(root: &Value, schema: &Value, depth: usize) -> Value {
    if depth > DEEPEST {
        return Value::Null;
    }
    if let Some(fixed) = fixed(schema) {
        return fixed.clone();
    }
    if let Some(target) = reference(root, schema).or_else(|| alternative(schema)) {
        return value(root, target, depth + 1);
    }
    if let Some(parts) = schema.get("allOf").and_then(Value::as_array) {
        return merged(root, parts, depth);
    }
    match kind(schema) {
        "object" => object(root, schema, depth),
        "array" => array(root, schema, depth),
        "integer" => json!(1),
        "number" => json!(1.5),
        "boolean" => json!(true),
        "null" => Value::Null,
        _ => json!("mock"),
    }
}

fn fixed(schema: &Value) -> Option<&Value> {
    schema.get("const").or_else(|| schema.get("enum")?.as_array()?.first())
}

fn reference<'a>(root: &'a Value, schema: &Value) -> Option<&'a Value> {
    root.pointer(schema.get("$ref")?.as_str()?.strip_prefix('#')?)
}

fn alternative(schema: &Value) -> Option<&Value> {
    let choices = schema.get("anyOf").or_else(|| schema.get("oneOf"))?;
    choices.as_array()?.first()
}

fn merged(root: &Value, parts: &[Value], depth: usize) -> Value {
    let mut fields = Map::new();
    for part in parts {
        match value(root, part, depth + 1) {
            Value::Object(more) => fields.extend(more),
            other => return other,
        }
    }
    Value::Object(fields)
}

fn kind(schema: &Value) -> &str {
    let named = match schema.get("type") {
        Some(Value::String(name)) => Some(name.as_str()),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        _ => None,
    };
    named.unwrap_or(if schema.get("properties").is_some() {
        "object"
    } else if schema.get("items").is_some() {
        "array"
    } else {
        "string"
    })
}

fn object(root: &Value, schema: &Value, depth: usize) -> Value {
    let empty = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    let names: Vec<&str> = match schema.get("required").and_then(Value::as_array) {
        Some(required) => required.iter().filter_map(Value::as_str).collect(),
        None => properties.keys().map(String::as_str).collect(),
    };
    let field = |name: &str| properties.get(name).map_or(json!("mock"), |part| value(root, part, depth + 1));
    Value::Object(names.into_iter().map(|name| (name.to_owned(), field(name))).collect())
}

fn array(root: &Value, schema: &Value, depth: usize) -> Value {
    let count = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(MOST_ITEMS);
    let item = schema.get("items").map_or(json!("mock"), |part| value(root, part, depth + 1));
    Value::Array((0..count).map(|_| item.clone()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_its_simple_value() {
        let schema = json!({"type": "object", "properties": {
            "s": {"type": "string"}, "i": {"type": "integer"}, "n": {"type": "number"}, "b": {"type": "boolean"},
            "e": {"enum": ["red", "blue"]}, "a": {"type": "array", "items": {"type": "string"}},
            "o": {"type": "object", "properties": {"in": {"type": ["null", "integer"]}}},
        }});
        let want = json!({"s": "mock", "i": 1, "n": 1.5, "b": true, "e": "red", "a": [], "o": {"in": 1}});
        assert_eq!(fill(&schema), want);
    }

    #[test]
    fn only_required_properties_are_filled_when_some_are_named() {
        let schema = json!({"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["b"]});
        assert_eq!(fill(&schema), json!({"b": 1}));
    }

    #[test]
    fn references_and_alternatives_are_followed() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"$ref": "#/$defs/city"},
                "unit": {"anyOf": [{"const": "C"}, {"type": "null"}]},
                "both": {"allOf": [{"properties": {"x": {"type": "integer"}}}, {"properties": {"y": {"type": "boolean"}}}]},
                "list": {"type": "array", "minItems": 2, "items": {"type": "number"}},
            },
            "$defs": {"city": {"type": "object", "properties": {"name": {"type": "string"}}}},
        });
        let want = json!({"city": {"name": "mock"}, "unit": "C", "both": {"x": 1, "y": true}, "list": [1.5, 1.5]});
        assert_eq!(fill(&schema), want);
    }

    #[test]
    fn a_schema_that_needs_itself_comes_to_an_end() {
        let schema = json!({"properties": {"next": {"$ref": "#"}}, "required": ["next"]});
        assert!(fill(&schema).pointer("/next/next/next").is_some());
    }

    #[test]
    fn a_missing_schema_gives_an_empty_object() {
        assert_eq!(fill(&Value::Null), json!({}));
        assert_eq!(fill(&json!({"type": "object"})), json!({}));
    }
}
