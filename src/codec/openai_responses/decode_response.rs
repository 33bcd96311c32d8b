//! A provider's whole answer → chat.

use serde_json::value::RawValue;

use super::error::{failed_answer, in_band};
use super::output::made_id;
use super::wire::{Item, Part, Response, Text as WireText};
use crate::chat::{Block, ChatResponse, Failure, FailureKind, Opaque, OpaqueKind, Protocol, Reasoning, Text, ToolCall};

pub(super) fn decode_response(body: &[u8], provider: &str) -> Result<ChatResponse, Failure> {
    let response: Response<'_> = serde_json::from_slice(body).map_err(|error| invalid(&error.to_string()))?;
    let is_response = response.object.as_ref().is_some_and(|object| object.0 == "response");
    let Some(output) = response.output.as_ref().filter(|_| is_response || response.error.is_none()) else {
        return Err(match response.error.map(RawValue::get) {
            Some(error) if !is_response => in_band(error, FailureKind::UpstreamInvalidResponse),
            Some(error) => failed_answer(Some(error)),
            None => invalid("it has no output"),
        });
    };
    check_status(&response)?;
    let mut reader = Reader { provider, answer: ChatResponse::default() };
    for raw in output {
        reader.item(Item::read(raw).map_err(|error| invalid(&error.to_string()))?);
    }
    let mut answer = reader.answer;
    let has_calls = answer.blocks.iter().any(|block| matches!(block, Block::ToolCall(_)));
    let has_refusal = answer.blocks.iter().any(|block| matches!(block, Block::Refusal(_)));
    answer.finish = response.finish(has_calls, has_refusal);
    answer.usage = response.usage();
    answer.id = response.id.map(WireText::into_string).filter(|id| !id.is_empty());
    answer.service_tier = response.service_tier.map(WireText::into_string);
    Ok(answer)
}

fn invalid(what: &str) -> Failure {
    Failure::new(FailureKind::UpstreamInvalidResponse, format!("the provider's answer cannot be used: {what}"))
}

fn check_status(response: &Response<'_>) -> Result<(), Failure> {
    let error = response.error.map(RawValue::get);
    match response.status.as_ref().map(|status| status.0.as_ref()) {
        Some("failed") => Err(failed_answer(error)),
        Some(status @ ("cancelled" | "queued" | "in_progress")) => Err(invalid(&format!("its status is `{status}`"))),
        None if error.is_some() => Err(failed_answer(error)),
        _ => Ok(()),
    }
}

struct Reader<'p> {
    provider: &'p str,
    answer: ChatResponse,
}

impl Reader<'_> {
    fn item(&mut self, item: Item) {
        match item {
            Item::Message(parts) => parts.into_iter().for_each(|(_, part)| self.part(part)),
            Item::Reasoning { text, encrypted } => {
                let opaque = encrypted.map(|data| opaque(self.provider, data));
                if !text.is_empty() || opaque.is_some() {
                    self.answer.blocks.push(Block::Reasoning(Reasoning { text, opaque }));
                }
            }
            Item::Call { id, name, arguments, custom } => {
                let id = if id.is_empty() { made_id("call_") } else { id };
                self.answer.blocks.push(Block::ToolCall(ToolCall { id, name, arguments, custom }));
            }
            Item::Hosted(kind) => self.lose(&format!("output[].{kind}")),
        }
    }

    fn part(&mut self, part: Part) {
        if let Some(lost) = part.lost {
            self.lose(lost);
        }
        if part.text.is_empty() {
            return;
        }
        self.answer.blocks.push(if part.is_refusal {
            Block::Refusal(part.text)
        } else {
            Block::Text(Text { text: part.text, citations: part.citations })
        });
    }

    fn lose(&mut self, path: &str) {
        if !self.answer.lost.iter().any(|lost| lost == path) {
            self.answer.lost.push(path.to_owned());
        }
    }
}

pub(super) fn opaque(provider: &str, data: String) -> Opaque {
    Opaque { protocol: Protocol::OpenAiResponses, provider: provider.to_owned(), kind: OpaqueKind::Encrypted, data }
}
