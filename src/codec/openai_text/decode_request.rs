//! A client's request as the unified format.

use serde_json::{Value, json};

use crate::chat::{Block, ChatRequest, ClientSide, EndUser, Failure, Message, OpenAiOnly, Role, Text};
use crate::codec::openai::object::{Foreign, Object, unsupported};

/// Reads a request that is to be answered by a provider of another protocol.
pub(super) fn decode(body: &[u8]) -> Result<ChatRequest, Failure> {
    let mut request = Object::parse(body)?;
    let mut foreign = Foreign::default();
    let decoded = read(&mut request, &mut foreign)?;
    request.ignore_defaults(&[
        ("frequency_penalty", json!(0)),
        ("presence_penalty", json!(0)),
        ("logit_bias", json!({})),
    ]);
    request.list_rest(&mut foreign);
    Ok(ChatRequest { foreign: foreign.into_paths(), ..decoded })
}

fn read(request: &mut Object, foreign: &mut Foreign) -> Result<ChatRequest, Failure> {
    refuse(request)?;
    let model = request.required_text("model")?;
    let prompt = Block::Text(Text { text: read_prompt(request)?, citations: Vec::new() });
    let stream = request.flag("stream")?.unwrap_or(false);
    let include_usage = read_stream_options(request, foreign)?;
    Ok(ChatRequest {
        model,
        instructions: Vec::new(),
        messages: vec![Message { role: Role::User, blocks: vec![prompt] }],
        tools: Vec::new(),
        tool_choice: None,
        parallel_tool_calls: None,
        temperature: request.number("temperature")?,
        top_p: request.number("top_p")?,
        top_k: None,
        stop: request.texts("stop")?,
        max_output_tokens: request.count("max_tokens")?,
        reasoning: None,
        output_format: None,
        stream,
        include_usage: stream && include_usage,
        end_user: request.text("user")?.map(EndUser::User),
        openai: OpenAiOnly::default(),
        client: ClientSide::default(),
        foreign: Vec::new(),
    })
}

/// What would change its meaning if it were left out.
fn refuse(request: &mut Object) -> Result<(), Failure> {
    for name in ["n", "best_of"] {
        if request.count(name)?.is_some_and(|count| count > 1) {
            return Err(unsupported(name));
        }
    }
    if request.flag("echo")? == Some(true) {
        return Err(unsupported("echo"));
    }
    if request.text("suffix")?.is_some_and(|suffix| !suffix.is_empty()) {
        return Err(unsupported("suffix"));
    }
    Ok(())
}

fn read_prompt(request: &mut Object) -> Result<String, Failure> {
    let prompts = match request.take("prompt") {
        None => return Err(request.missing("prompt")),
        Some(Value::String(prompt)) => return Ok(prompt),
        Some(Value::Array(prompts)) => prompts,
        Some(_) => return Err(request.wrong("prompt", "must be a string or an array")),
    };
    match <[Value; 1]>::try_from(prompts) {
        Ok([Value::String(prompt)]) => Ok(prompt),
        Err(prompts) if prompts.is_empty() => Err(request.wrong("prompt", "must not be empty")),
        // Tokens of a vocabulary that the provider may not have, or several answers in one.
        _ => Err(unsupported("prompt")),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::FailureKind;

    fn decoded(extra: &Value) -> Result<ChatRequest, Failure> {
        let mut body = json!({"model": "m", "prompt": "Say hi"});
        for (name, value) in extra.as_object().unwrap() {
            body[name] = value.clone();
        }
        decode(body.to_string().as_bytes())
    }

    #[test]
    fn the_prompt_is_one_user_message() {
        for prompt in [json!("Say hi"), json!(["Say hi"])] {
            let request = decoded(&json!({"prompt": prompt})).unwrap();
            let text = Block::Text(Text { text: "Say hi".to_owned(), citations: Vec::new() });
            assert_eq!(request.messages, [Message { role: Role::User, blocks: vec![text] }]);
            assert_eq!((request.model.as_str(), request.foreign.len()), ("m", 0));
        }
    }

    #[test]
    fn options_that_others_have_are_read_and_the_rest_is_listed() {
        let request = decoded(&json!({
            "max_tokens": 7, "temperature": 0.50, "top_p": 1, "stop": ["a", "b"], "user": "u", "n": 1, "best_of": 1,
            "stream": true, "stream_options": {"include_usage": true, "include_obfuscation": false, "x": 1},
            "echo": false, "suffix": null, "frequency_penalty": 0.0, "logit_bias": {}, "presence_penalty": 1,
            "seed": 3, "logprobs": 0, "tools": [{"type": "function"}], "top_k": 4,
        }))
        .unwrap();
        assert_eq!(request.foreign, ["logprobs", "presence_penalty", "seed", "stream_options.x", "tools", "top_k"]);
        assert_eq!((request.max_output_tokens, request.stop.len()), (Some(7), 2));
        assert_eq!(request.temperature.unwrap().to_string(), "0.5");
        assert_eq!(request.end_user, Some(EndUser::User("u".to_owned())));
        assert!(request.stream && request.include_usage && request.tools.is_empty());
    }

    #[test]
    fn usage_of_an_answer_that_is_not_streamed_need_not_be_asked_for() {
        assert!(!decoded(&json!({"stream_options": {"include_usage": true}})).unwrap().include_usage);
    }

    #[test]
    fn what_would_change_its_meaning_is_refused_by_name() {
        for (extra, param) in [
            (json!({"n": 2}), "n"),
            (json!({"best_of": 3}), "best_of"),
            (json!({"echo": true}), "echo"),
            (json!({"suffix": "end"}), "suffix"),
            (json!({"prompt": ["a", "b"]}), "prompt"),
            (json!({"prompt": [1, 2]}), "prompt"),
            (json!({"prompt": [1]}), "prompt"),
            (json!({"prompt": [[1, 2]]}), "prompt"),
        ] {
            let refused = decoded(&extra).unwrap_err();
            assert_eq!(refused.kind, FailureKind::UnsupportedAcrossProtocols, "{extra}");
            assert_eq!(refused.param.as_deref(), Some(param));
        }
        assert!(decoded(&json!({"suffix": ""})).is_ok());
    }

    #[test]
    fn mistakes_are_told_with_the_field() {
        for (extra, kind, param) in [
            (json!({"model": null}), FailureKind::MissingParameter, "model"),
            (json!({"prompt": null}), FailureKind::MissingParameter, "prompt"),
            (json!({"prompt": {}}), FailureKind::InvalidValue, "prompt"),
            (json!({"prompt": []}), FailureKind::InvalidValue, "prompt"),
            (json!({"echo": 1}), FailureKind::InvalidValue, "echo"),
            (json!({"n": "2"}), FailureKind::InvalidValue, "n"),
            (json!({"max_tokens": -1}), FailureKind::InvalidValue, "max_tokens"),
            (
                json!({"stream_options": {"include_usage": 1}}),
                FailureKind::InvalidValue,
                "stream_options.include_usage",
            ),
        ] {
            let told = decoded(&extra).unwrap_err();
            assert_eq!((told.kind, told.param.as_deref()), (kind, Some(param)), "{extra}");
        }
        assert_eq!(decode(b"[]").unwrap_err().kind, FailureKind::InvalidJson);
    }
}
