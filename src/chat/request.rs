//! What a client asks for, in nobody's wire format.

use serde_json::{Map, Number, Value};

use super::Message;

/// A generation request.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// The client's name for the model.
    pub model: String,
    /// Texts of all leading system and developer messages, in order.
    pub instructions: Vec<String>,
    /// The conversation.
    pub messages: Vec<Message>,
    /// Tools that the client runs.
    pub tools: Vec<Tool>,
    /// Which of them the model may or must use.
    pub tool_choice: Option<ToolChoice>,
    /// False: one call at a time.
    pub parallel_tool_calls: Option<bool>,
    /// Sampling temperature, as written by the client (0 to 2).
    pub temperature: Option<Number>,
    /// Nucleus sampling.
    pub top_p: Option<Number>,
    /// Sampling among the k most likely tokens.
    pub top_k: Option<Number>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// Longest answer in tokens, reasoning included.
    pub max_output_tokens: Option<u64>,
    /// Whether and how much to reason; `None`: the client said nothing.
    pub reasoning: Option<ReasoningRequest>,
    /// The form that the answer must have; `None` is plain text.
    pub output_format: Option<OutputFormat>,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Chat only: whether the stream ends with a usage chunk.
    pub include_usage: bool,
    /// Who uses the application, for abuse detection: `user` or `safety_identifier` of the
    /// OpenAI protocols, `metadata.user_id` of Messages.
    pub end_user: Option<EndUser>,
    /// What only the two OpenAI protocols share.
    pub openai: OpenAiOnly,
    /// How this client's protocol spells things, and what it wants back.
    pub client: ClientSide,
    /// Paths (`messages[].content[].cache_control`) of what no other protocol can take, sorted,
    /// distinct. Listed as lost whatever protocol the provider speaks.
    pub foreign: Vec<String>,
}

/// Who the end user is, and under which field the client said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndUser {
    /// `user` or `metadata.user_id`.
    User(String),
    /// `safety_identifier`.
    SafetyIdentifier(String),
}

/// Fields of Chat and Responses that Messages has not.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OpenAiOnly {
    /// Up to 16 pairs of strings.
    pub metadata: Option<Map<String, Value>>,
    /// `auto`, `default`, `flex`, `priority` …
    pub service_tier: Option<String>,
    /// Routes requests with a common prefix to a common cache.
    pub prompt_cache_key: Option<String>,
    /// `low`, `medium`, `high`.
    pub verbosity: Option<String>,
    /// Whether the provider may keep the answer.
    pub store: Option<bool>,
}

/// What the answer's encoder needs to know of the request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClientSide {
    /// The client's spelling of the fields that a provider may not be able to take.
    pub names: FieldNames,
    /// Chat only: tools came as `functions`, so calls go back as `function_call`.
    pub legacy_functions: bool,
    /// Responses only: `include` held `reasoning.encrypted_content`.
    pub wants_encrypted_reasoning: bool,
    /// Responses only: request fields that the answer repeats (tools, temperature, metadata …).
    pub echo: Map<String, Value>,
}

/// The client's names of fields that may have to be listed as lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldNames {
    /// `reasoning_effort`, `reasoning` or `thinking`.
    pub reasoning: &'static str,
    /// `stop` or `stop_sequences`.
    pub stop: &'static str,
    /// `response_format`, `text.format` or `output_config.format`.
    pub output_format: &'static str,
    /// `verbosity` or `text.verbosity`.
    pub verbosity: &'static str,
    /// `tools[].function.strict` or `tools[].strict`.
    pub strict: &'static str,
    /// `messages[].content[]` or `input[].content[]`.
    pub content: &'static str,
}

impl Default for FieldNames {
    fn default() -> Self {
        Self {
            reasoning: "reasoning_effort",
            stop: "stop",
            output_format: "response_format",
            verbosity: "verbosity",
            strict: "tools[].function.strict",
            content: "messages[].content[]",
        }
    }
}

/// A tool that the client runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    /// What the model calls it.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// What it takes.
    pub input: ToolInput,
}

/// What a tool takes.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolInput {
    /// JSON that follows a schema.
    Function {
        /// JSON Schema of the arguments; `None` when the client gave none.
        schema: Option<Value>,
        /// Whether the provider must keep to the schema; `None`: not said.
        strict: Option<bool>,
    },
    /// Free text.
    Custom {
        /// `format` of the tool as the OpenAI protocols spell it in Responses:
        /// `{"type":"text"}` or `{"type":"grammar","syntax","definition"}`.
        format: Option<Value>,
    },
}

/// Which tools the model may or must use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it likes.
    Auto,
    /// At least one.
    Required,
    /// None.
    None,
    /// This one, function or custom as declared.
    Named(String),
}

/// Whether and how much to reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReasoningRequest {
    /// How much.
    pub amount: ReasoningAmount,
    /// Whether the client wants to read the reasoning: a Messages client that asked for
    /// thinking, or a Responses client that asked for a summary.
    pub summary: bool,
}

/// How much to reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasoningAmount {
    /// Not at all: effort `none`, or `thinking` disabled.
    Off,
    /// As much as the model likes: Messages `adaptive` without effort.
    Adaptive,
    /// A level.
    Effort(Effort),
    /// At most this many tokens: Messages `budget_tokens`.
    Budget(u64),
}

/// A level of reasoning, from the union of all protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// OpenAI only.
    Minimal,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// OpenAI's highest.
    XHigh,
    /// Messages' highest.
    Max,
}

impl Effort {
    /// The wire word, the same in all protocols.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// Reads a wire word; `none` is not a level but [`ReasoningAmount::Off`].
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Minimal, Self::Low, Self::Medium, Self::High, Self::XHigh, Self::Max]
            .into_iter()
            .find(|effort| effort.name() == word)
    }
}

/// The form that an answer must have.
#[derive(Debug, Clone, PartialEq)]
pub enum OutputFormat {
    /// Any JSON object.
    JsonObject,
    /// JSON that follows a schema.
    JsonSchema {
        /// A name for it; Messages has none.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// The schema.
        schema: Value,
        /// Whether the provider must keep to it; `None`: not said.
        strict: Option<bool>,
    },
}

/// How an Anthropic provider wants to be asked for reasoning (`provider_params.thinking_style`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ThinkingStyle {
    /// By model name: adaptive for Claude 4.6 and later, else a budget.
    #[default]
    Auto,
    /// `thinking:{type:adaptive}` and `output_config.effort`.
    Adaptive,
    /// `thinking:{type:enabled,budget_tokens}`.
    Budget,
    /// Never.
    Off,
}

/// What the encoder of an upstream request must know of the provider.
#[derive(Debug, Clone, Copy)]
pub struct Target<'t> {
    /// The provider's name for the model.
    pub model: &'t str,
    /// The provider's key; opaque reasoning made by another provider is not sent to this one.
    pub provider: &'t str,
    /// Chat only: `max_completion_tokens` or `max_tokens`.
    pub max_tokens_field: &'t str,
    /// Messages, and replay of `reasoning_content` into Chat.
    pub thinking_style: ThinkingStyle,
    /// Chat only: whether `stream_options.include_usage` may be sent.
    pub inject_usage: bool,
    /// The mapping's `max_output_tokens`.
    pub max_output_tokens: Option<u64>,
    /// The mapping's `supports_response_schema`; unset is true.
    pub supports_response_schema: bool,
    /// `ANTHROPIC_DEFAULT_MAX_TOKENS`.
    pub default_max_tokens: u64,
}
