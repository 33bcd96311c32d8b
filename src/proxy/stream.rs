//! The body of a streamed answer, also while nobody has answered yet.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use tokio::time::{Instant, Sleep, sleep};

use super::answer::{Answer, Failed};
use super::attempts::Attempts;
use super::ending::Ending;
use super::transcode::Transcode;
use crate::chat::{Failure, FailureKind};
use crate::codec::KEEPALIVE;

/// A streamed answer. Dropping it before its end closes the connection to the provider and
/// records the request as cancelled.
pub struct Streamed {
    state: State,
    is_broken: Rc<Cell<bool>>,
}

enum State {
    /// Nobody has answered in a keepalive interval, so the client has a head and a comment, but
    /// no protocol event: attempts go on.
    Waiting(Box<Waiting>),
    /// A provider answers.
    Running(Box<Transcode>),
    /// The last bytes are out.
    Closed,
}

struct Waiting {
    attempts: Attempts,
    interval: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Streamed {
    /// A stream whose provider answers.
    pub(super) fn running(transcode: Transcode) -> Self {
        let is_broken = transcode.is_broken();
        Self { state: State::Running(Box::new(transcode)), is_broken }
    }

    /// Set when the stream ends with a failure, before its last bytes are given.
    #[must_use]
    pub fn is_broken(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.is_broken)
    }

    /// A stream that begins with a comment, while attempts go on.
    pub(super) fn waiting(attempts: Attempts, interval: Duration) -> Self {
        // The interval that brought us here is over.
        let timer = Box::pin(sleep(Duration::ZERO));
        Self { state: State::Waiting(Box::new(Waiting { attempts, interval, timer })), is_broken: Rc::default() }
    }
}

impl Waiting {
    /// What a poll brings: an answer, or a comment that keeps the connection alive.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Answer, Failed>>> {
        if let Poll::Ready(answer) = self.attempts.poll_answer(cx) {
            return Poll::Ready(Some(answer));
        }
        std::task::ready!(self.timer.as_mut().poll(cx));
        self.timer.as_mut().reset(Instant::now() + self.interval);
        Poll::Ready(None)
    }

    /// Goes on with the answer, or ends with an error in the client's protocol.
    fn settle(mut self, answer: Result<Answer, Failed>, is_broken: &Rc<Cell<bool>>) -> (State, Option<Bytes>) {
        let failure = match answer {
            Ok(Answer::Stream { headers, stream, limits }) => {
                let mut finish = self.attempts.into_finish();
                finish.passed_on(headers);
                let transcode = Transcode::new(*stream, limits, finish).telling(is_broken);
                return (State::Running(Box::new(transcode)), None);
            }
            Ok(Answer::Whole { .. } | Answer::Refusal { .. }) => {
                Failure::new(FailureKind::Internal, "a stream was answered as a whole")
            }
            Err(failed) => failed.failure,
        };
        is_broken.set(true);
        let mut out = BytesMut::new();
        let request = self.attempts.request();
        let verbatim = request.call.endpoint.verbatim();
        verbatim.forward_stream(&request.peek, &request.call.request_id).fail(&failure, &mut out);
        self.attempts.finish().streams(&out);
        self.attempts.finish().end(Ending::Broken(&failure));
        (State::Closed, Some(out.freeze()))
    }
}

impl Stream for Streamed {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let answer = match &mut self.state {
                State::Running(transcode) => return transcode.poll_next_unpin(cx),
                State::Closed => return Poll::Ready(None),
                State::Waiting(waiting) => match std::task::ready!(waiting.poll(cx)) {
                    Some(answer) => answer,
                    None => return Poll::Ready(Some(Ok(Bytes::from_static(KEEPALIVE)))),
                },
            };
            if let State::Waiting(waiting) = std::mem::replace(&mut self.state, State::Closed) {
                let (state, bytes) = waiting.settle(answer, &self.is_broken);
                self.state = state;
                if let Some(bytes) = bytes {
                    return Poll::Ready(Some(Ok(bytes)));
                }
            }
        }
    }
}
