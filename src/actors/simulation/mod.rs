//! Real actors on a clock that stands still while anybody has something to do.
//!
//! One thread and a stopped clock make a run a function of its schedule: all that is drawn comes
//! from [`Dice`], so a schedule that fails fails again. Assertions belong into the future given to
//! [`simulate`], for a panic within an actor ends that actor only.

mod adoption;
mod database;
mod recovery;
mod schedule;

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::{Actor, AsyncContext as _, Context, Handler, Message, WrapFuture as _};
use proptest::prelude::{ProptestConfig, Strategy, prop_oneof};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Ends an actor; its supervisor starts another one.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub(in crate::actors) struct End;

/// Keeps an actor from its mailbox for a while, as other work on its thread does.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub(in crate::actors) struct Hold(pub Duration);

/// Lets an actor be ended and held up.
macro_rules! can_be_disturbed {
    ($actor:ty) => {
        impl actix::Handler<crate::actors::simulation::End> for $actor {
            type Result = ();

            fn handle(&mut self, _: crate::actors::simulation::End, context: &mut Self::Context) {
                actix::ActorContext::stop(context);
            }
        }

        impl actix::Handler<crate::actors::simulation::Hold> for $actor {
            type Result = ();

            fn handle(&mut self, hold: crate::actors::simulation::Hold, context: &mut Self::Context) {
                crate::actors::simulation::hold(self, hold, context);
            }
        }
    };
}
pub(in crate::actors) use can_be_disturbed;

pub(in crate::actors) fn hold<A>(actor: &mut A, Hold(time): Hold, context: &mut Context<A>)
where
    A: Actor<Context = Context<A>> + Handler<Hold>,
{
    use actix::fut::ActorFutureExt as _;
    context.wait(tokio::time::sleep(time).into_actor(actor).map(|(), _, _| ()));
}

/// Runs `run` on a system of its own whose clock goes only when everybody waits.
pub(in crate::actors) fn simulate<F: Future>(run: F) -> F::Output {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    actix::System::with_tokio_rt(runtime).block_on(run)
}

/// What decides all that a schedule leaves open, always in the same way.
#[derive(Clone)]
pub(in crate::actors) struct Dice(Arc<Mutex<StdRng>>);

impl Dice {
    pub(in crate::actors) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// Up to `most`, in whole milliseconds and at least one, for so fine is the stopped clock. Half
    /// of them are far shorter, so that what began late overtakes.
    pub(in crate::actors) fn time(&self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_millis()).unwrap();
        let most = if self.falls(50) { most / 20 } else { most }.max(1);
        Duration::from_millis(self.0.lock().unwrap().random_range(1..=most))
    }

    /// Whether something happens that does so in `percent` of all cases.
    pub(in crate::actors) fn falls(&self, percent: u32) -> bool {
        self.0.lock().unwrap().random_range(0..100) < percent
    }

    /// One of so many.
    pub(in crate::actors) fn pick(&self, count: usize) -> usize {
        self.0.lock().unwrap().random_range(0..count.max(1))
    }
}

/// So many schedules, tried anew with others each time. A failing one is reduced, printed and kept
/// in `proptest-regressions`, where each later run tries it first.
pub(in crate::actors) fn schedules(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, max_shrink_time: 60_000, ..ProptestConfig::default() }
}

/// Times as they lie within or around `typical`.
pub(in crate::actors) fn around(typical: u64) -> impl Strategy<Value = Duration> {
    prop_oneof![3 => 0..typical, 1 => typical..typical * 8].prop_map(Duration::from_millis)
}
