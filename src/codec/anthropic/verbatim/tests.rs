use super::super::fixtures::{STREAM, answer, frames, named};
use super::*;
use crate::chat::{Opaque, OpaqueKind, Protocol};

fn peeked(body: &str) -> Result<Peek, Failure> {
    peek(&Bytes::copy_from_slice(body.as_bytes()), true)
}

fn forwarded(body: &str, model: &str) -> String {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let peek = peek(&body, true).unwrap();
    String::from_utf8(forward_request(&body, &peek, model).to_vec()).unwrap()
}

#[test]
fn required_fields_are_checked() {
    let read = peeked(r#"{"model":"a","max_tokens":1,"messages":[],"stream":true,"new":1e400}"#).unwrap();
    assert_eq!((read.model.as_str(), read.model_span.clone(), read.stream), ("a", 9..12, true));
    let wrong = [
        (r#"{"max_tokens":1,"messages":[]}"#, FailureKind::MissingParameter, "model"),
        (r#"{"model":null,"max_tokens":1,"messages":[]}"#, FailureKind::MissingParameter, "model"),
        (r#"{"model":5,"max_tokens":1,"messages":[]}"#, FailureKind::InvalidValue, "model"),
        (r#"{"model":"a","mod\u0065l":"b","max_tokens":1,"messages":[]}"#, FailureKind::InvalidValue, "model"),
        (r#"{"model":"a","max_tokens":1}"#, FailureKind::MissingParameter, "messages"),
        (r#"{"model":"a","max_tokens":1,"messages":"Hi"}"#, FailureKind::InvalidValue, "messages"),
        (r#"{"model":"a","messages":[]}"#, FailureKind::MissingParameter, "max_tokens"),
        (r#"{"model":"a","max_tokens":0,"messages":[]}"#, FailureKind::InvalidValue, "max_tokens"),
        (r#"{"model":"a","max_tokens":"1","messages":[]}"#, FailureKind::InvalidValue, "max_tokens"),
        (r#"{"model":"a","max_tokens":1,"messages":[],"stream":1}"#, FailureKind::InvalidValue, "stream"),
    ];
    for (body, kind, param) in wrong {
        let failure = peeked(body).unwrap_err();
        assert_eq!((failure.kind, failure.param.as_deref()), (kind, Some(param)), "{body}");
    }
    assert_eq!(peeked("[1]").unwrap_err().kind, FailureKind::InvalidJson);
    let count = Bytes::from_static(br#"{"model":"a","messages":[]}"#);
    assert_eq!(peek(&count, false).unwrap().model, "a");
}

#[test]
fn a_request_crosses_to_the_byte_but_for_its_model() {
    let body = r#"{ "messages":[{"role":"user","content":"llmp1 \u00e9"}], "model" : "alias","max_tokens":1.0e0 ,"max_tokens":9,"n":1.10}"#;
    assert_eq!(forwarded(body, "alias"), body);
    assert_eq!(forwarded(body, "x\"y"), body.replace("\"alias\"", r#""x\"y""#));
}

#[test]
fn reasoning_that_another_protocol_made_is_taken_out() {
    let made = |kind| {
        Opaque { protocol: Protocol::OpenAiResponses, provider: "oai".to_owned(), kind, data: "g".to_owned() }.pack()
    };
    let packed = made(OpaqueKind::Encrypted);
    let redacted = format!(r#"{{"type":"redacted_thinking","data":"{packed}"}}"#);
    let thinking = format!(r#"{{"signature" : "{packed}","thinking":"Hm","type":"thinking"}}"#);
    let bare = r#"{"type":"thinking","thinking":"Hm","signature":"llmp1."}"#;
    let own = r#"{"type":"thinking","thinking":"llmp1.","signature":"EqQB"}"#;
    let text = r#"{"type":"text","text":"llmp1.abc"}"#;
    let body =
        |messages: &[&str]| format!(r#"{{"model":"m","max_tokens":5, "messages": [{}] }}"#, messages.join(" , "));
    let assistant = |blocks: &[&str]| format!(r#"{{"role":"assistant","content":[ {} ]}}"#, blocks.join(", "));
    let user = r#"{"role":"user","content":"llmp1."}"#;
    let before = body(&[
        user,
        &assistant(&[&redacted]),
        user,
        &assistant(&[&redacted, own, &thinking, text, bare]),
        &assistant(&[text]),
        &assistant(&[bare, &thinking]),
    ]);
    let after = body(&[user, user, &assistant(&[own, text]), &assistant(&[text])]);
    assert_eq!(forwarded(&before, "m"), after);
    assert_eq!(forwarded(&body(&[&assistant(&[bare])]), "m"), body(&[]));
}

#[test]
fn an_answer_crosses_to_the_byte_but_for_its_model() {
    let body = Bytes::from(answer(serde_json::json!({"new":[1.5,null]})));
    let forwarded = forward_response(&body, "alias").unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert_eq!(forwarded.body, text.replace("\"mapped\"", "\"alias\""));
    assert_eq!(forwarded.usage.map(|usage| (usage.input, usage.output)), Some((5, 3)));
    for wrong in ["", "[]", "{}", r#"{"type":"error","error":{}}"#, r#"{"type":"error","content":[]}"#] {
        let failure = forward_response(&Bytes::copy_from_slice(wrong.as_bytes()), "alias").unwrap_err();
        assert_eq!(failure.kind, FailureKind::UpstreamInvalidResponse, "{wrong}");
    }
}

#[test]
fn an_error_in_the_guise_of_a_success_is_told_as_what_it_is() {
    let body = Bytes::from_static(br#"{"type":"error","error":{"type":"rate_limit_error","message":"m"}}"#);
    let failure = forward_response(&body, "alias").unwrap_err();
    assert_eq!((failure.kind, failure.message.as_str()), (FailureKind::Upstream(429), "m"));
}

#[test]
fn an_event_that_cannot_be_read_is_not_forwarded_however_late_it_comes() {
    let delta = r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}"#.as_bytes();
    let misspelt: Vec<u8> = delta.iter().map(|byte| if *byte == b'a' { 0xff } else { *byte }).collect();
    for bad in [&delta[..delta.len() - 1], &misspelt] {
        let stream = [b"data: ", delta, b"\n\ndata: ", bad, b"\n\n"].concat();
        let (mut forwarder, mut out) = (Stream::new("alias", "req-1"), BytesMut::new());
        let seen: Vec<Result<Seen, Failure>> =
            frames(&stream, 0).iter().map(|frame| forwarder.forward(frame, &mut out)).collect();
        assert!(seen[0].as_ref().is_ok_and(|seen| seen.content));
        assert!(seen[1].as_ref().is_err_and(|failure| failure.kind == FailureKind::UpstreamStream));
        assert_eq!(out, stream[..stream.len() - bad.len() - 8]);
    }
}

fn run(stream: &str) -> (String, Vec<Seen>, Result<(), Failure>) {
    let mut forwarder = Stream::new("alias", "req-1");
    let mut out = BytesMut::new();
    let seen = frames(stream.as_bytes(), 0).iter().map(|frame| forwarder.forward(frame, &mut out).unwrap()).collect();
    let end = forwarder.finish(&mut out);
    (String::from_utf8(out.to_vec()).unwrap(), seen, end)
}

#[test]
fn a_stream_crosses_to_the_byte_but_for_its_model() {
    let (out, seen, end) = run(STREAM);
    assert_eq!(out, STREAM.replace("\"mapped\"", "\"alias\""));
    assert_eq!(end, Ok(()));
    // Start, block, ping, then the first thought.
    assert_eq!(seen.iter().position(|seen| seen.content), Some(3));
    assert_eq!(seen.iter().filter(|seen| seen.ended).count(), 1);
    assert!(seen.last().is_some_and(|seen| seen.ended));
    let usage: Vec<(u64, u64)> =
        seen.iter().filter_map(|seen| seen.usage).map(|usage| (usage.input, usage.output)).collect();
    assert_eq!(usage, [(100, 1), (140, 50), (140, 50)]);
}

#[test]
fn data_in_several_lines_is_written_in_several_lines() {
    let stream = "event: message_start\ndata: {\"type\":\"message_start\",\ndata: \"message\":{\"model\":\"mapped\",\"id\":\"m\"}}\n\ndata: {\"type\":\"message_stop\"}";
    let (out, _, end) = run(stream);
    assert_eq!(out, format!("{}\n\n", stream.replace("mapped", "alias")));
    assert_eq!(end, Ok(()));
    assert_eq!(named(out.as_bytes())[0].1["message"]["model"], "alias");
}

#[test]
fn an_error_in_the_stream_is_told_and_a_missing_end_is_a_failure() {
    let stream = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow down\"}}\n\n";
    let (out, seen, end) = run(stream);
    assert_eq!((out.as_str(), end), (stream, Ok(())));
    let failed = seen[0].failed.clone().unwrap();
    assert_eq!((failed.kind, failed.message.as_str()), (FailureKind::Upstream(429), "slow down"));
    let (_, seen, end) = run(
        "event: message_stop\ndata: {\"type\":\"content_block_start\",\"content_block\":{\"type\":\"tool_use\",\"name\":\"f\"}}\n\n",
    );
    assert!(seen[0].content);
    assert_eq!(end.unwrap_err().kind, FailureKind::UpstreamStream);
    let broken = frames(b"data: {\n\n", 0);
    let failure = Stream::new("a", "req-1").forward(&broken[0], &mut BytesMut::new()).unwrap_err();
    assert_eq!(failure.kind, FailureKind::UpstreamStream);
}
