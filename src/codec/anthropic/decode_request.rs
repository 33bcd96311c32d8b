//! A client's request, from this protocol to the unified format.

use serde_json::value::RawValue;

use super::decode_blocks;
use super::decode_tools::{self, Tools};
use super::loss::Foreign;
use super::object::{Object, Path};
use crate::chat::{
    ChatRequest, ClientSide, Effort, EndUser, Failure, FailureKind, FieldNames, OpenAiOnly, OutputFormat,
    ReasoningAmount, ReasoningRequest,
};

const NAMES: FieldNames = FieldNames {
    reasoning: "thinking",
    stop: "stop_sequences",
    output_format: "output_config.format",
    verbosity: "verbosity",
    strict: "tools[].strict",
    content: "messages[].content[]",
};

/// Top-level fields that have a place in the unified format, or are looked at one by one.
const KNOWN: [&str; 16] = [
    "model",
    "messages",
    "max_tokens",
    "system",
    "metadata",
    "stop_sequences",
    "stream",
    "temperature",
    "top_k",
    "top_p",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "service_tier",
];

/// Reads a request. `max_tokens` may be missing: a request to count tokens has none.
pub(super) fn decode(body: &[u8]) -> Result<ChatRequest, Failure> {
    let invalid = || Failure::new(FailureKind::InvalidJson, "the body is not a JSON object");
    let text = std::str::from_utf8(body).map_err(|_error| invalid())?;
    let value: &RawValue = serde_json::from_str(text).map_err(|_error| invalid())?;
    let object = Object::read(value, &Path::Root).map_err(|_error| invalid())?;

    let mut foreign = Foreign::default();
    let model = object.required_text("model")?.into_owned();
    let conversation = decode_blocks::conversation(&object, &mut foreign)?;
    let Tools { tools, choice, parallel } = decode_tools::decode(&object, &mut foreign)?;
    let (reasoning, reasoning_name) = reasoning(&object, &mut foreign)?;
    let output_format = output_format(&object)?;
    let end_user = end_user(&object, &mut foreign)?;
    unknown_fields(&object, &mut foreign)?;

    Ok(ChatRequest {
        model,
        instructions: conversation.instructions,
        messages: conversation.messages,
        tools,
        tool_choice: choice,
        parallel_tool_calls: parallel,
        temperature: object.number("temperature")?,
        top_p: object.number("top_p")?,
        top_k: object.number("top_k")?,
        stop: object.texts("stop_sequences")?.unwrap_or_default(),
        max_output_tokens: max_tokens(&object)?,
        reasoning,
        output_format,
        stream: object.flag("stream")?.unwrap_or_default(),
        include_usage: false,
        end_user,
        openai: OpenAiOnly::default(),
        client: ClientSide { names: FieldNames { reasoning: reasoning_name, ..NAMES }, ..ClientSide::default() },
        foreign: foreign.into_paths(),
    })
}

fn max_tokens(object: &Object<'_, '_>) -> Result<Option<u64>, Failure> {
    match object.count("max_tokens")? {
        Some(0) => Err(Path::Key(object.path(), "max_tokens").invalid("at least 1")),
        count => Ok(count),
    }
}

/// What is asked for, and the field that asks for it.
fn reasoning(
    object: &Object<'_, '_>,
    foreign: &mut Foreign,
) -> Result<(Option<ReasoningRequest>, &'static str), Failure> {
    let effort = effort(object, foreign)?.map(ReasoningAmount::Effort);
    let Some(value) = object.get("thinking") else {
        let asked = effort.map(|amount| ReasoningRequest { amount, summary: false });
        return Ok((asked, "output_config.effort"));
    };
    let path = Path::Key(object.path(), "thinking");
    let thinking = Object::read(value, &path)?;
    let (amount, on) = match &*thinking.required_text("type")? {
        "enabled" => match thinking.count("budget_tokens")? {
            Some(budget) => (ReasoningAmount::Budget(budget), true),
            None => return Err(Path::Key(&path, "budget_tokens").missing()),
        },
        "adaptive" => (ReasoningAmount::Adaptive, true),
        "disabled" => (ReasoningAmount::Off, false),
        "between_tools" => {
            foreign.add("thinking");
            (ReasoningAmount::Adaptive, true)
        }
        _ => return Err(Path::Key(&path, "type").invalid("enabled, adaptive or disabled")),
    };
    let is_hidden = thinking.text("display")?.as_deref() == Some("omitted");
    // A named level says more than a number that was written for another model.
    let asked = ReasoningRequest { amount: effort.unwrap_or(amount), summary: on && !is_hidden };
    Ok((Some(asked), NAMES.reasoning))
}

fn effort(object: &Object<'_, '_>, foreign: &mut Foreign) -> Result<Option<Effort>, Failure> {
    let Some(value) = object.get("output_config") else {
        return Ok(None);
    };
    let path = Path::Key(object.path(), "output_config");
    let config = Object::read(value, &path)?;
    for name in config.said().filter(|name| !matches!(*name, "effort" | "format")) {
        foreign.add(format!("output_config.{name}"));
    }
    let Some(word) = config.text("effort")? else {
        return Ok(None);
    };
    match Effort::parse(&word) {
        Some(effort) => Ok(Some(effort)),
        None => Err(Path::Key(&path, "effort").invalid("low, medium, high, xhigh or max")),
    }
}

/// `output_config.format`, or `output_format` as it was called before.
fn output_format(object: &Object<'_, '_>) -> Result<Option<OutputFormat>, Failure> {
    let path = Path::Key(object.path(), "output_config");
    let config = object.get("output_config").map(|value| Object::read(value, &path)).transpose()?;
    match config.as_ref().and_then(|config| config.get("format")) {
        Some(value) => json_schema(value, &Path::Key(&path, "format")).map(Some),
        None => match object.get("output_format") {
            Some(value) => json_schema(value, &Path::Key(object.path(), "output_format")).map(Some),
            None => Ok(None),
        },
    }
}

fn json_schema(value: &RawValue, path: &Path<'_>) -> Result<OutputFormat, Failure> {
    let format = Object::read(value, path)?;
    if format.required_text("type")? != "json_schema" {
        return Err(Path::Key(path, "type").invalid("json_schema"));
    }
    let Some(schema) = format.map("schema")? else {
        return Err(Path::Key(path, "schema").missing());
    };
    Ok(OutputFormat::JsonSchema { name: None, description: None, schema: schema.into(), strict: None })
}

fn end_user(object: &Object<'_, '_>, foreign: &mut Foreign) -> Result<Option<EndUser>, Failure> {
    let Some(value) = object.get("metadata") else {
        return Ok(None);
    };
    let path = Path::Key(object.path(), "metadata");
    let metadata = Object::read(value, &path)?;
    for name in metadata.said().filter(|name| *name != "user_id") {
        foreign.add(format!("metadata.{name}"));
    }
    Ok(metadata.text("user_id")?.map(|user| EndUser::User(user.into_owned())))
}

fn unknown_fields(object: &Object<'_, '_>, foreign: &mut Foreign) -> Result<(), Failure> {
    for name in object.said().filter(|name| !KNOWN.contains(name)) {
        foreign.add(name);
    }
    // Its values mean something else in every protocol; `auto` is what happens anyway.
    if object.text("service_tier")?.is_some_and(|tier| tier != "auto") {
        foreign.add("service_tier");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(fields: serde_json::Value) -> Result<ChatRequest, Failure> {
        let mut body = json!({"model":"m","max_tokens":100,"messages":[{"role":"user","content":"Hi"}]});
        let fields = fields.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        decode(body.to_string().as_bytes())
    }

    fn asked(fields: serde_json::Value) -> Option<(ReasoningAmount, bool)> {
        read(fields).unwrap().reasoning.map(|asked| (asked.amount, asked.summary))
    }

    #[test]
    fn thinking_and_effort_ask_for_reasoning() {
        use ReasoningAmount::{Adaptive, Budget, Effort as Level, Off};
        assert_eq!(asked(json!({})), None);
        assert_eq!(asked(json!({"thinking":{"type":"disabled"}})), Some((Off, false)));
        assert_eq!(asked(json!({"thinking":{"type":"adaptive"}})), Some((Adaptive, true)));
        assert_eq!(asked(json!({"thinking":{"type":"adaptive","display":"omitted"}})), Some((Adaptive, false)));
        let enabled = json!({"type":"enabled","budget_tokens":4000});
        assert_eq!(asked(json!({"thinking":enabled})), Some((Budget(4000), true)));
        let both = json!({"thinking":enabled,"output_config":{"effort":"max"}});
        assert_eq!(asked(both), Some((Level(Effort::Max), true)));
        let request = read(json!({"output_config":{"effort":"low"}})).unwrap();
        assert_eq!(request.reasoning.unwrap().amount, Level(Effort::Low));
        assert_eq!(request.client.names.reasoning, "output_config.effort");
    }

    #[test]
    fn what_only_this_protocol_has_is_listed_and_defaults_are_not() {
        let request = read(json!({
            "container":"c","context_management":{"edits":[{}]},"mcp_servers":[],"x_unknown":1,"betas":null,
            "service_tier":"standard_only","inference_geo":"eu","top_k":5,"metadata":{"user_id":"u","team":"t"},
            "output_config":{"task_budget":{"total":1}}
        }))
        .unwrap();
        let listed = [
            "container",
            "context_management",
            "inference_geo",
            "metadata.team",
            "output_config.task_budget",
            "service_tier",
            "x_unknown",
        ];
        assert_eq!(request.foreign, listed);
        assert_eq!(request.end_user, Some(EndUser::User("u".to_owned())));
        assert_eq!(request.top_k, Some(5.into()));
        assert!(read(json!({"service_tier":"auto","stream":false})).unwrap().foreign.is_empty());
    }

    #[test]
    fn an_output_schema_keeps_its_key_order() {
        let text = r#"{"type":"object","properties":{"z":{},"a":{}}}"#;
        let body = format!(
            r#"{{"model":"m","messages":[],"output_config":{{"format":{{"type":"json_schema","schema":{text}}}}}}}"#
        );
        match decode(body.as_bytes()).unwrap().output_format {
            Some(OutputFormat::JsonSchema { schema, .. }) => assert_eq!(schema.to_string(), text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn mistakes_name_the_field() {
        let wrong = [
            (json!({"max_tokens":0}), "max_tokens"),
            (json!({"max_tokens":1.5}), "max_tokens"),
            (json!({"temperature":"x"}), "temperature"),
            (json!({"stop_sequences":"x"}), "stop_sequences"),
            (json!({"thinking":{"type":"x"}}), "thinking.type"),
            (json!({"output_config":{"effort":"x"}}), "output_config.effort"),
            (json!({"output_config":{"format":{"type":"x"}}}), "output_config.format.type"),
            (json!({"metadata":{"user_id":1}}), "metadata.user_id"),
            (json!({"stream":"yes"}), "stream"),
        ];
        for (fields, param) in wrong {
            let failure = read(fields).unwrap_err();
            assert_eq!((failure.kind, failure.param.as_deref()), (FailureKind::InvalidValue, Some(param)));
        }
        for body in ["", "[]", "1", "{", "\u{feff}{}"] {
            assert_eq!(decode(body.as_bytes()).unwrap_err().kind, FailureKind::InvalidJson, "{body}");
        }
        assert_eq!(decode(b"{\"a\":\"\xff\"}").unwrap_err().kind, FailureKind::InvalidJson);
        assert_eq!(decode(b"{}").unwrap_err().param.as_deref(), Some("model"));
        assert_eq!(decode(b"{\"model\":\"m\"}").unwrap_err().param.as_deref(), Some("messages"));
    }
}
