//! Reading a client's request member by member, so that every complaint names its field and
//! everything that was not read can be listed as lost.

use std::collections::BTreeSet;

use serde_json::{Map, Number, Value};

use crate::chat::{Failure, FailureKind};

/// A JSON object of the request and where it stands. Members are taken out as they are read;
/// null counts as absent.
#[derive(Debug)]
pub(in crate::codec) struct Object {
    path: String,
    members: Map<String, Value>,
}

/// Paths, without indexes, of what no other protocol can take.
#[derive(Debug, Default)]
pub(in crate::codec) struct Foreign(BTreeSet<String>);

impl Foreign {
    /// Lists a path.
    pub(in crate::codec) fn add(&mut self, path: &str) {
        self.0.insert(without_indexes(path));
    }

    /// Sorted and distinct.
    pub(in crate::codec) fn into_paths(self) -> Vec<String> {
        self.0.into_iter().collect()
    }
}

/// `messages[2].name` as `messages[].name`.
pub(in crate::codec) fn without_indexes(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|character| {
            inside = (inside || *character == '[') && *character != ']';
            !inside || *character == '['
        })
        .collect()
}

impl Object {
    /// The whole request.
    ///
    /// # Errors
    /// `InvalidJson` when it is not an object.
    pub(in crate::codec) fn parse(body: &[u8]) -> Result<Self, Failure> {
        let problem = match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => return Ok(Self { path: String::new(), members }),
            Ok(_) => String::new(),
            Err(error) => format!(": {error}"),
        };
        Err(Failure::new(FailureKind::InvalidJson, format!("the request body is not a JSON object{problem}")))
    }

    /// An object that stands at `path`.
    pub(in crate::codec) fn read(value: Value, path: String) -> Result<Self, Failure> {
        match value {
            Value::Object(members) => Ok(Self { path, members }),
            _ => Err(wrong(path, "must be an object")),
        }
    }

    /// Where it stands, or where its member `name` does.
    pub(in crate::codec) fn path(&self, name: &str) -> String {
        match (self.path.is_empty(), name.is_empty()) {
            (true, _) => name.to_owned(),
            (false, true) => self.path.clone(),
            (false, false) => format!("{}.{name}", self.path),
        }
    }

    pub(in crate::codec) fn take(&mut self, name: &str) -> Option<Value> {
        self.members.shift_remove(name).filter(|value| !value.is_null())
    }

    pub(in crate::codec) fn text(&mut self, name: &str) -> Result<Option<String>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "must be a string")),
        }
    }

    pub(in crate::codec) fn required_text(&mut self, name: &str) -> Result<String, Failure> {
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    pub(in crate::codec) fn flag(&mut self, name: &str) -> Result<Option<bool>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(self.wrong(name, "must be a boolean")),
        }
    }

    pub(in crate::codec) fn number(&mut self, name: &str) -> Result<Option<Number>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Number(number)) => Ok(Some(number)),
            Some(_) => Err(self.wrong(name, "must be a number")),
        }
    }

    pub(in crate::codec) fn count(&mut self, name: &str) -> Result<Option<u64>, Failure> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Number(number)) if number.is_u64() => Ok(number.as_u64()),
            Some(_) => Err(self.wrong(name, "must be a whole number of at least 0")),
        }
    }

    /// A count that cannot be 0.
    pub(in crate::codec) fn limit(&mut self, name: &str) -> Result<Option<u64>, Failure> {
        let count = self.count(name)?;
        if count == Some(0) { Err(self.wrong(name, "must be a whole number of at least 1")) } else { Ok(count) }
    }

    pub(in crate::codec) fn object(&mut self, name: &str) -> Result<Option<Self>, Failure> {
        let path = self.path(name);
        self.take(name).map(|value| Self::read(value, path)).transpose()
    }

    /// A string, or the strings of an array.
    pub(in crate::codec) fn texts(&mut self, name: &str) -> Result<Vec<String>, Failure> {
        let values = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(values)) => values,
            Some(value) => vec![value],
        };
        let text = |value| match value {
            Value::String(text) => Ok(text),
            _ => Err(self.wrong(name, "must be a string or an array of strings")),
        };
        values.into_iter().map(text).collect()
    }

    pub(in crate::codec) fn objects(&mut self, name: &str) -> Result<Vec<Self>, Failure> {
        let path = self.path(name);
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(values)) => objects_of(values, &path),
            Some(_) => Err(wrong(path, "must be an array")),
        }
    }

    /// Takes members that mean nothing to anybody.
    pub(in crate::codec) fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.members.shift_remove(*name);
        }
    }

    /// Takes members that say no more than their absence would.
    pub(in crate::codec) fn ignore_defaults(&mut self, defaults: &[(&str, Value)]) {
        for (name, default) in defaults {
            if self.members.get(*name).is_some_and(|value| is_same(value, default)) {
                self.members.shift_remove(*name);
            }
        }
    }

    /// Lists every member that was not read.
    pub(in crate::codec) fn list_rest(self, foreign: &mut Foreign) {
        for (name, value) in &self.members {
            let is_nothing = match value {
                Value::Null => true,
                // Answers that come back in the history carry empty members.
                Value::Array(items) => items.is_empty() && !self.path.is_empty(),
                Value::Object(members) => members.is_empty() && !self.path.is_empty(),
                _ => false,
            };
            if !is_nothing {
                foreign.add(&self.path(name));
            }
        }
    }

    pub(in crate::codec) fn missing(&self, name: &str) -> Failure {
        let path = self.path(name);
        Failure::new(FailureKind::MissingParameter, format!("`{path}` is required")).with_param(path)
    }

    pub(in crate::codec) fn wrong(&self, name: &str, rule: &str) -> Failure {
        wrong(self.path(name), rule)
    }
}

pub(in crate::codec) fn objects_of(values: Vec<Value>, path: &str) -> Result<Vec<Object>, Failure> {
    values.into_iter().enumerate().map(|(place, value)| Object::read(value, format!("{path}[{place}]"))).collect()
}

/// A failure that names its field.
pub(in crate::codec) fn wrong(path: String, rule: &str) -> Failure {
    Failure::new(FailureKind::InvalidValue, format!("`{path}` {rule}")).with_param(path)
}

/// What only a provider of the same protocol could do; `param` has no indexes.
pub(in crate::codec) fn unsupported(param: &str) -> Failure {
    let message = format!("`{param}` cannot be carried to a provider that speaks another protocol");
    Failure::new(FailureKind::UnsupportedAcrossProtocols, message).with_param(param)
}

/// Equal values; 0 and 0.0 are.
fn is_same(value: &Value, default: &Value) -> bool {
    value == default || (value.is_number() && value.as_f64() == default.as_f64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Object {
        Object::read(value, "a[1]".to_owned()).unwrap()
    }

    #[test]
    fn a_wrong_type_names_the_field_with_its_index() {
        let mut read = object(json!({"t": 1, "f": "x", "n": true, "c": -1, "o": [], "l": {}, "s": [1]}));
        let failures = [
            read.text("t").unwrap_err(),
            read.flag("f").unwrap_err(),
            read.number("n").unwrap_err(),
            read.count("c").unwrap_err(),
            read.object("o").unwrap_err(),
            read.objects("l").unwrap_err(),
            read.texts("s").unwrap_err(),
        ];
        let params: Vec<_> = failures.iter().filter_map(|failure| failure.param.as_deref()).collect();
        assert_eq!(params, ["a[1].t", "a[1].f", "a[1].n", "a[1].c", "a[1].o", "a[1].l", "a[1].s"]);
        let missing = read.required_text("x").unwrap_err();
        assert_eq!((missing.kind, missing.param.as_deref()), (FailureKind::MissingParameter, Some("a[1].x")));
    }

    #[test]
    fn what_was_not_read_is_listed_without_indexes_unless_it_says_nothing() {
        let mut foreign = Foreign::default();
        let mut read = object(json!({"known": 1, "null": null, "empty": [], "odd": 0, "zero": 0.0}));
        read.take("known");
        read.ignore_defaults(&[("zero", json!(0))]);
        read.list_rest(&mut foreign);
        assert_eq!(foreign.into_paths(), ["a[].odd"]);
        assert_eq!(without_indexes("messages[12].content[0].x[]"), "messages[].content[].x[]");
    }
}
