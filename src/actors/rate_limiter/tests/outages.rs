//! Replicas, their actors and their buckets around a Redis that is slow, loses answers, dies and
//! comes back: whatever happens, in whatever order, the promises of the shared limits hold.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::clock::sleep;
use async_trait::async_trait;
use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::super::bucket::Terms;
use super::super::lease::{Grant, MICRO, slice};
use super::super::redis::SharedBuckets;
use super::super::{CHECK_EVERY, Decision, LimitTable, Limiter, RateLimiterActor, RedisStatus, Sharing};
use super::script::Script;
use super::{quota, terms};
use crate::actors::published::{Published, publish};
use crate::actors::simulation::{Dice, End, Hold, around, can_be_disturbed, schedules, simulate};
use crate::actors::supervise::{Supervised, supervise};
use crate::config::Snapshot;
use crate::telemetry::Telemetry;

can_be_disturbed!(RateLimiterActor);

/// How Redis is met for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Weather {
    /// Each way takes so long at most.
    Up(Duration),
    /// So many percent of the questions, and of the answers, get lost as well.
    Losing(Duration, u32),
    /// Nothing is answered, though what was asked may be carried out later.
    Frozen,
    /// Each question is refused at once.
    Refusing,
}

#[derive(Debug, Clone)]
enum Event {
    Passes(Duration),
    Arrive {
        at: usize,
        many: usize,
    },
    /// So many of the clients that came last leave.
    Leave {
        at: usize,
        many: usize,
    },
    Turns(Weather),
    /// Redis starts again without what it knew.
    Forgets,
    /// The actor of a replica ends, or is kept busy.
    Ends(usize),
    Held(usize, Duration),
}

fn weather() -> impl Strategy<Value = Weather> {
    prop_oneof![
        3 => around(40).prop_map(Weather::Up),
        2 => (around(120), 5..60_u32).prop_map(|(time, percent)| Weather::Losing(time, percent)),
        1 => Just(Weather::Frozen),
        1 => Just(Weather::Refusing),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let replica = 0..3_usize;
    let many = || prop_oneof![1..3_usize, 1..30_usize, 20..90_usize];
    prop_oneof![
        6 => prop_oneof![around(20), around(300), around(3_000)].prop_map(Event::Passes),
        8 => (replica.clone(), many()).prop_map(|(at, many)| Event::Arrive { at, many }),
        3 => (replica.clone(), many()).prop_map(|(at, many)| Event::Leave { at, many }),
        2 => weather().prop_map(Event::Turns),
        1 => Just(Event::Forgets),
        1 => replica.clone().prop_map(Event::Ends),
        1 => (replica, around(100)).prop_map(|(at, time)| Event::Held(at, time)),
    ]
}

/// What clients do, and Redis forgetting.
fn calm() -> impl Strategy<Value = Event> {
    let replica = 0..3_usize;
    prop_oneof![
        6 => prop_oneof![around(20), around(300), around(3_000)].prop_map(Event::Passes),
        8 => (replica.clone(), 1..30_usize).prop_map(|(at, many)| Event::Arrive { at, many }),
        1 => (replica, 1..30_usize).prop_map(|(at, many)| Event::Leave { at, many }),
        1 => Just(Event::Forgets),
    ]
}

/// What Redis knows, and how it is met.
struct Server {
    start: Instant,
    buckets: Mutex<HashMap<String, Script>>,
    weather: Mutex<Weather>,
    dice: Dice,
    limit: Duration,
}

impl Server {
    fn micros(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap()
    }

    fn weather(&self) -> Weather {
        *self.weather.lock().unwrap()
    }

    fn run(&self, key: &str, terms: Terms, want: u32) -> Grant {
        let (now, mut buckets) = (self.micros(), self.buckets.lock().unwrap());
        buckets.entry(key.to_owned()).or_insert_with(|| Script::full(terms, now)).take(want, now)
    }

    /// How long each way takes; `None` when the question, or the answer, is lost on it.
    fn ways(&self) -> (Option<Duration>, Option<Duration>) {
        match self.weather() {
            Weather::Up(time) => (Some(self.dice.time(time)), Some(self.dice.time(time))),
            Weather::Losing(time, percent) => {
                let way = || (!self.dice.falls(percent)).then(|| self.dice.time(time));
                (way(), way())
            }
            Weather::Frozen => (self.dice.falls(50).then(|| self.dice.time(self.limit * 3)), None),
            Weather::Refusing => (None, None),
        }
    }
}

/// A replica's way there. What is on its way arrives, whether or not anybody waits.
#[derive(Clone)]
struct Line(Arc<Server>);

#[async_trait]
impl SharedBuckets for Line {
    fn address(&self) -> String {
        "model".to_owned()
    }

    fn key(&self, credential: i32, terms: Terms) -> String {
        format!("{credential} {terms:?}")
    }

    async fn take(&self, key: &str, terms: Terms, want: u32) -> Result<Grant, String> {
        if self.0.weather() == Weather::Refusing {
            return Err("refused".to_owned());
        }
        let (server, key, (there, back)) = (Arc::clone(&self.0), key.to_owned(), self.0.ways());
        let (sender, answer) = oneshot::channel();
        tokio::spawn(async move {
            if let Some(there) = there {
                sleep(there).await;
                let grant = server.run(&key, terms, want);
                if let Some(back) = back {
                    sleep(back).await;
                    let _ = sender.send(grant);
                    return;
                }
            }
            sleep(server.limit * 2).await;
        });
        let answer = timeout(self.0.limit, answer).await.map_err(|_elapsed| "no answer in time".to_owned())?;
        answer.map_err(|error| error.to_string())
    }

    async fn check(&self) -> Result<(), String> {
        self.take("check", Terms::SMALLEST, 0).await.map(drop)
    }
}

struct Replica {
    actor: Supervised<RateLimiterActor>,
    limiter: Arc<Limiter>,
    status: Published<RedisStatus>,
    telemetry: Telemetry,
    requests: Vec<JoinHandle<()>>,
}

/// One decision.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Told {
    replica: usize,
    /// Microseconds since the start.
    at: u64,
    waited: Duration,
    decision: Decision,
    /// Whether the replica decided on its own.
    is_alone: bool,
}

struct World {
    terms: Terms,
    server: Arc<Server>,
    replicas: Vec<Replica>,
    told: Arc<Mutex<Vec<Told>>>,
    /// When Redis forgot.
    forgot: Vec<u64>,
}

impl Replica {
    async fn start(terms: Terms, server: &Arc<Server>) -> Self {
        let telemetry = Telemetry::new().unwrap();
        let (statuses, status) = publish(RedisStatus::default());
        let ((tables, _), (_, visible)) = (publish(LimitTable::new()), publish(Snapshot::unloaded()));
        let line = Box::new(Line(Arc::clone(server)));
        let sharing = Arc::new(Sharing::over(line, server.limit, statuses, telemetry.clone()));
        sharing.check().await;
        let kept = Arc::clone(&sharing);
        let actor = supervise("RateLimiterActor", move || {
            RateLimiterActor::new(tables.clone(), Some(kept.clone()), visible.clone())
        });
        let limiter = Arc::new(Limiter::new(7, quota(terms.per_second.get(), terms.burst.get()), Some(&sharing)));
        Self { actor, limiter, status, telemetry, requests: Vec::new() }
    }
}

impl World {
    async fn start(terms: Terms, replicas: usize, limit: Duration, seed: u64) -> Self {
        let server = Arc::new(Server {
            start: Instant::now(),
            buckets: Mutex::default(),
            weather: Mutex::new(Weather::Up(Duration::ZERO)),
            dice: Dice::new(seed),
            limit,
        });
        let replicas = join_all((0..replicas).map(|_| Replica::start(terms, &server))).await;
        tokio::task::yield_now().await;
        Self { terms, server, replicas, told: Arc::default(), forgot: Vec::new() }
    }

    async fn happens(&mut self, event: &Event) {
        let count = self.replicas.len();
        match *event {
            Event::Passes(time) => sleep(time).await,
            Event::Arrive { at, many } => (0..many).for_each(|_| self.arrives(at % count)),
            Event::Leave { at, many } => {
                let requests = &mut self.replicas[at % count].requests;
                for request in requests.split_off(requests.len().saturating_sub(many)) {
                    // One that is decided already has its token.
                    request.abort();
                }
            }
            Event::Turns(weather) => *self.server.weather.lock().unwrap() = weather,
            Event::Forgets => {
                self.server.buckets.lock().unwrap().clear();
                self.forgot.push(self.server.micros());
            }
            Event::Ends(at) => drop(self.replicas[at % count].actor.load().try_send(End)),
            Event::Held(at, time) => drop(self.replicas[at % count].actor.load().try_send(Hold(time))),
        }
    }

    fn arrives(&mut self, at: usize) {
        let (server, told, replica) = (Arc::clone(&self.server), Arc::clone(&self.told), &mut self.replicas[at]);
        let (limiter, alone) = (Arc::clone(&replica.limiter), replica.telemetry.rate_limit_fallback.clone());
        let began = Instant::now();
        replica.requests.push(actix::spawn(async move {
            let mut taken = pin!(limiter.take());
            let (decision, is_alone) = poll_fn(|context| {
                let before = alone.get();
                // Counted in the moment in which it decides.
                taken.as_mut().poll(context).map(|decision| (decision, alone.get() > before))
            })
            .await;
            let (at_micros, waited) = (server.micros(), began.elapsed());
            told.lock().unwrap().push(Told { replica: at, at: at_micros, waited, decision, is_alone });
        }));
    }

    /// Good weather until everybody has been told and every bucket is full.
    async fn calms(&mut self) {
        *self.server.weather.lock().unwrap() = Weather::Up(Duration::ZERO);
        // The longest that a question asked in bad weather, and then a new actor, may take.
        sleep(CHECK_EVERY + self.server.limit * 4 + Duration::from_secs(8)).await;
        for (at, replica) in self.replicas.iter_mut().enumerate() {
            for request in replica.requests.drain(..) {
                assert!(request.is_finished(), "a request at replica {at} was forgotten");
            }
            assert!(replica.status.load().is_up, "replica {at} does not find Redis again");
        }
        sleep(self.terms.refill(self.terms.burst.get()) + Duration::from_secs(2)).await;
    }

    fn held(&self) -> u64 {
        u64::from(slice(self.terms)) * u64::try_from(self.replicas.len()).unwrap()
    }

    /// In every window no more than burst + rate x T + `held`. Where Redis forgot another burst, for
    /// what it gave before is still on its way then.
    fn is_within_bound(&self, admitted: &[u64], held: u64, forgot: &[u64]) -> Result<(), String> {
        let (rate, burst) = (i128::from(self.terms.per_second.get()), i128::from(self.terms.burst.get()));
        let (micro, most) = (i128::from(MICRO), (burst + i128::from(held)) * i128::from(MICRO));
        let on_its_way = u64::try_from(self.server.limit.as_micros()).unwrap();
        let mut forgettings = forgot.iter().peekable();
        // The most that any window up to now holds beyond what flowed in during it.
        let (mut excess, mut last) = (0, 0);
        for at in admitted {
            while forgettings.next_if(|forgot| *forgot <= at).is_some() {
                excess -= burst * micro;
            }
            let recent = forgot.iter().filter(|forgot| (**forgot..=**forgot + on_its_way).contains(at)).count();
            let begins = -burst * micro * i128::try_from(recent).unwrap();
            excess = (excess - i128::from(at - last) * rate).max(begins) + micro;
            last = *at;
            if excess > most {
                return Err(format!("until {at} us {excess} millionths beyond what flowed in, at most {most} may"));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let told = self.told.lock().unwrap();
        let admitted = |is_ours: &dyn Fn(&&Told) -> bool| -> Vec<u64> {
            let passed = told.iter().filter(|told| told.decision.retry_after.is_none());
            passed.filter(is_ours).map(|told| told.at).collect()
        };
        self.is_within_bound(&admitted(&|told| !told.is_alone), self.held(), &self.forgot)
            .map_err(|error| format!("together: {error}"))?;
        for replica in 0..self.replicas.len() {
            self.is_within_bound(&admitted(&|told| told.is_alone && told.replica == replica), 0, &[])
                .map_err(|error| format!("replica {replica} on its own: {error}"))?;
        }
        for told in told.iter() {
            // The stopped clock is a millisecond coarse.
            if told.waited > self.server.limit + Duration::from_millis(1) {
                return Err(format!("waited too long: {told:?}"));
            }
            let Decision { limit, remaining, retry_after, can_recover, .. } = told.decision;
            let is_sound = can_recover && limit == self.terms.burst.get() && remaining <= limit;
            if !is_sound || retry_after.is_some_and(|wait| wait.is_zero() || wait > self.terms.refill(1) * 2) {
                return Err(format!("told nonsense: {told:?}"));
            }
        }
        Ok(())
    }

    /// Asks at once for more than all buckets together hold, and gives who was told what.
    async fn storms(&mut self, at: usize, many: usize) -> Vec<Told> {
        let before = self.told.lock().unwrap().len();
        (0..many).for_each(|_| self.arrives(at));
        sleep(self.server.limit * 2).await;
        self.told.lock().unwrap().split_off(before)
    }
}

async fn run(terms: Terms, replicas: usize, limit: Duration, (seed, events): (u64, &[Event])) -> World {
    let mut world = World::start(terms, replicas, limit, seed).await;
    for event in events {
        world.happens(event).await;
    }
    world
}

fn any_terms() -> impl Strategy<Value = Terms> {
    let pairs = prop_oneof![(1..20_u32, 1..20_u32), (50..300_u32, 20..100_u32), (1..5_u32, 20..60_u32)];
    pairs.prop_map(|(rate, burst)| terms(rate, burst))
}

fn any_limit() -> impl Strategy<Value = Duration> {
    prop_oneof![Just(20_u64), Just(50), Just(200), Just(1000)].prop_map(Duration::from_millis)
}

proptest! {
    #![proptest_config(schedules(600))]

    #[test]
    fn whatever_becomes_of_redis_all_bounds_hold_nobody_is_forgotten_and_a_full_bucket_admits_again(
        terms in any_terms(),
        replicas in 1..4_usize,
        limit in any_limit(),
        seed in any::<u64>(),
        events in prop::collection::vec(event(), 1..60),
    ) {
        simulate(async {
            let mut world = run(terms, replicas, limit, (seed, &events)).await;
            world.calms().await;
            prop_assert_eq!(world.check(), Ok(()));
            let burst = usize::try_from(terms.burst.get()).unwrap();
            let told = world.storms(0, burst).await;
            let refused: Vec<&Told> = told.iter().filter(|told| told.decision.retry_after.is_some() || told.is_alone).collect();
            prop_assert!(told.len() == burst && refused.is_empty(), "a full bucket refuses: {:?}", refused);
            Ok(())
        })?;
    }

    #[test]
    fn while_redis_answers_in_time_no_replica_decides_on_its_own(
        terms in any_terms(),
        replicas in 1..4_usize,
        seed in any::<u64>(),
        events in prop::collection::vec(calm(), 1..60),
    ) {
        // A request waits for the question under way and then for its own, four ways in all.
        let limit = Duration::from_millis(170);
        simulate(async {
            let mut world = World::start(terms, replicas, limit, seed).await;
            *world.server.weather.lock().unwrap() = Weather::Up(Duration::from_millis(40));
            for event in &events {
                world.happens(event).await;
            }
            world.calms().await;
            prop_assert_eq!(world.check(), Ok(()));
            let told = world.told.lock().unwrap();
            prop_assert!(told.iter().all(|told| !told.is_alone), "decided alone: {:?}", told);
            Ok(())
        })?;
    }
}

proptest! {
    #![proptest_config(schedules(100))]

    #[test]
    fn the_same_schedule_runs_the_same_way_again(
        terms in any_terms(),
        seed in any::<u64>(),
        events in prop::collection::vec(event(), 1..30),
    ) {
        let once = || simulate(async {
            let mut world = run(terms, 2, Duration::from_millis(50), (seed, &events)).await;
            world.calms().await;
            let told = world.told.lock().unwrap();
            told.iter().map(|told| (told.replica, told.at, told.waited, told.is_alone, told.decision.remaining)).collect::<Vec<_>>()
        });
        prop_assert_eq!(once(), once());
    }
}
