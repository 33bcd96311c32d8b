use serde_json::{Value, json};

use super::{
    OpenAiResponses, data, decode, encode, exchange, folded, full_exchange, kinds, plain_request, stream, try_decode,
};
use crate::chat::{BlockKind, ChatEvent, Delta, Failure, FailureKind, FinishReason, Usage};
use crate::codec::ClientCodec as _;

fn delta() -> Value {
    json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "a"})
}

fn failure(events: &[Value]) -> Failure {
    match decode(events).pop() {
        Some(ChatEvent::Failed(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn incomplete_answers_say_why() {
    for (reason, finish) in [
        (json!({"reason": "max_output_tokens"}), FinishReason::Length),
        (json!({"reason": "content_filter"}), FinishReason::ContentFilter),
        (json!({}), FinishReason::Length),
        (Value::Null, FinishReason::Length),
    ] {
        let response = json!({"status": "incomplete", "incomplete_details": reason, "usage": {"input_tokens": 1, "output_tokens": 2}});
        let answer = folded(&[delta(), json!({"type": "response.incomplete", "response": response})]);
        assert_eq!(answer.finish, finish);
        assert_eq!(answer.usage, Some(Usage { input: 1, output: 2, ..Usage::default() }));
    }
}

#[test]
fn errors_of_every_shape_end_a_stream() {
    let cases = [
        (
            json!({"type": "error", "code": "rate_limit_exceeded", "message": "m", "param": "p"}),
            Some(429),
            "rate_limit_exceeded",
        ),
        (
            json!({"type": "error", "error": {"type": "insufficient_quota", "code": "insufficient_quota", "message": "m"}}),
            Some(402),
            "insufficient_quota",
        ),
        (
            json!({"error": {"type": "invalid_request_error", "code": null, "message": "m"}}),
            Some(400),
            "invalid_request_error",
        ),
        (json!({"error": {"code": 529, "message": "m"}}), Some(529), "529"),
        (json!({"type": "error", "code": "server_error", "message": "m"}), None, "server_error"),
        (
            json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "invalid_prompt", "message": "m"}}}),
            Some(400),
            "invalid_prompt",
        ),
    ];
    for (event, status, code) in cases {
        let failure = failure(&[delta(), event.clone(), delta()]);
        let kind = status.map_or(FailureKind::UpstreamStream, FailureKind::Upstream);
        assert_eq!(failure.kind, kind, "{event}");
        assert!(failure.is_from_upstream(), "{event}");
        assert_eq!((failure.code(), failure.message.as_str()), (Some(code), "m"), "{event}");
    }
    let bare = json!({"type": "response.failed", "response": {"status": "failed", "error": null}});
    assert_eq!(failure(&[bare]).status(), 502);
}

#[test]
fn a_stream_without_its_terminal_event_is_a_failure() {
    let cut = try_decode(&stream(&[delta()]), usize::MAX).unwrap_err();
    assert_eq!(cut.kind, FailureKind::UpstreamStream);
    let done = [stream(&[delta()]), b"data: [DONE]\n\n".to_vec()].concat();
    assert_eq!(try_decode(&done, usize::MAX).unwrap_err().kind, FailureKind::UpstreamStream);
    assert_eq!(try_decode(b"data: {nope\n\n", usize::MAX).unwrap_err().kind, FailureKind::UpstreamStream);
    assert_eq!(try_decode(b"", 1).unwrap_err().kind, FailureKind::UpstreamStream);
}

#[test]
fn comments_unknown_events_and_a_late_done_are_skipped() {
    let terminal = json!({"type": "response.completed", "response": {"status": "completed", "output": []}});
    let text = format!(
        ": hello\n\ndata: {}\n\ndata: {{\"type\":\"x.unknown\",\"delta\":{{}}}}\n\ndata: {terminal}\n\ndata: [DONE]\n\n",
        delta()
    );
    let events = try_decode(text.as_bytes(), usize::MAX).unwrap();
    assert!(matches!(events.last(), Some(ChatEvent::Finished { reason: FinishReason::Stop, .. })));
}

fn begun() -> Vec<ChatEvent> {
    vec![
        ChatEvent::Started { id: None, usage: None },
        ChatEvent::BlockStarted { index: 0, kind: BlockKind::Text },
        ChatEvent::Delta { index: 0, delta: Delta::Text("so far".to_owned()) },
    ]
}

#[test]
fn a_failed_stream_ends_with_an_error_and_what_there_was() {
    let mut events = begun();
    let mut failure = Failure::new(FailureKind::StreamIdleTimeout, "silence");
    failure.param = Some("p".to_owned());
    events.push(ChatEvent::Failed(failure));
    events.push(ChatEvent::Finished { reason: FinishReason::Stop, usage: None, service_tier: None });
    let values = data(&encode(&events, &full_exchange()));
    let kinds = kinds(&values);
    assert_eq!(kinds[kinds.len() - 2..], ["error", "failed"]);
    let error = &values[values.len() - 2];
    assert_eq!(
        (&error["code"], &error["message"], &error["param"]),
        (&json!("stream_idle_timeout"), &json!("silence"), &json!("p"))
    );
    let response = &values.last().unwrap()["response"];
    assert_eq!(response["status"], "failed");
    assert_eq!(response["error"], json!({"code": "server_error", "message": "silence"}));
    assert_eq!(response["output"][0]["content"][0]["text"], "so far");
    assert_eq!(response["output"][0]["status"], "incomplete");
}

#[test]
fn a_stream_that_failed_before_it_began_has_only_the_error() {
    let failed = ChatEvent::Failed(Failure::new(FailureKind::UpstreamStream, "reset"));
    let values = data(&encode(&[failed], &exchange(&plain_request())));
    assert_eq!(kinds(&values), ["error"]);
    assert_eq!(
        values[0],
        json!({"type": "error", "sequence_number": 0, "code": "upstream_stream_error", "message": "reset", "param": null})
    );
}

#[test]
fn a_cut_answer_ends_incomplete() {
    let mut events = begun();
    events.push(ChatEvent::BlockEnded { index: 0 });
    events.push(ChatEvent::Finished {
        reason: FinishReason::Length,
        usage: Some(Usage::default()),
        service_tier: Some("odd".to_owned()),
    });
    let values = data(&encode(&events, &full_exchange()));
    let last = values.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"], json!({"reason": "max_output_tokens"}));
    assert_eq!(last["response"]["output"][0]["status"], "incomplete");
    // A tier that clients do not know is left out.
    assert_eq!(last["response"]["service_tier"], Value::Null);
}

#[test]
fn a_silent_stream_is_kept_alive_by_a_comment() {
    let encoder = OpenAiResponses.stream_encoder(&full_exchange());
    assert_eq!(encoder.keepalive(), b": keepalive\n\n");
}
