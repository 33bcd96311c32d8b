//! The conversation of a client's request.

use std::collections::BTreeSet;

use serde_json::Value;

use super::reasoning;
use crate::chat::{
    Block, Document, DocumentSource, Failure, Image, MediaSource, Message, Reasoning, Role, Text, ToolCall, ToolResult,
};
use crate::codec::openai::object::{Foreign, Object, objects_of, unsupported, wrong};

/// What a conversation is read into.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub instructions: Vec<String>,
    pub messages: Vec<Message>,
    /// Ids of calls of free-text tools.
    custom_calls: BTreeSet<String>,
    /// Calls in the old `function_call` form that wait for their result: id and name.
    open_functions: Vec<(String, String)>,
    functions: usize,
}

impl Conversation {
    /// Reads all messages.
    pub(super) fn read(messages: Vec<Object>, foreign: &mut Foreign) -> Result<Self, Failure> {
        let mut conversation = Self::default();
        for message in messages {
            conversation.push(message, foreign)?;
        }
        Ok(conversation)
    }

    fn push(&mut self, mut message: Object, foreign: &mut Foreign) -> Result<(), Failure> {
        match message.required_text("role")?.as_str() {
            "system" | "developer" => self.system(&mut message, foreign)?,
            "user" => {
                let blocks = content(&mut message, foreign)?;
                self.messages.push(Message { role: Role::User, blocks });
            }
            "assistant" => self.assistant(&mut message, foreign)?,
            "tool" => {
                let call_id = message.required_text("tool_call_id")?;
                self.result(call_id, &mut message, foreign)?;
            }
            "function" => {
                let name = message.required_text("name")?;
                let call_id = self
                    .close_function(&name)
                    .ok_or_else(|| message.wrong("", "does not follow a `function_call` of that name"))?;
                self.result(call_id, &mut message, foreign)?;
            }
            _ => return Err(message.wrong("role", "must be system, developer, user, assistant, tool or function")),
        }
        message.list_rest(foreign);
        Ok(())
    }

    fn system(&mut self, message: &mut Object, foreign: &mut Foreign) -> Result<(), Failure> {
        let blocks = content(message, foreign)?;
        if !self.messages.is_empty() {
            self.messages.push(Message { role: Role::System, blocks });
            return Ok(());
        }
        let texts: Vec<String> = blocks
            .into_iter()
            .filter_map(|block| match block {
                Block::Text(Text { text, .. }) => Some(text),
                _ => None,
            })
            .collect();
        let text = texts.join("\n");
        if !text.is_empty() {
            self.instructions.push(text);
        }
        Ok(())
    }

    fn assistant(&mut self, message: &mut Object, foreign: &mut Foreign) -> Result<(), Failure> {
        if message.take("audio").is_some() {
            return Err(unsupported("messages[].audio"));
        }
        let mut blocks = reasoning_of(message)?;
        let said = content(message, foreign)?;
        blocks.extend(said.into_iter().filter(|block| !matches!(block, Block::Text(text) if text.text.is_empty())));
        if let Some(refusal) = message.text("refusal")?.filter(|refusal| !refusal.is_empty()) {
            blocks.push(Block::Refusal(refusal));
        }
        for call in message.objects("tool_calls")? {
            blocks.push(Block::ToolCall(self.call(call, foreign)?));
        }
        if let Some(call) = message.object("function_call")? {
            blocks.push(Block::ToolCall(self.function_call(call)?));
        }
        // Sources of an earlier answer: its text holds them already.
        message.ignore(&["annotations"]);
        self.messages.push(Message { role: Role::Assistant, blocks });
        Ok(())
    }

    fn call(&mut self, mut call: Object, foreign: &mut Foreign) -> Result<ToolCall, Failure> {
        let id = call.required_text("id")?;
        let custom = call.object("custom")?;
        // `index` is left over in calls that a client put together from a stream.
        call.ignore(&["type", "index"]);
        let read = match custom {
            Some(mut custom) => {
                self.custom_calls.insert(id.clone());
                let (name, arguments) = (custom.required_text("name")?, custom.text("input")?);
                ToolCall { id, name, arguments: arguments.unwrap_or_default(), custom: true }
            }
            None => {
                let mut function = call.object("function")?.ok_or_else(|| call.missing("function"))?;
                let (name, arguments) = (function.required_text("name")?, function.text("arguments")?);
                function.list_rest(foreign);
                ToolCall { id, name, arguments: arguments.unwrap_or_default(), custom: false }
            }
        };
        call.list_rest(foreign);
        Ok(read)
    }

    /// A call in the old form has no id. The one made up here is the same whenever the same
    /// history comes again, so that prompt caches keep working.
    fn function_call(&mut self, mut call: Object) -> Result<ToolCall, Failure> {
        let (name, arguments) = (call.required_text("name")?, call.text("arguments")?);
        self.functions += 1;
        let id = format!("call_{:024}", self.functions);
        self.open_functions.push((id.clone(), name.clone()));
        Ok(ToolCall { id, name, arguments: arguments.unwrap_or_default(), custom: false })
    }

    fn close_function(&mut self, name: &str) -> Option<String> {
        let place = self.open_functions.iter().position(|(_, open)| open == name)?;
        Some(self.open_functions.remove(place).0)
    }

    /// Results that follow one another answer the calls of one turn: they are one message.
    fn result(&mut self, call_id: String, message: &mut Object, foreign: &mut Foreign) -> Result<(), Failure> {
        let mut content = content(message, foreign)?;
        content.retain(|block| !matches!(block, Block::Text(text) if text.text.is_empty()));
        // Clients repeat the tool's name here.
        message.ignore(&["name"]);
        let custom = self.custom_calls.contains(&call_id);
        let result = Block::ToolResult(ToolResult { call_id, content, is_error: false, custom });
        match self.messages.last_mut() {
            Some(Message { role: Role::User, blocks }) if matches!(blocks.last(), Some(Block::ToolResult(_))) => {
                blocks.push(result);
            }
            _ => self.messages.push(Message { role: Role::User, blocks: vec![result] }),
        }
        Ok(())
    }
}

/// `reasoning_details` carry state, the other fields the same text without it.
fn reasoning_of(message: &mut Object) -> Result<Vec<Block>, Failure> {
    let plain = [message.take("reasoning_content"), message.take("reasoning")];
    let details = reasoning::decode_history(message.objects("reasoning_details")?)?;
    if !details.is_empty() {
        return Ok(details.into_iter().map(Block::Reasoning).collect());
    }
    let text = plain.into_iter().flatten().find_map(|value| match value {
        Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    });
    Ok(text.map(|text| Block::Reasoning(Reasoning { text, opaque: None })).into_iter().collect())
}

fn content(message: &mut Object, foreign: &mut Foreign) -> Result<Vec<Block>, Failure> {
    let path = message.path("content");
    match message.take("content") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![Block::Text(Text { text, citations: Vec::new() })]),
        Some(Value::Array(parts)) => {
            let mut blocks = Vec::with_capacity(parts.len());
            for part in objects_of(parts, &path)? {
                blocks.extend(content_part(part, foreign)?);
            }
            Ok(blocks)
        }
        Some(_) => Err(wrong(path, "must be a string or an array of parts")),
    }
}

fn content_part(mut part: Object, foreign: &mut Foreign) -> Result<Option<Block>, Failure> {
    let block = match part.required_text("type")?.as_str() {
        "text" => Block::Text(Text { text: part.required_text("text")?, citations: Vec::new() }),
        "refusal" => Block::Refusal(part.required_text("refusal")?),
        "image_url" => Block::Image(image(&mut part)?),
        "file" => Block::Document(file(&mut part, foreign)?),
        "input_audio" => return Err(unsupported("messages[].content[].input_audio")),
        other => {
            foreign.add(&part.path(other));
            return Ok(None);
        }
    };
    part.list_rest(foreign);
    Ok(Some(block))
}

fn image(part: &mut Object) -> Result<Image, Failure> {
    let path = part.path("image_url");
    let (url, detail) = match part.take("image_url") {
        Some(Value::String(url)) => (url, None),
        Some(value) => {
            let mut image = Object::read(value, path)?;
            (image.required_text("url")?, image.text("detail")?)
        }
        None => return Err(part.missing("image_url")),
    };
    let detail = detail.filter(|detail| detail != "auto");
    Ok(Image { source: MediaSource::parse(&url), detail })
}

fn file(part: &mut Object, foreign: &mut Foreign) -> Result<Document, Failure> {
    let mut file = part.object("file")?.ok_or_else(|| part.missing("file"))?;
    if file.take("file_id").is_some() {
        return Err(unsupported("messages[].content[].file.file_id"));
    }
    let name = file.text("filename")?;
    let data = file.required_text("file_data")?;
    file.list_rest(foreign);
    let source = match MediaSource::parse(&data) {
        MediaSource::Url(url) if !is_address(&url) => {
            MediaSource::Base64 { media_type: media_type_of(name.as_deref()).to_owned(), data: url }
        }
        source => source,
    };
    Ok(Document { source: DocumentSource::Media(source), name })
}

fn is_address(text: &str) -> bool {
    ["http://", "https://", "data:"].iter().any(|scheme| text.starts_with(scheme))
}

/// Some clients send bare base64.
fn media_type_of(name: Option<&str>) -> &'static str {
    match name.and_then(|name| name.rsplit('.').next()) {
        Some("txt" | "md" | "csv" | "log") => "text/plain",
        _ => "application/pdf",
    }
}
