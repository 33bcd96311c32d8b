//! Content parts of a client's request → blocks.

use serde_json::Value;

use super::fields::{Fields, Foreign, missing, unsupported, wrong};
use crate::chat::{Block, Document, DocumentSource, Failure, Image, MediaSource, Text};

/// Content of a message.
pub(super) fn decode_content(content: Value, path: &str, foreign: &mut Foreign) -> Result<Vec<Block>, Failure> {
    decode(content, path, "input[].content[]", foreign)
}

/// What a tool answered.
pub(super) fn decode_output(output: Value, path: &str, foreign: &mut Foreign) -> Result<Vec<Block>, Failure> {
    decode(output, path, "input[].output[]", foreign)
}

fn decode(content: Value, path: &str, plain_path: &str, foreign: &mut Foreign) -> Result<Vec<Block>, Failure> {
    match content {
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![text_block(text)]),
        Value::Array(parts) => {
            let mut blocks = Vec::with_capacity(parts.len());
            for (i, part) in parts.into_iter().enumerate() {
                blocks.extend(decode_part(Fields::of(part, format!("{path}[{i}]"))?, plain_path, foreign)?);
            }
            Ok(blocks)
        }
        _ => Err(wrong(path.to_owned(), "a string or an array")),
    }
}

fn decode_part(mut part: Fields, plain_path: &str, foreign: &mut Foreign) -> Result<Option<Block>, Failure> {
    let kind = part.required_string("type")?;
    if part.has("prompt_cache_breakpoint") {
        foreign.add(format!("{plain_path}.prompt_cache_breakpoint"));
    }
    match kind.as_str() {
        "input_text" | "output_text" | "text" => Ok(Some(text_block(part.required_string("text")?))),
        "refusal" => Ok(Some(Block::Refusal(part.required_string("refusal")?))),
        "input_image" => decode_image(part, plain_path).map(Some),
        "input_file" => decode_file(part, plain_path).map(Some),
        "input_audio" => Err(unsupported(format!("{plain_path}.input_audio"))),
        _ => {
            foreign.add(format!("{plain_path}.{kind}"));
            Ok(None)
        }
    }
}

fn decode_image(mut part: Fields, plain_path: &str) -> Result<Block, Failure> {
    let Some(url) = part.string("image_url")? else {
        refuse_id(&part, plain_path)?;
        return Err(missing(part.path("image_url")));
    };
    // `auto` is the default, which no protocol needs to be told.
    let detail = part.string("detail")?.filter(|detail| detail != "auto");
    Ok(Block::Image(Image { source: MediaSource::parse(&url), detail }))
}

fn decode_file(mut part: Fields, plain_path: &str) -> Result<Block, Failure> {
    let name = part.string("filename")?;
    let source = match (part.string("file_data")?, part.string("file_url")?) {
        (Some(data), _) => file_data(data, name.as_deref()),
        (None, Some(url)) => MediaSource::parse(&url),
        (None, None) => {
            refuse_id(&part, plain_path)?;
            return Err(missing(part.path("file_data")));
        }
    };
    Ok(Block::Document(Document { source: DocumentSource::Media(source), name }))
}

/// Some clients send bare base64; then only the name can tell what it is.
fn file_data(data: String, name: Option<&str>) -> MediaSource {
    if data.starts_with("data:") {
        return MediaSource::parse(&data);
    }
    let is_text = name.is_some_and(|name| [".txt", ".md", ".csv"].iter().any(|end| name.ends_with(end)));
    let media_type = if is_text { "text/plain" } else { "application/pdf" };
    MediaSource::Base64 { media_type: media_type.to_owned(), data }
}

fn refuse_id(part: &Fields, plain_path: &str) -> Result<(), Failure> {
    if part.has("file_id") { Err(unsupported(format!("{plain_path}.file_id"))) } else { Ok(()) }
}

/// The texts of parts, joined.
pub(super) fn joined(parts: Vec<Value>, separator: &str) -> String {
    let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
    texts.join(separator)
}

pub(super) fn text_block(text: String) -> Block {
    Block::Text(Text { text, citations: Vec::new() })
}
