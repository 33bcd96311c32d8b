//! Chat Completions.

use super::{
    exchange::{Protocol, Request, now, unique},
    frames::Frame,
    plan::{Answer, Call, Choice, Facts, Form, Tool, Turn, Usage},
    problem::Shape,
    text::{fragments, list, pieces, string, text_of, words},
};
use serde_json::{Value, json};

/// Choices in one answer, at most (OpenAI's own limit).
const MOST_CHOICES: u64 = 128;

/// `POST /v1/chat/completions`.
pub(super) struct Chat;

/// A stream of one answer under construction.
struct Chunks<'a> {
    request: &'a Request,
    id: String,
    created: u64,
    choices: u64,
    usage: Option<Value>,
    frames: Vec<Frame>,
}

impl Protocol for Chat {
    const SHAPE: Shape = Shape::OpenAi;

    fn facts(body: &Value) -> Facts {
        let messages = list(body, "messages");
        let user = messages.iter().rev().find(|message| role(message) == "user");
        Facts {
            turn: turn(messages),
            user_text: user.map(content).unwrap_or_default(),
            tools: list(body, "tools").iter().filter_map(tool).collect(),
            choice: choice(body.get("tool_choice")),
            single_call: body.get("parallel_tool_calls") == Some(&json!(false)),
            form: form(body.get("response_format")),
            prompt_tokens: messages.iter().map(|message| words(&content(message))).sum(),
        }
    }

    fn whole(request: &Request, answer: &Answer) -> Value {
        let answers = (0..choices(&request.body)).map(|index| {
            json!({"index": index, "message": message(answer), "logprobs": null, "finish_reason": finish(answer)})
        });
        let mut body = json!({
            "id": unique("chatcmpl-"),
            "object": "chat.completion",
            "created": now(),
            "model": request.model,
            "choices": answers.collect::<Vec<_>>(),
            "service_tier": "default",
            "system_fingerprint": "fp_mock",
        });
        if let (Some(usage), Some(fields)) = (answer.usage, body.as_object_mut()) {
            fields.insert("usage".to_owned(), self::usage(&usage, choices(&request.body)));
        }
        body
    }

    fn frames(request: &Request, answer: &Answer) -> Option<Vec<Frame>> {
        let mut chunks = Chunks::new(request, answer.usage);
        chunks.delta(&json!({"role": "assistant", "content": opening(answer), "refusal": null}), false);
        for piece in pieces(&answer.reasoning) {
            chunks.delta(&json!({"reasoning_content": piece}), true);
        }
        for piece in pieces(&answer.text) {
            chunks.delta(&json!({"content": piece}), true);
        }
        for (index, call) in answer.calls.iter().enumerate() {
            chunks.call(index, call);
        }
        chunks.every_choice(&json!({}), Some(finish(answer)), false);
        Some(chunks.end())
    }
}

/// Chat's `usage` of an answer with this many `choices`; completions use the same.
pub(super) fn usage(usage: &Usage, choices: u64) -> Value {
    let completion = usage.completion.saturating_mul(choices);
    json!({
        "prompt_tokens": usage.prompt,
        "completion_tokens": completion,
        "total_tokens": usage.prompt.saturating_add(completion),
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning.saturating_mul(choices),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// Choices asked for by `n`: 1 to 128.
pub(super) fn choices(body: &Value) -> u64 {
    body.get("n").and_then(Value::as_u64).unwrap_or(1).clamp(1, MOST_CHOICES)
}

/// Whether `stream_options` asks for the usage chunk.
pub(super) fn wants_usage(body: &Value) -> bool {
    body.pointer("/stream_options/include_usage").and_then(Value::as_bool).unwrap_or(false)
}

/// The `tool_choice` of Chat and Responses, which differ only in where the name is.
pub(super) fn choice(choice: Option<&Value>) -> Choice {
    let Some(choice) = choice else {
        return Choice::Free;
    };
    if choice.as_str() == Some("none") {
        return Choice::Never;
    }
    let name = choice.pointer("/function/name").or_else(|| choice.get("name"));
    name.and_then(Value::as_str).map_or(Choice::Free, |name| Choice::Named(name.to_owned()))
}

impl<'a> Chunks<'a> {
    fn new(request: &'a Request, usage: Option<Usage>) -> Self {
        let choices = choices(&request.body);
        Self {
            request,
            id: unique("chatcmpl-"),
            created: now(),
            choices,
            usage: usage.filter(|_usage| wants_usage(&request.body)).map(|usage| self::usage(&usage, choices)),
            frames: Vec::new(),
        }
    }

    fn delta(&mut self, delta: &Value, token: bool) {
        self.every_choice(delta, None, token);
    }

    fn call(&mut self, index: usize, call: &Call) {
        let ids: Vec<Value> = (0..self.choices).map(|_| json!(unique("call_"))).collect();
        for (choice, id) in (0..self.choices).zip(ids) {
            let function = json!({"name": call.name, "arguments": ""});
            let opening = json!({"index": index, "id": id, "type": "function", "function": function});
            self.push(choice, &json!({"tool_calls": [opening]}), None, choice == 0);
        }
        for fragment in fragments(&call.arguments.to_string()) {
            self.delta(&json!({"tool_calls": [{"index": index, "function": {"arguments": fragment}}]}), true);
        }
    }

    /// The same delta in every choice; only the first counts as a token, so that choices share the pace.
    fn every_choice(&mut self, delta: &Value, finish: Option<&str>, token: bool) {
        for choice in 0..self.choices {
            self.push(choice, delta, finish, token && choice == 0);
        }
    }

    fn push(&mut self, choice: u64, delta: &Value, finish: Option<&str>, token: bool) {
        let choice = json!({"index": choice, "delta": delta, "logprobs": null, "finish_reason": finish});
        let usage = self.usage.as_ref().map(|_later| Value::Null);
        let chunk = self.chunk(&json!([choice]), usage);
        self.frames.push(Frame::data(&chunk).token_if(token));
    }

    fn chunk(&self, choices: &Value, usage: Option<Value>) -> Value {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.request.model,
            "service_tier": "default",
            "system_fingerprint": "fp_mock",
            "choices": choices,
        });
        if let (Some(usage), Some(fields)) = (usage, chunk.as_object_mut()) {
            fields.insert("usage".to_owned(), usage);
        }
        chunk
    }

    fn end(mut self) -> Vec<Frame> {
        if let Some(usage) = self.usage.take() {
            let chunk = self.chunk(&json!([]), Some(usage));
            self.frames.push(Frame::data(&chunk));
        }
        self.frames.push(Frame::done());
        self.frames
    }
}

fn role(message: &Value) -> &str {
    string(message, "role")
}

fn content(message: &Value) -> String {
    message.get("content").map(text_of).unwrap_or_default()
}

fn turn(messages: &[Value]) -> Turn {
    match messages.last().map(role) {
        Some("user") => Turn::User,
        Some("tool") => {
            let results = messages.iter().rev().take_while(|message| role(message) == "tool").map(content);
            let mut results: Vec<String> = results.collect();
            results.reverse();
            Turn::ToolResult(results.join(", "))
        }
        _ => Turn::Other,
    }
}

fn tool(declared: &Value) -> Option<Tool> {
    let function = declared.get("function")?;
    let schema = function.get("parameters").cloned().unwrap_or_default();
    Some(Tool { name: function.get("name")?.as_str()?.to_owned(), schema })
}

fn form(format: Option<&Value>) -> Form {
    let Some(format) = format else {
        return Form::Text;
    };
    match string(format, "type") {
        "json_object" => Form::Object,
        "json_schema" => Form::Schema(format.pointer("/json_schema/schema").cloned().unwrap_or_default()),
        _ => Form::Text,
    }
}

fn finish(answer: &Answer) -> &'static str {
    if answer.calls.is_empty() { "stop" } else { "tool_calls" }
}

fn opening(answer: &Answer) -> Value {
    if answer.calls.is_empty() { json!("") } else { Value::Null }
}

fn message(answer: &Answer) -> Value {
    let mut message = json!({"role": "assistant", "content": null, "refusal": null, "annotations": []});
    let Some(fields) = message.as_object_mut() else {
        return message;
    };
    if !answer.reasoning.is_empty() {
        fields.insert("reasoning_content".to_owned(), json!(answer.reasoning));
    }
    if answer.calls.is_empty() {
        fields.insert("content".to_owned(), json!(answer.text));
        return message;
    }
    let calls = answer.calls.iter().map(|call| {
        let function = json!({"name": call.name, "arguments": call.arguments.to_string()});
        json!({"id": unique("call_"), "type": "function", "function": function})
    });
    fields.insert("tool_calls".to_owned(), calls.collect());
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::plan::Behaviour;

    fn request(mut body: Value, model: &str) -> (Request, Answer) {
        body["model"] = json!(model);
        let answer = Answer::plan(&Behaviour::of(model), &Chat::facts(&body));
        (Request { model: model.to_owned(), body }, answer)
    }

    fn chunks(body: Value, model: &str) -> Vec<Value> {
        let (request, answer) = request(body, model);
        let mut frames = Chat::frames(&request, &answer).unwrap();
        assert_eq!(frames.pop(), Some(Frame::done()));
        let json = |frame: Frame| serde_json::from_slice(&frame.bytes["data: ".len()..]).unwrap();
        frames.into_iter().map(json).collect()
    }

    fn joined(chunks: &[Value], pointer: &str) -> String {
        chunks.iter().filter_map(|chunk| chunk.pointer(pointer)?.as_str()).collect()
    }

    #[test]
    fn facts_are_read_from_messages_and_tools() {
        let facts = Chat::facts(&json!({
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": [{"type": "text", "text": "one two"}]},
                {"role": "assistant", "content": null, "tool_calls": []},
                {"role": "tool", "tool_call_id": "a", "content": "sun"},
                {"role": "tool", "tool_call_id": "b", "content": "rain"},
            ],
            "tools": [{"type": "custom", "custom": {"name": "c"}}, {"type": "function", "function": {"name": "f"}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "parallel_tool_calls": false,
        }));
        assert!(matches!(facts.turn, Turn::ToolResult(result) if result == "sun, rain"));
        assert_eq!(facts.user_text, "one two");
        assert_eq!(facts.tools.len(), 1);
        assert!(matches!(facts.choice, Choice::Named(name) if name == "f"));
        assert!(facts.single_call);
        assert_eq!(facts.prompt_tokens, 6);
    }

    #[test]
    fn a_streamed_text_joins_to_the_whole_text() {
        let body = json!({"messages": [{"role": "user", "content": "a  b\nc"}]});
        let (request, answer) = request(body.clone(), "mock-echo");
        assert_eq!(Chat::whole(&request, &answer)["choices"][0]["message"]["content"], "a  b\nc");
        let chunks = chunks(body, "mock-echo");
        assert_eq!(joined(&chunks, "/choices/0/delta/content"), "a  b\nc");
        assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "stop");
        assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
    }

    #[test]
    fn usage_comes_in_a_last_chunk_without_choices_when_asked() {
        let body = json!({"messages": [{"role": "user", "content": "a b"}], "stream_options": {"include_usage": true}});
        let chunks = self::chunks(body.clone(), "mock-thinking");
        let (last, others) = chunks.split_last().unwrap();
        assert_eq!(last["choices"], json!([]));
        assert_eq!(last["usage"]["prompt_tokens"], 2);
        assert!(last["usage"]["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap() > 0);
        assert!(others.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)));
        assert!(!joined(&chunks, "/choices/0/delta/reasoning_content").is_empty());
        assert!(self::chunks(body, "mock-nousage").iter().all(|chunk| chunk.get("usage").is_none()));
    }

    #[test]
    fn tool_calls_stream_their_arguments_in_fragments() {
        let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        let tool = |name| json!({"type": "function", "function": {"name": name, "parameters": parameters}});
        let body = json!({"messages": [{"role": "user", "content": "go"}], "tools": [tool("a"), tool("b")]});
        let chunks = chunks(body, "mock-tools");
        for index in [0, 1] {
            let mine: Vec<Value> = chunks
                .iter()
                .filter(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0/index") == Some(&json!(index)))
                .cloned()
                .collect();
            assert!(mine.len() > 2);
            assert!(mine[0].pointer("/choices/0/delta/tool_calls/0/id").is_some());
            let arguments = joined(&mine, "/choices/0/delta/tool_calls/0/function/arguments");
            assert_eq!(arguments, r#"{"city":"mock"}"#);
        }
        assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
    }

    #[test]
    fn n_choices_are_answered_whole_and_streamed() {
        let body = json!({"messages": [{"role": "user", "content": "a b"}], "n": 3});
        let (request, answer) = request(body.clone(), "mock-echo");
        let whole = Chat::whole(&request, &answer);
        assert_eq!(whole["choices"].as_array().unwrap().len(), 3);
        assert_eq!(whole["usage"]["completion_tokens"], 6);
        let finished =
            chunks(body, "mock-echo").into_iter().filter(|chunk| !chunk["choices"][0]["finish_reason"].is_null());
        let indexes: Vec<Value> = finished.map(|chunk| chunk["choices"][0]["index"].clone()).collect();
        assert_eq!(indexes, [json!(0), json!(1), json!(2)]);
    }
}
