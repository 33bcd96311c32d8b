//! What of a request or an answer is counted when a provider does not count.

use super::{Block, ChatRequest, Document, DocumentSource, Image, Tool, ToolInput};

/// Texts and images to count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Countable {
    /// All texts.
    pub texts: Vec<String>,
    /// Images in full detail.
    pub images: u64,
    /// Images in low detail.
    pub low_detail_images: u64,
    /// Bytes of more text of the same kind, which is counted by its length.
    pub unread: u64,
}

impl From<&ChatRequest> for Countable {
    fn from(request: &ChatRequest) -> Self {
        let mut all = Self { texts: request.instructions.clone(), ..Self::default() };
        request.messages.iter().flat_map(|message| &message.blocks).for_each(|block| all.add(block));
        all.texts.extend(request.tools.iter().map(declaration));
        all
    }
}

impl Countable {
    /// What is counted of an answer.
    #[must_use]
    pub fn from_blocks(blocks: &[Block]) -> Self {
        let mut all = Self::default();
        blocks.iter().for_each(|block| all.add(block));
        all
    }

    fn add(&mut self, block: &Block) {
        match block {
            Block::Text(text) => self.texts.push(text.text.clone()),
            Block::Refusal(text) => self.texts.push(text.clone()),
            Block::Reasoning(reasoning) => self.texts.push(reasoning.text.clone()),
            Block::ToolCall(call) => self.texts.extend([call.name.clone(), call.arguments.clone()]),
            Block::ToolResult(result) => result.content.iter().for_each(|block| self.add(block)),
            Block::Document(Document { source: DocumentSource::Text(text), .. }) => self.texts.push(text.clone()),
            // Other documents are binary: what a provider makes of them is not known here.
            Block::Document(_) => {}
            Block::Image(Image { detail, .. }) if detail.as_deref() == Some("low") => self.low_detail_images += 1,
            Block::Image(_) => self.images += 1,
        }
    }
}

fn declaration(tool: &Tool) -> String {
    let schema = match &tool.input {
        ToolInput::Function { schema, .. } => schema,
        ToolInput::Custom { format } => format,
    };
    let schema = schema.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{} {} {schema}", tool.name, tool.description.as_deref().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{MediaSource, Text, ToolResult};

    #[test]
    fn texts_of_all_depths_and_images_by_detail_are_counted() {
        let image = |detail: Option<&str>| {
            Block::Image(Image { source: MediaSource::Url("http://h".into()), detail: detail.map(str::to_owned) })
        };
        let text = |text: &str| Block::Text(Text { text: text.into(), citations: vec![] });
        let content = vec![text("b"), image(None)];
        let result = Block::ToolResult(ToolResult { call_id: "c".into(), content, is_error: false, custom: false });
        let counted = Countable::from_blocks(&[text("a"), result, image(Some("low"))]);
        let texts = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(counted, Countable { texts, images: 1, low_detail_images: 1, unread: 0 });
    }
}
