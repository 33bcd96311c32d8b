//! Reading query parameters. What is not named by a call is ignored, and an empty value counts as
//! absent, as forms send it.

use std::borrow::Cow;
use std::collections::HashMap;

use actix_web::HttpRequest;
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use url::form_urlencoded;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, SchemaFormat, Type};
use utoipa::openapi::{ObjectBuilder, Required};

use crate::config::FieldError;

/// From, inclusive, and to, exclusive.
pub(super) type Window = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// The parameters of a request; of one that is repeated the first.
pub(in crate::api::admin) struct Parameters(HashMap<String, String>);

// === impl Parameters ===

impl From<&HttpRequest> for Parameters {
    fn from(request: &HttpRequest) -> Self {
        Self::parse(request.query_string())
    }
}

impl Parameters {
    /// The parameters of a query string.
    pub(super) fn parse(query: &str) -> Self {
        let mut values = HashMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()) {
            values.entry(name.into_owned()).or_insert_with(|| value.into_owned());
        }
        Self(values)
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, FieldError> {
        match self.0.get(name) {
            Some(text) if text.contains('\0') => Err(FieldError::new(name, "must not contain a NUL character")),
            other => Ok(other.cloned()),
        }
    }

    /// An integer in a range.
    pub(super) fn whole(&self, name: &str, least: i64, most: i64) -> Result<Option<i64>, FieldError> {
        let read = |text: &String| {
            let number = text.parse().ok().filter(|number| (least..=most).contains(number));
            number.ok_or_else(|| FieldError::new(name, format!("must be an integer from {least} to {most}")))
        };
        self.0.get(name).map(read).transpose()
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, FieldError> {
        self.one_of(name, &[("true", true), ("false", false)])
    }

    /// One of some words.
    pub(super) fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, FieldError> {
        let read = |text: &String| {
            let found = words.iter().find(|(word, _)| word == text).map(|(_, value)| *value);
            let known = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
            found.ok_or_else(|| FieldError::new(name, format!("must be one of {}", known())))
        };
        self.0.get(name).map(read).transpose()
    }

    /// A time in RFC 3339, rounded up to the milliseconds that rows have: from there on, and before
    /// it, are then the same rows. A plus sign that nobody encoded arrives as a space.
    pub(super) fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, FieldError> {
        let read = |text: &String| {
            let text =
                if text.contains('T') { Cow::Owned(text.replace(' ', "+")) } else { Cow::Borrowed(text.as_str()) };
            let time = DateTime::parse_from_rfc3339(&text).map(|time| time.to_utc());
            let time = time.map(|time| time.duration_round_up(TimeDelta::milliseconds(1)).unwrap_or(time));
            time.map_err(|_error| FieldError::new(name, "must be a time such as 2030-12-31T23:59:59Z"))
        };
        self.0.get(name).map(read).transpose()
    }

    /// Two times in order.
    pub(super) fn window(&self) -> Result<Window, FieldError> {
        let (start, end) = (self.time("start_time")?, self.time("end_time")?);
        if start.zip(end).is_some_and(|(start, end)| start > end) {
            return Err(FieldError::new("end_time", "must not be before start_time"));
        }
        Ok((start, end))
    }
}

// === description ===

/// An optional parameter of a query.
pub(super) fn described(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query).required(Required::False);
    parameter.description(Some(description)).schema(Some(schema)).build()
}

/// The shape of a text.
pub(super) fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// The shape of one of some words.
pub(super) fn words(words: &[&str]) -> ObjectBuilder {
    text().enum_values(Some(words.iter().map(|word| (*word).to_owned())))
}

/// The shape of a flag.
pub(super) fn flag() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Boolean)
}

/// The shape of an integer.
pub(super) fn whole(least: i64) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(least))
}

/// The shape of a time.
pub(super) fn time() -> ObjectBuilder {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_is_absent_and_a_wrong_one_is_named() {
        let parameters = Parameters::parse("a=&b=x&b=y&n=5&t=2026-01-01T00:00:00+02:00&nul=%00");
        assert_eq!(parameters.text("a").unwrap(), None);
        assert_eq!(parameters.text("b").unwrap().as_deref(), Some("x"));
        assert_eq!(parameters.whole("n", 1, 5).unwrap(), Some(5));
        assert_eq!(parameters.whole("n", 1, 4).unwrap_err().field, "n");
        assert_eq!(parameters.flag("b").unwrap_err().to_string(), "b: must be one of true, false");
        assert_eq!(parameters.time("t").unwrap().unwrap().to_rfc3339(), "2025-12-31T22:00:00+00:00");
        let fine = Parameters::parse("t=2026-01-01T00:00:00.0005Z").time("t").unwrap().unwrap();
        assert_eq!(fine.timestamp_subsec_micros(), 1000);
        assert_eq!(parameters.time("b").unwrap_err().field, "b");
        assert_eq!(parameters.text("nul").unwrap_err().field, "nul");
    }
}
