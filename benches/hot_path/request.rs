//! Requests that are forwarded: finding what routing must know, and putting the model in.

use bytes::Bytes;
use llm_proxy::chat::Protocol;
use serde_json::json;

use super::{Bench, Work};
use crate::support::PROTOCOLS;

/// A request with a short prompt.
pub fn asked(protocol: Protocol, stream: bool) -> Bytes {
    with_prompt(protocol, stream, 300)
}

/// A request whose prompt has about so many bytes.
pub fn with_prompt(protocol: Protocol, stream: bool, bytes: usize) -> Bytes {
    let prompt = "Summarise this in three \"points\".\n".repeat(bytes / 34 + 1);
    let body = match protocol {
        Protocol::OpenAiChat => json!({"model": "client-model", "stream": stream, "temperature": 0.7, "messages": [
            {"role": "system", "content": "You are helpful."}, {"role": "user", "content": prompt}]}),
        Protocol::Anthropic => json!({"model": "client-model", "stream": stream, "max_tokens": 1000,
            "system": "You are helpful.", "messages": [{"role": "user", "content": prompt}]}),
        Protocol::OpenAiResponses => json!({"model": "client-model", "stream": stream,
            "instructions": "You are helpful.", "input": prompt}),
    };
    body.to_string().into()
}

/// Measures all of it.
pub fn measure(bench: &mut Bench) {
    for (name, codec) in PROTOCOLS {
        for (size, bytes) in [("300B", 300), ("200kB", 200_000)] {
            let body = with_prompt(codec.protocol(), false, bytes);
            let work = Work { events: 1, bytes: body.len() };
            bench.measure(&format!("peek/{name}_{size}"), &work, || codec.peek(&body).unwrap());
            let peek = codec.peek(&body).unwrap();
            bench.measure(&format!("splice/{name}_{size}"), &work, || {
                codec.forward_request(&body, &peek, "provider-model", true)
            });
        }
    }
}
