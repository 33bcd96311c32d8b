//! Keeping keys out of what a provider says.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::bytes::{Captures, Regex};

use crate::config::Secret;

/// What keys look like, in plain text and within JSON strings.
static KEYS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i-u)(\bbearer\s+)[A-Za-z0-9._~+/=*-]+|\bsk-[A-Za-z0-9_*-]+(\.[A-Za-z0-9_*-]+)*").ok()
});

/// `text` with every occurrence of these secrets, and of anything that looks like a key, replaced
/// by `***`. Providers quote (parts of) the key they reject.
#[must_use]
pub fn mask<'t>(text: &'t [u8], hidden: &[Secret]) -> Cow<'t, [u8]> {
    let mut without_own = Cow::Borrowed(text);
    for secret in hidden {
        if let Cow::Owned(replaced) = replace(&without_own, secret.expose().as_bytes()) {
            without_own = Cow::Owned(replaced);
        }
    }
    let Some(keys) = KEYS.as_ref() else {
        return without_own;
    };
    let stars = |found: &Captures<'_>| {
        let mut kept = found.get(1).map(|bearer| bearer.as_bytes().to_vec()).unwrap_or_default();
        kept.extend_from_slice(b"***");
        kept
    };
    match keys.replace_all(&without_own, stars) {
        Cow::Borrowed(_) => without_own,
        Cow::Owned(masked) => Cow::Owned(masked),
    }
}

fn replace<'t>(text: &'t [u8], secret: &[u8]) -> Cow<'t, [u8]> {
    if secret.is_empty() || memchr::memmem::find(text, secret).is_none() {
        return Cow::Borrowed(text);
    }
    let mut masked = Vec::with_capacity(text.len());
    let mut from = 0;
    for found in memchr::memmem::find_iter(text, secret) {
        masked.extend_from_slice(text.get(from..found).unwrap_or_default());
        masked.extend_from_slice(b"***");
        from = found + secret.len();
    }
    masked.extend_from_slice(text.get(from..).unwrap_or_default());
    Cow::Owned(masked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str, secret: &str) -> String {
        let hidden = secret.split(' ').map(|part| Secret::new(part.to_owned())).collect::<Vec<_>>();
        String::from_utf8(mask(text.as_bytes(), &hidden).into_owned()).unwrap()
    }

    #[test]
    fn the_providers_secret_and_whatever_looks_like_a_key_is_hidden() {
        assert_eq!(masked("bad key top-secret!", "top-secret"), "bad key ***!");
        assert_eq!(masked("neither one nor other", "other one"), "neither *** nor ***");
        assert_eq!(
            masked(r#"{"m":"Incorrect API key provided: sk-proj-a*****Z."}"#, ""),
            r#"{"m":"Incorrect API key provided: ***."}"#
        );
        assert_eq!(masked("Authorization: Bearer abc.def-1", "x"), "Authorization: Bearer ***");
        assert_eq!(masked("the task-list of risk-takers", ""), "the task-list of risk-takers");
    }
}
