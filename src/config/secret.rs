//! A string that must not be seen.

use std::fmt;

/// Text that never shows in `Debug`, such as the key we present to a provider.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// Wraps the plain text.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The plain text; call it only where the secret leaves for its owner.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to hide.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
