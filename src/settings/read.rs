//! Typed readers that remember every mistake.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::{Env, SettingError};

/// Reads variables and collects what is wrong with them. After a mistake it goes on with the
/// default, so that one run reports all of them.
pub(super) struct Reader<'e> {
    env: &'e dyn Env,
    errors: Vec<SettingError>,
}

impl<'e> Reader<'e> {
    pub(super) fn new(env: &'e dyn Env) -> Self {
        Self { env, errors: Vec::new() }
    }

    pub(super) fn finish<T>(self, value: T) -> Result<T, Vec<SettingError>> {
        if self.errors.is_empty() { Ok(value) } else { Err(self.errors) }
    }

    pub(super) fn wrong(&mut self, variable: &'static str, message: impl Into<String>) {
        self.errors.push(SettingError { variable, message: message.into() });
    }

    /// The trimmed text; empty counts as unset.
    pub(super) fn text(&mut self, variable: &'static str) -> Option<String> {
        let value = self.env.get(variable)?;
        let trimmed = value.trim();
        (!trimmed.is_empty()).then(|| trimmed.to_owned())
    }

    pub(super) fn flag(&mut self, variable: &'static str, default: bool) -> bool {
        let Some(text) = self.text(variable) else {
            return default;
        };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => true,
            "false" | "0" | "no" | "off" => false,
            _ => {
                self.wrong(variable, format!("must be true or false, not {text:?}"));
                default
            }
        }
    }

    pub(super) fn parsed<T: FromStr>(&mut self, variable: &'static str, default: T, what: &str) -> T {
        let Some(text) = self.text(variable) else {
            return default;
        };
        text.parse().unwrap_or_else(|_error| {
            self.wrong(variable, format!("must be {what}, not {text:?}"));
            default
        })
    }

    /// A number within `range`.
    pub(super) fn whole<T>(&mut self, variable: &'static str, default: T, range: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Display + Copy,
    {
        let Some(text) = self.text(variable) else {
            return default;
        };
        if let Some(value) = text.parse().ok().filter(|value| range.contains(value)) {
            return value;
        }
        let (low, high) = (range.start(), range.end());
        self.wrong(variable, format!("must be a number from {low} to {high}, not {text:?}"));
        default
    }

    /// Seconds with decimals, at least `low` and at most ten years; 0 is `None`.
    pub(super) fn seconds(&mut self, variable: &'static str, default: f64, low: f64) -> Option<Duration> {
        const HIGH: f64 = 315_360_000.0;
        let value = self.whole(variable, default, low..=HIGH);
        (value > 0.0).then(|| Duration::from_secs_f64(value))
    }

    /// One of a few words, in any case.
    pub(super) fn one_of(&mut self, variable: &'static str, default: &str, words: &[&str]) -> String {
        let Some(text) = self.text(variable).map(|text| text.to_ascii_lowercase()) else {
            return default.to_owned();
        };
        if !words.contains(&text.as_str()) {
            self.wrong(variable, format!("must be one of {}, not {text:?}", words.join(", ")));
        }
        text
    }
}
