//! The protocol as a whole, both ways.

mod answers;
mod endings;
mod lenient;
mod requests_in;
mod requests_out;
mod streams;
mod verbatim;

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::OpenAiResponses;
use crate::chat::{ChatEvent, ChatRequest, ChatResponse, Failure, fold};
use crate::codec::{ClientCodec as _, Exchange, UpstreamCodec as _};
use crate::sse::{Frame, Parser};

const PROVIDER: &str = "maker";

fn request(body: &Value) -> ChatRequest {
    OpenAiResponses.decode_request(body.to_string().as_bytes()).unwrap()
}

fn plain_request() -> ChatRequest {
    request(&serde_json::json!({"model": "m", "input": "hi"}))
}

fn refusal(body: &Value) -> Failure {
    OpenAiResponses.decode_request(body.to_string().as_bytes()).unwrap_err()
}

fn exchange(request: &ChatRequest) -> Exchange {
    Exchange {
        model: "alias".to_owned(),
        provider: PROVIDER.into(),
        request_id: "req".to_owned(),
        created: 1_750_000_000,
        include_usage: false,
        client: request.client.clone(),
    }
}

/// An exchange with a client that wants all there is.
fn full_exchange() -> Exchange {
    exchange(&request(&serde_json::json!({
        "model": "m", "input": "hi", "include": ["reasoning.encrypted_content"]
    })))
}

/// The frames of a stream that comes in pieces of `size` bytes.
fn frames(stream: &[u8], size: usize) -> Vec<Frame> {
    let mut parser = Parser::new(1 << 20);
    let mut frames = Vec::new();
    for piece in stream.chunks(size) {
        parser.feed(piece);
        while let Some(frame) = parser.next_frame().unwrap() {
            frames.push(frame);
        }
    }
    frames.extend(parser.finish());
    frames
}

fn try_decode(stream: &[u8], size: usize) -> Result<Vec<ChatEvent>, Failure> {
    let mut decoder = OpenAiResponses.stream_decoder(&plain_request(), PROVIDER);
    let mut events = VecDeque::new();
    for frame in frames(stream, size) {
        decoder.decode(&frame, &mut events)?;
    }
    decoder.finish(&mut events)?;
    Ok(events.into())
}

/// Events of a stream, given as one JSON value each.
fn decode(events: &[Value]) -> Vec<ChatEvent> {
    try_decode(&stream(events), usize::MAX).unwrap()
}

fn folded(events: &[Value]) -> ChatResponse {
    fold(decode(events)).unwrap()
}

/// As providers write it, event lines included.
fn stream(events: &[Value]) -> Vec<u8> {
    let lines =
        events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or("")));
    lines.collect::<String>().into_bytes()
}

fn decode_body(body: &Value) -> Result<ChatResponse, Failure> {
    OpenAiResponses.decode_response(body.to_string().as_bytes(), &plain_request(), PROVIDER)
}

fn encode(events: &[ChatEvent], exchange: &Exchange) -> Bytes {
    let mut encoder = OpenAiResponses.stream_encoder(exchange);
    let mut out = BytesMut::new();
    events.iter().for_each(|event| encoder.encode(event, &mut out));
    out.freeze()
}

/// The data of each frame, whose event line must name its type.
fn data(stream: &[u8]) -> Vec<Value> {
    let values: Vec<Value> = frames(stream, usize::MAX)
        .iter()
        .map(|frame| {
            let value: Value = serde_json::from_slice(frame.data.as_ref().unwrap()).unwrap();
            assert_eq!(frame.event, value["type"].as_str().unwrap());
            value
        })
        .collect();
    for (i, value) in values.iter().enumerate() {
        assert_eq!(value["sequence_number"], i, "{value}");
    }
    values
}

fn kinds(values: &[Value]) -> Vec<&str> {
    values.iter().map(|value| value["type"].as_str().unwrap().trim_start_matches("response.")).collect()
}
