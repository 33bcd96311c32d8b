//! What the mock answers: the model name picks the behaviour, the facts of the request fill it in.

use super::{faults::Fault, filler::fill, text::words};
use serde_json::{Value, json};

const GREETING: &str = "Hello! I am the mock provider, and this friendly answer is always the same.";
const REASONING: &str = "Nobody can be disappointed by a mock, so a short greeting will do.";

/// How answers are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// One tool call, JSON, or the greeting, by what the request offers.
    Plain,
    /// The last user text.
    Echo,
    /// A call of every tool, else as `Plain`.
    Tools,
    /// Reasoning, then text.
    Thinking,
    /// The greeting whatever is asked: under a fault in mid-answer there must be words to lose.
    Greeting,
}

/// What a model name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Behaviour {
    /// How the answer is made.
    pub(super) style: Style,
    /// Whether usage is reported.
    pub(super) reports_usage: bool,
    /// What goes wrong.
    pub(super) fault: Fault,
}

/// A function tool that the request declares.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    /// Its name.
    pub(super) name: String,
    /// JSON schema of its arguments; null if none was given.
    pub(super) schema: Value,
}

/// The request's `tool_choice`.
#[derive(Clone, Debug, Default)]
pub(super) enum Choice {
    /// Auto, required or absent: the mock always calls when it may.
    #[default]
    Free,
    /// No calls.
    Never,
    /// This tool.
    Named(String),
}

/// The last message of the conversation.
#[derive(Clone, Debug, Default)]
pub(super) enum Turn {
    /// From the user.
    #[default]
    User,
    /// Results of tools, as text.
    ToolResult(String),
    /// From the assistant or the system.
    Other,
}

/// The form the text must have.
#[derive(Clone, Debug, Default)]
pub(super) enum Form {
    /// Free text.
    #[default]
    Text,
    /// Any JSON object.
    Object,
    /// JSON that satisfies this schema.
    Schema(Value),
}

/// What a plan needs to know of a request, the same for every protocol.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Who spoke last.
    pub(super) turn: Turn,
    /// Text of the last user message.
    pub(super) user_text: String,
    /// Declared function tools.
    pub(super) tools: Vec<Tool>,
    /// Which of them to call.
    pub(super) choice: Choice,
    /// Whether only one call is allowed.
    pub(super) single_call: bool,
    /// Form of the text.
    pub(super) form: Form,
    /// Words of all texts in the request.
    pub(super) prompt_tokens: u64,
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    /// Name of the tool.
    pub(super) name: String,
    /// Its arguments.
    pub(super) arguments: Value,
}

/// Token counts of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    /// Words of the request.
    pub(super) prompt: u64,
    /// Words of the answer, reasoning included.
    pub(super) completion: u64,
    /// Words of the reasoning.
    pub(super) reasoning: u64,
}

/// What will be answered, the same for every protocol.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// Reasoning before the answer; empty for most models.
    pub(super) reasoning: String,
    /// The text; empty if tools are called.
    pub(super) text: String,
    /// Tool calls.
    pub(super) calls: Vec<Call>,
    /// Usage, if the model reports it.
    pub(super) usage: Option<Usage>,
}

impl Behaviour {
    /// The behaviour of `model`; names that are not the mock's behave as `mock`.
    pub(super) fn of(model: &str) -> Self {
        let fault = Fault::of(model);
        let style = match model {
            "mock-echo" => Style::Echo,
            "mock-tools" => Style::Tools,
            "mock-thinking" => Style::Thinking,
            _ if matches!(fault, Fault::Stall | Fault::Cut) => Style::Greeting,
            _ => Style::Plain,
        };
        Self { style, reports_usage: model != "mock-nousage", fault }
    }
}

impl Usage {
    /// Prompt and completion together.
    pub(super) fn total(&self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }
}

impl Answer {
    /// The answer of `behaviour` to a request with these `facts`. A call counts as one word for
    /// its name and the words of its arguments.
    pub(super) fn plan(behaviour: &Behaviour, facts: &Facts) -> Self {
        let calls = calls(behaviour.style, facts);
        let text = if calls.is_empty() { text(behaviour.style, facts) } else { String::new() };
        let reasoning = if behaviour.style == Style::Thinking { REASONING } else { "" };
        let called: u64 = calls.iter().map(|call| words(&call.arguments.to_string()).saturating_add(1)).sum();
        let usage = Usage {
            prompt: facts.prompt_tokens,
            completion: words(reasoning).saturating_add(words(&text)).saturating_add(called),
            reasoning: words(reasoning),
        };
        Self { reasoning: reasoning.to_owned(), text, calls, usage: behaviour.reports_usage.then_some(usage) }
    }
}

fn calls(style: Style, facts: &Facts) -> Vec<Call> {
    if !matches!(style, Style::Plain | Style::Tools) || !matches!(facts.turn, Turn::User) {
        return Vec::new();
    }
    let named = match &facts.choice {
        Choice::Never => return Vec::new(),
        Choice::Named(name) => facts.tools.iter().find(|tool| tool.name == *name),
        Choice::Free => None,
    };
    let most = if style == Style::Tools && !facts.single_call { usize::MAX } else { 1 };
    let tools: Vec<&Tool> = match named {
        Some(tool) => vec![tool],
        None => facts.tools.iter().take(most).collect(),
    };
    tools.into_iter().map(|tool| Call { name: tool.name.clone(), arguments: fill(&tool.schema) }).collect()
}

fn text(style: Style, facts: &Facts) -> String {
    match (style, &facts.form, &facts.turn) {
        (Style::Echo, _, _) => facts.user_text.clone(),
        (Style::Greeting, _, _) => GREETING.to_owned(),
        (Style::Plain, Form::Object, _) => json!({"mock": true}).to_string(),
        (Style::Plain, Form::Schema(schema), _) => fill(schema).to_string(),
        (_, _, Turn::ToolResult(result)) => format!("The tool answered: {result}"),
        _ => GREETING.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str) -> Tool {
        Tool { name: name.to_owned(), schema: json!({"type": "object", "properties": {"city": {"type": "string"}}}) }
    }

    fn with_tools() -> Facts {
        Facts { user_text: "say it".to_owned(), tools: vec![tool("first"), tool("second")], ..Facts::default() }
    }

    fn called(model: &str, facts: &Facts) -> Vec<String> {
        Answer::plan(&Behaviour::of(model), facts).calls.into_iter().map(|call| call.name).collect()
    }

    #[test]
    fn an_unknown_model_behaves_as_mock() {
        assert_eq!(Behaviour::of("gpt-5"), Behaviour::of("mock"));
        assert_eq!(Behaviour::of("mock-echo").style, Style::Echo);
        assert!(!Behaviour::of("mock-nousage").reports_usage);
    }

    #[test]
    fn mock_calls_the_first_tool_and_mock_tools_calls_all() {
        let facts = with_tools();
        assert_eq!(called("mock", &facts), ["first"]);
        assert_eq!(called("mock-tools", &facts), ["first", "second"]);
        assert!(called("mock-echo", &facts).is_empty());
        assert!(called("mock-thinking", &facts).is_empty());
    }

    #[test]
    fn the_tool_choice_is_obeyed() {
        let named = Facts { choice: Choice::Named("second".to_owned()), ..with_tools() };
        assert_eq!(called("mock", &named), ["second"]);
        assert_eq!(called("mock-tools", &named), ["second"]);
        assert!(called("mock", &Facts { choice: Choice::Never, ..with_tools() }).is_empty());
        assert_eq!(called("mock-tools", &Facts { single_call: true, ..with_tools() }), ["first"]);
    }

    #[test]
    fn a_tool_result_is_quoted_instead_of_calling_again() {
        let facts = Facts { turn: Turn::ToolResult("22 C".to_owned()), ..with_tools() };
        let answer = Answer::plan(&Behaviour::of("mock-tools"), &facts);
        assert!(answer.calls.is_empty());
        assert_eq!(answer.text, "The tool answered: 22 C");
    }

    #[test]
    fn json_mode_answers_json() {
        let schema = json!({"type": "object", "properties": {"ok": {"type": "boolean"}}});
        let asked = |form| Answer::plan(&Behaviour::of("mock"), &Facts { form, ..Facts::default() }).text;
        assert_eq!(asked(Form::Object), r#"{"mock":true}"#);
        assert_eq!(asked(Form::Schema(schema)), r#"{"ok":true}"#);
    }

    #[test]
    fn usage_counts_words_and_includes_reasoning() {
        let facts = Facts { prompt_tokens: 7, ..Facts::default() };
        let usage = Answer::plan(&Behaviour::of("mock-thinking"), &facts).usage.unwrap();
        assert_eq!(usage.prompt, 7);
        assert_eq!(usage.reasoning, words(REASONING));
        assert_eq!(usage.completion, words(REASONING) + words(GREETING));
        assert!(Answer::plan(&Behaviour::of("mock-nousage"), &facts).usage.is_none());
    }
}
