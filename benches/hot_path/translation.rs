//! Whole requests and answers on their way through the unified format.

use llm_proxy::chat::Protocol;
use serde_json::{Value, json};

use super::{Bench, Work};
use crate::request::asked;
use crate::support::{PROTOCOLS, PROVIDER, exchange, target};

fn answer(protocol: Protocol) -> Value {
    let text = "Three points, each of them short. ".repeat(20);
    match protocol {
        Protocol::OpenAiChat => json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "real",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 100, "total_tokens": 109}}),
        Protocol::Anthropic => json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "real",
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 9, "output_tokens": 100}}),
        Protocol::OpenAiResponses => json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "real",
            "status": "completed", "output": [{"id": "msg_1", "type": "message", "status": "completed",
            "role": "assistant", "content": [{"type": "output_text", "text": text, "annotations": []}]}],
            "usage": {"input_tokens": 9, "output_tokens": 100, "total_tokens": 109}}),
    }
}

/// Measures all of it.
pub fn measure(bench: &mut Bench) {
    for (name, codec) in PROTOCOLS {
        let body = asked(codec.protocol(), false);
        let work = Work { events: 1, bytes: body.len() };
        bench.measure(&format!("decode_request/{name}"), &work, || codec.decode_request(&body).unwrap());
        let chat = codec.decode_request(&body).unwrap();
        bench.measure(&format!("encode_request/{name}"), &work, || {
            codec.encode_request(&chat, &target("provider-model")).map(|encoded| encoded.body).unwrap()
        });
        let answer = answer(codec.protocol()).to_string();
        let work = Work { events: 1, bytes: answer.len() };
        bench.measure(&format!("decode_response/{name}"), &work, || {
            codec.decode_response(answer.as_bytes(), &chat, PROVIDER).unwrap()
        });
        let response = codec.decode_response(answer.as_bytes(), &chat, PROVIDER).unwrap();
        let exchange = exchange(&chat);
        bench.measure(&format!("encode_response/{name}"), &work, || codec.encode_response(&response, &exchange));
    }
}
