//! A conversation as this protocol wants it: roles in turns, and the results of tools first in
//! the turn after their calls.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::arguments;
use super::media;
use super::wire::{ASSISTANT, Block, Turn, USER, call_id};
use crate::chat::{self, ChatRequest, Failure, Message, OpaqueKind, Protocol, Reasoning, Role, Target, ToolResult};

/// Texts for `system` and the turns of the conversation.
pub(super) struct Written<'a> {
    pub system: Vec<&'a str>,
    pub turns: Vec<Turn<'a>>,
}

/// Writes the conversation of `request`; paths of what is left out go to `dropped`.
pub(super) fn write<'a>(
    request: &'a ChatRequest,
    target: &Target<'_>,
    dropped: &mut Vec<String>,
) -> Result<Written<'a>, Failure> {
    let mut writer = Writer { content: request.client.names.content, provider: target.provider, dropped };
    let mut turns = Vec::new();
    for message in &request.messages {
        let role = if message.role == Role::Assistant { ASSISTANT } else { USER };
        turns.push(Turn { role, content: writer.message(message)? });
    }
    let mut system: Vec<&str> =
        request.instructions.iter().map(String::as_str).filter(|text| !text.trim().is_empty()).collect();
    let mut turns = pair(merge(turns));
    // A conversation must not be empty, so the last instruction speaks as the user.
    if turns.is_empty()
        && let Some(text) = system.pop()
    {
        turns.push(Turn { role: USER, content: vec![marked(text)] });
    }
    trim_end(&mut turns);
    Ok(Written { system, turns })
}

struct Writer<'w> {
    content: &'static str,
    provider: &'w str,
    dropped: &'w mut Vec<String>,
}

impl Writer<'_> {
    fn message<'a>(&mut self, message: &'a Message) -> Result<Vec<Block<'a>>, Failure> {
        let mut blocks = Vec::with_capacity(message.blocks.len());
        for block in &message.blocks {
            match (message.role, block) {
                (Role::System, chat::Block::Text(text)) if !text.text.trim().is_empty() => {
                    blocks.push(marked(&text.text));
                }
                (Role::System, chat::Block::Text(_)) => {}
                (Role::Assistant, chat::Block::Image(_) | chat::Block::Document(_)) => {
                    self.dropped.push(self.content.to_owned());
                }
                (_, block) => blocks.extend(self.block(block)?),
            }
        }
        Ok(blocks)
    }

    /// `None`: blank, or nothing that this protocol takes.
    fn block<'a>(&mut self, block: &'a chat::Block) -> Result<Option<Block<'a>>, Failure> {
        Ok(match block {
            chat::Block::Text(chat::Text { text, .. }) | chat::Block::Refusal(text) => {
                (!text.trim().is_empty()).then(|| Block::text(text))
            }
            chat::Block::Image(image) => Some(self.image(image)?),
            chat::Block::Document(document) => {
                let title = document.name.as_deref().filter(|name| !name.trim().is_empty());
                media::document_source(document, self.content)?.map(|source| Block::Document { source, title })
            }
            chat::Block::ToolCall(call) => {
                let input = arguments::to_input(call);
                Some(Block::ToolUse { id: history_id(&call.id), name: &call.name, input })
            }
            chat::Block::ToolResult(result) => Some(self.tool_result(result)?),
            chat::Block::Reasoning(reasoning) => self.reasoning(reasoning),
        })
    }

    fn image<'a>(&mut self, image: &'a chat::Image) -> Result<Block<'a>, Failure> {
        if image.detail.as_deref().is_some_and(|detail| detail != "auto") {
            // Chat has it one level deeper than Responses.
            let is_chat = self.content.starts_with("messages");
            let field = if is_chat { "image_url.detail" } else { "detail" };
            self.dropped.push(format!("{}.{field}", self.content));
        }
        Ok(Block::Image { source: media::image_source(image, self.content)? })
    }

    fn tool_result<'a>(&mut self, result: &'a ToolResult) -> Result<Block<'a>, Failure> {
        let mut content = Vec::with_capacity(result.content.len());
        for block in &result.content {
            content.extend(self.block(block)?);
        }
        content.retain(|block| matches!(block, Block::Text { .. } | Block::Image { .. } | Block::Document { .. }));
        Ok(Block::ToolResult { tool_use_id: history_id(&result.call_id), content, is_error: result.is_error })
    }

    /// Reasoning goes back only to the provider that made it: any other refuses its state.
    fn reasoning<'a>(&mut self, reasoning: &'a Reasoning) -> Option<Block<'a>> {
        let own = reasoning.opaque.as_ref().filter(|opaque| opaque.is_made_by(Protocol::Anthropic, self.provider));
        let block = own.and_then(|opaque| match opaque.kind {
            OpaqueKind::Signature => {
                Some(Block::Thinking { thinking: &reasoning.text, signature: Cow::Borrowed(&opaque.data) })
            }
            OpaqueKind::Redacted => Some(Block::RedactedThinking { data: Cow::Borrowed(&opaque.data) }),
            OpaqueKind::Encrypted => None,
        });
        if block.is_none() {
            self.dropped.push("reasoning".to_owned());
        }
        block
    }
}

/// The id of a call in the history. One without must still meet its result.
fn history_id(id: &str) -> Cow<'_, str> {
    if id.is_empty() { Cow::Borrowed("toolu_unnamed") } else { call_id(id) }
}

/// An instruction where only users and the model speak.
fn marked(text: &str) -> Block<'_> {
    Block::text(format!("<system>{text}</system>"))
}

/// Joins turns of one role and leaves out empty ones.
fn merge(turns: Vec<Turn<'_>>) -> Vec<Turn<'_>> {
    let mut merged: Vec<Turn<'_>> = Vec::with_capacity(turns.len());
    for turn in turns {
        match merged.last_mut() {
            _ if turn.content.is_empty() => {}
            Some(last) if last.role == turn.role => last.content.extend(turn.content),
            _ => merged.push(turn),
        }
    }
    merged
}

/// Puts each tool result first into the turn that follows its call.
fn pair(mut turns: Vec<Turn<'_>>) -> Vec<Turn<'_>> {
    let mut results = take_results(&mut turns);
    let mut paired: Vec<Turn<'_>> = Vec::with_capacity(turns.len());
    let mut due: Vec<Block<'_>> = Vec::new();
    for mut turn in turns {
        if turn.role == USER {
            // Results whose call nobody knows were left here; they too must come first.
            let (mut content, rest): (Vec<_>, Vec<_>) =
                turn.content.into_iter().partition(|block| matches!(block, Block::ToolResult { .. }));
            due.append(&mut content);
            due.extend(rest);
            turn.content = std::mem::take(&mut due);
        } else {
            if !due.is_empty() {
                paired.push(Turn { role: USER, content: std::mem::take(&mut due) });
            }
            for id in calls(&turn) {
                due.extend(results.get_mut(id).and_then(VecDeque::pop_front));
            }
        }
        paired.push(turn);
    }
    if !due.is_empty() {
        paired.push(Turn { role: USER, content: due });
    }
    merge(paired)
}

/// Takes out the results of all calls in the conversation, by id, in order.
fn take_results<'a>(turns: &mut [Turn<'a>]) -> BTreeMap<String, VecDeque<Block<'a>>> {
    let known: BTreeSet<String> = turns.iter().flat_map(calls).map(str::to_owned).collect();
    let mut results: BTreeMap<String, VecDeque<Block<'a>>> = BTreeMap::new();
    for turn in turns.iter_mut().filter(|turn| turn.role == USER) {
        for block in std::mem::take(&mut turn.content) {
            match &block {
                Block::ToolResult { tool_use_id, .. } if known.contains(&**tool_use_id) => {
                    results.entry(tool_use_id.to_string()).or_default().push_back(block);
                }
                _ => turn.content.push(block),
            }
        }
    }
    results
}

/// Ids of the calls in a turn.
pub(super) fn calls<'t>(turn: &'t Turn<'_>) -> impl Iterator<Item = &'t str> {
    turn.content.iter().filter_map(|block| match block {
        Block::ToolUse { id, .. } => Some(&**id),
        _ => None,
    })
}

/// The protocol refuses an answer begun by the client that ends with white space.
fn trim_end(turns: &mut [Turn<'_>]) {
    if let Some(Turn { role: ASSISTANT, content }) = turns.last_mut()
        && let Some(Block::Text { text, .. }) = content.last_mut()
    {
        let end = text.trim_end().len();
        match text {
            Cow::Borrowed(text) => *text = text.get(..end).unwrap_or_default(),
            Cow::Owned(text) => text.truncate(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::encode_request;
    use super::super::fixtures::{request, target};
    use super::*;
    use crate::chat::{FailureKind, Image, MediaSource, Opaque, Text, ToolCall};

    fn said(role: Role, blocks: Vec<chat::Block>) -> Message {
        Message { role, blocks }
    }

    fn text(text: &str) -> chat::Block {
        chat::Block::Text(Text { text: text.to_owned(), citations: Vec::new() })
    }

    fn call(id: &str) -> chat::Block {
        let (id, name) = (id.to_owned(), "f".to_owned());
        chat::Block::ToolCall(ToolCall { id, name, arguments: String::new(), custom: false })
    }

    fn result(id: &str, content: Vec<chat::Block>) -> chat::Block {
        chat::Block::ToolResult(ToolResult { call_id: id.to_owned(), content, is_error: false, custom: false })
    }

    fn encoded(messages: Vec<Message>) -> (Value, Vec<String>) {
        let request = ChatRequest { messages, ..request(json!({})) };
        let encoded = encode_request::encode(&request, &target("claude-sonnet-4-5")).unwrap();
        (serde_json::from_slice::<Value>(&encoded.body).unwrap()["messages"].take(), encoded.dropped)
    }

    /// Roles and what stands in each turn: text, call `c:`, result `r:`.
    fn outline(messages: Vec<Message>) -> Vec<String> {
        let word = |block: &Value| match block["type"].as_str().unwrap() {
            "text" => block["text"].as_str().unwrap().to_owned(),
            "tool_use" => format!("c:{}", block["id"].as_str().unwrap()),
            "tool_result" => format!("r:{}", block["tool_use_id"].as_str().unwrap()),
            other => other.to_owned(),
        };
        let (turns, _) = encoded(messages);
        let line = |turn: &Value| {
            let words: Vec<String> = turn["content"].as_array().unwrap().iter().map(word).collect();
            format!("{}: {}", turn["role"].as_str().unwrap(), words.join(" "))
        };
        turns.as_array().unwrap().iter().map(line).collect()
    }

    #[test]
    fn results_come_first_in_the_turn_after_their_calls() {
        let turns = outline(vec![
            said(Role::User, vec![text("go")]),
            said(Role::Assistant, vec![call("a")]),
            said(Role::User, vec![text("wait")]),
            said(Role::Assistant, vec![text("ok"), call("b:1"), call("c")]),
            said(Role::User, vec![result("c", vec![])]),
            said(Role::User, vec![text("and"), result("a", vec![]), result("b:1", vec![])]),
        ]);
        let expected =
            ["user: go", "assistant: c:a", "user: r:a wait", "assistant: ok c:b_1 c:c", "user: r:b_1 r:c and"];
        assert_eq!(turns, expected);
    }

    #[test]
    fn a_turn_that_held_only_moved_results_is_gone_and_one_is_made_where_none_was() {
        let turns = outline(vec![
            said(Role::User, vec![text("go")]),
            said(Role::Assistant, vec![call("a")]),
            said(Role::Assistant, vec![text("hm"), call("b")]),
            said(Role::User, vec![result("b", vec![])]),
            said(Role::Assistant, vec![text("done")]),
            said(Role::User, vec![result("a", vec![])]),
        ]);
        assert_eq!(turns, ["user: go", "assistant: c:a hm c:b", "user: r:a r:b", "assistant: done"]);
        let turns = outline(vec![
            said(Role::User, vec![result("a", vec![]), text("early")]),
            said(Role::Assistant, vec![call("a")]),
        ]);
        assert_eq!(turns, ["user: early", "assistant: c:a", "user: r:a"]);
    }

    #[test]
    fn results_without_a_call_and_repeated_ids_keep_their_order() {
        let turns = outline(vec![
            said(Role::Assistant, vec![call("0")]),
            said(Role::User, vec![text("x"), result("0", vec![]), result("lost", vec![])]),
            said(Role::Assistant, vec![call("0")]),
            said(Role::User, vec![result("0", vec![])]),
        ]);
        assert_eq!(turns, ["assistant: c:0", "user: r:0 r:lost x", "assistant: c:0", "user: r:0"]);
    }

    #[test]
    fn instructions_in_the_middle_are_marked_and_blank_text_is_left_out() {
        let turns = outline(vec![
            said(Role::User, vec![text("Hi"), text(" \n")]),
            said(Role::System, vec![text("Be brief."), text("")]),
            said(Role::Assistant, vec![text(""), chat::Block::Refusal("No".to_owned())]),
            said(Role::Assistant, vec![text("")]),
            said(Role::User, vec![text("x")]),
            said(Role::Assistant, vec![text("Sure: \n")]),
        ]);
        let expected = ["user: Hi <system>Be brief.</system>", "assistant: No", "user: x", "assistant: Sure:"];
        assert_eq!(turns, expected);
        let mut alone = request(json!({"system":[{"type":"text","text":"one"},{"type":"text","text":"two"}]}));
        alone.messages.clear();
        let body = encode_request::encode(&alone, &target("m")).unwrap().body;
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["system"], json!([{"type":"text","text":"one"}]));
        assert_eq!(body["messages"][0]["content"][0]["text"], "<system>two</system>");
    }

    #[test]
    fn results_hold_text_and_images_and_say_whether_the_tool_failed() {
        let image = Image {
            source: MediaSource::Base64 { media_type: "image/png".to_owned(), data: "AA==".to_owned() },
            detail: Some("low".to_owned()),
        };
        let failed = ToolResult {
            call_id: "a".to_owned(),
            content: vec![text("x"), text(""), chat::Block::Image(image)],
            is_error: true,
            custom: false,
        };
        let (turns, dropped) = encoded(vec![
            said(Role::Assistant, vec![call("a"), call("b")]),
            said(Role::User, vec![chat::Block::ToolResult(failed), result("b", vec![text("")])]),
        ]);
        let source = json!({"type":"base64","media_type":"image/png","data":"AA=="});
        let content = json!([{"type":"text","text":"x"},{"type":"image","source":source}]);
        let results = json!([
            {"type":"tool_result","tool_use_id":"a","content":content,"is_error":true},
            {"type":"tool_result","tool_use_id":"b"}
        ]);
        assert_eq!(turns[1]["content"], results);
        assert_eq!(dropped, ["messages[].content[].image_url.detail"]);
    }

    #[test]
    fn reasoning_goes_back_only_to_its_maker() {
        let reasoning = |protocol, provider: &str, kind| {
            let opaque = Opaque { protocol, provider: provider.to_owned(), kind, data: "Eq".to_owned() };
            chat::Block::Reasoning(Reasoning { text: String::new(), opaque: Some(opaque) })
        };
        let (turns, dropped) = encoded(vec![
            said(
                Role::Assistant,
                vec![
                    reasoning(Protocol::Anthropic, "claude-eu", OpaqueKind::Signature),
                    reasoning(Protocol::Anthropic, "claude-eu", OpaqueKind::Redacted),
                    reasoning(Protocol::Anthropic, "claude-us", OpaqueKind::Signature),
                    reasoning(Protocol::OpenAiResponses, "claude-eu", OpaqueKind::Encrypted),
                    reasoning(Protocol::Anthropic, "", OpaqueKind::Signature),
                    chat::Block::Reasoning(Reasoning { text: "Hm".to_owned(), opaque: None }),
                    text("Hi"),
                ],
            ),
            said(Role::User, vec![text("x")]),
        ]);
        let content = json!([
            {"type":"thinking","thinking":"","signature":"Eq"},
            {"type":"redacted_thinking","data":"Eq"},
            {"type":"text","text":"Hi"}
        ]);
        assert_eq!(turns[0]["content"], content);
        assert_eq!(dropped, ["reasoning"; 4]);
    }

    #[test]
    fn an_image_that_cannot_be_sent_is_refused() {
        let image = Image { source: MediaSource::Url("ftp://a".to_owned()), detail: None };
        let messages = vec![said(Role::User, vec![chat::Block::Image(image)])];
        let request = ChatRequest { messages, ..request(json!({})) };
        let failure = encode_request::encode(&request, &target("m")).unwrap_err();
        assert_eq!(failure.kind, FailureKind::UnsupportedAcrossProtocols);
        assert_eq!(failure.param.as_deref(), Some("messages[].content[]"));
    }
}
