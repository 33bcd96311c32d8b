//! What was answered, as text.

use std::collections::VecDeque;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::cut;
use crate::actors::finished::Captured;
use crate::chat::{Block, ChatEvent, ChatRequest, ChatResponse, FinishReason, Operation, Protocol, fold};
use crate::codec;
use crate::sse::{DONE, Frame, Parser};

/// Any request at all: readers of answers want to know what was asked, for the sake of tools.
const ANY: &[u8] = br#"{"model":"any","messages":[{"role":"user","content":"any"}],"max_tokens":1}"#;

/// What was answered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// What was said; of an answer that only calls tools, the calls as JSON.
    pub text: Option<String>,
    /// Why it ended, in the words of Chat Completions; `None` when it did not end by itself.
    pub finish_reason: Option<String>,
}

/// Reads an answer in its client's protocol, also one that is not whole.
pub(super) fn read(captured: &Captured) -> Said {
    let Captured { operation, response, .. } = captured;
    if response.is_empty() {
        return Said::default();
    }
    let is_whole = response.trim_ascii_start().starts_with(b"{");
    let said = match operation {
        Operation::Embeddings | Operation::CountTokens => Said::default(),
        Operation::Completions if is_whole => whole_completion(response),
        Operation::Completions => streamed_completion(response),
        Operation::Generate if is_whole => whole_chat(captured),
        Operation::Generate => streamed_chat(captured),
    };
    let is_cut = response.len() >= Captured::MOST;
    let text = said.text.map(|text| if is_cut { text + &cut::mark_of_rest() } else { text });
    Said { text: text.map(cut::output), ..said }
}

// === Chat, Messages, Responses ===

fn whole_chat(captured: &Captured) -> Said {
    let request = asked(captured);
    let response = request
        .and_then(|request| codec::upstream(captured.protocol).decode_response(&captured.response, &request, "").ok());
    match response {
        Some(response) => Said { finish_reason: Some(word(&response.finish).to_owned()), text: text_of(&response) },
        None => unread(&captured.response),
    }
}

fn streamed_chat(captured: &Captured) -> Said {
    let Some(request) = asked(captured) else {
        return unread(&captured.response);
    };
    let mut decoder = codec::upstream(captured.protocol).stream_decoder(&request, "");
    let mut events = VecDeque::new();
    for frame in frames(&captured.response) {
        // Whatever cannot be read any more: what was read before has been said.
        if decoder.decode(&frame, &mut events).is_err() {
            break;
        }
    }
    let finish_reason = events.iter().find_map(|event| match event {
        ChatEvent::Finished { reason, .. } => Some(word(reason).to_owned()),
        _ => None,
    });
    let said = events.into_iter().filter(|event| !matches!(event, ChatEvent::Failed(_)));
    Said { text: fold(said).ok().and_then(|response| text_of(&response)), finish_reason }
}

/// What was asked, as far as it can be read.
fn asked(captured: &Captured) -> Option<ChatRequest> {
    let own = codec::client(captured.protocol, captured.operation)?.decode_request(&captured.request).ok();
    own.or_else(|| codec::client(Protocol::OpenAiChat, Operation::Generate)?.decode_request(ANY).ok())
}

fn text_of(response: &ChatResponse) -> Option<String> {
    let text: String = response
        .blocks
        .iter()
        .filter_map(|block| match block {
            Block::Text(text) => Some(text.text.as_str()),
            Block::Refusal(text) => Some(text),
            _ => None,
        })
        .collect();
    let calls: Vec<_> = response
        .blocks
        .iter()
        .filter_map(|block| match block {
            Block::ToolCall(call) => Some(json!({"id": call.id, "name": call.name, "arguments": call.arguments})),
            _ => None,
        })
        .collect();
    match (text.is_empty(), calls.is_empty()) {
        (false, _) => Some(text),
        (true, false) => Some(json!({"tool_calls": calls}).to_string()),
        (true, true) => None,
    }
}

const fn word(reason: &FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence(_) => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter | FinishReason::Refusal => "content_filter",
    }
}

// === legacy completions ===

#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    #[serde(default)]
    text: Option<String>,
    finish_reason: Option<String>,
}

fn whole_completion(body: &Bytes) -> Said {
    serde_json::from_slice(body).map_or_else(|_cut| unread(body), |whole: Completion| joined([whole]))
}

fn streamed_completion(body: &Bytes) -> Said {
    let data = frames(body).into_iter().filter_map(|frame| frame.data).filter(|data| data != DONE);
    joined(data.filter_map(|data| serde_json::from_slice(&data).ok()))
}

/// The first of several answers.
fn joined(pieces: impl IntoIterator<Item = Completion>) -> Said {
    let mut said = Said::default();
    for choice in pieces.into_iter().flat_map(|piece| piece.choices).filter(|choice| choice.index == 0) {
        if let Some(text) = choice.text.filter(|text| !text.is_empty()) {
            said.text.get_or_insert_default().push_str(&text);
        }
        said.finish_reason = choice.finish_reason.or(said.finish_reason);
    }
    said
}

// === both ===

fn frames(body: &Bytes) -> Vec<Frame> {
    let mut parser = Parser::new(usize::MAX);
    parser.feed(body);
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = parser.next_frame() {
        frames.push(frame);
    }
    frames
}

/// An answer that cannot be read, such as the beginning of one that was too long, as it is.
fn unread(body: &Bytes) -> Said {
    Said { text: Some(String::from_utf8_lossy(body).into_owned()), finish_reason: None }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::chat::{BlockKind, ClientSide, Delta, Failure, FailureKind};
    use crate::codec::Exchange;

    fn said(protocol: Protocol, operation: Operation, response: &str) -> Said {
        read(&Captured {
            protocol,
            operation,
            headers: Vec::new(),
            request: Bytes::from_static(b"{}"),
            response: Bytes::copy_from_slice(response.as_bytes()),
        })
    }

    fn found(text: Option<&str>, finish_reason: Option<&str>) -> Said {
        Said { text: text.map(str::to_owned), finish_reason: finish_reason.map(str::to_owned) }
    }

    const CHUNK: &str = r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"Hel"}}]}"#;
    const REST: &str = r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"lo"}}]}"#;
    const STOP: &str = r#"data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

    #[test]
    fn whole_answers_are_read_in_every_protocol() {
        use Operation::{Completions, CountTokens, Embeddings, Generate};
        use Protocol::{Anthropic, OpenAiChat, OpenAiResponses};
        for (protocol, operation, body, text, reason) in [
            (
                OpenAiChat,
                Generate,
                r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]}"#,
                Some("Hello"),
                Some("stop"),
            ),
            (
                OpenAiChat,
                Generate,
                r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}"#,
                Some(r#"{"tool_calls":[{"id":"t","name":"f","arguments":"{}"}]}"#),
                Some("tool_calls"),
            ),
            (
                Anthropic,
                Generate,
                r#"{"id":"m","type":"message","role":"assistant","content":[{"type":"thinking","thinking":"Hm","signature":"s"},{"type":"text","text":"Hello"}],"stop_reason":"max_tokens","usage":{"input_tokens":1,"output_tokens":1}}"#,
                Some("Hello"),
                Some("length"),
            ),
            (
                OpenAiResponses,
                Generate,
                r#"{"id":"r","status":"completed","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello","annotations":[]}]}]}"#,
                Some("Hello"),
                Some("stop"),
            ),
            (
                OpenAiChat,
                Completions,
                r#"{"choices":[{"index":0,"text":"Hello","finish_reason":"length"},{"index":1,"text":"no"}]}"#,
                Some("Hello"),
                Some("length"),
            ),
            (OpenAiChat, Embeddings, r#"{"data":[{"embedding":[1]}]}"#, None, None),
            (Anthropic, CountTokens, r#"{"input_tokens":3}"#, None, None),
        ] {
            assert_eq!(said(protocol, operation, body), found(text, reason), "{body}");
        }
    }

    #[test]
    fn streams_are_read_as_far_as_they_came() {
        let chat = |stream: String| said(Protocol::OpenAiChat, Operation::Generate, &stream);
        assert_eq!(
            chat(format!("{CHUNK}\n\n: keepalive\n\n{REST}\n\n{STOP}\n\ndata: [DONE]\n\n")),
            found(Some("Hello"), Some("stop"))
        );
        assert_eq!(chat(format!("{CHUNK}\n\n{REST}\n\ndata: {{\"id")), found(Some("Hello"), None));
        let error = r#"data: {"error":{"message":"no","type":"x","param":null,"code":null}}"#;
        assert_eq!(chat(format!("{CHUNK}\n\n{error}\n\n")), found(Some("Hel"), None));
        let text = |text: &str| {
            format!("data: {{\"choices\":[{{\"index\":0,\"text\":\"{text}\",\"finish_reason\":null}}]}}\n\n")
        };
        let completions = said(Protocol::OpenAiChat, Operation::Completions, &(text("Hel") + &text("lo")));
        assert_eq!(completions, found(Some("Hello"), None));
    }

    /// A thought, some words and a call, as they come from any provider.
    fn events() -> Vec<ChatEvent> {
        let block = |index, kind, delta| {
            let delta = ChatEvent::Delta { index, delta };
            [ChatEvent::BlockStarted { index, kind }, delta, ChatEvent::BlockEnded { index }]
        };
        let call = BlockKind::ToolCall { id: "t".to_owned(), name: "f".to_owned(), custom: false };
        let blocks = [
            block(0, BlockKind::Reasoning, Delta::Text("Hm".to_owned())),
            block(1, BlockKind::Text, Delta::Text("Hello".to_owned())),
            block(2, call, Delta::Arguments("{}".to_owned())),
        ];
        let reason = FinishReason::Length;
        let end = ChatEvent::Finished { reason, usage: None, service_tier: None };
        [ChatEvent::Started { id: None, usage: None }]
            .into_iter()
            .chain(blocks.into_iter().flatten())
            .chain([end])
            .collect()
    }

    #[test]
    fn what_we_write_for_clients_is_read_in_every_protocol_whole_or_streamed() {
        use Operation::{Completions, Generate};
        use Protocol::{Anthropic, OpenAiChat, OpenAiResponses};
        let exchange = Exchange {
            model: "m".to_owned(),
            provider: "p".into(),
            request_id: "r".to_owned(),
            created: 7,
            include_usage: true,
            client: ClientSide::default(),
        };
        for (protocol, operation) in
            [(OpenAiChat, Generate), (Anthropic, Generate), (OpenAiResponses, Generate), (OpenAiChat, Completions)]
        {
            let client = codec::client(protocol, operation).unwrap();
            let whole = client.encode_response(&fold(events()).unwrap(), &exchange);
            let mut encoder = client.stream_encoder(&exchange);
            let mut stream = BytesMut::new();
            events().iter().for_each(|event| encoder.encode(event, &mut stream));
            for body in [&whole[..], &stream[..]] {
                let body = std::str::from_utf8(body).unwrap();
                assert_eq!(said(protocol, operation, body), found(Some("Hello"), Some("length")), "{body}");
            }
            // Left, or broken, in the middle of its words.
            let mut encoder = client.stream_encoder(&exchange);
            let mut stream = BytesMut::new();
            events().iter().take(6).for_each(|event| encoder.encode(event, &mut stream));
            let left = String::from_utf8(stream.to_vec()).unwrap();
            assert_eq!(said(protocol, operation, &left), found(Some("Hello"), None), "{left}");
            encoder.fail(&Failure::new(FailureKind::UpstreamStream, "it broke"), &mut stream);
            let broken = String::from_utf8(stream.to_vec()).unwrap();
            assert_eq!(said(protocol, operation, &broken), found(Some("Hello"), None), "{broken}");
        }
    }

    #[test]
    fn an_answer_that_was_too_long_to_keep_is_told_as_far_as_it_was_kept() {
        let mut stream = format!("{CHUNK}\n\n");
        while stream.len() < Captured::MOST {
            stream.push_str(": keepalive\n\n");
        }
        let told = said(Protocol::OpenAiChat, Operation::Generate, &stream[..Captured::MOST]).text.unwrap();
        assert_eq!(told, format!("Hel{}", cut::mark_of_rest()));
        let whole = format!(r#"{{"choices":[{{"message":{{"content":"{}"#, "a".repeat(Captured::MOST));
        let told = said(Protocol::OpenAiChat, Operation::Generate, &whole[..Captured::MOST]).text.unwrap();
        assert!(told.starts_with(r#"{"choices":"#) && told.len() < Captured::MOST, "{}", told.len());
    }
}
