//! Holding a stream back until its first content.
//!
//! Until then nothing has been sent to the client, so a provider that fails here can still be
//! left for another, and the client gets a real HTTP status.

use bytes::BytesMut;
use futures_util::StreamExt as _;

use super::count_usage::Counting;
use super::pipe::Pipe;
use super::progress::Progress;
use crate::chat::{Failure, FailureKind, Usage};
use crate::codec::Seen;
use crate::sse::Parser;
use crate::upstream::{BodyError, UpstreamBody};

/// A stream whose first content has come.
pub(super) struct OpenStream {
    /// The rest of it.
    pub body: UpstreamBody,
    /// What is between frames.
    pub parser: Parser,
    /// How frames reach the client.
    pub pipe: Box<dyn Pipe>,
    /// What the client gets first.
    pub out: BytesMut,
    /// Token counts so far.
    pub usage: Option<Usage>,
    /// Whether that was already all of it.
    pub ended: bool,
    /// All of it has come, but the provider sent no usage: what counts it.
    pub counting: Option<Counting>,
}

/// Reads until the first content token, or a good end without any.
///
/// # Errors
/// The provider's error event, or why the stream cannot be used.
pub(super) async fn until_content(
    body: UpstreamBody,
    pipe: Box<dyn Pipe>,
    limit: usize,
    progress: &Progress,
) -> Result<OpenStream, Failure> {
    let parser = Parser::new(limit);
    let mut stream = OpenStream { body, parser, pipe, out: BytesMut::new(), usage: None, ended: false, counting: None };
    while let Some(bytes) = stream.body.next().await {
        stream.parser.feed(&bytes.map_err(|error| broken(&error))?);
        if stream.forward_frames()? {
            return Ok(stream);
        }
        progress.told(stream.usage);
        // What is held back is memory that only the provider decides about.
        if stream.out.len() > limit {
            let message = format!("the provider sent more than {limit} bytes before any content");
            return Err(Failure::new(FailureKind::UpstreamInvalidResponse, message));
        }
    }
    let rest = stream.parser.finish();
    let seen = rest.map(|frame| stream.pipe.frame(&frame, &mut stream.out)).transpose()?.unwrap_or_default();
    stream.take_in(&seen)?;
    if !stream.is_settled() {
        let seen = stream.pipe.close(&mut stream.out)?;
        stream.take_in(&seen)?;
    }
    Ok(stream)
}

impl OpenStream {
    /// Forwards the frames that are whole; true when the stream may be committed.
    fn forward_frames(&mut self) -> Result<bool, Failure> {
        let mut content = false;
        while let Some(frame) = self.parser.next_frame().map_err(|error| over_limit(&error))? {
            let seen = self.pipe.frame(&frame, &mut self.out)?;
            // An error event right behind content belongs to a stream that has begun; it is left
            // to the next read, which finds it forwarded already.
            self.take_in(&seen)?;
            content |= seen.content;
            if content || self.is_settled() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether nothing more is wanted of the provider.
    fn is_settled(&self) -> bool {
        self.ended || self.counting.is_some()
    }

    fn take_in(&mut self, seen: &Seen) -> Result<(), Failure> {
        self.usage = seen.usage.or(self.usage);
        self.ended |= seen.ended;
        self.counting = self.pipe.counting();
        seen.failed.clone().map_or(Ok(()), Err)
    }
}

pub(super) fn broken(error: &BodyError) -> Failure {
    Failure::new(FailureKind::UpstreamStream, format!("the provider's stream broke: {error}"))
}

/// Before any content it is an answer that is larger than any may be.
fn over_limit(error: &crate::sse::FrameTooLarge) -> Failure {
    Failure::new(FailureKind::UpstreamInvalidResponse, error.to_string())
}

pub(super) fn too_large(error: &crate::sse::FrameTooLarge) -> Failure {
    Failure::new(FailureKind::UpstreamStream, error.to_string())
}
