use serde_json::{Value, json};

use super::{OpenAiResponses, PROVIDER, plain_request, request};
use crate::chat::{
    Block, ChatRequest, Document, DocumentSource, Effort, EndUser, FailureKind, Image, MediaSource, Message, Opaque,
    OpaqueKind, Protocol, Reasoning, ReasoningAmount, ReasoningRequest, Role, Target, Text, ThinkingStyle, ToolCall,
    ToolResult,
};
use crate::codec::UpstreamCodec as _;

fn target() -> Target<'static> {
    Target {
        model: "mapped",
        provider: PROVIDER,
        max_tokens_field: "max_tokens",
        thinking_style: ThinkingStyle::Auto,
        inject_usage: true,
        max_output_tokens: None,
        supports_response_schema: true,
        default_max_tokens: 4096,
    }
}

fn encoded(request: &ChatRequest) -> (Value, Vec<String>) {
    let encoded = OpenAiResponses.encode_request(request, &target()).unwrap();
    (serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped)
}

fn with_messages(messages: Vec<Message>) -> ChatRequest {
    ChatRequest { messages, ..plain_request() }
}

fn text(text: &str) -> Block {
    Block::Text(Text { text: text.to_owned(), citations: Vec::new() })
}

fn call(id: &str, arguments: &str) -> Block {
    Block::ToolCall(ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
        custom: false,
    })
}

fn result(content: Vec<Block>, is_error: bool) -> Block {
    Block::ToolResult(ToolResult { call_id: "c".to_owned(), content, is_error, custom: false })
}

/// A request in the words of a Messages client.
fn from_messages(amount: ReasoningAmount, summary: bool) -> ChatRequest {
    let mut request = plain_request();
    request.client.names.reasoning = "thinking";
    request.client.names.stop = "stop_sequences";
    request.reasoning = Some(ReasoningRequest { amount, summary });
    request
}

#[test]
fn a_plain_request_says_only_what_it_must() {
    let (body, dropped) = encoded(&plain_request());
    let input = json!([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}]);
    assert_eq!(body, json!({"model": "mapped", "input": input, "store": false}));
    assert!(dropped.is_empty());
}

#[test]
fn what_this_protocol_carries_comes_through_unchanged() {
    let body = json!({
        "model": "mapped", "instructions": "a",
        "input": [
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "hi"},
                {"type": "input_image", "image_url": "https://x/p.png", "detail": "low"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB"},
                {"type": "input_file", "file_url": "https://x/y.pdf"},
            ]},
            {"type": "message", "role": "assistant", "content": [
                {"type": "output_text", "text": "ok", "annotations": []},
                {"type": "refusal", "refusal": "no"},
            ]},
            {"type": "function_call", "call_id": "c:1", "name": "f", "arguments": "{\"n\": 1.10}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "p", "input": "free"},
            {"type": "function_call_output", "call_id": "c:1", "output": "one"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": [
                {"type": "input_text", "text": "see"}, {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
            ]},
            {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "now"}]},
        ],
        "tools": [
            {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true},
            {"type": "custom", "name": "p", "format": {"type": "text"}},
        ],
        "tool_choice": {"type": "custom", "name": "p"}, "parallel_tool_calls": false,
        "temperature": 0.5, "top_p": 0.25, "max_output_tokens": 100,
        "reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content"],
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": false}, "verbosity": "low"},
        "user": "u", "metadata": {"k": "v"}, "service_tier": "flex", "prompt_cache_key": "key",
        "store": true, "stream": true,
    });
    assert_eq!(encoded(&request(&body)), (body, Vec::new()));
}

#[test]
fn results_come_before_the_words_of_the_same_message() {
    let blocks = vec![text("hurry"), result(vec![text("one")], false)];
    let calls = Message { role: Role::Assistant, blocks: vec![call("c", "")] };
    let (body, _) = encoded(&with_messages(vec![calls, Message { role: Role::User, blocks }]));
    let kinds: Vec<_> = body["input"].as_array().unwrap().iter().map(|item| item["type"].clone()).collect();
    assert_eq!(kinds, ["function_call", "function_call_output", "message"]);
    assert_eq!(body["input"][0]["arguments"], "{}");
}

#[test]
fn a_failed_tool_says_so_and_empty_answers_stay() {
    let picture = Block::Image(Image { source: MediaSource::Url("https://x/p".to_owned()), detail: None });
    let cases = [
        (result(Vec::new(), false), json!("")),
        (result(vec![text("a"), text("b")], false), json!("a\nb")),
        (result(vec![text("gone")], true), json!("[error] gone")),
        (
            result(vec![picture.clone(), text("b")], true),
            json!([
                {"type": "input_text", "text": "[error]"}, {"type": "input_image", "image_url": "https://x/p"},
                {"type": "input_text", "text": "b"},
            ]),
        ),
        (
            result(vec![text("a"), picture], true),
            json!([{"type": "input_text", "text": "[error] a"}, {"type": "input_image", "image_url": "https://x/p"}]),
        ),
    ];
    for (block, output) in cases {
        let (body, _) = encoded(&with_messages(vec![Message { role: Role::User, blocks: vec![block] }]));
        assert_eq!(body["input"][0]["output"], output);
    }
}

#[test]
fn arguments_that_are_no_json_are_wrapped() {
    let blocks = vec![call("c", "{\"a\":")];
    let (body, _) = encoded(&with_messages(vec![Message { role: Role::Assistant, blocks }]));
    assert_eq!(body["input"][0]["arguments"], r#"{"_raw":"{\"a\":"}"#);
}

#[test]
fn the_result_of_a_free_text_tool_is_told_by_its_call() {
    let custom = ToolCall { id: "c".to_owned(), name: "p".to_owned(), arguments: "x".to_owned(), custom: true };
    let (body, _) = encoded(&with_messages(vec![
        Message { role: Role::Assistant, blocks: vec![Block::ToolCall(custom)] },
        Message { role: Role::User, blocks: vec![result(vec![text("ok")], false)] },
    ]));
    assert_eq!(body["input"][1]["type"], "custom_tool_call_output");
}

#[test]
fn reasoning_goes_back_to_its_maker_only() {
    let block = |protocol, provider: &str| {
        let opaque =
            Opaque { protocol, provider: provider.to_owned(), kind: OpaqueKind::Encrypted, data: "enc".to_owned() };
        Block::Reasoning(Reasoning { text: "why".to_owned(), opaque: Some(opaque) })
    };
    let blocks = vec![
        block(Protocol::OpenAiResponses, PROVIDER),
        block(Protocol::OpenAiResponses, "other"),
        block(Protocol::Anthropic, PROVIDER),
        Block::Reasoning(Reasoning { text: "mine".to_owned(), opaque: None }),
    ];
    let (body, dropped) = encoded(&with_messages(vec![Message { role: Role::Assistant, blocks }]));
    let item =
        json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "why"}], "encrypted_content": "enc"});
    assert_eq!(body["input"], json!([item]));
    assert_eq!(dropped, ["reasoning"; 3]);
}

#[test]
fn thinking_of_messages_becomes_effort() {
    use ReasoningAmount::{Adaptive, Budget, Effort as Level, Off};
    let cases = [
        (Budget(4096), Some("low")),
        (Budget(4097), Some("medium")),
        (Budget(12288), Some("medium")),
        (Budget(12289), Some("high")),
        (Level(Effort::Max), Some("xhigh")),
        (Level(Effort::XHigh), Some("xhigh")),
        (Adaptive, None),
    ];
    for (amount, effort) in cases {
        let (body, _) = encoded(&from_messages(amount, true));
        assert_eq!(body["reasoning"].get("effort").and_then(Value::as_str), effort, "{amount:?}");
        assert_eq!(body["reasoning"]["summary"], "auto");
        assert_eq!(body["include"], json!(["reasoning.encrypted_content"]));
    }
    let (body, _) = encoded(&from_messages(Off, false));
    assert!(body.get("reasoning").is_none() && body.get("include").is_none());
}

#[test]
fn effort_of_an_openai_client_keeps_its_name() {
    for effort in ["none", "minimal", "high", "xhigh", "max"] {
        let (body, _) = encoded(&request(&json!({"model": "m", "input": "hi", "reasoning": {"effort": effort}})));
        assert_eq!(body["reasoning"], json!({"effort": effort}));
        assert_eq!(body.get("include").is_some(), effort != "none");
    }
}

#[test]
fn limits_of_the_api_are_kept() {
    let long = "x".repeat(65);
    let (body, dropped) = encoded(&ChatRequest {
        max_output_tokens: Some(1),
        stop: vec!["END".to_owned()],
        top_k: Some(5.into()),
        end_user: Some(EndUser::User(long.clone())),
        ..plain_request()
    });
    assert_eq!(body["max_output_tokens"], 16);
    assert!(body.get("user").is_none() && body.get("stop").is_none() && body.get("top_k").is_none());
    assert_eq!(dropped, ["stop", "top_k", "user"]);

    let calls = with_messages(vec![Message { role: Role::Assistant, blocks: vec![call(&long, "{}")] }]);
    let failure = OpenAiResponses.encode_request(&calls, &target()).unwrap_err();
    assert_eq!(failure.kind, FailureKind::UnsupportedAcrossProtocols);
    assert_eq!(failure.status(), 400);
}

#[test]
fn strict_is_false_unless_the_client_said_so_and_a_schema_is_always_there() {
    let (body, _) = encoded(&request(&json!({
        "model": "m", "input": "hi", "tools": [{"type": "function", "name": "f"}], "tool_choice": {"type": "function", "name": "f"},
    })));
    let tool =
        json!({"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}, "strict": false});
    assert_eq!(body["tools"], json!([tool]));
    assert_eq!(body["tool_choice"], json!({"type": "function", "name": "f"}));
}

#[test]
fn a_text_document_is_sent_as_a_file() {
    let document = Document { source: DocumentSource::Text("hé".to_owned()), name: None };
    let blocks = vec![Block::Document(document)];
    let (body, _) = encoded(&with_messages(vec![Message { role: Role::User, blocks }]));
    let part = json!({"type": "input_file", "filename": "document.txt", "file_data": "data:text/plain;base64,aMOp"});
    assert_eq!(body["input"][0]["content"], json!([part]));
}
