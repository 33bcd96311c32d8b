//! Answers that keep something for as long as they are being sent.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;

/// A body, and what is dropped with it: after its last byte, or when the client has left.
struct Held<K> {
    body: BoxBody,
    _kept: K,
}

/// The same body, keeping `kept` until it is sent.
pub(super) fn hold<K: Unpin + 'static>(body: BoxBody, kept: K) -> BoxBody {
    BoxBody::new(Held { body, _kept: kept })
}

impl<K: Unpin> MessageBody for Held<K> {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
