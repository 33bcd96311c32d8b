//! The steps of a streamed answer.

use std::collections::BTreeMap;

use super::{Block, ChatResponse, Citation, Failure, FinishReason, Opaque, Reasoning, Text, ToolCall, Usage};

/// One step of a streamed answer.
///
/// Blocks are strictly sequential: `BlockStarted(i)`, its deltas, `BlockEnded(i)`, then `i + 1`,
/// from 0 without gaps. Decoders of protocols that interleave (parallel tool calls in Chat) put
/// them in order. `Finished` or `Failed` comes last, once.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    /// The provider has begun.
    Started {
        /// Its id of the answer.
        id: Option<String>,
        /// Input tokens, where they are known this early.
        usage: Option<Usage>,
    },
    /// A block begins.
    BlockStarted {
        /// Its place.
        index: usize,
        /// What it is.
        kind: BlockKind,
    },
    /// A block grows.
    Delta {
        /// The open block.
        index: usize,
        /// By what.
        delta: Delta,
    },
    /// A block is complete.
    BlockEnded {
        /// Its place.
        index: usize,
    },
    /// The answer is complete.
    Finished {
        /// Why.
        reason: FinishReason,
        /// Final token counts, all of them.
        usage: Option<Usage>,
        /// The tier that served it.
        service_tier: Option<String>,
    },
    /// The provider sent an error within the stream.
    Failed(Failure),
    /// The provider is still there.
    Ping,
}

/// What a streamed block is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BlockKind {
    /// [`Block::Text`].
    Text,
    /// [`Block::Reasoning`].
    Reasoning,
    /// [`Block::Refusal`].
    Refusal,
    /// [`Block::ToolCall`] with empty arguments.
    ToolCall {
        /// Pairs it with its result.
        id: String,
        /// The tool.
        name: String,
        /// Whether it takes free text.
        custom: bool,
    },
}

/// By what a block grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// Text of a text, reasoning or refusal block; never empty.
    Text(String),
    /// A piece of a tool call's arguments; never empty.
    Arguments(String),
    /// A source that the text block cites.
    Citation(Citation),
    /// The reasoning block's opaque state, whole, at most once, after its text.
    Opaque(Opaque),
}

impl ChatEvent {
    /// Whether this is a content token: the first of them commits a stream and stops the clock
    /// of the time to the first token.
    #[must_use]
    pub const fn is_content(&self) -> bool {
        matches!(
            self,
            Self::Delta { delta: Delta::Text(_) | Delta::Arguments(_), .. }
                | Self::BlockStarted { kind: BlockKind::ToolCall { .. }, .. }
        )
    }
}

/// The answer that a stream of events adds up to.
///
/// # Errors
/// The failure that the stream ended with.
pub fn fold(events: impl IntoIterator<Item = ChatEvent>) -> Result<ChatResponse, Failure> {
    let mut response = ChatResponse::default();
    let mut blocks: BTreeMap<usize, Block> = BTreeMap::new();
    for event in events {
        match event {
            ChatEvent::Started { id, usage } => {
                response.id = id;
                response.usage = usage;
            }
            ChatEvent::BlockStarted { index, kind } => {
                blocks.insert(index, kind.empty_block());
            }
            ChatEvent::Delta { index, delta } => {
                if let Some(block) = blocks.get_mut(&index) {
                    delta.grow(block);
                }
            }
            ChatEvent::BlockEnded { .. } | ChatEvent::Ping => {}
            ChatEvent::Finished { reason, usage, service_tier } => {
                response.finish = reason;
                response.usage = usage.or(response.usage);
                response.service_tier = service_tier;
            }
            ChatEvent::Failed(failure) => return Err(failure),
        }
    }
    response.blocks = blocks.into_values().collect();
    Ok(response)
}

impl BlockKind {
    fn empty_block(self) -> Block {
        match self {
            Self::Text => Block::Text(Text::default()),
            Self::Reasoning => Block::Reasoning(Reasoning::default()),
            Self::Refusal => Block::Refusal(String::new()),
            Self::ToolCall { id, name, custom } => {
                Block::ToolCall(ToolCall { id, name, arguments: String::new(), custom })
            }
        }
    }
}

impl Delta {
    /// Adds this to a block of the kind it belongs to; on any other it does nothing.
    fn grow(self, block: &mut Block) {
        match (self, block) {
            (Self::Text(piece), Block::Text(Text { text, .. }) | Block::Refusal(text)) => text.push_str(&piece),
            (Self::Text(piece), Block::Reasoning(reasoning)) => reasoning.text.push_str(&piece),
            (Self::Arguments(piece), Block::ToolCall(call)) => call.arguments.push_str(&piece),
            (Self::Citation(citation), Block::Text(text)) => text.citations.push(citation),
            (Self::Opaque(opaque), Block::Reasoning(reasoning)) => reasoning.opaque = Some(opaque),
            _ => {}
        }
    }
}
