//! Reasoning state that only the provider that made it can read.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

use super::Protocol;

/// What packed state begins with; a same-protocol request is searched for it.
pub const PACKED_PREFIX: &str = "llmp1.";

/// Made once: it looks at every request.
static PACKED: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(PACKED_PREFIX));

/// Whether packed state may stand in `json`; hardly any does.
#[must_use]
pub fn may_hold_packed(json: &[u8]) -> bool {
    PACKED.find(json).is_some()
}

/// A signature, redacted reasoning or encrypted reasoning, and who made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opaque {
    /// The maker's protocol.
    #[serde(rename = "p")]
    pub protocol: Protocol,
    /// The maker's provider key. Empty in raw state, whose maker is not known.
    #[serde(rename = "by")]
    pub provider: String,
    /// What it is.
    #[serde(rename = "k")]
    pub kind: OpaqueKind,
    /// The state, as the maker sent it.
    #[serde(rename = "d")]
    pub data: String,
}

/// What a piece of opaque state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OpaqueKind {
    /// Messages: `signature` of a `thinking` block.
    Signature,
    /// Messages: `data` of a `redacted_thinking` block.
    Redacted,
    /// Responses: `encrypted_content` of a `reasoning` item.
    Encrypted,
}

impl Opaque {
    /// The form in which it crosses to another protocol: `llmp1.<base64url>`.
    #[must_use]
    pub fn pack(&self) -> String {
        // A struct of strings always serialises.
        let json = serde_json::to_vec(self).unwrap_or_default();
        format!("{PACKED_PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
    }

    /// Reads the packed form; `None` for anything else, raw state included.
    #[must_use]
    pub fn unpack(text: &str) -> Option<Self> {
        let json = URL_SAFE_NO_PAD.decode(text.strip_prefix(PACKED_PREFIX)?).ok()?;
        serde_json::from_slice(&json).ok()
    }

    /// Whether `provider`, which speaks `protocol`, can go on with it.
    #[must_use]
    pub fn is_made_by(&self, protocol: Protocol, provider: &str) -> bool {
        self.protocol == protocol && self.provider == provider
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_state_comes_back_whole_and_other_text_is_none() {
        let opaque = Opaque {
            protocol: Protocol::Anthropic,
            provider: "claude-eu".to_owned(),
            kind: OpaqueKind::Signature,
            data: "EqQB+/=é".to_owned(),
        };
        let packed = opaque.pack();
        assert_eq!(Opaque::unpack(&packed), Some(opaque.clone()));
        assert!(opaque.is_made_by(Protocol::Anthropic, "claude-eu"));
        assert!(!opaque.is_made_by(Protocol::Anthropic, "claude-us"));
        for other in ["EqQB", "llmp1.", "llmp1.%%", "llmp1.e30"] {
            assert_eq!(Opaque::unpack(other), None, "{other}");
        }
    }
}
