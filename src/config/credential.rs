//! What identifies a client of the proxy.

use std::fmt;
use std::num::NonZeroU32;

use chrono::{DateTime, Utc};
use rand::RngExt as _;
use rand::distr::Alphanumeric;
use sha2::{Digest as _, Sha256};

use super::{CredentialRecord, NameMatcher};

/// A client's key as the client sends it. Never stored, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainKey(String);

impl PlainKey {
    /// Wraps what a client sent.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// A new random key: `sk-` and 48 alphanumerics (285 bits).
    #[must_use]
    pub fn generate() -> Self {
        let mut text = String::from("sk-");
        text.extend(rand::rng().sample_iter(Alphanumeric).take(48).map(char::from));
        Self(text)
    }

    /// The key itself, for the one answer that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The stored form.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(&self.0)
    }

    /// First and last three characters, for the operator who just made it; `***` up to six.
    #[must_use]
    pub fn preview(&self) -> String {
        let characters: Vec<char> = self.0.chars().collect();
        match (characters.get(..3), characters.len().checked_sub(3)) {
            (Some(head), Some(tail)) if characters.len() > 6 => {
                let head: String = head.iter().collect();
                let tail: String = characters.iter().skip(tail).collect();
                format!("{head}***{tail}")
            }
            _ => "***".to_owned(),
        }
    }
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// SHA-256 of a plain key: what is stored and looked up.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of a plain key.
    #[must_use]
    pub fn of(plain: &str) -> Self {
        Self(Sha256::digest(plain.as_bytes()).into())
    }

    /// Reads 64 hex digits; `None` for anything else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0_u8; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, start) in bytes.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(text.get(start..start + 2)?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// 64 lower-case hex digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        use fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// Whether both are the same, in constant time.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq as _;
        self.0.ct_eq(&other.0).into()
    }

    /// `***` and the first six digits, which tell two credentials apart and open nothing.
    #[must_use]
    pub fn preview(&self) -> String {
        let hex = self.to_hex();
        format!("***{}", hex.get(..6).unwrap_or_default())
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.preview())
    }
}

/// How many requests a credential may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    /// As many as it likes.
    Unlimited,
    /// None at all.
    Nothing,
    /// A bucket.
    Bucket {
        /// Tokens per second.
        per_second: NonZeroU32,
        /// Bucket size.
        burst: NonZeroU32,
    },
}

impl Quota {
    /// The quota of a stored pair; values that plain SQL made senseless allow nothing, because
    /// an operator who wrote any limit meant to limit.
    #[must_use]
    pub fn new(rate_limit: Option<i32>, burst: Option<i32>) -> Self {
        let Some(rate) = rate_limit else {
            return Self::Unlimited;
        };
        let positive = |value: i32| u32::try_from(value).ok().and_then(NonZeroU32::new);
        match (positive(rate), positive(burst.unwrap_or(rate))) {
            (Some(per_second), Some(burst)) => Self::Bucket { per_second, burst },
            (Some(per_second), None) => Self::Bucket { per_second, burst: NonZeroU32::MIN },
            (None, _) => Self::Nothing,
        }
    }
}

/// A credential as a request meets it.
#[derive(Debug)]
pub struct Credential {
    /// The stored facts.
    pub record: CredentialRecord,
    /// The bucket that its requests draw from.
    pub quota: Quota,
    allowed: Vec<NameMatcher>,
}

impl Credential {
    /// Compiles a record. An entry of `allowed_models` that plain SQL made unreadable matches
    /// nothing, so that it cannot widen what the key may do; its text is returned beside.
    #[must_use]
    pub fn new(record: CredentialRecord) -> (Self, Vec<String>) {
        let (mut allowed, mut wrong) = (Vec::new(), Vec::new());
        for entry in &record.allowed_models {
            match NameMatcher::new(entry) {
                Ok(matcher) => allowed.push(matcher),
                Err(reason) => wrong.push(format!("entry {entry:?} is ignored: {reason}")),
            }
        }
        let quota = Quota::new(record.rate_limit, record.burst);
        (Self { record, quota, allowed }, wrong)
    }

    /// Whether the key may use `model`. An empty list allows all.
    #[must_use]
    pub fn allows(&self, model: &str) -> bool {
        self.record.allowed_models.is_empty() || self.allowed.iter().any(|entry| entry.is_match(model))
    }

    /// Whether it may not be used any more at `now`.
    #[must_use]
    pub fn is_expired(&self, now: DateTime<Utc>) -> bool {
        self.record.expires_at.is_some_and(|end| end <= now)
    }

    /// Exact names in `allowed_models`, for the model list.
    pub fn exact_names(&self) -> impl Iterator<Item = &str> {
        self.allowed.iter().filter_map(NameMatcher::exact_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_is_48_alphanumerics_and_previews_its_ends() {
        let key = PlainKey::generate();
        assert_eq!(key.expose().len(), 51);
        assert!(key.expose().chars().skip(3).all(|c| c.is_ascii_alphanumeric()));
        let preview = key.preview();
        assert!(preview.starts_with("sk-***") && preview.len() == 9);
        assert_eq!(PlainKey::new("abcdef".into()).preview(), "***");
        assert_eq!(format!("{key:?}"), "***");
    }

    #[test]
    fn a_hash_survives_the_way_through_hex() {
        let hash = KeyHash::of("sk-test");
        assert_eq!(KeyHash::from_hex(&hash.to_hex()), Some(hash));
        assert_eq!(KeyHash::from_hex("zz"), None);
        assert_eq!(KeyHash::from_hex(&"é".repeat(32)), None);
        assert_eq!(KeyHash::of("abc").to_hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn senseless_limits_never_widen_a_quota() {
        assert_eq!(Quota::new(None, Some(3)), Quota::Unlimited);
        assert_eq!(Quota::new(Some(0), Some(3)), Quota::Nothing);
        assert_eq!(Quota::new(Some(-1), None), Quota::Nothing);
        let five = NonZeroU32::new(5).unwrap();
        assert_eq!(Quota::new(Some(5), Some(-2)), Quota::Bucket { per_second: five, burst: NonZeroU32::MIN });
        assert_eq!(Quota::new(Some(5), None), Quota::Bucket { per_second: five, burst: five });
    }
}
