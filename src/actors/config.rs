//! The one writer of configuration.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, AsyncContext as _, AtomicResponse, Context, Handler, Message, WrapFuture as _};

use chrono::{DateTime, Utc};

use super::AskError;
use super::adopt::Adopt;
use super::database::DatabaseWatch;
use super::keeper::Keeper;
use super::provider_pool::ProviderPoolActor;
use super::published::Publisher;
use super::rate_limiter::RateLimiterActor;
use super::supervise::Supervised;
use crate::config::{
    ConfigError, CredentialDraft, CredentialPatch, ProviderDraft, ProviderPatch, Sealer, Snapshot, Source,
};
use crate::store::{Committed, Store, StoreError};
use crate::telemetry::Telemetry;

/// One change that an operator asks for.
#[derive(Debug, Clone)]
pub enum Change {
    /// Adds a provider.
    CreateProvider(ProviderDraft),
    /// Changes the provider with this id.
    UpdateProvider(i32, ProviderPatch),
    /// Removes the provider with this id.
    DeleteProvider(i32),
    /// Adds a credential.
    CreateCredential(CredentialDraft),
    /// Changes the credential with this id.
    UpdateCredential(i32, CredentialPatch),
    /// Removes the credential with this id.
    DeleteCredential(i32),
}

/// What an applied change left behind.
#[derive(Debug, Clone)]
pub struct Applied {
    /// Id of the row that the change was about.
    pub id: i32,
    /// The version that the change made; the one before it when nothing changed.
    pub version: i64,
    /// The configuration in force, which holds the change, and perhaps later ones.
    pub snapshot: Arc<Snapshot>,
}

/// Why a change or a reload was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ConfigActorError {
    /// The store refused it or cannot be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A follower could not take over the new configuration, so it was not published.
    #[error("the new configuration could not be put in force: {0}")]
    Follower(AskError),
    /// The change is stored, but could not be read back and put in force here yet.
    #[error("the change is stored but not in force here yet: {0}")]
    NotInForce(StoreError),
    /// Changes before it took so long that its caller no longer waits; nothing was done.
    #[error("it waited too long for other changes")]
    Late,
}

/// Makes sure that what the database holds is in force, without reading all of it when it is.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct CatchUp;

/// Applies one change; replies after it is stored *and* visible to new requests.
#[derive(Debug, Message)]
#[rtype(result = "Result<Applied, ConfigActorError>")]
pub struct Apply {
    change: Change,
    actor: String,
    deadline: Deadline,
}

/// Reads the store again and publishes what it holds.
#[derive(Debug, Message)]
#[rtype(result = "Result<Arc<Snapshot>, ConfigActorError>")]
pub struct Reload;

/// Those who must know a configuration before requests see it.
#[derive(Clone)]
pub struct Followers {
    /// Keeper of the buckets.
    pub rate_limiter: Supervised<RateLimiterActor>,
    /// Keeper of the providers' health.
    pub provider_pool: Supervised<ProviderPoolActor>,
}

/// What the writer of configuration works with.
#[derive(Clone)]
pub struct ConfigParts {
    /// Where the configuration is kept.
    pub store: Arc<dyn Store>,
    /// What opens its secrets.
    pub sealer: Arc<Sealer>,
    /// Those who are told first.
    pub followers: Followers,
    /// Where it is published.
    pub snapshots: Publisher<Snapshot>,
    /// Who keeps the configuration for a start without the database.
    pub keeper: Option<Keeper>,
    /// Where it is noted whether the database answers.
    pub database: DatabaseWatch,
    /// How often the stored version is polled.
    pub poll: Duration,
    /// The metrics.
    pub telemetry: Telemetry,
}

/// Serialises configuration changes and publishes each result as an immutable [`Snapshot`].
pub struct ConfigActor {
    pub(super) parts: ConfigParts,
}

/// Pauses between attempts to reach a database that was away when the process started.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);

/// How long a change may wait for those before it. Well below the time that an answer may take,
/// so that nothing is stored after its caller was told that it was not.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);

/// What has not begun by then is not done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(tokio::time::Instant);

impl Deadline {
    /// That of a change which is asked for now.
    pub(super) fn from_now() -> Self {
        Self(tokio::time::Instant::now() + BEGIN_WITHIN)
    }

    /// # Errors
    /// `Late` when it is over.
    pub(super) fn check(self) -> Result<(), ConfigActorError> {
        if self.0 <= tokio::time::Instant::now() { Err(ConfigActorError::Late) } else { Ok(()) }
    }
}

// === impl Apply ===

impl Apply {
    /// A change that `actor` asks for now; the name is for the history.
    #[must_use]
    pub fn new(change: Change, actor: String) -> Self {
        Self { change, actor, deadline: Deadline::from_now() }
    }
}

// === impl ConfigActorError ===

impl ConfigActorError {
    /// The same for a change that is stored already.
    pub(super) fn stored(self) -> Self {
        match self {
            Self::Store(error) => Self::NotInForce(error),
            other => other,
        }
    }
}

// === impl Followers ===

impl Followers {
    /// Returns when every follower has published its view of `snapshot`.
    ///
    /// # Errors
    /// When a follower did not answer; its view would lack what the snapshot names.
    pub async fn adopt(&self, snapshot: &Arc<Snapshot>) -> Result<(), AskError> {
        adopt_one(&self.rate_limiter, snapshot).await?;
        adopt_one(&self.provider_pool, snapshot).await
    }
}

/// Asks twice: the first time may hit an actor that is just being restarted.
async fn adopt_one<A>(follower: &Supervised<A>, snapshot: &Arc<Snapshot>) -> Result<(), AskError>
where
    A: Actor<Context = Context<A>> + Handler<Adopt>,
{
    let mut restarts = follower.clone();
    let ask = |address: Arc<Addr<A>>| {
        let message = Adopt(Arc::clone(snapshot));
        async move { super::ask(&address, message).await }
    };
    let first = follower.load();
    match ask(Arc::clone(&first)).await {
        Err(AskError::Gone) => {
            restarts.other_than(&first).await;
            ask(follower.load()).await
        }
        answer => answer,
    }
}

// === impl ConfigActor ===

impl ConfigActor {
    /// An actor that goes on with the snapshot published last.
    #[must_use]
    pub const fn new(parts: ConfigParts) -> Self {
        Self { parts }
    }

    /// Waits until something may have changed elsewhere, by plain SQL or by another process, and
    /// catches up; for ever. What happens while it catches up is caught by the next round, so a
    /// burst of changes costs few loads.
    fn watch(&mut self, context: &mut Context<Self>) {
        let (store, poll, address) = (Arc::clone(&self.parts.store), self.parts.poll, context.address());
        let snapshots = self.parts.snapshots.clone();
        let round = async move {
            let mut pause = FIRST_RETRY;
            loop {
                let is_current = snapshots.current().source == Source::Database;
                let wait = if is_current { poll } else { pause };
                pause = if is_current { FIRST_RETRY } else { (pause * 2).min(LAST_RETRY) };
                // Either is a reason to look; which one it was does not matter.
                let _ = tokio::time::timeout(wait, store.changed()).await;
                if address.send(CatchUp).await.is_err() {
                    return;
                }
            }
        };
        context.spawn(round.into_actor(self));
    }
}

/// Gives the id of the row, and the version that has the change.
async fn carry_out(store: &dyn Store, change: Change, actor: &str) -> Result<(i32, i64), StoreError> {
    Ok(match change {
        Change::CreateProvider(draft) => {
            let Committed { version, record } = store.create_provider(draft, actor).await?;
            (record.id, version)
        }
        Change::UpdateProvider(id, patch) => (id, store.update_provider(id, patch, actor).await?.version),
        Change::DeleteProvider(id) => (id, store.delete_provider(id, actor).await?.version),
        Change::CreateCredential(draft) => {
            let Committed { version, record } = store.create_credential(draft, actor).await?;
            (record.id, version)
        }
        Change::UpdateCredential(id, patch) => (id, store.update_credential(id, patch, actor).await?.version),
        Change::DeleteCredential(id) => (id, store.delete_credential(id, actor).await?.version),
    })
}

impl ConfigParts {
    /// Makes sure that what the database holds is in force. Never fails: a database that does not
    /// answer is noted and asked again in the next round.
    async fn catch_up(&self) {
        let current = self.snapshots.current();
        let caught_up = if current.source == Source::Database {
            match self.stamp().await {
                Ok(stamp) if stamp == (current.version, current.changed_at) => Ok(()),
                Ok((version, _)) => {
                    if version < current.version {
                        log::warn!(version, before = current.version; "the database went back to an older version");
                    }
                    self.refresh().await.map(drop)
                }
                Err(error) => Err(error.into()),
            }
        } else {
            self.prepare_and_refresh().await
        };
        match caught_up {
            // The watch over the database has told that already.
            Ok(()) | Err(ConfigActorError::Store(StoreError::Unavailable(_) | StoreError::Busy(_))) => {}
            Err(error) => log::error!(error:%; "cannot read the configuration, trying again"),
        }
    }

    async fn stamp(&self) -> Result<(i64, DateTime<Utc>), StoreError> {
        let started = Instant::now();
        let stamp = self.store.stamp().await;
        self.database.met(stamp, started.elapsed())
    }

    /// The first contact with a database that was away when the process started.
    async fn prepare_and_refresh(&self) -> Result<(), ConfigActorError> {
        let started = Instant::now();
        let prepared = self.store.prepare().await;
        self.database.met(prepared, started.elapsed())?;
        let snapshot = self.refresh().await?;
        log::info!(version = snapshot.version; "the database can be reached, its configuration is in force");
        Ok(())
    }

    /// Reads the store, tells the followers, publishes: limits and health first, the snapshot
    /// last, so that a visible credential always has its bucket.
    pub(super) async fn refresh(&self) -> Result<Arc<Snapshot>, ConfigActorError> {
        let started = Instant::now();
        let loaded = self.store.load().await;
        let loaded = self.database.met(loaded, started.elapsed())?;
        let kept = self.keeper.as_ref().map(|_| loaded.clone());
        let snapshot = Arc::new(Snapshot::new(loaded, Source::Database, &self.sealer));
        self.followers.adopt(&snapshot).await.map_err(ConfigActorError::Follower)?;
        report(&snapshot, &self.snapshots.current().errors);
        self.telemetry.config_version.set(snapshot.version);
        self.snapshots.publish(Arc::clone(&snapshot));
        if let (Some(keeper), Some(loaded)) = (&self.keeper, kept) {
            keeper.keep(loaded);
        }
        Ok(snapshot)
    }
}

/// Logs what of the stored rows cannot be used.
pub(super) fn report_all(snapshot: &Snapshot) {
    report(snapshot, &[]);
}

/// Logs mistakes that are not among the `known` ones.
fn report(snapshot: &Snapshot, known: &[ConfigError]) {
    for error in snapshot.errors.iter().filter(|error| !known.contains(error)) {
        let (entity, id, field, message) =
            (error.entity.name(), error.id, error.field.as_str(), error.message.as_str());
        log::warn!(entity, id, field, message; "a stored row cannot be used");
    }
}

impl Actor for ConfigActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.watch(context);
    }
}

impl Handler<Apply> for ConfigActor {
    type Result = AtomicResponse<Self, Result<Applied, ConfigActorError>>;

    fn handle(&mut self, Apply { change, actor, deadline }: Apply, _: &mut Context<Self>) -> Self::Result {
        let (parts, begin) = (self.parts.clone(), deadline.check());
        let applied = async move {
            begin?;
            let started = Instant::now();
            let done = carry_out(&*parts.store, change, &actor).await;
            let (id, version) = parts.database.met(done, started.elapsed())?;
            let snapshot = parts.refresh().await.map_err(ConfigActorError::stored)?;
            Ok(Applied { id, version, snapshot })
        };
        AtomicResponse::new(Box::pin(applied.into_actor(self)))
    }
}

impl Handler<Reload> for ConfigActor {
    type Result = AtomicResponse<Self, Result<Arc<Snapshot>, ConfigActorError>>;

    fn handle(&mut self, _: Reload, _: &mut Context<Self>) -> Self::Result {
        let parts = self.parts.clone();
        let reload = async move {
            if parts.snapshots.current().source != Source::Database {
                parts.prepare_and_refresh().await?;
            }
            parts.refresh().await
        };
        AtomicResponse::new(Box::pin(reload.into_actor(self)))
    }
}

impl Handler<CatchUp> for ConfigActor {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, _: CatchUp, _: &mut Context<Self>) -> Self::Result {
        let parts = self.parts.clone();
        let catch_up = async move { parts.catch_up().await };
        AtomicResponse::new(Box::pin(catch_up.into_actor(self)))
    }
}
