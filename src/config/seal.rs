//! Secrets at rest: provider keys are sealed with AES-256-GCM before they are stored.
//!
//! A sealed value is `enc:v1:<key id>:<base64 of nonce, ciphertext and tag>`. The key id names the
//! key without telling it, so that a rotation knows what is still sealed with the old one.

use std::fmt;

use aes_gcm::aead::{Aead as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use super::Secret;
use crate::settings::EncryptionKeys;

/// What every sealed value begins with.
const PREFIX: &str = "enc:v1:";

/// Bytes of a nonce, which is random for each value (NIST SP 800-38D, 8.2.2).
const NONCE: usize = 12;

/// Seals secrets with the current key and opens what this or an older key sealed. The default has
/// no key.
#[derive(Default)]
pub struct Sealer {
    /// The first one is the current key; none: new values stay plain.
    keys: Vec<Key>,
    seals: bool,
}

struct Key {
    id: String,
    cipher: Aes256Gcm,
}

/// How a secret is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealState {
    /// Sealed, and one of our keys opens it.
    Encrypted,
    /// As it is.
    Plain,
    /// There is none.
    Empty,
    /// Sealed with a key that we do not have, or damaged.
    Undecryptable,
}

/// Why a sealed value does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// None of our keys sealed it.
    #[error("is sealed with the key {0}, which is neither ENCRYPTION_KEY nor in ENCRYPTION_KEY_OLD")]
    UnknownKey(String),
    /// It was changed or cut.
    #[error("is sealed, but damaged")]
    Damaged,
}

impl SealState {
    /// The name in the admin API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Encrypted => "encrypted",
            Self::Plain => "plain",
            Self::Empty => "empty",
            Self::Undecryptable => "undecryptable",
        }
    }
}

impl Sealer {
    /// A sealer with these keys.
    #[must_use]
    pub fn new(keys: &EncryptionKeys) -> Self {
        let all = keys.current.iter().chain(&keys.old);
        Self { keys: all.map(Key::new).collect(), seals: keys.current.is_some() }
    }

    /// Whether new secrets are sealed.
    #[must_use]
    pub const fn seals(&self) -> bool {
        self.seals
    }

    /// Whether a text would be taken for a sealed value.
    #[must_use]
    pub fn looks_sealed(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// The form to store of a plain secret: sealed where there is a current key. The empty
    /// secret stays empty.
    #[must_use]
    pub fn seal(&self, plain: &Secret) -> Secret {
        let sealed = self.current().filter(|_| !plain.is_empty()).and_then(|key| key.seal(plain.expose().as_bytes()));
        sealed.map_or_else(|| plain.clone(), Secret::new)
    }

    /// The plain secret of a stored form; what is not sealed is plain.
    ///
    /// # Errors
    /// When no key of ours opens it.
    pub fn open(&self, stored: &Secret) -> Result<Secret, SealError> {
        let Some(rest) = stored.expose().strip_prefix(PREFIX) else {
            return Ok(stored.clone());
        };
        let (id, sealed) = rest.split_once(':').ok_or(SealError::Damaged)?;
        let key = self.keys.iter().find(|key| key.id == id);
        let key = key.ok_or_else(|| SealError::UnknownKey(id.chars().take(16).collect()))?;
        let plain = key.open(sealed).ok_or(SealError::Damaged)?;
        String::from_utf8(plain).map(Secret::new).map_err(|_not_text| SealError::Damaged)
    }

    /// How a secret is stored.
    #[must_use]
    pub fn state(&self, stored: &Secret) -> SealState {
        match self.open(stored) {
            _ if stored.is_empty() => SealState::Empty,
            Err(_) => SealState::Undecryptable,
            Ok(_) if Self::looks_sealed(stored.expose()) => SealState::Encrypted,
            Ok(_) => SealState::Plain,
        }
    }

    /// The stored form under the current key: plain and older forms are sealed anew, what does
    /// not open stays as it is.
    #[must_use]
    pub fn refresh(&self, stored: &Secret) -> Secret {
        let current = self.current().map(|key| format!("{PREFIX}{}:", key.id));
        if current.is_some_and(|prefix| stored.expose().starts_with(&prefix)) {
            return stored.clone();
        }
        match self.open(stored) {
            Ok(plain) if self.seals => self.seal(&plain),
            Ok(_) | Err(_) => stored.clone(),
        }
    }

    /// Whether two stored forms hold the same secret.
    #[must_use]
    pub fn same(&self, one: &Secret, other: &Secret) -> bool {
        one == other || matches!((self.open(one), self.open(other)), (Ok(one), Ok(other)) if one == other)
    }

    fn current(&self) -> Option<&Key> {
        self.keys.first().filter(|_| self.seals)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(***)")
    }
}

// === impl Key ===

impl Key {
    fn new(bytes: &[u8; 32]) -> Self {
        let digest = Sha256::digest(bytes);
        let id = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Self { id, cipher: Aes256Gcm::new(bytes.into()) }
    }

    fn seal(&self, plain: &[u8]) -> Option<String> {
        let nonce: [u8; NONCE] = rand::random();
        // Fails only for texts of many gigabytes.
        let sealed = self.cipher.encrypt(Nonce::from_slice(&nonce), plain).ok()?;
        Some(format!("{PREFIX}{}:{}", self.id, BASE64_STANDARD.encode([&nonce[..], &sealed].concat())))
    }

    fn open(&self, text: &str) -> Option<Vec<u8>> {
        let bytes = BASE64_STANDARD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE)?;
        self.cipher.decrypt(Nonce::from_slice(nonce), sealed).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(current: Option<u8>, old: &[u8]) -> Sealer {
        let key = |byte: u8| [byte; 32];
        Sealer::new(&EncryptionKeys { current: current.map(key), old: old.iter().copied().map(key).collect() })
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[test]
    fn a_sealed_secret_opens_with_its_key_and_never_looks_the_same_twice() {
        let sealer = sealer(Some(1), &[]);
        let (one, other) = (sealer.seal(&secret("sk-123")), sealer.seal(&secret("sk-123")));
        assert!(one.expose().starts_with("enc:v1:") && !one.expose().contains("sk-123"));
        assert_ne!(one, other);
        assert!(sealer.same(&one, &other) && sealer.same(&one, &secret("sk-123")));
        assert_eq!(sealer.open(&one).unwrap().expose(), "sk-123");
        assert_eq!(sealer.state(&one), SealState::Encrypted);
    }

    #[test]
    fn an_older_key_opens_and_refreshing_moves_to_the_current_one() {
        let old = sealer(Some(1), &[]).seal(&secret("sk-123"));
        let rotated = sealer(Some(2), &[1]);
        assert_eq!(rotated.open(&old).unwrap().expose(), "sk-123");
        let new = rotated.refresh(&old);
        assert_eq!(sealer(Some(2), &[]).open(&new).unwrap().expose(), "sk-123");
        assert_eq!(rotated.refresh(&new), new);
        assert_ne!(rotated.refresh(&secret("plain")), secret("plain"));
        assert_eq!(sealer(None, &[1]).refresh(&old), old);
    }

    #[test]
    fn what_does_not_open_says_which_key_is_missing() {
        let sealed = sealer(Some(1), &[]).seal(&secret("sk-123"));
        let other = sealer(Some(2), &[]);
        assert!(matches!(other.open(&sealed), Err(SealError::UnknownKey(_))));
        assert_eq!(other.state(&sealed), SealState::Undecryptable);
        assert_eq!(other.refresh(&sealed), sealed);
        let own = sealer(Some(1), &[]);
        let mut cut = sealed.expose().to_owned();
        cut.truncate(cut.len() - 4);
        for damaged in [cut.as_str(), "enc:v1:", "enc:v1:x", &format!("{}AA", &sealed.expose()[..20])] {
            assert!(own.open(&secret(damaged)).is_err(), "{damaged}");
        }
    }

    #[test]
    fn without_a_key_secrets_stay_plain_and_an_empty_one_is_never_sealed() {
        let plain = sealer(None, &[]);
        assert_eq!(plain.seal(&secret("k")), secret("k"));
        assert_eq!(plain.state(&secret("k")), SealState::Plain);
        assert_eq!(sealer(Some(1), &[]).seal(&secret("")), secret(""));
        assert_eq!(plain.state(&secret("")), SealState::Empty);
    }
}
