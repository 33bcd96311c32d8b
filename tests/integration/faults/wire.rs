//! What healthy and failing providers say, and how clients ask, in each protocol.

use serde_json::{Value, json};

use super::kinds::Mode;

/// What every whole answer says.
pub const SAID: &str = "Hello";

/// The codes and types of the providers' errors, which no table knows.
pub const OWN_CODE: &str = "own_code";
pub const OWN_TYPE: &str = "own_type";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Chat,
    Messages,
    Responses,
}

/// The events of a stream that says [`SAID`].
pub struct Events {
    /// Nothing of it is content.
    pub first: String,
    /// The first and the second half of what is said.
    pub content: [String; 2],
    /// With it the stream is complete.
    pub end: String,
}

impl Protocol {
    pub const ALL: [Self; 3] = [Self::Chat, Self::Messages, Self::Responses];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Chat => "Chat",
            Self::Messages => "Messages",
            Self::Responses => "Responses",
        }
    }

    /// Where clients of it ask.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Messages => "/v1/messages",
            Self::Responses => "/v1/responses",
        }
    }

    /// A type of provider that speaks it.
    pub const fn provider_type(self) -> &'static str {
        match self {
            Self::Chat => "openai",
            Self::Messages => "anthropic",
            Self::Responses => "response_api",
        }
    }

    /// The next one.
    pub const fn next(self) -> Self {
        match self {
            Self::Chat => Self::Messages,
            Self::Messages => Self::Responses,
            Self::Responses => Self::Chat,
        }
    }

    pub fn request(self, model: &str, mode: Mode) -> Value {
        let messages = json!([{"role": "user", "content": "Hi"}]);
        let mut body = match self {
            Self::Chat => json!({"messages": messages}),
            Self::Messages => json!({"messages": messages, "max_tokens": 50}),
            Self::Responses => json!({"input": "Hi"}),
        };
        body["model"] = json!(model);
        body["stream"] = json!(mode == Mode::Streamed);
        body
    }

    /// A whole answer.
    pub fn answer(self) -> String {
        let answer = match self {
            Self::Chat => json!({
                "id": "c1", "object": "chat.completion", "created": 1, "model": "real",
                "choices": [{"index": 0, "message": {"role": "assistant", "content": SAID}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            }),
            Self::Messages => json!({
                "id": "msg_1", "type": "message", "role": "assistant", "model": "real",
                "content": [{"type": "text", "text": SAID}], "stop_reason": "end_turn", "stop_sequence": null,
                "usage": {"input_tokens": 3, "output_tokens": 2},
            }),
            Self::Responses => response("completed", &json!([item("completed", SAID)])),
        };
        answer.to_string()
    }

    /// Where the text stands in a whole answer.
    pub const fn text_at(self) -> &'static str {
        match self {
            Self::Chat => "/choices/0/message/content",
            Self::Messages => "/content/0/text",
            Self::Responses => "/output/0/content/0/text",
        }
    }

    pub fn events(self) -> Events {
        let (half, rest) = SAID.split_at(3);
        match self {
            Self::Chat => chat_events([half, rest]),
            Self::Messages => messages_events([half, rest]),
            Self::Responses => responses_events([half, rest]),
        }
    }

    /// The body of an error status.
    pub fn error_body(self, status: u16) -> String {
        let message = format!("no: {status}");
        let error = match self {
            Self::Messages => json!({"type": "error", "error": {"type": OWN_TYPE, "message": message}}),
            Self::Chat | Self::Responses => json!({
                "error": {"message": message, "type": OWN_TYPE, "param": null, "code": OWN_CODE},
            }),
        };
        error.to_string()
    }

    /// Type and code of an error within a stream: one that is a 429, or one without a status.
    pub const fn error_words(self, is_limit: bool) -> (&'static str, Option<&'static str>) {
        match (self, is_limit) {
            (Self::Chat, true) => ("rate_limit_error", Some(OWN_CODE)),
            (Self::Chat, false) => ("server_error", Some(OWN_CODE)),
            (Self::Messages, true) => ("rate_limit_error", None),
            (Self::Messages, false) => (OWN_TYPE, None),
            (Self::Responses, true) => ("error", Some("rate_limit_exceeded")),
            (Self::Responses, false) => ("error", Some(OWN_CODE)),
        }
    }

    /// An error within a stream.
    pub fn error_event(self, is_limit: bool) -> String {
        let (kind, code) = self.error_words(is_limit);
        let message = "slow down";
        match self {
            Self::Chat => data(&json!({"error": {"message": message, "type": kind, "param": null, "code": code}})),
            Self::Messages => named(&json!({"type": "error", "error": {"type": kind, "message": message}})),
            Self::Responses => named(&json!({
                "type": kind, "code": code, "message": message, "param": null, "sequence_number": 9,
            })),
        }
    }

    /// The same as an answer of status 200.
    pub fn error_answer(self, is_limit: bool) -> String {
        let (kind, code) = self.error_words(is_limit);
        let message = "slow down";
        let error = match self {
            Self::Messages => json!({"type": "error", "error": {"type": kind, "message": message}}),
            Self::Chat | Self::Responses => json!({"error": {"message": message, "type": kind, "code": code}}),
        };
        error.to_string()
    }
}

fn chat_events(halves: [&str; 2]) -> Events {
    let chunk = |delta: Value, finish: Value| {
        data(&json!({
            "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "real",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }))
    };
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
    let usage = data(&json!({
        "id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "real", "choices": [], "usage": usage,
    }));
    Events {
        first: chunk(json!({"role": "assistant", "content": ""}), Value::Null),
        content: halves.map(|half| chunk(json!({"content": half}), Value::Null)),
        end: format!("{}{usage}data: [DONE]\n\n", chunk(json!({}), json!("stop"))),
    }
}

fn messages_events(halves: [&str; 2]) -> Events {
    let start = json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "real", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 3, "output_tokens": 1},
    }});
    let block = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let end = json!({
        "type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {"output_tokens": 2},
    });
    let end = [json!({"type": "content_block_stop", "index": 0}), end, json!({"type": "message_stop"})];
    Events {
        first: named(&start) + &named(&block),
        content: halves.map(|half| {
            let delta = json!({"type": "text_delta", "text": half});
            named(&json!({"type": "content_block_delta", "index": 0, "delta": delta}))
        }),
        end: end.iter().map(named).collect(),
    }
}

fn responses_events([half, rest]: [&str; 2]) -> Events {
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
    let at = |number: u32, mut event: Value| {
        event["sequence_number"] = json!(number);
        event["item_id"] = json!("msg_1");
        event["output_index"] = json!(0);
        event["content_index"] = json!(0);
        named(&event)
    };
    let created = json!({
        "type": "response.created", "sequence_number": 0, "response": response("in_progress", &json!([])),
    });
    let mut added = item("in_progress", "");
    added["content"] = json!([]);
    let added = json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": added});
    let opened = at(2, json!({"type": "response.content_part.added", "part": part("")}));
    let delta = |number, text| at(number, json!({"type": "response.output_text.delta", "delta": text, "logprobs": []}));
    let done = json!({
        "type": "response.output_item.done", "sequence_number": 12, "output_index": 0, "item": item("completed", SAID),
    });
    let completed = json!({
        "type": "response.completed", "sequence_number": 13,
        "response": response("completed", &json!([item("completed", SAID)])),
    });
    let end = [
        at(10, json!({"type": "response.output_text.done", "text": SAID, "logprobs": []})),
        at(11, json!({"type": "response.content_part.done", "part": part(SAID)})),
        named(&done),
        named(&completed),
    ];
    Events {
        first: named(&created) + &named(&added) + &opened,
        content: [delta(3, half), delta(4, rest)],
        end: end.concat(),
    }
}

fn response(status: &str, output: &Value) -> Value {
    json!({
        "id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": null,
        "incomplete_details": null, "model": "real", "output": output,
        "usage": {"input_tokens": 3, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 2,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 5},
    })
}

fn item(status: &str, text: &str) -> Value {
    let content = json!([{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]);
    json!({"type": "message", "id": "msg_1", "status": status, "role": "assistant", "content": content})
}

fn data(event: &Value) -> String {
    format!("data: {event}\n\n")
}

fn named(event: &Value) -> String {
    format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())
}
