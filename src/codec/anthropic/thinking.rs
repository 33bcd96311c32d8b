//! How a provider is asked to reason.

use serde::Serialize;

use super::wire::{ASSISTANT, Block, Turn, USER};
use crate::chat::{ChatRequest, Effort, ReasoningAmount, Target, ThinkingStyle, ToolChoice};

/// The smallest budget that the protocol takes, and what is left for the answer itself.
const SMALLEST_BUDGET: u64 = 1024;
const ROOM_FOR_ANSWER: u64 = 1024;

/// The `thinking` field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Thinking {
    Adaptive,
    Enabled { budget_tokens: u64 },
}

/// What to send.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub thinking: Option<Thinking>,
    /// `output_config.effort`.
    pub effort: Option<&'static str>,
    /// Reasoning was asked for and cannot be had.
    pub is_lost: bool,
}

/// Decides how the provider is asked, for an answer of at most `max_tokens`.
pub(super) fn plan(request: &ChatRequest, target: &Target<'_>, turns: &[Turn<'_>], max_tokens: u64) -> Plan {
    let amount = match &request.reasoning {
        None => return Plan::default(),
        Some(asked) if asked.amount == ReasoningAmount::Off => return Plan::default(),
        Some(asked) => asked.amount,
    };
    let lost = Plan { is_lost: true, ..Plan::default() };
    let is_forced = matches!(request.tool_choice, Some(ToolChoice::Required | ToolChoice::Named(_)));
    let is_prefilled = turns.last().is_some_and(|turn| turn.role == ASSISTANT);
    if is_prefilled || (is_forced && !request.tools.is_empty()) {
        return lost;
    }
    let is_adaptive = match target.thinking_style {
        ThinkingStyle::Off => return lost,
        ThinkingStyle::Adaptive => true,
        ThinkingStyle::Budget => false,
        ThinkingStyle::Auto => is_adaptive_by_name(target.model),
    };
    if is_adaptive {
        return Plan { thinking: Some(Thinking::Adaptive), effort: effort(amount), is_lost: false };
    }
    let budget_tokens = budget(amount).min(max_tokens.saturating_sub(ROOM_FOR_ANSWER));
    if budget_tokens < SMALLEST_BUDGET || is_loop_without_thinking(turns) {
        return lost;
    }
    Plan { thinking: Some(Thinking::Enabled { budget_tokens }), effort: None, is_lost: false }
}

fn effort(amount: ReasoningAmount) -> Option<&'static str> {
    match amount {
        ReasoningAmount::Off | ReasoningAmount::Adaptive => None,
        ReasoningAmount::Budget(..=4096) | ReasoningAmount::Effort(Effort::Minimal | Effort::Low) => Some("low"),
        ReasoningAmount::Budget(..=12288) | ReasoningAmount::Effort(Effort::Medium) => Some("medium"),
        ReasoningAmount::Budget(_) | ReasoningAmount::Effort(Effort::High) => Some("high"),
        ReasoningAmount::Effort(Effort::XHigh | Effort::Max) => Some("max"),
    }
}

const fn budget(amount: ReasoningAmount) -> u64 {
    match amount {
        ReasoningAmount::Off => 0,
        ReasoningAmount::Budget(tokens) => tokens,
        ReasoningAmount::Effort(Effort::Minimal | Effort::Low) => 2048,
        ReasoningAmount::Adaptive | ReasoningAmount::Effort(Effort::Medium) => 8192,
        ReasoningAmount::Effort(Effort::High) => 16384,
        ReasoningAmount::Effort(Effort::XHigh | Effort::Max) => 32768,
    }
}

/// Whether the turn answers tool calls that were not begun with thinking: the protocol refuses to
/// think on from there.
fn is_loop_without_thinking(turns: &[Turn<'_>]) -> bool {
    let [.., called, answered] = turns else {
        return false;
    };
    let is_loop = answered.role == USER && matches!(answered.content.first(), Some(Block::ToolResult { .. }));
    let is_thought = matches!(called.content.first(), Some(Block::Thinking { .. } | Block::RedactedThinking { .. }));
    is_loop && !is_thought
}

/// Whether `model` is Claude 4.6 or later: `claude-opus-4-6-20260101`, `claude-opus-5`,
/// `us.anthropic.claude-sonnet-4-6-v1:0`, `anthropic/claude-opus-4.6`.
fn is_adaptive_by_name(model: &str) -> bool {
    let model = model.to_ascii_lowercase();
    let Some((_, name)) = model.split_once("claude") else {
        return false;
    };
    let mut words = name.split(|character: char| !character.is_ascii_alphanumeric()).peekable();
    while let Some(word) = words.next() {
        // This family has no number in its first names and began after 4.6.
        if word == "mythos" {
            return true;
        }
        if let Some(major) = version(word) {
            return (major, words.peek().copied().and_then(version).unwrap_or_default()) >= (4, 6);
        }
    }
    false
}

/// A part of a version: longer numbers are dates.
fn version(word: &str) -> Option<u32> {
    word.parse().ok().filter(|_| word.len() <= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claude_4_6_and_later_are_known_by_name() {
        let adaptive = [
            "claude-sonnet-4-6",
            "claude-opus-4-6-20260101",
            "claude-opus-5",
            "claude-opus-5-20270101-v1:0",
            "us.anthropic.claude-haiku-4-8-v1:0",
            "anthropic/claude-opus-4.6",
            "claude-5-sonnet@20270101",
            "claude-mythos-preview",
            "Claude-Fable-5-1",
        ];
        let budget = [
            "claude-opus-4-5-20251101",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "claude-sonnet-4-20250514",
            "claude-opus-4@20250514",
            "claude-3-7-sonnet-20250219",
            "claude-4-sonnet",
            "claude-2.1",
            "claude-sonnet-latest",
            "glm-5.2",
            "",
        ];
        for model in adaptive {
            assert!(is_adaptive_by_name(model), "{model}");
        }
        for model in budget {
            assert!(!is_adaptive_by_name(model), "{model}");
        }
    }
}
