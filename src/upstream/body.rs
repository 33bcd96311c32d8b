//! The body of an answer, as it comes.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use awc::error::PayloadError;
use awc::http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// By this many bytes.
    Length(u64),
    /// By the last chunk.
    Chunked,
    /// By the end of the connection, as in HTTP/1.0.
    Close,
    /// By the end of the connection in HTTP/1.1, with a head that came in pieces, so that it
    /// could not be read as one of HTTP/1.0: awc gives an empty body.
    Unreadable,
}

/// Why a body broke.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is larger than we take.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The connection ended, or what came is not the framing that was announced.
    #[error("the answer was cut: {0}")]
    Cut(String),
}

/// A body. Dropping it before its end closes the connection to the provider.
pub struct UpstreamBody {
    stream: Pin<Box<dyn Stream<Item = Result<Bytes, PayloadError>>>>,
    framing: Framing,
    received: u64,
    done: bool,
}

impl Framing {
    pub(super) fn of(http_10: bool, headers: &HeaderMap) -> Self {
        let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        if headers.contains_key(TRANSFER_ENCODING) {
            Self::Chunked
        } else if let Some(length) = length {
            Self::Length(length)
        } else if http_10 {
            Self::Close
        } else {
            Self::Unreadable
        }
    }
}

impl UpstreamBody {
    pub(super) fn new(stream: impl Stream<Item = Result<Bytes, PayloadError>> + 'static, framing: Framing) -> Self {
        Self { stream: Box::pin(stream), framing, received: 0, done: false }
    }

    /// A body that has ended.
    #[must_use]
    pub fn empty() -> Self {
        Self { stream: Box::pin(futures_util::stream::empty()), framing: Framing::Length(0), received: 0, done: true }
    }

    /// Whether it has been read to its end.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// The whole body, at most `limit` bytes.
    ///
    /// # Errors
    /// When it is larger, or cut.
    pub async fn read_to_end(mut self, limit: usize) -> Result<Bytes, BodyError> {
        if let Framing::Length(length) = self.framing
            && usize::try_from(length).unwrap_or(usize::MAX) > limit
        {
            return Err(BodyError::TooLarge(limit));
        }
        let Some(first) = self.next().await.transpose()? else {
            return Ok(Bytes::new());
        };
        // Most answers come in one piece, which need not be copied.
        let Some(second) = self.next().await.transpose()? else {
            return Ok(first);
        };
        let mut whole = BytesMut::from(&first[..]);
        whole.extend_from_slice(&second);
        while let Some(piece) = self.next().await.transpose()? {
            whole.extend_from_slice(&piece);
            if whole.len() > limit {
                return Err(BodyError::TooLarge(limit));
            }
        }
        Ok(whole.freeze())
    }

    fn end(&mut self) -> Option<Result<Bytes, BodyError>> {
        self.done = true;
        match self.framing {
            // TLS with a proper goodbye hides a cut from the connection itself.
            Framing::Length(length) if self.received < length => {
                Some(Err(BodyError::Cut(format!("{} of {length} bytes came", self.received))))
            }
            _ => None,
        }
    }
}

impl Stream for UpstreamBody {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.done {
            return Poll::Ready(None);
        }
        self.stream.as_mut().poll_next(cx).map(|item| match item {
            Some(Ok(bytes)) => {
                self.received += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                Some(Ok(bytes))
            }
            None => self.end(),
            // Our TCP layer reports the end of the connection, which here is the end of the body.
            Some(Err(_)) if self.framing == Framing::Close => self.end(),
            Some(Err(error)) => {
                self.done = true;
                Some(Err(BodyError::Cut(reason(&error))))
            }
        })
    }
}

/// awc writes what lies below as Rust's debug text, which clients should not have to read.
fn reason(error: &PayloadError) -> String {
    match error {
        PayloadError::Incomplete(Some(cause)) => cause.to_string(),
        PayloadError::Incomplete(None) => "the connection ended too early".to_owned(),
        other => other.to_string(),
    }
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody").field("framing", &self.framing).field("received", &self.received).finish()
    }
}
