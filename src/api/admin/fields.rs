//! Reading a request body field by field.
//!
//! Typed readers instead of a derived `Deserialize`: an absent field, a null, a wrong type and
//! an unknown name are four different answers here, and each names the field.

use std::ops::RangeInclusive;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::{self, Bytes};
use actix_web::{FromRequest, HttpRequest};
use chrono::{DateTime, Utc};
use futures_util::future::LocalBoxFuture;
use serde_json::{Map, Value};

use super::error::AdminError;
use crate::api::payload::{BodyError, read};
use crate::config::FieldError;

/// Bodies with more bytes are refused.
pub(super) const BODY_LIMIT: usize = 1 << 20;

/// Rows that are deleted at once.
pub(super) const MOST_IDS: usize = 1000;

/// A request body, not read yet as JSON.
#[derive(Debug)]
pub(super) struct Body(Bytes);

/// The fields that nobody has taken yet.
#[derive(Debug)]
pub(super) struct Fields(Map<String, Value>);

/// One field that was sent.
#[derive(Debug)]
pub(super) struct Field {
    name: &'static str,
    value: Value,
}

// === impl Body ===

impl FromRequest for Body {
    type Error = AdminError;
    type Future = LocalBoxFuture<'static, Result<Self, AdminError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let refused = refused_by_headers(request);
        let payload = web::Payload::from_request(request, payload);
        Box::pin(async move {
            refused?;
            let unreadable = |error: actix_web::Error| AdminError::invalid(format!("The body cannot be read: {error}"));
            let body =
                read(payload.await.map_err(unreadable)?, None, BODY_LIMIT).await.map_err(|error| match error {
                    BodyError::TooLarge => AdminError::too_large(BODY_LIMIT),
                    BodyError::Slow => AdminError::too_slow(),
                    // Nobody is left who would read this.
                    BodyError::Gone => AdminError::invalid("The body is not complete"),
                    BodyError::Unreadable(error) => unreadable(error),
                })?;
            Ok(Self(body))
        })
    }
}

fn refused_by_headers(request: &HttpRequest) -> Result<(), AdminError> {
    let text = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    if text(header::CONTENT_ENCODING).is_some_and(|encoding| !encoding.trim().eq_ignore_ascii_case("identity")) {
        return Err(AdminError::encoded());
    }
    let length = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > BODY_LIMIT) { Err(AdminError::too_large(BODY_LIMIT)) } else { Ok(()) }
}

impl Body {
    /// The fields of a JSON object.
    pub(super) fn fields(&self) -> Result<Fields, AdminError> {
        // The error tells a place, never a part of the body, which may hold a secret.
        let value = serde_json::from_slice(&self.0)
            .map_err(|error| AdminError::invalid(format!("The body is not valid JSON: {error}")))?;
        match value {
            Value::Object(fields) => Ok(Fields(fields)),
            _ => Err(AdminError::invalid("The body must be a JSON object")),
        }
    }

    /// As [`Body::fields`]; no body at all is an empty object, for calls that need no field.
    pub(super) fn optional_fields(&self) -> Result<Fields, AdminError> {
        if self.0.is_empty() { Ok(Fields(Map::new())) } else { self.fields() }
    }
}

// === impl Fields ===

impl Fields {
    /// Takes a field that must be there.
    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Field) -> Result<T, FieldError>,
    ) -> Result<T, FieldError> {
        self.optional(name, read)?.ok_or_else(|| FieldError::new(name, "is required"))
    }

    /// Takes a field that may be absent, but not null.
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Field) -> Result<T, FieldError>,
    ) -> Result<Option<T>, FieldError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::Null) => Err(FieldError::new(name, "must not be null")),
            Some(value) => read(Field { name, value }).map(Some),
        }
    }

    /// Takes a field that may be absent (`None`) or null (`Some(None)`).
    pub(super) fn nullable<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Field) -> Result<T, FieldError>,
    ) -> Result<Option<Option<T>>, FieldError> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::Null) => Ok(Some(None)),
            Some(value) => read(Field { name, value }).map(|value| Some(Some(value))),
        }
    }

    /// Forgets fields that only answers have, so that an answer can be sent back.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.0.remove(*name);
        }
    }

    /// Refuses what nobody took.
    pub(super) fn finish(self) -> Result<(), FieldError> {
        match self.0.keys().next() {
            Some(name) => Err(FieldError::new(name, "is not a known field")),
            None => Ok(()),
        }
    }
}

// === impl Field ===

impl Field {
    /// The error for this field.
    pub(super) fn refuse(&self, message: impl Into<String>) -> FieldError {
        FieldError::new(self.name, message)
    }

    /// A string with so many characters.
    pub(super) fn text(&self, length: RangeInclusive<usize>) -> Result<&str, FieldError> {
        let text = self.value.as_str().ok_or_else(|| self.refuse("must be a string"))?;
        if length.contains(&text.chars().count()) {
            Ok(text)
        } else {
            let (least, most) = (length.start(), length.end());
            Err(self.refuse(format!("must have {least} to {most} characters")))
        }
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Result<bool, FieldError> {
        self.value.as_bool().ok_or_else(|| self.refuse("must be true or false"))
    }

    /// An integer, written without a fraction.
    pub(super) fn integer(&self, range: RangeInclusive<i32>) -> Result<i32, FieldError> {
        let number = self.value.as_i64().and_then(|number| i32::try_from(number).ok());
        number.filter(|number| range.contains(number)).ok_or_else(|| {
            let (least, most) = (range.start(), range.end());
            self.refuse(format!("must be an integer from {least} to {most}"))
        })
    }

    /// A version of the configuration, whether it exists or not.
    pub(super) fn version(&self) -> Result<i64, FieldError> {
        self.value.as_i64().ok_or_else(|| self.refuse("must be an integer"))
    }

    /// A time in RFC 3339, cut to milliseconds, which is what is stored.
    pub(super) fn time(&self) -> Result<DateTime<Utc>, FieldError> {
        let time = self.value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
        let time = time.and_then(|time| DateTime::from_timestamp_millis(time.timestamp_millis()));
        time.ok_or_else(|| self.refuse("must be a time such as 2030-12-31T23:59:59Z"))
    }

    /// An array of strings.
    pub(super) fn texts(&self) -> Result<Vec<String>, FieldError> {
        let texts =
            self.value.as_array().and_then(|list| list.iter().map(|entry| entry.as_str().map(str::to_owned)).collect());
        texts.ok_or_else(|| self.refuse("must be an array of strings"))
    }

    /// Ids of rows, 1,000 at most.
    pub(super) fn ids(&self) -> Result<Vec<i64>, FieldError> {
        let ids: Option<Vec<i64>> = self.value.as_array().and_then(|list| list.iter().map(Value::as_i64).collect());
        let ids = ids.ok_or_else(|| self.refuse("must be an array of integers"))?;
        if ids.len() > MOST_IDS {
            return Err(self.refuse(format!("must have {MOST_IDS} entries at most")));
        }
        Ok(ids)
    }

    /// An object that `errors` finds no fault in.
    pub(super) fn object(
        self,
        errors: impl FnOnce(&Value) -> Vec<FieldError>,
    ) -> Result<Map<String, Value>, FieldError> {
        if let Some(error) = errors(&self.value).into_iter().next() {
            return Err(error);
        }
        match self.value {
            Value::Object(object) => Ok(object),
            _ => Err(FieldError::new(self.name, "must be an object")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(value: Value) -> Field {
        Field { name: "f", value }
    }

    #[test]
    fn absent_null_wrong_and_unknown_are_told_apart() {
        let mut fields = Body(Bytes::from_static(br#"{"a":null,"b":"x","rest":1}"#)).fields().unwrap();
        let number = |field: Field| field.integer(0..=9);
        assert_eq!(fields.optional("absent", number).unwrap(), None);
        assert_eq!(fields.nullable("absent", number).unwrap(), None);
        assert_eq!(fields.required("absent", number).unwrap_err().to_string(), "absent: is required");
        assert_eq!(fields.optional("b", number).unwrap_err().field, "b");
        assert_eq!(fields.nullable("a", number).unwrap(), Some(None));
        assert_eq!(fields.finish().unwrap_err().to_string(), "rest: is not a known field");
    }

    #[test]
    fn integers_are_neither_floats_nor_booleans_and_fit_32_bits() {
        for wrong in [json!(1.0), json!(true), json!("1"), json!(-1), json!(3_000_000_000_u64), json!(u64::MAX)] {
            assert!(field(wrong.clone()).integer(0..=i32::MAX).is_err(), "{wrong}");
        }
        assert_eq!(field(json!(i32::MAX)).integer(0..=i32::MAX).unwrap(), i32::MAX);
    }

    #[test]
    fn a_time_keeps_its_instant_and_loses_what_is_not_stored() {
        let time = field(json!("2030-01-01T02:00:00.123456+02:00")).time().unwrap();
        assert_eq!(time.to_rfc3339(), "2030-01-01T00:00:00.123+00:00");
        for wrong in [json!("tomorrow"), json!(5), json!("2030-01-01"), json!("2030-01-01T00:00:00")] {
            assert!(field(wrong.clone()).time().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_a_json_object_is_a_body() {
        for wrong in [&b""[..], b"[]", b"null", b"{", b"\xff"] {
            assert!(Body(Bytes::copy_from_slice(wrong)).fields().is_err(), "{wrong:?}");
        }
        assert!(Body(Bytes::new()).optional_fields().unwrap().finish().is_ok());
    }
}
