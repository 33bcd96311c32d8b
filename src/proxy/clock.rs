//! The timers of a running stream.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::outcome::shutting_down;
use super::reporter::Reporter;
use crate::chat::{Failure, FailureKind};

/// When a stream has taken too long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Silence of the provider.
    pub idle: Option<Duration>,
    /// The whole stream.
    pub total_until: Option<Instant>,
    /// Silence of ours towards the client, before a sign of life is sent.
    pub keepalive: Option<Duration>,
}

/// What the time has brought.
pub(super) enum Tick {
    /// The stream must end.
    Failed(Failure),
    /// The client has heard nothing for the keepalive interval.
    Silent,
}

/// Timers that are set once and corrected when they fire, instead of at every event.
pub(super) struct Clock {
    /// Since the provider was last heard.
    idle: Option<Silence>,
    /// Since the client last got something.
    keepalive: Option<Silence>,
    total: Option<Pin<Box<Sleep>>>,
    heard: Instant,
    said: Instant,
    total_until: Option<Instant>,
    reporter: Arc<Reporter>,
    /// The end of the process.
    cut: Pin<Box<dyn Future<Output = ()>>>,
}

/// A timer for how long nothing happens.
struct Silence {
    longest: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Clock {
    pub(super) fn new(limits: Limits, reporter: &Arc<Reporter>) -> Self {
        let (reporter, cutter) = (Arc::clone(reporter), Arc::clone(reporter));
        let now = Instant::now();
        Self {
            idle: limits.idle.map(Silence::new),
            keepalive: limits.keepalive.map(Silence::new),
            total: limits.total_until.map(|end| Box::pin(sleep_until(end))),
            heard: now,
            said: now,
            total_until: limits.total_until,
            reporter,
            cut: Box::pin(async move { cutter.cut().await }),
        }
    }

    /// The provider has sent something.
    ///
    /// # Errors
    /// When the stream must end: a provider that never pauses leaves no time for timers.
    pub(super) fn heard(&mut self) -> Result<(), Failure> {
        self.heard = Instant::now();
        if self.reporter.is_cut() {
            return Err(shutting_down());
        }
        if self.total_until.is_some_and(|end| end <= self.heard) { Err(too_long()) } else { Ok(()) }
    }

    /// The client was sent something.
    pub(super) fn said(&mut self) {
        self.said = Instant::now();
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Tick> {
        if self.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Tick::Failed(shutting_down()));
        }
        if let Some(total) = &mut self.total
            && total.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Tick::Failed(too_long()));
        }
        if let Some(idle) = &mut self.idle
            && idle.poll(self.heard, cx).is_ready()
        {
            let message = format!("the provider sent nothing for {} s", idle.longest.as_secs_f64());
            return Poll::Ready(Tick::Failed(Failure::new(FailureKind::StreamIdleTimeout, message)));
        }
        match &mut self.keepalive {
            Some(keepalive) => keepalive.poll(self.said, cx).map(|()| Tick::Silent),
            None => Poll::Pending,
        }
    }
}

fn too_long() -> Failure {
    Failure::new(FailureKind::StreamTotalTimeout, "the stream took longer than it may")
}

impl Silence {
    fn new(longest: Duration) -> Self {
        Self { longest, timer: Box::pin(sleep(longest)) }
    }

    /// Ready when nothing has happened since `last` for too long.
    fn poll(&mut self, last: Instant, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let due = last + self.longest;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}
