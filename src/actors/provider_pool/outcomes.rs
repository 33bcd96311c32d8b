//! How requests tell the pool what their attempts came to.

use std::sync::Arc;
use std::time::Duration;

use actix::Message;

use super::{Admission, Outcome, PoolView, ProviderPoolActor, ReportOutcome};
use crate::actors::outbox::Outbox;
use crate::actors::published::Published;
use crate::actors::supervise::Supervised;
use crate::actors::tell;
use crate::telemetry::Telemetry;

/// How long a success may wait that changes nothing for anybody.
pub(super) const COLLECT_AFTER: Duration = Duration::from_millis(50);

/// Successes that may wait.
const MOST: usize = 8192;

/// So many of them are told of again, should the first telling have been lost.
const AGAIN: usize = 1024;

/// Tells that successes wait. Never awaited.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct SuccessesWait;

/// Successes that wait for the actor.
pub type Successes = Arc<Outbox<ReportOutcome>>;

/// Where attempts are told.
#[derive(Clone)]
pub struct Outcomes {
    actor: Supervised<ProviderPoolActor>,
    successes: Successes,
    view: Published<PoolView>,
    telemetry: Telemetry,
}

/// Room for successes.
#[must_use]
pub fn successes() -> Successes {
    Arc::new(Outbox::new(MOST))
}

// === impl Outcomes ===

impl Outcomes {
    /// Tells `actor`, which takes what waits in `successes`.
    #[must_use]
    pub const fn new(
        actor: Supervised<ProviderPoolActor>,
        successes: Successes,
        view: Published<PoolView>,
        telemetry: Telemetry,
    ) -> Self {
        Self { actor, successes, view, telemetry }
    }

    /// Tells how an attempt ended. One more success of a provider that gets all it should changes
    /// nothing, so it waits for others; all else is told at once, and after what waited before it.
    pub fn tell(&self, report: ReportOutcome) {
        if report.outcome != Outcome::Success || !self.is_well(&report) {
            return tell(&self.actor.load(), report, "provider_pool", &self.telemetry);
        }
        match self.successes.push(report) {
            None => self.telemetry.mailbox_dropped.with_label_values(&["provider_pool"]).inc(),
            Some(waiting) if waiting == 1 || waiting.is_multiple_of(AGAIN) => {
                // Where it is lost, nothing else is: whatever the actor does next, it takes in what waits.
                drop(self.actor.load().try_send(SuccessesWait));
            }
            Some(_) => {}
        }
    }

    fn is_well(&self, report: &ReportOutcome) -> bool {
        match self.view.load().admission(report.provider) {
            None => true,
            Some(Admission::Open { factor }) => factor >= 1.0,
            Some(Admission::Probing { .. } | Admission::Shut { .. }) => false,
        }
    }
}
