//! Embeddings: forwarded only, since no other protocol has them.

use bytes::Bytes;

use super::openai::body::{self, Subject};
use super::openai::error;
use super::{Forwarded, Peek, Unstreamed, Verbatim, VerbatimStream};
use crate::chat::Failure;

const INPUT: Subject = Subject { name: "input", begins: &['"', '['], rule: "must be a string or an array" };

/// Forwards requests for embeddings and their answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Embeddings;

impl Verbatim for Embeddings {
    fn peek(&self, body: &Bytes) -> Result<Peek, Failure> {
        let peek = body::peek(body, INPUT)?;
        Ok(Peek { stream: false, include_usage: false, stream_options: None, ..peek })
    }

    fn forward_request(&self, body: &Bytes, peek: &Peek, model: &str, inject_usage: bool) -> Bytes {
        body::edited(body, body::edits(body, peek, model, inject_usage))
    }

    fn forward_response(&self, body: &Bytes, model: &str) -> Result<Forwarded, Failure> {
        body::forward_response(body, model, "data")
    }

    fn forward_stream(&self, _: &Peek, _: &str) -> Box<dyn VerbatimStream> {
        Box::new(Unstreamed)
    }

    fn is_error_body(&self, body: &[u8]) -> bool {
        error::is_error_body(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::FailureKind;

    fn peek(body: &'static str) -> Result<Peek, Failure> {
        Embeddings.peek(&Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn a_request_needs_a_model_and_an_input() {
        for (body, kind, param) in [
            (r#"{"input":"x"}"#, FailureKind::MissingParameter, "model"),
            (r#"{"model":"m"}"#, FailureKind::MissingParameter, "input"),
            (r#"{"model":"m","input":null}"#, FailureKind::MissingParameter, "input"),
            (r#"{"model":"m","input":1}"#, FailureKind::InvalidValue, "input"),
        ] {
            let failure = peek(body).unwrap_err();
            assert_eq!((failure.kind, failure.param.as_deref()), (kind, Some(param)), "{body}");
        }
        assert_eq!(peek(r#"{"model":"m","input":[[1,2],[3]]}"#).unwrap().model, "m");
    }

    #[test]
    fn a_request_changes_in_its_model_only_and_never_streams() {
        let body = r#"{"input":["a"],"model":"m","stream":true,"dimensions":256}"#;
        let peek = peek(body).unwrap();
        assert!(!peek.stream);
        let forwarded = Embeddings.forward_request(&Bytes::from_static(body.as_bytes()), &peek, "real", true);
        assert_eq!(forwarded, body.replace("\"m\"", "\"real\""));
    }

    #[test]
    fn an_answer_changes_in_its_model_only() {
        let body = r#"{"object":"list","data":[{"embedding":[0.10,-1e-3],"index":0}],"model":"real","usage":{"prompt_tokens":8,"total_tokens":8}}"#;
        let forwarded = Embeddings.forward_response(&Bytes::from_static(body.as_bytes()), "alias").unwrap();
        assert_eq!(forwarded.body, body.replace("\"real\"", "\"alias\""));
        assert_eq!(forwarded.usage.map(|usage| (usage.input, usage.output)), Some((8, 0)));
    }

    #[test]
    fn what_is_no_answer_is_refused_with_the_reason() {
        for (body, said) in
            [("", "not a JSON object"), (r#"{"choices":[]}"#, "no data"), (r#"{"error":{"message":"quota"}}"#, "quota")]
        {
            let failure = Embeddings.forward_response(&Bytes::from_static(body.as_bytes()), "m").unwrap_err();
            assert_eq!(failure.kind, FailureKind::UpstreamInvalidResponse);
            assert!(failure.message.contains(said), "{body}: {failure}");
        }
    }

    #[test]
    fn an_answer_that_is_streamed_unasked_is_refused() {
        let mut stream = Embeddings.forward_stream(&peek(r#"{"model":"m","input":"x"}"#).unwrap(), "r");
        let failure = stream.finish(&mut bytes::BytesMut::new()).unwrap_err();
        assert_eq!(failure.kind, FailureKind::UpstreamInvalidResponse);
    }
}
