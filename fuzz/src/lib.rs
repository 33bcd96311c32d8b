//! What the fuzz targets do with their bytes. Besides not panicking, what is read must be written
//! again as something that can be read.
//!
//! The modules that read foreign bytes are pure, so they are built here alone: a build with the
//! fuzzer's instrumentation takes a minute instead of the whole proxy's many.

#[path = "../../src/chat/mod.rs"]
pub mod chat;
#[path = "../../src/codec/mod.rs"]
pub mod codec;
#[path = "../../src/sse/mod.rs"]
pub mod sse;

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use crate::chat::{ChatEvent, ChatRequest, Target, ThinkingStyle, fold};
use crate::codec::anthropic::Anthropic;
use crate::codec::openai_chat::OpenAiChat;
use crate::codec::openai_responses::OpenAiResponses;
use crate::codec::{Codec, Exchange};
use crate::sse::{Frame, Parser};

const CODECS: [&dyn Codec; 3] = [&OpenAiChat, &Anthropic, &OpenAiResponses];
const LIMIT: usize = 1 << 20;

/// Frames do not depend on how their bytes were cut, and hold all of them.
pub fn frames_of(data: &[u8]) {
    let Some((cut, stream)) = data.split_first() else {
        return;
    };
    let whole = frames(stream, stream.len());
    assert_eq!(frames(stream, usize::from(*cut)), whole);
    assert_eq!(frames(stream, 1), whole);
}

fn frames(stream: &[u8], piece: usize) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
    let mut parser = Parser::new(LIMIT);
    let mut frames: Vec<Frame> = Vec::new();
    for piece in stream.chunks(piece.max(1)) {
        parser.feed(piece);
        while let Some(frame) = parser.next_frame().expect("it is smaller than the limit") {
            frames.push(frame);
        }
    }
    frames.extend(parser.finish());
    let said = frames.into_iter().map(|frame| (frame.event.to_vec(), frame.data.map(|data| data.to_vec())));
    // Where a CR stood at the end of a piece, its LF makes an empty frame more.
    said.filter(|(event, data)| !event.is_empty() || data.is_some()).collect()
}

/// A client's request: peeked at, forwarded, decoded, and encoded for every provider.
pub fn request(codec: &dyn Codec, data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    if let Ok(peek) = codec.peek(&body) {
        let forwarded = codec.forward_request(&body, &peek, "other \"name\"", true);
        let again = codec.peek(&forwarded).expect("what is forwarded can be read");
        assert_eq!((again.model.as_str(), again.stream), ("other \"name\"", peek.stream));
    }
    let Ok(chat) = codec.decode_request(data) else {
        return;
    };
    for upstream in CODECS {
        for style in [ThinkingStyle::Adaptive, ThinkingStyle::Budget] {
            if let Ok(encoded) = upstream.encode_request(&chat, &target(style)) {
                upstream.peek(&encoded.body).expect("what is encoded can be read");
                let _ = upstream.decode_request(&encoded.body).map_err(|failure| assert_eq!(failure.status(), 400));
            }
        }
    }
}

fn target(thinking_style: ThinkingStyle) -> Target<'static> {
    Target {
        model: "m",
        provider: "p",
        max_tokens_field: "max_tokens",
        thinking_style,
        inject_usage: true,
        max_output_tokens: None,
        supports_response_schema: true,
        default_max_tokens: 4096,
    }
}

/// A provider's answer, as a stream, as a whole and as an error.
pub fn stream(codec: &dyn Codec, data: &[u8]) {
    let asked = asked();
    for status in [200, 400, 529] {
        let _ = codec.decode_error(status, data);
    }
    let _ = codec.is_error_body(data);
    let _ = codec.forward_response(&Bytes::copy_from_slice(data), "m");
    forward(codec, data);
    if let Ok(response) = codec.decode_response(data, &asked, "p") {
        for client in CODECS {
            let exchange = exchange(&asked);
            let body = client.encode_response(&response, &exchange);
            client.decode_response(&body, &asked, "p").expect("what is encoded can be read");
        }
    }
    let events = events(codec, data, &asked);
    check_order(&events);
    for client in CODECS {
        let mut out = BytesMut::new();
        let mut encoder = client.stream_encoder(&exchange(&asked));
        for event in &events {
            match event {
                ChatEvent::Failed(failure) => encoder.fail(failure, &mut out),
                event => encoder.encode(event, &mut out),
            }
        }
        let again = self::events(client, &out, &asked);
        check_order(&again);
        if matches!(events.last(), Some(ChatEvent::Finished { .. })) {
            fold(again.clone()).expect("an answer stays an answer");
            assert!(matches!(again.last(), Some(ChatEvent::Finished { .. })), "{again:?}");
        }
    }
}

fn forward(codec: &dyn Codec, data: &[u8]) {
    let body = Bytes::from_static(br#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"input":"x","stream":true}"#);
    let peek = codec.peek(&body).expect("it has all that is required");
    let (mut stream, mut out, mut parser) = (codec.forward_stream(&peek, "r"), BytesMut::new(), Parser::new(LIMIT));
    parser.feed(data);
    while let Ok(Some(frame)) = parser.next_frame() {
        if let Err(failure) = stream.forward(&frame, &mut out) {
            return stream.fail(&failure, &mut out);
        }
    }
    let _ = stream.finish(&mut out);
}

/// What a stream says until it ends or fails.
fn events(codec: &dyn Codec, data: &[u8], asked: &ChatRequest) -> Vec<ChatEvent> {
    let (mut decoder, mut parser) = (codec.stream_decoder(asked, "p"), Parser::new(LIMIT));
    let mut out = VecDeque::new();
    parser.feed(data);
    while let Ok(Some(frame)) = parser.next_frame() {
        if decoder.decode(&frame, &mut out).is_err() {
            return out.into();
        }
    }
    if let Some(frame) = parser.finish() {
        if decoder.decode(&frame, &mut out).is_err() {
            return out.into();
        }
    }
    let _ = decoder.finish(&mut out);
    out.into()
}

/// Blocks follow each other without gaps, and nothing follows the end.
fn check_order(events: &[ChatEvent]) {
    let (mut open, mut next, mut over) = (None, 0, false);
    for (place, event) in events.iter().enumerate() {
        assert!(!over, "{events:?}");
        match event {
            ChatEvent::Started { .. } => assert_eq!((open, next), (None, 0), "{place}"),
            ChatEvent::BlockStarted { index, .. } => {
                assert_eq!((open.replace(*index), *index), (None, next));
                next += 1;
            }
            ChatEvent::Delta { index, .. } => assert_eq!(open, Some(*index)),
            ChatEvent::BlockEnded { index } => assert_eq!(open.take(), Some(*index)),
            ChatEvent::Finished { .. } => {
                assert_eq!(open, None);
                over = true;
            }
            ChatEvent::Failed(_) => over = true,
            ChatEvent::Ping => {}
        }
    }
}

fn asked() -> ChatRequest {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[
        {"type":"function","function":{"name":"f"}},{"type":"custom","custom":{"name":"c"}}]}"#;
    crate::codec::ClientCodec::decode_request(&OpenAiChat, body).expect("it is a request")
}


fn exchange(asked: &ChatRequest) -> Exchange {
    Exchange {
        model: "m".to_owned(),
        provider: Arc::from("p"),
        request_id: "r".to_owned(),
        created: 1,
        include_usage: true,
        client: asked.client.clone(),
    }
}
