//! Who changed what, and going back: asked of the one writer of configuration.

use std::sync::Arc;
use std::time::Instant;

use actix::{AtomicResponse, Context, Handler, Message, ResponseFuture, WrapFuture as _};

use super::config::{ConfigActor, ConfigActorError, Deadline};
use crate::config::Snapshot;
use crate::store::{ChangePage, RolledBack, StoreError};

/// Reads a part of the history.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Result<ChangePage, StoreError>")]
pub struct ReadChanges {
    /// Ascending from the version after this one; `None`: the last ones.
    pub since: Option<i64>,
    /// How many, and then the rest of the version that this would cut.
    pub limit: i64,
}

/// Makes the configuration what it was; replies after that is stored *and* visible to new
/// requests.
#[derive(Debug, Message)]
#[rtype(result = "Result<Restored, ConfigActorError>")]
pub struct Rollback {
    to: i64,
    dry_run: bool,
    actor: String,
    deadline: Deadline,
}

impl Rollback {
    /// A way back to version `to` that `actor` asks for now; a dry run only tells what would change.
    #[must_use]
    pub fn new(to: i64, dry_run: bool, actor: String) -> Self {
        Self { to, dry_run, actor, deadline: Deadline::from_now() }
    }
}

/// What a rollback left behind.
#[derive(Debug, Clone)]
pub struct Restored {
    /// What it changed, or would change.
    pub done: RolledBack,
    /// The configuration in force.
    pub snapshot: Arc<Snapshot>,
}

impl Handler<ReadChanges> for ConfigActor {
    type Result = ResponseFuture<Result<ChangePage, StoreError>>;

    fn handle(&mut self, ReadChanges { since, limit }: ReadChanges, _: &mut Context<Self>) -> Self::Result {
        let parts = self.parts.clone();
        Box::pin(async move {
            let started = Instant::now();
            let page = match since {
                Some(since) => parts.store.changes_since(since, limit).await,
                None => parts.store.last_changes(limit).await,
            };
            parts.database.met(page, started.elapsed())
        })
    }
}

impl Handler<Rollback> for ConfigActor {
    type Result = AtomicResponse<Self, Result<Restored, ConfigActorError>>;

    fn handle(&mut self, rollback: Rollback, _: &mut Context<Self>) -> Self::Result {
        let Rollback { to, dry_run, actor, deadline } = rollback;
        let (parts, begin) = (self.parts.clone(), deadline.check());
        let restored = async move {
            begin?;
            let started = Instant::now();
            let done = parts.store.rollback(to, dry_run, &actor).await;
            let done = parts.database.met(done, started.elapsed())?;
            let snapshot = if dry_run {
                parts.snapshots.current()
            } else {
                parts.refresh().await.map_err(ConfigActorError::stored)?
            };
            Ok(Restored { done, snapshot })
        };
        AtomicResponse::new(Box::pin(restored.into_actor(self)))
    }
}
