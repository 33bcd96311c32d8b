//! Reading the fields of a request, each with its path at hand.

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value};

use crate::chat::{Failure, FailureKind};

/// The fields of one object of a request; those that are read are taken out.
pub(super) struct Fields {
    path: String,
    map: Map<String, Value>,
}

/// Paths of what no other protocol can take.
#[derive(Debug, Default)]
pub(super) struct Foreign(BTreeSet<String>);

impl Foreign {
    pub(super) fn add(&mut self, path: impl Into<String>) {
        self.0.insert(path.into());
    }

    pub(super) fn into_sorted(self) -> Vec<String> {
        self.0.into_iter().collect()
    }
}

impl Fields {
    pub(super) const fn root(map: Map<String, Value>) -> Self {
        Self { path: String::new(), map }
    }

    pub(super) fn of(value: Value, path: String) -> Result<Self, Failure> {
        match value {
            Value::Object(map) => Ok(Self { path, map }),
            _ => Err(wrong(path, "an object")),
        }
    }

    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The value of `key`; null is as good as absent.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.map.remove(key).filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    pub(super) fn string(&mut self, key: &str) -> Result<Option<String>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(wrong(self.path(key), "a string")),
        }
    }

    pub(super) fn required_string(&mut self, key: &str) -> Result<String, Failure> {
        self.string(key)?.ok_or_else(|| missing(self.path(key)))
    }

    pub(super) fn boolean(&mut self, key: &str) -> Result<Option<bool>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(wrong(self.path(key), "a boolean")),
        }
    }

    pub(super) fn number(&mut self, key: &str) -> Result<Option<Number>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number)),
            Some(_) => Err(wrong(self.path(key), "a number")),
        }
    }

    pub(super) fn count(&mut self, key: &str) -> Result<Option<u64>, Failure> {
        let Some(number) = self.number(key)? else {
            return Ok(None);
        };
        number.as_u64().map(Some).ok_or_else(|| wrong(self.path(key), "a whole number of 0 or more"))
    }

    /// A count that cannot be 0.
    pub(super) fn limit(&mut self, key: &str) -> Result<Option<u64>, Failure> {
        let count = self.count(key)?;
        if count == Some(0) { Err(wrong(self.path(key), "a whole number of at least 1")) } else { Ok(count) }
    }

    pub(super) fn array(&mut self, key: &str) -> Result<Option<Vec<Value>>, Failure> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Array(values)) => Ok(Some(values)),
            Some(_) => Err(wrong(self.path(key), "an array")),
        }
    }

    pub(super) fn object(&mut self, key: &str) -> Result<Option<Self>, Failure> {
        let path = self.path(key);
        self.take(key).map(|value| Self::of(value, path)).transpose()
    }

    pub(super) fn map(&mut self, key: &str) -> Result<Option<Map<String, Value>>, Failure> {
        Ok(self.object(key)?.map(|fields| fields.map))
    }

    /// Names of what has not been read and is not null.
    pub(super) fn rest(self) -> impl Iterator<Item = String> {
        self.map.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, _)| key)
    }
}

pub(super) fn wrong(path: String, expected: &str) -> Failure {
    Failure::new(FailureKind::InvalidValue, format!("`{path}` must be {expected}")).with_param(path)
}

pub(super) fn missing(path: String) -> Failure {
    Failure::new(FailureKind::MissingParameter, format!("`{path}` is required")).with_param(path)
}

pub(super) fn unsupported(path: impl Into<String>) -> Failure {
    let path = path.into();
    let message = format!("`{path}` is not supported by the protocol of the provider that serves this model");
    Failure::new(FailureKind::UnsupportedAcrossProtocols, message).with_param(path)
}
