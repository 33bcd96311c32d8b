//! How a configured name is compared with the model that a client asks for.
//!
//! One matcher serves both `model_mapping` keys and `allowed_models` entries. A name is a regex
//! when it holds `.*`, `.+` or any of `^ $ | ( ) [ ] { } \`; otherwise a wildcard when it holds
//! `*`; otherwise it is compared as it is, so that `gpt-3.5-turbo` means just that.

use regex::{Captures, Regex, RegexBuilder};
use regex_syntax::ast::{Ast, parse::Parser};

/// How a name matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchKind {
    /// Equal strings.
    Exact,
    /// `*` stands for any characters.
    Wildcard,
    /// A regular expression over the whole name.
    Regex,
}

impl MatchKind {
    /// The name in the admin API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Wildcard => "wildcard",
            Self::Regex => "regex",
        }
    }

    /// The kind that the form of `name` asks for.
    #[must_use]
    pub fn of(name: &str) -> Self {
        const REGEX_ONLY: [char; 10] = ['^', '$', '|', '(', ')', '[', ']', '{', '}', '\\'];
        if name.contains(".*") || name.contains(".+") || name.contains(REGEX_ONLY) {
            Self::Regex
        } else if name.contains('*') {
            Self::Wildcard
        } else {
            Self::Exact
        }
    }
}

/// A compiled name. Matching takes time linear in the length of the model name.
#[derive(Debug, Clone)]
pub struct NameMatcher {
    name: String,
    kind: MatchKind,
    pattern: Option<Regex>,
    literals: usize,
}

impl NameMatcher {
    /// Compiles `name`.
    ///
    /// # Errors
    /// Why it cannot be used: it is empty, or a regex that does not compile.
    pub fn new(name: &str) -> Result<Self, String> {
        if name.is_empty() {
            return Err("must not be empty".to_owned());
        }
        let kind = MatchKind::of(name);
        let (pattern, literals) = match kind {
            MatchKind::Exact => (None, name.chars().count()),
            MatchKind::Wildcard => {
                let pieces: Vec<String> = name.split('*').map(regex::escape).collect();
                let pattern = compile(&pieces.join("(.*)"))?;
                (Some(pattern), name.chars().filter(|c| *c != '*').count())
            }
            MatchKind::Regex => {
                // Parsed alone first: `a)|(b` must not become valid by our wrapping.
                let ast = Parser::new().parse(name).map_err(|error| first_line(&error.kind().to_string()))?;
                (Some(compile(name)?), literal_count(&ast))
            }
        };
        Ok(Self { name: name.to_owned(), kind, pattern, literals })
    }

    /// The configured text.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it matches.
    #[must_use]
    pub const fn kind(&self) -> MatchKind {
        self.kind
    }

    /// The text itself when it is no pattern.
    #[must_use]
    pub fn exact_name(&self) -> Option<&str> {
        (self.kind == MatchKind::Exact).then_some(self.name.as_str())
    }

    /// Characters that stand for themselves; patterns with more of them are tried first.
    #[must_use]
    pub const fn literals(&self) -> usize {
        self.literals
    }

    /// Number of capture groups, or of `*`.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.pattern.as_ref().map_or(0, |pattern| pattern.captures_len() - 1)
    }

    /// Whether a capture group has this name.
    #[must_use]
    pub fn has_group(&self, name: &str) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| pattern.capture_names().flatten().any(|group| group == name))
    }

    /// Whether `model` is meant.
    #[must_use]
    pub fn is_match(&self, model: &str) -> bool {
        self.pattern.as_ref().map_or_else(|| self.name == model, |pattern| pattern.is_match(model))
    }

    /// What a pattern captured of `model`; `None` when it does not match or is no pattern.
    #[must_use]
    pub fn captures<'m>(&self, model: &'m str) -> Option<Captures<'m>> {
        self.pattern.as_ref()?.captures(model)
    }
}

/// A regex over the whole name. The size limit keeps one configured key from taking the memory
/// of all others.
fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(&format!(r"\A(?:{pattern})\z")).dot_matches_new_line(true).size_limit(1 << 20).build().map_err(
        |error| match error {
            regex::Error::CompiledTooBig(limit) => format!("compiles to more than {limit} bytes"),
            other => first_line(&other.to_string()),
        },
    )
}

/// The last line of a regex error holds its reason; the lines before draw the pattern.
fn first_line(text: &str) -> String {
    let reason = text.lines().last().unwrap_or_default();
    format!("does not compile: {}", reason.trim_start_matches("error: "))
}

fn literal_count(ast: &Ast) -> usize {
    match ast {
        Ast::Literal(_) => 1,
        Ast::Repetition(repetition) => literal_count(&repetition.ast),
        Ast::Group(group) => literal_count(&group.ast),
        Ast::Alternation(alternation) => alternation.asts.iter().map(literal_count).sum(),
        Ast::Concat(concat) => concat.asts.iter().map(literal_count).sum(),
        Ast::Empty(_)
        | Ast::Flags(_)
        | Ast::Dot(_)
        | Ast::Assertion(_)
        | Ast::ClassUnicode(_)
        | Ast::ClassPerl(_)
        | Ast::ClassBracketed(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_name_decides_its_kind() {
        for exact in ["gpt-3.5-turbo", "a?", "a+", "org/model"] {
            assert_eq!(MatchKind::of(exact), MatchKind::Exact, "{exact}");
        }
        for wildcard in ["gpt-*", "*", "*-4.1"] {
            assert_eq!(MatchKind::of(wildcard), MatchKind::Wildcard, "{wildcard}");
        }
        for regex in ["gpt-.*", "a.+", "^a", "a|b", "(a)", "[ab]", "a{2}", r"\d"] {
            assert_eq!(MatchKind::of(regex), MatchKind::Regex, "{regex}");
        }
    }

    #[test]
    fn a_pattern_matches_the_whole_name_and_case_counts() {
        let regex = NameMatcher::new("gpt-4|gpt-5").unwrap();
        assert!(regex.is_match("gpt-5"));
        assert!(!regex.is_match("gpt-5-mini") && !regex.is_match("x-gpt-4") && !regex.is_match("GPT-4"));
        let wildcard = NameMatcher::new("gpt-4*x").unwrap();
        assert!(wildcard.is_match("gpt-4x") && wildcard.is_match("gpt-4\nx"));
        let dots = NameMatcher::new("a.b*").unwrap();
        assert!(dots.is_match("a.b-1") && !dots.is_match("aXb"));
    }

    #[test]
    fn only_characters_that_stand_for_themselves_count() {
        assert_eq!(NameMatcher::new(r"gpt-\d\.[abc]{2}").unwrap().literals(), 5);
        assert_eq!(NameMatcher::new("ab*c").unwrap().literals(), 3);
    }

    #[test]
    fn a_regex_that_does_not_stand_alone_is_refused() {
        for wrong in ["a)|(b", "(", "[a", "a{2", r"\", "(?x)a # b"] {
            assert!(NameMatcher::new(wrong).is_err(), "{wrong}");
        }
        assert!(NameMatcher::new("").is_err());
        assert!(NameMatcher::new("(a{1000}){1000}").unwrap_err().contains("bytes"));
    }
}
