//! Tools of a client's request → chat.

use serde_json::Value;

use super::fields::{Fields, Foreign, missing, unsupported, wrong};
use crate::chat::{Failure, Tool, ToolChoice, ToolInput};

/// Everything a request says about tools.
#[derive(Default)]
pub(super) struct Tooling {
    pub(super) tools: Vec<Tool>,
    pub(super) choice: Option<ToolChoice>,
    pub(super) parallel: Option<bool>,
}

pub(super) fn decode_tools(fields: &mut Fields, foreign: &mut Foreign) -> Result<Tooling, Failure> {
    let mut tools = Vec::new();
    let mut is_complete = true;
    for (i, tool) in fields.array("tools")?.unwrap_or_default().into_iter().enumerate() {
        match decode_tool(Fields::of(tool, format!("tools[{i}]"))?, foreign)? {
            Some(tool) => tools.push(tool),
            None => is_complete = false,
        }
    }
    let choice = match fields.take("tool_choice") {
        Some(choice) => Some(decode_choice(choice, &tools, is_complete, foreign)?),
        None => None,
    };
    let parallel = fields.boolean("parallel_tool_calls")?;
    if tools.is_empty() {
        // Both are refused by other protocols when there are no tools.
        return Ok(Tooling::default());
    }
    Ok(Tooling { tools, choice, parallel })
}

/// `None` for a tool that the provider would have to run.
fn decode_tool(mut tool: Fields, foreign: &mut Foreign) -> Result<Option<Tool>, Failure> {
    let kind = tool.required_string("type")?;
    let input = match kind.as_str() {
        "function" => {
            ToolInput::Function { schema: tool.map("parameters")?.map(Value::Object), strict: tool.boolean("strict")? }
        }
        "custom" => ToolInput::Custom { format: tool.map("format")?.map(Value::Object) },
        _ => {
            foreign.add(format!("tools[].{kind}"));
            return Ok(None);
        }
    };
    let name = tool.required_string("name")?;
    let description = tool.string("description")?;
    tool.rest().filter(|key| key != "defer_loading").for_each(|key| foreign.add(format!("tools[].{key}")));
    Ok(Some(Tool { name, description, input }))
}

fn decode_choice(
    choice: Value,
    tools: &[Tool],
    is_complete: bool,
    foreign: &mut Foreign,
) -> Result<ToolChoice, Failure> {
    const PATH: &str = "tool_choice";
    if let Value::String(word) = &choice {
        return decode_word(word).ok_or_else(|| wrong(PATH.to_owned(), "`auto`, `required`, `none` or an object"));
    }
    let mut choice = Fields::of(choice, PATH.to_owned())?;
    match choice.required_string("type")?.as_str() {
        "function" | "custom" => {
            let name = choice.required_string("name")?;
            if tools.iter().any(|tool| tool.name == name) {
                Ok(ToolChoice::Named(name))
            } else if is_complete {
                Err(wrong(choice.path("name"), "the name of one of the tools"))
            } else {
                Err(unsupported(PATH))
            }
        }
        "allowed_tools" => {
            foreign.add("tool_choice.allowed_tools");
            let mode = choice.string("mode")?.ok_or_else(|| missing(choice.path("mode")))?;
            decode_word(&mode).ok_or_else(|| wrong(choice.path("mode"), "`auto` or `required`"))
        }
        _ => Err(unsupported(PATH)),
    }
}

fn decode_word(word: &str) -> Option<ToolChoice> {
    match word {
        "auto" => Some(ToolChoice::Auto),
        "required" => Some(ToolChoice::Required),
        "none" => Some(ToolChoice::None),
        _ => None,
    }
}
