//! Requests and answers of the three protocols, as clients and providers write them.

use serde_json::{Value, json};

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Chat,
    Messages,
    Responses,
}

/// What a scenario says in the text of a request, so that the provider knows what to do.
#[derive(Clone, Debug, Default)]
pub struct Mark {
    /// Of the request.
    pub number: u64,
    /// What is asked for.
    pub what: String,
    /// How much of it.
    pub amount: usize,
}

/// The frames of a stream.
pub struct Frames {
    /// Before any content.
    pub opening: Vec<String>,
    /// One for each word.
    pub words: Vec<String>,
    /// After the content; the last one marks the end.
    pub closing: Vec<String>,
}

impl Mark {
    pub fn new(number: u64, what: &str, amount: usize) -> Self {
        Self { number, what: what.to_owned(), amount }
    }

    /// What the text in this body says; nothing when it says none of it.
    pub fn of(body: &str) -> Self {
        let read = || {
            let mut parts = body.split("mark:").nth(1)?.split(':');
            let (number, what, amount) = (parts.next()?, parts.next()?, parts.next()?);
            Some(Self::new(number.parse().ok()?, what, amount.parse().ok()?))
        };
        read().unwrap_or_default()
    }

    pub fn text(&self) -> String {
        format!("mark:{}:{}:{}:", self.number, self.what, self.amount)
    }

    /// The words of the answer to it, which no other request gets.
    pub fn words(&self, count: usize) -> Vec<String> {
        let own = std::iter::once(format!("answer{} ", self.number));
        own.chain((1..count).map(|place| format!("word{place} "))).collect()
    }
}

impl Frames {
    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        self.opening.iter().chain(&self.words).chain(&self.closing)
    }
}

impl Wire {
    pub const ALL: [Self; 3] = [Self::Chat, Self::Messages, Self::Responses];

    /// Where clients ask.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
            Self::Responses => "/v1/responses",
        }
    }

    /// The type of a provider that speaks it.
    pub const fn provider_type(self) -> &'static str {
        match self {
            Self::Chat => "openai",
            Self::Messages => "anthropic",
            Self::Responses => "response_api",
        }
    }

    /// A provider that speaks it, for the admin API.
    pub fn provider(self, key: &str, base: &str, more: &Value) -> Value {
        let mut provider = json!({
            "provider_key": key, "provider_type": self.provider_type(), "api_base": base,
            "api_key": format!("sk-secret-of-{key}"),
        });
        provider.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        provider
    }

    /// A client's request.
    pub fn request(self, model: &str, text: &str, is_streamed: bool) -> String {
        let messages = json!([{"role": "user", "content": text}]);
        let request = match self {
            Self::Chat => json!({"model": model, "messages": messages, "stream": is_streamed}),
            Self::Messages => {
                json!({"model": model, "max_tokens": 100, "messages": messages, "stream": is_streamed})
            }
            Self::Responses => json!({"model": model, "input": text, "stream": is_streamed}),
        };
        request.to_string()
    }

    /// A provider's whole answer.
    pub fn whole(self, words: &[String]) -> String {
        let (text, count) = (words.concat(), words.len());
        let answer = match self {
            Self::Chat => json!({
                "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "real",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                "usage": chat_usage(count),
            }),
            Self::Messages => json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "real",
                "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 10, "output_tokens": count},
            }),
            Self::Responses => response("completed", &[message("completed", &text)], count),
        };
        answer.to_string()
    }

    /// The frames of a provider's stream.
    pub fn frames(self, words: &[String]) -> Frames {
        match self {
            Self::Chat => chat_frames(words),
            Self::Messages => messages_frames(words),
            Self::Responses => responses_frames(words),
        }
    }

    /// What a provider's stream says when it fails.
    pub fn error_frame(self) -> String {
        match self {
            Self::Chat => format!("data: {}\n\n", json!({"error": {"message": "It broke", "type": "server_error"}})),
            Self::Messages => {
                event(&json!({"type": "error", "error": {"type": "overloaded_error", "message": "It broke"}}))
            }
            Self::Responses => {
                event(&json!({"type": "error", "code": "server_error", "message": "It broke", "param": null}))
            }
        }
    }

    /// The body of a provider's answer with an error status.
    pub fn error_body(self) -> String {
        let error = json!({"type": "api_error", "message": "It broke", "param": null, "code": null});
        json!({"type": "error", "error": error}).to_string()
    }
}

/// A whole answer, ready to be sent.
pub fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status} Any\r\ncontent-type: application/json\r\n{headers}");
    format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// The head of a stream.
pub const STREAM_HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// The end of a stream's body.
pub const LAST_CHUNK: &str = "0\r\n\r\n";

/// Frames, each in a chunk of its own.
pub fn chunks<'f>(frames: impl IntoIterator<Item = &'f String>) -> String {
    frames.into_iter().map(|frame| format!("{:x}\r\n{frame}\r\n", frame.len())).collect()
}

fn event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap())
}

fn chat_usage(count: usize) -> Value {
    json!({"prompt_tokens": 10, "completion_tokens": count, "total_tokens": 10 + count})
}

fn chat_frames(words: &[String]) -> Frames {
    let chunk = |choices: Value, usage: Value| {
        let chunk = json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "real",
            "choices": choices, "usage": usage});
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, reason: Value| {
        chunk(json!([{"index": 0, "delta": delta, "finish_reason": reason}]), Value::Null)
    };
    Frames {
        opening: vec![delta(json!({"role": "assistant", "content": ""}), Value::Null)],
        words: words.iter().map(|word| delta(json!({"content": word}), Value::Null)).collect(),
        closing: vec![
            delta(json!({}), json!("stop")),
            chunk(json!([]), chat_usage(words.len())),
            "data: [DONE]\n\n".to_owned(),
        ],
    }
}

fn messages_frames(words: &[String]) -> Frames {
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "real", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 1}});
    let text = json!({"type": "text", "text": ""});
    let word = |word: &String| {
        let delta = json!({"type": "text_delta", "text": word});
        event(&json!({"type": "content_block_delta", "index": 0, "delta": delta}))
    };
    Frames {
        opening: vec![
            event(&json!({"type": "message_start", "message": message})),
            event(&json!({"type": "content_block_start", "index": 0, "content_block": text})),
        ],
        words: words.iter().map(word).collect(),
        closing: vec![
            event(&json!({"type": "content_block_stop", "index": 0})),
            event(&json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
                "usage": {"output_tokens": words.len()}})),
            event(&json!({"type": "message_stop"})),
        ],
    }
}

fn message(status: &str, text: &str) -> Value {
    let part = json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    json!({"type": "message", "id": "msg_1", "status": status, "role": "assistant", "content": [part]})
}

fn response(status: &str, output: &[Value], count: usize) -> Value {
    let usage = json!({"input_tokens": 10, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": count,
        "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 10 + count});
    // OpenAI tells no usage before the end.
    let usage = if status == "completed" { usage } else { Value::Null };
    json!({"id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": null,
        "incomplete_details": null, "model": "real", "output": output, "usage": usage})
}

fn responses_frames(words: &[String]) -> Frames {
    let mut number = 0;
    let mut next = |kind: &str, fields: Value| {
        let mut data = json!({"type": kind, "sequence_number": number});
        data.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        number += 1;
        event(&data)
    };
    let text = words.concat();
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let at = |name: &str, value: Value| json!({"item_id": "msg_1", "output_index": 0, "content_index": 0, name: value});
    let mut item = message("in_progress", "");
    item["content"] = json!([]);
    let opening = vec![
        next("response.created", json!({"response": response("in_progress", &[], 0)})),
        next("response.in_progress", json!({"response": response("in_progress", &[], 0)})),
        next("response.output_item.added", json!({"output_index": 0, "item": item})),
        next("response.content_part.added", at("part", part(""))),
    ];
    let words_frames = words.iter().map(|word| next("response.output_text.delta", at("delta", json!(word)))).collect();
    let done = message("completed", &text);
    let closing = vec![
        next("response.output_text.done", at("text", json!(text))),
        next("response.content_part.done", at("part", part(&text))),
        next("response.output_item.done", json!({"output_index": 0, "item": done})),
        next("response.completed", json!({"response": response("completed", &[done], words.len())})),
    ];
    Frames { opening, words: words_frames, closing }
}
