//! A client's tools: those that it runs itself, and those that only this protocol's provider has.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::loss::Foreign;
use super::object::{Object, Path};
use crate::chat::{Failure, FailureKind, Tool, ToolChoice, ToolInput};

/// What a request says about tools.
#[derive(Debug, Default)]
pub(super) struct Tools {
    pub tools: Vec<Tool>,
    pub choice: Option<ToolChoice>,
    pub parallel: Option<bool>,
}

/// Reads `tools` and `tool_choice`.
pub(super) fn decode(object: &Object<'_, '_>, foreign: &mut Foreign) -> Result<Tools, Failure> {
    let path = Path::Key(object.path(), "tools");
    let mut tools = Vec::new();
    let mut hosted = BTreeSet::new();
    for (index, value) in object.list("tools")?.unwrap_or_default().into_iter().enumerate() {
        let path = Path::Index(&path, index);
        match tool(value, &path, foreign)? {
            Declared::Client(tool) => tools.push(tool),
            Declared::Hosted(name) => {
                hosted.insert(name);
            }
        }
    }
    let (choice, parallel) = choice(object)?;
    if let Some(ToolChoice::Named(name)) = &choice
        && hosted.contains(name)
        && !tools.iter().any(|tool| tool.name == *name)
    {
        let message = format!("`tool_choice` names `{name}`, which runs at the provider and cannot be translated");
        return Err(Failure::new(FailureKind::UnsupportedAcrossProtocols, message).with_param("tool_choice"));
    }
    if tools.is_empty() && !hosted.is_empty() {
        return Ok(Tools::default());
    }
    Ok(Tools { tools, choice, parallel })
}

enum Declared {
    Client(Tool),
    /// Its name; it has been listed as lost.
    Hosted(String),
}

fn tool(value: &RawValue, path: &Path<'_>, foreign: &mut Foreign) -> Result<Declared, Failure> {
    let tool = Object::read(value, path)?;
    let kind = tool.text("type")?.unwrap_or(Cow::Borrowed("custom"));
    if kind != "custom" {
        let kind = without_version(&kind);
        foreign.add(format!("tools[].{kind}"));
        return Ok(Declared::Hosted(tool.text("name")?.unwrap_or(Cow::Borrowed(kind)).into_owned()));
    }
    for name in tool.said() {
        let is_direct = |value: &RawValue| value.get() == r#"["direct"]"#;
        let is_default = name == "allowed_callers" && tool.get(name).is_some_and(is_direct);
        if !is_default && !matches!(name, "name" | "description" | "input_schema" | "type" | "strict") {
            foreign.add(format!("tools[].{name}"));
        }
    }
    let Some(schema) = tool.map("input_schema")? else {
        return Err(Path::Key(path, "input_schema").missing());
    };
    Ok(Declared::Client(Tool {
        name: tool.required_text("name")?.into_owned(),
        description: tool.text("description")?.map(Cow::into_owned),
        input: ToolInput::Function { schema: Some(schema.into()), strict: tool.flag("strict")? },
    }))
}

/// `web_search` of `web_search_20250305`.
fn without_version(kind: &str) -> &str {
    match kind.rsplit_once('_') {
        Some((name, version)) if version.len() == 8 && version.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => kind,
    }
}

fn choice(object: &Object<'_, '_>) -> Result<(Option<ToolChoice>, Option<bool>), Failure> {
    let Some(value) = object.get("tool_choice") else {
        return Ok((None, None));
    };
    let path = Path::Key(object.path(), "tool_choice");
    let choice = Object::read(value, &path)?;
    let parallel = choice.flag("disable_parallel_tool_use")?.map(|is_off| !is_off);
    let choice = match &*choice.required_text("type")? {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(choice.required_text("name")?.into_owned()),
        _ => return Err(Path::Key(&path, "type").invalid("auto, any, tool or none")),
    };
    Ok((Some(choice), parallel))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::decode_request;
    use super::*;
    use crate::chat::ChatRequest;

    fn read(tools: serde_json::Value, choice: serde_json::Value) -> Result<ChatRequest, Failure> {
        let body = json!({"model":"m","messages":[],"tools":tools,"tool_choice":choice});
        decode_request::decode(body.to_string().as_bytes())
    }

    #[test]
    fn a_client_tool_may_have_the_name_of_a_hosted_one() {
        let tools = json!([
            {"name":"web_search","input_schema":{"type":"object"},"strict":true,"cache_control":{"type":"ephemeral"}},
            {"type":"web_search_20250305","name":"search","max_uses":3},
            {"type":"computer_20250124","name":"computer"},
            {"type":"mcp_toolset","mcp_server_name":"x"}
        ]);
        let choice = json!({"type":"tool","name":"web_search","disable_parallel_tool_use":true});
        let request = read(tools, choice).unwrap();
        let listed = ["tools[].cache_control", "tools[].computer", "tools[].mcp_toolset", "tools[].web_search"];
        assert_eq!(request.foreign, listed);
        assert_eq!(request.tools.len(), 1);
        assert!(matches!(request.tools[0].input, ToolInput::Function { strict: Some(true), .. }));
        assert_eq!(request.tool_choice, Some(ToolChoice::Named("web_search".to_owned())));
        assert_eq!(request.parallel_tool_calls, Some(false));
    }

    #[test]
    fn with_the_last_tool_the_choice_goes_too_unless_it_names_the_tool() {
        let hosted = json!([{"type":"web_search_20250305","name":"web_search"}]);
        let request = read(hosted.clone(), json!({"type":"any","disable_parallel_tool_use":true})).unwrap();
        assert_eq!((request.tools.len(), request.tool_choice, request.parallel_tool_calls), (0, None, None));
        let refused = read(hosted, json!({"type":"tool","name":"web_search"})).unwrap_err();
        assert_eq!(refused.kind, FailureKind::UnsupportedAcrossProtocols);
        assert_eq!(refused.param.as_deref(), Some("tool_choice"));
    }

    #[test]
    fn mistakes_name_the_tool() {
        let missing = read(json!([{"name":"a"}]), json!(null)).unwrap_err();
        assert_eq!(missing.param.as_deref(), Some("tools[0].input_schema"));
        let wrong = read(json!([]), json!({"type":"sometimes"})).unwrap_err();
        assert_eq!(wrong.param.as_deref(), Some("tool_choice.type"));
    }
}
