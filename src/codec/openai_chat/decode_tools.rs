//! Tools, the choice among them, and the form of the answer.

use serde_json::{Map, Value, json};

use crate::chat::{Failure, OutputFormat, Tool, ToolChoice, ToolInput};
use crate::codec::openai::object::{Foreign, Object, unsupported};

/// The tools of a request, in either spelling.
#[derive(Debug)]
pub(super) struct Tools {
    pub tools: Vec<Tool>,
    pub choice: Option<ToolChoice>,
    pub parallel: Option<bool>,
    /// They came as `functions`.
    pub legacy: bool,
}

impl Tools {
    pub(super) fn read(request: &mut Object, foreign: &mut Foreign) -> Result<Self, Failure> {
        let mut tools = Vec::new();
        for tool in request.objects("tools")? {
            tools.extend(read_tool(tool, foreign)?);
        }
        let functions = request.objects("functions")?;
        let legacy = !functions.is_empty();
        for function in functions {
            tools.push(read_function(function, foreign)?);
        }
        let mut choice = read_choice(request, foreign)?;
        choice = choice.or(read_function_choice(request)?);
        let mut parallel = request.flag("parallel_tool_calls")?;
        if tools.is_empty() {
            // Whatever it was, it was about tools that are gone.
            if matches!(choice, Some(ToolChoice::Named(_))) {
                return Err(unsupported("tool_choice"));
            }
            (choice, parallel) = (None, None);
        }
        Ok(Self { tools, choice, parallel, legacy })
    }
}

fn read_tool(mut tool: Object, foreign: &mut Foreign) -> Result<Option<Tool>, Failure> {
    let kind = tool.required_text("type")?;
    let read = match kind.as_str() {
        "function" => {
            let function = tool.object("function")?.ok_or_else(|| tool.missing("function"))?;
            read_function(function, foreign)?
        }
        "custom" => {
            let custom = tool.object("custom")?.ok_or_else(|| tool.missing("custom"))?;
            read_custom(custom, foreign)?
        }
        hosted => {
            foreign.add(&format!("tools[].{hosted}"));
            return Ok(None);
        }
    };
    tool.list_rest(foreign);
    Ok(Some(read))
}

fn read_function(mut function: Object, foreign: &mut Foreign) -> Result<Tool, Failure> {
    let schema = function.take("parameters");
    if schema.as_ref().is_some_and(|schema| !schema.is_object()) {
        return Err(function.wrong("parameters", "must be an object"));
    }
    let tool = Tool {
        name: function.required_text("name")?,
        description: function.text("description")?,
        input: ToolInput::Function { schema, strict: function.flag("strict")? },
    };
    function.list_rest(foreign);
    Ok(tool)
}

fn read_custom(mut custom: Object, foreign: &mut Foreign) -> Result<Tool, Failure> {
    let format = match custom.object("format")? {
        None => None,
        Some(mut format) => Some(match format.object("grammar")? {
            // The other OpenAI protocol has the members of `grammar` beside `type`.
            Some(mut grammar) => json!({
                "type": "grammar",
                "syntax": grammar.required_text("syntax")?,
                "definition": grammar.required_text("definition")?,
            }),
            None => json!({"type": "text"}),
        }),
    };
    let tool = Tool {
        name: custom.required_text("name")?,
        description: custom.text("description")?,
        input: ToolInput::Custom { format },
    };
    custom.list_rest(foreign);
    Ok(tool)
}

fn read_choice(request: &mut Object, foreign: &mut Foreign) -> Result<Option<ToolChoice>, Failure> {
    match request.take("tool_choice") {
        None => Ok(None),
        Some(Value::String(word)) => {
            choice_of(&word).map(Some).ok_or_else(|| request.wrong("tool_choice", "must be auto, required or none"))
        }
        Some(value) => {
            let mut choice = Object::read(value, request.path("tool_choice"))?;
            let kind = choice.required_text("type")?;
            match kind.as_str() {
                "function" | "custom" => {
                    let mut named = choice.object(&kind)?.ok_or_else(|| choice.missing(&kind))?;
                    Ok(Some(ToolChoice::Named(named.required_text("name")?)))
                }
                "allowed_tools" => {
                    foreign.add("tool_choice.allowed_tools");
                    let mode = choice.object("allowed_tools")?.map(|mut allowed| allowed.text("mode")).transpose()?;
                    Ok(mode.flatten().and_then(|mode| choice_of(&mode)))
                }
                _ => Err(unsupported("tool_choice")),
            }
        }
    }
}

/// The old `function_call`: `auto`, `none` or a name.
fn read_function_choice(request: &mut Object) -> Result<Option<ToolChoice>, Failure> {
    match request.take("function_call") {
        None => Ok(None),
        Some(Value::String(word)) => {
            choice_of(&word).map(Some).ok_or_else(|| request.wrong("function_call", "must be auto or none"))
        }
        Some(value) => {
            let mut named = Object::read(value, request.path("function_call"))?;
            Ok(Some(ToolChoice::Named(named.required_text("name")?)))
        }
    }
}

fn choice_of(word: &str) -> Option<ToolChoice> {
    match word {
        "auto" => Some(ToolChoice::Auto),
        "required" => Some(ToolChoice::Required),
        "none" => Some(ToolChoice::None),
        _ => None,
    }
}

/// Reads `response_format`; plain text is `None`.
pub(super) fn read_format(request: &mut Object, foreign: &mut Foreign) -> Result<Option<OutputFormat>, Failure> {
    let Some(mut format) = request.object("response_format")? else {
        return Ok(None);
    };
    match format.required_text("type")?.as_str() {
        "text" => Ok(None),
        "json_object" => Ok(Some(OutputFormat::JsonObject)),
        "json_schema" => {
            let mut schema = format.object("json_schema")?.ok_or_else(|| format.missing("json_schema"))?;
            let read = OutputFormat::JsonSchema {
                name: schema.text("name")?,
                description: schema.text("description")?,
                schema: schema.take("schema").unwrap_or_else(|| Value::Object(Map::new())),
                strict: schema.flag("strict")?,
            };
            schema.list_rest(foreign);
            Ok(Some(read))
        }
        // A grammar, for example: no other protocol has one.
        _ => {
            foreign.add("response_format");
            Ok(None)
        }
    }
}
