//! What messages are made of.

use super::Opaque;

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub blocks: Vec<Block>,
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The client's side, tool results included.
    User,
    /// The model.
    Assistant,
    /// An instruction in the middle of a conversation.
    System,
}

/// A part of a message or of an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// Plain text.
    Text(Text),
    /// A picture.
    Image(Image),
    /// A document.
    Document(Document),
    /// The model's request to run a tool.
    ToolCall(ToolCall),
    /// What the tool answered.
    ToolResult(ToolResult),
    /// The model's reasoning.
    Reasoning(Reasoning),
    /// The model's visible refusal.
    Refusal(String),
}

/// Text with the sources it cites.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// Sources, in order.
    pub citations: Vec<Citation>,
}

/// A web page that a text cites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citation {
    /// Address.
    pub url: String,
    /// Title of the page.
    pub title: String,
    /// First and one past the last cited character within the block's text, counted in Unicode
    /// characters; `None` where the provider does not say.
    pub span: Option<(u64, u64)>,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Where it is.
    pub source: MediaSource,
    /// OpenAI's `detail`: `low`, `high`, `auto`.
    pub detail: Option<String>,
}

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Where it is.
    pub source: DocumentSource,
    /// Its file name or title.
    pub name: Option<String>,
}

/// Where a document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentSource {
    /// Bytes or an address.
    Media(MediaSource),
    /// Plain text.
    Text(String),
}

/// Bytes or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaSource {
    /// An http(s) address that the provider fetches; llm-proxy never does.
    Url(String),
    /// Bytes in base64, without the `data:` wrapping.
    Base64 {
        /// Such as `image/png` or `application/pdf`.
        media_type: String,
        /// Standard base64.
        data: String,
    },
}

impl MediaSource {
    /// Splits a `data:` URL with base64 content; anything else is kept as an address.
    #[must_use]
    pub fn parse(url: &str) -> Self {
        let split = url.strip_prefix("data:").and_then(|rest| rest.split_once(','));
        match split.and_then(|(head, data)| Some((head.strip_suffix(";base64")?, data))) {
            // Parameters such as `;name=x` do not belong to the media type.
            Some((media_type, data)) => Self::Base64 {
                media_type: media_type.split(';').next().unwrap_or_default().to_owned(),
                data: data.to_owned(),
            },
            None => Self::Url(url.to_owned()),
        }
    }

    /// As an address, bytes as a `data:` URL.
    #[must_use]
    pub fn to_url(&self) -> String {
        match self {
            Self::Url(url) => url.clone(),
            Self::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
        }
    }
}

/// The model's request to run a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// Pairs the call with its result: `id` in Chat and Messages, `call_id` in Responses.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Raw JSON text of a function's arguments (may be cut or empty when the model was
    /// stopped), or the free text of a custom tool. Never re-serialised: numbers and key order
    /// stay.
    pub arguments: String,
    /// Whether it is a free-text tool.
    pub custom: bool,
}

/// What a tool answered.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolResult {
    /// The call's id.
    pub call_id: String,
    /// Text, images and documents; empty when the tool said nothing.
    pub content: Vec<Block>,
    /// Whether the tool failed.
    pub is_error: bool,
    /// Whether the call was of a free-text tool.
    pub custom: bool,
}

/// The model's reasoning.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// What may be read of it; empty when it is withheld.
    pub text: String,
    /// What only its maker can read, needed to go on with it on the next turn.
    pub opaque: Option<Opaque>,
}
