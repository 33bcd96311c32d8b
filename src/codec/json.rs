//! Reading and changing a JSON object without rebuilding it.
//!
//! A body that crosses unchanged but for a few values is parsed once at its top level; the
//! values are found as spans of the text and replaced there, so numbers, key order, white space
//! and unknown fields stay as the sender wrote them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::scan;

/// The members of a JSON object, in order, values unread.
#[derive(Debug)]
pub struct Members<'b> {
    text: &'b str,
    members: Vec<(Cow<'b, str>, &'b str)>,
}

/// A replacement of a span of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Bytes to take out; empty to insert only.
    pub span: Range<usize>,
    /// What comes in their place.
    pub with: Vec<u8>,
}

/// The text of `data`.
///
/// # Errors
/// When it is not UTF-8.
pub fn text_of(data: &[u8]) -> Result<&str, serde_json::Error> {
    std::str::from_utf8(data).map_err(serde::de::Error::custom)
}

/// Whether `text` is JSON, whatever it says.
///
/// # Errors
/// When it is not.
pub fn check(text: &str) -> Result<(), serde_json::Error> {
    serde_json::from_str::<IgnoredAny>(text).map(drop)
}

impl<'b> Members<'b> {
    /// Reads the top level of `text`.
    ///
    /// # Errors
    /// When it is not a JSON object.
    pub fn read(text: &'b str) -> Result<Self, serde_json::Error> {
        let mut members = Vec::with_capacity(16);
        let take = |key, value| {
            members.push((unquote(key)?, value));
            Some(())
        };
        if scan::members(text, take).is_some() {
            return Ok(Self { text, members });
        }
        // Tells what is wrong; or it is only nested very deeply.
        let Pairs(members) = serde_json::from_str(text)?;
        Ok(Self { text, members })
    }

    /// The value of `name`; the last one when it stands twice, as most parsers read it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'b str> {
        self.members.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// Whether `name` stands more than once.
    #[must_use]
    pub fn is_repeated(&self, name: &str) -> bool {
        self.members.iter().filter(|(key, _)| key == name).count() > 1
    }

    /// Where a value that was read from here stands in the text.
    #[must_use]
    pub fn span(&self, value: &str) -> Range<usize> {
        // Both are slices of one text, so the distance of their addresses is an index into it.
        let start = value.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        start..start.saturating_add(value.len())
    }
}

struct Pairs<'b>(Vec<(Cow<'b, str>, &'b str)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some((Key(key), value)) = map.next_entry::<_, &RawValue>()? {
                    members.push((key, value.get()));
                }
                Ok(Pairs(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

/// A key, borrowed unless it holds escapes.
#[derive(serde::Deserialize)]
struct Key<'b>(#[serde(borrow)] Cow<'b, str>);

/// `body` with `edits` made, in one copy. Edits must not overlap.
#[must_use]
pub fn splice(body: &[u8], mut edits: Vec<Edit>) -> Bytes {
    edits.sort_by_key(|edit| edit.span.start);
    let added: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let mut out = BytesMut::with_capacity(body.len() + added);
    let mut from = 0;
    for edit in edits {
        out.extend_from_slice(body.get(from..edit.span.start).unwrap_or_default());
        out.extend_from_slice(&edit.with);
        from = edit.span.end;
    }
    out.extend_from_slice(body.get(from..).unwrap_or_default());
    out.freeze()
}

/// `text` as a JSON string, quotes included.
#[must_use]
pub fn quote(text: &str) -> Vec<u8> {
    // A string always serialises.
    serde_json::to_vec(text).unwrap_or_default()
}

/// The text of `value`, which is JSON; `None` when it is no string.
#[must_use]
pub fn unquote(value: &str) -> Option<Cow<'_, str>> {
    let text = value.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Some(Cow::Borrowed(text));
    }
    serde_json::from_str::<Key<'_>>(value).ok().map(|Key(text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_replaced_in_place_and_the_rest_stays_to_the_byte() {
        let text = r#" { "a" : 1.10, "mod\u0065l" :"x", "b":[1, 2],"z":12345678901234567890} "#;
        let members = Members::read(text).unwrap();
        let model = members.get("model").unwrap();
        assert_eq!(unquote(model).as_deref(), Some("x"));
        let edit = Edit { span: members.span(model), with: quote("y\"é") };
        let spliced = splice(text.as_bytes(), vec![edit]);
        assert_eq!(std::str::from_utf8(&spliced).unwrap(), text.replace("\"x\"", "\"y\\\"é\""));
    }

    #[test]
    fn repeated_keys_are_seen_and_only_objects_are_read() {
        assert!(Members::read(r#"{"a":1,"a":2}"#).unwrap().is_repeated("a"));
        for wrong in ["[]", "1", "", "{", "{} {}", "null"] {
            assert!(Members::read(wrong).is_err(), "{wrong}");
        }
        assert_eq!(unquote(Members::read(r#"{"a":1}"#).unwrap().get("a").unwrap()), None);
    }
}
