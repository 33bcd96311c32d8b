//! Streams: cutting them into frames, forwarding them, translating them.

use std::collections::VecDeque;

use bytes::BytesMut;
use llm_proxy::chat::Protocol;
use llm_proxy::sse::{Frame, Parser};

use super::{Bench, Work};
use crate::request::asked;
use crate::support::{PROTOCOLS, PROVIDER, encoded, exchange};

/// Pieces of text in a stream.
const PIECES: usize = 1000;

/// A stream of a provider that says so many words.
fn words(protocol: Protocol) -> String {
    match protocol {
        Protocol::OpenAiChat => chat(),
        Protocol::Anthropic => messages(),
        Protocol::OpenAiResponses => responses(),
    }
}

fn word(n: usize) -> &'static str {
    ["Hello", " world", ",", " how", "\\n", " are", " you", " dö"][n % 8]
}

fn event(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

fn chat() -> String {
    let chunk = |delta: &str, reason: &str| {
        let begin = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-real""#;
        let choice = format!(r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{reason}}}"#);
        format!("data: {begin},\"system_fingerprint\":\"fp_1\",\"choices\":[{choice}],\"usage\":null}}\n\n")
    };
    let pieces = (0..PIECES).map(|n| chunk(&format!(r#"{{"content":"{}"}}"#, word(n)), "null"));
    let usage =
        r#"{"id":"chatcmpl-1","model":"gpt-real","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1000}}"#;
    let begin = chunk(r#"{"role":"assistant","content":""}"#, "null");
    let end = format!("{}data: {usage}\n\ndata: [DONE]\n\n", chunk("{}", "\"stop\""));
    [begin, pieces.collect(), end].concat()
}

fn messages() -> String {
    let message = r#"{"id":"msg_1","type":"message","role":"assistant","model":"claude-real","content":[],"stop_reason":null,"usage":{"input_tokens":9,"output_tokens":1}}"#;
    let begin = event("message_start", &format!(r#"{{"type":"message_start","message":{message}}}"#));
    let block = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
    let piece = |n| {
        let delta = format!(r#"{{"type":"text_delta","text":"{}"}}"#, word(n));
        event("content_block_delta", &format!(r#"{{"type":"content_block_delta","index":0,"delta":{delta}}}"#))
    };
    let last = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":1000}}"#;
    let end = [("content_block_stop", r#"{"type":"content_block_stop","index":0}"#), ("message_delta", last)];
    let end = end.map(|(name, data)| event(name, data)).concat() + &event("message_stop", r#"{"type":"message_stop"}"#);
    [begin, event("content_block_start", block), (0..PIECES).map(piece).collect(), end].concat()
}

fn responses() -> String {
    let with_response = |name: &str, number: usize, status: &str, rest: &str| {
        let response = format!(
            r#"{{"id":"resp_1","object":"response","status":"{status}","model":"gpt-real","output":[]{rest}}}"#
        );
        event(name, &format!(r#"{{"type":"{name}","sequence_number":{number},"response":{response}}}"#))
    };
    let item = r#"{"id":"msg_1","type":"message","status":"in_progress","role":"assistant","content":[]}"#;
    let added =
        format!(r#"{{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{item}}}"#);
    let part = r#"{"type":"response.content_part.added","sequence_number":2,"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}"#;
    let begin = with_response("response.created", 0, "in_progress", "");
    let begin = begin + &event("response.output_item.added", &added) + &event("response.content_part.added", part);
    let piece = |n| {
        let name = "response.output_text.delta";
        let rest = r#""item_id":"msg_1","output_index":0,"content_index":0"#;
        event(name, &format!(r#"{{"type":"{name}","sequence_number":{},{rest},"delta":"{}"}}"#, n + 3, word(n)))
    };
    let usage = r#","usage":{"input_tokens":9,"output_tokens":1000,"total_tokens":1009}"#;
    let end = with_response("response.completed", 2000, "completed", usage);
    [begin, (0..PIECES).map(piece).collect(), end].concat()
}

fn frames(stream: &str) -> Vec<Frame> {
    let mut parser = Parser::new(1 << 20);
    parser.feed(stream.as_bytes());
    std::iter::from_fn(|| parser.next_frame().unwrap()).collect()
}

/// Measures all of it.
pub fn measure(bench: &mut Bench) {
    for (name, codec) in PROTOCOLS {
        let stream = words(codec.protocol());
        let work = Work { events: PIECES, bytes: stream.len() };
        bench.measure(&format!("sse/{name}"), &work, || frames(&stream).len());
        let (frames, body) = (frames(&stream), asked(codec.protocol(), true));
        let peek = codec.peek(&body).unwrap();
        bench.measure(&format!("forward_stream/{name}"), &work, || {
            let (mut forward, mut out) = (codec.forward_stream(&peek, "req-1"), BytesMut::new());
            for frame in &frames {
                forward.forward(frame, &mut out).unwrap();
            }
            out.len()
        });
        let chat = codec.decode_request(&body).unwrap();
        let decode = || {
            let (mut decoder, mut events) = (codec.stream_decoder(&chat, PROVIDER), VecDeque::new());
            for frame in &frames {
                decoder.decode(frame, &mut events).unwrap();
            }
            decoder.finish(&mut events).unwrap();
            events
        };
        bench.measure(&format!("decode_stream/{name}"), &work, decode);
        let (events, exchange) = (Vec::from(decode()), exchange(&chat));
        let encode = || encoded(codec, &exchange, &events, None).len();
        bench.measure(&format!("encode_stream/{name}"), &work, encode);
    }
}
