//! What is known about the health of each provider.

mod health;
#[cfg(test)]
mod interleavings;
mod outcomes;
mod permit;
#[cfg(test)]
mod tests;
mod view;
mod vitals;

use std::collections::HashMap;
use std::sync::Arc;

use actix::{Actor, AsyncContext as _, Context, Handler, Message, SpawnHandle};
use chrono::Utc;
use tokio::time::Instant;

pub use self::health::{Admission, Outcome, ShutReason};
use self::health::{Ejection, Health};
use self::outcomes::{COLLECT_AFTER, SuccessesWait};
pub use self::outcomes::{Outcomes, Successes, successes};
use self::permit::InFlight;
pub use self::permit::Permit;
pub use self::view::{Bar, Choice, PoolView, Prospect, Unchosen};
pub use self::vitals::{AttemptFacts, Fault, Vitals};
use super::adopt::Adopt;
use super::published::Publisher;
use crate::config::{Provider, ProviderId, Snapshot};
use crate::settings::BreakerPolicy;
use crate::telemetry::Telemetry;
use crate::telemetry::providers::{CircuitState, Routing, Shown};

/// Tells how an attempt ended. Never awaited: the request is over by then.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct ReportOutcome {
    /// Whose attempt it was.
    pub provider: ProviderId,
    /// What it proved.
    pub outcome: Outcome,
    /// When it began.
    pub started: Instant,
    /// What it showed beside that.
    pub facts: AttemptFacts,
}

/// Asks what is known of every provider that is configured.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "Vec<(ProviderId, Vitals)>")]
pub struct ReadVitals;

/// Owns the health of every provider and publishes who may get how much.
pub struct ProviderPoolActor {
    pool: Pool,
    views: Publisher<PoolView>,
    timer: Option<SpawnHandle>,
    successes: Successes,
    telemetry: Telemetry,
}

/// The state itself, without a mailbox.
struct Pool {
    policy: BreakerPolicy,
    /// Of every row, also of those that cannot be used.
    members: HashMap<ProviderId, Member>,
    /// Attempts at providers whose rows are gone. A rollback brings such a row back.
    gone: HashMap<ProviderId, InFlight>,
}

#[derive(Default)]
struct Member {
    key: Arc<str>,
    /// `None`: switched off, or its row is broken.
    usable: Option<Arc<Provider>>,
    health: Health,
    vitals: Vitals,
    in_flight: InFlight,
}

// === impl Pool ===

impl Pool {
    /// A pool that knows only what runs, from the view of an actor before it.
    fn new(policy: BreakerPolicy, before: &PoolView) -> Self {
        Self { policy, members: HashMap::new(), gone: before.counters().collect() }
    }

    /// Takes over `snapshot`. What is known of a provider outlives every change of its row, but
    /// one that is switched off begins anew when it returns; its running attempts still count.
    fn adopt(&mut self, snapshot: &Snapshot) {
        let mut known = std::mem::take(&mut self.members);
        let usable: HashMap<ProviderId, &Arc<Provider>> =
            snapshot.usable.iter().map(|provider| (provider.id, provider)).collect();
        for record in &snapshot.providers {
            let id = ProviderId(record.id);
            let mut member = known.remove(&id).unwrap_or_default();
            member.key = Arc::from(record.provider_key.as_str());
            if let Some(running) = self.gone.remove(&id) {
                member.in_flight = running;
            }
            member.usable = usable.get(&id).map(|provider| Arc::clone(provider));
            if member.usable.is_none() {
                member.health = Health::default();
            }
            self.members.insert(id, member);
        }
        self.gone.extend(known.into_iter().map(|(id, member)| (id, member.in_flight)));
        self.gone.retain(|_, in_flight| in_flight.is_shared());
    }

    /// Takes in how an attempt ended; gives the ejection that it caused, and of whom.
    fn report(&mut self, report: ReportOutcome, now: Instant) -> Option<(&str, Ejection)> {
        let ReportOutcome { provider, outcome, started, facts } = report;
        let member = self.members.get_mut(&provider)?;
        member.vitals.on(outcome, facts, Utc::now());
        // Who is switched off begins anew, whatever its last attempts come to.
        member.usable.as_ref()?;
        let ejection = member.health.on(outcome, started, now, &self.policy)?;
        Some((&member.key, ejection))
    }

    fn tick(&mut self, now: Instant) {
        for member in self.members.values_mut() {
            member.health.tick(now, &self.policy);
        }
    }

    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let deadlines = self.members.values();
        deadlines.filter_map(|member| member.health.next_deadline(now, &self.policy)).min()
    }

    fn view(&self, before: &PoolView, now: Instant) -> PoolView {
        let members = self.members.iter().map(|(id, member)| {
            let admission = member.health.admission(now, &self.policy);
            (*id, admission, member.in_flight.clone())
        });
        PoolView::new(before, members)
    }

    /// What the metrics show of each provider.
    fn shown(&self, view: &PoolView) -> HashMap<Arc<str>, Shown> {
        let shown = |member: &Member| {
            let routing = member.usable.as_ref().map(|provider| Routing {
                circuit: match view.admission(provider.id) {
                    Some(Admission::Shut { reason: ShutReason::Breaker, .. }) => CircuitState::Open,
                    Some(Admission::Probing { .. }) => CircuitState::HalfOpen,
                    _ => CircuitState::Closed,
                },
                effective_weight: view.effective_weight(provider),
                max_concurrency: provider.params.max_concurrency,
            });
            (Arc::clone(&member.key), Shown { routing, in_flight: member.in_flight.counter() })
        };
        self.members.values().map(shown).collect()
    }

    fn vitals(&self) -> Vec<(ProviderId, Vitals)> {
        self.members.iter().map(|(id, member)| (*id, member.vitals.clone())).collect()
    }
}

// === impl ProviderPoolActor ===

impl ProviderPoolActor {
    /// An actor that knows nothing bad of anybody.
    #[must_use]
    pub fn new(
        policy: BreakerPolicy,
        views: Publisher<PoolView>,
        snapshot: &Snapshot,
        successes: Successes,
        telemetry: Telemetry,
    ) -> Self {
        let mut pool = Pool::new(policy, &views.current());
        pool.adopt(snapshot);
        Self { pool, views, timer: None, successes, telemetry }
    }

    /// Takes in what waits.
    fn collect(&mut self) {
        for report in self.successes.take(usize::MAX) {
            self.take_in(report);
        }
    }

    fn take_in(&mut self, report: ReportOutcome) {
        let now = Instant::now();
        if let Some((provider, ejection)) = self.pool.report(report, now) {
            let reason = ejection.reason.label();
            let seconds = ejection.until.saturating_duration_since(now).as_secs_f64();
            log::warn!(provider, reason, seconds; "provider taken out of routing");
            self.telemetry.providers.ejected(provider, reason);
        }
    }

    /// Publishes what changed and sets the timer for what time alone will change.
    fn settle(&mut self, context: &mut Context<Self>) {
        let now = Instant::now();
        let before = self.views.current();
        let view = self.pool.view(&before, now);
        if view != *before {
            self.telemetry.providers.show(self.pool.shown(&view));
            self.views.publish(Arc::new(view));
        }
        if let Some(timer) = self.timer.take() {
            context.cancel_future(timer);
        }
        self.timer = self.pool.next_deadline(now).map(|deadline| {
            context.run_later(deadline.saturating_duration_since(now), |actor, context| {
                actor.pool.tick(Instant::now());
                actor.settle(context);
            })
        });
    }
}

impl Actor for ProviderPoolActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.collect();
        self.settle(context);
        self.telemetry.providers.show(self.pool.shown(&self.views.current()));
    }
}

impl Handler<Adopt> for ProviderPoolActor {
    type Result = ();

    fn handle(&mut self, Adopt(snapshot): Adopt, context: &mut Context<Self>) {
        self.collect();
        self.pool.adopt(&snapshot);
        self.settle(context);
        // A weight or a name is no part of the view.
        self.telemetry.providers.show(self.pool.shown(&self.views.current()));
    }
}

impl Handler<ReportOutcome> for ProviderPoolActor {
    type Result = ();

    fn handle(&mut self, report: ReportOutcome, context: &mut Context<Self>) {
        self.collect();
        self.take_in(report);
        self.settle(context);
    }
}

impl Handler<SuccessesWait> for ProviderPoolActor {
    type Result = ();

    fn handle(&mut self, _: SuccessesWait, context: &mut Context<Self>) {
        context.run_later(COLLECT_AFTER, |actor, context| {
            actor.collect();
            actor.settle(context);
        });
    }
}

impl Handler<ReadVitals> for ProviderPoolActor {
    type Result = Vec<(ProviderId, Vitals)>;

    fn handle(&mut self, _: ReadVitals, context: &mut Context<Self>) -> Self::Result {
        self.collect();
        self.settle(context);
        self.pool.vitals()
    }
}
