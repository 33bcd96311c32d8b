//! Attributes in the JSON encoding of OTLP: numbers of 64 bits are texts.

use serde_json::{Value, json};

/// A text.
pub(super) fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// The attributes of a span.
#[derive(Default)]
pub(super) struct Attributes(Vec<Value>);

impl Attributes {
    /// Adds a text.
    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.0.push(attribute(key, value));
    }

    /// Adds a text that may not be known.
    pub(super) fn known(&mut self, key: &str, value: Option<&str>) {
        self.0.extend(value.map(|value| attribute(key, value)));
    }

    /// Adds a number that may not be known.
    pub(super) fn number(&mut self, key: &str, value: Option<i64>) {
        self.0.extend(value.map(|value| json!({"key": key, "value": {"intValue": value.to_string()}})));
    }

    /// Adds a flag.
    pub(super) fn flag(&mut self, key: &str, value: bool) {
        self.0.push(json!({"key": key, "value": {"boolValue": value}}));
    }

    pub(super) fn into_values(self) -> Vec<Value> {
        self.0
    }
}
