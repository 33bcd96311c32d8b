//! What holds for every golden case and for answers nobody wrote down.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be read shall fail")]

#[path = "golden/support.rs"]
mod support;

use bytes::{Bytes, BytesMut};
use llm_proxy::chat::{
    Block, BlockKind, ChatEvent, ChatResponse, Citation, Delta, FinishReason, Opaque, OpaqueKind, Protocol, Reasoning,
    Text, ToolCall, Usage, fold,
};
use llm_proxy::codec::Codec;
use llm_proxy::sse::{Frame, Parser};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;
use support::{PROTOCOLS, PROVIDER, asked, cases, encoded, events, exchange, target};

const KINDS: [&str; 4] = ["requests", "responses", "streams", "errors"];

fn frames<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<(Bytes, Option<Bytes>)> {
    let (mut parser, mut frames): (_, Vec<Frame>) = (Parser::new(1 << 20), Vec::new());
    for piece in pieces {
        parser.feed(piece);
        while let Some(frame) = parser.next_frame().unwrap() {
            frames.push(frame);
        }
    }
    frames.extend(parser.finish());
    let said = frames.into_iter().map(|frame| (frame.event, frame.data));
    // The LF of a CRLF that was cut is a frame without anything.
    said.filter(|(event, data)| !event.is_empty() || data.is_some()).collect()
}

#[test]
fn a_stream_cut_at_any_byte_says_the_same() {
    for (protocol, codec) in PROTOCOLS {
        for case in cases(protocol, "streams") {
            let whole = frames([case.bytes.as_slice()]);
            for cut in 0..case.bytes.len() {
                let (before, after) = case.bytes.split_at(cut);
                assert_eq!(frames([before, after]), whole, "{} cut at {cut}", case.path.display());
            }
            let asked = asked(codec);
            let whole = events(codec, &asked, [case.bytes.as_slice()]);
            assert_eq!(events(codec, &asked, case.bytes.chunks(1)), whole, "{protocol} {}", case.name);
        }
    }
}

#[test]
fn a_stream_adds_up_to_the_whole_answer_of_the_same_name() {
    let mut pairs = 0;
    for (protocol, codec) in PROTOCOLS {
        let (asked, wholes) = (asked(codec), cases(protocol, "responses"));
        for stream in cases(protocol, "streams") {
            let Some(whole) = wholes.iter().find(|whole| whole.name == stream.name) else { continue };
            let whole = codec.decode_response(&whole.bytes, &asked, PROVIDER).unwrap();
            let (events, broke) = events(codec, &asked, [stream.bytes.as_slice()]);
            assert_eq!(broke, None);
            let streamed = fold(events).unwrap();
            assert_eq!(
                same_json(streamed),
                same_json(ChatResponse { lost: Vec::new(), ..whole }),
                "{protocol} {}",
                stream.name
            );
            pairs += 1;
        }
    }
    assert!(pairs >= 40, "{pairs} pairs");
}

#[test]
fn blocks_come_one_after_the_other_and_sources_after_their_text() {
    for (protocol, codec) in PROTOCOLS {
        for case in cases(protocol, "streams") {
            let (mut open, mut next, mut cited) = (None, 0, false);
            for event in events(codec, &asked(codec), [case.bytes.as_slice()]).0 {
                match event {
                    ChatEvent::BlockStarted { index, .. } => {
                        assert_eq!((open.replace(index), index), (None, next), "{protocol} {}", case.name);
                        (next, cited) = (next + 1, false);
                    }
                    ChatEvent::Delta { index, delta } => {
                        assert_eq!(open, Some(index), "{protocol} {}", case.name);
                        assert!(!cited || matches!(delta, Delta::Citation(_)), "{protocol} {}", case.name);
                        cited |= matches!(delta, Delta::Citation(_));
                    }
                    ChatEvent::BlockEnded { index } => assert_eq!(open.take(), Some(index)),
                    ChatEvent::Finished { .. } => assert_eq!(open, None),
                    ChatEvent::Started { .. } | ChatEvent::Failed(_) | ChatEvent::Ping => {}
                }
            }
        }
    }
}

/// Arguments without the white space that a server may put between their parts.
fn same_json(mut answer: ChatResponse) -> ChatResponse {
    for block in &mut answer.blocks {
        if let Block::ToolCall(call) = block
            && let (false, Ok(value)) = (call.custom, serde_json::from_str::<Value>(&call.arguments))
        {
            call.arguments = value.to_string();
        }
    }
    answer
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ]{1,8}",
        "\\PC{1,6}",
        select(vec!["é", "🏔️", "\n\n", "data: [DONE]", "\u{2028}", "\"\\"]).prop_map(str::to_owned)
    ]
}

fn opaque() -> impl Strategy<Value = Opaque> {
    let kind = select(vec![OpaqueKind::Signature, OpaqueKind::Redacted, OpaqueKind::Encrypted]);
    let protocol = select(vec![Protocol::OpenAiChat, Protocol::Anthropic, Protocol::OpenAiResponses]);
    (kind, protocol, "[a-z]{1,5}").prop_map(|(kind, protocol, data)| Opaque {
        kind,
        protocol,
        provider: PROVIDER.to_owned(),
        data,
    })
}

fn block() -> impl Strategy<Value = Block> {
    let cited = (0_u64..3, 3_u64..6).prop_map(Some).boxed();
    let citation = (word(), word(), prop_oneof![Just(None).boxed(), cited]).prop_map(|(url, title, span)| Citation {
        url,
        title,
        span,
    });
    let arguments = prop_oneof![
        Just(String::new()),
        Just("{}".to_owned()),
        word().prop_map(|text| serde_json::json!({ "a": text, "n": [1, {}] }).to_string()),
        Just("{\"cut\": \"sho".to_owned()),
    ];
    let call = ("[a-z_:]{1,6}", arguments).prop_map(|(id, arguments)| (id, "weather".to_owned(), arguments, false));
    let custom = ("[a-z_:]{1,6}", word()).prop_map(|(id, text)| (id, "note".to_owned(), text, true));
    prop_oneof![
        (word(), vec(citation, 0..2)).prop_map(|(text, citations)| Block::Text(Text { text, citations })),
        (word(), opaque()).prop_map(|(text, opaque)| Block::Reasoning(Reasoning { text, opaque: Some(opaque) })),
        // In the middle of a Chat stream a signature without text is taken for a stray one.
        opaque().prop_filter_map("signs nothing", |opaque| {
            let is_state = opaque.kind != OpaqueKind::Signature;
            is_state.then(|| Block::Reasoning(Reasoning { text: String::new(), opaque: Some(opaque) }))
        }),
        word().prop_map(Block::Refusal),
        prop_oneof![call, custom].prop_map(|(id, name, arguments, custom)| Block::ToolCall(ToolCall {
            id,
            name,
            arguments,
            custom
        })),
    ]
}

fn answer() -> impl Strategy<Value = ChatResponse> {
    let usage = (0_u64..50, 0_u64..50, 0_u64..50, 0_u64..50, 0_u64..50).prop_map(
        |(rest, cache_read, cache_write, output, reasoning)| Usage {
            input: rest + cache_read + cache_write,
            cache_read,
            cache_write,
            output,
            reasoning: reasoning.min(output),
            estimated: false,
        },
    );
    let finish = prop_oneof![3 => Just(None), 1 => Just(Some(FinishReason::Length)), 1 => Just(Some(FinishReason::ContentFilter))];
    let tier = proptest::option::of(Just("default".to_owned()));
    // Reasoning has state in all blocks of an answer or, where a provider has none, in no block.
    let blocks = (vec(block(), 0..5), any::<bool>()).prop_map(|(mut blocks, has_state)| {
        blocks.retain_mut(|block| match block {
            Block::Reasoning(reasoning) if !has_state => {
                reasoning.opaque = None;
                !reasoning.text.is_empty()
            }
            _ => true,
        });
        blocks
    });
    (blocks, finish, proptest::option::of(usage), tier).prop_map(|(blocks, finish, usage, service_tier)| {
        let has = |test: fn(&Block) -> bool| blocks.iter().any(test);
        let natural = if has(|block| matches!(block, Block::ToolCall(_))) {
            FinishReason::ToolCalls
        } else if has(|block| matches!(block, Block::Refusal(_))) {
            FinishReason::Refusal
        } else {
            FinishReason::Stop
        };
        ChatResponse { id: None, finish: finish.unwrap_or(natural), blocks, usage, service_tier, lost: Vec::new() }
    })
}

/// The same answer as a stream, its texts in pieces of `size` characters.
fn streamed(answer: &ChatResponse, size: usize) -> Vec<ChatEvent> {
    let pieces = |text: &str| {
        let characters: Vec<char> = text.chars().collect();
        characters.chunks(size).map(|piece| piece.iter().collect()).collect::<Vec<String>>()
    };
    let mut events = vec![ChatEvent::Started { id: None, usage: None }];
    for (index, block) in answer.blocks.iter().enumerate() {
        let (kind, deltas): (_, Vec<Delta>) = match block {
            Block::Text(text) => {
                let sources = text.citations.iter().cloned().map(Delta::Citation);
                (BlockKind::Text, pieces(&text.text).into_iter().map(Delta::Text).chain(sources).collect())
            }
            Block::Reasoning(block) => {
                let state = block.opaque.iter().cloned().map(Delta::Opaque);
                (BlockKind::Reasoning, pieces(&block.text).into_iter().map(Delta::Text).chain(state).collect())
            }
            Block::Refusal(text) => (BlockKind::Refusal, pieces(text).into_iter().map(Delta::Text).collect()),
            Block::ToolCall(ToolCall { id, name, arguments, custom }) => (
                BlockKind::ToolCall { id: id.clone(), name: name.clone(), custom: *custom },
                pieces(arguments).into_iter().map(Delta::Arguments).collect(),
            ),
            other => panic!("{other:?}"),
        };
        events.push(ChatEvent::BlockStarted { index, kind });
        events.extend(deltas.into_iter().map(|delta| ChatEvent::Delta { index, delta }));
        events.push(ChatEvent::BlockEnded { index });
    }
    let (reason, service_tier) = (answer.finish.clone(), answer.service_tier.clone());
    events.push(ChatEvent::Finished { reason, usage: answer.usage, service_tier });
    events
}

/// What of an answer a protocol carries.
fn carried(protocol: Protocol, whole: bool, answer: &ChatResponse) -> ChatResponse {
    let mut carried = answer.clone();
    for block in &mut carried.blocks {
        match block {
            Block::Text(text) => {
                let length = u64::try_from(text.text.chars().count()).unwrap();
                text.citations.iter_mut().for_each(|citation| {
                    citation.span = match protocol {
                        Protocol::Anthropic => None,
                        _ => citation.span.or(Some((0, length))),
                    };
                });
            }
            Block::Refusal(text) if protocol == Protocol::Anthropic => {
                *block = Block::Text(Text { text: text.clone(), citations: Vec::new() });
            }
            Block::ToolCall(call) => {
                if call.arguments.is_empty() && !call.custom {
                    call.arguments = "{}".to_owned();
                }
                if protocol == Protocol::Anthropic {
                    call.id = call.id.replace(':', "_");
                    let is_cut = !call.custom && serde_json::from_str::<Value>(&call.arguments).is_err();
                    if is_cut && whole {
                        call.arguments = serde_json::json!({ "_raw": call.arguments }).to_string();
                    }
                }
            }
            _ => {}
        }
    }
    if protocol == Protocol::Anthropic {
        carried.service_tier = None;
        carried.usage = Some(Usage { reasoning: 0, ..answer.usage.unwrap_or_default() });
        if carried.finish == FinishReason::ContentFilter {
            carried.finish = FinishReason::Refusal;
        }
    }
    if protocol == Protocol::OpenAiChat {
        carried.blocks = in_chat_order(&carried.blocks);
    }
    carried
}

/// A Chat message has one place for each kind: reasoning, text, refusal, calls.
fn in_chat_order(blocks: &[Block]) -> Vec<Block> {
    let (mut reasoning, mut states, mut text, mut refusal, mut calls) =
        (Vec::new(), Vec::new(), Text::default(), String::new(), Vec::new());
    for block in blocks {
        match block {
            Block::Reasoning(block) => {
                reasoning.extend(Some(block.text.clone()).filter(|text| !text.is_empty()));
                states.extend(block.opaque.clone());
            }
            Block::Text(more) => {
                let start = u64::try_from(text.text.chars().count()).unwrap();
                text.text.push_str(&more.text);
                text.citations.extend(more.citations.iter().cloned().map(|citation| Citation {
                    span: citation.span.map(|(from, to)| (start + from, start + to)),
                    ..citation
                }));
            }
            Block::Refusal(more) => refusal.push_str(more),
            other => calls.push(other.clone()),
        }
    }
    let mut all = vec![Block::Reasoning(Reasoning { text: reasoning.concat(), opaque: None })];
    all.extend(
        states.into_iter().map(|opaque| Block::Reasoning(Reasoning { text: String::new(), opaque: Some(opaque) })),
    );
    all.extend([Block::Text(text), Block::Refusal(refusal)]);
    all.extend(calls);
    all
}

/// What was read back, with the state that other protocols packed.
fn read_back(protocol: Protocol, answer: ChatResponse) -> ChatResponse {
    let mut answer = ChatResponse { id: None, ..answer };
    for block in &mut answer.blocks {
        if let Block::Reasoning(block) = block {
            block.opaque = block.opaque.take().and_then(|opaque| {
                let entry: Option<Value> = serde_json::from_str(&opaque.data).ok();
                let entry = entry.as_ref().and_then(|entry| entry.get("signature").or(entry.get("data"))?.as_str());
                Opaque::unpack(entry.unwrap_or(&opaque.data))
            });
        }
    }
    if protocol == Protocol::OpenAiChat {
        answer.blocks = in_chat_order(&answer.blocks);
    }
    answer
}

/// Chat writes a break between reasoning blocks, which is no reasoning.
fn without_breaks(mut answer: ChatResponse) -> ChatResponse {
    for block in &mut answer.blocks {
        if let Block::Reasoning(block) = block {
            block.text = block.text.replace('\n', "");
        }
    }
    same_json(answer)
}

fn without_spans(answer: &mut ChatResponse) {
    for block in &mut answer.blocks {
        if let Block::Text(text) = block {
            text.citations.iter_mut().for_each(|citation| citation.span = None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_protocol_gives_back_what_it_can_carry(answer in answer(), size in 1_usize..6) {
        for (name, codec) in PROTOCOLS {
            // Only a request of OpenAI's protocols declares a free-text tool.
            let (protocol, asked, exchange) = (codec.protocol(), asked(PROTOCOLS[0].1), exchange(&asked(codec)));
            let whole = codec.decode_response(&codec.encode_response(&answer, &exchange), &asked, PROVIDER).unwrap();
            let expected = carried(protocol, true, &answer);
            prop_assert_eq!(without_breaks(read_back(protocol, whole)), without_breaks(expected), "{} whole", name);

            let stream = encoded(codec, &exchange, &streamed(&answer, size), None);
            let (events, broke) = events(codec, &asked, [&stream[..]]);
            prop_assert_eq!(broke, None);
            let (mut read, mut expected) = (read_back(protocol, fold(events).unwrap()), carried(protocol, false, &answer));
            if protocol == Protocol::OpenAiChat {
                // Spans count from the start of the content, which may have come as several blocks.
                without_spans(&mut read);
                without_spans(&mut expected);
            }
            prop_assert_eq!(without_breaks(read), without_breaks(expected), "{} streamed", name);
        }
    }

    #[test]
    fn no_bytes_make_a_codec_panic(bytes in vec(any::<u8>(), 0..200)) {
        for (_, codec) in PROTOCOLS {
            try_everything(codec, &bytes);
        }
    }

    #[test]
    fn no_damage_to_a_golden_case_makes_a_codec_panic(
        case in any::<Index>(),
        damage in vec((any::<Index>(), prop_oneof![Just(None), any::<u8>().prop_map(Some), select(b"{}[]\",:0-n\n\\".to_vec()).prop_map(Some)]), 1..4),
    ) {
        let all = every_file();
        let mut bytes = all[case.index(all.len())].clone();
        for (place, with) in damage.iter().filter(|_| !bytes.is_empty()).collect::<Vec<_>>() {
            if bytes.is_empty() { break; }
            let place = place.index(bytes.len());
            match with {
                Some(byte) => bytes[place] = *byte,
                None => { bytes.remove(place); }
            }
        }
        for (_, codec) in PROTOCOLS {
            try_everything(codec, &bytes);
        }
    }
}

fn every_file() -> &'static [Vec<u8>] {
    static FILES: std::sync::OnceLock<Vec<Vec<u8>>> = std::sync::OnceLock::new();
    FILES.get_or_init(|| {
        let folders = PROTOCOLS.into_iter().flat_map(|(protocol, _)| KINDS.map(|kind| (protocol, kind)));
        folders.flat_map(|(protocol, kind)| cases(protocol, kind)).map(|case| case.bytes).collect()
    })
}

/// Everything that reads bytes of others.
fn try_everything(codec: &dyn Codec, data: &[u8]) {
    let (body, asked) = (Bytes::copy_from_slice(data), asked(codec));
    if let Ok(peek) = codec.peek(&body) {
        let forwarded = codec.forward_request(&body, &peek, "other", true);
        assert_eq!(codec.peek(&forwarded).unwrap().model, "other");
    }
    if let Ok(request) = codec.decode_request(data) {
        for (_, upstream) in PROTOCOLS {
            if let Ok(encoded) = upstream.encode_request(&request, &target("other")) {
                upstream.peek(&encoded.body).unwrap();
            }
        }
    }
    let _ = codec.decode_response(data, &asked, PROVIDER);
    let _ = codec.forward_response(&body, "other");
    let _ = (codec.is_error_body(data), codec.decode_error(500, data));
    let (events, broke) = events(codec, &asked, [data]);
    for (_, client) in PROTOCOLS {
        encoded(client, &exchange(&asked), &events, broke.as_ref());
    }
    forward(codec, data);
}

fn forward(codec: &dyn Codec, data: &[u8]) {
    let whole = Bytes::from_static(br#"{"model":"m","max_tokens":1,"messages":[],"input":"x","stream":true}"#);
    let (mut parser, mut out) = (Parser::new(1 << 20), BytesMut::new());
    let mut stream = codec.forward_stream(&codec.peek(&whole).unwrap(), "req-1");
    parser.feed(data);
    while let Ok(Some(frame)) = parser.next_frame() {
        if let Err(failure) = stream.forward(&frame, &mut out) {
            return stream.fail(&failure, &mut out);
        }
    }
    if let Err(failure) = stream.finish(&mut out) {
        stream.fail(&failure, &mut out);
    }
}
