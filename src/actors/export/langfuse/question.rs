//! What was asked, as messages.

use serde_json::{Map, Value, json};

use super::cut;
use super::parameters::parameters;
use crate::actors::finished::Captured;
use crate::chat::{Operation, Protocol};

/// What was asked.
#[derive(Default)]
pub(super) struct Question {
    /// `{"messages": [..]}`; `None` when it is not known, or nobody can read it.
    pub input: Option<Value>,
    /// Options of the model.
    pub parameters: Map<String, Value>,
}

/// Reads a request in its client's protocol. Messages stay as the client wrote them.
pub(super) fn read(captured: &Captured) -> Question {
    let Ok(Value::Object(mut body)) = serde_json::from_slice(&captured.request) else {
        return Question::default();
    };
    let parameters = parameters(&body);
    let messages = match (captured.protocol, captured.operation) {
        (_, Operation::Completions) => vec![said_by("user", body.remove("prompt"))],
        (_, Operation::Embeddings) => vec![said_by("user", body.remove("input"))],
        (Protocol::OpenAiChat, _) => list("user", body.remove("messages")),
        (Protocol::Anthropic, _) => told(body.remove("system"), list("user", body.remove("messages"))),
        (Protocol::OpenAiResponses, _) => told(body.remove("instructions"), list("user", body.remove("input"))),
    };
    Question { input: Some(json!({"messages": cut::messages(messages)})), parameters }
}

fn said_by(role: &str, content: Option<Value>) -> Value {
    json!({"role": role, "content": content.unwrap_or_default()})
}

/// The instructions, if there are any, before the messages.
fn told(instructions: Option<Value>, messages: Vec<Value>) -> Vec<Value> {
    let instructions = instructions.filter(|instructions| !instructions.is_null());
    instructions.map(|instructions| said_by("system", Some(instructions))).into_iter().chain(messages).collect()
}

/// Messages, or the text that stands for one.
fn list(role: &str, messages: Option<Value>) -> Vec<Value> {
    match messages {
        Some(Value::Array(messages)) => messages,
        None | Some(Value::Null) => Vec::new(),
        Some(other) => vec![said_by(role, Some(other))],
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn input(protocol: Protocol, operation: Operation, body: &Value) -> Value {
        let captured = Captured {
            protocol,
            operation,
            headers: Vec::new(),
            request: Bytes::from(body.to_string()),
            response: Bytes::new(),
        };
        read(&captured).input.unwrap_or_default()
    }

    #[test]
    fn every_protocols_request_becomes_messages() {
        use Operation::{Completions, CountTokens, Embeddings, Generate};
        use Protocol::{Anthropic, OpenAiChat, OpenAiResponses};
        let hello = json!({"role": "user", "content": "Hello", "name": "ann"});
        let system = json!({"role": "system", "content": "Be brief."});
        let blocks = json!([{"type": "text", "text": "Be brief."}]);
        for (protocol, operation, body, messages) in [
            (OpenAiChat, Generate, json!({"model": "m", "messages": [system, hello]}), json!([system, hello])),
            (Anthropic, Generate, json!({"system": "Be brief.", "messages": [hello]}), json!([system, hello])),
            (
                Anthropic,
                CountTokens,
                json!({"system": blocks, "messages": [hello]}),
                json!([{"role": "system", "content": blocks}, hello]),
            ),
            (OpenAiResponses, Generate, json!({"input": "Hi"}), json!([{"role": "user", "content": "Hi"}])),
            (OpenAiResponses, Generate, json!({"instructions": "Be brief.", "input": [hello]}), json!([system, hello])),
            (OpenAiChat, Completions, json!({"prompt": "Say"}), json!([{"role": "user", "content": "Say"}])),
            (OpenAiChat, Completions, json!({"prompt": [1, 2]}), json!([{"role": "user", "content": [1, 2]}])),
            (OpenAiChat, Embeddings, json!({"input": ["a"]}), json!([{"role": "user", "content": ["a"]}])),
            (OpenAiChat, Generate, json!({"messages": null}), json!([])),
        ] {
            assert_eq!(input(protocol, operation, &body), json!({"messages": messages}), "{body}");
        }
        assert_eq!(input(OpenAiChat, Generate, &json!([1])), Value::Null);
    }
}
