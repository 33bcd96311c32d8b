//! `count_tokens`: a Messages request that is counted, not answered.

use bytes::Bytes;

use super::Anthropic;
use crate::chat::{Failure, FailureKind};
use crate::codec::json::Members;
use crate::codec::{Forwarded, Peek, Unstreamed, Verbatim, VerbatimStream};

/// Forwards requests to count and their answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct CountTokens;

impl Verbatim for CountTokens {
    fn peek(&self, body: &Bytes) -> Result<Peek, Failure> {
        let peek = Anthropic::peek_count_tokens(body)?;
        Ok(Peek { stream: false, ..peek })
    }

    fn forward_request(&self, body: &Bytes, peek: &Peek, model: &str, inject_usage: bool) -> Bytes {
        Anthropic.forward_request(body, peek, model, inject_usage)
    }

    fn forward_response(&self, body: &Bytes, _: &str) -> Result<Forwarded, Failure> {
        let text = std::str::from_utf8(body).ok();
        let is_count =
            text.and_then(|text| Members::read(text).ok()).is_some_and(|answer| answer.get("input_tokens").is_some());
        if !is_count {
            return Err(Failure::new(
                FailureKind::UpstreamInvalidResponse,
                "the provider's answer has no input_tokens",
            ));
        }
        Ok(Forwarded { body: body.clone(), usage: None })
    }

    fn forward_stream(&self, _: &Peek, _: &str) -> Box<dyn VerbatimStream> {
        Box::new(Unstreamed)
    }

    fn is_error_body(&self, body: &[u8]) -> bool {
        Anthropic.is_error_body(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_forwarded_and_anything_else_is_no_answer() {
        let count = Bytes::from_static(b"{\"input_tokens\": 7}");
        assert_eq!(CountTokens.forward_response(&count, "m").unwrap().body, count);
        for wrong in ["{}", "[]", "nonsense"] {
            assert!(CountTokens.forward_response(&Bytes::from_static(wrong.as_bytes()), "m").is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_request_to_count_needs_no_max_tokens_and_never_streams() {
        let body = Bytes::from_static(b"{\"model\":\"m\",\"stream\":true,\"messages\":[]}");
        assert!(!CountTokens.peek(&body).unwrap().stream);
    }
}
