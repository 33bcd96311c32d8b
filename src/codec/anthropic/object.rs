//! Strict reading of a client's JSON: every mistake names the field where it is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::wire::Str;
use crate::chat::{Failure, FailureKind};

/// Where a value stands, such as `messages[2].content[0]`. Written out only when it is wrong.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path<'p> {
    Root,
    Key(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

/// The members of an object, values unread.
pub(super) struct Object<'b, 'p> {
    members: BTreeMap<Str<'b>, &'b RawValue>,
    path: &'p Path<'p>,
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Self::Root, name) => f.write_str(name),
            Self::Key(parent, name) => write!(f, "{parent}.{name}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl Path<'_> {
    /// The value here is not what it must be.
    pub(super) fn invalid(&self, must: &str) -> Failure {
        Failure::new(FailureKind::InvalidValue, format!("`{self}` must be {must}")).with_param(self.to_string())
    }

    /// The value here is missing.
    pub(super) fn missing(&self) -> Failure {
        Failure::new(FailureKind::MissingParameter, format!("`{self}` is required")).with_param(self.to_string())
    }
}

impl<'b, 'p> Object<'b, 'p> {
    /// Reads the top level of an object.
    pub(super) fn read(value: &'b RawValue, path: &'p Path<'p>) -> Result<Self, Failure> {
        let members = serde_json::from_str(value.get()).map_err(|_error| path.invalid("an object"))?;
        Ok(Self { members, path })
    }

    pub(super) const fn path(&self) -> &'p Path<'p> {
        self.path
    }

    /// The value of `name`; null is absent.
    pub(super) fn get(&self, name: &str) -> Option<&'b RawValue> {
        self.members.get(name).copied().filter(|value| value.get() != "null")
    }

    /// Names and values that say something: not null, false, nor an empty list or object.
    pub(super) fn said(&self) -> impl Iterator<Item = &str> {
        let says = |value: &RawValue| !matches!(value.get(), "null" | "false" | "[]" | "{}");
        self.members.iter().filter(move |(_, value)| says(value)).map(|(name, _)| &*name.0)
    }

    pub(super) fn required(&self, name: &str) -> Result<&'b RawValue, Failure> {
        self.get(name).ok_or_else(|| Path::Key(self.path, name).missing())
    }

    fn typed<T: Deserialize<'b>>(&self, name: &str, must: &str) -> Result<Option<T>, Failure> {
        let read = |value: &'b RawValue| {
            serde_json::from_str(value.get()).map_err(|_error| Path::Key(self.path, name).invalid(must))
        };
        self.get(name).map(read).transpose()
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<Cow<'b, str>>, Failure> {
        Ok(self.typed::<Str<'b>>(name, "a string")?.map(|text| text.0))
    }

    pub(super) fn required_text(&self, name: &str) -> Result<Cow<'b, str>, Failure> {
        self.text(name)?.ok_or_else(|| Path::Key(self.path, name).missing())
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Failure> {
        self.typed(name, "true or false")
    }

    pub(super) fn count(&self, name: &str) -> Result<Option<u64>, Failure> {
        self.typed(name, "a whole number")
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<serde_json::Number>, Failure> {
        self.typed(name, "a number")
    }

    pub(super) fn list(&self, name: &str) -> Result<Option<Vec<&'b RawValue>>, Failure> {
        self.typed(name, "an array")
    }

    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Failure> {
        self.typed(name, "an array of strings")
    }

    pub(super) fn map(&self, name: &str) -> Result<Option<serde_json::Map<String, serde_json::Value>>, Failure> {
        self.typed(name, "an object")
    }
}

/// Whether the value is a string.
pub(super) fn is_text(value: &RawValue) -> bool {
    value.get().starts_with('"')
}

/// A string, or what must be said where it is none.
pub(super) fn as_text<'b>(value: &'b RawValue, path: &Path<'_>) -> Result<Cow<'b, str>, Failure> {
    match serde_json::from_str::<Str<'b>>(value.get()) {
        Ok(text) => Ok(text.0),
        Err(_) => Err(path.invalid("a string")),
    }
}

/// A list, or what must be said where it is none.
pub(super) fn as_list<'b>(value: &'b RawValue, path: &Path<'_>) -> Result<Vec<&'b RawValue>, Failure> {
    serde_json::from_str(value.get()).map_err(|_error| path.invalid("a string or an array"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_in_javascript() {
        let messages = Path::Key(&Path::Root, "messages");
        let message = Path::Index(&messages, 2);
        let content = Path::Key(&message, "content");
        let block = Path::Index(&content, 0);
        assert_eq!(Path::Key(&block, "type").to_string(), "messages[2].content[0].type");
    }

    #[test]
    fn mistakes_name_the_field_and_null_is_absent() {
        let body: &RawValue = serde_json::from_str(r#"{"a":null,"b":1,"c":"x","d":[],"e":false}"#).unwrap();
        let object = Object::read(body, &Path::Root).unwrap();
        assert_eq!(object.text("a").unwrap(), None);
        assert_eq!(object.said().collect::<Vec<_>>(), ["b", "c"]);
        let wrong = object.text("b").unwrap_err();
        assert_eq!((wrong.kind, wrong.param.as_deref()), (FailureKind::InvalidValue, Some("b")));
        let missing = object.required_text("z").unwrap_err();
        assert_eq!((missing.kind, missing.param.as_deref()), (FailureKind::MissingParameter, Some("z")));
    }
}
