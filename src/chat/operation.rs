//! What a client may ask of a provider.

/// An operation. Every path of the data plane that reaches a provider is one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// An answer to a conversation: Chat, Messages or Responses.
    Generate,
    /// OpenAI's legacy text completion.
    Completions,
    /// Vectors for texts.
    Embeddings,
    /// How many tokens a Messages request would have.
    CountTokens,
}
