//! Forwarding between a client and a provider that speak the same protocol.
//!
//! Bytes cross as they are, but for the model's name and what the contract names; each protocol
//! says where that stands and which frames tell of content, usage and the end.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::Heard;
use super::json::{Edit, splice};
use crate::chat::{Failure, FailureKind, Usage};
use crate::sse::Frame;

/// What routing must know of a request before it knows the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peek {
    /// The client's name for the model.
    pub model: String,
    /// Where that name stands in the body, quotes included.
    pub model_span: Range<usize>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Chat and completions: whether the client asked for a usage chunk.
    pub include_usage: bool,
    /// Chat and completions: where `stream_options` stands, when it does.
    pub stream_options: Option<Range<usize>>,
}

/// A whole answer on its way to the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// The body, with the client's name for the model.
    pub body: Bytes,
    /// Token counts, when the provider sent any.
    pub usage: Option<Usage>,
}

/// What a frame told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// It held a content token.
    pub content: bool,
    /// It ended the stream in good order.
    pub ended: bool,
    /// Token counts so far.
    pub usage: Option<Usage>,
    /// It was an error event of the provider. It has been written out as it came; when nothing
    /// was sent to the client yet, that is thrown away and this becomes an HTTP error.
    pub failed: Option<Failure>,
}

/// The verbatim side of a protocol.
pub trait Verbatim: Send + Sync {
    /// Reads what routing must know; required fields are checked here.
    ///
    /// # Errors
    /// `InvalidJson`, `MissingParameter` or `InvalidValue`, naming the field.
    fn peek(&self, body: &Bytes) -> Result<Peek, Failure>;
    /// The body for a provider that calls the model `model`. `inject_usage`: usage may be asked
    /// for in the client's place.
    fn forward_request(&self, body: &Bytes, peek: &Peek, model: &str, inject_usage: bool) -> Bytes;
    /// A whole answer for a client that calls the model `model`.
    ///
    /// # Errors
    /// `UpstreamInvalidResponse` when it is no answer of this protocol.
    fn forward_response(&self, body: &Bytes, model: &str) -> Result<Forwarded, Failure>;
    /// Starts forwarding a stream. `request_id` is our id of the request, which some protocols
    /// tell with an error.
    fn forward_stream(&self, peek: &Peek, request_id: &str) -> Box<dyn VerbatimStream>;
    /// Whether `body` is an error of this protocol, fit to be forwarded as it is.
    fn is_error_body(&self, body: &[u8]) -> bool;
}

/// Forwards one stream.
pub trait VerbatimStream {
    /// Forwards a frame and tells what it held.
    ///
    /// # Errors
    /// `UpstreamStream` when it cannot be read.
    fn forward(&mut self, frame: &Frame, out: &mut BytesMut) -> Result<Seen, Failure>;
    /// The upstream has closed: completes what may be completed (`[DONE]` after the last
    /// finish reason).
    ///
    /// # Errors
    /// `UpstreamStream` when the stream ended without its terminal event.
    fn finish(&mut self, out: &mut BytesMut) -> Result<(), Failure>;
    /// Ends a stream that has begun with an error, in the protocol's way, without any sign of
    /// success.
    fn fail(&mut self, failure: &Failure, out: &mut BytesMut);
    /// What keeps a silent stream alive at this point: a comment, or the protocol's own ping.
    fn keepalive(&self) -> &'static [u8] {
        super::KEEPALIVE
    }
    /// What the model has said so far.
    fn said(&self) -> Heard {
        Heard::default()
    }
}

/// Writes a frame with its data edited; all other bytes stay as they came.
pub(in crate::codec) fn write_edited(frame: &Frame, data: &Bytes, edit: Edit, out: &mut BytesMut) {
    // Almost always the data is a slice of the frame, and its place there is the distance of
    // their addresses.
    let at = data.as_ptr().addr().checked_sub(frame.raw.as_ptr().addr());
    let in_place = at.filter(|at| frame.raw.get(*at..at.saturating_add(data.len())) == Some(&data[..]));
    if let Some(at) = in_place {
        out.extend_from_slice(frame.raw.get(..at + edit.span.start).unwrap_or_default());
        out.extend_from_slice(&edit.with);
        out.extend_from_slice(frame.raw.get(at + edit.span.end..).unwrap_or_default());
        return;
    }
    // The data came in several lines and was joined, so it is written anew.
    if !frame.event.is_empty() {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(&frame.event);
        out.extend_from_slice(b"\n");
    }
    for line in splice(data, vec![edit]).split(|byte| *byte == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.extend_from_slice(b"\n");
    }
    out.extend_from_slice(b"\n");
}

/// The stream of an operation that has none. Its requests cannot ask for one, so only a provider
/// that streams unasked comes here.
#[derive(Debug, Clone, Copy)]
pub struct Unstreamed;

impl VerbatimStream for Unstreamed {
    fn forward(&mut self, _: &Frame, _: &mut BytesMut) -> Result<Seen, Failure> {
        Err(Failure::new(
            FailureKind::UpstreamInvalidResponse,
            "the provider streamed an answer that is never streamed",
        ))
    }

    fn finish(&mut self, _: &mut BytesMut) -> Result<(), Failure> {
        Err(Failure::new(FailureKind::UpstreamInvalidResponse, "the provider sent no answer"))
    }

    fn fail(&mut self, _: &Failure, _: &mut BytesMut) {}
}
