//! Requests that interleave with each other, with the time, with late reports and with changes of
//! the configuration, at every step: whatever the order, what the pool promises holds.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::actors::simulation::{around, schedules};
use crate::config::{Candidate, Loaded, ProviderRecord, Sealer, Secret, Source};

/// What happens next; numbers wrap around what there is.
#[derive(Debug, Clone)]
enum Event {
    Passes(Duration),
    /// The timer goes off, whenever it was due.
    Ticks,
    /// A request loads the snapshot and the view.
    Loads,
    /// One that has loaded both chooses among these providers.
    Chooses {
        which: usize,
        among: [bool; ROWS],
        draw: f64,
    },
    /// An attempt ends, or, without an outcome, is dropped.
    Ends {
        which: usize,
        outcome: Option<Outcome>,
    },
    /// A report arrives, or is lost.
    Arrives(usize),
    Lost(usize),
    /// An operator changes a row.
    Adopts {
        row: usize,
        change: Change,
    },
    /// The actor ends and another one takes over.
    Restarts,
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Exists(bool),
    Enabled(bool),
    Weight(i32),
    Most(Option<u32>),
}

const ROWS: usize = 3;

/// A row of the configuration, there or not.
#[derive(Debug, Clone, Copy)]
struct Row {
    exists: bool,
    is_enabled: bool,
    weight: i32,
    most: Option<u32>,
}

struct Attempt {
    provider: ProviderId,
    permit: Permit,
    started: Instant,
    /// The phase that it probes in.
    phase: Option<Instant>,
    /// Whether the pool knew its provider, so that it counts.
    counts: bool,
}

struct World {
    pool: Pool,
    now: Instant,
    rows: [Row; ROWS],
    snapshot: Arc<Snapshot>,
    view: Arc<PoolView>,
    loaded: Vec<(Arc<Snapshot>, Arc<PoolView>)>,
    running: Vec<Attempt>,
    reports: Vec<ReportOutcome>,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Success),
        4 => Just(Outcome::ServerError),
        2 => Just(Outcome::Transport),
        1 => Just(Outcome::RateLimited { retry_after: None }),
        1 => around(20_000).prop_map(|wait| Outcome::RateLimited { retry_after: Some(wait) }),
        1 => Just(Outcome::Auth),
        1 => Just(Outcome::ClientFault),
        1 => Just(Outcome::RequestTimeout),
        1 => Just(Outcome::Neutral),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let place = any::<usize>;
    let change = prop_oneof![
        any::<bool>().prop_map(Change::Exists),
        any::<bool>().prop_map(Change::Enabled),
        (0..4_i32).prop_map(Change::Weight),
        prop::option::of(1..4_u32).prop_map(Change::Most),
    ];
    prop_oneof![
        3 => prop_oneof![around(100), around(4_000), around(30_000)].prop_map(Event::Passes),
        2 => Just(Event::Ticks),
        6 => Just(Event::Loads),
        6 => (place(), prop::array::uniform3(prop::bool::weighted(0.7)), 0.0..1.0)
            .prop_map(|(which, among, draw)| Event::Chooses { which, among, draw }),
        6 => (place(), prop::option::weighted(0.8, outcome())).prop_map(|(which, outcome)| Event::Ends { which, outcome }),
        6 => place().prop_map(Event::Arrives),
        1 => place().prop_map(Event::Lost),
        2 => (0..ROWS, change).prop_map(|(row, change)| Event::Adopts { row, change }),
        1 => Just(Event::Restarts),
    ]
}

prop_compose! {
    fn policy()(
        (min_multiplier, half_open_weight_factor) in (0.01..1.0, 0.01..1.0),
        success_recovery_step in 0.05..1.0,
        thresholds in prop::array::uniform3(0..4_u32),
        (half_open_success_threshold, half_open_max_probes) in (0..4_u32, 0..4_u32),
        (base_429_cooldown, max_429_cooldown) in (around(2_000), around(20_000)),
        (base_open, max_open, slow_start_window) in (around(2_000), around(20_000), around(3_000)),
    ) -> BreakerPolicy {
        let [threshold_429, threshold_5xx, threshold_transport] = thresholds;
        BreakerPolicy {
            enabled: true, min_multiplier, half_open_weight_factor, success_recovery_step, slow_start_window,
            threshold_429, threshold_5xx, threshold_transport, half_open_success_threshold, half_open_max_probes,
            base_429_cooldown, max_429_cooldown, base_open, max_open,
        }
    }
}

fn compile(rows: &[Row]) -> Snapshot {
    let now = chrono::DateTime::UNIX_EPOCH;
    let record = |(id, row): (i32, &Row)| ProviderRecord {
        id,
        provider_key: format!("p{id}"),
        provider_type: "openai".to_owned(),
        api_base: "http://127.0.0.1:1".to_owned(),
        api_key: Secret::new("k".to_owned()),
        model_mapping: json!({"m": "m"}),
        weight: row.weight,
        provider_params: row.most.map_or_else(|| json!({}), |most| json!({"max_concurrency": most})),
        is_enabled: row.is_enabled,
        created_at: now,
        updated_at: now,
    };
    let providers = (0..).zip(rows).filter(|(_, row)| row.exists).map(record).collect();
    let loaded = Loaded { version: 1, changed_at: now, providers, credentials: vec![], errors: vec![] };
    Snapshot::new(loaded, Source::Database, &Sealer::default())
}

impl World {
    fn new(policy: BreakerPolicy) -> Self {
        let rows = [Row { exists: true, is_enabled: true, weight: 1, most: None }; ROWS];
        let (snapshot, view) = (Arc::new(compile(&rows)), Arc::new(PoolView::default()));
        let pool = Pool::new(policy, &view);
        // Reports may be of attempts that began before the pool.
        let now = Instant::now() + Duration::from_secs(1_000);
        let (loaded, running, reports) = (Vec::new(), Vec::new(), Vec::new());
        let mut world = Self { pool, now, rows, snapshot, view, loaded, running, reports };
        world.adopt();
        world
    }

    fn adopt(&mut self) {
        let snapshot = Arc::new(compile(&self.rows));
        self.pool.adopt(&snapshot);
        self.settle();
        self.snapshot = snapshot;
    }

    /// As the actor does it.
    fn settle(&mut self) {
        let view = self.pool.view(&self.view, self.now);
        if view != *self.view {
            self.view = Arc::new(view);
        }
    }

    fn tick(&mut self) {
        self.pool.tick(self.now);
        self.settle();
    }

    fn happens(&mut self, event: &Event) -> Result<(), TestCaseError> {
        match event {
            Event::Passes(time) => self.now += *time,
            Event::Ticks => self.tick(),
            Event::Loads => self.loaded.push((Arc::clone(&self.snapshot), Arc::clone(&self.view))),
            Event::Chooses { which, among, draw } => self.chooses(*which, among, *draw)?,
            Event::Ends { which, outcome } => self.ends(*which, *outcome),
            Event::Arrives(which) => self.arrives(*which)?,
            Event::Lost(which) => drop(take(&mut self.reports, *which)),
            Event::Adopts { row, change } => self.adopts(*row, *change)?,
            Event::Restarts => self.restarts(),
        }
        self.is_sound()
    }

    fn chooses(&mut self, which: usize, among: &[bool; ROWS], draw: f64) -> Result<(), TestCaseError> {
        let Some((snapshot, view)) = take(&mut self.loaded, which) else { return Ok(()) };
        let all = snapshot.candidates("m");
        let is_among = |candidate: &&Candidate| among[usize::try_from(candidate.provider.id.0).unwrap()];
        let list: Vec<&Candidate> = all.iter().filter(is_among).collect();
        // What must come of it, by what runs in truth and not by the counters.
        let is_full = |candidate: &Candidate| {
            let id = candidate.provider.id;
            let most = candidate.provider.params.max_concurrency;
            view.admission(id).is_some() && most.is_some_and(|most| self.counting(id) >= most)
        };
        let usable: Vec<&Candidate> = list.iter().copied().filter(|candidate| candidate.provider.weight > 0).collect();
        let free: Vec<&Candidate> = usable.iter().copied().filter(|candidate| !is_full(candidate)).collect();
        let is_open = |candidate: &&&Candidate| match view.admission(candidate.provider.id) {
            None | Some(Admission::Open { .. }) => true,
            Some(Admission::Probing { since, permits, .. }) => {
                self.probing(candidate.provider.id, since) < usize::try_from(permits).unwrap()
            }
            Some(Admission::Shut { .. }) => false,
        };
        let open: Vec<ProviderId> = free.iter().filter(is_open).map(|candidate| candidate.provider.id).collect();
        match view.choose(&list, draw) {
            Err(Unchosen::Nobody) => prop_assert!(usable.is_empty(), "nobody chosen of {:?}", usable.len()),
            Err(Unchosen::Saturated) => {
                prop_assert!(!usable.is_empty() && free.is_empty(), "saturated with {} free", free.len());
            }
            Ok(Choice { index, permit }) => {
                let id = list[index].provider.id;
                prop_assert!(list[index].provider.weight > 0, "{:?} is drained", id);
                prop_assert!(free.iter().any(|candidate| candidate.provider.id == id), "{:?} is saturated", id);
                prop_assert!(open.is_empty() || open.contains(&id), "{:?} is shut, {:?} are not", id, open);
                let phase = match view.admission(id) {
                    Some(Admission::Probing { since, .. }) if permit.is_probe() => Some(since),
                    _ => None,
                };
                let counts = view.admission(id).is_some();
                self.running.push(Attempt { provider: id, permit, started: self.now, phase, counts });
            }
        }
        Ok(())
    }

    fn ends(&mut self, which: usize, outcome: Option<Outcome>) {
        let Some(Attempt { provider, permit, started, .. }) = take(&mut self.running, which) else { return };
        drop(permit);
        self.reports.extend(outcome.map(|outcome| told(provider, outcome, started)));
    }

    fn arrives(&mut self, which: usize) -> Result<(), TestCaseError> {
        let Some(report) = take(&mut self.reports, which) else { return Ok(()) };
        self.tick();
        let (provider, outcome, started) = (report.provider, report.outcome, report.started);
        let before = self.view.admission(provider);
        self.pool.report(report, self.now);
        self.settle();
        let after = self.view.admission(provider);
        if let Some(Admission::Probing { since, .. }) = before
            && started < since
            && !matches!(outcome, Outcome::RateLimited { .. })
        {
            let is_same = matches!(after, Some(Admission::Probing { since: now, .. }) if now == since);
            prop_assert!(is_same, "{:?} from before the phase made {:?} {:?}", outcome, before, after);
        }
        Ok(())
    }

    fn adopts(&mut self, row: usize, change: Change) -> Result<(), TestCaseError> {
        self.tick();
        let (rows, before) = (self.rows, Arc::clone(&self.view));
        let row = &mut self.rows[row];
        match change {
            Change::Exists(exists) => row.exists = exists,
            Change::Enabled(is_enabled) => row.is_enabled = is_enabled,
            Change::Weight(weight) => row.weight = weight,
            Change::Most(most) => row.most = most,
        }
        self.adopt();
        for (id, (before_row, row)) in (0..).map(ProviderId).zip(rows.iter().zip(&self.rows)) {
            let was_used = before_row.exists && before_row.is_enabled;
            let (before, after) = (before.admission(id), self.view.admission(id));
            let expected = match (row.exists, was_used && row.is_enabled) {
                (false, _) => None,
                (true, true) => before,
                (true, false) => Some(Admission::Open { factor: 1.0 }),
            };
            prop_assert_eq!(after, expected, "{:?} did not survive the adoption, or too much of it did", id);
        }
        Ok(())
    }

    /// What ran, or is about to, at rows that are gone is not known any more.
    fn restarts(&mut self) {
        let rows = &self.snapshot.providers;
        let is_known = |id: ProviderId| rows.iter().any(|row| row.id == id.0);
        self.loaded.retain(|(_, view)| view.counters().all(|(id, _)| is_known(id)));
        self.pool = Pool::new(self.pool.policy.clone(), &self.view);
        self.pool.adopt(&self.snapshot);
        for attempt in &mut self.running {
            attempt.counts &= self.view.admission(attempt.provider).is_some();
        }
        self.settle();
    }

    fn counting(&self, id: ProviderId) -> u32 {
        let ours = self.running.iter().filter(|attempt| attempt.provider == id && attempt.counts);
        u32::try_from(ours.count()).unwrap()
    }

    fn probing(&self, id: ProviderId, since: Instant) -> usize {
        self.running.iter().filter(|attempt| attempt.provider == id && attempt.phase == Some(since)).count()
    }

    fn is_sound(&self) -> Result<(), TestCaseError> {
        let most = usize::try_from(self.pool.policy.half_open_max_probes.max(1)).unwrap();
        for attempt in &self.running {
            let probes = attempt.phase.map_or(0, |since| self.probing(attempt.provider, since));
            prop_assert!(probes <= most, "{} probes of one phase at {:?}", probes, attempt.provider);
        }
        for provider in &self.snapshot.usable {
            prop_assert_eq!(self.view.in_flight(provider.id), self.counting(provider.id), "of {:?}", provider.id);
            if let Some(Admission::Shut { until, .. }) = self.view.admission(provider.id) {
                prop_assert!(until <= self.now + self.longest(), "shut for too long");
            }
        }
        for candidate in self.snapshot.candidates("m").iter() {
            self.is_probed_as_it_may(candidate)?;
        }
        Ok(())
    }

    /// As long as a phase has permits left, and only then, an attempt is a probe.
    fn is_probed_as_it_may(&self, candidate: &Candidate) -> Result<(), TestCaseError> {
        let id = candidate.provider.id;
        if let Some(Admission::Probing { since, permits, .. }) = self.view.admission(id)
            && let Ok(choice) = self.view.choose(&[candidate], 0.5)
        {
            let is_free = self.probing(id, since) < usize::try_from(permits).unwrap();
            prop_assert_eq!(choice.permit.is_probe(), is_free, "an attempt at {:?}", id);
        }
        Ok(())
    }

    fn longest(&self) -> Duration {
        self.pool.policy.max_open.max(self.pool.policy.max_429_cooldown)
    }

    /// Nobody is there any more, and the timer alone goes off, each time when it is due.
    fn rests(&mut self) -> Result<(), TestCaseError> {
        (self.loaded, self.running, self.reports) = (Vec::new(), Vec::new(), Vec::new());
        self.tick();
        let end = self.now + self.longest();
        while let Some(next) = self.pool.next_deadline(self.now).filter(|next| *next <= end) {
            prop_assert!(next > self.now, "a timer that is due at once, for ever");
            self.now = next;
            self.tick();
        }
        for provider in &self.snapshot.usable {
            let admission = self.view.admission(provider.id);
            prop_assert!(!matches!(admission, Some(Admission::Shut { .. })), "{:?} stays {:?}", provider.id, admission);
            prop_assert_eq!(self.view.in_flight(provider.id), 0, "at {:?} with nobody there", provider.id);
        }
        self.may_be_probed()
    }

    /// All permits are back, as many as there were, and no more.
    fn may_be_probed(&mut self) -> Result<(), TestCaseError> {
        let view = Arc::clone(&self.view);
        for candidate in self.snapshot.candidates("m").iter().filter(|candidate| candidate.provider.weight > 0) {
            let Some(Admission::Probing { permits, .. }) = view.admission(candidate.provider.id) else { continue };
            let most = candidate.provider.params.max_concurrency.map_or(permits, |most| permits.min(most));
            let held: Vec<Permit> = (0..permits + 1)
                .filter_map(|_| view.choose(&[candidate], 0.5).ok())
                .map(|choice| choice.permit)
                .filter(Permit::is_probe)
                .collect();
            prop_assert_eq!(held.len(), usize::try_from(most).unwrap(), "probes at {:?}", candidate.provider.id);
        }
        Ok(())
    }

    /// From now on each attempt is a success; one a second at each provider.
    fn recovers(&mut self) -> Result<(), TestCaseError> {
        let snapshot = Arc::clone(&self.snapshot);
        // Probes, then slow start, and from the floor to 1 by the smallest step, twice over.
        let seconds = 2 * (4 + 24 + 20 + self.longest().as_secs());
        let all = snapshot.candidates("m");
        let all: Vec<&Candidate> = all.iter().filter(|candidate| candidate.provider.weight > 0).collect();
        for _ in 0..seconds {
            if all.iter().all(|candidate| self.is_whole(candidate.provider.id)) {
                break;
            }
            self.now += Duration::from_secs(1);
            self.tick();
            for candidate in &all {
                let choice = self.view.choose(&[candidate], 0.5);
                prop_assert!(choice.is_ok(), "nobody is there, and still {:?}", choice);
                let provider = candidate.provider.id;
                self.pool.report(told(provider, Outcome::Success, self.now), self.now);
                self.settle();
            }
        }
        for candidate in &all {
            let id = candidate.provider.id;
            prop_assert!(self.is_whole(id), "after {} s of successes {:?}", seconds, self.view.admission(id));
        }
        Ok(())
    }

    /// Closed, with its full weight.
    fn is_whole(&self, id: ProviderId) -> bool {
        self.view.admission(id) == Some(Admission::Open { factor: 1.0 })
    }
}

fn told(provider: ProviderId, outcome: Outcome, started: Instant) -> ReportOutcome {
    ReportOutcome { provider, outcome, started, facts: AttemptFacts::default() }
}

fn take<T>(all: &mut Vec<T>, which: usize) -> Option<T> {
    (!all.is_empty()).then(|| all.remove(which % all.len()))
}

proptest! {
    #![proptest_config(schedules(1_000))]

    #[test]
    fn whatever_the_order_counts_permits_and_phases_hold_and_successes_bring_everybody_back(
        policy in policy(),
        events in prop::collection::vec(event(), 1..150),
    ) {
        let mut world = World::new(policy);
        for event in &events {
            world.happens(event)?;
        }
        world.rests()?;
        world.recovers()?;
    }
}
