//! The unified format as a request to a Chat provider.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Number, Value, json};

use super::encode_messages::{Outgoing, Writer};
use crate::chat::{
    ChatRequest, Effort, EndUser, Failure, FailureKind, OutputFormat, ReasoningAmount, Target, Tool, ToolChoice,
    ToolInput,
};
use crate::codec::Encoded;

/// More than this is refused by the provider.
const MOST_STOPS: usize = 4;

/// A longer name of the end user is refused by the provider; clients that build it of several ids
/// would never be served.
const LONGEST_USER: usize = 64;

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    messages: Vec<Outgoing<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'r Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'r Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'r [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    safety_identifier: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'r Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_cache_key: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<Value>,
}

/// Writes a request.
pub(super) fn encode(request: &ChatRequest, target: &Target<'_>) -> Result<Encoded, Failure> {
    let Writer { messages, mut dropped, .. } = Writer::write(request, target)?;
    if request.top_k.is_some() {
        dropped.push("top_k".to_owned());
    }
    let stop = request.stop.get(..MOST_STOPS).unwrap_or(&request.stop);
    if stop.len() < request.stop.len() {
        dropped.push(request.client.names.stop.to_owned());
    }
    let (user, safety_identifier) = end_user(request, &mut dropped);
    let is_old_field = target.max_tokens_field == "max_tokens";
    let limit = request.max_output_tokens;
    let has_tools = !request.tools.is_empty();
    let body = Body {
        model: target.model,
        messages,
        tools: request.tools.iter().map(tool).collect(),
        tool_choice: request.tool_choice.as_ref().filter(|_| has_tools).map(|choice| choose(choice, &request.tools)),
        parallel_tool_calls: request.parallel_tool_calls.filter(|_| has_tools),
        temperature: request.temperature.as_ref(),
        top_p: request.top_p.as_ref(),
        max_completion_tokens: limit.filter(|_| !is_old_field),
        max_tokens: limit.filter(|_| is_old_field),
        stop,
        reasoning_effort: effort(request),
        response_format: request.output_format.as_ref().map(format),
        user,
        safety_identifier,
        metadata: request.openai.metadata.as_ref(),
        service_tier: request.openai.service_tier.as_deref(),
        prompt_cache_key: request.openai.prompt_cache_key.as_deref(),
        verbosity: request.openai.verbosity.as_deref(),
        store: request.openai.store,
        stream: request.stream.then_some(true),
        stream_options: (request.stream && target.inject_usage).then(|| json!({"include_usage": true})),
    };
    let body = serde_json::to_vec(&body).map_err(|error| Failure::new(FailureKind::Internal, error.to_string()))?;
    Ok(Encoded { body: Bytes::from(body), dropped })
}

/// `user` and `safety_identifier`.
fn end_user<'r>(request: &'r ChatRequest, dropped: &mut Vec<String>) -> (Option<&'r str>, Option<&'r str>) {
    match &request.end_user {
        None => (None, None),
        Some(EndUser::SafetyIdentifier(identifier)) => (None, Some(identifier)),
        Some(EndUser::User(user)) if user.chars().count() <= LONGEST_USER => (Some(user), None),
        Some(EndUser::User(_)) => {
            let path = if asks_for_thinking(request) { "metadata.user_id" } else { "user" };
            dropped.push(path.to_owned());
            (None, None)
        }
    }
}

/// Whether the client speaks of `thinking`: its levels and names differ from OpenAI's.
fn asks_for_thinking(request: &ChatRequest) -> bool {
    request.client.names.reasoning == "thinking"
}

fn effort(request: &ChatRequest) -> Option<&'static str> {
    let is_thinking = asks_for_thinking(request);
    match request.reasoning.as_ref()?.amount {
        ReasoningAmount::Off => (!is_thinking).then_some("none"),
        ReasoningAmount::Adaptive => None,
        ReasoningAmount::Effort(Effort::Max) if is_thinking => Some(Effort::XHigh.name()),
        ReasoningAmount::Effort(effort) => Some(effort.name()),
        ReasoningAmount::Budget(..=4096) => Some(Effort::Low.name()),
        ReasoningAmount::Budget(..=12288) => Some(Effort::Medium.name()),
        ReasoningAmount::Budget(_) => Some(Effort::High.name()),
    }
}

fn tool(tool: &Tool) -> Value {
    let mut members = Map::new();
    members.insert("name".to_owned(), json!(tool.name));
    if let Some(description) = &tool.description {
        members.insert("description".to_owned(), json!(description));
    }
    let kind = match &tool.input {
        ToolInput::Function { schema, strict } => {
            members.extend(schema.clone().map(|schema| ("parameters".to_owned(), schema)));
            members.extend(strict.map(|strict| ("strict".to_owned(), json!(strict))));
            "function"
        }
        ToolInput::Custom { format } => {
            members.extend(format.as_ref().map(|format| ("format".to_owned(), custom_format(format))));
            "custom"
        }
    };
    json!({"type": kind, kind: members})
}

fn custom_format(format: &Value) -> Value {
    match (format.get("syntax"), format.get("definition")) {
        (Some(syntax), Some(definition)) => {
            json!({"type": "grammar", "grammar": {"syntax": syntax, "definition": definition}})
        }
        _ => json!({"type": "text"}),
    }
}

fn choose(choice: &ToolChoice, tools: &[Tool]) -> Value {
    let name = match choice {
        ToolChoice::Auto => return json!("auto"),
        ToolChoice::Required => return json!("required"),
        ToolChoice::None => return json!("none"),
        ToolChoice::Named(name) => name,
    };
    let is_custom = |tool: &Tool| tool.name == *name && matches!(tool.input, ToolInput::Custom { .. });
    let kind = if tools.iter().any(is_custom) { "custom" } else { "function" };
    json!({"type": kind, kind: {"name": name}})
}

fn format(format: &OutputFormat) -> Value {
    let OutputFormat::JsonSchema { name, description, schema, strict } = format else {
        return json!({"type": "json_object"});
    };
    let mut members = Map::new();
    // A name is required here and unknown to one of the other protocols.
    members.insert("name".to_owned(), json!(name.as_deref().unwrap_or("response")));
    members.extend(description.as_ref().map(|description| ("description".to_owned(), json!(description))));
    members.insert("schema".to_owned(), schema.clone());
    members.extend(strict.map(|strict| ("strict".to_owned(), json!(strict))));
    json!({"type": "json_schema", "json_schema": members})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{
        Block, Document, DocumentSource, FieldNames, Image, MediaSource, Message, Opaque, OpaqueKind, Protocol,
        Reasoning, ReasoningRequest, Role, Text, ThinkingStyle, ToolCall, ToolResult,
    };
    use crate::codec::openai_chat::decode_request;

    const TARGET: Target<'static> = Target {
        model: "up",
        provider: "p",
        max_tokens_field: "max_completion_tokens",
        thinking_style: ThinkingStyle::Auto,
        inject_usage: true,
        max_output_tokens: None,
        supports_response_schema: true,
        default_max_tokens: 4096,
    };

    fn plain() -> ChatRequest {
        decode_request::decode(br#"{"model":"m","messages":[]}"#).unwrap()
    }

    fn body(request: &ChatRequest, target: &Target<'_>) -> (Value, Vec<String>) {
        let encoded = encode(request, target).unwrap();
        (serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped)
    }

    fn messages(messages: Vec<Message>, target: &Target<'_>) -> (Value, Vec<String>) {
        let (mut body, dropped) = body(&ChatRequest { messages, ..plain() }, target);
        (body["messages"].take(), dropped)
    }

    fn user(blocks: Vec<Block>) -> Message {
        Message { role: Role::User, blocks }
    }

    fn assistant(blocks: Vec<Block>) -> Message {
        Message { role: Role::Assistant, blocks }
    }

    fn text(text: &str) -> Block {
        Block::Text(Text { text: text.to_owned(), citations: Vec::new() })
    }

    fn call(id: &str, arguments: &str) -> Block {
        Block::ToolCall(ToolCall { id: id.into(), name: "f".into(), arguments: arguments.into(), custom: false })
    }

    fn result(call_id: &str, content: Vec<Block>, is_error: bool) -> Block {
        Block::ToolResult(ToolResult { call_id: call_id.into(), content, is_error, custom: false })
    }

    fn image() -> Block {
        let source = MediaSource::Base64 { media_type: "image/png".into(), data: "AA".into() };
        Block::Image(Image { source, detail: None })
    }

    fn outgoing_call(id: &str, arguments: &str) -> Value {
        json!({"type": "function", "id": id, "function": {"name": "f", "arguments": arguments}})
    }

    #[test]
    fn a_request_without_losses_comes_back_as_it_was() {
        let sent = json!({
            "model": "m",
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "https://x", "detail": "low"}}]},
                {"role": "assistant", "content": "calling", "tool_calls": [outgoing_call("a", "{\"n\":1.10}"), {"type": "custom", "id": "b", "custom": {"name": "g", "input": "x"}}]},
                {"role": "tool", "content": "1", "tool_call_id": "a"},
                {"role": "tool", "content": "", "tool_call_id": "b"},
                {"role": "assistant", "content": null, "refusal": "no"},
                {"role": "user", "content": "go on"},
                {"role": "system", "content": "note"},
            ],
            "tools": [
                {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {"z": {}, "a": {}}}, "strict": false}},
                {"type": "custom", "custom": {"name": "g", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}}},
            ],
            "tool_choice": {"type": "custom", "custom": {"name": "g"}},
            "parallel_tool_calls": false, "temperature": 1.5, "top_p": 0.5, "max_completion_tokens": 10, "stop": ["a", "b"],
            "reasoning_effort": "max",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}},
            "safety_identifier": "s", "metadata": {"k": "v"}, "service_tier": "flex", "prompt_cache_key": "c", "verbosity": "low", "store": true,
            "stream": true, "stream_options": {"include_usage": true},
        });
        let request = decode_request::decode(sent.to_string().as_bytes()).unwrap();
        let (encoded, dropped) = body(&request, &Target { model: "m", ..TARGET });
        assert_eq!(encoded, sent);
        assert_eq!((dropped, request.foreign), (Vec::new(), Vec::new()));
    }

    #[test]
    fn results_follow_their_calls_and_pictures_follow_all_results() {
        let (sent, dropped) = messages(
            vec![
                assistant(vec![text("both"), call("a", "")]),
                assistant(vec![call("b", "{\"x\":")]),
                user(vec![text("meanwhile")]),
                user(vec![result("b", vec![image(), text("two")], true), result("a", vec![], false), text("so?")]),
                assistant(vec![call("a", "{}")]),
                user(vec![result("a", vec![text("again")], false)]),
            ],
            &TARGET,
        );
        let picture = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}});
        assert_eq!(
            sent,
            json!([
                {"role": "assistant", "content": "both", "tool_calls": [outgoing_call("a", "{}"), outgoing_call("b", "{\"_raw\":\"{\\\"x\\\":\"}")]},
                {"role": "tool", "content": "", "tool_call_id": "a"},
                {"role": "tool", "content": "[error] two", "tool_call_id": "b"},
                {"role": "user", "content": [picture, {"type": "text", "text": "meanwhile"}]},
                {"role": "user", "content": "so?"},
                {"role": "assistant", "content": null, "tool_calls": [outgoing_call("a", "{}")]},
                {"role": "tool", "content": "again", "tool_call_id": "a"},
            ])
        );
        assert_eq!(dropped, [""; 0]);
    }

    #[test]
    fn reasoning_goes_back_only_to_who_made_it() {
        let opaque = |provider: &str| Opaque {
            protocol: Protocol::OpenAiChat,
            provider: provider.to_owned(),
            kind: OpaqueKind::Signature,
            data: r#"{"type":"reasoning.text","signature":"s","index":0}"#.to_owned(),
        };
        let turn = |opaque: Option<Opaque>| {
            let reasoning = Block::Reasoning(Reasoning { text: "t".to_owned(), opaque });
            vec![assistant(vec![reasoning.clone()]), user(vec![text("x")]), assistant(vec![reasoning, text("y")])]
        };
        let (sent, dropped) = messages(turn(Some(opaque("p"))), &TARGET);
        let entry = json!([{"type": "reasoning.text", "signature": "s", "index": 0, "text": "t"}]);
        assert_eq!(
            sent,
            json!([
                {"role": "user", "content": "x"},
                {"role": "assistant", "content": "y", "reasoning_details": entry},
            ])
        );
        assert_eq!(dropped, [""; 0]);
        for (opaque, style, kept) in [
            (Some(opaque("other")), ThinkingStyle::Auto, false),
            (None, ThinkingStyle::Auto, false),
            (None, ThinkingStyle::Budget, true),
        ] {
            let (sent, dropped) = messages(turn(opaque), &Target { thinking_style: style, ..TARGET });
            assert_eq!(sent[1].get("reasoning_content").is_some(), kept);
            assert_eq!(dropped.contains(&"reasoning".to_owned()), !kept);
            assert_eq!(sent[1].get("reasoning_details"), None);
        }
    }

    #[test]
    fn documents_are_sent_as_bytes_or_text_and_never_as_an_address() {
        let document = |source| Block::Document(Document { source, name: Some("a.txt".to_owned()) });
        let pdf = MediaSource::Base64 { media_type: "application/pdf".into(), data: "AA".into() };
        let (sent, _) = messages(
            vec![user(vec![document(DocumentSource::Text("words".into())), document(DocumentSource::Media(pdf))])],
            &TARGET,
        );
        assert_eq!(
            sent[0]["content"],
            json!([
                {"type": "text", "text": "a.txt\n\nwords"},
                {"type": "file", "file": {"filename": "a.txt", "file_data": "data:application/pdf;base64,AA"}},
            ])
        );
        let address = document(DocumentSource::Media(MediaSource::Url("https://x".into())));
        let request = ChatRequest { messages: vec![user(vec![address])], ..plain() };
        let refused = encode(&request, &TARGET).unwrap_err();
        assert_eq!(refused.kind, FailureKind::UnsupportedAcrossProtocols);
        assert_eq!(refused.param.as_deref(), Some("messages[].content[]"));
    }

    #[test]
    fn a_clients_thinking_becomes_an_effort() {
        let thinking = FieldNames { reasoning: "thinking", ..FieldNames::default() };
        for (amount, names, effort) in [
            (ReasoningAmount::Off, thinking, Value::Null),
            (ReasoningAmount::Off, FieldNames::default(), json!("none")),
            (ReasoningAmount::Adaptive, thinking, Value::Null),
            (ReasoningAmount::Budget(4096), thinking, json!("low")),
            (ReasoningAmount::Budget(4097), thinking, json!("medium")),
            (ReasoningAmount::Budget(12289), thinking, json!("high")),
            (ReasoningAmount::Effort(Effort::Max), thinking, json!("xhigh")),
            (ReasoningAmount::Effort(Effort::Max), FieldNames::default(), json!("max")),
        ] {
            let mut request = plain();
            request.reasoning = Some(ReasoningRequest { amount, summary: true });
            request.client.names = names;
            assert_eq!(body(&request, &TARGET).0.get("reasoning_effort").cloned().unwrap_or_default(), effort);
        }
    }

    #[test]
    fn what_the_protocol_has_no_room_for_is_listed_in_the_clients_words() {
        let mut request = plain();
        request.top_k = Some(Number::from(5));
        request.stop = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
        request.end_user = Some(EndUser::User("u".repeat(65)));
        request.max_output_tokens = Some(7);
        request.client.names = FieldNames { reasoning: "thinking", stop: "stop_sequences", ..FieldNames::default() };
        let (sent, mut dropped) = body(&request, &Target { max_tokens_field: "max_tokens", ..TARGET });
        dropped.sort();
        assert_eq!(dropped, ["metadata.user_id", "stop_sequences", "top_k"]);
        assert_eq!(sent, json!({"model": "up", "messages": [], "max_tokens": 7, "stop": ["a", "b", "c", "d"]}));
    }

    #[test]
    fn usage_is_asked_for_only_in_streams_and_only_where_it_may_be() {
        let request = ChatRequest { stream: true, ..plain() };
        assert_eq!(body(&request, &TARGET).0["stream_options"], json!({"include_usage": true}));
        assert_eq!(body(&request, &Target { inject_usage: false, ..TARGET }).0.get("stream_options"), None);
        assert_eq!(body(&plain(), &TARGET).0, json!({"model": "up", "messages": []}));
    }
}
