//! Usage that a provider did not send.

use std::sync::Arc;

use super::transcode::Counting;
use crate::actors::Handles;
use crate::actors::tokenizer::{Tokenizer, count_usage};
use crate::chat::{Block, ChatEvent, ChatRequest, Countable, Delta, Usage};

/// Hears what is said and counts it in the end, off the event loop.
pub(super) struct Counter {
    tokenizer: Tokenizer,
    model: String,
    request: Arc<ChatRequest>,
    said: String,
}

impl Counter {
    /// A counter with the vocabulary of `model`.
    pub(super) fn new(handles: &Handles, model: &str, request: Arc<ChatRequest>) -> Self {
        Self { tokenizer: handles.tokenizer.clone(), model: model.to_owned(), request, said: String::new() }
    }

    /// Takes in one step of a stream.
    pub(super) fn hear(&mut self, event: &ChatEvent) {
        if let ChatEvent::Delta { delta: Delta::Text(text) | Delta::Arguments(text), .. } = event {
            self.said.push_str(text);
        }
    }

    /// Counts the request and what was heard.
    pub(super) fn count(&mut self) -> Counting {
        let output = Countable { texts: vec![std::mem::take(&mut self.said)], ..Countable::default() };
        let (tokenizer, model, request) = (self.tokenizer.clone(), self.model.clone(), Arc::clone(&self.request));
        Box::pin(async move { count_usage(&tokenizer, &model, Countable::from(&*request), output).await })
    }

    /// Counts the request and a whole answer.
    pub(super) async fn count_answer(&self, blocks: &[Block]) -> Option<Usage> {
        let input = Countable::from(&*self.request);
        count_usage(&self.tokenizer, &self.model, input, Countable::from_blocks(blocks)).await
    }
}
