//! What a model answered.

use super::{Block, Usage};

/// A whole answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChatResponse {
    /// The provider's id of the answer, when it sent one.
    pub id: Option<String>,
    /// What was said: text, reasoning, refusals, tool calls, in order.
    pub blocks: Vec<Block>,
    /// Why it ended.
    pub finish: FinishReason,
    /// Token counts; `None` when the provider sent none.
    pub usage: Option<Usage>,
    /// The tier that served it (Chat and Responses).
    pub service_tier: Option<String>,
    /// Fields of the answer that the client's protocol may not carry, as paths.
    pub lost: Vec<String>,
}

/// Why generation stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done.
    #[default]
    Stop,
    /// A stop sequence; which one, when the provider says so.
    StopSequence(Option<String>),
    /// The token limit, or the context window.
    Length,
    /// The model wants tools to be run.
    ToolCalls,
    /// The provider's filter cut the answer.
    ContentFilter,
    /// The model refused.
    Refusal,
}
