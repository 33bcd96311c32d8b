//! Images and documents, both ways.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::loss::{Foreign, refused, unsupported};
use super::object::{Object, Path, as_list, as_text, is_text};
use super::wire::Source;
use crate::chat::{Block, Document, DocumentSource, Failure, Image, MediaSource};

const PDF: &str = "application/pdf";
const FILE_SOURCE: &str = "messages[].content[].source";

/// Reads an `image` block.
pub(super) fn image(object: &Object<'_, '_>) -> Result<Block, Failure> {
    let value = object.required("source")?;
    let path = Path::Key(object.path(), "source");
    let source = Object::read(value, &path)?;
    let source = match &*source.required_text("type")? {
        "base64" => bytes(&source)?,
        "url" => MediaSource::parse(&source.required_text("url")?),
        "file" => return Err(unsupported(FILE_SOURCE)),
        _ => return Err(Path::Key(&path, "type").invalid("base64 or url")),
    };
    Ok(Block::Image(Image { source, detail: None }))
}

/// Reads a `document` block; `None` when it holds nothing that can be carried.
pub(super) fn document(object: &Object<'_, '_>, foreign: &mut Foreign) -> Result<Option<Block>, Failure> {
    for name in object.said().filter(|name| matches!(*name, "title" | "context")) {
        foreign.add(format!("messages[].content[].{name}"));
    }
    if let Some(citations) = object.get("citations")
        && Object::read(citations, &Path::Key(object.path(), "citations"))?.flag("enabled")?.unwrap_or_default()
    {
        foreign.add("messages[].content[].citations");
    }
    let value = object.required("source")?;
    let path = Path::Key(object.path(), "source");
    let source = Object::read(value, &path)?;
    let source = match &*source.required_text("type")? {
        "base64" => DocumentSource::Media(bytes(&source)?),
        "url" => DocumentSource::Media(MediaSource::parse(&source.required_text("url")?)),
        "text" => DocumentSource::Text(source.required_text("data")?.into_owned()),
        "content" => match content_text(&source, foreign)? {
            Some(text) => DocumentSource::Text(text),
            None => return Ok(None),
        },
        "file" => return Err(unsupported(FILE_SOURCE)),
        _ => return Err(Path::Key(&path, "type").invalid("base64, url, text or content")),
    };
    let name = object.text("title")?.map(Cow::into_owned);
    Ok(Some(Block::Document(Document { source, name })))
}

/// Reads a `search_result` block: its text as a document; where it was found is listed.
pub(super) fn search_result(object: &Object<'_, '_>, foreign: &mut Foreign) -> Result<Block, Failure> {
    foreign.add("messages[].content[].search_result");
    let name = object.text("title")?.map(Cow::into_owned);
    let text = content_text(object, foreign)?.unwrap_or_default();
    Ok(Block::Document(Document { source: DocumentSource::Text(text), name }))
}

/// The texts of `content`, a string or blocks; other blocks are listed.
fn content_text(object: &Object<'_, '_>, foreign: &mut Foreign) -> Result<Option<String>, Failure> {
    let value = object.required("content")?;
    let path = Path::Key(object.path(), "content");
    if is_text(value) {
        return Ok(Some(as_text(value, &path)?.into_owned()));
    }
    let mut texts = Vec::new();
    for (index, value) in as_list(value, &path)?.into_iter().enumerate() {
        let path = Path::Index(&path, index);
        let block = Object::read(value, &path)?;
        match block.text("text")? {
            Some(text) => texts.push(text),
            None => foreign.add(FILE_SOURCE),
        }
    }
    Ok((!texts.is_empty()).then(|| texts.join("\n")))
}

fn bytes(source: &Object<'_, '_>) -> Result<MediaSource, Failure> {
    Ok(MediaSource::Base64 {
        media_type: source.required_text("media_type")?.into_owned(),
        data: source.required_text("data")?.into_owned(),
    })
}

/// Writes an image's source. `field` is the client's name for content.
pub(super) fn image_source<'a>(image: &'a Image, field: &str) -> Result<Source<'a>, Failure> {
    match &image.source {
        MediaSource::Url(url) => url_source(url, field),
        MediaSource::Base64 { media_type, data } => {
            let media_type = match media_type.to_ascii_lowercase().as_str() {
                "image/jpeg" | "image/jpg" => "image/jpeg",
                "image/png" => "image/png",
                "image/gif" => "image/gif",
                "image/webp" => "image/webp",
                _ => return Err(refused(&format!("an image of type `{media_type}`"), field)),
            };
            Ok(Source::Base64 { media_type: Cow::Borrowed(media_type), data })
        }
    }
}

/// Writes a document's source; `None` when it is blank, which the protocol does not take.
pub(super) fn document_source<'a>(document: &'a Document, field: &str) -> Result<Option<Source<'a>>, Failure> {
    let text = match &document.source {
        DocumentSource::Media(MediaSource::Url(url)) => return url_source(url, field).map(Some),
        DocumentSource::Media(MediaSource::Base64 { media_type, data }) => {
            let media_type = media_type.to_ascii_lowercase();
            // Bytes without a telling type are known by how every PDF begins.
            if media_type == PDF || (!is_textual(&media_type) && data.starts_with("JVBERi")) {
                return Ok(Some(Source::Base64 { media_type: Cow::Borrowed(PDF), data }));
            }
            Cow::Owned(decoded_text(&media_type, data, field)?)
        }
        DocumentSource::Text(text) => Cow::Borrowed(text.as_str()),
    };
    Ok((!text.trim().is_empty()).then_some(Source::Text { media_type: "text/plain", data: text }))
}

fn url_source<'a>(url: &'a str, field: &str) -> Result<Source<'a>, Failure> {
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(Source::Url { url });
    }
    Err(refused("an address that is neither http nor https", field))
}

fn is_textual(media_type: &str) -> bool {
    const TEXTUAL: [&str; 6] = [
        "application/json",
        "application/xml",
        "application/yaml",
        "application/x-yaml",
        "application/javascript",
        "application/x-ndjson",
    ];
    media_type.starts_with("text/")
        || TEXTUAL.contains(&media_type)
        || media_type.ends_with("+json")
        || media_type.ends_with("+xml")
}

fn decoded_text(media_type: &str, data: &str, field: &str) -> Result<String, Failure> {
    let refused = || refused(&format!("a document of type `{media_type}`"), field);
    let is_unknown = matches!(media_type, "" | "application/octet-stream");
    if !is_textual(media_type) && !is_unknown {
        return Err(refused());
    }
    let bytes = STANDARD.decode(data).map_err(|_error| refused())?;
    String::from_utf8(bytes).map_err(|_error| refused())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::decode_request;
    use super::*;
    use crate::chat::FailureKind;

    fn written(media_type: &str, data: &str) -> Result<serde_json::Value, Failure> {
        let source = MediaSource::Base64 { media_type: media_type.to_owned(), data: data.to_owned() };
        let document = Document { source: DocumentSource::Media(source), name: None };
        document_source(&document, "content").map(|source| serde_json::to_value(source).unwrap())
    }

    #[test]
    fn documents_are_written_as_pdf_text_or_not_at_all() {
        let pdf = json!({"type":"base64","media_type":"application/pdf","data":"JVBERi0x"});
        assert_eq!(written("application/pdf", "JVBERi0x").unwrap(), pdf);
        assert_eq!(written("application/octet-stream", "JVBERi0x").unwrap(), pdf);
        let text = json!({"type":"text","media_type":"text/plain","data":"é"});
        assert_eq!(written("text/markdown", "w6k=").unwrap(), text);
        assert_eq!(written("text/plain", "IA==").unwrap(), json!(null));
        for (media_type, data) in [("application/msword", "w6k="), ("text/plain", "/w=="), ("text/plain", "%")] {
            let failure = written(media_type, data).unwrap_err();
            assert_eq!(failure.kind, FailureKind::UnsupportedAcrossProtocols, "{media_type} {data}");
            assert_eq!(failure.param.as_deref(), Some("content"));
        }
    }

    #[test]
    fn images_are_addresses_or_one_of_four_types() {
        let written = |url: &str| {
            let image = Image { source: MediaSource::parse(url), detail: None };
            image_source(&image, "content").map(|source| serde_json::to_value(source).unwrap())
        };
        assert_eq!(written("https://a/b.png").unwrap(), json!({"type":"url","url":"https://a/b.png"}));
        let jpeg = json!({"type":"base64","media_type":"image/jpeg","data":"AA=="});
        assert_eq!(written("data:image/JPG;base64,AA==").unwrap(), jpeg);
        for wrong in ["data:image/svg+xml;base64,AA==", "data:image/png,x", "gs://a", "file-1"] {
            assert!(written(wrong).is_err(), "{wrong}");
        }
    }

    fn read(block: serde_json::Value) -> Result<(Vec<Block>, Vec<String>), Failure> {
        let body = json!({"model":"m","messages":[{"role":"user","content":[block]}]});
        let mut request = decode_request::decode(body.to_string().as_bytes())?;
        Ok((request.messages.remove(0).blocks, request.foreign))
    }

    #[test]
    fn what_a_document_says_about_itself_is_listed() {
        let (blocks, foreign) = read(json!({"type":"document","title":"T","context":"c","citations":{"enabled":true},
            "source":{"type":"content","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}}))
        .unwrap();
        let listed = ["messages[].content[].citations", "messages[].content[].context", "messages[].content[].title"];
        assert_eq!(foreign, listed);
        let document = Document { source: DocumentSource::Text("a\nb".to_owned()), name: Some("T".to_owned()) };
        assert_eq!(blocks, [Block::Document(document)]);
        let source = json!({"type":"text","media_type":"text/plain","data":"x"});
        let (_, foreign) = read(json!({"type":"document","citations":{"enabled":false},"source":source})).unwrap();
        assert!(foreign.is_empty());
    }

    #[test]
    fn content_by_file_id_is_refused() {
        for kind in ["image", "document"] {
            let failure = read(json!({"type":kind,"source":{"type":"file","file_id":"f"}})).unwrap_err();
            assert_eq!(failure.kind, FailureKind::UnsupportedAcrossProtocols);
            assert_eq!(failure.param.as_deref(), Some("messages[].content[].source"));
        }
    }
}
