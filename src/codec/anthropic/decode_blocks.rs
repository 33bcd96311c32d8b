//! A client's conversation: system texts, messages and their blocks.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::loss::{Foreign, unsupported};
use super::media;
use super::object::{Object, Path, as_list, as_text, is_text};
use crate::chat::{
    Block, Citation, Failure, Message, Opaque, OpaqueKind, PACKED_PREFIX, Protocol, Reasoning, Role, Text, ToolCall,
    ToolResult,
};

/// `system` and `messages`.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    pub instructions: Vec<String>,
    pub messages: Vec<Message>,
}

/// Reads the conversation of a request.
pub(super) fn conversation(object: &Object<'_, '_>, foreign: &mut Foreign) -> Result<Conversation, Failure> {
    let mut conversation = Conversation::default();
    if let Some(system) = object.get("system") {
        conversation.instructions = texts(system, &Path::Key(object.path(), "system"), "system[]", foreign)?;
    }
    let path = Path::Key(object.path(), "messages");
    let Some(messages) = object.list("messages")? else {
        return Err(path.missing());
    };
    for (index, value) in messages.into_iter().enumerate() {
        let path = Path::Index(&path, index);
        let message = Object::read(value, &path)?;
        let content = message.required("content")?;
        let content_path = Path::Key(&path, "content");
        let role = match &*message.required_text("role")? {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            _ => return Err(Path::Key(&path, "role").invalid("user, assistant or system")),
        };
        if role == Role::System && conversation.messages.is_empty() {
            let texts = texts(content, &content_path, "messages[].content[]", foreign)?;
            conversation.instructions.extend(texts);
        } else {
            let blocks = blocks(content, &content_path, foreign)?;
            conversation.messages.push(Message { role, blocks });
        }
    }
    Ok(conversation)
}

/// A string, or text blocks.
fn texts(value: &RawValue, path: &Path<'_>, listed_as: &str, foreign: &mut Foreign) -> Result<Vec<String>, Failure> {
    if is_text(value) {
        return Ok(vec![as_text(value, path)?.into_owned()]);
    }
    let read = |(index, value)| {
        let path = Path::Index(path, index);
        let block = Object::read(value, &path)?;
        if block.get("cache_control").is_some() {
            foreign.add(format!("{listed_as}.cache_control"));
        }
        Ok(block.required_text("text")?.into_owned())
    };
    as_list(value, path)?.into_iter().enumerate().map(read).collect()
}

/// A string, or blocks.
fn blocks(value: &RawValue, path: &Path<'_>, foreign: &mut Foreign) -> Result<Vec<Block>, Failure> {
    if is_text(value) {
        return Ok(vec![text_block(as_text(value, path)?)]);
    }
    let mut blocks = Vec::new();
    for (index, value) in as_list(value, path)?.into_iter().enumerate() {
        let path = Path::Index(path, index);
        let object = Object::read(value, &path)?;
        if object.get("cache_control").is_some() {
            foreign.add("messages[].content[].cache_control");
        }
        blocks.extend(block(&object, foreign)?);
    }
    Ok(blocks)
}

/// `None`: a block that only this protocol's provider can use; it has been listed.
fn block(object: &Object<'_, '_>, foreign: &mut Foreign) -> Result<Option<Block>, Failure> {
    Ok(Some(match &*object.required_text("type")? {
        "text" => text(object, foreign)?,
        "image" => media::image(object)?,
        "document" => match media::document(object, foreign)? {
            Some(document) => document,
            None => return Ok(None),
        },
        "search_result" => media::search_result(object, foreign)?,
        "tool_use" => Block::ToolCall(ToolCall {
            id: object.required_text("id")?.into_owned(),
            name: object.required_text("name")?.into_owned(),
            arguments: arguments(object)?,
            custom: false,
        }),
        "tool_result" => tool_result(object, foreign)?,
        "thinking" => Block::Reasoning(Reasoning {
            text: object.text("thinking")?.unwrap_or_default().into_owned(),
            opaque: opaque(object.text("signature")?, OpaqueKind::Signature),
        }),
        "redacted_thinking" => Block::Reasoning(Reasoning {
            text: String::new(),
            opaque: opaque(object.text("data")?, OpaqueKind::Redacted),
        }),
        "container_upload" => return Err(unsupported("messages[].content[].container_upload")),
        other => {
            foreign.add(format!("messages[].content[].{other}"));
            return Ok(None);
        }
    }))
}

fn text_block(text: Cow<'_, str>) -> Block {
    Block::Text(Text { text: text.into_owned(), citations: Vec::new() })
}

fn text(object: &Object<'_, '_>, foreign: &mut Foreign) -> Result<Block, Failure> {
    let path = Path::Key(object.path(), "citations");
    let mut citations = Vec::new();
    for (index, value) in object.list("citations")?.unwrap_or_default().into_iter().enumerate() {
        let path = Path::Index(&path, index);
        let citation = Object::read(value, &path)?;
        match (citation.text("type")?.as_deref(), citation.text("url")?) {
            (Some("web_search_result_location"), Some(url)) => citations.push(Citation {
                url: url.into_owned(),
                title: citation.text("title")?.unwrap_or_default().into_owned(),
                span: None,
            }),
            _ => foreign.add("messages[].content[].citations"),
        }
    }
    Ok(Block::Text(Text { text: object.required_text("text")?.into_owned(), citations }))
}

/// The arguments as the client wrote them.
fn arguments(object: &Object<'_, '_>) -> Result<String, Failure> {
    let Some(input) = object.get("input") else {
        return Ok("{}".to_owned());
    };
    if !input.get().starts_with('{') {
        return Err(Path::Key(object.path(), "input").invalid("an object"));
    }
    Ok(input.get().to_owned())
}

fn tool_result(object: &Object<'_, '_>, foreign: &mut Foreign) -> Result<Block, Failure> {
    let content = match object.get("content") {
        Some(value) => blocks(value, &Path::Key(object.path(), "content"), foreign)?,
        None => Vec::new(),
    };
    Ok(Block::ToolResult(ToolResult {
        call_id: object.required_text("tool_use_id")?.into_owned(),
        content,
        is_error: object.flag("is_error")?.unwrap_or_default(),
        custom: false,
    }))
}

/// Packed state says who made it. That of anybody else may come from any provider.
fn opaque(data: Option<Cow<'_, str>>, kind: OpaqueKind) -> Option<Opaque> {
    let data = data.filter(|data| !data.is_empty())?;
    if data.starts_with(PACKED_PREFIX) {
        return Opaque::unpack(&data);
    }
    Some(Opaque { protocol: Protocol::Anthropic, provider: String::new(), kind, data: data.into_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::decode_request;
    use super::*;
    use crate::chat::ChatRequest;

    fn read(messages: serde_json::Value) -> Result<ChatRequest, Failure> {
        let system =
            json!([{"type":"text","text":"one","cache_control":{"type":"ephemeral"}},{"type":"text","text":"two"}]);
        let body = json!({"model":"m","system":system,"messages":messages});
        decode_request::decode(body.to_string().as_bytes())
    }

    fn blocks_of(content: serde_json::Value) -> (Vec<Block>, Vec<String>) {
        let body = json!({"model":"m","messages":[{"role":"assistant","content":content}]});
        let mut request = decode_request::decode(body.to_string().as_bytes()).unwrap();
        (request.messages.remove(0).blocks, request.foreign)
    }

    #[test]
    fn leading_system_messages_are_instructions_and_later_ones_stay_in_place() {
        let request = read(json!([
            {"role":"system","content":"three"},
            {"role":"user","content":"Hi"},
            {"role":"system","content":[{"type":"text","text":"four","cache_control":{"type":"ephemeral"}}]}
        ]))
        .unwrap();
        assert_eq!(request.instructions, ["one", "two", "three"]);
        let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::User, Role::System]);
        assert_eq!(request.foreign, ["messages[].content[].cache_control", "system[].cache_control"]);
    }

    #[test]
    fn arguments_are_kept_to_the_byte() {
        let body = r#"{"model":"m","messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"n","input":{"z":1.10, "a":12345678901234567890123}}]}]}"#;
        let request = decode_request::decode(body.as_bytes()).unwrap();
        match &request.messages[0].blocks[0] {
            Block::ToolCall(call) => assert_eq!(call.arguments, r#"{"z":1.10, "a":12345678901234567890123}"#),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reasoning_state_is_unpacked_and_raw_state_has_no_maker() {
        let made = Opaque {
            protocol: Protocol::OpenAiResponses,
            provider: "oai".to_owned(),
            kind: OpaqueKind::Encrypted,
            data: "gAAA".to_owned(),
        };
        let (blocks, _) = blocks_of(json!([
            {"type":"thinking","thinking":"Hm","signature":made.pack()},
            {"type":"thinking","thinking":"Hm","signature":"EqQB"},
            {"type":"thinking","thinking":"Hm","signature":PACKED_PREFIX},
            {"type":"redacted_thinking","data":"Ev"}
        ]));
        let states: Vec<Option<Opaque>> = blocks
            .into_iter()
            .map(|block| match block {
                Block::Reasoning(reasoning) => reasoning.opaque,
                other => panic!("{other:?}"),
            })
            .collect();
        let raw = |kind, data: &str| Opaque {
            protocol: Protocol::Anthropic,
            provider: String::new(),
            kind,
            data: data.to_owned(),
        };
        let signature = raw(OpaqueKind::Signature, "EqQB");
        assert_eq!(states, [Some(made), Some(signature), None, Some(raw(OpaqueKind::Redacted, "Ev"))]);
    }

    #[test]
    fn tool_results_hold_text_images_and_errors() {
        let (blocks, foreign) = blocks_of(json!([
            {"type":"tool_result","tool_use_id":"a","content":"x","is_error":true},
            {"type":"tool_result","tool_use_id":"b","content":[
                {"type":"text","text":"y","cache_control":{"type":"ephemeral"}},
                {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}},
                {"type":"tool_reference","tool_name":"n"}]},
            {"type":"tool_result","tool_use_id":"c"}
        ]));
        let results: Vec<(usize, bool)> = blocks
            .iter()
            .map(|block| match block {
                Block::ToolResult(result) => (result.content.len(), result.is_error),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(results, [(1, true), (2, false), (0, false)]);
        assert_eq!(foreign, ["messages[].content[].cache_control", "messages[].content[].tool_reference"]);
    }

    #[test]
    fn blocks_of_hosted_tools_are_left_out_and_listed() {
        let (blocks, foreign) = blocks_of(json!([
            {"type":"server_tool_use","id":"s","name":"web_search","input":{}},
            {"type":"web_search_tool_result","tool_use_id":"s","content":[]},
            {"type":"text","text":"Found","citations":[
                {"type":"web_search_result_location","url":"https://a","title":null,"cited_text":"","encrypted_index":""}]}
        ]));
        let listed = ["messages[].content[].server_tool_use", "messages[].content[].web_search_tool_result"];
        assert_eq!(foreign, listed);
        assert!(matches!(&blocks[..], [Block::Text(text)] if text.citations[0].url == "https://a"));
    }

    #[test]
    fn mistakes_name_the_block() {
        let wrong = [
            (json!([{"role":"tool","content":"x"}]), "messages[0].role"),
            (json!([{"role":"user"}]), "messages[0].content"),
            (json!([{"role":"user","content":5}]), "messages[0].content"),
            (
                json!([{"role":"user","content":[{"type":"text","text":"a"},{"text":"b"}]}]),
                "messages[0].content[1].type",
            ),
            (
                json!([{"role":"user","content":[{"type":"tool_use","id":"a","name":"b","input":"c"}]}]),
                "messages[0].content[0].input",
            ),
            (json!([{"role":"user","content":[{"type":"tool_result"}]}]), "messages[0].content[0].tool_use_id"),
            (json!([{"role":"user","content":[{"type":"image"}]}]), "messages[0].content[0].source"),
        ];
        for (messages, param) in wrong {
            assert_eq!(read(messages).unwrap_err().param.as_deref(), Some(param));
        }
    }
}
