//! What views do with candidates.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::actors::provider_pool::health::ShutReason;
use crate::config::{Loaded, ProviderRecord, Secret, Snapshot};

fn candidates(weights: &[i32]) -> Arc<[Candidate]> {
    limited(weights, &json!({}))
}

/// Candidates that may run this many attempts each.
fn few(weights: &[i32], most: u32) -> Arc<[Candidate]> {
    limited(weights, &json!({"max_concurrency": most}))
}

fn limited(weights: &[i32], params: &Value) -> Arc<[Candidate]> {
    let now = chrono::Utc::now();
    let record = |(id, weight): (i32, &i32)| ProviderRecord {
        id,
        provider_key: format!("p{id}"),
        provider_type: "openai".to_owned(),
        api_base: "http://127.0.0.1:1".to_owned(),
        api_key: Secret::new("k".to_owned()),
        model_mapping: json!({"m": "m"}),
        weight: *weight,
        provider_params: params.clone(),
        is_enabled: true,
        created_at: now,
        updated_at: now,
    };
    let providers = (0..).zip(weights).map(record).collect();
    let loaded = Loaded { version: 1, changed_at: now, providers, credentials: vec![], errors: vec![] };
    Snapshot::new(loaded, crate::config::Source::Database, &crate::config::Sealer::default()).candidates("m")
}

fn view(admissions: &[(i32, Admission)]) -> PoolView {
    let member = |(id, admission): &(i32, Admission)| (ProviderId(*id), *admission, InFlight::default());
    PoolView::new(&PoolView::default(), admissions.iter().map(member))
}

fn open(count: i32) -> PoolView {
    view(&(0..count).map(|id| (id, Admission::Open { factor: 1.0 })).collect::<Vec<_>>())
}

fn shut(factor: f64) -> Admission {
    Admission::Shut { until: Instant::now() + Duration::from_secs(9), reason: ShutReason::Breaker, factor }
}

fn chosen(view: &PoolView, list: &[&Candidate], draw: f64) -> Option<usize> {
    view.choose(list, draw).map(|choice| choice.index).ok()
}

#[test]
fn the_draw_falls_by_weight_and_drained_providers_get_nothing() {
    let all = candidates(&[3, 0, 1]);
    let list: Vec<&Candidate> = all.iter().collect();
    let view = PoolView::default();
    assert_eq!(chosen(&view, &list, 0.0), Some(0));
    assert_eq!(chosen(&view, &list, 0.749), Some(0));
    assert_eq!(chosen(&view, &list, 0.751), Some(2));
    assert_eq!(chosen(&view, &list, 0.999_999_999), Some(2));
    let drained = candidates(&[0, 0]);
    assert_eq!(chosen(&view, &drained.iter().collect::<Vec<_>>(), 0.5), None);
    assert_eq!(chosen(&view, &[], 0.5), None);
}

#[test]
fn a_shut_provider_gets_nothing_unless_all_are_shut() {
    let all = candidates(&[1, 5]);
    let list: Vec<&Candidate> = all.iter().collect();
    let one = view(&[(0, shut(1.0))]);
    assert_eq!(chosen(&one, &list, 0.0), Some(1));
    let both = view(&[(0, shut(1.0)), (1, shut(0.1))]);
    assert_eq!(chosen(&both, &list, 0.9), Some(0));
}

#[test]
fn prospects_are_what_the_draw_does() {
    let all = candidates(&[3, 0, 1, 4, 2]);
    let list: Vec<&Candidate> = all.iter().collect();
    let cooling =
        Admission::Shut { until: Instant::now() + Duration::from_secs(9), reason: ShutReason::Cooldown, factor: 1.0 };
    let busy = Admission::Probing { since: Instant::now(), permits: 1, factor: 0.5 };
    let view = view(&[(2, Admission::Open { factor: 0.5 }), (3, cooling), (4, busy)]);
    let probe = view.choose(&list[4..], 0.5).unwrap();
    let (first, third) = (3.0 / 3.5, 0.5 / 3.5);
    let prospects = view.prospects(&list);
    let expected = [
        Prospect::Share(first),
        Prospect::Barred(Bar::Drained),
        Prospect::Share(third),
        Prospect::Barred(Bar::Cooldown),
        Prospect::Barred(Bar::Busy),
    ];
    assert_eq!(prospects, expected);
    for (draw, index) in [(0.0, 0), (first - 0.001, 0), (first + 0.001, 2), (0.999, 2)] {
        assert_eq!(chosen(&view, &list, draw), Some(index));
    }
    drop(probe);
    assert_eq!(view.prospects(&list[4..]), [Prospect::Share(1.0)]);
}

#[test]
fn the_last_candidate_may_expect_everything() {
    let all = candidates(&[1, 5, 0]);
    let list: Vec<&Candidate> = all.iter().collect();
    let both = view(&[(0, shut(1.0)), (1, shut(0.1))]);
    let barred = [Prospect::Share(1.0), Prospect::Barred(Bar::Breaker), Prospect::Barred(Bar::Drained)];
    assert_eq!(both.prospects(&list), barred);
    assert_eq!(both.prospects(&list[2..]), [Prospect::Barred(Bar::Drained)]);
    assert_eq!(both.prospects(&[]), []);
}

#[test]
fn a_probed_provider_gets_one_attempt_at_a_time_over_every_view_of_the_phase() {
    let all = candidates(&[1]);
    let list: Vec<&Candidate> = all.iter().collect();
    let probing = Admission::Probing { since: Instant::now(), permits: 1, factor: 0.2 };
    let first = view(&[(0, probing)]);
    let held = first.choose(&list, 0.5).unwrap();
    assert!(held.permit.is_probe());
    let next = PoolView::new(&first, std::iter::once((ProviderId(0), probing, InFlight::default())));
    // The only candidate, so it is used although the permit is out.
    assert!(!next.choose(&list, 0.5).unwrap().permit.is_probe());
    drop(held);
    assert!(next.choose(&list, 0.5).unwrap().permit.is_probe());
}

#[test]
fn a_saturated_candidate_is_passed_over_until_an_attempt_ends() {
    let all = few(&[1000, 1], 2);
    let list: Vec<&Candidate> = all.iter().collect();
    let view = open(2);
    let held = [view.choose(&list, 0.5).unwrap(), view.choose(&list, 0.5).unwrap()];
    assert_eq!(held.each_ref().map(|choice| choice.index), [0, 0]);
    assert_eq!((view.in_flight(ProviderId(0)), view.in_flight(ProviderId(1))), (2, 0));
    assert_eq!(view.prospects(&list), [Prospect::Barred(Bar::Saturated), Prospect::Share(1.0)]);
    let other = view.choose(&list, 0.5).unwrap();
    assert_eq!(other.index, 1);
    drop(held);
    assert_eq!(view.in_flight(ProviderId(0)), 0);
    assert_eq!(chosen(&view, &list, 0.5), Some(0));
    // That choice was dropped at once, and so was its permit.
    assert_eq!(view.in_flight(ProviderId(0)), 0);
}

#[test]
fn saturated_candidates_are_not_used_even_as_the_last() {
    let all = few(&[1, 1, 0], 1);
    let list: Vec<&Candidate> = all.iter().collect();
    let view = view(&[(0, shut(1.0)), (1, shut(0.1)), (2, Admission::Open { factor: 1.0 })]);
    let held = view.choose(&list, 0.0).unwrap();
    assert_eq!(held.index, 0);
    assert_eq!(view.prospects(&list)[..2], [Prospect::Barred(Bar::Saturated), Prospect::Share(1.0)]);
    let last = view.choose(&list, 0.0).unwrap();
    assert_eq!(last.index, 1);
    assert_eq!(view.choose(&list, 0.0).unwrap_err(), Unchosen::Saturated);
    let prospects = [Bar::Saturated, Bar::Saturated, Bar::Drained].map(Prospect::Barred);
    assert_eq!(view.prospects(&list), prospects);
    assert_eq!(view.choose(&list[2..], 0.0).unwrap_err(), Unchosen::Nobody);
    drop(last);
    assert_eq!(chosen(&view, &list, 0.0), Some(1));
}

#[test]
fn a_saturated_provider_takes_no_probe() {
    let all = few(&[1, 1], 1);
    let list: Vec<&Candidate> = all.iter().collect();
    let probing = Admission::Probing { since: Instant::now(), permits: 2, factor: 1.0 };
    let view = view(&[(0, probing), (1, Admission::Open { factor: 1.0 })]);
    let held = view.choose(&list, 0.0).unwrap();
    assert!(held.permit.is_probe());
    for _ in 0..5 {
        assert_eq!(chosen(&view, &list, 0.0), Some(1));
    }
    let all = few(&[1, 1], 2);
    let list: Vec<&Candidate> = all.iter().collect();
    let second = view.choose(&list, 0.0).unwrap();
    assert!(second.index == 0 && second.permit.is_probe(), "{second:?}");
}

#[test]
fn a_provider_busy_with_probes_counts_no_attempt_that_it_did_not_get() {
    let all = candidates(&[1, 1]);
    let list: Vec<&Candidate> = all.iter().collect();
    let probing = Admission::Probing { since: Instant::now(), permits: 1, factor: 1.0 };
    let view = view(&[(0, probing), (1, Admission::Open { factor: 1.0 })]);
    let held = view.choose(&list, 0.0).unwrap();
    assert_eq!((held.index, chosen(&view, &list, 0.0)), (0, Some(1)));
    assert_eq!((view.in_flight(ProviderId(0)), view.in_flight(ProviderId(1))), (1, 0));
}

#[test]
fn the_limit_is_that_of_the_requests_own_candidate() {
    let (before, after) = (few(&[1], 1), few(&[1], 2));
    let (before, after): (Vec<&Candidate>, Vec<&Candidate>) = (before.iter().collect(), after.iter().collect());
    let view = open(1);
    let _held = view.choose(&before, 0.5).unwrap();
    assert_eq!(view.choose(&before, 0.5).unwrap_err(), Unchosen::Saturated);
    let _second = view.choose(&after, 0.5).unwrap();
    assert_eq!(view.choose(&after, 0.5).unwrap_err(), Unchosen::Saturated);
    assert_eq!(view.in_flight(ProviderId(0)), 2);
}
