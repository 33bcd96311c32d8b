//! A client's request → chat.

use serde_json::{Map, Value, json};

use super::decode_input::{Conversation, decode_input};
use super::decode_tools::decode_tools;
use super::fields::{Fields, Foreign, missing, unsupported, wrong};
use crate::chat::{
    ChatRequest, ClientSide, Effort, EndUser, Failure, FailureKind, FieldNames, OpenAiOnly, OutputFormat,
    ReasoningAmount, ReasoningRequest,
};

const NAMES: FieldNames = FieldNames {
    reasoning: "reasoning",
    stop: "stop",
    output_format: "text.format",
    verbosity: "text.verbosity",
    strict: "tools[].strict",
    content: "input[].content[]",
};

/// What the answer repeats of the request.
const REPEATED: [&str; 15] = [
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "temperature",
    "text",
    "tool_choice",
    "top_p",
    "truncation",
    "user",
];

const ENCRYPTED_REASONING: &str = "reasoning.encrypted_content";

pub(super) fn decode_request(body: &[u8]) -> Result<ChatRequest, Failure> {
    let map: Map<String, Value> = serde_json::from_slice(body)
        .map_err(|error| Failure::new(FailureKind::InvalidJson, format!("the body is not a JSON object: {error}")))?;
    let echo = repeated(&map);
    let mut fields = Fields::root(map);
    let mut foreign = Foreign::default();
    refuse_state(&mut fields)?;
    let model = fields.required_string("model")?;
    let conversation = conversation(&mut fields, &mut foreign)?;
    let tooling = decode_tools(&mut fields, &mut foreign)?;
    let text = decode_text(&mut fields, &mut foreign)?;
    let reasoning = decode_reasoning(&mut fields, &mut foreign)?;
    let wants_encrypted_reasoning = decode_include(&mut fields, &mut foreign)?;
    let request = ChatRequest {
        model,
        instructions: conversation.instructions,
        messages: conversation.messages,
        tools: tooling.tools,
        tool_choice: tooling.choice,
        parallel_tool_calls: tooling.parallel,
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        top_k: None,
        stop: Vec::new(),
        max_output_tokens: fields.limit("max_output_tokens")?,
        reasoning,
        output_format: text.format,
        stream: fields.boolean("stream")?.unwrap_or_default(),
        include_usage: false,
        end_user: decode_end_user(&mut fields, &mut foreign)?,
        openai: decode_shared(&mut fields, text.verbosity)?,
        client: ClientSide { names: NAMES, legacy_functions: false, wants_encrypted_reasoning, echo },
        foreign: Vec::new(),
    };
    list_rest(fields, &mut foreign)?;
    Ok(ChatRequest { foreign: foreign.into_sorted(), ..request })
}

fn repeated(map: &Map<String, Value>) -> Map<String, Value> {
    let mut echo: Map<String, Value> =
        REPEATED.iter().filter_map(|key| Some(((*key).to_owned(), map.get(*key)?.clone()))).collect();
    if let Some(Value::Array(tools)) = map.get("tools") {
        echo.insert("tools".to_owned(), tools.iter().map(repeated_tool).collect());
    }
    echo
}

/// The answer's schema wants fields of a function that a request may leave out.
fn repeated_tool(tool: &Value) -> Value {
    let mut tool = tool.clone();
    if let Value::Object(map) = &mut tool
        && map.get("type").and_then(Value::as_str) == Some("function")
    {
        map.entry("parameters").or_insert(Value::Null);
        map.entry("strict").or_insert(Value::Null);
    }
    tool
}

/// What needs a store of earlier answers, which no other protocol has.
fn refuse_state(fields: &mut Fields) -> Result<(), Failure> {
    for key in ["previous_response_id", "conversation", "prompt"] {
        if fields.has(key) {
            return Err(unsupported(key));
        }
    }
    if fields.boolean("background")? == Some(true) {
        return Err(unsupported("background"));
    }
    Ok(())
}

fn conversation(fields: &mut Fields, foreign: &mut Foreign) -> Result<Conversation, Failure> {
    let instructions = fields.string("instructions")?.filter(|text| !text.is_empty());
    let input = fields.take("input").ok_or_else(|| missing("input".to_owned()))?;
    let mut conversation = decode_input(input, foreign)?;
    conversation.instructions.splice(0..0, instructions);
    Ok(conversation)
}

#[derive(Default)]
struct TextSettings {
    format: Option<OutputFormat>,
    verbosity: Option<String>,
}

fn decode_text(fields: &mut Fields, foreign: &mut Foreign) -> Result<TextSettings, Failure> {
    let Some(mut text) = fields.object("text")? else {
        return Ok(TextSettings::default());
    };
    let format = match text.object("format")? {
        Some(format) => decode_format(format)?,
        None => None,
    };
    let verbosity = text.string("verbosity")?;
    text.rest().for_each(|key| foreign.add(format!("text.{key}")));
    Ok(TextSettings { format, verbosity })
}

fn decode_format(mut format: Fields) -> Result<Option<OutputFormat>, Failure> {
    match format.required_string("type")?.as_str() {
        "text" => Ok(None),
        "json_object" => Ok(Some(OutputFormat::JsonObject)),
        "json_schema" => Ok(Some(OutputFormat::JsonSchema {
            name: format.string("name")?,
            description: format.string("description")?,
            schema: format.map("schema")?.map(Value::Object).ok_or_else(|| missing(format.path("schema")))?,
            strict: format.boolean("strict")?,
        })),
        _ => Err(wrong(format.path("type"), "`text`, `json_object` or `json_schema`")),
    }
}

fn decode_reasoning(fields: &mut Fields, foreign: &mut Foreign) -> Result<Option<ReasoningRequest>, Failure> {
    let Some(mut reasoning) = fields.object("reasoning")? else {
        return Ok(None);
    };
    let effort = reasoning.string("effort")?;
    let former = reasoning.string("generate_summary")?;
    let summary = reasoning.string("summary")?.or(former).is_some();
    let amount = match effort.as_deref() {
        None => None,
        Some("none") => Some(ReasoningAmount::Off),
        Some(word) => match Effort::parse(word) {
            Some(effort) => Some(ReasoningAmount::Effort(effort)),
            None => return Err(wrong(reasoning.path("effort"), "a known level of effort")),
        },
    };
    reasoning.rest().for_each(|key| foreign.add(format!("reasoning.{key}")));
    Ok(amount.map(|amount| ReasoningRequest { amount, summary }))
}

/// Whether the client wants encrypted reasoning back.
fn decode_include(fields: &mut Fields, foreign: &mut Foreign) -> Result<bool, Failure> {
    let include = fields.array("include")?.unwrap_or_default();
    if include.iter().any(|value| value != ENCRYPTED_REASONING) {
        foreign.add("include");
    }
    Ok(include.iter().any(|value| value == ENCRYPTED_REASONING))
}

fn decode_end_user(fields: &mut Fields, foreign: &mut Foreign) -> Result<Option<EndUser>, Failure> {
    let user = fields.string("user")?.map(EndUser::User);
    let safety = fields.string("safety_identifier")?.map(EndUser::SafetyIdentifier);
    if user.is_some() && safety.is_some() {
        foreign.add("safety_identifier");
    }
    Ok(user.or(safety))
}

fn decode_shared(fields: &mut Fields, verbosity: Option<String>) -> Result<OpenAiOnly, Failure> {
    Ok(OpenAiOnly {
        metadata: fields.map("metadata")?.filter(|metadata| !metadata.is_empty()),
        service_tier: fields.string("service_tier")?,
        prompt_cache_key: fields.string("prompt_cache_key")?,
        verbosity,
        store: fields.boolean("store")?,
    })
}

/// Lists what is left, defaults aside.
fn list_rest(mut fields: Fields, foreign: &mut Foreign) -> Result<(), Failure> {
    // How a stream is padded means nothing to another protocol.
    let _ = fields.take("stream_options");
    if fields.string("truncation")?.is_some_and(|word| word != "disabled") {
        foreign.add("truncation");
    }
    if fields.take("top_logprobs").is_some_and(|count| count != json!(0)) {
        foreign.add("top_logprobs");
    }
    fields.rest().for_each(|key| foreign.add(key));
    Ok(())
}
