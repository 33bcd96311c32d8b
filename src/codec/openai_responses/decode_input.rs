//! `input` of a client's request → messages.

use serde_json::Value;

use super::decode_parts::{decode_content, decode_output, joined, text_block};
use super::fields::{Fields, Foreign, missing, unsupported, wrong};
use crate::chat::{
    Block, Failure, Message, Opaque, OpaqueKind, PACKED_PREFIX, Protocol, Reasoning, Role, ToolCall, ToolResult,
};

/// A conversation in the making.
#[derive(Default)]
pub(super) struct Conversation {
    pub(super) instructions: Vec<String>,
    pub(super) messages: Vec<Message>,
}

pub(super) fn decode_input(input: Value, foreign: &mut Foreign) -> Result<Conversation, Failure> {
    let mut conversation = Conversation::default();
    match input {
        Value::String(text) => conversation.say(Role::User, vec![text_block(text)]),
        Value::Array(items) => {
            for (i, item) in items.into_iter().enumerate() {
                conversation.item(Fields::of(item, format!("input[{i}]"))?, foreign)?;
            }
        }
        _ => return Err(wrong("input".to_owned(), "a string or an array")),
    }
    Ok(conversation)
}

impl Conversation {
    fn item(&mut self, mut item: Fields, foreign: &mut Foreign) -> Result<(), Failure> {
        let kind = match item.string("type")? {
            Some(kind) => kind,
            None if item.has("role") => "message".to_owned(),
            None if item.has("id") => "item_reference".to_owned(),
            None => return Err(missing(item.path("type"))),
        };
        match kind.as_str() {
            "message" => self.message(item, foreign)?,
            "function_call" => self.answer(Block::ToolCall(decode_call(item, "arguments")?)),
            "custom_tool_call" => self.answer(Block::ToolCall(decode_call(item, "input")?)),
            "function_call_output" => self.result(decode_result(item, false, foreign)?),
            "custom_tool_call_output" => self.result(decode_result(item, true, foreign)?),
            "reasoning" => {
                if let Some(reasoning) = decode_reasoning(item)? {
                    self.answer(Block::Reasoning(reasoning));
                }
            }
            "item_reference" => return Err(unsupported("input[].item_reference")),
            // What the provider's own tools did means nothing to another provider.
            _ => foreign.add(format!("input[].{kind}")),
        }
        Ok(())
    }

    fn message(&mut self, mut item: Fields, foreign: &mut Foreign) -> Result<(), Failure> {
        let role = item.required_string("role")?;
        let role = match role.as_str() {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" | "developer" => Role::System,
            _ => return Err(wrong(item.path("role"), "`user`, `assistant`, `system` or `developer`")),
        };
        let content = item.take("content").ok_or_else(|| missing(item.path("content")))?;
        let blocks = decode_content(content, &item.path("content"), foreign)?;
        match role {
            Role::Assistant => blocks.into_iter().for_each(|block| self.answer(block)),
            Role::System if self.messages.is_empty() => {
                self.instructions.extend(blocks.into_iter().filter_map(|block| match block {
                    Block::Text(text) => Some(text.text),
                    _ => None,
                }));
            }
            Role::User | Role::System => self.say(role, blocks),
        }
        Ok(())
    }

    fn say(&mut self, role: Role, blocks: Vec<Block>) {
        if !blocks.is_empty() {
            self.messages.push(Message { role, blocks });
        }
    }

    /// What the model said goes into one message until somebody else speaks.
    fn answer(&mut self, block: Block) {
        match self.messages.last_mut() {
            Some(Message { role: Role::Assistant, blocks }) => blocks.push(block),
            _ => self.say(Role::Assistant, vec![block]),
        }
    }

    /// A result goes right behind the message with its call, whatever stands between the two.
    fn result(&mut self, result: ToolResult) {
        let holds_call = |message: &Message| {
            message.blocks.iter().any(|block| matches!(block, Block::ToolCall(call) if call.id == result.call_id))
        };
        let after = self.messages.iter().rposition(holds_call).map_or(self.messages.len(), |at| at + 1);
        match self.messages.get_mut(after) {
            Some(Message { role: Role::User, blocks }) if matches!(blocks.first(), Some(Block::ToolResult(_))) => {
                blocks.push(Block::ToolResult(result));
            }
            _ => self.messages.insert(after, Message { role: Role::User, blocks: vec![Block::ToolResult(result)] }),
        }
    }
}

fn decode_call(mut item: Fields, arguments: &str) -> Result<ToolCall, Failure> {
    Ok(ToolCall {
        id: item.required_string("call_id")?,
        name: item.required_string("name")?,
        arguments: item.string(arguments)?.unwrap_or_default(),
        custom: arguments == "input",
    })
}

fn decode_result(mut item: Fields, custom: bool, foreign: &mut Foreign) -> Result<ToolResult, Failure> {
    let call_id = item.required_string("call_id")?;
    let path = item.path("output");
    let content = match item.take("output") {
        Some(output) => decode_output(output, &path, foreign)?,
        None => Vec::new(),
    };
    Ok(ToolResult { call_id, content, is_error: false, custom })
}

/// `None` when nothing of the reasoning is there.
fn decode_reasoning(mut item: Fields) -> Result<Option<Reasoning>, Failure> {
    let summary = joined(item.array("summary")?.unwrap_or_default(), "\n\n");
    let content = joined(item.array("content")?.unwrap_or_default(), "");
    let opaque = item.string("encrypted_content")?.filter(|data| !data.is_empty()).and_then(decode_opaque);
    let text = if summary.is_empty() { content } else { summary };
    Ok((!text.is_empty() || opaque.is_some()).then_some(Reasoning { text, opaque }))
}

fn decode_opaque(data: String) -> Option<Opaque> {
    if data.starts_with(PACKED_PREFIX) {
        return Opaque::unpack(&data);
    }
    Some(Opaque { protocol: Protocol::OpenAiResponses, provider: String::new(), kind: OpaqueKind::Encrypted, data })
}
