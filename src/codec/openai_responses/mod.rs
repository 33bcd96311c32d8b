//! OpenAI Responses.

mod decode_input;
mod decode_parts;
mod decode_request;
mod decode_response;
mod decode_stream;
mod decode_tools;
mod encode_input;
mod encode_request;
mod encode_response;
mod encode_stream;
mod error;
mod fields;
mod output;
mod stream_items;
mod verbatim;
mod verbatim_stream;
mod wire;

#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::{
    ClientCodec, Codec, Encoded, Exchange, Forwarded, Peek, StreamDecoder, StreamEncoder, UpstreamCodec, Verbatim,
    VerbatimStream,
};
use crate::chat::{ChatRequest, ChatResponse, Failure, Protocol, Target};

/// The Responses protocol, on both sides.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenAiResponses;

impl ClientCodec for OpenAiResponses {
    fn decode_request(&self, body: &[u8]) -> Result<ChatRequest, Failure> {
        decode_request::decode_request(body)
    }

    fn encode_response(&self, response: &ChatResponse, exchange: &Exchange) -> Bytes {
        encode_response::encode_response(response, exchange)
    }

    fn stream_encoder(&self, exchange: &Exchange) -> Box<dyn StreamEncoder> {
        Box::new(encode_stream::Encoder::new(exchange))
    }

    fn encode_error(&self, failure: &Failure, _request_id: &str) -> Bytes {
        error::encode_error(failure)
    }
}

impl UpstreamCodec for OpenAiResponses {
    fn encode_request(&self, request: &ChatRequest, target: &Target<'_>) -> Result<Encoded, Failure> {
        encode_request::encode_request(request, target)
    }

    fn decode_response(&self, body: &[u8], _request: &ChatRequest, provider: &str) -> Result<ChatResponse, Failure> {
        decode_response::decode_response(body, provider)
    }

    fn stream_decoder(&self, _request: &ChatRequest, provider: &str) -> Box<dyn StreamDecoder> {
        Box::new(decode_stream::Decoder::new(provider))
    }

    fn decode_error(&self, status: u16, body: &[u8]) -> Failure {
        error::decode_error(status, body)
    }
}

impl Verbatim for OpenAiResponses {
    fn peek(&self, body: &Bytes) -> Result<Peek, Failure> {
        verbatim::peek(body)
    }

    fn forward_request(&self, body: &Bytes, peek: &Peek, model: &str, _inject_usage: bool) -> Bytes {
        verbatim::forward_request(body, peek, model)
    }

    fn forward_response(&self, body: &Bytes, model: &str) -> Result<Forwarded, Failure> {
        verbatim::forward_response(body, model)
    }

    fn forward_stream(&self, peek: &Peek, _: &str) -> Box<dyn VerbatimStream> {
        Box::new(verbatim_stream::Forwarder::new(peek.model.clone()))
    }

    fn is_error_body(&self, body: &[u8]) -> bool {
        error::is_error_body(body)
    }
}

impl Codec for OpenAiResponses {
    fn protocol(&self) -> Protocol {
        Protocol::OpenAiResponses
    }
}
