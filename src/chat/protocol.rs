//! The wire formats a client or a provider may speak.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A wire format. Its [`Protocol::name`] is the same word in logs, metrics and the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// OpenAI Chat Completions (also legacy completions and embeddings).
    #[serde(rename = "openai")]
    OpenAiChat,
    /// Anthropic Messages.
    #[serde(rename = "anthropic")]
    Anthropic,
    /// OpenAI Responses.
    #[serde(rename = "response_api")]
    OpenAiResponses,
}

impl Protocol {
    /// The stable name: `openai`, `anthropic` or `response_api`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAiChat => "openai",
            Self::Anthropic => "anthropic",
            Self::OpenAiResponses => "response_api",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
