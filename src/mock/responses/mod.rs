//! OpenAI Responses.

mod events;

use super::{
    chat::choice,
    exchange::{Protocol, Request, now, unique},
    frames::Frame,
    plan::{Answer, Facts, Form, Tool, Turn, Usage},
    problem::Shape,
    text::{list, string, text_of, words},
};
use events::Events;
use serde_json::{Value, json};

/// `POST /v1/responses`.
pub(super) struct Responses;

impl Protocol for Responses {
    const SHAPE: Shape = Shape::OpenAi;

    fn facts(body: &Value) -> Facts {
        let instructions = body.get("instructions").map(text_of).unwrap_or_default();
        let input = body.get("input");
        let said: u64 = match input {
            Some(Value::Array(items)) => items.iter().map(|item| words(&text_of(item))).sum(),
            other => other.map(|text| words(&text_of(text))).unwrap_or_default(),
        };
        Facts {
            turn: turn(input),
            user_text: user_text(input),
            tools: list(body, "tools").iter().filter_map(tool).collect(),
            choice: choice(body.get("tool_choice")),
            single_call: body.get("parallel_tool_calls") == Some(&json!(false)),
            form: form(body.pointer("/text/format")),
            prompt_tokens: words(&instructions).saturating_add(said),
        }
    }

    fn whole(request: &Request, answer: &Answer) -> Value {
        finished(&response(request), items(request, answer), answer)
    }

    fn frames(request: &Request, answer: &Answer) -> Option<Vec<Frame>> {
        let response = response(request);
        let mut events = Events::default();
        events.push("response.created", json!({"response": response}), false);
        events.push("response.in_progress", json!({"response": response}), false);
        let items = items(request, answer);
        for (output_index, item) in items.iter().enumerate() {
            events.item(output_index, item);
        }
        events.push("response.completed", json!({"response": finished(&response, items, answer)}), false);
        Some(events.into_frames())
    }
}

fn turn(input: Option<&Value>) -> Turn {
    let Some(Value::Array(items)) = input else {
        return Turn::User;
    };
    let outputs = items.iter().rev().take_while(|item| string(item, "type").ends_with("_call_output"));
    let mut results: Vec<String> = outputs.map(text_of).collect();
    results.reverse();
    match items.last() {
        _ if !results.is_empty() => Turn::ToolResult(results.join(", ")),
        Some(last) if string(last, "role") == "user" => Turn::User,
        _ => Turn::Other,
    }
}

fn user_text(input: Option<&Value>) -> String {
    let user = match input {
        Some(Value::Array(items)) => items.iter().rev().find(|item| string(item, "role") == "user"),
        other => other,
    };
    user.map(text_of).unwrap_or_default()
}

fn tool(declared: &Value) -> Option<Tool> {
    let name = declared.get("name")?.as_str().filter(|_name| string(declared, "type") == "function")?;
    Some(Tool { name: name.to_owned(), schema: declared.get("parameters").cloned().unwrap_or_default() })
}

fn form(format: Option<&Value>) -> Form {
    let Some(format) = format else {
        return Form::Text;
    };
    match string(format, "type") {
        "json_object" => Form::Object,
        "json_schema" => Form::Schema(format.get("schema").cloned().unwrap_or_default()),
        _ => Form::Text,
    }
}

fn output_text(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

/// The finished output items of `answer`.
fn items(request: &Request, answer: &Answer) -> Vec<Value> {
    let mut items = Vec::new();
    if !answer.reasoning.is_empty() {
        let summary = json!([{"type": "summary_text", "text": answer.reasoning}]);
        let mut item = json!({"id": unique("rs_"), "type": "reasoning", "summary": summary});
        let encrypted = json!("reasoning.encrypted_content");
        if let (true, Some(fields)) = (list(&request.body, "include").contains(&encrypted), item.as_object_mut()) {
            fields.insert("encrypted_content".to_owned(), json!(unique("mock_encrypted_")));
        }
        items.push(item);
    }
    if answer.calls.is_empty() {
        let content = json!([output_text(&answer.text)]);
        let message = json!({
            "id": unique("msg_"), "type": "message", "status": "completed", "role": "assistant", "content": content,
        });
        items.push(message);
    }
    items.extend(answer.calls.iter().map(|call| {
        json!({
            "id": unique("fc_"),
            "type": "function_call",
            "status": "completed",
            "call_id": unique("call_"),
            "name": call.name,
            "arguments": call.arguments.to_string(),
        })
    }));
    items
}

/// The response object before anything was answered; settings of the request are repeated.
fn response(request: &Request) -> Value {
    let body = &request.body;
    let echo = |key: &str, default: Value| body.get(key).filter(|value| !value.is_null()).cloned().unwrap_or(default);
    json!({
        "id": unique("resp_"),
        "object": "response",
        "created_at": now(),
        "status": "in_progress",
        "background": false,
        "completed_at": null,
        "error": null,
        "incomplete_details": null,
        "instructions": echo("instructions", Value::Null),
        "max_output_tokens": echo("max_output_tokens", Value::Null),
        "max_tool_calls": echo("max_tool_calls", Value::Null),
        "model": request.model,
        "output": [],
        "parallel_tool_calls": echo("parallel_tool_calls", json!(true)),
        "previous_response_id": echo("previous_response_id", Value::Null),
        "prompt_cache_key": echo("prompt_cache_key", Value::Null),
        "reasoning": echo("reasoning", json!({"effort": null, "summary": null})),
        "safety_identifier": echo("safety_identifier", Value::Null),
        "service_tier": "default",
        "store": echo("store", json!(true)),
        "temperature": echo("temperature", json!(1.0)),
        "text": echo("text", json!({"format": {"type": "text"}})),
        "tool_choice": echo("tool_choice", json!("auto")),
        "tools": list(body, "tools").iter().map(repeated).collect::<Vec<_>>(),
        "top_logprobs": echo("top_logprobs", json!(0)),
        "top_p": echo("top_p", json!(1.0)),
        "truncation": echo("truncation", json!("disabled")),
        "usage": null,
        "user": echo("user", Value::Null),
        "metadata": echo("metadata", json!({})),
    })
}

/// A declared tool as it is repeated: what was left out of a function has its default.
fn repeated(tool: &Value) -> Value {
    let mut tool = tool.clone();
    if string(&tool, "type") == "function"
        && let Some(fields) = tool.as_object_mut()
    {
        for (key, default) in [("description", Value::Null), ("parameters", Value::Null), ("strict", json!(true))] {
            fields.entry(key).or_insert(default);
        }
    }
    tool
}

fn finished(response: &Value, items: Vec<Value>, answer: &Answer) -> Value {
    let mut response = response.clone();
    let ends = [
        ("status", json!("completed")),
        ("completed_at", json!(now())),
        ("output", Value::Array(items)),
        ("usage", answer.usage.as_ref().map_or(Value::Null, usage)),
    ];
    for (key, value) in ends {
        if let Some(field) = response.get_mut(key) {
            *field = value;
        }
    }
    response
}

fn usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mock::plan::Behaviour;

    fn asked(body: Value, model: &str) -> (Request, Answer) {
        let answer = Answer::plan(&Behaviour::of(model), &Responses::facts(&body));
        (Request { model: model.to_owned(), body }, answer)
    }

    fn events(body: Value, model: &str) -> Vec<Value> {
        let (request, answer) = asked(body, model);
        let frames = Responses::frames(&request, &answer).unwrap();
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

    fn kinds(events: &[Value]) -> Vec<&str> {
        let mut kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        kinds.dedup();
        kinds
    }

    #[test]
    fn facts_are_read_from_a_string_and_from_items() {
        let facts = Responses::facts(&json!({"instructions": "be brief", "input": "one two three"}));
        assert!(matches!(facts.turn, Turn::User));
        assert_eq!(facts.user_text, "one two three");
        assert_eq!(facts.prompt_tokens, 5);
        let facts = Responses::facts(&json!({
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "go on"}]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "sun"},
            ],
            "tools": [{"type": "web_search"}, {"type": "function", "name": "f"}],
        }));
        assert!(matches!(facts.turn, Turn::ToolResult(result) if result == "sun"));
        assert_eq!(facts.user_text, "go on");
        assert_eq!(facts.tools.len(), 1);
    }

    #[test]
    fn a_text_goes_through_all_its_events() {
        let events = events(json!({"input": "hello there"}), "mock-echo");
        let want = [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ];
        assert_eq!(kinds(&events), want);
        let numbers: Vec<u64> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (0..).take(events.len()).collect::<Vec<u64>>());
        let response = &events.last().unwrap()["response"];
        assert_eq!(response["status"], "completed");
        assert_eq!(response["output"][0]["content"][0]["text"], "hello there");
        assert_eq!(response["output"][0], events[events.len() - 2]["item"]);
        assert_eq!(response["usage"]["total_tokens"], 4);
    }

    #[test]
    fn reasoning_has_a_summary_and_is_encrypted_only_when_asked() {
        let plain = events(json!({"input": "hi"}), "mock-thinking");
        assert!(kinds(&plain).contains(&"response.reasoning_summary_text.delta"));
        let response = &plain.last().unwrap()["response"];
        assert_eq!(response["output"][0]["type"], "reasoning");
        assert!(response["output"][0].get("encrypted_content").is_none());
        assert!(response["usage"]["output_tokens_details"]["reasoning_tokens"].as_u64().unwrap() > 0);
        let (request, answer) =
            asked(json!({"input": "hi", "include": ["reasoning.encrypted_content"]}), "mock-thinking");
        assert!(Responses::whole(&request, &answer)["output"][0]["encrypted_content"].is_string());
    }

    #[test]
    fn arguments_of_a_call_are_streamed_in_fragments() {
        let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        let body = json!({"input": "go", "tools": [{"type": "function", "name": "f", "parameters": parameters}]});
        let events = events(body, "mock");
        let arguments: Vec<&str> = events.iter().filter_map(|event| event["delta"].as_str()).collect();
        assert!(arguments.len() > 1);
        assert_eq!(arguments.concat(), r#"{"city":"mock"}"#);
        let response = &events.last().unwrap()["response"];
        assert_eq!(response["output"][0]["arguments"], r#"{"city":"mock"}"#);
        assert_eq!(response["tools"][0]["strict"], true);
    }

    #[test]
    fn without_usage_the_response_has_null() {
        let (request, answer) = asked(json!({"input": "hi"}), "mock-nousage");
        assert_eq!(Responses::whole(&request, &answer)["usage"], Value::Null);
    }
}
