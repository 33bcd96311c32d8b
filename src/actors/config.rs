//! The one writer of configuration.

use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorFutureExt as _, Addr, AsyncContext as _, AtomicResponse, Context, Handler, Message, WrapFuture as _,
};

use super::AskError;
use super::adopt::Adopt;
use super::provider_pool::ProviderPoolActor;
use super::published::Publisher;
use super::rate_limiter::RateLimiterActor;
use super::supervise::Supervised;
use crate::config::{ConfigError, CredentialDraft, CredentialPatch, ProviderDraft, ProviderPatch, Snapshot};
use crate::store::{Store, StoreError};
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
    /// The configuration in force, which holds the change.
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
}

/// Applies one change; replies after it is stored *and* visible to new requests.
#[derive(Debug, Message)]
#[rtype(result = "Result<Applied, ConfigActorError>")]
pub struct Apply {
    /// What to change.
    pub change: Change,
    /// Who asked for it, for the history.
    pub actor: String,
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

/// Serialises configuration changes and publishes each result as an immutable [`Snapshot`].
pub struct ConfigActor {
    store: Arc<dyn Store>,
    followers: Followers,
    snapshots: Publisher<Snapshot>,
    poll: Duration,
    telemetry: Telemetry,
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
    match ask(follower.load()).await {
        Err(AskError::Gone) => {
            restarts.changed().await;
            ask(follower.load()).await
        }
        answer => answer,
    }
}

// === impl ConfigActor ===

impl ConfigActor {
    /// An actor over `store` that goes on with the snapshot published last.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        followers: Followers,
        snapshots: Publisher<Snapshot>,
        poll: Duration,
        telemetry: Telemetry,
    ) -> Self {
        Self { store, followers, snapshots, poll, telemetry }
    }

    /// Looks for changes that were not made here: by plain SQL, or by another process.
    fn poll(&mut self, context: &mut Context<Self>) {
        let store = Arc::clone(&self.store);
        let version = async move { store.version().await };
        context.spawn(version.into_actor(self).map(|version, actor, context| match version {
            Ok(version) if version != actor.snapshots.current().version => {
                // A mailbox that is full of admin writes will publish this version too.
                let _ = context.address().try_send(Reload);
            }
            Ok(_) => {}
            Err(error) => {
                log::warn!(error:%; "cannot poll the version of the configuration")
            }
        }));
    }
}

async fn carry_out(store: &dyn Store, change: Change, actor: &str) -> Result<i32, StoreError> {
    Ok(match change {
        Change::CreateProvider(draft) => store.create_provider(draft, actor).await?.record.id,
        Change::UpdateProvider(id, patch) => store.update_provider(id, patch, actor).await?.record.id,
        Change::DeleteProvider(id) => {
            store.delete_provider(id, actor).await?;
            id
        }
        Change::CreateCredential(draft) => store.create_credential(draft, actor).await?.record.id,
        Change::UpdateCredential(id, patch) => store.update_credential(id, patch, actor).await?.record.id,
        Change::DeleteCredential(id) => {
            store.delete_credential(id, actor).await?;
            id
        }
    })
}

/// Reads the store, tells the followers, publishes: limits and health first, the snapshot last,
/// so that a visible credential always has its bucket.
async fn refresh(
    store: Arc<dyn Store>,
    followers: Followers,
    snapshots: Publisher<Snapshot>,
    telemetry: Telemetry,
) -> Result<Arc<Snapshot>, ConfigActorError> {
    let snapshot = Arc::new(Snapshot::new(store.load().await?));
    followers.adopt(&snapshot).await.map_err(ConfigActorError::Follower)?;
    report(&snapshot, &snapshots.current().errors);
    telemetry.config_version.set(snapshot.version);
    snapshots.publish(Arc::clone(&snapshot));
    Ok(snapshot)
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
        context.run_interval(self.poll, Self::poll);
    }
}

impl Handler<Apply> for ConfigActor {
    type Result = AtomicResponse<Self, Result<Applied, ConfigActorError>>;

    fn handle(&mut self, Apply { change, actor }: Apply, _: &mut Context<Self>) -> Self::Result {
        let (store, followers) = (Arc::clone(&self.store), self.followers.clone());
        let (snapshots, telemetry) = (self.snapshots.clone(), self.telemetry.clone());
        let applied = async move {
            let id = carry_out(&*store, change, &actor).await?;
            let snapshot = refresh(store, followers, snapshots, telemetry).await?;
            Ok(Applied { id, snapshot })
        };
        AtomicResponse::new(Box::pin(applied.into_actor(self)))
    }
}

impl Handler<Reload> for ConfigActor {
    type Result = AtomicResponse<Self, Result<Arc<Snapshot>, ConfigActorError>>;

    fn handle(&mut self, _: Reload, _: &mut Context<Self>) -> Self::Result {
        let (store, followers) = (Arc::clone(&self.store), self.followers.clone());
        let reload = refresh(store, followers, self.snapshots.clone(), self.telemetry.clone());
        AtomicResponse::new(Box::pin(reload.into_actor(self)))
    }
}
