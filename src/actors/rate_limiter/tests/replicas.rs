//! Whatever happens in whatever order, replicas together stay within the bound.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::bucket::Terms;
use super::super::lease::{Grant, Lease, MICRO, Taken, Verdict, slice};
use super::script::Script;
use super::terms;

/// What happens next; the numbers of replicas wrap around.
#[derive(Debug, Clone)]
enum Event {
    /// So many microseconds pass.
    Passes(u64),
    /// So many requests arrive at a replica.
    Arrive(usize, usize),
    /// The shared bucket gets the question of a replica.
    Reaches(usize),
    /// Its answer gets back.
    Returns(usize),
    /// The question or its answer is lost.
    Lost(usize),
    /// So many of the clients that came to a replica last leave.
    Leave(usize, usize),
}

fn event() -> impl Strategy<Value = Event> {
    let replica = 0..4_usize;
    let many = || prop_oneof![1..3_usize, 1..60_usize, 50..150_usize];
    prop_oneof![
        2 => prop_oneof![0..2_000_u64, 0..150_000_u64, 500_000..1_000_000_u64, 0..1_500_000_u64].prop_map(Event::Passes),
        4 => (replica.clone(), many()).prop_map(|(at, many)| Event::Arrive(at, many)),
        4 => replica.clone().prop_map(Event::Reaches),
        4 => replica.clone().prop_map(Event::Returns),
        1 => replica.clone().prop_map(Event::Lost),
        1 => (replica, many()).prop_map(|(at, many)| Event::Leave(at, many)),
    ]
}

struct Replica {
    lease: Lease<usize>,
    /// What is asked for, and what was given when that is known.
    question: Option<(u32, Option<Grant>)>,
    /// Whether each client that ever waited is still there.
    is_there: Vec<bool>,
}

/// The bucket of Redis, and the replicas around it.
struct World {
    terms: Terms,
    start: Instant,
    /// Microseconds since the start.
    now: u64,
    shared: Script,
    replicas: Vec<Replica>,
    /// When each request was admitted.
    admitted: Vec<u64>,
    /// Requests that arrived, that were told, and that were let go or left.
    arrived: usize,
    told: usize,
    gone: usize,
}

impl World {
    fn new(terms: Terms, replicas: usize) -> Self {
        let replica = || Replica { lease: Lease::new(terms), question: None, is_there: Vec::new() };
        Self {
            terms,
            start: Instant::now(),
            now: 0,
            shared: Script::full(terms, 0),
            replicas: (0..replicas).map(|_| replica()).collect(),
            admitted: Vec::new(),
            arrived: 0,
            told: 0,
            gone: 0,
        }
    }

    fn time(&self) -> Instant {
        self.start + Duration::from_micros(self.now)
    }

    fn happens(&mut self, event: &Event) {
        let count = self.replicas.len();
        match *event {
            Event::Passes(micros) => self.now += micros,
            Event::Arrive(at, many) => (0..many).for_each(|_| self.arrives(at % count)),
            Event::Reaches(at) => self.reaches(at % count),
            Event::Returns(at) => self.returns(at % count),
            Event::Lost(at) => {
                let replica = &mut self.replicas[at % count];
                if replica.question.take().is_some() {
                    replica.lease.unanswered();
                    self.gone +=
                        replica.is_there.iter_mut().filter_map(|there| std::mem::take(there).then_some(())).count();
                }
            }
            Event::Leave(at, many) => {
                let last = self.replicas[at % count].is_there.iter_mut().rev().take(many);
                self.gone += last.filter_map(|there| std::mem::take(there).then_some(())).count();
            }
        }
    }

    fn arrives(&mut self, at: usize) {
        self.arrived += 1;
        let (now, replica) = (self.time(), &mut self.replicas[at]);
        let id = replica.is_there.len();
        match replica.lease.take(now, || id) {
            Taken::Decided(verdict) => {
                self.told += 1;
                if matches!(verdict, Verdict::Admitted { .. }) {
                    self.admitted.push(self.now);
                }
            }
            Taken::Waiting { ask } => {
                replica.is_there.push(true);
                if let Some(want) = ask {
                    assert!(replica.question.is_none(), "two questions at once");
                    replica.question = Some((want, None));
                }
            }
        }
    }

    fn reaches(&mut self, at: usize) {
        let Some((want, given @ None)) = &mut self.replicas[at].question else { return };
        *given = Some(self.shared.take(*want, self.now));
    }

    fn returns(&mut self, at: usize) {
        let (now, micros) = (self.time(), self.now);
        let replica = &mut self.replicas[at];
        let Some((_, Some(grant))) = replica.question else { return };
        let (is_there, admitted, told) = (&mut replica.is_there, &mut self.admitted, &mut self.told);
        let next = replica.lease.answered(grant, now, |id, verdict| {
            let was_there = std::mem::take(&mut is_there[id]);
            *told += usize::from(was_there);
            if was_there && matches!(verdict, Verdict::Admitted { .. }) {
                admitted.push(micros);
            }
            was_there
        });
        replica.question = next.map(|want| (want, None));
    }

    /// Every window from one admission to another, both included.
    fn is_within_bound(&self) -> Result<(), String> {
        let (rate, burst) = (u64::from(self.terms.per_second.get()), u64::from(self.terms.burst.get()));
        let held = u64::from(slice(self.terms)) * u64::try_from(self.replicas.len()).unwrap();
        for (first, from) in self.admitted.iter().enumerate() {
            for (count, to) in (1_u64..).zip(&self.admitted[first..]) {
                let most = (burst + held) * MICRO + (to - from) * rate;
                if count * MICRO > most {
                    return Err(format!("{count} admitted from {from} to {to} us, at most {most} millionths may"));
                }
            }
        }
        Ok(())
    }
}

#[test]
fn tokens_asked_for_by_clients_that_left_are_not_kept() {
    use Event::{Arrive, Leave, Passes, Reaches, Returns};
    let mut world = World::new(terms(100, 60), 2);
    let mut events = vec![Arrive(0, 61), Reaches(0), Returns(0), Leave(0, 61), Reaches(0), Returns(0)];
    events.extend([Passes(990_000), Arrive(1, 150), Reaches(1), Returns(1), Reaches(1), Returns(1), Arrive(0, 60)]);
    for event in &events {
        world.happens(event);
    }
    assert_eq!(world.is_within_bound(), Ok(()));
    assert_eq!(world.admitted.len(), 10 + 60 + 10);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn replicas_together_admit_no_more_than_the_bound(
        rate in prop_oneof![1..20_u32, 50..300_u32, 1..2_000_u32],
        burst in prop_oneof![1..20_u32, 20..150_u32],
        replicas in 1..5_usize,
        events in prop::collection::vec(event(), 1..120),
    ) {
        let mut world = World::new(terms(rate, burst), replicas);
        for event in &events {
            world.happens(event);
        }
        prop_assert_eq!(world.is_within_bound(), Ok(()));
    }

    #[test]
    fn every_request_is_told_once_when_all_answers_come(
        rate in 1..100_u32,
        burst in 1..100_u32,
        replicas in 1..5_usize,
        events in prop::collection::vec(event(), 1..100),
    ) {
        let mut world = World::new(terms(rate, burst), replicas);
        for event in &events {
            world.happens(event);
        }
        for _ in 0..10_000 {
            for at in 0..replicas {
                world.reaches(at);
                world.returns(at);
            }
            if world.replicas.iter().all(|replica| replica.question.is_none()) {
                break;
            }
        }
        prop_assert_eq!(world.told + world.gone, world.arrived);
    }
}
