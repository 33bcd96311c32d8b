//! The one stream adapter: a provider's bytes in, the client's bytes out.

use std::cell::Cell;
use std::future::Future as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::time::{Sleep, sleep, timeout};

use super::Finish;
use super::clock::{Clock, Limits, Tick};
use super::ending::Ending;
use super::open::{OpenStream, broken, too_large};
use crate::chat::Failure;
use crate::codec::Seen;
use crate::sse::Frame;
use crate::upstream::UpstreamBody;

/// How long the last bytes of an answer that is already complete are waited for, so that its
/// connection can be used again.
const DRAIN: Duration = Duration::from_secs(1);

/// How long what follows a complete answer is waited for, where it is forwarded.
const LINGER: Duration = Duration::from_millis(250);

/// A streamed answer. Each item is what one piece of the provider's bytes became. Dropping it
/// before its end closes the connection to the provider and records the request as cancelled.
pub struct Transcode {
    stream: OpenStream,
    finish: Finish,
    clock: Clock,
    /// Set when the answer is complete, while what may still follow is waited for.
    lingering: Option<Pin<Box<Sleep>>>,
    /// The last bytes are out.
    closed: bool,
    /// How much of what waits to go out the record knows of.
    told: usize,
    /// Set when it ends with a failure.
    is_broken: Rc<Cell<bool>>,
}

impl Transcode {
    pub(super) fn new(stream: OpenStream, limits: Limits, mut finish: Finish) -> Self {
        finish.first_content();
        finish.usage(stream.usage);
        let clock = Clock::new(limits, &finish.reporter());
        let mut transcode =
            Self { stream, finish, clock, lingering: None, closed: false, told: 0, is_broken: Rc::default() };
        // The piece that held the first content may hold more.
        let result = transcode.forward_frames();
        transcode.settle(result);
        transcode
    }

    /// The same, which sets `is_broken` when it ends with a failure.
    pub(super) fn telling(mut self, is_broken: &Rc<Cell<bool>>) -> Self {
        is_broken.set(self.is_broken.get());
        self.is_broken = Rc::clone(is_broken);
        self
    }

    /// Set when it ends with a failure.
    pub(super) fn is_broken(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.is_broken)
    }

    /// Ends the stream where it has failed or is complete.
    fn settle(&mut self, result: Result<(), Failure>) {
        match result {
            Err(failure) => self.fail(&failure),
            Ok(()) if self.stream.ended && !self.closed => {
                self.tell();
                self.finish.end(Ending::Complete(200));
                if self.stream.pipe.lingers() && !self.stream.body.is_done() {
                    self.lingering = Some(Box::pin(sleep(LINGER)));
                } else {
                    self.closed = true;
                    self.drain();
                }
            }
            Ok(()) => {}
        }
    }

    /// Takes in what has come; leaves what the client gets in `out`.
    fn read(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stream.parser.feed(bytes);
        self.forward_frames()
    }

    fn forward_frames(&mut self) -> Result<(), Failure> {
        while !self.stream.ended && !self.closed && self.stream.counting.is_none() {
            let frame = self.stream.parser.next_frame().map_err(|error| too_large(&error))?;
            let Some(frame) = frame else {
                return Ok(());
            };
            self.forward(&frame)?;
        }
        self.forward_trailing();
        Ok(())
    }

    fn forward_trailing(&mut self) {
        while self.stream.ended
            && let Ok(Some(frame)) = self.stream.parser.next_frame()
        {
            self.stream.pipe.trailing(&frame, &mut self.stream.out);
        }
    }

    fn forward(&mut self, frame: &Frame) -> Result<(), Failure> {
        let before = self.stream.out.len();
        let seen = self.stream.pipe.frame(frame, &mut self.stream.out)?;
        self.take_in(before, seen);
        Ok(())
    }

    fn take_in(&mut self, before: usize, seen: Seen) {
        self.finish.usage(seen.usage);
        self.stream.ended |= seen.ended;
        if let Some(failure) = seen.failed {
            // The pipe has told the client already.
            let told = self.stream.out.split_off(before);
            self.stream.out.extend_from_slice(&self.finish.mask(&told));
            self.tell();
            let failure = self.finish.hide(&failure);
            self.end_early(Ending::Broken(&failure));
            self.closed = true;
        } else {
            self.stream.counting = self.stream.pipe.counting();
        }
    }

    fn end_of_upstream(&mut self) -> Result<(), Failure> {
        if let Some(frame) = self.stream.parser.finish() {
            self.forward(&frame)?;
        }
        if !self.stream.ended && !self.closed && self.stream.counting.is_none() {
            let before = self.stream.out.len();
            let seen = self.stream.pipe.close(&mut self.stream.out)?;
            self.take_in(before, seen);
        }
        Ok(())
    }

    fn fail(&mut self, failure: &Failure) {
        // What cannot be read is quoted, and may hold a key.
        let failure = self.finish.hide(failure);
        self.stream.pipe.fail(&failure, &mut self.stream.out);
        self.tell();
        self.end_early(Ending::Broken(&failure));
        self.closed = true;
    }

    /// Tells the record what goes out, before it ends.
    fn tell(&mut self) {
        self.finish.streams(self.stream.out.get(self.told..).unwrap_or_default());
        self.told = self.stream.out.len();
    }

    /// Ends the record of an answer that is not complete, with what was said of it.
    fn end_early(&mut self, ending: Ending<'_>) {
        self.is_broken.set(true);
        if !self.finish.has_ended() {
            self.finish.uncounted(self.stream.pipe.tally());
            self.finish.end(ending);
        }
    }

    /// Lets the provider's connection be used again, in the background: the client must not wait
    /// for the end of a body whose last event it has.
    fn drain(&mut self) {
        let body = std::mem::replace(&mut self.stream.body, UpstreamBody::empty());
        if !body.is_done() {
            tokio::task::spawn_local(timeout(DRAIN, body.for_each(|_| std::future::ready(()))));
        }
    }

    /// Forwards what follows the end, until the provider closes or the time is over.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match Pin::new(&mut self.stream.body).poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                self.stream.parser.feed(&bytes);
                self.forward_trailing();
                return Poll::Ready(());
            }
            Poll::Ready(Some(Err(_)) | None) => {}
            Poll::Pending => {
                if let Some(timer) = &mut self.lingering {
                    std::task::ready!(timer.as_mut().poll(cx));
                }
            }
        }
        self.closed = true;
        Poll::Ready(())
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.lingering.is_some() {
            return self.linger(cx);
        }
        if let Some(counting) = &mut self.stream.counting {
            let usage = std::task::ready!(counting.as_mut().poll(cx));
            self.stream.counting = None;
            let before = self.stream.out.len();
            let seen = self.stream.pipe.counted(usage, &mut self.stream.out);
            self.take_in(before, seen);
            self.settle(Ok(()));
            return Poll::Ready(());
        }
        let result = match Pin::new(&mut self.stream.body).poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) => match self.clock.heard() {
                Ok(()) => self.read(&bytes),
                over => over,
            },
            Poll::Ready(Some(Err(error))) => Err(broken(&error)),
            Poll::Ready(None) => self.end_of_upstream(),
            Poll::Pending => match std::task::ready!(self.clock.poll(cx)) {
                Tick::Failed(failure) => Err(failure),
                Tick::Silent => {
                    self.stream.out.extend_from_slice(self.stream.pipe.keepalive());
                    return Poll::Ready(());
                }
            },
        };
        self.settle(result);
        Poll::Ready(())
    }
}

impl Drop for Transcode {
    fn drop(&mut self) {
        if !self.finish.has_ended() {
            // The record tells by itself why it ends now.
            self.finish.uncounted(self.stream.pipe.tally());
        }
    }
}

impl Stream for Transcode {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if !self.stream.out.is_empty() {
                self.clock.said();
                self.tell();
                self.told = 0;
                return Poll::Ready(Some(Ok(self.stream.out.split().freeze())));
            }
            if self.closed {
                return Poll::Ready(None);
            }
            std::task::ready!(self.step(cx));
        }
    }
}
