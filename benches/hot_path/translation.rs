//! Whole requests and answers on their way through the unified format.

use std::sync::Arc;

use llm_proxy::chat::{Operation, Protocol, Target, ThinkingStyle};
use llm_proxy::codec::{self, Exchange};
use serde_json::{Value, json};

use super::{Bench, Work};
use crate::request::{PROTOCOLS, asked, name};

const PROVIDER: &str = "acme";

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

fn target() -> Target<'static> {
    Target {
        model: "provider-model",
        provider: PROVIDER,
        max_tokens_field: "max_completion_tokens",
        thinking_style: ThinkingStyle::Auto,
        inject_usage: true,
        max_output_tokens: None,
        supports_response_schema: true,
        default_max_tokens: 4096,
    }
}

/// Measures all of it.
pub fn measure(bench: &mut Bench) {
    for protocol in PROTOCOLS {
        let (name, body) = (name(protocol), asked(protocol, false));
        let (client, upstream) = (codec::client(protocol, Operation::Generate).unwrap(), codec::upstream(protocol));
        let work = Work { events: 1, bytes: body.len() };
        bench.measure(&format!("decode_request/{name}"), &work, || client.decode_request(&body).unwrap());
        let chat = client.decode_request(&body).unwrap();
        bench.measure(&format!("encode_request/{name}"), &work, || {
            upstream.encode_request(&chat, &target()).map(|encoded| encoded.body).unwrap()
        });
        let answer = answer(protocol).to_string();
        let work = Work { events: 1, bytes: answer.len() };
        bench.measure(&format!("decode_response/{name}"), &work, || {
            upstream.decode_response(answer.as_bytes(), &chat, PROVIDER).unwrap()
        });
        let response = upstream.decode_response(answer.as_bytes(), &chat, PROVIDER).unwrap();
        let exchange = Exchange {
            model: "client-model".to_owned(),
            provider: Arc::from(PROVIDER),
            request_id: "req-1".to_owned(),
            created: 1_700_000_000,
            include_usage: true,
            client: chat.client.clone(),
        };
        bench.measure(&format!("encode_response/{name}"), &work, || client.encode_response(&response, &exchange));
    }
}
