//! Requests at a steady pace, whatever becomes of them, and a record of what became of them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::{Answer, Connection};

/// Requests to one server.
#[derive(Clone, Copy)]
pub struct Target {
    pub address: SocketAddr,
    /// Requests a second.
    pub rate: u32,
    /// Connections among which they are shared.
    pub connections: u32,
}

/// What is asked, and which answers are right.
pub struct Plan<'p> {
    pub targets: Vec<Target>,
    /// The request with this number.
    pub ask: &'p (dyn Fn(u32) -> Ask + Sync),
    /// Says what is wrong with an answer.
    pub judge: &'p (dyn Fn(&Ask, &Answer) -> Result<(), String> + Sync),
}

/// A request.
#[derive(Clone)]
pub struct Ask {
    pub path: &'static str,
    pub key: Arc<str>,
    pub body: Arc<str>,
}

/// What became of a request.
pub struct Sample {
    /// The place of its server among the targets.
    pub target: usize,
    pub sent: Instant,
    /// From when it was due, so that a stall shows in all that it delays.
    pub took: Duration,
    /// The status of an answer that is as it should be, else what is wrong.
    pub outcome: Result<u16, String>,
}

/// What became of all of them.
pub struct Report {
    pub samples: Vec<Sample>,
    pub start: Instant,
    pub lasted: Duration,
}

/// Ends what goes on by this clock when it is dropped, also by a panic.
pub struct Ending<'e>(pub &'e Clock);

/// The time of a scenario: what waits for a moment learns when the scenario ends before.
#[derive(Default)]
pub struct Clock {
    is_over: Mutex<bool>,
    changed: Condvar,
}

/// A connection that sends each of its requests when it is due.
struct Sender<'s> {
    plan: &'s Plan<'s>,
    clock: &'s Clock,
    target: usize,
    numbers: &'s AtomicU32,
    connection: Option<Connection>,
}

// === impl Plan ===

impl Plan<'_> {
    /// Sends requests for so long.
    pub fn run(&self, length: Duration) -> Report {
        self.during(|| pause(length)).1
    }

    /// Sends requests while `scenario` runs.
    pub fn during<T>(&self, scenario: impl FnOnce() -> T) -> (T, Report) {
        let (clock, numbers, start) = (Clock::default(), AtomicU32::new(0), Instant::now());
        let (outcome, lasted, samples) = thread::scope(|scope| {
            let ending = Ending(&clock);
            let mut senders = Vec::new();
            for (target, plan) in self.targets.iter().enumerate() {
                for place in 0..plan.connections {
                    let (clock, numbers) = (&clock, &numbers);
                    let sender = Sender { plan: self, clock, target, numbers, connection: None };
                    senders.push(scope.spawn(move || sender.run(start, place)));
                }
            }
            let outcome = scenario();
            drop(ending);
            let lasted = start.elapsed();
            let samples = senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
            (outcome, lasted, samples)
        });
        (outcome, Report { samples, start, lasted })
    }
}

// === impl Ask ===

impl Ask {
    /// A Chat request.
    pub fn chat(key: impl Into<Arc<str>>, body: impl Into<Arc<str>>) -> Self {
        Self { path: "/v1/chat/completions", key: key.into(), body: body.into() }
    }
}

// === impl Sender ===

impl Sender<'_> {
    fn run(mut self, start: Instant, place: u32) -> Vec<Sample> {
        let target = self.plan.targets[self.target];
        let mut samples = Vec::new();
        let mut turn = place;
        loop {
            let due = start + Duration::from_secs(1) * turn / target.rate;
            if self.clock.is_over_at(due) {
                return samples;
            }
            let ask = (self.plan.ask)(self.numbers.fetch_add(1, Ordering::Relaxed));
            let sent = Instant::now();
            let outcome = self.send(target.address, &ask);
            samples.push(Sample { target: self.target, sent, took: due.elapsed(), outcome });
            turn += target.connections;
        }
    }

    fn send(&mut self, address: SocketAddr, ask: &Ask) -> Result<u16, String> {
        let connection = self.connection.take().map_or_else(|| Connection::try_open(address), Ok);
        let mut connection = connection.map_err(|error| format!("no connection: {error}"))?;
        let bearer = format!("Bearer {}", ask.key);
        let headers = [("authorization", bearer.as_str())];
        let answer = connection.try_ask("POST", ask.path, &headers, ask.body.as_bytes());
        let answer = answer.map_err(|error| format!("no answer: {error}"))?;
        // A stream that ends with an error is the last answer of its connection.
        let is_broken = answer.header("transfer-encoding").is_some() && answer.text().contains("\"error\"");
        if answer.header("connection") != Some("close") && !is_broken {
            self.connection = Some(connection);
        }
        (self.plan.judge)(ask, &answer).map(|()| answer.status)
    }
}

// === impl Clock ===

impl Clock {
    /// Waits until `moment`; whether the scenario ended before.
    pub fn is_over_at(&self, moment: Instant) -> bool {
        let left = moment.saturating_duration_since(Instant::now());
        let guard = self.is_over.lock().unwrap();
        *self.changed.wait_timeout_while(guard, left, |is_over| !*is_over).unwrap().0
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        *self.0.is_over.lock().unwrap() = true;
        self.0.changed.notify_all();
    }
}

/// Lets time pass, where its length is what the scenario is about.
pub fn pause(length: Duration) {
    Clock::default().is_over_at(Instant::now() + length);
}

// === impl Report ===

impl Report {
    /// Asserts that no request failed, and that enough came to say so: at least half of `planned`.
    #[track_caller]
    pub fn assert_all_well(&self, planned: u32) {
        let failures: Vec<_> =
            self.samples.iter().filter_map(|sample| Some((sample, sample.outcome.as_ref().err()?))).collect();
        let at = |sample: &Sample| sample.sent.duration_since(self.start);
        let first: Vec<String> = failures
            .iter()
            .take(10)
            .map(|(sample, reason)| format!("after {:?} at {}: {reason}", at(sample), sample.target))
            .collect();
        assert!(failures.is_empty(), "{} failed, such as:\n{}\n{self}", failures.len(), first.join("\n"));
        assert!(self.samples.len() * 2 >= usize::try_from(planned).unwrap(), "too few of {planned}: {self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut statuses: BTreeMap<String, usize> = BTreeMap::new();
        for sample in &self.samples {
            let name = sample.outcome.as_ref().map_or_else(|_failure| "failed".to_owned(), u16::to_string);
            *statuses.entry(name).or_default() += 1;
        }
        write!(f, "{} requests in {:.1?}: {statuses:?}; ", self.samples.len(), self.lasted)?;
        write!(f, "{}", Spread::of(self.samples.iter().map(|sample| sample.took)))
    }
}

/// How durations are spread.
pub struct Spread(Vec<Duration>);

impl Spread {
    pub fn of(durations: impl Iterator<Item = Duration>) -> Self {
        let mut sorted: Vec<Duration> = durations.collect();
        sorted.sort();
        Self(sorted)
    }

    pub fn worst(&self) -> Duration {
        self.0.last().copied().unwrap_or_default()
    }

    fn percentile(&self, percent: usize) -> Duration {
        self.0.get(self.0.len() * percent / 100).copied().unwrap_or_else(|| self.worst())
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, p95, p99] = [50, 95, 99].map(|percent| self.percentile(percent));
        write!(f, "median {median:.1?}, p95 {p95:.1?}, p99 {p99:.1?}, worst {:.1?}", self.worst())
    }
}
