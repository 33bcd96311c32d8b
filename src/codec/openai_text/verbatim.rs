//! Forwarding between a client and a provider of text completions: what is special to them.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::codec::openai::body::Subject;
use crate::codec::openai::lenient::{Count, Words};
use crate::codec::openai::stream::{Choices, Told};

/// The field that every request must have.
pub(super) const PROMPT: Subject =
    Subject { name: "prompt", begins: &['"', '['], rule: "must be a string or an array" };

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chunk<'b> {
    #[serde(borrow)]
    model: Option<&'b RawValue>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'b>>>,
    #[serde(borrow)]
    usage: Option<&'b RawValue>,
    #[serde(borrow)]
    error: Option<&'b RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice<'b> {
    index: Option<Count>,
    #[serde(borrow)]
    text: Words<'b>,
    #[serde(borrow)]
    finish_reason: Words<'b>,
}

/// Reads a chunk of a stream.
pub(super) fn read_chunk<'b>(text: &'b str, choices: &mut Choices) -> Result<Told<'b>, serde_json::Error> {
    let chunk: Chunk<'b> = serde_json::from_str(text)?;
    let mut told = Told { model: chunk.model, usage: chunk.usage, error: chunk.error, ..Told::default() };
    for choice in chunk.choices.iter().flatten() {
        let index = choice.index.unwrap_or_default().0;
        choices.note(index, !choice.finish_reason.is_empty());
        choices.hear(index, &choice.text.0);
        told.texts.note(text, index, &choice.text.0);
        told.has_choices = true;
        told.has_content |= !choice.text.is_empty();
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};

    use crate::chat::{Failure, FailureKind};
    use crate::codec::openai_text::OpenAiText;
    use crate::codec::{Peek, Seen, Verbatim as _};
    use crate::sse::Parser;

    fn peek(body: &str) -> Result<Peek, Failure> {
        OpenAiText.peek(&Bytes::copy_from_slice(body.as_bytes()))
    }

    /// What a client gets of a stream, what was seen, and how it ended.
    fn run(stream: &str, body: &str, cut: usize) -> (String, Vec<Seen>, Result<(), Failure>) {
        let (mut parser, mut forward) = (Parser::new(1 << 20), OpenAiText.forward_stream(&peek(body).unwrap(), "r"));
        let (mut out, mut seen) = (BytesMut::new(), Vec::new());
        for piece in [&stream.as_bytes()[..cut], &stream.as_bytes()[cut..]] {
            parser.feed(piece);
            while let Some(frame) = parser.next_frame().unwrap() {
                seen.push(forward.forward(&frame, &mut out).unwrap());
            }
        }
        let end = forward.finish(&mut out);
        (String::from_utf8(out.to_vec()).unwrap(), seen, end)
    }

    const ASKED: &str = r#"{"model":"alias","prompt":"p","stream":true,"stream_options":{"include_usage":true}}"#;
    const NOT_ASKED: &str = r#"{"model":"alias","prompt":"p","stream":true}"#;
    const STREAM: &str = concat!(
        "data: {\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"choices\":[{\"text\":\"\",\"index\":0,\"finish_reason\":null}],\"model\":\"real\"}\n\n",
        "data: {\"id\":\"cmpl-1\",\"choices\":[{\"text\":\" é\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}],\"model\":\"real\"}\n\n",
        "data: {\"id\":\"cmpl-1\",\"choices\":[{\"text\":\"\",\"index\":0,\"finish_reason\":\"length\"}],\"model\":\"real\"}\n\n",
        "data: {\"id\":\"cmpl-1\",\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7},\"model\":\"real\"}\n\n",
    );

    #[test]
    fn a_request_needs_a_model_and_a_prompt_of_any_form() {
        for prompt in ["\"p\"", "[\"p\",\"q\"]", "[1,2]", "[[1]]"] {
            assert_eq!(peek(&format!(r#"{{"model":"m","prompt":{prompt}}}"#)).unwrap().model, "m");
        }
        for (body, kind, param) in [
            (r#"{"model":"m"}"#, FailureKind::MissingParameter, "prompt"),
            (r#"{"model":"m","prompt":null}"#, FailureKind::MissingParameter, "prompt"),
            (r#"{"model":"m","prompt":7}"#, FailureKind::InvalidValue, "prompt"),
            (r#"{"prompt":"p"}"#, FailureKind::MissingParameter, "model"),
            (r#"{"model":"m","prompt":"p","stream":1}"#, FailureKind::InvalidValue, "stream"),
        ] {
            let failure = peek(body).unwrap_err();
            assert_eq!((failure.kind, failure.param.as_deref()), (kind, Some(param)), "{body}");
        }
    }

    #[test]
    fn a_request_changes_in_its_model_and_asks_for_usage() {
        let body = Bytes::from_static(NOT_ASKED.as_bytes());
        let forwarded = OpenAiText.forward_request(&body, &peek(NOT_ASKED).unwrap(), "real", true);
        let want = r#"{"model":"real","stream_options":{"include_usage":true},"prompt":"p","stream":true}"#;
        assert_eq!(forwarded, want);
    }

    #[test]
    fn an_answer_changes_in_its_model_only() {
        let body = r#"{"id":"x","choices":[{"text":"real"}],"model":"real","usage":{"prompt_tokens":3}}"#;
        let forwarded = OpenAiText.forward_response(&Bytes::from_static(body.as_bytes()), "alias").unwrap();
        assert_eq!(forwarded.body, body.replace("\"model\":\"real\"", "\"model\":\"alias\""));
        assert_eq!(forwarded.usage.unwrap().input, 3);
        assert!(OpenAiText.forward_response(&Bytes::from_static(b"{\"data\":[]}"), "alias").is_err());
    }

    #[test]
    fn a_stream_changes_in_its_models_and_gets_the_missing_done() {
        for cut in 0..STREAM.len() {
            let (out, seen, end) = run(STREAM, ASKED, cut);
            end.unwrap();
            assert_eq!(out, format!("{}data: [DONE]\n\n", STREAM.replace("\"real\"", "\"alias\"")), "cut at {cut}");
            let content: Vec<bool> = seen.iter().map(|seen| seen.content).collect();
            assert_eq!(content, [false, true, false, false]);
            assert_eq!(seen[3].usage.unwrap().total(), 12);
        }
    }

    #[test]
    fn the_usage_chunk_is_hidden_from_who_did_not_ask() {
        let (out, seen, _) = run(STREAM, NOT_ASKED, 0);
        assert!(!out.contains("usage"), "{out}");
        assert_eq!(seen[3].usage.unwrap().total(), 12);
    }

    #[test]
    fn a_stream_without_its_finish_reason_has_failed() {
        let (cut, _) = STREAM
            .split_once("data: {\"id\":\"cmpl-1\",\"choices\":[{\"text\":\"\",\"index\":0,\"finish_reason\":\"length\"")
            .unwrap();
        let (out, _, end) = run(cut, ASKED, 0);
        assert_eq!(end.unwrap_err().kind, FailureKind::UpstreamStream);
        assert!(!out.contains("[DONE]"));
    }

    #[test]
    fn an_error_has_the_shape_of_its_family() {
        let mut out = BytesMut::new();
        let failure = Failure::new(FailureKind::StreamIdleTimeout, "silent");
        OpenAiText.forward_stream(&peek(ASKED).unwrap(), "r").fail(&failure, &mut out);
        assert_eq!(
            out,
            "data: {\"error\":{\"message\":\"silent\",\"type\":\"timeout_error\",\"param\":null,\"code\":\"stream_idle_timeout\"}}\n\n"
        );
        assert!(OpenAiText.is_error_body(br#"{"error":{"message":"m","type":"t"}}"#));
    }
}
