//! A request, from the unified format to this protocol.

use serde::Serialize;
use serde_json::{Number, Value};

use super::encode_messages::{self, Written};
use super::encode_tools::{self, WireChoice, WireTool};
use super::thinking::{self, Plan, Thinking};
use super::wire::{ASSISTANT, Block, Turn};
use crate::chat::{ChatRequest, EndUser, Failure, OutputFormat, Target};
use crate::codec::Encoded;

#[derive(Debug, Serialize)]
struct Body<'a> {
    model: &'a str,
    max_tokens: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    system: Vec<Block<'a>>,
    messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<WireTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<WireChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<Thinking>,
    #[serde(skip_serializing_if = "OutputConfig::is_empty")]
    output_config: OutputConfig<'a>,
    #[serde(flatten)]
    sampling: Sampling,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop_sequences: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

#[derive(Debug, Default, Serialize)]
struct OutputConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    effort: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<Format<'a>>,
}

#[derive(Debug, Serialize)]
struct Format<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    schema: &'a Value,
}

#[derive(Debug, Default, Serialize)]
struct Sampling {
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<Number>,
}

#[derive(Debug, Serialize)]
struct Metadata<'a> {
    user_id: &'a str,
}

impl OutputConfig<'_> {
    const fn is_empty(&self) -> bool {
        self.effort.is_none() && self.format.is_none()
    }
}

/// Writes a request.
pub(super) fn encode(request: &ChatRequest, target: &Target<'_>) -> Result<Encoded, Failure> {
    let mut dropped = Vec::new();
    let Written { system, mut turns } = encode_messages::write(request, target, &mut dropped)?;
    let max_tokens = request.max_output_tokens.or(target.max_output_tokens).unwrap_or(target.default_max_tokens);
    let Plan { thinking, effort, is_lost } = thinking::plan(request, target, &turns, max_tokens);
    if is_lost {
        dropped.push(request.client.names.reasoning.to_owned());
    }
    if thinking.is_none() {
        leave_out_final_thinking(&mut turns, &mut dropped);
    }
    let body = Body {
        model: target.model,
        max_tokens,
        system: system.into_iter().map(Block::text).collect(),
        messages: turns,
        tools: encode_tools::tools(request, target, &mut dropped),
        tool_choice: encode_tools::choice(request),
        thinking,
        output_config: OutputConfig { effort, format: format(request, target, &mut dropped) },
        sampling: sampling(request, thinking.is_some(), &mut dropped),
        stop_sequences: stop_sequences(request, &mut dropped),
        metadata: request.end_user.as_ref().map(|user| match user {
            EndUser::User(user_id) | EndUser::SafetyIdentifier(user_id) => Metadata { user_id },
        }),
        stream: request.stream,
    };
    openai_only(request, &mut dropped);
    // Strings, numbers and JSON values always serialise.
    let body = serde_json::to_vec(&body).unwrap_or_default().into();
    Ok(Encoded { body, dropped })
}

/// An answer that the client has begun must not hold thinking when thinking is off.
fn leave_out_final_thinking(turns: &mut [Turn<'_>], dropped: &mut Vec<String>) {
    let is_thinking = |block: &Block<'_>| matches!(block, Block::Thinking { .. } | Block::RedactedThinking { .. });
    if let Some(Turn { role: ASSISTANT, content }) = turns.last_mut()
        && content.iter().any(is_thinking)
        && !content.iter().all(is_thinking)
    {
        content.retain(|block| !is_thinking(block));
        dropped.push("reasoning".to_owned());
    }
}

fn format<'a>(request: &'a ChatRequest, target: &Target<'_>, dropped: &mut Vec<String>) -> Option<Format<'a>> {
    match request.output_format.as_ref()? {
        OutputFormat::JsonSchema { schema, .. } if target.supports_response_schema => {
            Some(Format { kind: "json_schema", schema })
        }
        OutputFormat::JsonSchema { .. } | OutputFormat::JsonObject => {
            dropped.push(request.client.names.output_format.to_owned());
            None
        }
    }
}

/// With thinking only the defaults are allowed, and temperature and nucleus not together.
fn sampling(request: &ChatRequest, is_thinking: bool, dropped: &mut Vec<String>) -> Sampling {
    let mut lose = |field: &str| dropped.push(field.to_owned());
    let above = |number: &Number, limit: f64| number.as_f64().is_some_and(|number| number > limit);
    let below = |number: &Number, limit: f64| number.as_f64().is_some_and(|number| number < limit);
    let mut sampling = Sampling::default();
    if is_thinking {
        if request.temperature.as_ref().is_some_and(|number| above(number, 1.0) || below(number, 1.0)) {
            lose("temperature");
        }
        if request.top_k.is_some() {
            lose("top_k");
        }
        sampling.top_p = request.top_p.clone().filter(|number| !below(number, 0.95));
        if request.top_p.is_some() && sampling.top_p.is_none() {
            lose("top_p");
        }
        return sampling;
    }
    sampling.top_k.clone_from(&request.top_k);
    sampling.temperature = request.temperature.clone().map(|number| {
        if above(&number, 1.0) {
            lose("temperature");
            Number::from(1)
        } else {
            number
        }
    });
    match &request.top_p {
        Some(number) if sampling.temperature.is_some() => {
            if below(number, 1.0) {
                lose("top_p");
            }
        }
        other => sampling.top_p.clone_from(other),
    }
    sampling
}

fn stop_sequences<'a>(request: &'a ChatRequest, dropped: &mut Vec<String>) -> Vec<&'a str> {
    let is_blank = |text: &&str| text.trim().is_empty();
    if request.stop.iter().map(String::as_str).any(|text| is_blank(&text)) {
        dropped.push(request.client.names.stop.to_owned());
    }
    request.stop.iter().map(String::as_str).filter(|text| !is_blank(text)).collect()
}

/// What Chat and Responses share and this protocol has not; defaults are no loss.
fn openai_only(request: &ChatRequest, dropped: &mut Vec<String>) {
    let openai = &request.openai;
    let mut list = |is_lost: bool, field: &str| {
        if is_lost {
            dropped.push(field.to_owned());
        }
    };
    list(openai.metadata.as_ref().is_some_and(|pairs| !pairs.is_empty()), "metadata");
    list(openai.service_tier.as_ref().is_some_and(|tier| tier != "auto"), "service_tier");
    list(openai.prompt_cache_key.is_some(), "prompt_cache_key");
    list(openai.verbosity.as_ref().is_some_and(|verbosity| verbosity != "medium"), request.client.names.verbosity);
    list(openai.store == Some(true), "store");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixtures::{request, target};
    use super::*;
    use crate::chat::{
        Block as ChatBlock, Effort, FieldNames, Message, OpenAiOnly, ReasoningAmount, ReasoningRequest, Role,
        ThinkingStyle, Tool, ToolCall, ToolChoice, ToolInput, ToolResult,
    };

    const BUDGET: &str = "claude-sonnet-4-5";
    const ADAPTIVE: &str = "claude-opus-4-6";

    fn sent(request: &ChatRequest, target: &Target<'_>) -> (Value, Vec<String>) {
        let mut encoded = encode(request, target).unwrap();
        encoded.dropped.sort();
        (serde_json::from_slice(&encoded.body).unwrap(), encoded.dropped)
    }

    fn asking(amount: ReasoningAmount) -> ChatRequest {
        ChatRequest { reasoning: Some(ReasoningRequest { amount, summary: false }), ..request(json!({})) }
    }

    fn tool(name: &str, input: ToolInput) -> Tool {
        Tool { name: name.to_owned(), description: None, input }
    }

    fn function(strict: Option<bool>) -> ToolInput {
        ToolInput::Function { schema: None, strict }
    }

    #[test]
    fn a_plain_request_says_no_more_than_the_client_did() {
        let (body, dropped) = sent(&request(json!({})), &target(BUDGET));
        let messages = json!([{"role":"user","content":[{"type":"text","text":"Hi"}]}]);
        assert_eq!(body, json!({"model":BUDGET,"max_tokens":4096,"messages":messages}));
        assert!(dropped.is_empty());
    }

    #[test]
    fn the_length_is_the_client_s_else_the_mapping_s_else_the_default() {
        let length = |asked: Option<u64>, mapped: Option<u64>| {
            let request = ChatRequest { max_output_tokens: asked, ..request(json!({})) };
            sent(&request, &Target { max_output_tokens: mapped, ..target(BUDGET) }).0["max_tokens"].clone()
        };
        assert_eq!(length(Some(7), Some(9)), 7);
        assert_eq!(length(None, Some(9)), 9);
        assert_eq!(length(None, None), 4096);
    }

    #[test]
    fn reasoning_is_asked_for_in_the_style_of_the_model() {
        use ReasoningAmount::{Adaptive, Budget, Effort as Level, Off};
        let thinking = |amount, model: &str, room: u64| {
            let request = ChatRequest { max_output_tokens: Some(room), ..asking(amount) };
            let (body, dropped) = sent(&request, &target(model));
            (body["thinking"].clone(), body["output_config"]["effort"].clone(), dropped.len())
        };
        let nothing = || (json!(null), json!(null), 0);
        assert_eq!(thinking(Off, ADAPTIVE, 50_000), nothing());
        assert_eq!(thinking(Off, BUDGET, 50_000), nothing());
        let adaptive = json!({"type":"adaptive"});
        for (amount, effort) in [
            (Level(Effort::Minimal), json!("low")),
            (Level(Effort::Medium), json!("medium")),
            (Level(Effort::XHigh), json!("max")),
            (Budget(4096), json!("low")),
            (Budget(12289), json!("high")),
            (Adaptive, json!(null)),
        ] {
            assert_eq!(thinking(amount, ADAPTIVE, 64), (adaptive.clone(), effort, 0));
        }
        for (amount, room, budget) in [
            (Level(Effort::Low), 50_000, 2048),
            (Level(Effort::High), 50_000, 16384),
            (Level(Effort::Max), 50_000, 32768),
            (Level(Effort::Medium), 6000, 4976),
            (Level(Effort::Medium), 2048, 1024),
            (Budget(5000), 50_000, 5000),
        ] {
            let enabled = json!({"type":"enabled","budget_tokens":budget});
            assert_eq!(thinking(amount, BUDGET, room), (enabled, json!(null), 0));
        }
        assert_eq!(thinking(Level(Effort::Low), BUDGET, 2047), (json!(null), json!(null), 1));
        assert_eq!(thinking(Budget(100), BUDGET, 9000), (json!(null), json!(null), 1));
    }

    #[test]
    fn the_style_of_the_provider_wins_over_the_name() {
        let thinking = |style, model| {
            let target = Target { thinking_style: style, ..target(model) };
            let (body, dropped) = sent(&asking(ReasoningAmount::Effort(Effort::Low)), &target);
            (body["thinking"]["type"].clone(), dropped)
        };
        assert_eq!(thinking(ThinkingStyle::Adaptive, BUDGET).0, "adaptive");
        assert_eq!(thinking(ThinkingStyle::Budget, ADAPTIVE).0, "enabled");
        assert_eq!(thinking(ThinkingStyle::Off, ADAPTIVE), (json!(null), vec!["output_config.effort".to_owned()]));
    }

    #[test]
    fn thinking_is_off_where_the_protocol_refuses_it() {
        let is_off = |change: fn(&mut ChatRequest), model: &str| {
            let mut request = asking(ReasoningAmount::Effort(Effort::Low));
            request.tools.push(tool("f", function(None)));
            change(&mut request);
            let (body, dropped) = sent(&request, &target(model));
            (body["thinking"].is_null(), dropped == ["output_config.effort"])
        };
        let say = |request: &mut ChatRequest, role, block| request.messages.push(Message { role, blocks: vec![block] });
        let text = || ChatBlock::Text(crate::chat::Text { text: "x".to_owned(), citations: Vec::new() });
        assert_eq!(is_off(|_| (), BUDGET), (false, false));
        assert_eq!(is_off(|request| request.tool_choice = Some(ToolChoice::Required), ADAPTIVE), (true, true));
        assert_eq!(
            is_off(|request| request.tool_choice = Some(ToolChoice::Named("f".to_owned())), BUDGET),
            (true, true)
        );
        assert_eq!(is_off(|request| request.tool_choice = Some(ToolChoice::Auto), BUDGET), (false, false));
        let mut prefilled = asking(ReasoningAmount::Effort(Effort::Low));
        say(&mut prefilled, Role::Assistant, text());
        assert!(sent(&prefilled, &target(ADAPTIVE)).0["thinking"].is_null());

        let mut in_loop = asking(ReasoningAmount::Effort(Effort::Low));
        let (id, name) = ("a".to_owned(), "f".to_owned());
        say(
            &mut in_loop,
            Role::Assistant,
            ChatBlock::ToolCall(ToolCall { id, name, arguments: String::new(), custom: false }),
        );
        let result = ToolResult { call_id: "a".to_owned(), content: Vec::new(), is_error: false, custom: false };
        say(&mut in_loop, Role::User, ChatBlock::ToolResult(result));
        assert!(sent(&in_loop, &target(BUDGET)).0["thinking"].is_null());
        assert!(!sent(&in_loop, &target(ADAPTIVE)).0["thinking"].is_null());
    }

    #[test]
    fn sampling_keeps_to_what_the_protocol_allows() {
        let sampled = |fields: Value, thinking: bool| {
            let mut request = request(fields);
            if thinking {
                request.reasoning = asking(ReasoningAmount::Adaptive).reasoning;
            }
            let (body, dropped) = sent(&request, &target(ADAPTIVE));
            (json!([body["temperature"], body["top_p"], body["top_k"]]), dropped)
        };
        let lost = |fields: &[&str]| fields.iter().map(|field| (*field).to_owned()).collect::<Vec<String>>();
        assert_eq!(sampled(json!({"temperature":0.4,"top_k":5}), false), (json!([0.4, null, 5]), lost(&[])));
        assert_eq!(sampled(json!({"temperature":1.7}), false), (json!([1, null, null]), lost(&["temperature"])));
        assert_eq!(sampled(json!({"top_p":0.5}), false), (json!([null, 0.5, null]), lost(&[])));
        assert_eq!(
            sampled(json!({"temperature":0.4,"top_p":0.5}), false),
            (json!([0.4, null, null]), lost(&["top_p"]))
        );
        assert_eq!(sampled(json!({"temperature":0.4,"top_p":1}), false), (json!([0.4, null, null]), lost(&[])));
        let all = json!({"temperature":0.4,"top_p":0.5,"top_k":5});
        assert_eq!(sampled(all, true), (json!([null, null, null]), lost(&["temperature", "top_k", "top_p"])));
        assert_eq!(sampled(json!({"temperature":1,"top_p":0.96}), true), (json!([null, 0.96, null]), lost(&[])));
    }

    #[test]
    fn tools_and_their_choice_are_written() {
        let mut request = request(json!({}));
        request.client.names = FieldNames::default();
        request.tool_choice = Some(ToolChoice::Required);
        request.parallel_tool_calls = Some(false);
        assert!(sent(&request, &target(BUDGET)).0["tool_choice"].is_null());
        let grammar = Some(json!({"type":"grammar","syntax":"lark","definition":"x"}));
        request.tools = vec![tool("f", function(Some(true))), tool("sql", ToolInput::Custom { format: grammar })];
        let (body, dropped) = sent(&request, &target(BUDGET));
        let empty = json!({"type":"object","properties":{}});
        let wrapped = json!({"type":"object","properties":{"input":{"type":"string"}},"required":["input"]});
        let tools = json!([{"name":"f","input_schema":empty,"strict":true},{"name":"sql","input_schema":wrapped}]);
        assert_eq!(body["tools"], tools);
        assert_eq!(body["tool_choice"], json!({"type":"any","disable_parallel_tool_use":true}));
        assert_eq!(dropped, ["tools[].custom.format"]);
        let (body, dropped) = sent(&request, &Target { supports_response_schema: false, ..target(BUDGET) });
        assert_eq!(body["tools"][0].get("strict"), None);
        assert_eq!(dropped, ["tools[].custom.format", "tools[].function.strict"]);
        request.tool_choice = None;
        let automatic = json!({"type":"auto","disable_parallel_tool_use":true});
        assert_eq!(sent(&request, &target(BUDGET)).0["tool_choice"], automatic);
        request.tool_choice = Some(ToolChoice::None);
        assert_eq!(sent(&request, &target(BUDGET)).0["tool_choice"], json!({"type":"none"}));
        request.tool_choice = Some(ToolChoice::Named("f".to_owned()));
        request.parallel_tool_calls = None;
        assert_eq!(sent(&request, &target(BUDGET)).0["tool_choice"], json!({"type":"tool","name":"f"}));
    }

    #[test]
    fn a_schema_for_the_answer_is_sent_where_it_is_supported() {
        let schema = json!({"type":"object","properties":{"z":{},"a":{}}});
        let output_format =
            OutputFormat::JsonSchema { name: None, description: None, schema: schema.clone(), strict: None };
        let mut request = ChatRequest { output_format: Some(output_format), ..request(json!({})) };
        let (body, dropped) = sent(&request, &target(BUDGET));
        assert_eq!(body["output_config"], json!({"format":{"type":"json_schema","schema":schema}}));
        assert!(dropped.is_empty());
        let (body, dropped) = sent(&request, &Target { supports_response_schema: false, ..target(BUDGET) });
        assert_eq!((body.get("output_config"), dropped.as_slice()), (None, &["output_config.format".to_owned()][..]));
        request.output_format = Some(OutputFormat::JsonObject);
        assert_eq!(sent(&request, &target(BUDGET)).1, ["output_config.format"]);
    }

    #[test]
    fn what_the_protocol_has_not_is_listed_and_defaults_are_not() {
        let mut request = request(json!({"stop_sequences":["END"," ",""],"stream":true}));
        request.end_user = Some(EndUser::SafetyIdentifier("u".to_owned()));
        request.openai = OpenAiOnly {
            metadata: json!({"a":"b"}).as_object().cloned(),
            service_tier: Some("flex".to_owned()),
            prompt_cache_key: Some("k".to_owned()),
            verbosity: Some("low".to_owned()),
            store: Some(true),
        };
        let (body, dropped) = sent(&request, &target(BUDGET));
        assert_eq!(body["stop_sequences"], json!(["END"]));
        assert_eq!(body["metadata"], json!({"user_id":"u"}));
        assert_eq!(body["stream"], true);
        let listed = ["metadata", "prompt_cache_key", "service_tier", "stop_sequences", "store", "verbosity"];
        assert_eq!(dropped, listed);
        request.stop = vec!["END".to_owned()];
        request.openai = OpenAiOnly {
            metadata: Some(serde_json::Map::new()),
            service_tier: Some("auto".to_owned()),
            prompt_cache_key: None,
            verbosity: Some("medium".to_owned()),
            store: Some(false),
        };
        assert!(sent(&request, &target(BUDGET)).1.is_empty());
    }
}
