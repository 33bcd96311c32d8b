//! Keeping an actor alive.
//!
//! actix's own supervisor restarts an actor that stops, but not one whose handler panicked: its
//! address stays closed for ever. Here the actor's future runs as a task; when that task ends
//! for any reason a new actor takes its place and its address is published.

use std::time::Duration;

use actix::{Actor, Addr, Context};

use super::published::{Published, Publisher, publish};

/// Messages that may wait for one actor. Far above what a burst of admin writes needs; at the
/// end of requests a full mailbox drops and counts.
const MAILBOX: usize = 8192;

/// Pause before a restart, so that an actor that cannot start does not spin.
const PAUSE: Duration = Duration::from_millis(100);

/// The address of an actor that is restarted when it ends.
pub type Supervised<A> = Published<Addr<A>>;

/// Starts the actor that `make` builds on the current arbiter and restarts it whenever it ends.
pub fn supervise<A, F>(name: &'static str, make: F) -> Supervised<A>
where
    A: Actor<Context = Context<A>>,
    F: Fn() -> A + 'static,
{
    let (context, address) = fresh();
    let (publisher, published) = publish(address);
    actix::spawn(keep(name, make, context, publisher));
    published
}

fn fresh<A: Actor<Context = Context<A>>>() -> (Context<A>, Addr<A>) {
    let mut context = Context::new();
    context.set_mailbox_capacity(MAILBOX);
    let address = actix::AsyncContext::address(&context);
    (context, address)
}

async fn keep<A, F>(name: &'static str, make: F, mut context: Context<A>, publisher: Publisher<Addr<A>>)
where
    A: Actor<Context = Context<A>>,
    F: Fn() -> A,
{
    loop {
        let ended = actix::spawn(context.into_future(make())).await;
        let panicked = ended.is_err();
        log::error!(actor = name, panicked; "actor ended, starting it again");
        tokio::time::sleep(PAUSE).await;
        let (next, address) = fresh();
        context = next;
        publisher.publish(std::sync::Arc::new(address));
    }
}

#[cfg(test)]
mod tests {
    use actix::{Handler, Message};

    use super::*;

    struct Fragile;

    #[derive(Message)]
    #[rtype(result = "u32")]
    struct Ask;

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Break;

    impl Actor for Fragile {
        type Context = Context<Self>;
    }

    impl Handler<Ask> for Fragile {
        type Result = u32;
        fn handle(&mut self, _: Ask, _: &mut Context<Self>) -> u32 {
            7
        }
    }

    impl Handler<Break> for Fragile {
        type Result = ();
        fn handle(&mut self, _: Break, _: &mut Context<Self>) {
            panic!("a handler that panics");
        }
    }

    #[actix::test]
    async fn an_actor_whose_handler_panicked_is_replaced() {
        let address = supervise("fragile", || Fragile);
        let first = address.load();
        assert_eq!(first.send(Ask).await.unwrap(), 7);
        assert!(first.send(Break).await.is_err());
        let mut changes = address.clone();
        changes.changed().await;
        assert_eq!(address.load().send(Ask).await.unwrap(), 7);
        assert!(!first.connected());
    }
}
