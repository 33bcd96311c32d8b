//! The protocol's JSON: blocks and messages as they are written, borrowed text as it is read.

use std::borrow::{Borrow, Cow};

use rand::distr::{Alphanumeric, SampleString};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Text that is borrowed unless it holds escapes, also inside an `Option` or as a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct Str<'b>(#[serde(borrow)] pub Cow<'b, str>);

/// One turn of a request.
#[derive(Debug, Serialize)]
pub(super) struct Turn<'a> {
    pub role: &'static str,
    pub content: Vec<Block<'a>>,
}

pub(super) const USER: &str = "user";
pub(super) const ASSISTANT: &str = "assistant";

/// A content block of a request or an answer.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    Text {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        citations: Vec<WebCitation<'a>>,
    },
    Image {
        source: Source<'a>,
    },
    Document {
        source: Source<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        title: Option<&'a str>,
    },
    Thinking {
        thinking: &'a str,
        signature: Cow<'a, str>,
    },
    RedactedThinking {
        data: Cow<'a, str>,
    },
    ToolUse {
        id: Cow<'a, str>,
        name: &'a str,
        input: Input<'a>,
    },
    ToolResult {
        tool_use_id: Cow<'a, str>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        content: Vec<Block<'a>>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        is_error: bool,
    },
}

/// Where an image or a document is.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Source<'a> {
    Base64 { media_type: Cow<'a, str>, data: &'a str },
    Url { url: &'a str },
    Text { media_type: &'static str, data: Cow<'a, str> },
}

/// The arguments of a tool call: always an object here.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Input<'a> {
    /// As the sender wrote it.
    Object(&'a RawValue),
    Empty {},
    /// Text that is no JSON object.
    Unreadable {
        #[serde(rename = "_raw")]
        text: &'a str,
    },
    /// What a free-text tool takes.
    Custom {
        input: &'a str,
    },
}

/// A web page that a text cites.
#[derive(Debug, Serialize)]
pub(super) struct WebCitation<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub url: &'a str,
    pub title: &'a str,
    pub cited_text: &'static str,
    pub encrypted_index: &'static str,
}

impl Borrow<str> for Str<'_> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'a> Block<'a> {
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text { text: text.into(), citations: Vec::new() }
    }
}

impl<'a> From<&'a crate::chat::Citation> for WebCitation<'a> {
    fn from(citation: &'a crate::chat::Citation) -> Self {
        // What the page says and where is known only to a provider of this protocol.
        Self {
            kind: "web_search_result_location",
            url: &citation.url,
            title: &citation.title,
            cited_text: "",
            encrypted_index: "",
        }
    }
}

/// A new id: `prefix` and 24 alphanumerics.
pub(super) fn new_id(prefix: &str) -> String {
    let mut id = prefix.to_owned();
    Alphanumeric.append_string(&mut rand::rng(), &mut id, 24);
    id
}

/// `id` with `_` for each character that the protocol forbids; a new one where there is none.
pub(super) fn call_id(id: &str) -> Cow<'_, str> {
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '-');
    if id.is_empty() {
        Cow::Owned(new_id("toolu_"))
    } else if id.chars().all(is_allowed) {
        Cow::Borrowed(id)
    } else {
        Cow::Owned(id.chars().map(|character| if is_allowed(character) { character } else { '_' }).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_what_the_protocol_allows() {
        assert!(matches!(call_id("toolu_01-A"), Cow::Borrowed("toolu_01-A")));
        assert_eq!(call_id("call:1.é"), "call_1__");
        let made = call_id("");
        assert!(made.starts_with("toolu_") && made.len() == 30, "{made}");
    }
}
