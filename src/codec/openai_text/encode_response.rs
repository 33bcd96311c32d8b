//! A whole answer for a client of text completions.

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::chat::{Block, ChatResponse, FinishReason};
use crate::codec::Exchange;
use crate::codec::openai::random_letters;
use crate::codec::openai::usage::OutgoingUsage;

#[derive(Serialize)]
struct Answer<'a> {
    id: String,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: [Choice; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<OutgoingUsage>,
}

#[derive(Serialize)]
struct Choice {
    text: String,
    index: u32,
    logprobs: Option<Value>,
    finish_reason: &'static str,
}

/// An id for an answer. Providers of other protocols have none of this form.
pub(super) fn answer_id() -> String {
    format!("cmpl-{}", random_letters())
}

/// The `finish_reason` of an answer. This protocol has no tools: an answer that stops for one
/// has just stopped.
pub(super) const fn finish_reason(reason: &FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop | FinishReason::StopSequence(_) | FinishReason::ToolCalls => "stop",
        FinishReason::Length => "length",
        FinishReason::ContentFilter | FinishReason::Refusal => "content_filter",
    }
}

/// Writes a whole answer.
pub(super) fn encode(response: &ChatResponse, exchange: &Exchange) -> Bytes {
    let text = response.blocks.iter().filter_map(visible).collect();
    let finish_reason = finish_reason(&response.finish);
    let answer = Answer {
        id: answer_id(),
        object: "text_completion",
        created: exchange.created,
        model: &exchange.model,
        choices: [Choice { text, index: 0, logprobs: None, finish_reason }],
        usage: response.usage.map(OutgoingUsage::from),
    };
    // A struct of strings and numbers always serialises.
    Bytes::from(serde_json::to_vec(&answer).unwrap_or_default())
}

/// What the client may read of a block.
fn visible(block: &Block) -> Option<&str> {
    match block {
        Block::Text(text) => Some(&text.text),
        Block::Refusal(text) => Some(text),
        Block::Reasoning(_) | Block::ToolCall(_) | Block::ToolResult(_) | Block::Image(_) | Block::Document(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chat::{Reasoning, Text, ToolCall, Usage};

    fn exchange() -> Exchange {
        Exchange {
            model: "alias".to_owned(),
            provider: "p".into(),
            request_id: "r".to_owned(),
            created: 7,
            include_usage: false,
            client: crate::chat::ClientSide::default(),
        }
    }

    fn written(response: &ChatResponse) -> Value {
        serde_json::from_slice(&encode(response, &exchange())).unwrap()
    }

    fn text(text: &str) -> Block {
        Block::Text(Text { text: text.to_owned(), citations: Vec::new() })
    }

    #[test]
    fn only_the_text_of_an_answer_comes_back() {
        let call = ToolCall { id: "i".into(), name: "f".into(), arguments: "{}".into(), custom: false };
        let response = ChatResponse {
            id: Some("msg_1".to_owned()),
            blocks: vec![
                Block::Reasoning(Reasoning { text: "hidden".to_owned(), opaque: None }),
                text("a"),
                Block::ToolCall(call),
                text("b"),
            ],
            finish: FinishReason::ToolCalls,
            usage: Some(Usage { input: 5, output: 3, reasoning: 1, ..Usage::default() }),
            ..ChatResponse::default()
        };
        let mut answer = written(&response);
        let id = answer["id"].take();
        assert!(id.as_str().unwrap().starts_with("cmpl-") && id.as_str().unwrap().len() == 29, "{id}");
        assert_eq!(
            answer,
            json!({
                "id": null, "object": "text_completion", "created": 7, "model": "alias",
                "choices": [{"text": "ab", "index": 0, "logprobs": null, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8,
                    "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                    "completion_tokens_details": {"reasoning_tokens": 1}},
            })
        );
    }

    #[test]
    fn every_end_has_a_word_of_this_protocol() {
        for (finish, word) in [
            (FinishReason::Stop, "stop"),
            (FinishReason::StopSequence(Some("x".to_owned())), "stop"),
            (FinishReason::Length, "length"),
            (FinishReason::ContentFilter, "content_filter"),
            (FinishReason::Refusal, "content_filter"),
        ] {
            let response = ChatResponse { finish, blocks: vec![Block::Refusal("No".to_owned())], ..Default::default() };
            let answer = written(&response);
            assert_eq!(answer["choices"][0]["finish_reason"], word);
            assert_eq!(answer["choices"][0]["text"], "No");
            assert_eq!(answer.get("usage"), None);
        }
    }
}
