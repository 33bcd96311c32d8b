//! Messages → `input` of a request for a provider.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::fields::unsupported;
use crate::chat::{
    Block, Document, DocumentSource, Failure, Image, MediaSource, Message, Protocol, Reasoning, Role, ToolCall,
    ToolResult,
};

/// The longest `call_id` that the API takes.
const LONGEST_ID: usize = 64;
/// Tells the model that a tool failed; the API has no field for it.
const ERROR_PREFIX: &str = "[error] ";

/// One item of `input`. Ids are left out: they would name items that the provider has stored.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item<'r> {
    Message { role: &'static str, content: Vec<Part<'r>> },
    Reasoning { summary: Vec<Part<'r>>, encrypted_content: &'r str },
    FunctionCall { call_id: &'r str, name: &'r str, arguments: Cow<'r, str> },
    CustomToolCall { call_id: &'r str, name: &'r str, input: &'r str },
    FunctionCallOutput { call_id: &'r str, output: Output<'r> },
    CustomToolCallOutput { call_id: &'r str, output: Output<'r> },
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Output<'r> {
    Text(Cow<'r, str>),
    Parts(Vec<Part<'r>>),
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part<'r> {
    InputText {
        text: Cow<'r, str>,
    },
    InputImage {
        image_url: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        detail: Option<&'r str>,
    },
    InputFile {
        #[serde(skip_serializing_if = "Option::is_none")]
        file_url: Option<&'r str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        filename: Option<&'r str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        file_data: Option<String>,
    },
    OutputText {
        text: &'r str,
        annotations: [(); 0],
    },
    Refusal {
        refusal: &'r str,
    },
    SummaryText {
        text: &'r str,
    },
}

/// `input` in the making.
pub(super) struct Input<'r> {
    pub(super) items: Vec<Item<'r>>,
    pub(super) dropped: Vec<String>,
    provider: &'r str,
    /// The client's path of a content part.
    content: &'static str,
    /// Ids of calls of free-text tools, for a client may not say so of the result.
    custom_calls: Vec<&'r str>,
}

impl<'r> Input<'r> {
    pub(super) const fn new(provider: &'r str, content: &'static str) -> Self {
        Self { items: Vec::new(), dropped: Vec::new(), provider, content, custom_calls: Vec::new() }
    }

    pub(super) fn message(&mut self, message: &'r Message) -> Result<(), Failure> {
        match message.role {
            Role::Assistant => self.assistant(&message.blocks),
            Role::User => self.other("user", &message.blocks),
            Role::System => self.other("system", &message.blocks),
        }
    }

    /// What the user or an instruction says; results come before the words around them.
    fn other(&mut self, role: &'static str, blocks: &'r [Block]) -> Result<(), Failure> {
        for block in blocks {
            if let Block::ToolResult(result) = block {
                self.result(result)?;
            }
        }
        let content: Vec<Part<'_>> = blocks.iter().filter_map(input_part).collect();
        self.push_message(role, content);
        Ok(())
    }

    fn push_message(&mut self, role: &'static str, content: Vec<Part<'r>>) {
        if !content.is_empty() {
            self.items.push(Item::Message { role, content });
        }
    }

    fn assistant(&mut self, blocks: &'r [Block]) -> Result<(), Failure> {
        let mut said = Vec::new();
        for block in blocks {
            if let Some(part) = output_part(block) {
                said.push(part);
                continue;
            }
            match block {
                Block::Reasoning(reasoning) => {
                    self.push_message("assistant", std::mem::take(&mut said));
                    self.reasoning(reasoning);
                }
                Block::ToolCall(call) => {
                    self.push_message("assistant", std::mem::take(&mut said));
                    self.call(call)?;
                }
                _ => {}
            }
        }
        self.push_message("assistant", said);
        Ok(())
    }

    /// Only its maker can go on with reasoning.
    fn reasoning(&mut self, reasoning: &'r Reasoning) {
        let own =
            reasoning.opaque.as_ref().filter(|opaque| opaque.is_made_by(Protocol::OpenAiResponses, self.provider));
        let Some(opaque) = own else {
            self.dropped.push("reasoning".to_owned());
            return;
        };
        let text = Some(reasoning.text.as_str()).filter(|text| !text.is_empty());
        let summary = text.map(|text| Part::SummaryText { text }).into_iter().collect();
        self.items.push(Item::Reasoning { summary, encrypted_content: &opaque.data });
    }

    fn call(&mut self, call: &'r ToolCall) -> Result<(), Failure> {
        let (call_id, name) = (self.id(&call.id)?, call.name.as_str());
        self.items.push(if call.custom {
            self.custom_calls.push(call_id);
            Item::CustomToolCall { call_id, name, input: &call.arguments }
        } else {
            Item::FunctionCall { call_id, name, arguments: arguments(&call.arguments) }
        });
        Ok(())
    }

    fn result(&mut self, result: &'r ToolResult) -> Result<(), Failure> {
        let (call_id, output) = (self.id(&result.call_id)?, output(result));
        self.items.push(if result.custom || self.custom_calls.contains(&call_id) {
            Item::CustomToolCallOutput { call_id, output }
        } else {
            Item::FunctionCallOutput { call_id, output }
        });
        Ok(())
    }

    /// A cut id would pair a result with another call, or with none.
    fn id(&self, id: &'r str) -> Result<&'r str, Failure> {
        if id.chars().count() > LONGEST_ID {
            let mut failure = unsupported(format!("{}.id", self.content));
            failure.message =
                format!("the tool call id `{id}` is longer than the {LONGEST_ID} characters that the provider takes");
            return Err(failure);
        }
        Ok(id)
    }
}

fn arguments(text: &str) -> Cow<'_, str> {
    if text.trim().is_empty() {
        Cow::Borrowed("{}")
    } else if serde_json::from_str::<IgnoredAny>(text).is_ok() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(json!({"_raw": text}).to_string())
    }
}

fn output(result: &ToolResult) -> Output<'_> {
    let texts: Vec<&str> = result
        .content
        .iter()
        .filter_map(|block| match block {
            Block::Text(text) => Some(text.text.as_str()),
            _ => None,
        })
        .collect();
    let prefix = if result.is_error { ERROR_PREFIX } else { "" };
    if texts.len() == result.content.len() {
        return Output::Text(match texts.as_slice() {
            [text] if prefix.is_empty() => Cow::Borrowed(*text),
            _ => Cow::Owned(format!("{prefix}{}", texts.join("\n"))),
        });
    }
    let mut parts: Vec<Part<'_>> = result.content.iter().filter_map(input_part).collect();
    match parts.first_mut() {
        Some(Part::InputText { text }) => text.to_mut().insert_str(0, prefix),
        _ if result.is_error => parts.insert(0, Part::InputText { text: Cow::Borrowed(ERROR_PREFIX.trim_end()) }),
        _ => {}
    }
    Output::Parts(parts)
}

fn input_part(block: &Block) -> Option<Part<'_>> {
    match block {
        Block::Text(text) if text.text.is_empty() => None,
        Block::Text(text) => Some(Part::InputText { text: Cow::Borrowed(&text.text) }),
        Block::Image(Image { source, detail }) => {
            Some(Part::InputImage { image_url: source.to_url(), detail: detail.as_deref() })
        }
        Block::Document(document) => Some(file_part(document)),
        _ => None,
    }
}

fn output_part(block: &Block) -> Option<Part<'_>> {
    match block {
        Block::Text(text) if text.text.is_empty() => None,
        Block::Text(text) => Some(Part::OutputText { text: &text.text, annotations: [] }),
        Block::Refusal(refusal) => Some(Part::Refusal { refusal }),
        _ => None,
    }
}

/// Bytes need a file name.
fn file_part(document: &Document) -> Part<'_> {
    let name = document.name.as_deref();
    match &document.source {
        DocumentSource::Media(MediaSource::Url(url)) => {
            Part::InputFile { file_url: Some(url), filename: None, file_data: None }
        }
        DocumentSource::Media(source @ MediaSource::Base64 { media_type, .. }) => {
            let unnamed = if media_type == "application/pdf" { "document.pdf" } else { "document.txt" };
            Part::InputFile { file_url: None, filename: name.or(Some(unnamed)), file_data: Some(source.to_url()) }
        }
        DocumentSource::Text(text) => Part::InputFile {
            file_url: None,
            filename: name.or(Some("document.txt")),
            file_data: Some(format!("data:text/plain;base64,{}", STANDARD.encode(text))),
        },
    }
}
