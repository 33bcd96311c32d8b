//! The unified format: what every protocol can say, as plain data without I/O and in nobody's
//! JSON.

mod content;
mod event;
mod failure;
mod opaque;
mod operation;
mod protocol;
mod request;
mod response;
mod sequencer;
mod tokens;
mod usage;

pub use content::{
    Block, Citation, Document, DocumentSource, Image, MediaSource, Message, Reasoning, Role, Text, ToolCall, ToolResult,
};
pub use event::{BlockKind, ChatEvent, Delta, fold};
pub use failure::{Failure, FailureKind};
pub use opaque::{Opaque, OpaqueKind, PACKED_PREFIX, may_hold_packed};
pub use operation::Operation;
pub use protocol::Protocol;
pub use request::{
    ChatRequest, ClientSide, Effort, EndUser, FieldNames, OpenAiOnly, OutputFormat, ReasoningAmount, ReasoningRequest,
    Target, ThinkingStyle, Tool, ToolChoice, ToolInput,
};
pub use response::{ChatResponse, FinishReason};
pub use sequencer::Sequencer;
pub use tokens::Countable;
pub use usage::Usage;
