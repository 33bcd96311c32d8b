//! What the pool keeps while the configuration changes.

use serde_json::json;

use super::*;
use crate::config::{Candidate, Loaded, ProviderRecord, Sealer, Secret, Source};

fn row(id: i32) -> ProviderRecord {
    let now = chrono::Utc::now();
    ProviderRecord {
        id,
        provider_key: format!("p{id}"),
        provider_type: "openai".to_owned(),
        api_base: "http://127.0.0.1:1".to_owned(),
        api_key: Secret::new("k".to_owned()),
        model_mapping: json!({"m": "m"}),
        weight: 1,
        provider_params: json!({}),
        is_enabled: true,
        created_at: now,
        updated_at: now,
    }
}

fn snapshot(providers: Vec<ProviderRecord>) -> Snapshot {
    let changed_at = chrono::Utc::now();
    let loaded = Loaded { version: 1, changed_at, providers, credentials: vec![], errors: vec![] };
    Snapshot::new(loaded, Source::Database, &Sealer::default())
}

/// A pool and its view, without an actor around them.
struct Bench {
    pool: Pool,
    view: PoolView,
    snapshot: Snapshot,
}

impl Bench {
    fn new(providers: Vec<ProviderRecord>) -> Self {
        let before = PoolView::default();
        let pool = Pool::new(BreakerPolicy::default(), &before);
        let mut bench = Self { pool, view: before, snapshot: snapshot(vec![]) };
        bench.adopt(providers);
        bench
    }

    fn adopt(&mut self, providers: Vec<ProviderRecord>) {
        self.snapshot = snapshot(providers);
        self.pool.adopt(&self.snapshot);
        self.publish();
    }

    fn publish(&mut self) {
        self.view = self.pool.view(&self.view, Instant::now());
    }

    fn choose(&self) -> Result<Permit, Unchosen> {
        let all = self.snapshot.candidates("m");
        let list: Vec<&Candidate> = all.iter().collect();
        self.view.choose(&list, 0.5).map(|choice| choice.permit)
    }

    fn in_flight(&self) -> u32 {
        self.view.in_flight(ProviderId(1))
    }
}

#[test]
fn running_attempts_count_through_every_change_of_the_configuration() {
    let mut bench = Bench::new(vec![row(1)]);
    let first = bench.choose().unwrap();
    let limited = ProviderRecord { weight: 7, provider_params: json!({"max_concurrency": 2}), ..row(1) };
    bench.adopt(vec![limited.clone()]);
    let second = bench.choose().unwrap();
    assert_eq!(bench.choose().unwrap_err(), Unchosen::Saturated);
    bench.adopt(vec![ProviderRecord { is_enabled: false, ..limited.clone() }]);
    assert_eq!((bench.in_flight(), bench.choose().unwrap_err()), (2, Unchosen::Nobody));
    bench.adopt(vec![limited.clone()]);
    assert_eq!(bench.choose().unwrap_err(), Unchosen::Saturated);
    drop(second);
    let third = bench.choose().unwrap();
    bench.adopt(vec![]);
    assert_eq!(bench.in_flight(), 0);
    bench.adopt(vec![row(2)]);
    bench.adopt(vec![limited]);
    assert_eq!((bench.in_flight(), bench.choose().unwrap_err()), (2, Unchosen::Saturated));
    drop((first, third));
    assert_eq!(bench.in_flight(), 0);
}

#[test]
fn what_is_gone_is_forgotten_when_nothing_runs_there() {
    let mut bench = Bench::new(vec![row(1)]);
    let held = bench.choose().unwrap();
    bench.adopt(vec![]);
    bench.adopt(vec![]);
    assert_eq!(bench.pool.gone.len(), 1);
    drop(held);
    bench.adopt(vec![]);
    assert!(bench.pool.gone.is_empty() && bench.pool.members.is_empty());
}

#[test]
fn a_pool_that_starts_again_goes_on_counting() {
    let mut bench = Bench::new(vec![ProviderRecord { provider_params: json!({"max_concurrency": 1}), ..row(1) }]);
    let held = bench.choose().unwrap();
    bench.pool = Pool::new(BreakerPolicy::default(), &bench.view);
    bench.pool.adopt(&bench.snapshot);
    bench.publish();
    assert_eq!(bench.choose().unwrap_err(), Unchosen::Saturated);
    drop(held);
    assert!(bench.choose().is_ok());
}

#[test]
fn a_permit_ends_with_its_attempt_whatever_view_gave_it() {
    let mut bench = Bench::new(vec![row(1)]);
    let held = bench.choose().unwrap();
    for _ in 0..6 {
        let (provider, outcome, started) = (ProviderId(1), Outcome::ServerError, Instant::now());
        let report = ReportOutcome { provider, outcome, started, facts: AttemptFacts::default() };
        bench.pool.report(report, Instant::now());
        bench.publish();
    }
    let last = bench.choose().unwrap();
    assert!(!last.is_probe(), "an open circuit is used as the last candidate, not probed");
    assert_eq!(bench.in_flight(), 2);
    drop((held, last));
    assert_eq!(bench.in_flight(), 0);
}
