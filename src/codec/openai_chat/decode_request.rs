//! A client's request as the unified format.

use serde_json::{Value, json};

use super::decode_messages::Conversation;
use super::decode_tools::{self, Tools};
use crate::chat::{ChatRequest, ClientSide, Effort, EndUser, Failure, OpenAiOnly, ReasoningAmount, ReasoningRequest};
use crate::codec::openai::object::{self, Foreign, Object, unsupported};

/// Reads a request that is to be answered by a provider of another protocol.
pub(super) fn decode(body: &[u8]) -> Result<ChatRequest, Failure> {
    let mut request = Object::parse(body)?;
    let mut foreign = Foreign::default();
    let decoded = read(&mut request, &mut foreign)?;
    request.ignore_defaults(&[
        ("frequency_penalty", json!(0)),
        ("presence_penalty", json!(0)),
        ("logit_bias", json!({})),
        ("logprobs", json!(false)),
        ("top_logprobs", json!(0)),
    ]);
    request.list_rest(&mut foreign);
    Ok(ChatRequest { foreign: foreign.into_paths(), ..decoded })
}

fn read(request: &mut Object, foreign: &mut Foreign) -> Result<ChatRequest, Failure> {
    refuse(request, foreign)?;
    let model = request.required_text("model")?;
    let messages = match request.take("messages") {
        Some(Value::Array(messages)) => object::objects_of(messages, "messages")?,
        Some(_) => return Err(request.wrong("messages", "must be an array")),
        None => return Err(request.missing("messages")),
    };
    let conversation = Conversation::read(messages, foreign)?;
    let tools = Tools::read(request, foreign)?;
    let stream = request.flag("stream")?.unwrap_or(false);
    let include_usage = read_stream_options(request, foreign)?;
    let (completion_limit, old_limit) = (request.limit("max_completion_tokens")?, request.limit("max_tokens")?);
    Ok(ChatRequest {
        model,
        instructions: conversation.instructions,
        messages: conversation.messages,
        tools: tools.tools,
        tool_choice: tools.choice,
        parallel_tool_calls: tools.parallel,
        temperature: request.number("temperature")?,
        top_p: request.number("top_p")?,
        top_k: None,
        stop: request.texts("stop")?,
        max_output_tokens: completion_limit.or(old_limit),
        reasoning: read_effort(request)?,
        output_format: decode_tools::read_format(request, foreign)?,
        stream,
        include_usage: stream && include_usage,
        end_user: read_user(request, foreign)?,
        openai: read_shared(request)?,
        client: ClientSide { legacy_functions: tools.legacy, ..ClientSide::default() },
        foreign: Vec::new(),
    })
}

/// What would change its meaning if it were left out.
fn refuse(request: &mut Object, foreign: &mut Foreign) -> Result<(), Failure> {
    if request.count("n")?.is_some_and(|n| n > 1) {
        return Err(unsupported("n"));
    }
    if request.texts("modalities")?.iter().any(|modality| modality != "text") {
        return Err(unsupported("modalities"));
    }
    // Without the modality it has no effect, but somebody meant something by it.
    if request.take("audio").is_some() {
        foreign.add("audio");
    }
    Ok(())
}

fn read_stream_options(request: &mut Object, foreign: &mut Foreign) -> Result<bool, Failure> {
    let Some(mut options) = request.object("stream_options")? else {
        return Ok(false);
    };
    let include_usage = options.flag("include_usage")?.unwrap_or(false);
    // Padding against eavesdroppers, which the streams that we write do not have anyway.
    options.ignore(&["include_obfuscation"]);
    options.list_rest(foreign);
    Ok(include_usage)
}

fn read_effort(request: &mut Object) -> Result<Option<ReasoningRequest>, Failure> {
    let Some(word) = request.text("reasoning_effort")? else {
        return Ok(None);
    };
    let amount = match Effort::parse(&word) {
        Some(effort) => ReasoningAmount::Effort(effort),
        None if word == "none" => ReasoningAmount::Off,
        None => {
            let rule = "must be none, minimal, low, medium, high, xhigh or max";
            return Err(request.wrong("reasoning_effort", rule));
        }
    };
    Ok(Some(ReasoningRequest { amount, summary: false }))
}

fn read_user(request: &mut Object, foreign: &mut Foreign) -> Result<Option<EndUser>, Failure> {
    let (user, identifier) = (request.text("user")?, request.text("safety_identifier")?);
    if user.is_some() && identifier.is_some() && user != identifier {
        // The unified format has room for one name of the end user.
        foreign.add("safety_identifier");
    }
    Ok(user.map(EndUser::User).or(identifier.map(EndUser::SafetyIdentifier)))
}

fn read_shared(request: &mut Object) -> Result<OpenAiOnly, Failure> {
    let metadata = match request.take("metadata") {
        None => None,
        Some(Value::Object(metadata)) => Some(metadata),
        Some(_) => return Err(request.wrong("metadata", "must be an object")),
    };
    Ok(OpenAiOnly {
        metadata,
        service_tier: request.text("service_tier")?,
        prompt_cache_key: request.text("prompt_cache_key")?,
        verbosity: request.text("verbosity")?,
        store: request.flag("store")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{
        Block, Document, DocumentSource, FailureKind, Image, MediaSource, Opaque, OpaqueKind, OutputFormat, Protocol,
        Role, Text, ToolCall, ToolChoice, ToolInput,
    };

    fn request(body: &Value) -> ChatRequest {
        decode(body.to_string().as_bytes()).unwrap()
    }

    fn with_messages(messages: &Value) -> ChatRequest {
        request(&json!({"model": "m", "messages": messages}))
    }

    fn failure(extra: &Value) -> Failure {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        decode(body.to_string().as_bytes()).unwrap_err()
    }

    fn text(text: &str) -> Block {
        Block::Text(Text { text: text.to_owned(), citations: Vec::new() })
    }

    #[test]
    fn only_leading_system_messages_are_instructions() {
        let read = with_messages(&json!([
            {"role": "system", "content": "a"},
            {"role": "developer", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
            {"role": "user", "content": "hi"},
            {"role": "system", "content": "later"},
        ]));
        assert_eq!(read.instructions, ["a", "b\nc"]);
        assert_eq!(read.messages.len(), 2);
        assert_eq!((read.messages[1].role, &read.messages[1].blocks[..]), (Role::System, &[text("later")][..]));
        assert_eq!(read.foreign, [""; 0]);
    }

    #[test]
    fn tool_results_that_follow_one_another_are_one_user_message() {
        let read = with_messages(&json!([
            {"role": "assistant", "content": "", "refusal": null, "annotations": [], "tool_calls": [
                {"id": "a", "index": 0, "type": "function", "function": {"name": "f", "arguments": "{\"n\":1.10}"}},
                {"id": "b", "type": "custom", "custom": {"name": "g", "input": "free"}},
            ]},
            {"role": "tool", "tool_call_id": "b", "content": "two"},
            {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": ""}]},
            {"role": "user", "content": "go on"},
        ]));
        assert_eq!(read.foreign, [""; 0]);
        let [assistant, results, user] = &read.messages[..] else { panic!("{:?}", read.messages) };
        let call = |id: &str, name: &str, arguments: &str, custom| {
            Block::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments: arguments.into(), custom })
        };
        assert_eq!(assistant.blocks, [call("a", "f", "{\"n\":1.10}", false), call("b", "g", "free", true)]);
        let [Block::ToolResult(first), Block::ToolResult(second)] = &results.blocks[..] else { panic!() };
        assert_eq!((first.call_id.as_str(), &first.content[..], first.custom), ("b", &[text("two")][..], true));
        assert_eq!((second.call_id.as_str(), second.content.len(), second.custom), ("a", 0, false));
        assert_eq!(user.blocks, [text("go on")]);
    }

    #[test]
    fn old_functions_are_tools_whose_calls_and_results_find_each_other() {
        let body = json!({"model": "m", "functions": [{"name": "f"}], "function_call": {"name": "f"}, "messages": [
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "1"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "2"},
        ]});
        let read = request(&body);
        assert!(read.client.legacy_functions);
        assert_eq!(read.tool_choice, Some(ToolChoice::Named("f".to_owned())));
        let ids: Vec<&str> = read
            .messages
            .iter()
            .flat_map(|message| &message.blocks)
            .map(|block| match block {
                Block::ToolCall(call) => call.id.as_str(),
                Block::ToolResult(result) => result.call_id.as_str(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!((ids[0], ids[2]), (ids[1], ids[3]));
        assert_ne!(ids[0], ids[2]);
        assert_eq!(request(&body), read, "the same history gives the same ids");
    }

    #[test]
    fn reasoning_comes_first_and_packed_state_is_unpacked() {
        let state = Opaque {
            protocol: Protocol::Anthropic,
            provider: "p".to_owned(),
            kind: OpaqueKind::Signature,
            data: "sig".to_owned(),
        };
        let read = with_messages(&json!([
            {"role": "assistant", "content": "c", "reasoning_content": "shown", "reasoning_details": [
                {"type": "reasoning.text", "text": "t", "signature": state.pack(), "format": "anthropic", "index": 0},
            ]},
            {"role": "assistant", "content": "d", "reasoning_content": "only text"},
        ]));
        let Block::Reasoning(first) = &read.messages[0].blocks[0] else { panic!() };
        assert_eq!((first.text.as_str(), first.opaque.as_ref()), ("t", Some(&state)));
        let Block::Reasoning(second) = &read.messages[1].blocks[0] else { panic!() };
        assert_eq!((second.text.as_str(), second.opaque.as_ref()), ("only text", None));
    }

    #[test]
    fn pictures_and_files_are_read_in_every_form() {
        let read = with_messages(&json!([{"role": "user", "content": [
            {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "auto"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,BBBB"}},
            {"type": "file", "file": {"file_data": "CCCC"}},
            {"type": "video_url", "video_url": {"url": "https://x"}},
        ]}]));
        let base64 =
            |media_type: &str, data: &str| MediaSource::Base64 { media_type: media_type.into(), data: data.into() };
        let file = |data: &str, name: Option<&str>| {
            let source = DocumentSource::Media(base64("application/pdf", data));
            Block::Document(Document { source, name: name.map(str::to_owned) })
        };
        assert_eq!(
            read.messages[0].blocks,
            [
                Block::Image(Image { source: MediaSource::Url("https://x/y.png".into()), detail: Some("low".into()) }),
                Block::Image(Image { source: base64("image/png", "AAAA"), detail: None }),
                file("BBBB", Some("a.pdf")),
                file("CCCC", None),
            ]
        );
        assert_eq!(read.foreign, ["messages[].content[].video_url"]);
    }

    #[test]
    fn options_are_read_and_what_no_other_protocol_has_is_listed() {
        let read = request(&json!({
            "model": "m", "messages": [{"role": "user", "content": "x", "name": "bob"}],
            "tools": [
                {"type": "function", "cache_control": {"type": "ephemeral"},
                 "function": {"name": "f", "parameters": {"type": "object"}, "strict": true}},
                {"type": "custom", "custom": {"name": "g", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "d"}}}},
                {"type": "web_search"},
            ],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}},
            "max_tokens": 5, "max_completion_tokens": 6, "stop": "END", "reasoning_effort": "none",
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": true}},
            "user": "u", "store": false, "service_tier": "auto", "stream": true, "stream_options": {"include_usage": true},
            "frequency_penalty": 0.5, "presence_penalty": 0, "logit_bias": {}, "logprobs": false, "n": 1, "seed": 0,
            "modalities": ["text"], "x_unknown": 1, "x_null": null,
        }));
        assert_eq!(
            read.foreign,
            [
                "frequency_penalty",
                "messages[].name",
                "seed",
                "tool_choice.allowed_tools",
                "tools[].cache_control",
                "tools[].web_search",
                "x_unknown",
            ]
        );
        assert_eq!((read.max_output_tokens, read.stop.len(), read.include_usage), (Some(6), 1, true));
        assert_eq!(read.tool_choice, Some(ToolChoice::Required));
        assert_eq!(read.reasoning.unwrap().amount, ReasoningAmount::Off);
        assert!(matches!(read.tools[0].input, ToolInput::Function { strict: Some(true), .. }));
        let grammar = json!({"type": "grammar", "syntax": "lark", "definition": "d"});
        assert_eq!(read.tools[1].input, ToolInput::Custom { format: Some(grammar) });
        assert!(matches!(read.output_format, Some(OutputFormat::JsonSchema { strict: Some(true), .. })));
    }

    #[test]
    fn the_choice_goes_with_the_last_tool() {
        let read = request(&json!({"model": "m", "messages": [], "tools": [{"type": "web_search"}],
            "tool_choice": "auto", "parallel_tool_calls": false}));
        assert_eq!((read.tool_choice, read.parallel_tool_calls), (None, None));
    }

    #[test]
    fn what_would_change_its_meaning_is_refused_by_name() {
        for (extra, param) in [
            (json!({"n": 2}), "n"),
            (json!({"modalities": ["text", "audio"], "audio": {"voice": "alloy"}}), "modalities"),
            (json!({"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}}), "tool_choice"),
            (
                json!({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}),
                "messages[].content[].input_audio",
            ),
            (
                json!({"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]}),
                "messages[].content[].file.file_id",
            ),
            (json!({"messages": [{"role": "assistant", "audio": {"id": "a"}}]}), "messages[].audio"),
        ] {
            let refused = failure(&extra);
            assert_eq!(refused.kind, FailureKind::UnsupportedAcrossProtocols, "{extra}");
            assert_eq!(refused.param.as_deref(), Some(param));
        }
    }

    #[test]
    fn mistakes_are_told_with_the_path_of_the_field() {
        let user = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
        for (extra, kind, param) in [
            (json!({"model": null}), FailureKind::MissingParameter, "model"),
            (json!({"messages": "hi"}), FailureKind::InvalidValue, "messages"),
            (json!({"messages": [1]}), FailureKind::InvalidValue, "messages[0]"),
            (json!({"messages": [{"role": "robot"}]}), FailureKind::InvalidValue, "messages[0].role"),
            (user(json!(5)), FailureKind::InvalidValue, "messages[0].content"),
            (user(json!([{}])), FailureKind::MissingParameter, "messages[0].content[0].type"),
            (user(json!([{"type": 1}])), FailureKind::InvalidValue, "messages[0].content[0].type"),
            (
                json!({"messages": [{"role": "tool", "content": "x"}]}),
                FailureKind::MissingParameter,
                "messages[0].tool_call_id",
            ),
            (json!({"messages": [{"role": "function", "name": "f"}]}), FailureKind::InvalidValue, "messages[0]"),
            (json!({"tools": [{"type": "function"}]}), FailureKind::MissingParameter, "tools[0].function"),
            (
                json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}),
                FailureKind::InvalidValue,
                "tools[0].function.parameters",
            ),
            (json!({"temperature": "hot"}), FailureKind::InvalidValue, "temperature"),
            (json!({"max_tokens": 1.5}), FailureKind::InvalidValue, "max_tokens"),
            (json!({"max_completion_tokens": 0}), FailureKind::InvalidValue, "max_completion_tokens"),
            (json!({"stop": [1]}), FailureKind::InvalidValue, "stop"),
            (json!({"reasoning_effort": "huge"}), FailureKind::InvalidValue, "reasoning_effort"),
            (json!({"response_format": {}}), FailureKind::MissingParameter, "response_format.type"),
        ] {
            let told = failure(&extra);
            assert_eq!((told.kind, told.param.as_deref()), (kind, Some(param)), "{extra}");
        }
        for body in ["", "[]", "{", "1"] {
            assert_eq!(decode(body.as_bytes()).unwrap_err().kind, FailureKind::InvalidJson);
        }
    }
}
