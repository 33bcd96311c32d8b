//! Frames of a stream, as bytes, before pace and faults are applied.

use bytes::Bytes;
use serde_json::Value;

/// One SSE event as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The event, blank line included.
    pub(super) bytes: Bytes,
    /// Whether it carries a token: pace, delay and faults count these.
    pub(super) token: bool,
}

impl Frame {
    /// A frame of Chat and completions: only `data:`.
    pub(super) fn data(data: &Value) -> Self {
        Self::plain(format!("data: {data}\n\n"))
    }

    /// A frame of Messages and Responses: `event:` with the name, then `data:`.
    pub(super) fn event(name: &str, data: &Value) -> Self {
        Self::plain(format!("event: {name}\ndata: {data}\n\n"))
    }

    /// The end of a stream of Chat and completions.
    pub(super) fn done() -> Self {
        Self::plain("data: [DONE]\n\n".to_owned())
    }

    /// The same frame, marked as carrying a token if `token`.
    pub(super) fn token_if(self, token: bool) -> Self {
        Self { token, ..self }
    }

    fn plain(text: String) -> Self {
        Self { bytes: Bytes::from(text), token: false }
    }
}
