use serde_json::json;

use super::{refusal, request};
use crate::chat::{
    Block, DocumentSource, Effort, EndUser, FailureKind, Image, MediaSource, Message, Opaque, OpaqueKind, OutputFormat,
    Protocol, Reasoning, ReasoningAmount, ReasoningRequest, Role, Text, ToolCall, ToolChoice, ToolInput, ToolResult,
};

fn text(text: &str) -> Block {
    Block::Text(Text { text: text.to_owned(), citations: Vec::new() })
}

fn call(id: &str) -> Block {
    Block::ToolCall(ToolCall { id: id.to_owned(), name: "f".to_owned(), arguments: "{}".to_owned(), custom: false })
}

fn result(id: &str, answer: &str) -> Block {
    Block::ToolResult(ToolResult {
        call_id: id.to_owned(),
        content: vec![text(answer)],
        is_error: false,
        custom: false,
    })
}

fn message(role: Role, blocks: Vec<Block>) -> Message {
    Message { role, blocks }
}

#[test]
fn instructions_come_first_then_leading_system_items_and_later_ones_stay() {
    let request = request(&json!({"model": "m", "instructions": "a", "input": [
        {"role": "system", "content": "b"},
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "c"}]},
        {"role": "user", "content": "hi"},
        {"role": "developer", "content": "d"},
    ]}));
    assert_eq!(request.instructions, ["a", "b", "c"]);
    let expected = [message(Role::User, vec![text("hi")]), message(Role::System, vec![text("d")])];
    assert_eq!(request.messages, expected);
}

#[test]
fn a_string_is_one_user_message() {
    let request = request(&json!({"model": "m", "input": "hi", "instructions": ""}));
    assert!(request.instructions.is_empty());
    assert_eq!(request.messages, [message(Role::User, vec![text("hi")])]);
}

#[test]
fn what_the_model_said_is_one_message_and_results_follow_their_calls() {
    let output = |id: &str, answer: &str| json!({"type": "function_call_output", "call_id": id, "output": answer});
    let call_item =
        |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}", "id": "fc_1"});
    let request = request(&json!({"model": "m", "input": [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "ok"}]},
        call_item("1"), call_item("2"),
        output("2", "two"),
        {"role": "user", "content": "hurry"},
        output("1", "one"),
        {"role": "assistant", "content": "done"},
    ]}));
    let expected = [
        message(Role::User, vec![text("go")]),
        message(Role::Assistant, vec![text("ok"), call("1"), call("2")]),
        message(Role::User, vec![result("2", "two"), result("1", "one")]),
        message(Role::User, vec![text("hurry")]),
        message(Role::Assistant, vec![text("done")]),
    ];
    assert_eq!(request.messages, expected);
}

#[test]
fn reasoning_is_read_from_its_summary_and_packed_state_is_unpacked() {
    let made = Opaque {
        protocol: Protocol::Anthropic,
        provider: "other".to_owned(),
        kind: OpaqueKind::Signature,
        data: "sig".to_owned(),
    };
    let request = request(&json!({"model": "m", "input": [
        {"type": "reasoning", "id": "rs_1", "encrypted_content": made.pack(), "summary": [
            {"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"},
        ]},
        {"type": "reasoning", "id": "rs_2", "encrypted_content": "raw", "summary": []},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "open"}]},
        {"type": "reasoning", "summary": []},
        {"type": "reasoning", "summary": [], "encrypted_content": "llmp1.broken"},
    ]}));
    let raw = Opaque {
        protocol: Protocol::OpenAiResponses,
        provider: String::new(),
        kind: OpaqueKind::Encrypted,
        data: "raw".to_owned(),
    };
    let expected = vec![
        Block::Reasoning(Reasoning { text: "a\n\nb".to_owned(), opaque: Some(made) }),
        Block::Reasoning(Reasoning { text: String::new(), opaque: Some(raw) }),
        Block::Reasoning(Reasoning { text: "open".to_owned(), opaque: None }),
    ];
    assert_eq!(request.messages, [message(Role::Assistant, expected)]);
}

#[test]
fn media_and_results_with_pictures_are_read() {
    let request = request(&json!({"model": "m", "input": [
        {"role": "user", "content": [
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "high"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB"},
            {"type": "input_file", "file_url": "https://x/y.pdf"},
            {"type": "input_file", "filename": "a.txt", "file_data": "Q0NDQw=="},
        ]},
        {"type": "custom_tool_call", "call_id": "c", "name": "p", "input": "free"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": [
            {"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": "https://x/p.png"},
        ]},
    ]}));
    let sources: Vec<_> = request.messages[0].blocks[1..]
        .iter()
        .map(|block| match block {
            Block::Document(document) => (document.source.clone(), document.name.clone()),
            other => panic!("{other:?}"),
        })
        .collect();
    let bytes = |media_type: &str, data: &str| {
        DocumentSource::Media(MediaSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() })
    };
    assert_eq!(sources[0], (bytes("application/pdf", "BBBB"), Some("a.pdf".to_owned())));
    assert_eq!(sources[1], (DocumentSource::Media(MediaSource::Url("https://x/y.pdf".to_owned())), None));
    assert_eq!(sources[2], (bytes("text/plain", "Q0NDQw=="), Some("a.txt".to_owned())));
    let Block::ToolCall(call) = &request.messages[1].blocks[0] else { panic!() };
    assert!(call.custom && call.arguments == "free");
    let Block::ToolResult(result) = &request.messages[2].blocks[0] else { panic!() };
    let picture = Image { source: MediaSource::Url("https://x/p.png".to_owned()), detail: None };
    assert_eq!(result.content, [text("see"), Block::Image(picture)]);
}

#[test]
fn settings_are_read() {
    let request = request(&json!({
        "model": "m", "input": "hi", "max_output_tokens": 7, "temperature": 0.5, "top_p": 0.25, "stream": true,
        "reasoning": {"effort": "xhigh", "summary": "auto"}, "user": "u", "store": true,
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": true}},
        "tools": [
            {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": true},
            {"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        ],
        "tool_choice": {"type": "custom", "name": "p"}, "parallel_tool_calls": false,
        "include": ["reasoning.encrypted_content"],
    }));
    assert_eq!((request.max_output_tokens, request.stream), (Some(7), true));
    let asked = ReasoningRequest { amount: ReasoningAmount::Effort(Effort::XHigh), summary: true };
    assert_eq!(request.reasoning, Some(asked));
    assert_eq!(request.end_user, Some(EndUser::User("u".to_owned())));
    assert_eq!((request.openai.store, request.openai.verbosity.as_deref()), (Some(true), Some("low")));
    let format = OutputFormat::JsonSchema {
        name: Some("n".to_owned()),
        description: None,
        schema: json!({"a": 1}),
        strict: Some(true),
    };
    assert_eq!(request.output_format, Some(format));
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("p".to_owned())));
    assert_eq!(request.parallel_tool_calls, Some(false));
    assert!(matches!(request.tools[1].input, ToolInput::Custom { format: Some(_) }));
    assert!(request.client.wants_encrypted_reasoning);
    assert!(request.foreign.is_empty(), "{:?}", request.foreign);
}

#[test]
fn what_no_other_protocol_can_take_is_listed_once_and_sorted() {
    let request = request(&json!({
        "model": "m", "truncation": "auto", "max_tool_calls": 3, "x_unknown": 1, "service_tier": null,
        "include": ["web_search_call.action.sources"], "text": {"x": 1}, "top_logprobs": 2,
        "tools": [{"type": "web_search"}, {"type": "web_search"}, {"type": "mcp", "server_label": "s"},
            {"type": "namespace", "name": "n", "tools": []}, {"type": "function", "name": "web_search"}],
        "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": []},
        "input": [
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
            {"type": "local_shell_call", "call_id": "c", "action": {}},
            {"role": "user", "content": [{"type": "input_text", "text": "hi", "prompt_cache_breakpoint": {}}]},
        ],
    }));
    let expected = [
        "include",
        "input[].content[].prompt_cache_breakpoint",
        "input[].local_shell_call",
        "input[].web_search_call",
        "max_tool_calls",
        "text.x",
        "tool_choice.allowed_tools",
        "tools[].mcp",
        "tools[].namespace",
        "tools[].web_search",
        "top_logprobs",
        "truncation",
        "x_unknown",
    ];
    assert_eq!(request.foreign, expected);
    assert_eq!(request.tool_choice, Some(ToolChoice::Required));
    assert_eq!(request.tools.len(), 1);
}

#[test]
fn defaults_and_nulls_are_no_losses() {
    let request = request(&json!({
        "model": "m", "input": "hi", "truncation": "disabled", "background": false, "top_logprobs": 0, "include": [],
        "previous_response_id": null, "x_unknown": null, "text": {"format": {"type": "text"}}, "metadata": {},
        "stream_options": {"include_obfuscation": false}, "reasoning": {"effort": null, "summary": null},
        "tool_choice": "auto", "parallel_tool_calls": true, "tools": [],
    }));
    assert!(request.foreign.is_empty(), "{:?}", request.foreign);
    assert_eq!((request.reasoning, request.tool_choice, request.parallel_tool_calls), (None, None, None));
}

#[test]
fn with_the_last_tool_the_choice_goes_too() {
    let request = request(&json!({
        "model": "m", "input": "hi", "tools": [{"type": "web_search"}],
        "tool_choice": "required", "parallel_tool_calls": false,
    }));
    assert_eq!((request.tool_choice, request.parallel_tool_calls), (None, None));
    assert_eq!(request.foreign, ["tools[].web_search"]);
}

#[test]
fn what_needs_a_store_or_a_dropped_tool_is_refused() {
    let cases = [
        (json!({"previous_response_id": "resp_1"}), "previous_response_id"),
        (json!({"conversation": "conv_1"}), "conversation"),
        (json!({"prompt": {"id": "p"}}), "prompt"),
        (json!({"background": true}), "background"),
        (json!({"input": [{"type": "item_reference", "id": "msg_1"}]}), "input[].item_reference"),
        (json!({"input": [{"id": "msg_1"}]}), "input[].item_reference"),
        (
            json!({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}),
            "input[].content[].file_id",
        ),
        (
            json!({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}),
            "input[].content[].file_id",
        ),
        (json!({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}), "input[].content[].input_audio"),
        (json!({"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}}), "tool_choice"),
        (json!({"tools": [{"type": "mcp"}], "tool_choice": {"type": "function", "name": "x"}}), "tool_choice"),
    ];
    for (fields, param) in cases {
        let mut body = json!({"model": "m", "input": "hi"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let failure = refusal(&body);
        assert_eq!(failure.kind, FailureKind::UnsupportedAcrossProtocols, "{body}");
        assert_eq!(failure.param.as_deref(), Some(param), "{body}");
    }
}

#[test]
fn mistakes_are_named_by_their_path() {
    let cases = [
        (json!({"input": "hi"}), FailureKind::MissingParameter, "model"),
        (json!({"model": "m"}), FailureKind::MissingParameter, "input"),
        (json!({"model": 1, "input": "hi"}), FailureKind::InvalidValue, "model"),
        (json!({"model": "m", "input": 1}), FailureKind::InvalidValue, "input"),
        (json!({"model": "m", "input": [1]}), FailureKind::InvalidValue, "input[0]"),
        (json!({"model": "m", "input": [{"role": "x", "content": ""}]}), FailureKind::InvalidValue, "input[0].role"),
        (
            json!({"model": "m", "input": [{"role": "user", "content": [{"text": "a"}]}]}),
            FailureKind::MissingParameter,
            "input[0].content[0].type",
        ),
        (
            json!({"model": "m", "input": "hi", "tools": [{"type": "function"}]}),
            FailureKind::MissingParameter,
            "tools[0].name",
        ),
        (json!({"model": "m", "input": "hi", "temperature": "hot"}), FailureKind::InvalidValue, "temperature"),
        (json!({"model": "m", "input": "hi", "max_output_tokens": 0}), FailureKind::InvalidValue, "max_output_tokens"),
        (json!({"model": "m", "input": "hi", "max_output_tokens": -1}), FailureKind::InvalidValue, "max_output_tokens"),
        (
            json!({"model": "m", "input": "hi", "reasoning": {"effort": "huge"}}),
            FailureKind::InvalidValue,
            "reasoning.effort",
        ),
        (
            json!({"model": "m", "input": "hi", "text": {"format": {"type": "json_schema"}}}),
            FailureKind::MissingParameter,
            "text.format.schema",
        ),
        (json!({"model": "m", "input": "hi", "tool_choice": "any"}), FailureKind::InvalidValue, "tool_choice"),
    ];
    for (body, kind, param) in cases {
        let failure = refusal(&body);
        assert_eq!((failure.kind, failure.param.as_deref()), (kind, Some(param)), "{body}");
    }
    assert_eq!(refusal(&json!([])).kind, FailureKind::InvalidJson);
}
