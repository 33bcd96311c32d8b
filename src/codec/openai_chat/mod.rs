//! OpenAI Chat Completions.
//!
//! | file | what |
//! |---|---|
//! | `decode_request`, `decode_messages`, `decode_tools` | a client's request |
//! | `encode_response`, `encode_stream` | answers to a client |
//! | `encode_request`, `encode_messages` | a request to a provider |
//! | `decode_response`, `decode_stream` | a provider's answers |
//! | `verbatim`, `packed` | forwarding without translation |
//! | `finish`, `reasoning`, `wire` | what several of them share |
//!
//! What the older completions and the embeddings share with it is in `codec::openai`.

mod decode_messages;
mod decode_request;
mod decode_response;
mod decode_stream;
mod decode_tools;
mod encode_messages;
mod encode_request;
mod encode_response;
mod encode_stream;
mod finish;
mod packed;
mod reasoning;
mod verbatim;
mod wire;

use bytes::Bytes;

use super::openai::stream::Stream;
use super::openai::{body, error};
use super::{
    ClientCodec, Codec, Encoded, Exchange, Forwarded, Peek, StreamDecoder, StreamEncoder, UpstreamCodec, Verbatim,
    VerbatimStream,
};
use crate::chat::{ChatRequest, ChatResponse, Failure, Protocol, Target};

/// The Chat Completions protocol.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenAiChat;

impl ClientCodec for OpenAiChat {
    fn decode_request(&self, body: &[u8]) -> Result<ChatRequest, Failure> {
        decode_request::decode(body)
    }

    fn encode_response(&self, response: &ChatResponse, exchange: &Exchange) -> Bytes {
        encode_response::encode(response, exchange)
    }

    fn stream_encoder(&self, exchange: &Exchange) -> Box<dyn StreamEncoder> {
        Box::new(encode_stream::Encoder::new(exchange))
    }

    fn encode_error(&self, failure: &Failure, _: &str) -> Bytes {
        error::encode(failure)
    }
}

impl UpstreamCodec for OpenAiChat {
    fn encode_request(&self, request: &ChatRequest, target: &Target<'_>) -> Result<Encoded, Failure> {
        encode_request::encode(request, target)
    }

    fn decode_response(&self, body: &[u8], _: &ChatRequest, provider: &str) -> Result<ChatResponse, Failure> {
        decode_response::decode(body, provider)
    }

    fn stream_decoder(&self, _: &ChatRequest, provider: &str) -> Box<dyn StreamDecoder> {
        Box::new(decode_stream::Decoder::new(provider))
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> Failure {
        error::decode(status, body)
    }
}

impl Verbatim for OpenAiChat {
    fn peek(&self, body: &Bytes) -> Result<Peek, Failure> {
        body::peek(body, verbatim::MESSAGES)
    }

    fn forward_request(&self, body: &Bytes, peek: &Peek, model: &str, inject_usage: bool) -> Bytes {
        verbatim::forward_request(body, peek, model, inject_usage)
    }

    fn forward_response(&self, body: &Bytes, model: &str) -> Result<Forwarded, Failure> {
        body::forward_response(body, model, "choices")
    }

    fn forward_stream(&self, peek: &Peek, _: &str) -> Box<dyn VerbatimStream> {
        Box::new(Stream::new(peek, verbatim::read_chunk))
    }

    fn is_error_body(&self, body: &[u8]) -> bool {
        error::is_error_body(body)
    }
}

impl Codec for OpenAiChat {
    fn protocol(&self) -> Protocol {
        Protocol::OpenAiChat
    }
}
