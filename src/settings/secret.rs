//! Text that nobody may see.

use std::fmt;

/// A key of a service that we call; its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(String);

impl SecretText {
    /// Wraps the plain text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The plain text; call it only where it leaves for its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
