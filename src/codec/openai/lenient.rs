//! Values that providers spell in more than one way. Reading them never fails on a wrong type:
//! one odd member must not cost the answer around it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::codec::json::unquote;

/// A text: a string, or the texts of an array of parts joined. Anything else reads as empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::codec) struct Words<'b>(pub Cow<'b, str>);

/// A number that cannot be negative: written as an integer, a float or in quotes. Anything else
/// reads as 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::codec) struct Count(pub u64);

/// Arguments of a call: JSON text in a string, or, from some servers, the JSON itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::codec) struct Arguments<'b>(pub Cow<'b, str>);

impl Count {
    /// Reads a value as it stands in JSON.
    pub(in crate::codec) fn of(value: &str) -> Self {
        let number = value.trim_matches('"');
        let whole = number.split('.').next().unwrap_or_default();
        Self(number.parse().or_else(|_error| whole.parse()).unwrap_or(0))
    }
}

impl Words<'_> {
    pub(in crate::codec) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text, unless it is empty.
    pub(in crate::codec) fn some(&self) -> Option<&str> {
        Some(self.0.as_ref()).filter(|text| !text.is_empty())
    }
}

impl<'de: 'b, 'b> Deserialize<'de> for Words<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsVisitor)
    }
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Words<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Words(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Words(Cow::Owned(text.to_owned())))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Words::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Words::default())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Words(Cow::Owned(number.to_string())))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Words::default())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Words::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Self::Value, A::Error> {
        let mut joined = String::new();
        while let Some(Words(part)) = parts.next_element()? {
            joined.push_str(&part);
        }
        Ok(Words(Cow::Owned(joined)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut text = Words::default();
        while let Some(Words(key)) = members.next_key()? {
            if key == "text" {
                text = members.next_value()?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(text)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(deserializer).map(|raw| Self::of(raw.get()))
    }
}

impl<'de: 'b, 'b> Deserialize<'de> for Arguments<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(match raw.get() {
            "null" => Self::default(),
            text => Self(unquote(text).unwrap_or(Cow::Borrowed(text))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_from_every_form_and_a_plain_one_is_not_copied() {
        let read = |json: &'static str| serde_json::from_str::<Words<'static>>(json).unwrap().0;
        assert!(matches!(read("\"plain\""), Cow::Borrowed("plain")));
        assert_eq!(read(r#""a\nb""#), "a\nb");
        assert_eq!(read(r#"[{"type":"text","text":"a"},{"type":"x","y":[1,{}]},"b"]"#), "ab");
        for nothing in ["null", "true", "-1", "1.5", "{}", "[]", "\"\""] {
            assert_eq!(read(nothing), "", "{nothing}");
        }
    }

    #[test]
    fn a_count_is_read_from_every_form() {
        for (json, count) in [("7", 7), ("7.0", 7), ("\"7\"", 7), ("-1", 0), ("null", 0), ("[1]", 0)] {
            assert_eq!(serde_json::from_str::<Count>(json).unwrap(), Count(count), "{json}");
        }
    }

    #[test]
    fn arguments_keep_the_text_of_numbers_and_the_order_of_keys() {
        let read = |json: &'static str| serde_json::from_str::<Arguments<'static>>(json).unwrap().0;
        assert_eq!(read(r#""{\"z\":1.10,\"a\":12345678901234567890}""#), r#"{"z":1.10,"a":12345678901234567890}"#);
        assert_eq!(read(r#"{"z":1.10}"#), r#"{"z":1.10}"#);
        assert_eq!(read("null"), "");
    }
}
