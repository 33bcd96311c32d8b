//! Tells followers of every change of the configuration, in order and once.
//!
//! A change is told here after it is in force here. Followers never slow each other down: what one
//! does not take in time ends its subscription, and it comes back for the rest.

mod message;
mod sightings;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::SendError;
use actix::{
    Actor, ActorFutureExt as _, Addr, AsyncContext as _, Context, Handler, Message, MessageResponse, Recipient,
    ResponseActFuture, ResponseFuture, WrapFuture as _,
};
use bytes::Bytes;
use chrono::Utc;
use tokio::sync::watch;

use self::tail::{Entry, Tail};
use super::database::{DatabaseStatus, DatabaseWatch};
use super::published::{Published, Publisher};
use crate::config::{Sealer, Snapshot};
use crate::store::{ChangePage, Replica, Store, StoreError};
use crate::telemetry::Telemetry;

/// Changes that are kept for those who come back.
const TAIL: usize = 1024;

/// Changes that are read from the database at once.
const PAGE: i64 = 500;

/// Changes that are delivered at once, but for a longer version: many rows changed by one SQL
/// statement shall not fill a mailbox, and a mailbox shall not hold too much.
const BUNDLE: usize = 8;

/// Pause before the database is asked again for changes that it did not give.
const RETRY: Duration = Duration::from_secs(1);

/// Messages for a follower, as JSON, in order. Never only a part of a version.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Deliver(pub Vec<Bytes>);

/// Asks to be told of every change above `since`, or, without it, from now on. The first
/// [`Deliver`] holds the greeting, unless there was one, and what the feed remembers.
#[derive(Message)]
#[rtype(result = "Answer")]
pub struct Subscribe {
    /// Who is told.
    pub to: Recipient<Deliver>,
    /// The last version that the follower knows.
    pub since: Option<i64>,
    /// Whether it was greeted before.
    pub is_greeted: bool,
}

/// What becomes of a wish to follow.
#[derive(Debug, MessageResponse)]
pub enum Answer {
    /// Everything above `since` was delivered or will be.
    Joined(Subscription),
    /// What is above `since` must be read with [`ReadPage`] first, after this greeting.
    Behind(Bytes),
    /// There is no such version yet.
    Ahead,
    /// The database does not answer, so nothing can be promised.
    Lost,
}

/// Reads changes that the feed does not remember any more.
#[derive(Debug, Message)]
#[rtype(result = "Result<Page, StoreError>")]
pub struct ReadPage {
    /// The last version that the follower knows.
    pub since: i64,
}

/// The next changes of a follower that comes from afar.
#[derive(Debug)]
pub struct Page {
    /// The messages, in order.
    pub texts: Vec<Bytes>,
    /// The version that the follower knows with them.
    pub reached: i64,
}

/// Why the feed ended a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The follower did not take its messages in time.
    Slow,
    /// The database does not answer any more.
    Lost,
    /// The database went back to an older version: what was told may not hold.
    WentBack,
}

/// Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription(watch::Receiver<Option<Ending>>);

/// Looks whether a newer version is in force.
#[derive(Message)]
#[rtype(result = "Progress")]
struct Advance;

/// How far [`Advance`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, MessageResponse)]
enum Progress {
    /// Everything in force is told.
    Done,
    /// There is more.
    More,
    /// The database did not answer.
    Failed,
}

/// Looks at the database's state and at the replicas.
#[derive(Message)]
#[rtype(result = "()")]
struct Look;

/// What the feed is made from.
#[derive(Clone)]
pub struct FeedParts {
    /// Where the history is.
    pub store: Arc<dyn Store>,
    /// What tells whether a secret changed.
    pub sealer: Arc<Sealer>,
    /// The name of this process.
    pub replica_id: String,
    /// The configuration in force here.
    pub snapshot: Published<Snapshot>,
    /// Whether the database answers.
    pub database: Published<DatabaseStatus>,
    /// Where it is noted whether it does.
    pub contacts: DatabaseWatch,
    /// The replicas seen last.
    pub replicas: Published<Vec<Replica>>,
    /// Where the number of followers is published.
    pub watchers: Publisher<usize>,
    /// The metrics.
    pub telemetry: Telemetry,
}

struct Subscriber {
    to: Recipient<Deliver>,
    ending: Arc<watch::Sender<Option<Ending>>>,
    /// The version up to which it knows everything, where that is above what was told here.
    after: i64,
}

/// Remembers the last changes and tells followers of new ones.
pub struct FeedActor {
    parts: FeedParts,
    tail: Tail,
    replicas: Arc<Vec<Replica>>,
    subscribers: HashMap<u64, Subscriber>,
    next_id: u64,
}

// === impl Subscription ===

impl Subscription {
    /// Why the subscription has ended; `None` while it has not.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        *self.0.borrow()
    }

    /// Waits until the subscription ends; `None` when nobody can tell why.
    pub async fn ended(&self) -> Option<Ending> {
        let mut ending = self.0.clone();
        ending.wait_for(Option::is_some).await.ok().and_then(|ending| *ending)
    }
}

// === impl FeedActor ===

impl FeedActor {
    /// An actor that tells of what comes after the version in force.
    #[must_use]
    pub fn new(parts: FeedParts) -> Self {
        let tail = Tail::new(parts.snapshot.load().version, TAIL);
        let replicas = parts.replicas.load();
        Self { parts, tail, replicas, subscribers: HashMap::new(), next_id: 0 }
    }

    fn subscribe(&mut self, wish: Subscribe, context: &mut Context<Self>) -> Answer {
        let Subscribe { to, since, is_greeted } = wish;
        // What is in force may not be told to everybody yet.
        let current = self.parts.snapshot.load().version.max(self.tail.head());
        if !self.parts.database.load().is_up {
            return Answer::Lost;
        }
        if since > Some(current) {
            return Answer::Ahead;
        }
        let after = since.unwrap_or(current);
        let hello = message::hello(current, &self.parts.replica_id, &self.replicas, Utc::now());
        let Some(entries) = self.tail.above(after) else {
            return Answer::Behind(hello);
        };
        let first = (!is_greeted).then_some(hello).into_iter().chain(entries).collect();
        let (sender, ending) = watch::channel(None);
        let (id, sender) = (self.next_id, Arc::new(sender));
        self.next_id += 1;
        let left = Arc::clone(&sender);
        let left = async move { left.closed().await };
        context.spawn(left.into_actor(self).map(move |(), actor, _| actor.remove(id)));
        self.subscribers.insert(id, Subscriber { to, ending: sender, after });
        self.count();
        self.deliver(id, first);
        Answer::Joined(Subscription(ending))
    }

    fn remove(&mut self, id: u64) {
        self.subscribers.remove(&id);
        self.count();
    }

    fn count(&self) {
        let count = self.subscribers.len();
        self.parts.telemetry.feed_subscribers.set(i64::try_from(count).unwrap_or(i64::MAX));
        if *self.parts.watchers.current() != count {
            self.parts.watchers.publish(Arc::new(count));
        }
    }

    fn deliver(&mut self, id: u64, texts: Vec<Bytes>) {
        let Some(subscriber) = self.subscribers.get(&id).filter(|_| !texts.is_empty()) else {
            return;
        };
        match subscriber.to.try_send(Deliver(texts)) {
            Ok(()) => {}
            Err(SendError::Full(_)) => {
                self.parts.telemetry.mailbox_dropped.with_label_values(&["feed"]).inc();
                subscriber.ending.send_replace(Some(Ending::Slow));
                self.remove(id);
            }
            Err(SendError::Closed(_)) => self.remove(id),
        }
    }

    /// Tells everybody what `select` picks for whoever knows everything up to a version.
    fn broadcast(&mut self, select: impl Fn(i64) -> Vec<Bytes>) {
        let all: Vec<(u64, i64)> = self.subscribers.iter().map(|(id, subscriber)| (*id, subscriber.after)).collect();
        for (id, after) in all {
            self.deliver(id, select(after));
        }
    }

    fn end_all(&mut self, ending: Ending) {
        for (_, subscriber) in self.subscribers.drain() {
            subscriber.ending.send_replace(Some(ending));
        }
        self.count();
    }

    /// What can be said of a version in force without asking the database.
    fn look_ahead(&mut self, version: i64) -> Option<Progress> {
        let head = self.tail.head();
        if version < head {
            log::warn!(version, before = head; "the configuration went back; followers of its changes must start anew");
            self.tail.restart(version);
            self.end_all(Ending::WentBack);
        } else if self.subscribers.is_empty() && version.abs_diff(head) > TAIL.try_into().unwrap_or(u64::MAX) {
            // Nobody waits for so many; who wants them reads them.
            self.tail.restart(version);
        } else if version > head {
            return None;
        }
        Some(Progress::Done)
    }

    /// Tells what was read, up to the version in force.
    fn take(&mut self, page: Result<ChangePage, StoreError>, version: i64) -> Progress {
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                log::warn!(error:%; "cannot read what changed, trying again");
                return Progress::Failed;
            }
        };
        let (entries, reached) = up_to(&page, version, &self.parts.sealer);
        self.tail.extend(&entries, reached);
        for bundle in bundles(&entries) {
            self.broadcast(|after| {
                bundle.iter().filter(|entry| entry.version > after).map(|entry| entry.text.clone()).collect()
            });
        }
        if reached < version { Progress::More } else { Progress::Done }
    }
}

/// The changes of `page` that are not above `version`, and the version up to which these are all.
fn up_to(page: &ChangePage, version: i64, sealer: &Sealer) -> (Vec<Entry>, i64) {
    let shown = page.changes.iter().filter(|record| record.version <= version);
    let entries = shown.map(|record| message::change(record, sealer)).collect();
    let last = page.changes.last().filter(|_| page.has_more);
    (entries, last.map_or(version, |last| last.version.min(version)))
}

/// Cuts `entries` where a version ends.
fn bundles(entries: &[Entry]) -> Vec<&[Entry]> {
    let mut bundles = Vec::new();
    let mut rest = entries;
    while let Some(last) = rest.get(..BUNDLE).unwrap_or(rest).last() {
        let end = rest.partition_point(|entry| entry.version <= last.version);
        let (bundle, others) = rest.split_at(end);
        bundles.push(bundle);
        rest = others;
    }
    bundles
}

/// Tells the actor of every change of what it follows; ends with it.
async fn follow_versions(mut snapshot: Published<Snapshot>, address: Addr<FeedActor>) {
    while let Ok(progress) = address.send(Advance).await {
        match progress {
            Progress::Done => snapshot.changed().await,
            Progress::More => {}
            Progress::Failed => tokio::time::sleep(RETRY).await,
        }
    }
}

async fn follow_views(parts: FeedParts, address: Addr<FeedActor>) {
    let FeedParts { mut database, mut replicas, .. } = parts;
    loop {
        tokio::select! {
            () = database.changed() => {}
            () = replicas.changed() => {}
        }
        if address.send(Look).await.is_err() {
            return;
        }
    }
}

impl Actor for FeedActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.count();
        let versions = follow_versions(self.parts.snapshot.clone(), context.address());
        context.spawn(versions.into_actor(self));
        let views = follow_views(self.parts.clone(), context.address());
        context.spawn(views.into_actor(self));
    }
}

impl Handler<Subscribe> for FeedActor {
    type Result = Answer;

    fn handle(&mut self, wish: Subscribe, context: &mut Context<Self>) -> Self::Result {
        self.subscribe(wish, context)
    }
}

impl Handler<ReadPage> for FeedActor {
    type Result = ResponseFuture<Result<Page, StoreError>>;

    fn handle(&mut self, ReadPage { since }: ReadPage, _: &mut Context<Self>) -> Self::Result {
        let (parts, head) = (self.parts.clone(), self.tail.head());
        Box::pin(async move {
            let page = parts.read(since).await?;
            let (entries, reached) = up_to(&page, head, &parts.sealer);
            Ok(Page { texts: entries.into_iter().map(|entry| entry.text).collect(), reached: reached.max(since) })
        })
    }
}

impl Handler<Advance> for FeedActor {
    type Result = ResponseActFuture<Self, Progress>;

    fn handle(&mut self, _: Advance, _: &mut Context<Self>) -> Self::Result {
        let version = self.parts.snapshot.load().version;
        if let Some(progress) = self.look_ahead(version) {
            return Box::pin(std::future::ready(progress).into_actor(self));
        }
        let (parts, head) = (self.parts.clone(), self.tail.head());
        let read = async move { parts.read(head).await };
        Box::pin(read.into_actor(self).map(move |page, actor, _| actor.take(page, version)))
    }
}

impl Handler<Look> for FeedActor {
    type Result = ();

    fn handle(&mut self, _: Look, _: &mut Context<Self>) {
        if !self.parts.database.load().is_up {
            self.end_all(Ending::Lost);
        }
        let now = self.parts.replicas.load();
        let news = sightings::news(&self.replicas, &now);
        self.replicas = now;
        self.broadcast(|_| news.clone());
    }
}

// === impl FeedParts ===

impl FeedParts {
    async fn read(&self, since: i64) -> Result<ChangePage, StoreError> {
        let started = Instant::now();
        let page = self.store.changes_since(since, PAGE).await;
        self.contacts.met(page, started.elapsed())
    }
}
