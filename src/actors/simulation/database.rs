//! A database in memory that takes its time, fails, and tells of changes late or never.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::Dice;
use crate::config::{
    CredentialDraft, CredentialPatch, CredentialRecord, Entity, Loaded, ProviderDraft, ProviderPatch, ProviderRecord,
};
use crate::store::{
    ChangePage, Committed, ErrorLog, History, Rekeyed, Replica, Replicas, RequestLog, RolledBack, Secrets, Store,
    StoreError,
};

/// How the database is met for a while.
#[derive(Debug, Clone, Copy)]
pub(super) enum Weather {
    /// Each way of a call takes so long at most.
    Up(Duration),
    /// So many percent of the calls fail as well: not reached, busy, or carried out without an answer.
    Failing(Duration, u32),
    /// No call is answered, nor carried out.
    Down,
}

/// A change that was made.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub version: i64,
    pub actor: String,
    pub at: Instant,
}

/// What all processes share.
pub(super) struct Database {
    state: Mutex<State>,
    pub weather: Mutex<Weather>,
    /// How many percent of the notifications are lost.
    pub deaf: Mutex<u32>,
    dice: Dice,
    listeners: Mutex<Vec<Arc<Notify>>>,
}

struct State {
    /// The configuration at each version, from 0.
    versions: Vec<Loaded>,
    made: Vec<Made>,
    last_id: i32,
}

/// One process's way there.
pub(super) struct Link {
    database: Arc<Database>,
    told: Arc<Notify>,
}

/// What becomes of a call.
enum Fate {
    Answered,
    Unreached,
    Busy,
    /// It is carried out, and then the connection is lost.
    Cut,
}

impl State {
    fn last(&self) -> &Loaded {
        self.versions.last().unwrap()
    }

    /// Makes a version of it, unless it is what there is.
    fn commit(&mut self, after: Loaded, actor: &str) -> i64 {
        let before = self.last();
        if after.providers == before.providers && after.credentials == before.credentials {
            return before.version;
        }
        let version = before.version + 1;
        self.versions.push(Loaded { version, changed_at: moment(version), ..after });
        self.made.push(Made { version, actor: actor.to_owned(), at: Instant::now() });
        version
    }

    fn next_id(&mut self) -> i32 {
        self.last_id += 1;
        self.last_id
    }
}

fn moment(version: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_900_000_000_000 + version).unwrap()
}

impl Database {
    pub fn new(dice: Dice) -> Arc<Self> {
        let first = Loaded {
            version: 0,
            changed_at: moment(0),
            providers: Vec::new(),
            credentials: Vec::new(),
            errors: Vec::new(),
        };
        Arc::new(Self {
            state: Mutex::new(State { versions: vec![first], made: Vec::new(), last_id: 0 }),
            weather: Mutex::new(Weather::Up(Duration::ZERO)),
            deaf: Mutex::new(0),
            dice,
            listeners: Mutex::default(),
        })
    }

    pub fn link(self: &Arc<Self>) -> Arc<Link> {
        let told = Arc::new(Notify::new());
        self.listeners.lock().unwrap().push(Arc::clone(&told));
        Arc::new(Link { database: Arc::clone(self), told })
    }

    pub fn version(&self) -> i64 {
        self.state.lock().unwrap().last().version
    }

    pub fn at(&self, version: i64) -> Option<Loaded> {
        self.state.lock().unwrap().versions.get(usize::try_from(version).unwrap()).cloned()
    }

    pub fn made_by(&self, actor: &str) -> Vec<Made> {
        self.state.lock().unwrap().made.iter().filter(|made| made.actor == actor).cloned().collect()
    }

    /// Carries `work` out at once, as plain SQL does, and tells everybody.
    fn carry_out<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap();
        let before = state.last().version;
        let done = work(&mut state);
        if state.last().version > before {
            for listener in self.listeners.lock().unwrap().iter().map(Arc::clone) {
                let (is_lost, late) =
                    (self.dice.falls(*self.deaf.lock().unwrap()), self.dice.time(Duration::from_millis(300)));
                tokio::spawn(async move {
                    sleep(late).await;
                    if !is_lost {
                        listener.notify_one();
                    }
                });
            }
        }
        done
    }

    async fn call<T>(&self, work: impl FnOnce(&mut State) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let weather = *self.weather.lock().unwrap();
        let (most, fate) = match weather {
            Weather::Up(most) => (most, Fate::Answered),
            Weather::Failing(most, percent) if self.dice.falls(percent) => {
                (most, [Fate::Unreached, Fate::Busy, Fate::Cut].into_iter().nth(self.dice.pick(3)).unwrap())
            }
            Weather::Failing(most, _) => (most, Fate::Answered),
            Weather::Down => (Duration::from_secs(4), Fate::Unreached),
        };
        sleep(self.dice.time(most)).await;
        let answer = match fate {
            Fate::Answered => self.carry_out(work),
            Fate::Unreached => return Err(StoreError::Unavailable("not reached".to_owned())),
            Fate::Busy => return Err(StoreError::Busy("others are in the way".to_owned())),
            Fate::Cut => {
                let _ = self.carry_out(work);
                Err(StoreError::Unavailable("connection lost".to_owned()))
            }
        };
        sleep(self.dice.time(most)).await;
        answer
    }

    /// A change by another program.
    pub fn sql(&self, work: impl FnOnce(&mut Loaded)) {
        self.carry_out(|state| {
            let mut after = state.last().clone();
            work(&mut after);
            state.commit(after, "sql")
        });
    }
}

impl Link {
    /// A call that its caller drops still runs to its end.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.database);
        tokio::spawn(async move { database.call(work).await }).await.unwrap()
    }

    /// Changes all rows; `work` gives the record, as far as there is one.
    async fn change<T: Send + 'static>(
        &self,
        actor: &str,
        work: impl FnOnce(&mut Loaded, i32) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Committed<T>, StoreError> {
        let actor = actor.to_owned();
        self.call(move |state| {
            let (mut after, id) = (state.last().clone(), state.next_id());
            let record = work(&mut after, id)?;
            Ok(Committed { version: state.commit(after, &actor), record })
        })
        .await
    }
}

/// The place of a row.
fn place<R>(rows: &[R], id: i32, id_of: impl Fn(&R) -> i32, entity: Entity) -> Result<usize, StoreError> {
    rows.iter().position(|row| id_of(row) == id).ok_or(StoreError::NotFound { entity, id })
}

fn not_simulated<T>() -> Result<T, StoreError> {
    Err(StoreError::Internal("not simulated".to_owned()))
}

#[async_trait]
impl Store for Link {
    async fn prepare(&self) -> Result<usize, StoreError> {
        self.call(|_| Ok(0)).await
    }

    async fn changed(&self) {
        self.told.notified().await;
    }

    async fn load(&self) -> Result<Loaded, StoreError> {
        self.call(|state| Ok(state.last().clone())).await
    }

    async fn version(&self) -> Result<i64, StoreError> {
        self.call(|state| Ok(state.last().version)).await
    }

    async fn stamp(&self) -> Result<(i64, DateTime<Utc>), StoreError> {
        self.call(|state| Ok((state.last().version, state.last().changed_at))).await
    }

    async fn create_provider(
        &self,
        draft: ProviderDraft,
        actor: &str,
    ) -> Result<Committed<ProviderRecord>, StoreError> {
        let create = move |after: &mut Loaded, id| {
            let now = DateTime::UNIX_EPOCH;
            let record = ProviderRecord {
                id,
                provider_key: draft.provider_key,
                provider_type: draft.provider_type,
                api_base: draft.api_base,
                api_key: draft.api_key,
                model_mapping: draft.model_mapping,
                weight: draft.weight,
                provider_params: draft.provider_params,
                is_enabled: draft.is_enabled,
                created_at: now,
                updated_at: now,
            };
            after.providers.push(record.clone());
            Ok(record)
        };
        self.change(actor, create).await
    }

    async fn update_provider(
        &self,
        id: i32,
        patch: ProviderPatch,
        actor: &str,
    ) -> Result<Committed<ProviderRecord>, StoreError> {
        let update = move |after: &mut Loaded, _| {
            let place = place(&after.providers, id, |row| row.id, Entity::Provider)?;
            after.providers[place] = patch.apply_to(&after.providers[place])?;
            Ok(after.providers[place].clone())
        };
        self.change(actor, update).await
    }

    async fn delete_provider(&self, id: i32, actor: &str) -> Result<Committed<()>, StoreError> {
        let delete = move |after: &mut Loaded, _| {
            let place = place(&after.providers, id, |row| row.id, Entity::Provider)?;
            after.providers.remove(place);
            Ok(())
        };
        self.change(actor, delete).await
    }

    async fn create_credential(
        &self,
        draft: CredentialDraft,
        actor: &str,
    ) -> Result<Committed<CredentialRecord>, StoreError> {
        let create = move |after: &mut Loaded, id| {
            let now = DateTime::UNIX_EPOCH;
            let record = CredentialRecord {
                id,
                key_hash: draft.key_hash,
                name: draft.name,
                allowed_models: draft.allowed_models,
                rate_limit: draft.rate_limit,
                burst: draft.burst,
                is_enabled: draft.is_enabled,
                expires_at: draft.expires_at,
                previous_key_hash: None,
                previous_valid_until: None,
                created_at: now,
                updated_at: now,
            };
            after.credentials.push(record.clone());
            Ok(record)
        };
        self.change(actor, create).await
    }

    async fn update_credential(
        &self,
        id: i32,
        patch: CredentialPatch,
        actor: &str,
    ) -> Result<Committed<CredentialRecord>, StoreError> {
        let update = move |after: &mut Loaded, _| {
            let place = place(&after.credentials, id, |row| row.id, Entity::Credential)?;
            after.credentials[place] = patch.apply_to(&after.credentials[place]);
            Ok(after.credentials[place].clone())
        };
        self.change(actor, update).await
    }

    async fn delete_credential(&self, id: i32, actor: &str) -> Result<Committed<()>, StoreError> {
        let delete = move |after: &mut Loaded, _| {
            let place = place(&after.credentials, id, |row| row.id, Entity::Credential)?;
            after.credentials.remove(place);
            Ok(())
        };
        self.change(actor, delete).await
    }

    async fn append_request_logs(&self, _: Arc<Vec<RequestLog>>) -> Result<(), StoreError> {
        not_simulated()
    }

    async fn append_error_logs(&self, _: Arc<Vec<ErrorLog>>) -> Result<(), StoreError> {
        not_simulated()
    }

    async fn prune_error_logs(&self, _: DateTime<Utc>) -> Result<usize, StoreError> {
        not_simulated()
    }

    async fn prune_request_logs(&self, _: DateTime<Utc>) -> Result<usize, StoreError> {
        not_simulated()
    }
}

#[async_trait]
impl History for Link {
    async fn changes_since(&self, _: i64, _: i64) -> Result<ChangePage, StoreError> {
        not_simulated()
    }

    async fn last_changes(&self, _: i64) -> Result<ChangePage, StoreError> {
        not_simulated()
    }

    /// Without the list of what it changed.
    async fn rollback(&self, to: i64, dry_run: bool, actor: &str) -> Result<RolledBack, StoreError> {
        let actor = actor.to_owned();
        self.call(move |state| {
            let then = usize::try_from(to).ok().and_then(|to| state.versions.get(to)).cloned();
            let then = then.ok_or(StoreError::NoVersion(to))?;
            let version = if dry_run { state.last().version } else { state.commit(then, &actor) };
            Ok(RolledBack { version, changes: Vec::new() })
        })
        .await
    }
}

mod logs;

#[async_trait]
impl Replicas for Link {
    async fn heartbeat(&self, _: Replica) -> Result<Vec<Replica>, StoreError> {
        not_simulated()
    }
}

#[async_trait]
impl Secrets for Link {
    async fn rekey(&self, _: bool) -> Result<Rekeyed, StoreError> {
        not_simulated()
    }
}
