//! Chat → a request for a provider.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Number, Value, json};

use super::encode_input::{Input, Item};
use crate::chat::{
    ChatRequest, Effort, EndUser, Failure, OutputFormat, ReasoningAmount, Target, Tool, ToolChoice, ToolInput,
};
use crate::codec::Encoded;

/// The least that the API takes as `max_output_tokens`.
const LEAST_OUTPUT: u64 = 16;
/// The longest end user that the API takes.
const LONGEST_USER: usize = 64;

#[derive(Serialize)]
struct Request<'r> {
    model: &'r str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<String>,
    input: Vec<Item<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<&'r Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<&'r Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<Value>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    include: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<TextSettings<'r>>,
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
    store: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireTool<'r> {
    Function {
        name: &'r str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'r str>,
        parameters: Value,
        strict: bool,
    },
    Custom {
        name: &'r str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'r str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        format: Option<&'r Value>,
    },
}

#[derive(Serialize)]
struct TextSettings<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verbosity: Option<&'r str>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Format<'r> {
    JsonObject,
    JsonSchema {
        name: &'r str,
        #[serde(skip_serializing_if = "Option::is_none")]
        description: Option<&'r str>,
        schema: &'r Value,
        #[serde(skip_serializing_if = "Option::is_none")]
        strict: Option<bool>,
    },
}

pub(super) fn encode_request(request: &ChatRequest, target: &Target<'_>) -> Result<Encoded, Failure> {
    let mut input = Input::new(target.provider, request.client.names.content);
    for message in &request.messages {
        input.message(message)?;
    }
    let mut dropped = input.dropped;
    if !request.stop.is_empty() {
        dropped.push(request.client.names.stop.to_owned());
    }
    if request.top_k.is_some() {
        dropped.push("top_k".to_owned());
    }
    let (user, safety_identifier) = end_user(request, &mut dropped);
    let (reasoning, include) = reasoning(request);
    let has_tools = !request.tools.is_empty();
    let body = Request {
        model: target.model,
        instructions: (!request.instructions.is_empty()).then(|| request.instructions.join("\n\n")),
        input: input.items,
        tools: request.tools.iter().map(wire_tool).collect(),
        tool_choice: request.tool_choice.as_ref().filter(|_| has_tools).map(|choice| wire_choice(choice, request)),
        parallel_tool_calls: request.parallel_tool_calls.filter(|_| has_tools),
        temperature: request.temperature.as_ref(),
        top_p: request.top_p.as_ref(),
        max_output_tokens: request.max_output_tokens.map(|tokens| tokens.max(LEAST_OUTPUT)),
        reasoning,
        include,
        text: text_settings(request),
        user,
        safety_identifier,
        metadata: request.openai.metadata.as_ref(),
        service_tier: request.openai.service_tier.as_deref(),
        prompt_cache_key: request.openai.prompt_cache_key.as_deref(),
        store: request.openai.store.unwrap_or_default(),
        stream: request.stream,
    };
    // Strings, numbers and values that were JSON before always serialise.
    Ok(Encoded { body: Bytes::from(serde_json::to_vec(&body).unwrap_or_default()), dropped })
}

/// The API refuses a longer one; it serves abuse detection only, so the request goes on without.
fn end_user<'r>(request: &'r ChatRequest, dropped: &mut Vec<String>) -> (Option<&'r str>, Option<&'r str>) {
    let (field, text) = match &request.end_user {
        None => return (None, None),
        Some(EndUser::User(text)) => ("user", text.as_str()),
        Some(EndUser::SafetyIdentifier(text)) => ("safety_identifier", text.as_str()),
    };
    if text.chars().count() > LONGEST_USER {
        dropped.push(if speaks_messages(request) { "metadata.user_id" } else { field }.to_owned());
        (None, None)
    } else if field == "user" {
        (Some(text), None)
    } else {
        (None, Some(text))
    }
}

fn reasoning(request: &ChatRequest) -> (Option<Value>, &'static [&'static str]) {
    let Some(asked) = &request.reasoning else {
        return (None, &[]);
    };
    let effort = match asked.amount {
        // A Messages client switches thinking off by default; models without any refuse the field.
        ReasoningAmount::Off if speaks_messages(request) => return (None, &[]),
        ReasoningAmount::Off => return (Some(json!({"effort": "none"})), &[]),
        ReasoningAmount::Adaptive => None,
        ReasoningAmount::Effort(Effort::Max) if speaks_messages(request) => Some(Effort::XHigh),
        ReasoningAmount::Effort(effort) => Some(effort),
        ReasoningAmount::Budget(tokens) => Some(effort_of(tokens)),
    };
    let mut reasoning = Map::new();
    if let Some(effort) = effort {
        reasoning.insert("effort".to_owned(), effort.name().into());
    }
    if asked.summary {
        reasoning.insert("summary".to_owned(), "auto".into());
    }
    if reasoning.is_empty() {
        return (None, &[]);
    }
    (Some(Value::Object(reasoning)), &["reasoning.encrypted_content"])
}

/// Whether these are the words of a Messages client, some of which mean something else here.
fn speaks_messages(request: &ChatRequest) -> bool {
    request.client.names.stop == "stop_sequences"
}

const fn effort_of(budget: u64) -> Effort {
    match budget {
        0..=4096 => Effort::Low,
        4097..=12288 => Effort::Medium,
        _ => Effort::High,
    }
}

fn wire_tool(tool: &Tool) -> WireTool<'_> {
    let (name, description) = (tool.name.as_str(), tool.description.as_deref());
    match &tool.input {
        ToolInput::Function { schema, strict } => WireTool::Function {
            name,
            description,
            parameters: schema.clone().unwrap_or_else(|| json!({"type": "object", "properties": {}})),
            // Left out, the API would take it as true.
            strict: strict.unwrap_or_default(),
        },
        ToolInput::Custom { format } => WireTool::Custom { name, description, format: format.as_ref() },
    }
}

fn wire_choice(choice: &ToolChoice, request: &ChatRequest) -> Value {
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::Required => json!("required"),
        ToolChoice::None => json!("none"),
        ToolChoice::Named(name) => {
            let tool = request.tools.iter().find(|tool| tool.name == *name);
            let is_custom = tool.is_some_and(|tool| matches!(tool.input, ToolInput::Custom { .. }));
            json!({"type": if is_custom { "custom" } else { "function" }, "name": name})
        }
    }
}

fn text_settings(request: &ChatRequest) -> Option<TextSettings<'_>> {
    let format = request.output_format.as_ref().map(|format| match format {
        OutputFormat::JsonObject => Format::JsonObject,
        OutputFormat::JsonSchema { name, description, schema, strict } => Format::JsonSchema {
            name: name.as_deref().unwrap_or("answer"),
            description: description.as_deref(),
            schema,
            strict: *strict,
        },
    });
    let verbosity = request.openai.verbosity.as_deref();
    (format.is_some() || verbosity.is_some()).then_some(TextSettings { format, verbosity })
}
