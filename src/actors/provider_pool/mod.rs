//! What is known about the health of each provider.

mod health;
mod view;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use actix::{Actor, AsyncContext as _, Context, Handler, Message, SpawnHandle};

use self::health::Health;
pub use self::health::{Admission, Outcome, ShutReason};
pub use self::view::{Bar, Choice, PoolView, Prospect};
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
    providers: HashMap<ProviderId, Member>,
}

struct Member {
    key: Arc<str>,
    health: Health,
}

// === impl Pool ===

impl Pool {
    /// Takes over `snapshot`. What is known of a provider outlives every change of its row.
    fn adopt(&mut self, snapshot: &Snapshot) {
        let mut known = std::mem::take(&mut self.providers);
        for provider in &snapshot.usable {
            let health = known.remove(&provider.id).map(|member| member.health).unwrap_or_default();
            let member = Member { key: Arc::clone(&provider.key), health };
            self.providers.insert(provider.id, member);
        }
    }

    fn report(&mut self, report: ReportOutcome, now: Instant) {
        let Some(member) = self.providers.get_mut(&report.provider) else {
            return;
        };
        if let Some(ejection) = member.health.on(report.outcome, report.started, now, &self.policy) {
            let (provider, reason) = (&*member.key, ejection.reason.label());
            let seconds = ejection.until.saturating_duration_since(now).as_secs_f64();
            log::warn!(provider, reason, seconds; "provider taken out of routing");
        }
    }

    fn tick(&mut self, now: Instant) {
        for member in self.providers.values_mut() {
            member.health.tick(now, &self.policy);
        }
    }

    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let deadlines = self.providers.values();
        deadlines.filter_map(|member| member.health.next_deadline(now, &self.policy)).min()
    }

    fn view(&self, before: &PoolView, now: Instant) -> PoolView {
        let admissions = self.providers.iter();
        PoolView::new(before, admissions.map(|(id, member)| (*id, member.health.admission(now, &self.policy))))
    }
}

// === impl ProviderPoolActor ===

impl ProviderPoolActor {
    /// An actor that knows nothing bad of anybody.
    #[must_use]
    pub fn new(policy: BreakerPolicy, views: Publisher<PoolView>, snapshot: &Snapshot) -> Self {
        let mut pool = Pool { policy, providers: HashMap::new() };
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
