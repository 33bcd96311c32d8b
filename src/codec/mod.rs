//! Wire protocols to the unified format and back; one folder per protocol, and no folder names
//! another.
//!
//! `decode` is wire → chat, `encode` is chat → wire. A client and a provider that speak the same
//! protocol do not come through here: [`Verbatim`] forwards their bytes as they are.

pub mod anthropic;
pub mod embeddings;
mod heard;
pub mod json;
mod openai;
pub mod openai_chat;
pub mod openai_responses;
pub mod openai_text;
mod scan;
mod verbatim;

pub use heard::Heard;
use verbatim::write_edited;
pub use verbatim::{Forwarded, Peek, Seen, Unstreamed, Verbatim, VerbatimStream};

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::chat::{ChatEvent, ChatRequest, ChatResponse, ClientSide, Failure, Operation, Protocol, Target};
use crate::sse::Frame;

/// A comment (HTML standard, 9.2.6), which every reader of server-sent events skips.
pub const KEEPALIVE: &[u8] = b": keepalive\n\n";

/// What an encoder of answers must know of the exchange that it belongs to.
#[derive(Debug, Clone)]
pub struct Exchange {
    /// The client's name for the model, which every answer carries.
    pub model: String,
    /// The key of the provider that answers: the maker of opaque reasoning.
    pub provider: Arc<str>,
    /// Our id of the request.
    pub request_id: String,
    /// When the request came, in seconds since 1970.
    pub created: i64,
    /// Chat only: whether the stream ends with a usage chunk.
    pub include_usage: bool,
    /// What the client's request decides of the answer's form.
    pub client: ClientSide,
}

/// A request as a provider wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// The JSON body.
    pub body: Bytes,
    /// Paths of what the provider's protocol cannot take, in the client's words; neither sorted
    /// nor distinct.
    pub dropped: Vec<String>,
}

/// The side facing our clients.
pub trait ClientCodec: Send + Sync {
    /// Reads a request.
    ///
    /// # Errors
    /// `InvalidJson`, `MissingParameter`, `InvalidValue` with the field's path, or
    /// `UnsupportedAcrossProtocols` for what no other protocol can carry.
    fn decode_request(&self, body: &[u8]) -> Result<ChatRequest, Failure>;
    /// Writes a whole answer.
    fn encode_response(&self, response: &ChatResponse, exchange: &Exchange) -> Bytes;
    /// Starts writing a streamed answer.
    fn stream_encoder(&self, exchange: &Exchange) -> Box<dyn StreamEncoder>;
    /// Writes an error body.
    fn encode_error(&self, failure: &Failure, request_id: &str) -> Bytes;
}

/// The side facing a provider: the exact mirror.
pub trait UpstreamCodec: Send + Sync {
    /// Writes a request.
    ///
    /// # Errors
    /// `UnsupportedAcrossProtocols` with the field's path, for what this protocol cannot carry
    /// without changing its meaning.
    fn encode_request(&self, request: &ChatRequest, target: &Target<'_>) -> Result<Encoded, Failure>;
    /// Reads a whole answer. `provider` is the provider's key, the maker of opaque reasoning.
    ///
    /// # Errors
    /// `UpstreamInvalidResponse`, or `Upstream` when the body reports a failure.
    fn decode_response(&self, body: &[u8], request: &ChatRequest, provider: &str) -> Result<ChatResponse, Failure>;
    /// Starts reading a streamed answer.
    fn stream_decoder(&self, request: &ChatRequest, provider: &str) -> Box<dyn StreamDecoder>;
    /// Reads an error body of the given status; a body that is not the protocol's still makes a
    /// failure with that status.
    fn decode_error(&self, status: u16, body: &[u8]) -> Failure;
}

/// Reads one streamed answer.
pub trait StreamDecoder {
    /// Reads a frame. Unknown events are skipped.
    ///
    /// # Errors
    /// `UpstreamStream` when the frame cannot be read; the stream is over then.
    fn decode(&mut self, frame: &Frame, out: &mut VecDeque<ChatEvent>) -> Result<(), Failure>;
    /// The stream has ended.
    ///
    /// # Errors
    /// `UpstreamStream` when it ended without its terminal event.
    fn finish(&mut self, out: &mut VecDeque<ChatEvent>) -> Result<(), Failure>;
}

/// Writes one streamed answer.
pub trait StreamEncoder {
    /// Writes what an event makes visible to the client.
    fn encode(&mut self, event: &ChatEvent, out: &mut BytesMut);
    /// Ends a stream that has begun with an error, in the protocol's way, without any sign of
    /// success.
    fn fail(&mut self, failure: &Failure, out: &mut BytesMut);
    /// What keeps a silent stream alive at this point: a comment, or the protocol's own ping.
    fn keepalive(&self) -> &'static [u8] {
        KEEPALIVE
    }
}

/// A full protocol.
pub trait Codec: ClientCodec + UpstreamCodec + Verbatim {
    /// Which one.
    fn protocol(&self) -> Protocol;
}

/// The side of a protocol that faces a provider.
#[must_use]
pub fn upstream(protocol: Protocol) -> &'static dyn UpstreamCodec {
    match protocol {
        Protocol::OpenAiChat => &openai_chat::OpenAiChat,
        Protocol::Anthropic => &anthropic::Anthropic,
        Protocol::OpenAiResponses => &openai_responses::OpenAiResponses,
    }
}

/// The side of a protocol that faces our clients; `None` for an operation that no other protocol
/// has.
#[must_use]
pub fn client(protocol: Protocol, operation: Operation) -> Option<&'static dyn ClientCodec> {
    match (protocol, operation) {
        (_, Operation::Embeddings) => None,
        (Protocol::OpenAiChat, Operation::Completions) => Some(&openai_text::OpenAiText),
        (Protocol::OpenAiChat, _) => Some(&openai_chat::OpenAiChat),
        (Protocol::Anthropic, _) => Some(&anthropic::Anthropic),
        (Protocol::OpenAiResponses, _) => Some(&openai_responses::OpenAiResponses),
    }
}

/// How a protocol is forwarded.
#[must_use]
pub fn verbatim(protocol: Protocol, operation: Operation) -> &'static dyn Verbatim {
    match (protocol, operation) {
        (_, Operation::CountTokens) => &anthropic::CountTokens,
        (_, Operation::Embeddings) => &embeddings::Embeddings,
        (Protocol::OpenAiChat, Operation::Completions) => &openai_text::OpenAiText,
        (Protocol::OpenAiChat, _) => &openai_chat::OpenAiChat,
        (Protocol::Anthropic, _) => &anthropic::Anthropic,
        (Protocol::OpenAiResponses, _) => &openai_responses::OpenAiResponses,
    }
}

/// An error body in a client's protocol.
#[must_use]
pub fn encode_error(protocol: Protocol, failure: &Failure, request_id: &str) -> Bytes {
    match protocol {
        Protocol::OpenAiChat => openai_chat::OpenAiChat.encode_error(failure, request_id),
        Protocol::Anthropic => anthropic::Anthropic.encode_error(failure, request_id),
        Protocol::OpenAiResponses => openai_responses::OpenAiResponses.encode_error(failure, request_id),
    }
}
