use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};

use super::{OpenAiResponses, frames, stream};
use crate::chat::{Failure, FailureKind, Opaque, OpaqueKind, Protocol, Usage};
use crate::codec::{Peek, Seen, Verbatim as _};

fn body(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn peek(text: &str) -> Peek {
    OpenAiResponses.peek(&body(text)).unwrap()
}

fn packed() -> String {
    let opaque = Opaque {
        protocol: Protocol::Anthropic,
        provider: "p".to_owned(),
        kind: OpaqueKind::Signature,
        data: "s".to_owned(),
    };
    opaque.pack()
}

#[test]
fn what_routing_needs_is_read_and_checked() {
    let seen = peek(r#"{"model":"m","input":"x","stream":true}"#);
    assert_eq!((seen.model.as_str(), seen.model_span, seen.stream), ("m", 9..12, true));
    for kept in [
        r#"{"model":"m","prompt":{}}"#,
        r#"{"model":"m","previous_response_id":"r"}"#,
        r#"{"model":"m","conversation":"c"}"#,
    ] {
        assert!(!peek(kept).stream);
    }
    let cases = [
        ("[]", FailureKind::InvalidJson, None),
        ("{", FailureKind::InvalidJson, None),
        (r#"{"input":"x"}"#, FailureKind::MissingParameter, Some("model")),
        (r#"{"model":"m"}"#, FailureKind::MissingParameter, Some("input")),
        (r#"{"model":"m","input":null}"#, FailureKind::MissingParameter, Some("input")),
        (r#"{"model":1,"input":"x"}"#, FailureKind::InvalidValue, Some("model")),
        (r#"{"model":"m","input":"x","model":"n"}"#, FailureKind::InvalidValue, Some("model")),
        (r#"{"model":"m","input":"x","stream":1}"#, FailureKind::InvalidValue, Some("stream")),
    ];
    for (text, kind, param) in cases {
        let failure = OpenAiResponses.peek(&body(text)).unwrap_err();
        assert_eq!((failure.kind, failure.param.as_deref()), (kind, param), "{text}");
    }
    let failure = OpenAiResponses.peek(&Bytes::from_static(b"{\"model\":\"\xff\"}")).unwrap_err();
    assert_eq!(failure.kind, FailureKind::InvalidJson);
}

#[test]
fn a_request_crosses_to_the_byte_but_for_the_model() {
    let text = r#" {"temperature" : 1.10, "model":"m", "input":[ {"type":"reasoning","encrypted_content":"raw"} ]} "#;
    let forward = |model: &str| OpenAiResponses.forward_request(&body(text), &peek(text), model, true);
    assert_eq!(forward("n"), text.replace("\"m\"", "\"n\""));
    assert_eq!(forward("m"), text);
}

#[test]
fn reasoning_of_other_protocols_is_taken_out_wherever_it_stands() {
    let foreign = json!({"type": "reasoning", "summary": [], "encrypted_content": packed()}).to_string();
    let own = r#"{"type":"reasoning","encrypted_content":"raw","summary":[]}"#;
    let quote = json!({"role": "user", "content": format!("what is {}?", packed())}).to_string();
    let cases: [(Vec<&str>, Vec<&str>); 6] = [
        (vec![&foreign], vec![]),
        (vec![&foreign, &foreign], vec![]),
        (vec![&foreign, own], vec![own]),
        (vec![own, &foreign], vec![own]),
        (vec![&foreign, own, &foreign, &foreign, &quote, &foreign, &foreign], vec![own, &quote]),
        (vec![own, &quote], vec![own, &quote]),
    ];
    for (items, kept) in cases {
        for separator in [",", " ,\n "] {
            let text = format!(r#"{{"input": [ {} ],"model":"m"}}"#, items.join(separator));
            let out = OpenAiResponses.forward_request(&body(&text), &peek(&text), "n", false);
            let out: Value = serde_json::from_slice(&out).unwrap();
            let kept: Vec<Value> = kept.iter().map(|item| serde_json::from_str(item).unwrap()).collect();
            assert_eq!(out, json!({"input": kept, "model": "n"}));
        }
    }
}

#[test]
fn an_answer_crosses_to_the_byte_but_for_the_model() {
    let text = r#"{ "object":"response","model":"up","output":[{"model":"up"}],"temperature":1.0,
        "usage":{"input_tokens":5,"input_tokens_details":{"cached_tokens":1},"output_tokens":2}}"#;
    let forwarded = OpenAiResponses.forward_response(&body(text), "alias").unwrap();
    assert_eq!(forwarded.body, text.replacen("\"up\"", "\"alias\"", 1));
    assert_eq!(forwarded.usage, Some(Usage { input: 5, output: 2, cache_read: 1, ..Usage::default() }));
    // Failed answers cross too: the client knows their form.
    let failed = r#"{"object":"response","status":"failed","output":[],"error":{"code":"c","message":"m"}}"#;
    assert_eq!(OpenAiResponses.forward_response(&body(failed), "alias").unwrap().body, failed);
    for wrong in ["[]", "{}", "<html>", r#"{"error":{"message":"m"}}"#, r#"{"choices":[]}"#] {
        let failure = OpenAiResponses.forward_response(&body(wrong), "alias").unwrap_err();
        assert_eq!(failure.kind, FailureKind::UpstreamInvalidResponse, "{wrong}");
    }
}

#[test]
fn an_error_in_the_guise_of_a_success_is_told_as_what_it_is() {
    let text = r#"{"error":{"message":"m","type":"t","code":"rate_limit_exceeded"}}"#;
    let failure = OpenAiResponses.forward_response(&body(text), "alias").unwrap_err();
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Upstream(429), "m"));
}

#[test]
fn an_event_that_cannot_be_read_is_not_forwarded_however_late_it_comes() {
    let good = stream(&answer()[..5]);
    let delta = br#"{"type":"response.output_text.delta","delta":"~","sequence_number":7}"#;
    let misspelt: Vec<u8> = delta.iter().map(|byte| if *byte == b'~' { 0xff } else { *byte }).collect();
    for bad in [&delta[..delta.len() - 1], &misspelt] {
        let mut forwarder = OpenAiResponses.forward_stream(&peek(r#"{"model":"up","input":"x"}"#), "req-1");
        let (mut out, bad) = (BytesMut::new(), [&good[..], b"data: ", bad, b"\n\n"].concat());
        let mut frames = frames(&bad, usize::MAX);
        let last = frames.pop().unwrap();
        frames.iter().for_each(|frame| drop(forwarder.forward(frame, &mut out).unwrap()));
        let failure = forwarder.forward(&last, &mut out).unwrap_err();
        assert_eq!((failure.kind, &out[..]), (FailureKind::UpstreamStream, &good[..]));
    }
}

#[test]
fn error_bodies_are_known() {
    assert!(OpenAiResponses.is_error_body(br#"{"error":{"message":"m","type":"t"}}"#));
    for wrong in [&b"<html>"[..], b"{}", br#"{"error":"m"}"#, br#"{"error":{"message":null}}"#] {
        assert!(!OpenAiResponses.is_error_body(wrong));
    }
}

fn forwarded(stream: &[u8], size: usize) -> (Vec<u8>, Vec<Seen>, bool) {
    let mut forwarder = OpenAiResponses.forward_stream(&peek(r#"{"model":"alias","input":"x"}"#), "req-1");
    let mut out = BytesMut::new();
    let seen = frames(stream, size).iter().map(|frame| forwarder.forward(frame, &mut out).unwrap()).collect();
    let is_whole = forwarder.finish(&mut out).is_ok();
    (out.to_vec(), seen, is_whole)
}

fn answer() -> Vec<Value> {
    let response = |status: &str| json!({"id": "r", "status": status, "model": "up", "output": [{"model": "up"}]});
    let delta = |text: &str| json!({"type": "response.output_text.delta", "delta": text, "output_index": 0});
    let mut completed = response("completed");
    completed["usage"] = json!({"input_tokens": 5, "output_tokens": 2});
    vec![
        json!({"type": "response.created", "response": response("in_progress")}),
        json!({"type": "response.output_item.added", "item": {"type": "message", "content": []}}),
        delta(""),
        delta("say \"response\": {\"model\":\"up\"} or \"error\""),
        delta("x"),
        json!({"type": "response.completed", "response": completed}),
    ]
}

#[test]
fn a_stream_crosses_to_the_byte_but_for_the_model() {
    let text = stream(&answer());
    let (out, seen, is_whole) = forwarded(&text, usize::MAX);
    let text = String::from_utf8(text).unwrap();
    let expected =
        text.replace(r#","status":"in_progress","model":"up""#, r#","status":"in_progress","model":"alias""#);
    let expected =
        expected.replace(r#","status":"completed","model":"up""#, r#","status":"completed","model":"alias""#);
    assert_eq!(String::from_utf8(out).unwrap(), expected);
    assert!(is_whole);
    let content: Vec<bool> = seen.iter().map(|seen| seen.content).collect();
    assert_eq!(content[..4], [false, false, false, true]);
    let last = seen.last().unwrap();
    assert!(last.ended && last.failed.is_none());
    assert_eq!(last.usage, Some(Usage { input: 5, output: 2, ..Usage::default() }));
}

#[test]
fn however_a_stream_is_cut_the_same_bytes_come_out() {
    let text = stream(&answer());
    let whole = forwarded(&text, usize::MAX);
    for size in 1..200 {
        assert_eq!(forwarded(&text, size), whole, "pieces of {size}");
    }
}

#[test]
fn data_in_several_lines_is_rewritten_in_several_lines() {
    let text = b"event: response.created\r\ndata: {\"type\":\"response.created\",\r\ndata: \"response\":{\"model\":\"up\"}}\r\n\r\n";
    let (out, ..) = forwarded(text, usize::MAX);
    let frames = frames(&out, usize::MAX);
    let data = frames[0].data.as_ref().unwrap();
    assert_eq!(data, "{\"type\":\"response.created\",\n\"response\":{\"model\":\"alias\"}}");
    assert_eq!(frames[0].event, "response.created");
}

#[test]
fn an_error_in_a_stream_is_seen_and_a_cut_stream_is_a_failure() {
    let cut = stream(&answer()[..5]);
    assert!(!forwarded(&cut, usize::MAX).2);
    for error in [
        json!({"type": "error", "code": "rate_limit_exceeded", "message": "m"}),
        json!({"type": "error", "error": {"type": "requests", "code": "rate_limit_exceeded", "message": "m"}}),
        json!({"type": "response.failed", "response": {"model": "up", "error": {"code": "rate_limit_exceeded", "message": "m"}}}),
    ] {
        let mut events = answer()[..5].to_vec();
        events.push(error.clone());
        let (out, seen, is_whole) = forwarded(&stream(&events), usize::MAX);
        let failure = seen.last().unwrap().failed.as_ref().unwrap();
        assert_eq!(
            (failure.kind, failure.code()),
            (FailureKind::Upstream(429), Some("rate_limit_exceeded")),
            "{error}"
        );
        assert!(is_whole);
        assert!(String::from_utf8(out).unwrap().contains("rate_limit_exceeded"));
    }
}

#[test]
fn calls_and_whole_texts_are_content_too() {
    let call =
        json!({"type": "response.output_item.added", "item": {"type": "function_call", "name": "f", "arguments": ""}});
    let hosted = json!({"type": "response.output_item.added", "item": {"type": "web_search_call", "name": "f"}});
    let done = json!({"type": "response.output_text.done", "text": "a"});
    for (event, content) in [(call, true), (hosted, false), (done, true)] {
        assert_eq!(forwarded(&stream(&[event]), usize::MAX).1[0].content, content);
    }
}

#[test]
fn an_unreadable_event_is_a_failure() {
    let mut forwarder = OpenAiResponses.forward_stream(&peek(r#"{"model":"alias","input":"x"}"#), "req-1");
    let frame = &frames(b"data: {nope\n\n", usize::MAX)[0];
    assert_eq!(forwarder.forward(frame, &mut BytesMut::new()).unwrap_err().kind, FailureKind::UpstreamStream);
}

#[test]
fn a_broken_stream_ends_as_failed_with_the_items_that_are_complete() {
    let mut forwarder = OpenAiResponses.forward_stream(&peek(r#"{"model":"alias","input":"x"}"#), "req-1");
    let item = json!({"type": "message", "id": "msg_1", "content": []});
    let events = [
        json!({"type": "response.created", "sequence_number": 0, "response": {"id": "r", "status": "in_progress", "error": null, "model": "up", "output": []}}),
        json!({"type": "response.output_text.delta", "sequence_number": 1, "delta": "x"}),
        json!({"type": "response.output_item.done", "sequence_number": 2, "item": item}),
        json!({"type": "response.output_text.delta", "sequence_number": 3, "delta": "y"}),
    ];
    for frame in frames(&stream(&events), usize::MAX) {
        forwarder.forward(&frame, &mut BytesMut::new()).unwrap();
    }
    let mut out = BytesMut::new();
    forwarder.fail(&Failure::new(FailureKind::UpstreamStream, "cut"), &mut out);
    let told: Vec<Value> = frames(&out, usize::MAX)
        .iter()
        .map(|frame| serde_json::from_slice(frame.data.as_ref().unwrap()).unwrap())
        .collect();
    assert_eq!(told[0]["type"], "error");
    assert_eq!((&told[0]["sequence_number"], &told[0]["code"]), (&json!(4), &json!("upstream_stream_error")));
    assert_eq!(told[1]["sequence_number"], 5);
    let error = json!({"code": "server_error", "message": "cut"});
    let response = json!({"id": "r", "status": "failed", "error": error, "model": "alias", "output": [item]});
    assert_eq!(told[1]["response"], response);
}
