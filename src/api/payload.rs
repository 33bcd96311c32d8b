//! The bodies of requests, from clients that may be slow, send too much or go away.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::Method;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, web};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Shared;
use super::exchange::Exchange;
use super::held::hold;
use crate::chat::{Failure, FailureKind};

/// So many bytes of a body give its client a second more, as `MinRate` of Apache's
/// `mod_reqtimeout` does.
const BYTES_PER_SECOND: u64 = 1000;

/// Room for a body before any of it has come.
const MOST_RESERVED: usize = 1 << 18;

/// Why a body could not be read.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It is larger than the limit.
    TooLarge,
    /// It did not come at the least pace.
    Slow,
    /// The client left in the middle of it.
    Gone,
    /// Its framing is wrong.
    Unreadable(Error),
}

/// A body whose client must keep a pace.
struct Paced {
    /// Shared with the answer, see [`keep_pace`].
    body: Rc<RefCell<Payload>>,
    /// Told of its end.
    exchange: Option<Rc<Exchange>>,
    within: Option<Duration>,
    since: Instant,
    received: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

/// A whole body of at most `limit` bytes, of which `announced` have been announced.
///
/// # Errors
/// Why there is none.
pub(super) async fn read(
    mut payload: web::Payload,
    announced: Option<usize>,
    limit: usize,
) -> Result<Bytes, BodyError> {
    // A stream keeps the body until its tokens are known: a short one takes no more room than it needs.
    let mut body = BytesMut::with_capacity(announced.unwrap_or_default().min(limit).min(MOST_RESERVED));
    while let Some(piece) = payload.next().await {
        let piece = piece.map_err(Error::from)?;
        if body.len().saturating_add(piece.len()) > limit {
            return Err(BodyError::TooLarge);
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

/// Reads a body to its end, or the client's connection could not be used again.
///
/// # Errors
/// Why the end did not come.
pub(super) async fn discard(mut payload: web::Payload) -> Result<(), BodyError> {
    while let Some(chunk) = payload.next().await {
        chunk.map_err(Error::from)?;
    }
    Ok(())
}

/// What a client is told whose body did not come at the least pace.
pub(super) fn too_slow() -> Failure {
    Failure::new(FailureKind::RequestTimeout, "the body of the request came too slowly")
}

/// Middleware: whoever reads the body of a request does not wait for its client for ever, and
/// neither does actix-web when nobody reads it.
///
/// # Errors
/// Those of the handler.
pub async fn keep_pace<B: MessageBody + 'static>(
    shared: web::Data<Shared>,
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse, Error> {
    let payload = request.take_payload();
    let has_body = !matches!(payload, Payload::None);
    let exchange = request.conn_data::<Rc<Exchange>>().cloned();
    let running = exchange.as_ref().map(|exchange| exchange.begin(has_body));
    if !has_body {
        let response = next.call(request).await?.map_into_boxed_body();
        return Ok(response.map_body(|_, answer| hold(answer, running)));
    }
    let body = Rc::new(RefCell::new(payload));
    // A GET has no body that is read; what a websocket's client sends has a pace of its own.
    let within = shared.settings.http.clients.body_timeout.filter(|_| request.method() != Method::GET);
    let since = Instant::now();
    let paced = Paced { body: Rc::clone(&body), exchange, within, since, received: 0, timer: None };
    request.set_payload(Payload::Stream { payload: Box::pin(paced) });
    let response = next.call(request).await?.map_into_boxed_body();
    // actix-web takes in the rest of a chunked body that was let go of, without a bound in time or
    // size, and then uses the connection again. While the body is held it closes the connection
    // soon after the answer.
    Ok(response.map_body(|_, answer| hold(answer, (body, running))))
}

// === impl Paced ===

impl Paced {
    /// Until when the next bytes must come.
    fn deadline(&self) -> Option<Instant> {
        let within = self.within?.saturating_add(Duration::from_secs(self.received / BYTES_PER_SECOND));
        self.since.checked_add(within)
    }

    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let Some(deadline) = self.deadline() else {
            return false;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(context).is_ready()
    }
}

impl Stream for Paced {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut *self.body.borrow_mut()).poll_next(context);
        match &next {
            Poll::Ready(Some(Ok(chunk))) => {
                self.received = self.received.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            }
            Poll::Pending if self.is_late(context) => {
                return Poll::Ready(Some(Err(PayloadError::Io(io::ErrorKind::TimedOut.into()))));
            }
            Poll::Ready(_) => {
                if let Some(exchange) = &self.exchange {
                    exchange.body_came();
                }
            }
            Poll::Pending => {}
        }
        next
    }
}

// === impl BodyError ===

impl From<Error> for BodyError {
    fn from(error: Error) -> Self {
        match error.as_error::<PayloadError>() {
            Some(PayloadError::Io(cause)) if cause.kind() == io::ErrorKind::TimedOut => Self::Slow,
            Some(PayloadError::Incomplete(_)) => Self::Gone,
            _ => Self::Unreadable(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_http::BoxedPayloadStream;
    use futures_util::stream;

    use super::*;

    /// Whether a body of these pieces, each of which comes so many milliseconds after the one
    /// before, is taken at 200 ms.
    async fn is_taken(pieces: &[(u64, usize)]) -> bool {
        let pieces = pieces.to_vec();
        let bytes = stream::iter(pieces).then(|(wait, size)| async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            Ok::<_, PayloadError>(Bytes::from(vec![b' '; size]))
        });
        let payload: BoxedPayloadStream = Box::pin(bytes);
        let body = Rc::new(RefCell::new(Payload::Stream { payload }));
        let within = Some(Duration::from_millis(200));
        let paced = Paced { body, exchange: None, within, since: Instant::now(), received: 0, timer: None };
        paced.all(|chunk| async move { chunk.is_ok() }).await
    }

    #[actix_web::test]
    async fn a_body_may_take_its_time_and_a_second_for_each_1000_bytes() {
        assert!(is_taken(&[(10, 1), (10, 1)]).await);
        assert!(is_taken(&[(0, 3000), (300, 1)]).await);
        assert!(!is_taken(&[(0, 999), (5000, 1)]).await);
        assert!(!is_taken(&[(90, 1); 50]).await, "bytes alone buy no time");
    }
}
