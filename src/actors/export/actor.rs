//! Sending what became of requests to a service, off the request path and without ever holding
//! it up.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt as _, AsyncContext as _, Context, Handler, Message, ResponseFuture, SpawnHandle,
    WrapFuture as _,
};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::room::{Room, Ticket};
use super::sink::{Sink, Verdict};
use crate::actors::finished::Finished;
use crate::upstream::Client;

/// Requests that are encoded in one go on a thread for work that takes long.
const ENCODED_AT_ONCE: usize = 32;
/// The first pause after a batch that could not be sent.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause that is our own idea.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause that the service may ask for.
const LONGEST_WISH: Duration = Duration::from_secs(300);

/// Tells of a request that has ended. Never awaited.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Told {
    pub(super) finished: Arc<Finished>,
    pub(super) ticket: Ticket,
}

/// Sends all that waits, without waiting for more; replies when nothing is left.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Flush;

/// The events of one request, ready to be sent.
struct Encoded {
    events: Vec<Bytes>,
    bytes: usize,
    ticket: Ticket,
}

/// Collects events and sends them in batches, one at a time, in their order.
pub(super) struct ExportActor<S> {
    sink: Arc<S>,
    client: Rc<Client>,
    room: Arc<Room>,
    /// Requests whose events are not written yet.
    unread: VecDeque<Told>,
    is_encoding: bool,
    waiting: VecDeque<Encoded>,
    waiting_events: usize,
    is_sending: bool,
    /// How many of the events have waited long enough.
    due: usize,
    /// How many requests a batch may have: half of those of a batch that was too large for the
    /// service, or for a proxy before it, and one more for each batch that was not.
    most_requests: usize,
    /// The end of a pause after a failure.
    pause: Option<SpawnHandle>,
    /// Batches that failed, one after the other.
    failures: u32,
    /// Whether the last word in the log was a complaint.
    has_complained: bool,
    /// Those who wait until nothing waits.
    flushes: Vec<oneshot::Sender<()>>,
}

// === impl ExportActor ===

impl<S: Sink> ExportActor<S> {
    pub(super) fn new(sink: Arc<S>, client: Rc<Client>, room: Arc<Room>) -> Self {
        Self {
            sink,
            client,
            room,
            unread: VecDeque::new(),
            is_encoding: false,
            waiting: VecDeque::new(),
            waiting_events: 0,
            is_sending: false,
            due: 0,
            most_requests: usize::MAX,
            pause: None,
            failures: 0,
            has_complained: false,
            flushes: Vec::new(),
        }
    }

    /// Does what can be done now.
    fn step(&mut self, context: &mut Context<Self>) {
        self.encode(context);
        self.send(context);
        if self.unread.is_empty() && !self.is_encoding && self.waiting.is_empty() && !self.is_sending {
            self.due = 0;
            for flush in self.flushes.drain(..) {
                // Whoever waited may have given up.
                let _ = flush.send(());
            }
        }
    }

    /// Has the next requests written as events, away from this thread.
    fn encode(&mut self, context: &mut Context<Self>) {
        if self.is_encoding || self.unread.is_empty() {
            return;
        }
        self.is_encoding = true;
        let several = self.unread.len().min(ENCODED_AT_ONCE);
        let told: Vec<Told> = self.unread.drain(..several).collect();
        let sink = Arc::clone(&self.sink);
        let work = tokio::task::spawn_blocking(move || -> Vec<Encoded> {
            told.into_iter().filter_map(|told| encode(&*sink, told)).collect()
        });
        context.spawn(work.into_actor(self).map(|encoded, actor, context| {
            actor.is_encoding = false;
            for encoded in encoded.unwrap_or_default() {
                actor.waiting_events += encoded.events.len();
                actor.waiting.push_back(encoded);
            }
            actor.step(context);
        }));
    }

    fn send(&mut self, context: &mut Context<Self>) {
        let is_time = self.due > 0 || !self.flushes.is_empty() || self.waiting_events >= self.sink.target().batch;
        if self.is_sending || self.pause.is_some() || self.waiting.is_empty() || !is_time {
            return;
        }
        self.is_sending = true;
        let batch = self.take_batch();
        let (sink, client) = (Arc::clone(&self.sink), Rc::clone(&self.client));
        let body = sink.target().body(batch.iter().flat_map(|encoded| &encoded.events));
        let post = async move {
            let bytes = body.len();
            let (status, verdict) = sink.target().post(&*sink, &client, body).await;
            if sink.target().debug {
                let events = count(&batch);
                let status = status.unwrap_or_default();
                log::info!(exporter = S::NAME, events, bytes, status, verdict:?; "sent a batch");
            }
            (batch, verdict)
        };
        context.spawn(post.into_actor(self).map(|(batch, verdict), actor, context| {
            actor.is_sending = false;
            actor.settle(batch, verdict, context);
            actor.step(context);
        }));
    }

    /// As many whole requests as a batch may have, at least one.
    fn take_batch(&mut self) -> Vec<Encoded> {
        let target = self.sink.target();
        let (mut batch, mut events, mut bytes) = (Vec::new(), 0, 0);
        while let Some(next) = self.waiting.pop_front() {
            let fits = events + next.events.len() <= target.batch
                && bytes + next.bytes <= target.batch_bytes
                && batch.len() < self.most_requests;
            if !fits && !batch.is_empty() {
                self.waiting.push_front(next);
                break;
            }
            events += next.events.len();
            bytes += next.bytes;
            batch.push(next);
        }
        self.waiting_events = self.waiting_events.saturating_sub(events);
        batch
    }

    fn settle(&mut self, batch: Vec<Encoded>, verdict: Verdict, context: &mut Context<Self>) {
        let events = count(&batch);
        match verdict {
            Verdict::Taken(refused) => {
                batch.into_iter().for_each(|encoded| encoded.ticket.sent());
                self.due = self.due.saturating_sub(events);
                self.failures = 0;
                self.most_requests = self.most_requests.saturating_add(1);
                self.note_taken(refused, events);
            }
            Verdict::Later(reason, wish) => {
                self.put_back(batch);
                self.failures = self.failures.saturating_add(1);
                self.complain(events, &reason, "events wait, for they cannot be sent");
                let pause = pause(self.failures, wish);
                self.pause = Some(context.run_later(pause, |actor, context| {
                    actor.pause = None;
                    actor.due = actor.room.queued();
                    actor.step(context);
                }));
            }
            Verdict::TooLarge if batch.len() > 1 => {
                self.most_requests = batch.len() / 2;
                self.due = self.due.max(events);
                self.put_back(batch);
            }
            Verdict::TooLarge => self.lose(batch, "status 413"),
            Verdict::Refused(reason) => self.lose(batch, &reason),
        }
    }

    fn note_taken(&mut self, refused: Option<(usize, String)>, events: usize) {
        if let Some((refused, reason)) = refused {
            self.room.count_dropped(refused.min(events));
            self.complain(refused, &reason, "events were refused and are lost");
        } else if std::mem::take(&mut self.has_complained) {
            log::info!(exporter = S::NAME; "events are taken again");
        }
    }

    /// Gives up a batch; its tickets count its events.
    fn lose(&mut self, batch: Vec<Encoded>, reason: &str) {
        let events = count(&batch);
        drop(batch);
        self.due = self.due.saturating_sub(events);
        self.failures = 0;
        self.complain(events, reason, "events were refused and are lost");
    }

    /// A batch that is to be sent again.
    fn put_back(&mut self, batch: Vec<Encoded>) {
        for encoded in batch.into_iter().rev() {
            self.waiting_events += encoded.events.len();
            self.waiting.push_front(encoded);
        }
    }

    /// Tells of a trouble once, not with every batch.
    fn complain(&mut self, events: usize, reason: &str, what: &str) {
        if !std::mem::replace(&mut self.has_complained, true) {
            log::warn!(exporter = S::NAME, events, reason; "{what}");
        }
    }
}

/// How many events a batch has.
fn count(batch: &[Encoded]) -> usize {
    batch.iter().map(|encoded| encoded.events.len()).sum()
}

/// The events of a request. One that cannot be written is dropped, which counts it.
fn encode<S: Sink>(sink: &S, Told { finished, mut ticket }: Told) -> Option<Encoded> {
    let events = catch_unwind(AssertUnwindSafe(|| sink.encode(&finished))).ok()?;
    let bytes = events.iter().map(|event| event.len() + 1).sum();
    ticket.resize(bytes);
    Some(Encoded { events, bytes, ticket })
}

/// How long nothing is sent after so many failures: ever longer, and not the same for all
/// replicas, so that a service that comes back is not overrun.
fn pause(failures: u32, wish: Option<Duration>) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    let own = doubled.min(LONGEST_PAUSE).mul_f64(rand::random_range(0.5..=1.0));
    own.max(wish.unwrap_or_default().min(LONGEST_WISH))
}

impl<S: Sink> Actor for ExportActor<S> {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.run_interval(self.sink.target().interval, |actor, context| {
            actor.due = actor.room.queued();
            actor.step(context);
        });
    }
}

impl<S: Sink> Handler<Told> for ExportActor<S> {
    type Result = ();

    fn handle(&mut self, told: Told, context: &mut Context<Self>) {
        self.unread.push_back(told);
        self.step(context);
    }
}

impl<S: Sink> Handler<Flush> for ExportActor<S> {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Flush, context: &mut Context<Self>) -> Self::Result {
        let (sender, flushed) = oneshot::channel();
        self.flushes.push(sender);
        // Time is short: the service may be back, and pauses begin anew.
        self.failures = 0;
        if let Some(pause) = self.pause.take() {
            context.cancel_future(pause);
        }
        self.step(context);
        Box::pin(async move {
            // An error says that the actor has ended, and what waited with it.
            let _ = flushed.await;
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_within_bounds_and_heed_the_service() {
        for (failures, longest) in [(1, 500), (2, 1000), (5, 8000), (7, 30_000), (40, 30_000), (u32::MAX, 30_000)] {
            let longest = Duration::from_millis(longest);
            for _ in 0..50 {
                let pause = pause(failures, None);
                assert!(pause >= longest / 2 && pause <= longest, "{failures}: {pause:?}");
            }
        }
        assert_eq!(pause(1, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(pause(1, Some(Duration::from_secs(86_400))), LONGEST_WISH);
    }
}
