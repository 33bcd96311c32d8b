//! Token counts of one request.

/// Tokens of one request, in the widest common reading: `input` includes what was read from or
/// written to a prompt cache, `output` includes reasoning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens, cached ones included.
    pub input: u64,
    /// Answer tokens, reasoning included.
    pub output: u64,
    /// Prompt tokens that were read from the provider's cache.
    pub cache_read: u64,
    /// Prompt tokens that were written to the provider's cache.
    pub cache_write: u64,
    /// Answer tokens that were spent on reasoning.
    pub reasoning: u64,
    /// Whether the counts are ours because the provider reported none.
    pub estimated: bool,
}

impl Usage {
    /// Input plus output tokens.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}
