//! Usage that a provider did not send, or not yet when its stream ended.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::Endpoint;
use crate::actors::tokenizer::{Tokenizer, count_for_record, count_usage};
use crate::chat::{Block, BlockKind, ChatEvent, ChatRequest, Countable, Delta, Operation, Usage};
use crate::codec::Heard;

/// Counts tokens off the event loop; `None` when they cannot be counted.
pub(super) type Counting = Pin<Box<dyn Future<Output = Option<Usage>>>>;

/// What was asked and what has been said: all that it takes to count.
#[derive(Clone)]
pub(super) struct Tally {
    tokenizer: Tokenizer,
    /// Whose vocabulary counts.
    model: Arc<str>,
    asked: Asked,
    said: Heard,
}

/// What was asked.
#[derive(Clone)]
pub(super) enum Asked {
    /// A chat.
    Chat(Arc<ChatRequest>),
    /// A client's body, not read yet.
    Body(Endpoint, Bytes),
    /// The provider has told how many tokens it has.
    Counted,
}

// === impl Tally ===

impl Tally {
    /// Nothing has been said yet.
    pub(super) fn new(tokenizer: &Tokenizer, model: &Arc<str>, asked: Asked) -> Self {
        Self { tokenizer: tokenizer.clone(), model: Arc::clone(model), asked, said: Heard::default() }
    }

    /// This has been said.
    pub(super) fn said(self, said: Heard) -> Self {
        Self { said, ..self }
    }

    /// The provider has told how many tokens were asked, so nobody has to count them.
    pub(super) fn input_is_known(&mut self) {
        self.asked = Asked::Counted;
    }

    /// Takes in one step of a stream.
    pub(super) fn hear(&mut self, event: &ChatEvent) {
        match event {
            ChatEvent::Delta { delta: Delta::Text(text) | Delta::Arguments(text), .. }
            | ChatEvent::BlockStarted { kind: BlockKind::ToolCall { name: text, .. }, .. } => {
                self.said.hear(0, text.as_bytes());
            }
            _ => {}
        }
    }

    /// Counts for a client that waits for it, off the event loop.
    pub(super) fn count(self) -> Counting {
        let Self { tokenizer, model, asked, said } = self;
        Box::pin(async move { count_usage(&tokenizer, &model, || (asked.read(), said.into())).await })
    }

    /// The same of a whole answer.
    pub(super) async fn count_answer(self, blocks: &[Block]) -> Option<Usage> {
        let Self { tokenizer, model, asked, .. } = self;
        let said = Countable::from_blocks(blocks);
        count_usage(&tokenizer, &model, || (asked.read(), said)).await
    }

    /// Counts for the record of a request that has ended; `then` is called in any case, once.
    pub(super) fn count_for_record(self, then: impl FnOnce(Option<Usage>) + Send + 'static) {
        let Self { tokenizer, model, asked, said } = self;
        count_for_record(&tokenizer, &model, || (asked.read(), said.into()), then);
    }
}

// === impl Asked ===

impl Asked {
    fn read(self) -> Countable {
        match self {
            Self::Chat(chat) => Countable::from(&*chat),
            Self::Body(endpoint, body) => {
                let chat = endpoint.client().and_then(|client| client.decode_request(&body));
                chat.map_or_else(|_foreign| texts_of(&body), |chat| Countable::from(&chat))
            }
            Self::Counted => Countable::default(),
        }
    }
}

/// What was asked by a request to an endpoint whose answers are made of tokens.
pub(super) fn asked(endpoint: Endpoint, body: &Bytes) -> Option<Asked> {
    let is_generation = matches!(endpoint.operation, Operation::Generate | Operation::Completions);
    is_generation.then(|| Asked::Body(endpoint, body.clone()))
}

/// What the provider reported, completed with what was counted: a stream that ends early has
/// told its input at most, and of its output what had been said when it last told.
pub(super) fn complete(reported: Option<Usage>, counted: Option<Usage>) -> Option<Usage> {
    let (Some(known), Some(counted)) = (reported, counted) else {
        return reported.or(counted);
    };
    let input = if known.input > 0 { known.input } else { counted.input };
    let output = known.output.max(counted.output);
    let estimated = known.estimated || (input, output) != (known.input, known.output);
    Some(Usage { input, output, estimated, ..known })
}

/// The texts of a request that is no chat another protocol could carry (several answers at once,
/// references to what the provider keeps), wherever they stand.
fn texts_of(body: &[u8]) -> Countable {
    fn collect(name: &str, value: Value, texts: &mut Vec<String>) {
        const TEXTS: [&str; 10] = [
            "content",
            "text",
            "input",
            "output",
            "prompt",
            "instructions",
            "system",
            "arguments",
            "name",
            "description",
        ];
        match value {
            Value::String(text) if TEXTS.contains(&name) => texts.push(text),
            Value::Array(values) => values.into_iter().for_each(|value| collect(name, value, texts)),
            Value::Object(members) => members.into_iter().for_each(|(name, value)| collect(&name, value, texts)),
            _ => {}
        }
    }
    let mut texts = Vec::new();
    collect("", serde_json::from_slice(body).unwrap_or_default(), &mut texts);
    Countable { texts, ..Countable::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Protocol;

    fn usage(input: u64, output: u64, estimated: bool) -> Usage {
        Usage { input, output, estimated, ..Usage::default() }
    }

    #[test]
    fn what_was_reported_is_completed_with_what_was_counted() {
        let counted = Some(usage(10, 20, true));
        for (reported, want) in [
            (None, usage(10, 20, true)),
            (Some(usage(7, 1, false)), usage(7, 20, true)),
            (Some(usage(7, 25, false)), usage(7, 25, false)),
            (Some(usage(0, 25, false)), usage(10, 25, true)),
        ] {
            assert_eq!(complete(reported, counted), Some(want), "{reported:?}");
        }
        assert_eq!(complete(Some(usage(7, 1, false)), None), Some(usage(7, 1, false)));
        assert_eq!(complete(None, None), None);
    }

    #[test]
    fn a_request_is_read_as_a_chat_or_else_by_its_texts() {
        let chat = Endpoint { path: "/", protocol: Protocol::OpenAiChat, operation: Operation::Generate };
        let read = |body: &str| asked(chat, &Bytes::copy_from_slice(body.as_bytes())).unwrap().read();
        let message = r#""messages":[{"role":"user","content":[{"type":"text","text":"Hi"},{"type":"image_url","image_url":{"url":"data:,x","detail":"low"}}]}]"#;
        let as_chat = read(&format!(r#"{{"model":"m",{message}}}"#));
        assert_eq!((as_chat.texts, as_chat.low_detail_images), (vec!["Hi".to_owned()], 1));
        let as_texts = read(&format!(r#"{{"model":"m","n":2,"tools":[{{"function":{{"name":"f"}}}}],{message}}}"#));
        assert_eq!(as_texts.texts, ["f", "Hi"]);
        assert_eq!(read("{").texts, [""; 0]);
        assert!(asked(Endpoint { operation: Operation::CountTokens, ..chat }, &Bytes::new()).is_none());
    }
}
