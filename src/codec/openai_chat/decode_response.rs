//! A whole answer of a Chat provider.

use serde_json::value::RawValue;

use super::decode_stream::made_up_call_id;
use super::finish;
use super::wire::{Annotation, Answer, AnswerChoice, Call, Said};
use crate::chat::{Block, ChatResponse, Citation, Failure, FailureKind, Reasoning, Text, ToolCall};
use crate::codec::openai::{error, usage};

/// Reads a whole answer.
pub(super) fn decode(body: &[u8], provider: &str) -> Result<ChatResponse, Failure> {
    let unusable = |why: String| Failure::new(FailureKind::UpstreamInvalidResponse, why);
    let text = std::str::from_utf8(body).map_err(|error| unusable(format!("the answer is not UTF-8: {error}")))?;
    let answer: Answer<'_> =
        serde_json::from_str(text).map_err(|error| unusable(format!("the answer cannot be read: {error}")))?;
    let mut choices = answer.choices.unwrap_or_default();
    if choices.is_empty() {
        return Err(error::reported_in(answer.error.map(RawValue::get), "the answer has no choices"));
    }
    // Several choices cannot be told apart elsewhere: the first is the answer.
    let first = choices.iter().position(|choice| choice.index.unwrap_or_default().0 == 0).unwrap_or_default();
    let AnswerChoice { message, finish_reason, logprobs, .. } = choices.swap_remove(first);
    let said = message.unwrap_or_default();
    let blocks = blocks_of(&said, provider);
    let has_calls = blocks.iter().any(|block| matches!(block, Block::ToolCall(_)));
    let has_refusal = blocks.iter().any(|block| matches!(block, Block::Refusal(_)));
    let lost = logprobs.map(|_| "choices[].logprobs".to_owned()).into_iter().collect();
    Ok(ChatResponse {
        id: answer.id.some().map(str::to_owned),
        blocks,
        finish: finish::decode(&finish_reason.0, has_calls, has_refusal),
        usage: usage::read(answer.usage.map(RawValue::get)),
        service_tier: answer.service_tier.some().map(str::to_owned),
        lost,
    })
}

fn blocks_of(said: &Said<'_>, provider: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = reasoning_of(said, provider).into_iter().map(Block::Reasoning).collect();
    let spoken = said.audio.as_ref().and_then(|audio| audio.transcript.some());
    if let Some(text) = said.content.some().or(spoken) {
        let citations = said.annotations.iter().flatten().filter_map(Annotation::citation).collect();
        blocks.push(Block::Text(Text { text: text.to_owned(), citations }));
    }
    if let Some(refusal) = said.refusal.some() {
        blocks.push(Block::Refusal(refusal.to_owned()));
    }
    blocks.extend(said.tool_calls.iter().flatten().filter_map(tool_call));
    if let Some(function) = said.function_call.as_ref().filter(|function| !function.name.is_empty()) {
        blocks.push(Block::ToolCall(ToolCall {
            id: made_up_call_id(),
            name: function.name.0.clone().into_owned(),
            arguments: function.arguments.0.clone().into_owned(),
            custom: false,
        }));
    }
    blocks
}

fn tool_call(call: &Call<'_>) -> Option<Block> {
    let (name, arguments, custom) = match (&call.custom, &call.function) {
        (Some(custom), _) => (&custom.name, &custom.input.0, true),
        (None, Some(function)) => (&function.name, &function.arguments.0, false),
        (None, None) => return None,
    };
    Some(Block::ToolCall(ToolCall {
        id: call.id.some().map_or_else(made_up_call_id, str::to_owned),
        name: name.some()?.to_owned(),
        arguments: arguments.clone().into_owned(),
        custom,
    }))
}

/// State stands in `reasoning_details`; the text may stand there too or beside it.
fn reasoning_of(said: &Said<'_>, provider: &str) -> Vec<Reasoning> {
    let plain = said.reasoning_text().unwrap_or_default();
    let mut blocks: Vec<Reasoning> = Vec::new();
    for detail in said.reasoning_details.iter().flatten() {
        let opaque = detail.opaque(provider);
        match blocks.last_mut() {
            Some(block) if block.opaque.is_none() => {
                block.text.push_str(detail.said());
                block.opaque = opaque;
            }
            _ => blocks.push(Reasoning { text: detail.said().to_owned(), opaque }),
        }
    }
    if blocks.iter().all(|block| block.text.is_empty()) && !plain.is_empty() {
        match blocks.first_mut() {
            Some(block) => block.text = plain.to_owned(),
            None => blocks.push(Reasoning { text: plain.to_owned(), opaque: None }),
        }
    }
    blocks.retain(|block| !block.text.is_empty() || block.opaque.is_some());
    blocks
}

impl Annotation<'_> {
    /// The web page that is cited, when that is what it is.
    pub(super) fn citation(&self) -> Option<Citation> {
        let cited = self.url_citation.as_ref()?;
        let span = cited.start_index.zip(cited.end_index).map(|(start, end)| (start.0, end.0));
        Some(Citation {
            url: cited.url.some()?.to_owned(),
            title: cited.title.0.clone().into_owned(),
            // Some gateways fill in zeros.
            span: span.filter(|(start, end)| start < end),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::FinishReason;

    fn read(body: &str) -> ChatResponse {
        decode(body.as_bytes(), "p").unwrap()
    }

    #[test]
    fn the_first_choice_is_the_answer() {
        let answer = read(
            r#"{"id":"x","choices":[{"index":1,"message":{"content":"b"},"finish_reason":"stop"},
            {"index":0,"message":{"content":"a"},"finish_reason":"length","logprobs":{"content":[]}}],
            "usage":{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":5,"cache_write_tokens":1},"completion_tokens_details":{"reasoning_tokens":2}},
            "service_tier":"flex"}"#,
        );
        assert_eq!(answer.blocks, [Block::Text(Text { text: "a".into(), citations: vec![] })]);
        assert_eq!((answer.finish, answer.id.as_deref()), (FinishReason::Length, Some("x")));
        let usage = answer.usage.unwrap();
        assert_eq!([usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning], [9, 4, 5, 1, 2]);
        assert_eq!(
            (answer.service_tier.as_deref(), &answer.lost[..]),
            (Some("flex"), &["choices[].logprobs".to_owned()][..])
        );
    }

    #[test]
    fn every_dialect_of_reasoning_is_read() {
        for (message, text, states) in [
            (r#"{"reasoning_content":"a","content":"c"}"#, "a", 0),
            (r#"{"reasoning":"a","reasoning_content":null}"#, "a", 0),
            (r#"{"reasoning":"a","reasoning_details":[{"type":"reasoning.text","text":"a","signature":"s"}]}"#, "a", 1),
            (
                r#"{"reasoning_details":[{"type":"reasoning.summary","summary":"a"},{"type":"reasoning.encrypted","data":"d"}]}"#,
                "a",
                1,
            ),
            (
                r#"{"reasoning":"a","reasoning_details":[{"type":"reasoning.encrypted","data":"d"},{"type":"reasoning.encrypted","data":"e"}]}"#,
                "a",
                2,
            ),
        ] {
            let answer = read(&format!(r#"{{"choices":[{{"message":{message},"finish_reason":"stop"}}]}}"#));
            let blocks: Vec<&Reasoning> = answer
                .blocks
                .iter()
                .filter_map(|block| match block {
                    Block::Reasoning(reasoning) => Some(reasoning),
                    _ => None,
                })
                .collect();
            assert_eq!(blocks.iter().map(|block| block.text.as_str()).collect::<String>(), text, "{message}");
            assert_eq!(blocks.iter().filter(|block| block.opaque.is_some()).count(), states, "{message}");
        }
    }

    #[test]
    fn odd_answers_are_still_answers() {
        let filtered = read(r#"{"choices":[{"finish_reason":"content_filter","index":0}]}"#);
        assert_eq!((filtered.blocks.len(), filtered.finish), (0, FinishReason::ContentFilter));
        let named = read(
            r#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"a","function":{"name":"f","arguments":""}},{"function":{"name":"g","arguments":{"x":1.10}}}]},"finish_reason":"stop"}]}"#,
        );
        assert_eq!(named.finish, FinishReason::ToolCalls);
        let [Block::ToolCall(first), Block::ToolCall(second)] = &named.blocks[..] else { panic!() };
        assert_eq!((first.id.as_str(), first.arguments.as_str()), ("a", ""));
        assert_eq!((second.id.len(), second.arguments.as_str()), (29, r#"{"x":1.10}"#));
        let spoken = read(r#"{"choices":[{"message":{"content":null,"audio":{"transcript":"said"}}}]}"#);
        assert_eq!(spoken.blocks, [Block::Text(Text { text: "said".into(), citations: vec![] })]);
        let refused = read(r#"{"choices":[{"message":{"content":null,"refusal":"no"},"finish_reason":"stop"}]}"#);
        assert_eq!((&refused.blocks[..], refused.finish), (&[Block::Refusal("no".into())][..], FinishReason::Refusal));
    }

    #[test]
    fn what_is_no_answer_is_a_failure() {
        for body in ["", "[]", "{}", "{\"choices\":[]}", "{\"choices\":{}}", "\"\u{0}"] {
            assert_eq!(decode(body.as_bytes(), "p").unwrap_err().kind, FailureKind::UpstreamInvalidResponse, "{body}");
        }
        let reported = decode(br#"{"error":{"message":"m","code":429}}"#, "p").unwrap_err();
        assert_eq!((reported.status(), reported.message.as_str()), (429, "m"));
    }
}
