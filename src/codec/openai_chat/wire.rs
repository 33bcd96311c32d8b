//! What providers send, as typed views that borrow from the received text.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::codec::openai::lenient::{Arguments, Count, Words};

/// One chunk of a stream.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Chunk<'b> {
    #[serde(borrow)]
    pub id: Words<'b>,
    #[serde(borrow)]
    pub model: Option<&'b RawValue>,
    #[serde(borrow)]
    pub choices: Option<Vec<ChunkChoice<'b>>>,
    #[serde(borrow)]
    pub usage: Option<&'b RawValue>,
    #[serde(borrow)]
    pub service_tier: Words<'b>,
    #[serde(borrow)]
    pub error: Option<&'b RawValue>,
}

/// One choice of a chunk.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChunkChoice<'b> {
    pub index: Option<Count>,
    #[serde(borrow)]
    pub delta: Option<Said<'b>>,
    #[serde(borrow)]
    pub finish_reason: Words<'b>,
}

/// A whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer<'b> {
    #[serde(borrow)]
    pub id: Words<'b>,
    #[serde(borrow)]
    pub choices: Option<Vec<AnswerChoice<'b>>>,
    #[serde(borrow)]
    pub usage: Option<&'b RawValue>,
    #[serde(borrow)]
    pub service_tier: Words<'b>,
    #[serde(borrow)]
    pub error: Option<&'b RawValue>,
}

/// One choice of a whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AnswerChoice<'b> {
    pub index: Option<Count>,
    #[serde(borrow)]
    pub message: Option<Said<'b>>,
    #[serde(borrow)]
    pub finish_reason: Words<'b>,
    #[serde(borrow)]
    pub logprobs: Option<&'b RawValue>,
}

/// What the model said: a `delta` or a `message`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Said<'b> {
    #[serde(borrow)]
    pub content: Words<'b>,
    #[serde(borrow)]
    pub refusal: Words<'b>,
    #[serde(borrow)]
    pub reasoning_content: Words<'b>,
    #[serde(borrow)]
    pub reasoning: Words<'b>,
    #[serde(borrow)]
    pub reasoning_details: Option<Vec<Detail<'b>>>,
    #[serde(borrow)]
    pub tool_calls: Option<Vec<Call<'b>>>,
    #[serde(borrow)]
    pub function_call: Option<Function<'b>>,
    #[serde(borrow)]
    pub annotations: Option<Vec<Annotation<'b>>>,
    #[serde(borrow)]
    pub audio: Option<Audio<'b>>,
}

/// A tool call, or a piece of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Call<'b> {
    pub index: Option<Count>,
    #[serde(borrow)]
    pub id: Words<'b>,
    #[serde(borrow)]
    pub function: Option<Function<'b>>,
    #[serde(borrow)]
    pub custom: Option<Custom<'b>>,
}

/// The function of a call.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Function<'b> {
    #[serde(borrow)]
    pub name: Words<'b>,
    #[serde(borrow)]
    pub arguments: Arguments<'b>,
}

/// The free-text tool of a call.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Custom<'b> {
    #[serde(borrow)]
    pub name: Words<'b>,
    #[serde(borrow)]
    pub input: Words<'b>,
}

/// An entry of `reasoning_details`, or a piece of one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Detail<'b> {
    #[serde(borrow)]
    pub r#type: Words<'b>,
    #[serde(borrow)]
    pub text: Words<'b>,
    #[serde(borrow)]
    pub summary: Words<'b>,
    #[serde(borrow)]
    pub signature: Words<'b>,
    #[serde(borrow)]
    pub data: Words<'b>,
    #[serde(borrow)]
    pub id: Words<'b>,
    #[serde(borrow)]
    pub format: Words<'b>,
    pub index: Option<Count>,
}

/// An entry of `annotations`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Annotation<'b> {
    #[serde(borrow)]
    pub url_citation: Option<UrlCitation<'b>>,
}

/// A web page that the text cites.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct UrlCitation<'b> {
    #[serde(borrow)]
    pub url: Words<'b>,
    #[serde(borrow)]
    pub title: Words<'b>,
    pub start_index: Option<Count>,
    pub end_index: Option<Count>,
}

/// Spoken output.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Audio<'b> {
    #[serde(borrow)]
    pub transcript: Words<'b>,
}

impl Said<'_> {
    /// Whether it holds a content token.
    pub(super) fn has_content(&self) -> bool {
        let texts = [&self.content, &self.reasoning_content, &self.reasoning, &self.refusal];
        texts.into_iter().any(|text| !text.is_empty())
            || self.tool_calls.iter().flatten().any(Call::has_content)
            || self.function_call.as_ref().is_some_and(Function::has_content)
            || self.audio.as_ref().is_some_and(|audio| !audio.transcript.is_empty())
            || self.reasoning_details.iter().flatten().any(|detail| !detail.text.is_empty())
    }

    /// The reasoning text, under whichever name it goes; some providers send it under both.
    pub(super) fn reasoning_text(&self) -> Option<&str> {
        self.reasoning_content.some().or_else(|| self.reasoning.some())
    }

    /// Everything that it says, each text once; some of them may be empty.
    pub(super) fn texts(&self) -> impl Iterator<Item = &str> {
        let reasoning = self.reasoning_text();
        let details = self.reasoning_details.iter().flatten().filter(move |_| reasoning.is_none());
        let functions = self.tool_calls.iter().flatten().filter_map(|call| call.function.as_ref());
        let functions = functions.chain(&self.function_call);
        let customs = self.tool_calls.iter().flatten().filter_map(|call| call.custom.as_ref());
        let transcript = self.audio.as_ref().map(|audio| &*audio.transcript.0);
        [reasoning.unwrap_or_default(), &self.content.0, &self.refusal.0]
            .into_iter()
            .chain(details.map(Detail::said))
            .chain(functions.flat_map(|function| [&*function.name.0, &*function.arguments.0]))
            .chain(customs.flat_map(|custom| [&*custom.name.0, &*custom.input.0]))
            .chain(transcript)
    }
}

impl Call<'_> {
    fn has_content(&self) -> bool {
        self.function.as_ref().is_some_and(Function::has_content)
            || self.custom.as_ref().is_some_and(|custom| !custom.name.is_empty() || !custom.input.is_empty())
    }
}

impl Function<'_> {
    fn has_content(&self) -> bool {
        !self.name.is_empty() || !self.arguments.0.is_empty()
    }
}
