//! Processes that share a configuration, with their real writers and followers, while operators,
//! other programs, the database and the actors themselves get in each other's way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::clock::sleep;
use actix::{Actor, Context, Handler};
use proptest::prelude::*;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::database::{Database, Weather};
use super::schedule::{Event, FOR_LONG, Who, change, event, sql};
use super::{Dice, End, Hold, can_be_disturbed, schedules, simulate};
use crate::actors::config::{Apply, ConfigActor, ConfigActorError, ConfigParts, Followers, Reload};
use crate::actors::database::{DatabaseStatus, DatabaseWatch};
use crate::actors::history::Rollback;
use crate::actors::provider_pool::{PoolView, ProviderPoolActor, successes};
use crate::actors::published::{Published, publish};
use crate::actors::rate_limiter::{LimitTable, Limiter, RateLimiterActor};
use crate::actors::supervise::{Supervised, supervise};
use crate::actors::{AskError, ask};
use crate::config::{Loaded, Quota, Sealer, Snapshot, Source};
use crate::settings::BreakerPolicy;
use crate::store::StoreError;
use crate::telemetry::Telemetry;

can_be_disturbed!(ConfigActor);
can_be_disturbed!(ProviderPoolActor);

const POLL: Duration = Duration::from_secs(15);

/// Somewhat longer than an actor takes to be started again.
const RESTART: Duration = Duration::from_millis(150);

/// What its caller was told of a change.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Told {
    /// It is stored, as this version, and in force.
    Done(i64),
    /// It is stored.
    Stored,
    /// It is not stored, and will not be.
    NotDone,
    /// The database did not answer, or the writer: nothing more will come of it.
    NothingMore,
    /// The writer ended.
    Unknown,
}

#[derive(Debug, Clone)]
struct Asked {
    actor: String,
    told: Told,
    at: Instant,
}

/// One process. What it publishes is watched at each step.
struct Process {
    config: Supervised<ConfigActor>,
    followers: Followers,
    snapshot: Published<Snapshot>,
    /// When a follower was ended or held up.
    disturbed: Arc<Mutex<Vec<(Instant, Disturbance)>>>,
}

struct World {
    database: Arc<Database>,
    processes: Vec<Process>,
    asked: Arc<Mutex<Vec<Asked>>>,
    tasks: Vec<JoinHandle<()>>,
    wrong: Arc<Mutex<Vec<String>>>,
}

impl Process {
    async fn start(database: &Arc<Database>, is_loaded: bool, wrong: &Arc<Mutex<Vec<String>>>) -> Self {
        let (telemetry, sealer) = (Telemetry::new().unwrap(), Arc::new(Sealer::default()));
        let first = if is_loaded {
            Snapshot::new(database.at(database.version()).unwrap(), Source::Database, &sealer)
        } else {
            Snapshot::unloaded()
        };
        let (snapshots, snapshot) = publish(first);
        let (tables, limits) = publish(LimitTable::new());
        let (views, pool) = publish(PoolView::default());
        let (current, visible) = (snapshot.clone(), snapshot.clone());
        let rate_limiter =
            supervise("RateLimiterActor", move || RateLimiterActor::new(tables.clone(), None, visible.clone()));
        let metrics = telemetry.clone();
        let provider_pool = supervise("ProviderPoolActor", move || {
            ProviderPoolActor::new(
                BreakerPolicy::default(),
                views.clone(),
                &current.load(),
                successes(),
                metrics.clone(),
            )
        });
        let followers = Followers { rate_limiter, provider_pool };
        followers.adopt(&snapshot.load()).await.unwrap();
        let (status, _) = publish(DatabaseStatus::default());
        let parts = ConfigParts {
            store: database.link(),
            sealer,
            followers: followers.clone(),
            snapshots,
            keeper: None,
            database: DatabaseWatch::new(status, telemetry.clone()),
            poll: POLL,
            telemetry,
        };
        let config = supervise("ConfigActor", move || ConfigActor::new(parts.clone()));
        let watched = Watched { database: Arc::clone(database), snapshot: snapshot.clone(), limits, pool };
        actix::spawn(watched.watch(Arc::clone(wrong)));
        Self { config, followers, snapshot, disturbed: Arc::default() }
    }

    fn disturb(&self, who: Who, how: impl Into<Disturbance>) {
        let how = how.into();
        match who {
            Who::Config => return how.reach(&self.config),
            Who::Limits => how.reach(&self.followers.rate_limiter),
            Who::Pool => how.reach(&self.followers.provider_pool),
        }
        self.disturbed.lock().unwrap().push((Instant::now(), how));
    }
}

/// What happens to an actor.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Disturbance {
    End,
    Hold(Duration),
}

impl Disturbance {
    fn reach<A>(self, actor: &Supervised<A>)
    where
        A: Actor<Context = Context<A>> + Handler<End> + Handler<Hold>,
    {
        // One that is just being started again has had enough.
        match self {
            Self::End => drop(actor.load().try_send(End)),
            Self::Hold(time) => drop(actor.load().try_send(Hold(time))),
        }
    }
}

impl From<End> for Disturbance {
    fn from(_: End) -> Self {
        Self::End
    }
}

impl From<Hold> for Disturbance {
    fn from(Hold(time): Hold) -> Self {
        Self::Hold(time)
    }
}

/// The views of a process as requests see them.
struct Watched {
    database: Arc<Database>,
    snapshot: Published<Snapshot>,
    limits: Published<LimitTable>,
    pool: Published<PoolView>,
}

impl Watched {
    async fn watch(mut self, wrong: Arc<Mutex<Vec<String>>>) {
        let (mut version, mut table) = (0, self.limits.load());
        loop {
            let (snapshot, limits) = (self.snapshot.load(), self.limits.load());
            let mut found = self.is_complete(&snapshot, &limits);
            if snapshot.version < version {
                found.push(format!("version {} follows {version}", snapshot.version));
            }
            let kept = |(id, limiter): (&i32, &Arc<Limiter>)| {
                let before = table.get(id);
                before.is_none_or(|before| before.quota != limiter.quota || Arc::ptr_eq(before, limiter))
            };
            if !limits.iter().all(kept) {
                found.push(format!("a bucket begins anew at version {}", snapshot.version));
            }
            wrong.lock().unwrap().extend(found);
            (version, table) = (snapshot.version, limits);
            tokio::select! {
                biased;
                () = self.snapshot.changed() => {}
                () = self.limits.changed() => {}
                () = self.pool.changed() => {}
            }
        }
    }

    /// Whoever sees this snapshot finds the bucket of each credential and the gate of each provider.
    fn is_complete(&self, snapshot: &Snapshot, limits: &LimitTable) -> Vec<String> {
        let (pool, mut found) = (self.pool.load(), Vec::new());
        if !snapshot.is_loaded() {
            return found;
        }
        let version = snapshot.version;
        for credential in &snapshot.credentials {
            if credential.quota != Quota::Unlimited && !limits.contains_key(&credential.record.id) {
                found.push(format!("credential {} of version {version} has no bucket", credential.record.id));
            }
        }
        // One that is gone from a later version may lose its gate before that version is seen.
        let later = (version..=self.database.version()).filter_map(|version| self.database.at(version));
        let lasting = |id: i32| later.clone().all(|stored| stored.providers.iter().any(|row| row.id == id));
        let missing = snapshot.usable.iter().filter(|provider| pool.admission(provider.id).is_none());
        for provider in missing.filter(|provider| lasting(provider.id.0)) {
            found.push(format!("provider {:?} of version {version} has no gate", provider.id));
        }
        let stored = self.database.at(version);
        let is_same = |stored: &Loaded| {
            let credentials: Vec<_> = snapshot.credentials.iter().map(|credential| &credential.record).collect();
            stored.providers == snapshot.providers && stored.credentials.iter().eq(credentials)
        };
        if !stored.as_ref().is_some_and(is_same) {
            found.push(format!("version {version} is not what is stored as it"));
        }
        found
    }
}

fn told(answer: Result<Result<(i64, Arc<Snapshot>), ConfigActorError>, AskError>) -> Told {
    match answer {
        Ok(Ok((version, _))) => Told::Done(version),
        Ok(Err(ConfigActorError::NotInForce(_) | ConfigActorError::Follower(_))) => Told::Stored,
        Ok(Err(ConfigActorError::Store(StoreError::Unavailable(_)))) | Err(AskError::Busy) => Told::NothingMore,
        Ok(Err(ConfigActorError::Late | ConfigActorError::Store(_))) => Told::NotDone,
        Err(AskError::Gone) => Told::Unknown,
    }
}

impl World {
    async fn start(processes: usize, is_loaded: bool, seed: u64) -> Self {
        let (database, wrong) = (Database::new(Dice::new(seed)), Arc::default());
        let mut world = Self { database, processes: Vec::new(), asked: Arc::default(), tasks: Vec::new(), wrong };
        for _ in 0..processes {
            world.processes.push(Process::start(&world.database, is_loaded, &world.wrong).await);
        }
        world
    }

    async fn happens(&mut self, event: &Event) {
        let count = self.processes.len();
        match *event {
            Event::Passes(time) => sleep(time).await,
            Event::Applies { at, edit } => {
                let name = format!("change {}", self.tasks.len());
                let message = Apply::new(change(edit, &name), name.clone());
                self.asks(at % count, name, async move |config| {
                    Ok(ask(&config, message).await?.map(|applied| (applied.version, applied.snapshot)))
                });
            }
            Event::RollsBack { at, by } => {
                let name = format!("rollback {}", self.tasks.len());
                let message = Rollback::new((self.database.version() - by).max(0), false, name.clone());
                self.asks(at % count, name, async move |config| {
                    Ok(ask(&config, message).await?.map(|restored| (restored.done.version, restored.snapshot)))
                });
            }
            Event::Reloads(at) => {
                let name = format!("reload {}", self.tasks.len());
                self.asks(at % count, name, async move |config| {
                    Ok(ask(&config, Reload).await?.map(|snapshot| (snapshot.version, snapshot)))
                });
            }
            Event::Elsewhere(edit) => self.database.sql(|rows| sql(edit, rows)),
            Event::Turns(weather) => *self.database.weather.lock().unwrap() = weather,
            Event::Deafens(percent) => *self.database.deaf.lock().unwrap() = percent,
            Event::Held { at, who, time } => self.processes[at % count].disturb(who, Hold(time)),
            Event::Ends { at, who } => self.processes[at % count].disturb(who, End),
        }
    }

    /// Asks a writer, and looks at once whether what it tells is in force.
    fn asks<Q>(&mut self, at: usize, actor: String, question: Q)
    where
        Q: AsyncFnOnce(
                Arc<actix::Addr<ConfigActor>>,
            ) -> Result<Result<(i64, Arc<Snapshot>), ConfigActorError>, AskError>
            + 'static,
    {
        let process = &self.processes[at];
        let (config, snapshot) = (process.config.load(), process.snapshot.clone());
        let (asked, wrong, disturbed) =
            (Arc::clone(&self.asked), Arc::clone(&self.wrong), Arc::clone(&process.disturbed));
        let began = Instant::now();
        self.tasks.push(actix::spawn(async move {
            let answer = question(config).await;
            let (now, mut found) = (Instant::now(), Vec::new());
            if let Ok(Ok((version, in_force))) = &answer
                && (in_force.version < *version || snapshot.load().version < *version)
            {
                found.push(format!("{actor}: told of version {version} before it is in force"));
            }
            if let Ok(Err(ConfigActorError::Follower(error))) = &answer {
                let disturbed = disturbed.lock().unwrap();
                let count = |is_why: &dyn Fn(&(Instant, Disturbance)) -> bool| {
                    disturbed.iter().filter(|(when, how)| is_why(&(*when, *how))).count()
                };
                let is_excused = match error {
                    // Asked twice, it ended twice.
                    AskError::Gone => count(&|(when, how)| *how == Disturbance::End && *when + RESTART >= began) >= 2,
                    AskError::Busy => {
                        count(&|(when, how)| *how == Disturbance::Hold(FOR_LONG) && *when + FOR_LONG >= began) >= 1
                    }
                };
                if !is_excused {
                    found.push(format!("{actor}: a follower is missed that is there: {error}"));
                }
            }
            wrong.lock().unwrap().extend(found);
            asked.lock().unwrap().push(Asked { actor, told: told(answer), at: now });
        }));
    }

    /// Good weather, though nothing is told any more, until everybody has had an answer and polled.
    async fn calms(&mut self) {
        *self.database.weather.lock().unwrap() = Weather::Up(Duration::ZERO);
        *self.database.deaf.lock().unwrap() = 100;
        sleep(FOR_LONG * 8).await;
    }

    fn check(&self) -> Vec<String> {
        let mut wrong = self.wrong.lock().unwrap().clone();
        let version = self.database.version();
        for (at, process) in self.processes.iter().enumerate() {
            let snapshot = process.snapshot.load();
            if snapshot.version != version || !snapshot.is_loaded() {
                wrong.push(format!("process {at} stays at version {} of {version}", snapshot.version));
            }
        }
        let forgotten = self.tasks.iter().filter(|task| !task.is_finished()).count();
        if forgotten > 0 {
            wrong.push(format!("{forgotten} wait for ever"));
        }
        let asked = self.asked.lock().unwrap();
        wrong.extend(asked.iter().filter(|asked| !self.is_true(asked)).map(|asked| format!("not true: {asked:?}")));
        wrong
    }

    /// Whether what the caller was told is what became of it.
    fn is_true(&self, asked: &Asked) -> bool {
        let made = self.database.made_by(&asked.actor);
        let is_made = |version: i64| made.iter().all(|made| made.version == version);
        match asked.told {
            // One that changed nothing made no version.
            Told::Done(version) => made.len() <= 1 && is_made(version) && version <= self.database.version(),
            Told::Stored => made.len() <= 1,
            Told::NotDone => made.is_empty(),
            Told::NothingMore => made.len() <= 1 && made.iter().all(|made| made.at <= asked.at),
            Told::Unknown => made.len() <= 1,
        }
    }

    /// Each change that was made, by whom.
    fn trace(&self) -> Vec<(String, Told, Duration)> {
        let (asked, now) = (self.asked.lock().unwrap(), Instant::now());
        asked.iter().map(|asked| (asked.actor.clone(), asked.told, now.duration_since(asked.at))).collect()
    }
}

async fn run(processes: usize, is_loaded: bool, seed: u64, events: &[Event]) -> World {
    let mut world = World::start(processes, is_loaded, seed).await;
    for event in events {
        world.happens(event).await;
    }
    world.calms().await;
    world
}

proptest! {
    #![proptest_config(schedules(700))]

    #[test]
    fn whatever_gets_in_the_way_all_see_whole_versions_in_order_and_nobody_is_told_what_is_not_so(
        processes in 1..3_usize,
        is_loaded in prop::bool::weighted(0.8),
        seed in any::<u64>(),
        events in prop::collection::vec(event(), 1..60),
    ) {
        let wrong = simulate(async { run(processes, is_loaded, seed, &events).await.check() });
        prop_assert!(wrong.is_empty(), "{:#?}", wrong);
    }
}

proptest! {
    #![proptest_config(schedules(50))]

    #[test]
    fn a_schedule_runs_the_same_way_again(seed in any::<u64>(), events in prop::collection::vec(event(), 1..40)) {
        let once = || simulate(async { run(2, true, seed, &events).await.trace() });
        prop_assert_eq!(once(), once());
    }
}
