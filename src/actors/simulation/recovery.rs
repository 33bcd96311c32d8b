//! The keeper of health and its timer, which alone leads a provider out of an open circuit.

use std::time::Duration;

use actix::clock::sleep;
use chrono::DateTime;
use proptest::prelude::*;
use serde_json::json;
use tokio::time::Instant;

use super::{End, Hold, around, schedules, simulate};
use crate::actors::adopt::Adopt;
use crate::actors::provider_pool::{
    Admission, AttemptFacts, Outcome, PoolView, ProviderPoolActor, ReportOutcome, successes,
};
use crate::actors::published::{Published, publish};
use crate::actors::supervise::{Supervised, supervise};
use crate::config::{Loaded, ProviderId, ProviderRecord, Sealer, Secret, Snapshot, Source};
use crate::settings::BreakerPolicy;
use crate::telemetry::Telemetry;

const PROVIDERS: i32 = 3;

/// Later than this no timer may be: the stopped clock is a millisecond coarse.
const LATE: Duration = Duration::from_millis(2);

/// How long an actor that ended is missing.
const RESTART: Duration = Duration::from_millis(110);

#[derive(Debug, Clone)]
enum Event {
    Passes(Duration),
    Reports {
        provider: i32,
        outcome: Outcome,
        times: u32,
    },
    /// The same configuration is adopted again.
    Adopts,
    Held(Duration),
    Ends,
}

fn event() -> impl Strategy<Value = Event> {
    let outcome = prop_oneof![
        3 => Just(Outcome::ServerError),
        1 => Just(Outcome::RateLimited { retry_after: None }),
        1 => Just(Outcome::Transport),
        2 => Just(Outcome::Success),
    ];
    prop_oneof![
        6 => prop_oneof![around(50), around(9_000), around(40_000)].prop_map(Event::Passes),
        8 => (0..PROVIDERS, outcome, 1..8_u32)
            .prop_map(|(provider, outcome, times)| Event::Reports { provider, outcome, times }),
        1 => Just(Event::Adopts),
        1 => around(2_000).prop_map(Event::Held),
        1 => Just(Event::Ends),
    ]
}

fn snapshot() -> Snapshot {
    let changed_at = DateTime::UNIX_EPOCH;
    let row = |id| ProviderRecord {
        id,
        provider_key: format!("p{id}"),
        provider_type: "openai".to_owned(),
        api_base: "http://127.0.0.1:1".to_owned(),
        api_key: Secret::new("k".to_owned()),
        model_mapping: json!({"m": "m"}),
        weight: 1,
        provider_params: json!({}),
        is_enabled: true,
        created_at: changed_at,
        updated_at: changed_at,
    };
    let providers = (0..PROVIDERS).map(row).collect();
    let loaded = Loaded { version: 1, changed_at, providers, credentials: vec![], errors: vec![] };
    Snapshot::new(loaded, Source::Database, &Sealer::default())
}

struct World {
    actor: Supervised<ProviderPoolActor>,
    snapshot: Published<Snapshot>,
    view: Published<PoolView>,
    /// Until then the actor cannot be expected to do anything.
    busy_until: Instant,
}

impl World {
    fn start() -> Self {
        let telemetry = Telemetry::new().unwrap();
        let ((views, view), (_, snapshot)) = (publish(PoolView::default()), publish(snapshot()));
        let current = snapshot.clone();
        let actor = supervise("ProviderPoolActor", move || {
            ProviderPoolActor::new(
                BreakerPolicy::default(),
                views.clone(),
                &current.load(),
                successes(),
                telemetry.clone(),
            )
        });
        Self { actor, snapshot, view, busy_until: Instant::now() + LATE }
    }

    async fn happens(&mut self, event: &Event) {
        let (now, actor) = (Instant::now(), self.actor.load());
        match *event {
            Event::Passes(time) => sleep(time).await,
            Event::Reports { provider, outcome, times } => {
                for _ in 0..times {
                    // One that is being started again misses them.
                    let _ = actor.try_send(ReportOutcome {
                        provider: ProviderId(provider),
                        outcome,
                        started: now,
                        facts: AttemptFacts::default(),
                    });
                }
            }
            Event::Adopts => drop(actor.try_send(Adopt(self.snapshot.load()))),
            Event::Held(time) => {
                if actor.try_send(Hold(time)).is_ok() {
                    self.busy_until = self.busy_until.max(now) + time;
                }
            }
            Event::Ends => {
                let _ = actor.try_send(End);
                self.busy_until = self.busy_until.max(now) + RESTART;
            }
        }
    }

    fn admissions(&self) -> Vec<Option<Admission>> {
        (0..PROVIDERS).map(|id| self.view.load().admission(ProviderId(id))).collect()
    }

    /// Nobody is shut for longer than was said.
    fn is_in_time(&self) -> Result<(), TestCaseError> {
        let now = Instant::now();
        for admission in self.admissions().into_iter().flatten() {
            if let Admission::Shut { until, .. } = admission {
                let is_late = now > until + LATE && now > self.busy_until + LATE;
                prop_assert!(!is_late, "{:?} at {:?}", admission, now);
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(schedules(300))]

    #[test]
    fn an_open_circuit_is_half_open_in_time_without_any_traffic_and_all_timers_end(
        events in prop::collection::vec(event(), 1..60),
    ) {
        simulate(async {
            let mut world = World::start();
            for event in &events {
                world.happens(event).await;
                world.is_in_time()?;
            }
            let policy = BreakerPolicy::default();
            sleep(policy.max_open.max(policy.max_429_cooldown) + policy.slow_start_window + Duration::from_secs(60)).await;
            world.is_in_time()?;
            let rested = world.admissions();
            let is_rested = |admission: &Option<Admission>| matches!(admission, Some(Admission::Open { .. } | Admission::Probing { .. }));
            prop_assert!(rested.iter().all(is_rested), "{:?}", rested);
            // What time alone changes has changed.
            sleep(Duration::from_secs(3_600)).await;
            prop_assert_eq!(world.admissions(), rested);
            Ok(())
        })?;
    }
}
