use serde_json::{Value, json};

use super::{OpenAiResponses, PROVIDER, decode_body, exchange, full_exchange, plain_request, request};
use crate::chat::{
    Block, ChatResponse, Citation, Failure, FailureKind, FinishReason, Opaque, OpaqueKind, Protocol, Reasoning, Text,
    ToolCall, Usage,
};
use crate::codec::{ClientCodec as _, Exchange, UpstreamCodec as _};

fn encoded(response: &ChatResponse, exchange: &Exchange) -> Value {
    serde_json::from_slice(&OpenAiResponses.encode_response(response, exchange)).unwrap()
}

/// An answer of everything that the protocol carries.
pub(super) fn everything() -> ChatResponse {
    let opaque = Opaque {
        protocol: Protocol::OpenAiResponses,
        provider: PROVIDER.to_owned(),
        kind: OpaqueKind::Encrypted,
        data: "enc".to_owned(),
    };
    let citation = Citation { url: "https://x".to_owned(), title: "X".to_owned(), span: Some((0, 2)) };
    let call = |name: &str, custom| {
        let arguments = if custom { "free text" } else { "{\"n\": 1.10}" };
        Block::ToolCall(ToolCall {
            id: format!("call_{name}"),
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            custom,
        })
    };
    ChatResponse {
        id: Some("resp_1".to_owned()),
        blocks: vec![
            Block::Reasoning(Reasoning { text: "why\n\nso".to_owned(), opaque: Some(opaque) }),
            Block::Text(Text { text: "héllo".to_owned(), citations: vec![citation] }),
            Block::Refusal("no".to_owned()),
            call("f", false),
            call("g", false),
            call("p", true),
        ],
        finish: FinishReason::ToolCalls,
        usage: Some(Usage { input: 10, output: 20, cache_read: 3, cache_write: 2, reasoning: 5, estimated: false }),
        service_tier: Some("default".to_owned()),
        lost: Vec::new(),
    }
}

#[test]
fn a_whole_answer_is_read() {
    let body = json!({
        "id": "resp_1", "object": "response", "status": "completed", "error": null, "service_tier": "default",
        "output": [
            {"type": "reasoning", "id": "rs", "encrypted_content": "enc", "summary": [
                {"type": "summary_text", "text": "why"}, {"type": "summary_text", "text": "so"},
            ], "content": [{"type": "reasoning_text", "text": "the same again"}]},
            {"type": "web_search_call", "id": "ws", "action": {"type": "search"}, "content": 7},
            {"type": "message", "id": "msg", "role": "assistant", "content": [
                {"type": "output_text", "text": "héllo", "logprobs": [], "annotations": [
                    {"type": "url_citation", "url": "https://x", "title": "X", "start_index": 0, "end_index": 2},
                ]},
                {"type": "refusal", "refusal": "no"},
            ]},
            {"type": "function_call", "id": "fc", "call_id": "call_f", "name": "f", "arguments": "{\"n\": 1.10}"},
            {"type": "function_call", "id": "fc", "call_id": "call_g", "name": "g", "arguments": {"n": 1.10}},
            {"type": "custom_tool_call", "id": "ctc", "call_id": "call_p", "name": "p", "input": "free text"},
        ],
        "usage": {"input_tokens": 10, "output_tokens": 20, "total_tokens": 30,
            "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
            "output_tokens_details": {"reasoning_tokens": 5}},
    });
    let mut expected = everything();
    expected.lost = vec!["output[].web_search_call".to_owned()];
    // An object is not what the API sends, but some servers do.
    let Block::ToolCall(call) = &mut expected.blocks[4] else { panic!() };
    call.arguments = r#"{"n":1.1}"#.to_owned();
    assert_eq!(decode_body(&body).unwrap(), expected);
}

#[test]
fn reading_what_was_written_gives_the_same_answer() {
    let answer = everything();
    let body = encoded(&answer, &full_exchange());
    let mut read = decode_body(&body).unwrap();
    // Our own id stands in the answer, and reasoning is packed for the client.
    assert!(read.id.as_deref().unwrap().starts_with("resp_"));
    read.id.clone_from(&answer.id);
    let (Block::Reasoning(read_reasoning), Block::Reasoning(reasoning)) = (&mut read.blocks[0], &answer.blocks[0])
    else {
        panic!()
    };
    let packed = read_reasoning.opaque.take().unwrap().data;
    assert_eq!(Opaque::unpack(&packed), reasoning.opaque);
    read_reasoning.opaque = Opaque::unpack(&packed);
    assert_eq!(read, answer);
}

#[test]
fn an_answer_has_all_fields_and_repeats_the_request() {
    let request = request(&json!({
        "model": "m", "input": "hi", "instructions": "be brief", "temperature": 0.5, "store": true, "truncation": "disabled",
        "metadata": {"k": "v"}, "tools": [{"type": "function", "name": "f"}, {"type": "web_search"}],
        "tool_choice": "required", "reasoning": {"effort": "low"}, "text": {"verbosity": "low"}, "parallel_tool_calls": false,
    }));
    let usage = Some(Usage { input: 1, output: 2, ..Usage::default() });
    let mut body = encoded(&ChatResponse { usage, ..ChatResponse::default() }, &exchange(&request));
    assert!(body["id"].as_str().unwrap().starts_with("resp_"));
    body["id"] = Value::Null;
    let expected = json!({
        "id": null, "object": "response", "created_at": 1_750_000_000, "status": "completed", "background": false,
        "error": null, "incomplete_details": null, "instructions": "be brief", "max_output_tokens": null,
        "max_tool_calls": null, "model": "alias", "output": [], "parallel_tool_calls": false,
        "previous_response_id": null, "prompt_cache_key": null, "reasoning": {"effort": "low", "summary": null},
        "safety_identifier": null, "service_tier": null, "store": false, "temperature": 0.5,
        "text": {"format": {"type": "text"}, "verbosity": "low"}, "tool_choice": "required",
        "tools": [{"type": "function", "name": "f", "parameters": null, "strict": null}, {"type": "web_search"}],
        "top_logprobs": 0, "top_p": null, "truncation": "disabled", "user": null, "metadata": {"k": "v"},
        "usage": {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 2, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 3},
    });
    assert_eq!(body, expected);
}

#[test]
fn texts_that_follow_each_other_share_a_message() {
    let body = encoded(&everything(), &full_exchange());
    let output = body["output"].as_array().unwrap();
    let kinds: Vec<_> = output.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call", "function_call", "custom_tool_call"]);
    assert_eq!(output[1]["content"].as_array().unwrap().len(), 2);
    assert_eq!(output[1]["content"][0]["annotations"][0]["end_index"], 2);
    for (item, prefix) in output.iter().zip(["rs_", "msg_", "fc_", "fc_", "ctc_"]) {
        assert!(item["id"].as_str().unwrap().starts_with(prefix), "{item}");
    }
}

#[test]
fn encrypted_reasoning_is_for_those_who_ask() {
    let hidden = everything().blocks.swap_remove(0);
    let Block::Reasoning(mut reasoning) = hidden else { panic!() };
    reasoning.text.clear();
    let answer = ChatResponse { blocks: vec![Block::Reasoning(reasoning)], ..ChatResponse::default() };
    assert_eq!(encoded(&answer, &exchange(&plain_request()))["output"], json!([]));
    let item = &encoded(&answer, &full_exchange())["output"][0];
    assert!(item["encrypted_content"].as_str().unwrap().starts_with("llmp1."));
    assert_eq!(item["summary"], json!([]));
}

#[test]
fn how_it_ended_crosses_both_ways() {
    let blocks = vec![Block::Text(Text { text: "a".to_owned(), citations: Vec::new() })];
    let cases = [
        (FinishReason::Stop, "completed", None, FinishReason::Stop),
        (FinishReason::StopSequence(None), "completed", None, FinishReason::Stop),
        (FinishReason::Length, "incomplete", Some("max_output_tokens"), FinishReason::Length),
        (FinishReason::ContentFilter, "incomplete", Some("content_filter"), FinishReason::ContentFilter),
        (FinishReason::Refusal, "incomplete", Some("content_filter"), FinishReason::ContentFilter),
    ];
    for (finish, status, reason, read) in cases {
        let body =
            encoded(&ChatResponse { finish, blocks: blocks.clone(), ..ChatResponse::default() }, &full_exchange());
        assert_eq!(body["status"], status);
        assert_eq!(body["incomplete_details"]["reason"].as_str(), reason);
        assert_eq!(body["output"][0]["status"], status);
        assert_eq!(decode_body(&body).unwrap().finish, read);
    }
    let refused = ChatResponse {
        finish: FinishReason::Refusal,
        blocks: vec![Block::Refusal("no".to_owned())],
        ..ChatResponse::default()
    };
    let body = encoded(&refused, &full_exchange());
    assert_eq!(body["status"], "completed");
    assert_eq!(decode_body(&body).unwrap().finish, FinishReason::Refusal);
}

#[test]
fn a_failed_or_foreign_body_is_a_failure() {
    let failed = json!({"object": "response", "status": "failed", "output": [],
        "error": {"code": "server_error", "message": "broke"}});
    let failure = decode_body(&failed).unwrap_err();
    assert_eq!((failure.kind, failure.status()), (FailureKind::UpstreamInvalidResponse, 502));
    assert_eq!((failure.code(), failure.message.as_str()), (Some("server_error"), "broke"));

    let error = json!({"error": {"type": "rate_limit_error", "message": "slow", "code": null}});
    let failure = decode_body(&error).unwrap_err();
    assert_eq!((failure.kind, failure.code()), (FailureKind::Upstream(429), Some("rate_limit_error")));

    for body in
        [json!({}), json!([]), json!({"choices": []}), json!({"object": "response", "output": [], "status": "queued"})]
    {
        assert_eq!(decode_body(&body).unwrap_err().kind, FailureKind::UpstreamInvalidResponse, "{body}");
    }
}

#[test]
fn error_bodies_cross() {
    let read = |status, body: &str| OpenAiResponses.decode_error(status, body.as_bytes());
    let failure = read(
        400,
        r#"{"error":{"message":"bad","type":"invalid_request_error","param":"input[0]","code":"invalid_value"}}"#,
    );
    assert_eq!((failure.kind, failure.param.as_deref()), (FailureKind::Upstream(400), Some("input[0]")));
    assert_eq!((failure.code(), failure.message.as_str()), (Some("invalid_value"), "bad"));
    assert_eq!(read(529, r#"{"error":{"message":"m","type":"overloaded_error"}}"#).code(), Some("overloaded_error"));
    assert_eq!(read(500, r#"{"error":"flat"}"#).message, "flat");
    assert_eq!(read(422, r#"{"detail":"no field"}"#).message, "no field");
    assert_eq!(read(502, "").message, "the provider answered with status 502");
    assert_eq!(read(502, &"é".repeat(600)).message.chars().count(), 500);
    assert_eq!(read(429, r#"{"error":{"message":"m","code":1305}}"#).code(), Some("1305"));

    let body: Value =
        serde_json::from_slice(&OpenAiResponses.encode_error(&Failure::new(FailureKind::ModelNotFound, "which?"), "r"))
            .unwrap();
    let expected =
        json!({"message": "which?", "type": "invalid_request_error", "param": null, "code": "model_not_found"});
    assert_eq!(body, json!({"error": expected}));
}
