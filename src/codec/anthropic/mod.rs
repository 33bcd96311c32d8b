//! Anthropic Messages.

mod arguments;
mod count_tokens;
mod decode_blocks;
mod decode_request;
mod decode_stream;
mod decode_tools;
mod encode_messages;
mod encode_request;
mod encode_stream;
mod encode_tools;
mod error;
#[cfg(test)]
mod fixtures;
mod loss;
mod media;
mod object;
mod response;
mod thinking;
mod usage;
mod verbatim;
mod wire;

pub use self::count_tokens::CountTokens;

use bytes::Bytes;

use super::{
    ClientCodec, Codec, Encoded, Exchange, Forwarded, Peek, StreamDecoder, StreamEncoder, UpstreamCodec, Verbatim,
    VerbatimStream,
};
use crate::chat::{ChatRequest, ChatResponse, Failure, Protocol, Target};

/// Anthropic Messages, both sides.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anthropic;

impl Anthropic {
    /// [`Verbatim::peek`] for a `count_tokens` body, which has no `max_tokens`.
    ///
    /// # Errors
    /// `InvalidJson`, `MissingParameter` or `InvalidValue`, naming the field.
    pub fn peek_count_tokens(body: &Bytes) -> Result<Peek, Failure> {
        verbatim::peek(body, false)
    }
}

impl ClientCodec for Anthropic {
    fn decode_request(&self, body: &[u8]) -> Result<ChatRequest, Failure> {
        decode_request::decode(body)
    }

    fn encode_response(&self, response: &ChatResponse, exchange: &Exchange) -> Bytes {
        response::encode(response, exchange)
    }

    fn stream_encoder(&self, exchange: &Exchange) -> Box<dyn StreamEncoder> {
        Box::new(encode_stream::Encoder::new(exchange))
    }

    fn encode_error(&self, failure: &Failure, request_id: &str) -> Bytes {
        error::encode(failure, request_id)
    }
}

impl UpstreamCodec for Anthropic {
    fn encode_request(&self, request: &ChatRequest, target: &Target<'_>) -> Result<Encoded, Failure> {
        encode_request::encode(request, target)
    }

    fn decode_response(&self, body: &[u8], request: &ChatRequest, provider: &str) -> Result<ChatResponse, Failure> {
        response::decode(body, request, provider)
    }

    fn stream_decoder(&self, request: &ChatRequest, provider: &str) -> Box<dyn StreamDecoder> {
        Box::new(decode_stream::Decoder::new(request, provider))
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> Failure {
        error::decode(status, body)
    }
}

impl Verbatim for Anthropic {
    fn peek(&self, body: &Bytes) -> Result<Peek, Failure> {
        verbatim::peek(body, true)
    }

    fn forward_request(&self, body: &Bytes, peek: &Peek, model: &str, _inject_usage: bool) -> Bytes {
        verbatim::forward_request(body, peek, model)
    }

    fn forward_response(&self, body: &Bytes, model: &str) -> Result<Forwarded, Failure> {
        verbatim::forward_response(body, model)
    }

    fn forward_stream(&self, peek: &Peek, request_id: &str) -> Box<dyn VerbatimStream> {
        Box::new(verbatim::Stream::new(&peek.model, request_id))
    }

    fn is_error_body(&self, body: &[u8]) -> bool {
        error::is_error_body(body)
    }
}

impl Codec for Anthropic {
    fn protocol(&self) -> Protocol {
        Protocol::Anthropic
    }
}
