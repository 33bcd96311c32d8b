//! The end of a websocket's connection.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;

/// The messages of a websocket. actix-web keeps a connection whose client may still send something
/// open for a while after the answer has ended, but after the closing messages the server is the
/// one to close. Only an answer that fails makes actix-web do so.
pub(super) struct HangUp {
    messages: BoxBody,
    has_ended: bool,
}

/// What [`HangUp`] fails with, and what a log line about it therefore says.
const NAME: &str = "HungUp";

struct HungUp;

impl HangUp {
    /// A body that closes the connection at the end of `messages`.
    pub(super) const fn new(messages: BoxBody) -> Self {
        Self { messages, has_ended: false }
    }
}

impl MessageBody for HangUp {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.has_ended {
            return Poll::Ready(Some(Err(Box::new(HungUp))));
        }
        match ready!(Pin::new(&mut self.messages).poll_next(context)) {
            Some(message) => Poll::Ready(Some(message)),
            None => {
                self.has_ended = true;
                // What was said last is written out before the next poll.
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

impl fmt::Debug for HungUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

impl fmt::Display for HungUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the websocket was closed")
    }
}

impl Error for HungUp {}

/// Whether a log record is actix-web's complaint that a websocket's connection was closed as it
/// should be.
#[must_use]
pub fn is_hang_up(record: &log::Record<'_>) -> bool {
    record.target().starts_with("actix_http::") && record.args().to_string().ends_with(NAME)
}
