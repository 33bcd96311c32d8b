//! A provider's model map: which names it serves and what they are called there.

use std::collections::HashMap;

use serde_json::Value;

use super::prices::{PRICE, Prices, is_price};
use super::{FieldError, MatchKind, NameMatcher};

/// Metadata that a mapping value may carry beside `mapped_model`, with the type of each.
const METADATA: [(&str, Kind); 16] = [
    ("max_tokens", Kind::Count),
    ("max_input_tokens", Kind::Count),
    ("max_output_tokens", Kind::Count),
    ("input_cost_per_1k_tokens", Kind::Price),
    ("output_cost_per_1k_tokens", Kind::Price),
    ("cache_read_cost_per_1k_tokens", Kind::Price),
    ("cache_write_cost_per_1k_tokens", Kind::Price),
    ("reasoning_cost_per_1k_tokens", Kind::Price),
    ("supports_vision", Kind::Flag),
    ("supports_function_calling", Kind::Flag),
    ("supports_streaming", Kind::Flag),
    ("supports_response_schema", Kind::Flag),
    ("supports_reasoning", Kind::Flag),
    ("supports_computer_use", Kind::Flag),
    ("supports_pdf_input", Kind::Flag),
    ("mode", Kind::Text),
];

#[derive(Debug, Clone, Copy)]
enum Kind {
    Count,
    Price,
    Flag,
    Text,
}

/// A compiled `model_mapping`.
#[derive(Debug, Default)]
pub struct ModelMap {
    exact: HashMap<String, (String, ModelLimits)>,
    /// Most literal characters first, ties by byte order of the key: the same on every replica.
    patterns: Vec<(NameMatcher, Target, ModelLimits)>,
}

/// What of a mapping's metadata a request goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelLimits {
    /// What its tokens cost.
    pub prices: Prices,
    /// `max_output_tokens`.
    pub max_output_tokens: Option<u64>,
    /// `supports_response_schema`; unset is true.
    pub supports_response_schema: bool,
    /// Whether `mode` is `embedding`.
    pub is_embedding: bool,
}

/// What a model name became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved<'m> {
    /// The mapping key that matched.
    pub key: &'m str,
    /// How it matched.
    pub kind: MatchKind,
    /// The provider's name for the model.
    pub mapped: String,
    /// What the mapping says of the model.
    pub limits: ModelLimits,
}

/// A target, cut where captures go in.
#[derive(Debug)]
struct Target(Vec<Piece>);

#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Group(usize),
    Named(String),
}

impl ModelMap {
    /// Compiles a JSON object of mapping keys. A wrong entry is left out and reported, the
    /// others serve: one bad row written with plain SQL must not take a provider away.
    #[must_use]
    pub fn compile(mapping: &Value) -> (Self, Vec<FieldError>) {
        let Value::Object(entries) = mapping else {
            let error = FieldError::new("model_mapping", "must be an object");
            return (Self::default(), vec![error]);
        };
        let (mut map, mut errors) = (Self::default(), Vec::new());
        for (key, value) in entries {
            if let Err(error) = map.insert(key, value) {
                errors.push(error);
            }
        }
        map.patterns.sort_by(|(a, ..), (b, ..)| b.literals().cmp(&a.literals()).then_with(|| a.name().cmp(b.name())));
        (map, errors)
    }

    fn insert(&mut self, key: &str, value: &Value) -> Result<(), FieldError> {
        let field = format!("model_mapping.{key}");
        let matcher = NameMatcher::new(key).map_err(|reason| FieldError::new(&field, reason))?;
        let target = mapped_model(&field, value)?;
        let pieces = Target::parse(target, &matcher).map_err(|reason| FieldError::new(&field, reason))?;
        let limits = ModelLimits::read(value);
        match matcher.kind() {
            MatchKind::Exact => {
                self.exact.insert(key.to_owned(), (target.to_owned(), limits));
            }
            MatchKind::Wildcard | MatchKind::Regex => self.patterns.push((matcher, pieces, limits)),
        }
        Ok(())
    }

    /// What `model` is called at this provider; `None` when it does not serve it.
    #[must_use]
    pub fn resolve(&self, model: &str) -> Option<Resolved<'_>> {
        if let Some((key, (mapped, limits))) = self.exact.get_key_value(model) {
            return Some(Resolved { key, kind: MatchKind::Exact, mapped: mapped.clone(), limits: *limits });
        }
        self.resolve_pattern(model)
    }

    fn resolve_pattern(&self, model: &str) -> Option<Resolved<'_>> {
        self.patterns.iter().find_map(|(matcher, target, limits)| {
            let captures = matcher.captures(model)?;
            Some(Resolved {
                key: matcher.name(),
                kind: matcher.kind(),
                mapped: target.fill(&captures),
                limits: *limits,
            })
        })
    }

    /// The names served without a pattern.
    pub fn exact_names(&self) -> impl Iterator<Item = &str> {
        self.exact.keys().map(String::as_str)
    }
}

impl Default for ModelLimits {
    /// Those of a model of which nothing is said.
    fn default() -> Self {
        Self::read(&Value::Null)
    }
}

impl ModelLimits {
    fn read(value: &Value) -> Self {
        let flag = value.get("supports_response_schema").and_then(Value::as_bool);
        Self {
            prices: Prices::read(value),
            max_output_tokens: value.get("max_output_tokens").and_then(Value::as_u64).filter(|limit| *limit > 0),
            supports_response_schema: flag.unwrap_or(true),
            is_embedding: value.get("mode").and_then(Value::as_str) == Some("embedding"),
        }
    }
}

/// The target name of a mapping value, once all of the value has been checked.
fn mapped_model<'v>(field: &str, value: &'v Value) -> Result<&'v str, FieldError> {
    let target = match value {
        Value::String(target) => target,
        Value::Object(object) => {
            for (name, value) in object.iter().filter(|(name, _)| *name != "mapped_model") {
                check_metadata(&format!("{field}.{name}"), name, value)?;
            }
            match object.get("mapped_model") {
                Some(Value::String(target)) => target,
                _ => {
                    let field = format!("{field}.mapped_model");
                    return Err(FieldError::new(field, "is required and must be a string"));
                }
            }
        }
        _ => return Err(FieldError::new(field, "must be a string or an object")),
    };
    if target.is_empty() {
        return Err(FieldError::new(field, "the mapped model must not be empty"));
    }
    Ok(target)
}

fn check_metadata(field: &str, name: &str, value: &Value) -> Result<(), FieldError> {
    let Some((_, kind)) = METADATA.iter().find(|(known, _)| *known == name) else {
        return Err(FieldError::new(field, "is not a known metadata field"));
    };
    let wanted = match kind {
        _ if value.is_null() => return Ok(()),
        Kind::Count if !value.is_u64() => "must be an integer >= 0",
        Kind::Price if !is_price(value) => PRICE,
        Kind::Flag if !value.is_boolean() => "must be true or false",
        Kind::Text if !value.is_string() => "must be a string",
        _ => return Ok(()),
    };
    Err(FieldError::new(field, wanted))
}

impl Target {
    fn parse(target: &str, matcher: &NameMatcher) -> Result<Self, String> {
        match matcher.kind() {
            MatchKind::Regex => Self::parse_regex(target, matcher),
            MatchKind::Exact | MatchKind::Wildcard => {
                refuse_groups(target)?;
                Self::parse_stars(target, matcher.groups())
            }
        }
    }

    fn parse_stars(target: &str, stars: usize) -> Result<Self, String> {
        let mut pieces = Vec::new();
        for (index, text) in target.split('*').enumerate() {
            if index > stars {
                return Err(format!("the target {target:?} has more * than the key"));
            }
            if index > 0 {
                pieces.push(Piece::Group(index));
            }
            pieces.push(Piece::Text(text.to_owned()));
        }
        Ok(Self(pieces))
    }

    fn parse_regex(target: &str, matcher: &NameMatcher) -> Result<Self, String> {
        let (mut pieces, mut text, mut rest) = (Vec::new(), String::new(), target);
        while let Some((before, after)) = rest.split_once('$') {
            text.push_str(before);
            let (piece, tail) = reference(after);
            rest = tail;
            match piece {
                Piece::Text(literal) => text.push_str(&literal),
                Piece::Group(group) if group > matcher.groups() => {
                    return Err(format!("the target {target:?} uses ${group}, which the key does not capture"));
                }
                Piece::Named(name) if !matcher.has_group(&name) => {
                    return Err(format!("the target {target:?} uses ${{{name}}}, which the key does not capture"));
                }
                piece => {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                    pieces.push(piece);
                }
            }
        }
        text.push_str(rest);
        pieces.push(Piece::Text(text));
        Ok(Self(pieces))
    }

    fn fill(&self, captures: &regex::Captures<'_>) -> String {
        self.0.iter().fold(String::new(), |mut name, piece| {
            name.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Group(group) => captures.get(*group).map_or("", |found| found.as_str()),
                Piece::Named(group) => captures.name(group).map_or("", |found| found.as_str()),
            });
            name
        })
    }
}

/// Reads what follows a `$`: `$`, a digit 1-9 or `{name}`; anything else leaves the `$` literal.
fn reference(after: &str) -> (Piece, &str) {
    if let Some(rest) = after.strip_prefix('$') {
        return (Piece::Text("$".to_owned()), rest);
    }
    let digit = after.chars().next().and_then(|c| c.to_digit(10)).filter(|digit| *digit > 0);
    if let (Some(group), Some(rest)) = (digit.and_then(|d| usize::try_from(d).ok()), after.get(1..)) {
        return (Piece::Group(group), rest);
    }
    match after.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((name, rest)) => (Piece::Named(name.to_owned()), rest),
        None => (Piece::Text("$".to_owned()), after),
    }
}

/// `$1` in the target of a key that captures nothing is a mistake, not a name.
fn refuse_groups(target: &str) -> Result<(), String> {
    let mut rest = target;
    while let Some((_, after)) = rest.split_once('$') {
        if let (Piece::Group(group), _) = reference(after) {
            return Err(format!("the target {target:?} uses ${group}, but the key is no regex"));
        }
        rest = after;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(mapping: Value) -> ModelMap {
        let (map, errors) = ModelMap::compile(&mapping);
        assert_eq!(errors, [], "{mapping}");
        map
    }

    fn mapped(map: &ModelMap, model: &str) -> Option<String> {
        map.resolve(model).map(|resolved| resolved.mapped)
    }

    #[test]
    fn exact_comes_first_then_the_pattern_with_most_literals() {
        let map = map(json!({"*": "any", "gpt-*": "wild", "gpt-4": "exact", "gpt-[45].*": "regex"}));
        assert_eq!(mapped(&map, "gpt-4").as_deref(), Some("exact"));
        // Both have four literals: byte order puts `*` before `[`.
        assert_eq!(mapped(&map, "gpt-5-mini").as_deref(), Some("wild"));
        assert_eq!(mapped(&map, "o3").as_deref(), Some("any"));
    }

    #[test]
    fn captures_go_into_the_target() {
        let map = map(json!({
            "a-*-b-*": "x*y*z",
            "r-(\\d+)-(?<tail>.*)": "$1/${tail}/$$1/*",
            "object-*": {"mapped_model": "o*", "max_tokens": 5, "supports_vision": true, "mode": null},
        }));
        assert_eq!(mapped(&map, "a-1-b-2").as_deref(), Some("x1y2z"));
        assert_eq!(mapped(&map, "r-12-q").as_deref(), Some("12/q/$1/*"));
        assert_eq!(mapped(&map, "object-k").as_deref(), Some("ok"));
        assert_eq!(mapped(&map, "none"), None);
    }

    #[test]
    fn every_wrong_entry_is_named_and_the_rest_serves() {
        let (map, errors) = ModelMap::compile(&json!({
            "good": "x", "": "x", "empty": "", "(": "x", "e": "a*", "w-*": "*-*", "r-(a)": "$2",
            "n-(a)": "${b}", "d": "$1", "number": 5,
            "meta": {"mapped_model": "m", "colour": "red"}, "bad-count": {"mapped_model": "m", "max_tokens": -1},
            "no-target": {"max_tokens": 1},
        }));
        assert_eq!(mapped(&map, "good").as_deref(), Some("x"));
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(errors.len(), 12, "{errors:?}");
        for field in [
            "model_mapping.meta.colour",
            "model_mapping.bad-count.max_tokens",
            "model_mapping.no-target.mapped_model",
            "model_mapping.e",
        ] {
            assert!(fields.contains(&field), "{field} in {fields:?}");
        }
    }
}
