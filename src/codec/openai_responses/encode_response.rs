//! Chat → a whole answer for a client.

use bytes::Bytes;

use super::output::{Annotation, Item, Part, Response, State, Status, ending, made_id};
use crate::chat::{Block, ChatResponse};
use crate::codec::Exchange;

pub(super) fn encode_response(response: &ChatResponse, exchange: &Exchange) -> Bytes {
    let mut output = items(&response.blocks, exchange.client.wants_encrypted_reasoning);
    let (status, reason) = ending(&response.finish, &output);
    if let Some((last, others)) = output.split_last_mut() {
        others.iter_mut().for_each(|item| item.close(Status::Completed));
        last.close(status);
    }
    let id = made_id("resp_");
    let state = State {
        id: &id,
        status,
        output: &output,
        usage: response.usage.as_ref(),
        service_tier: response.service_tier.as_deref(),
        reason,
        error: None,
    };
    // Strings, numbers and values that were JSON before always serialise.
    Bytes::from(serde_json::to_vec(&Response::new(exchange, state)).unwrap_or_default())
}

fn items(blocks: &[Block], wants_encrypted: bool) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::with_capacity(blocks.len());
    for block in blocks {
        match block {
            Block::Text(text) => {
                let annotations = text.citations.iter().map(|citation| Annotation::new(citation, &text.text));
                say(&mut items, Part::text(text.text.clone(), annotations.collect()));
            }
            Block::Refusal(refusal) => say(&mut items, Part::Refusal { refusal: refusal.clone() }),
            Block::Reasoning(reasoning) => {
                let encrypted = reasoning.opaque.as_ref().filter(|_| wants_encrypted).map(crate::chat::Opaque::pack);
                if !reasoning.text.is_empty() || encrypted.is_some() {
                    items.push(Item::reasoning(reasoning.text.clone(), encrypted));
                }
            }
            Block::ToolCall(call) => {
                let arguments = arguments(&call.arguments, call.custom);
                items.push(Item::call(call.id.clone(), call.name.clone(), arguments.to_owned(), call.custom));
            }
            Block::Image(_) | Block::Document(_) | Block::ToolResult(_) => {}
        }
    }
    items
}

/// Texts that follow each other are parts of one message.
fn say(items: &mut Vec<Item>, part: Part) {
    match items.last_mut() {
        Some(Item::Message { content, .. }) => content.push(part),
        _ => items.push(Item::message(vec![part])),
    }
}

/// A function without arguments gets an empty object.
pub(super) const fn arguments(text: &str, custom: bool) -> &str {
    if text.is_empty() && !custom { "{}" } else { text }
}
