//! What is known about the health of each provider.

mod health;
mod permit;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use actix::{Actor, AsyncContext as _, Context, Handler, Message, SpawnHandle};
use tokio::time::Instant;

use self::health::Health;
pub use self::health::{Admission, Outcome, ShutReason};
use self::permit::InFlight;
pub use self::permit::Permit;
pub use self::view::{Bar, Choice, PoolView, Prospect, Unchosen};
use super::adopt::Adopt;
use super::published::Publisher;
use crate::config::{ProviderId, Snapshot};
use crate::settings::BreakerPolicy;

/// Tells how an attempt ended. Never awaited: the request is over by then.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct ReportOutcome {
    /// Whose attempt it was.
    pub provider: ProviderId,
    /// What it proved.
    pub outcome: Outcome,
    /// When it began.
    pub started: Instant,
}

/// Owns the health of every provider and publishes who may get how much.
pub struct ProviderPoolActor {
    pool: Pool,
    views: Publisher<PoolView>,
    timer: Option<SpawnHandle>,
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
    health: Health,
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
        let usable: HashSet<ProviderId> = snapshot.usable.iter().map(|provider| provider.id).collect();
        for record in &snapshot.providers {
            let id = ProviderId(record.id);
            let mut member = known.remove(&id).unwrap_or_default();
            member.key = Arc::from(record.provider_key.as_str());
            if let Some(running) = self.gone.remove(&id) {
                member.in_flight = running;
            }
            if !usable.contains(&id) {
                member.health = Health::default();
            }
            self.members.insert(id, member);
        }
        self.gone.extend(known.into_iter().map(|(id, member)| (id, member.in_flight)));
        self.gone.retain(|_, in_flight| in_flight.is_shared());
    }

    fn report(&mut self, report: ReportOutcome, now: Instant) {
        let Some(member) = self.members.get_mut(&report.provider) else {
            return;
        };
        if let Some(ejection) = member.health.on(report.outcome, report.started, now, &self.policy) {
            let (provider, reason) = (&*member.key, ejection.reason.label());
            let seconds = ejection.until.saturating_duration_since(now).as_secs_f64();
            log::warn!(provider, reason, seconds; "provider taken out of routing");
        }
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
}

// === impl ProviderPoolActor ===

impl ProviderPoolActor {
    /// An actor that knows nothing bad of anybody.
    #[must_use]
    pub fn new(policy: BreakerPolicy, views: Publisher<PoolView>, snapshot: &Snapshot) -> Self {
        let mut pool = Pool::new(policy, &views.current());
        pool.adopt(snapshot);
        Self { pool, views, timer: None }
    }

    /// Publishes what changed and sets the timer for what time alone will change.
    fn settle(&mut self, context: &mut Context<Self>) {
        let now = Instant::now();
        let before = self.views.current();
        let view = self.pool.view(&before, now);
        if view != *before {
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
        self.settle(context);
    }
}

impl Handler<Adopt> for ProviderPoolActor {
    type Result = ();

    fn handle(&mut self, Adopt(snapshot): Adopt, context: &mut Context<Self>) {
        self.pool.adopt(&snapshot);
        self.settle(context);
    }
}

impl Handler<ReportOutcome> for ProviderPoolActor {
    type Result = ();

    fn handle(&mut self, report: ReportOutcome, context: &mut Context<Self>) {
        self.pool.report(report, Instant::now());
        self.settle(context);
    }
}
