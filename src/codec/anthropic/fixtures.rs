//! What the tests of this folder share.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

use super::Anthropic;
use crate::chat::{ChatEvent, ChatRequest, ClientSide, Failure, Target, ThinkingStyle};
use crate::codec::{ClientCodec, Exchange, UpstreamCodec};
use crate::sse::{Frame, Parser};

/// A small request with `fields` besides.
pub(super) fn request(fields: Value) -> ChatRequest {
    let body = with(json!({"model":"alias","max_tokens":4096,"messages":[{"role":"user","content":"Hi"}]}), fields);
    Anthropic.decode_request(body.to_string().as_bytes()).unwrap()
}

/// A small answer with `fields` besides.
pub(super) fn answer(fields: Value) -> Vec<u8> {
    let content = json!([{"type":"text","text":"Hi"}]);
    let usage = json!({"input_tokens":5,"output_tokens":3});
    let body = json!({"id":"msg_1","type":"message","role":"assistant","model":"mapped","content":content,
        "stop_reason":"end_turn","stop_sequence":null,"usage":usage});
    with(body, fields).to_string().into_bytes()
}

fn with(mut body: Value, fields: Value) -> Value {
    let fields = fields.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(fields);
    body
}

pub(super) fn target(model: &str) -> Target<'_> {
    Target {
        model,
        provider: "claude-eu",
        max_tokens_field: "max_tokens",
        thinking_style: ThinkingStyle::Auto,
        inject_usage: true,
        max_output_tokens: None,
        supports_response_schema: true,
        default_max_tokens: 4096,
    }
}

pub(super) fn exchange() -> Exchange {
    Exchange {
        model: "alias".to_owned(),
        provider: "claude-eu".into(),
        request_id: "req-1".to_owned(),
        created: 1,
        include_usage: false,
        client: ClientSide::default(),
    }
}

/// The frames of a stream that comes in two pieces.
pub(super) fn frames(stream: &[u8], cut: usize) -> Vec<Frame> {
    let (first, second) = stream.split_at(cut);
    let mut parser = Parser::new(1 << 20);
    let mut frames = Vec::new();
    for piece in [first, second] {
        parser.feed(piece);
        while let Some(frame) = parser.next_frame().unwrap() {
            frames.push(frame);
        }
    }
    frames.extend(parser.finish());
    frames
}

/// The events of a stream that comes in two pieces, asked for by `request`.
pub(super) fn events_of(stream: &[u8], cut: usize, request: &ChatRequest) -> Result<Vec<ChatEvent>, Failure> {
    let mut decoder = Anthropic.stream_decoder(request, "claude-eu");
    let mut out = VecDeque::new();
    for frame in frames(stream, cut) {
        decoder.decode(&frame, &mut out)?;
    }
    decoder.finish(&mut out)?;
    Ok(out.into())
}

/// The stream that a client gets for `events`.
pub(super) fn stream_of(events: &[ChatEvent]) -> Bytes {
    let mut encoder = Anthropic.stream_encoder(&exchange());
    let mut out = BytesMut::new();
    for event in events {
        encoder.encode(event, &mut out);
    }
    out.freeze()
}

/// Names and data of a stream's events.
pub(super) fn named(stream: &[u8]) -> Vec<(String, Value)> {
    let read = |frame: Frame| {
        let name = String::from_utf8(frame.event.to_vec()).unwrap();
        frame.data.map(|data| (name, serde_json::from_slice(&data).unwrap()))
    };
    frames(stream, 0).into_iter().filter_map(read).collect()
}

/// A stream with every kind of block, as careful and careless servers send it.
pub(super) const STREAM: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"mapped","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":100,"cache_read_input_tokens":0,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let me s\u00e9e"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"EqQB"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"EvAF"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"query\":\"x\"}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: content_block_start
data: {"type":"content_block_start","index":3,"content_block":{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"type":"web_search_result","url":"https://a"}]}}

event: content_block_stop
data: {"type":"content_block_stop","index":3}

event: content_block_start
data: {"type":"content_block_start","index":4,"content_block":{"type":"text","text":"","citations":[]}}

event: content_block_delta
data: {"type":"content_block_delta","index":4,"delta":{"type":"citations_delta","citation":{"type":"web_search_result_location","url":"https://a","title":"A","cited_text":"c","encrypted_index":"E"}}}

event: content_block_delta
data: {"type":"content_block_delta","index":4,"delta":{"type":"text_delta","text":"Grüß"}}

event: content_block_delta
data: {"type":"content_block_delta","index":4,"delta":{"type":"new_delta","text":{"a":1}}}

event: content_block_delta
data: {"type":"content_block_delta","index":4,"delta":{"type":"text_delta","text":"e 👋 message_stop"}}

event: content_block_stop
data: {"type":"content_block_stop","index":4}

event: content_block_start
data: {"type":"content_block_start","index":5,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":5,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":5,"delta":{"type":"input_json_delta","partial_json":"{\"z\":1.10,"}}

event: content_block_delta
data: {"type":"content_block_delta","index":5,"delta":{"type":"input_json_delta","partial_json":"\"a\":12345678901234567890123}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":5}

event: content_block_start
data: {"type":"content_block_start","index":6,"content_block":{"type":"tool_use","id":"toolu_2","name":"g","input":{}}}

event: content_block_stop
data: {"type":"content_block_stop","index":6}

event: new_event
data: {"type":"new_event","index":"x","delta":"y"}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":null,"cache_read_input_tokens":40,"output_tokens":50}}

event: message_stop
data: {"type":"message_stop"}

"#;

/// The whole answer that [`STREAM`] adds up to.
pub(super) const WHOLE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"mapped","content":[
    {"type":"thinking","thinking":"Let me s\u00e9e","signature":"EqQB"},
    {"type":"redacted_thinking","data":"EvAF"},
    {"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"x"}},
    {"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"type":"web_search_result","url":"https://a"}]},
    {"type":"text","text":"Grüße 👋 message_stop","citations":[
        {"type":"web_search_result_location","url":"https://a","title":"A","cited_text":"c","encrypted_index":"E"}]},
    {"type":"tool_use","id":"toolu_1","name":"f","input":{"z":1.10,"a":12345678901234567890123}},
    {"type":"tool_use","id":"toolu_2","name":"g","input":{}}
],"stop_reason":"tool_use","stop_sequence":null,
"usage":{"input_tokens":100,"cache_read_input_tokens":40,"output_tokens":50}}"#;
