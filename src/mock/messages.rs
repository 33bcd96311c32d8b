//! Anthropic Messages and its token count.

use super::{
    exchange::{Protocol, Request, unique},
    frames::Frame,
    plan::{Answer, Choice, Facts, Form, Tool, Turn, Usage},
    problem::Shape,
    text::{fragments, list, pieces, string, text_of, words},
};
use serde_json::{Value, json};

/// What the mock signs its thinking with: base64 of "signed by the mock".
const SIGNATURE: &str = "c2lnbmVkIGJ5IHRoZSBtb2Nr";

/// `POST /v1/messages`.
pub(super) struct Messages;

/// `POST /v1/messages/count_tokens`.
pub(super) struct CountTokens;

impl Protocol for Messages {
    const SHAPE: Shape = Shape::Messages;

    fn facts(body: &Value) -> Facts {
        let messages = list(body, "messages");
        let user = messages.iter().rev().find(|message| string(message, "role") == "user");
        let system = body.get("system").map(text_of).unwrap_or_default();
        let said: u64 = messages.iter().map(|message| words(&content(message))).sum();
        Facts {
            turn: turn(messages),
            user_text: user.map(user_text).unwrap_or_default(),
            tools: list(body, "tools").iter().filter_map(tool).collect(),
            choice: choice(body.get("tool_choice")),
            single_call: body.pointer("/tool_choice/disable_parallel_tool_use") == Some(&json!(true)),
            form: form(body.pointer("/output_config/format")),
            prompt_tokens: words(&system).saturating_add(said),
        }
    }

    fn whole(request: &Request, answer: &Answer) -> Value {
        let mut message = message(request, blocks(answer), Some(stop_reason(answer)));
        if let (Some(usage), Some(fields)) = (answer.usage, message.as_object_mut()) {
            fields.insert("usage".to_owned(), self::usage(&usage));
        }
        message
    }

    fn frames(request: &Request, answer: &Answer) -> Option<Vec<Frame>> {
        let mut start = message(request, Vec::new(), None);
        if let Some(fields) = start.as_object_mut() {
            let provisional = answer.usage.map(|usage| Usage { completion: 0, reasoning: 0, ..usage });
            fields.insert("usage".to_owned(), provisional.map_or_else(no_usage, |usage| self::usage(&usage)));
        }
        let mut frames = vec![frame(&json!({"type": "message_start", "message": start}))];
        for (index, block) in blocks(answer).iter().enumerate() {
            block_frames(index, block, &mut frames);
        }
        frames.push(frame(&json!({
            "type": "message_delta",
            "delta": {"stop_reason": stop_reason(answer), "stop_sequence": null},
            "usage": answer.usage.as_ref().map_or_else(no_usage, usage),
        })));
        frames.push(frame(&json!({"type": "message_stop"})));
        Some(frames)
    }
}

impl Protocol for CountTokens {
    const SHAPE: Shape = Shape::Messages;

    fn facts(body: &Value) -> Facts {
        Messages::facts(body)
    }

    fn whole(request: &Request, _answer: &Answer) -> Value {
        json!({"input_tokens": Messages::facts(&request.body).prompt_tokens})
    }

    fn frames(_request: &Request, _answer: &Answer) -> Option<Vec<Frame>> {
        None
    }
}

fn content(message: &Value) -> String {
    message.get("content").map(text_of).unwrap_or_default()
}

fn is_tool_result(block: &&Value) -> bool {
    string(block, "type") == "tool_result"
}

/// The text of a user message without the tool results in it.
fn user_text(message: &Value) -> String {
    match message.get("content") {
        Some(Value::Array(blocks)) => text_of(&blocks.iter().filter(|block| !is_tool_result(block)).cloned().collect()),
        other => other.map(text_of).unwrap_or_default(),
    }
}

fn turn(messages: &[Value]) -> Turn {
    let Some(last) = messages.last().filter(|last| string(last, "role") == "user") else {
        return Turn::Other;
    };
    let results: Vec<String> = list(last, "content").iter().filter(is_tool_result).map(text_of).collect();
    if results.is_empty() { Turn::User } else { Turn::ToolResult(results.join(", ")) }
}

/// A client tool; tools of the provider have a `type` other than "custom".
fn tool(declared: &Value) -> Option<Tool> {
    let own = matches!(string(declared, "type"), "" | "custom");
    let name = declared.get("name")?.as_str().filter(|_name| own)?.to_owned();
    Some(Tool { name, schema: declared.get("input_schema").cloned().unwrap_or_default() })
}

fn choice(choice: Option<&Value>) -> Choice {
    let Some(choice) = choice else {
        return Choice::Free;
    };
    match string(choice, "type") {
        "none" => Choice::Never,
        "tool" => Choice::Named(string(choice, "name").to_owned()),
        _ => Choice::Free,
    }
}

fn form(format: Option<&Value>) -> Form {
    let schema = format.filter(|format| string(format, "type") == "json_schema");
    schema.map_or(Form::Text, |format| Form::Schema(format.get("schema").cloned().unwrap_or_default()))
}

fn stop_reason(answer: &Answer) -> &'static str {
    if answer.calls.is_empty() { "end_turn" } else { "tool_use" }
}

fn message(request: &Request, content: Vec<Value>, stop_reason: Option<&str>) -> Value {
    json!({
        "id": unique("msg_"),
        "type": "message",
        "role": "assistant",
        "model": request.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
    })
}

fn usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.prompt,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": usage.completion,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
    })
}

/// SDKs read the counts of streamed events without looking, so these cannot be left out.
fn no_usage() -> Value {
    json!({"input_tokens": 0, "output_tokens": 0})
}

fn blocks(answer: &Answer) -> Vec<Value> {
    let mut blocks = Vec::new();
    if !answer.reasoning.is_empty() {
        blocks.push(json!({"type": "thinking", "thinking": answer.reasoning, "signature": SIGNATURE}));
    }
    if answer.calls.is_empty() {
        blocks.push(json!({"type": "text", "text": answer.text}));
    }
    blocks.extend(
        answer.calls.iter().map(
            |call| json!({"type": "tool_use", "id": unique("toolu_"), "name": call.name, "input": call.arguments}),
        ),
    );
    blocks
}

fn frame(event: &Value) -> Frame {
    Frame::event(string(event, "type"), event)
}

/// The events of one block: started empty, filled by deltas, stopped.
fn block_frames(index: usize, block: &Value, frames: &mut Vec<Frame>) {
    let mut empty = block.clone();
    for (key, nothing) in [("text", json!("")), ("thinking", json!("")), ("signature", json!("")), ("input", json!({}))]
    {
        if let Some(field) = empty.get_mut(key) {
            *field = nothing;
        }
    }
    frames.push(frame(&json!({"type": "content_block_start", "index": index, "content_block": empty})));
    if index == 0 {
        frames.push(frame(&json!({"type": "ping"})));
    }
    let mut delta = |delta: Value, token: bool| {
        let event = json!({"type": "content_block_delta", "index": index, "delta": delta});
        frames.push(frame(&event).token_if(token));
    };
    for piece in pieces(string(block, "thinking")) {
        delta(json!({"type": "thinking_delta", "thinking": piece}), true);
    }
    if let Some(signature) = block.get("signature") {
        delta(json!({"type": "signature_delta", "signature": signature}), false);
    }
    for piece in pieces(string(block, "text")) {
        delta(json!({"type": "text_delta", "text": piece}), true);
    }
    if let Some(input) = block.get("input") {
        delta(json!({"type": "input_json_delta", "partial_json": ""}), false);
        for fragment in fragments(&input.to_string()) {
            delta(json!({"type": "input_json_delta", "partial_json": fragment}), true);
        }
    }
    frames.push(frame(&json!({"type": "content_block_stop", "index": index})));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::plan::Behaviour;

    fn asked(body: Value, model: &str) -> (Request, Answer) {
        let answer = Answer::plan(&Behaviour::of(model), &Messages::facts(&body));
        (Request { model: model.to_owned(), body }, answer)
    }

    fn events(body: Value, model: &str) -> Vec<Value> {
        let (request, answer) = asked(body, model);
        let frames = Messages::frames(&request, &answer).unwrap();
        frames
            .iter()
            .map(|frame| {
                let text = std::str::from_utf8(&frame.bytes).unwrap();
                let (name, data) = text.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
                let data: Value = serde_json::from_str(data).unwrap();
                assert_eq!(data["type"], name);
                data
            })
            .collect()
    }

    #[test]
    fn facts_see_tool_results_system_and_the_tools_of_the_client() {
        let facts = Messages::facts(&json!({
            "system": [{"type": "text", "text": "be brief"}],
            "messages": [
                {"role": "user", "content": "first"},
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t", "content": "sun"},
                    {"type": "text", "text": "and now"},
                ]},
            ],
            "tools": [{"type": "web_search_20250305", "name": "web_search"}, {"name": "f", "input_schema": {}}],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": true},
        }));
        assert!(matches!(facts.turn, Turn::ToolResult(result) if result == "sun"));
        assert_eq!(facts.user_text, "and now");
        assert_eq!(facts.tools.len(), 1);
        assert!(facts.single_call);
        assert_eq!(facts.prompt_tokens, 6);
    }

    #[test]
    fn thinking_comes_first_and_is_signed() {
        let (request, answer) = asked(json!({"messages": [{"role": "user", "content": "a b"}]}), "mock-thinking");
        let whole = Messages::whole(&request, &answer);
        assert_eq!(whole["content"][0]["type"], "thinking");
        assert_eq!(whole["content"][0]["signature"], SIGNATURE);
        assert_eq!(whole["content"][1]["type"], "text");
        assert!(whole["usage"]["output_tokens_details"]["thinking_tokens"].as_u64().unwrap() > 0);
        let events = events(request.body, "mock-thinking");
        let signed = events.iter().position(|event| event["delta"]["type"] == "signature_delta").unwrap();
        assert_eq!(events[signed + 1]["type"], "content_block_stop");
    }

    #[test]
    fn parallel_calls_are_blocks_one_after_the_other() {
        let tool =
            |name| json!({"name": name, "input_schema": {"type": "object", "properties": {"n": {"type": "integer"}}}});
        let body = json!({"messages": [{"role": "user", "content": "go"}], "tools": [tool("a"), tool("b")]});
        let events = events(body, "mock-tools");
        let order: Vec<(String, u64)> = events
            .iter()
            .filter(|event| matches!(event["type"].as_str(), Some("content_block_start" | "content_block_stop")))
            .map(|event| {
                (event["type"].as_str().unwrap().replace("content_block_", ""), event["index"].as_u64().unwrap())
            })
            .collect();
        let want = [("start", 0), ("stop", 0), ("start", 1), ("stop", 1)];
        assert_eq!(order, want.map(|(step, index)| (step.to_owned(), index)));
        let second: String = events
            .iter()
            .filter(|event| event["index"] == 1)
            .filter_map(|event| event["delta"]["partial_json"].as_str())
            .collect();
        assert_eq!(second, r#"{"n":1}"#);
        assert_eq!(events[events.len() - 2]["delta"]["stop_reason"], "tool_use");
    }

    #[test]
    fn without_usage_only_the_counts_that_a_stream_needs_are_there() {
        let body = json!({"messages": [{"role": "user", "content": "a b"}]});
        let (request, answer) = asked(body.clone(), "mock-nousage");
        assert!(Messages::whole(&request, &answer).get("usage").is_none());
        let events = events(body, "mock-nousage");
        assert_eq!(events[events.len() - 2]["usage"], no_usage());
    }

    #[test]
    fn tokens_are_counted_without_answering() {
        let (request, answer) = asked(json!({"messages": [{"role": "user", "content": "a b c"}]}), "mock");
        assert_eq!(CountTokens::whole(&request, &answer), json!({"input_tokens": 3}));
    }
}
