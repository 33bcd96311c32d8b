//! The conversation as a Chat provider wants it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ptr;

use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::reasoning;
use crate::chat::{
    Block, ChatRequest, Document, DocumentSource, Failure, Image, MediaSource, Message, Protocol, Reasoning, Role,
    Target, ThinkingStyle, ToolCall, ToolResult,
};
use crate::codec::openai::object::unsupported;

/// A message on the wire.
#[derive(Debug, Default, Serialize)]
pub(super) struct Outgoing<'r> {
    role: &'static str,
    content: Option<Content<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasoning_details: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<OutgoingCall<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'r str>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Content<'r> {
    Text(Cow<'r, str>),
    Parts(Vec<Part<'r>>),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'r> {
    Text { text: Cow<'r, str> },
    ImageUrl { image_url: ImageUrl<'r> },
    File { file: File<'r> },
}

#[derive(Debug, Serialize)]
struct ImageUrl<'r> {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'r str>,
}

#[derive(Debug, Serialize)]
struct File<'r> {
    filename: &'r str,
    file_data: String,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum OutgoingCall<'r> {
    Function { id: &'r str, function: OutgoingFunction<'r> },
    Custom { id: &'r str, custom: OutgoingCustom<'r> },
}

#[derive(Debug, Serialize)]
struct OutgoingFunction<'r> {
    name: &'r str,
    arguments: Cow<'r, str>,
}

#[derive(Debug, Serialize)]
struct OutgoingCustom<'r> {
    name: &'r str,
    input: &'r str,
}

/// Writes a conversation.
#[derive(Debug)]
pub(super) struct Writer<'r> {
    target: Target<'r>,
    content_path: &'static str,
    /// The results of the conversation by the id of their call, in order: some servers number
    /// the calls of every turn from the start again.
    results: HashMap<&'r str, VecDeque<&'r ToolResult>>,
    /// Addresses of the results that were written.
    written: HashSet<usize>,
    /// Pictures and documents of tool results, which only a user message may hold.
    media: Vec<Part<'r>>,
    pub messages: Vec<Outgoing<'r>>,
    pub dropped: Vec<String>,
}

impl<'r> Writer<'r> {
    pub(super) fn write(request: &'r ChatRequest, target: &Target<'r>) -> Result<Self, Failure> {
        let mut writer = Self {
            target: *target,
            content_path: request.client.names.content,
            results: results_of(&request.messages),
            written: HashSet::new(),
            media: Vec::new(),
            messages: Vec::new(),
            dropped: Vec::new(),
        };
        if !request.instructions.is_empty() {
            writer.system(Cow::Owned(request.instructions.join("\n\n")));
        }
        // Calls that stand in neighbouring messages were made at once: they must share one.
        let is_one_turn = |a: &Message, b: &Message| a.role == Role::Assistant && b.role == Role::Assistant;
        for turn in request.messages.chunk_by(is_one_turn) {
            match turn {
                [Message { role: Role::User, blocks }] => writer.user(blocks)?,
                [Message { role: Role::System, blocks }] => {
                    writer.flush_media();
                    writer.system(Cow::Owned(texts_of(blocks).join("\n")));
                }
                turn => writer.assistant(turn)?,
            }
        }
        writer.flush_media();
        Ok(writer)
    }

    fn system(&mut self, text: Cow<'r, str>) {
        let content = Some(Content::Text(text));
        self.messages.push(Outgoing { role: "system", content, ..Outgoing::default() });
    }

    fn user(&mut self, blocks: &'r [Block]) -> Result<(), Failure> {
        for block in blocks {
            // Those whose call nobody has seen stay where they are.
            if let Block::ToolResult(result) = block {
                self.result(result)?;
            }
        }
        let mut parts = std::mem::take(&mut self.media);
        for block in blocks {
            parts.extend(self.part(block)?);
        }
        self.user_message(parts);
        Ok(())
    }

    fn flush_media(&mut self) {
        let parts = std::mem::take(&mut self.media);
        self.user_message(parts);
    }

    fn user_message(&mut self, mut parts: Vec<Part<'r>>) {
        let content = match parts.pop() {
            None => return,
            Some(Part::Text { text }) if parts.is_empty() => Content::Text(text),
            Some(last) => {
                parts.push(last);
                Content::Parts(parts)
            }
        };
        self.messages.push(Outgoing { role: "user", content: Some(content), ..Outgoing::default() });
    }

    fn part(&self, block: &'r Block) -> Result<Option<Part<'r>>, Failure> {
        Ok(match block {
            Block::Text(text) => Some(Part::Text { text: Cow::Borrowed(&text.text) }),
            Block::Image(Image { source, detail }) => {
                Some(Part::ImageUrl { image_url: ImageUrl { url: source.to_url(), detail: detail.as_deref() } })
            }
            Block::Document(document) => Some(self.document(document)?),
            Block::Refusal(text) => Some(Part::Text { text: Cow::Borrowed(text) }),
            Block::ToolCall(_) | Block::ToolResult(_) | Block::Reasoning(_) => None,
        })
    }

    fn document(&self, document: &'r Document) -> Result<Part<'r>, Failure> {
        let name = document.name.as_deref();
        match &document.source {
            DocumentSource::Text(text) => {
                let titled = name.map(|name| Cow::Owned(format!("{name}\n\n{text}")));
                Ok(Part::Text { text: titled.unwrap_or(Cow::Borrowed(text)) })
            }
            DocumentSource::Media(media @ MediaSource::Base64 { .. }) => {
                Ok(Part::File { file: File { filename: name.unwrap_or("document.pdf"), file_data: media.to_url() } })
            }
            DocumentSource::Media(MediaSource::Url(_)) => Err(unsupported(self.content_path)),
        }
    }

    fn assistant(&mut self, turn: &'r [Message]) -> Result<(), Failure> {
        self.flush_media();
        let mut message = Outgoing { role: "assistant", ..Outgoing::default() };
        let mut calls = Vec::new();
        let texts: Vec<String> =
            turn.iter().map(|part| texts_of(&part.blocks).concat()).filter(|text| !text.is_empty()).collect();
        for block in turn.iter().flat_map(|part| &part.blocks) {
            match block {
                Block::Reasoning(reasoning) => self.reasoning(reasoning, &mut message),
                Block::Refusal(text) => message.refusal.get_or_insert_default().push_str(text),
                Block::ToolCall(call) => calls.push(call),
                Block::Text(_) | Block::Image(_) | Block::Document(_) | Block::ToolResult(_) => {}
            }
        }
        if !texts.is_empty() {
            message.content = Some(Content::Text(Cow::Owned(texts.join("\n\n"))));
        }
        message.tool_calls = calls.iter().map(|call| outgoing_call(call)).collect();
        // A turn of nothing but withheld reasoning is no message.
        if message.content.is_some() || message.refusal.is_some() || !message.tool_calls.is_empty() {
            self.messages.push(message);
        }
        for call in calls {
            let waiting = self.results.get_mut(call.id.as_str());
            if let Some(result) = waiting.and_then(VecDeque::pop_front) {
                self.result(result)?;
            }
        }
        Ok(())
    }

    fn reasoning(&mut self, block: &Reasoning, message: &mut Outgoing<'r>) {
        let own = block.opaque.as_ref().filter(|state| state.is_made_by(Protocol::OpenAiChat, self.target.provider));
        let replays = matches!(self.target.thinking_style, ThinkingStyle::Budget | ThinkingStyle::Adaptive);
        if let Some(opaque) = own {
            message.reasoning_details.extend(reasoning::entry_of_provider(block, opaque));
        } else if replays && !block.text.is_empty() {
            message.reasoning_content.get_or_insert_default().push_str(&block.text);
        } else {
            self.dropped.push("reasoning".to_owned());
        }
    }

    fn result(&mut self, result: &'r ToolResult) -> Result<(), Failure> {
        if !self.written.insert(ptr::from_ref(result).addr()) {
            return Ok(());
        }
        let mut texts = Vec::new();
        for block in &result.content {
            match self.part(block)? {
                Some(Part::Text { text }) => texts.push(text),
                Some(media) => self.media.push(media),
                None => {}
            }
        }
        let text = texts.join("\n");
        let text = if result.is_error { format!("[error] {text}") } else { text };
        self.messages.push(Outgoing {
            role: "tool",
            content: Some(Content::Text(Cow::Owned(text))),
            tool_call_id: Some(&result.call_id),
            ..Outgoing::default()
        });
        Ok(())
    }
}

fn results_of(messages: &[Message]) -> HashMap<&str, VecDeque<&ToolResult>> {
    let mut results: HashMap<&str, VecDeque<&ToolResult>> = HashMap::new();
    for block in messages.iter().flat_map(|message| &message.blocks) {
        if let Block::ToolResult(result) = block {
            results.entry(&result.call_id).or_default().push_back(result);
        }
    }
    results
}

fn texts_of(blocks: &[Block]) -> Vec<&str> {
    let texts = blocks.iter().filter_map(|block| match block {
        Block::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    texts.collect()
}

fn outgoing_call(call: &ToolCall) -> OutgoingCall<'_> {
    let ToolCall { id, name, arguments, custom } = call;
    if *custom {
        return OutgoingCall::Custom { id, custom: OutgoingCustom { name, input: arguments } };
    }
    OutgoingCall::Function { id, function: OutgoingFunction { name, arguments: as_json(arguments) } }
}

/// Arguments that the model left unfinished are kept, as JSON.
fn as_json(arguments: &str) -> Cow<'_, str> {
    if arguments.trim().is_empty() {
        Cow::Borrowed("{}")
    } else if serde_json::from_str::<IgnoredAny>(arguments).is_ok() {
        Cow::Borrowed(arguments)
    } else {
        Cow::Owned(json!({ "_raw": arguments }).to_string())
    }
}
