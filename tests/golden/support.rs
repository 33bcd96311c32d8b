//! The golden cases and how an exchange runs over them.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::BytesMut;
use llm_proxy::chat::{ChatEvent, ChatRequest, Failure, Target, ThinkingStyle};
use llm_proxy::codec::anthropic::Anthropic;
use llm_proxy::codec::openai_chat::OpenAiChat;
use llm_proxy::codec::openai_responses::OpenAiResponses;
use llm_proxy::codec::{Codec, Exchange};
use llm_proxy::sse::Parser;

/// The key of the provider in every case.
pub const PROVIDER: &str = "acme";

/// A protocol and its folder.
pub const PROTOCOLS: [(&str, &dyn Codec); 3] =
    [("openai_chat", &OpenAiChat), ("anthropic", &Anthropic), ("openai_responses", &OpenAiResponses)];

/// One file to translate.
pub struct Case {
    /// Where it is.
    pub path: PathBuf,
    /// Its name without the extension.
    pub name: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// All files of a protocol's folder, snapshots included, by name.
pub fn files(protocol: &str, kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(protocol).join(kind);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The cases of a protocol's folder, by name.
pub fn cases(protocol: &str, kind: &str) -> Vec<Case> {
    let cases = files(protocol, kind).into_iter().filter(|path| path.extension().is_some_and(|ext| ext != "snap"));
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        Case { name, bytes: fs::read(&path).unwrap(), path }
    };
    cases.map(read).collect()
}

/// What the client asked that the answers belong to: one function and one free-text tool.
pub fn asked(client: &dyn Codec) -> ChatRequest {
    let name = PROTOCOLS.iter().find(|(_, codec)| codec.protocol() == client.protocol()).unwrap().0;
    client
        .decode_request(&fs::read(files(name, "requests").iter().find(|p| p.ends_with("asked.json")).unwrap()).unwrap())
        .unwrap()
}

/// The exchange of a client that asked that.
pub fn exchange(asked: &ChatRequest) -> Exchange {
    Exchange {
        model: "client-model".to_owned(),
        provider: Arc::from(PROVIDER),
        request_id: "req-1".to_owned(),
        created: 1_700_000_000,
        include_usage: true,
        client: asked.client.clone(),
    }
}

/// A provider that calls the model `model`.
pub const fn target(model: &str) -> Target<'_> {
    Target {
        model,
        provider: PROVIDER,
        max_tokens_field: "max_completion_tokens",
        thinking_style: ThinkingStyle::Auto,
        inject_usage: true,
        max_output_tokens: None,
        supports_response_schema: true,
        default_max_tokens: 4096,
    }
}

/// What a stream that comes in the given pieces says, and how it broke.
pub fn events<'p>(
    upstream: &dyn Codec,
    asked: &ChatRequest,
    pieces: impl IntoIterator<Item = &'p [u8]>,
) -> (Vec<ChatEvent>, Option<Failure>) {
    let (mut decoder, mut parser) = (upstream.stream_decoder(asked, PROVIDER), Parser::new(1 << 20));
    let mut out = VecDeque::new();
    let read = || {
        for piece in pieces {
            parser.feed(piece);
            while let Some(frame) = parser.next_frame().unwrap() {
                decoder.decode(&frame, &mut out)?;
            }
        }
        if let Some(frame) = parser.finish() {
            decoder.decode(&frame, &mut out)?;
        }
        decoder.finish(&mut out)
    };
    let broke = read().err();
    (out.into(), broke)
}

/// What a client gets of that.
pub fn encoded(client: &dyn Codec, exchange: &Exchange, events: &[ChatEvent], broke: Option<&Failure>) -> BytesMut {
    let (mut encoder, mut out) = (client.stream_encoder(exchange), BytesMut::new());
    for event in events {
        match event {
            ChatEvent::Failed(failure) => encoder.fail(failure, &mut out),
            event => encoder.encode(event, &mut out),
        }
    }
    if let Some(failure) = broke {
        encoder.fail(failure, &mut out);
    }
    out
}
