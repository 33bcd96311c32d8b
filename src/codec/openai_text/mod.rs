//! OpenAI's older text completions: a prompt in, its continuation out. Only clients speak it:
//! a provider that does gets their bytes as they are, any other a conversation of one message.

mod decode_request;
mod encode_response;
mod encode_stream;
mod verbatim;

use bytes::Bytes;

use super::openai::stream::Stream;
use super::openai::{body, error};
use super::{ClientCodec, Exchange, Forwarded, Peek, StreamEncoder, Verbatim, VerbatimStream};
use crate::chat::{ChatRequest, ChatResponse, Failure};

/// The protocol of text completions.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenAiText;

impl ClientCodec for OpenAiText {
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

impl Verbatim for OpenAiText {
    fn peek(&self, body: &Bytes) -> Result<Peek, Failure> {
        body::peek(body, verbatim::PROMPT)
    }

    fn forward_request(&self, body: &Bytes, peek: &Peek, model: &str, inject_usage: bool) -> Bytes {
        body::edited(body, body::edits(body, peek, model, inject_usage))
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
