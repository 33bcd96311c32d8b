//! How failures take traffic away.

use super::*;

// === multiplier ===

#[test]
fn each_outcome_moves_the_multiplier_by_its_own_step() {
    for (outcome, expected) in [
        (Outcome::ServerError, 0.7),
        (Outcome::Transport, 0.7),
        (Outcome::Auth, 0.7),
        (Outcome::RequestTimeout, 0.9),
        (Outcome::ClientFault, 1.0),
        (Outcome::Neutral, 1.0),
        (Outcome::Success, 1.0),
    ] {
        let mut bench = Bench::new();
        bench.on(outcome);
        assert_eq!(bench.admission(), Admission::Open { factor: expected }, "{outcome:?}");
    }
    let mut bench = Bench::new();
    bench.on(BUSY);
    bench.wait(15);
    assert_eq!(bench.admission(), Admission::Open { factor: 0.5 });
}

#[test]
fn successes_raise_the_multiplier_to_1_and_no_further() {
    let mut bench = Bench::new();
    bench.on(Outcome::ServerError);
    bench.on(Outcome::Success);
    assert_close(bench.factor(), 0.8);
    bench.repeat(Outcome::Success, 5);
    assert_close(bench.factor(), 1.0);
}

#[test]
fn the_multiplier_stops_at_its_floor() {
    let mut bench = Bench::new();
    bench.repeat(Outcome::RequestTimeout, 100);
    assert_close(bench.factor(), 0.05);
}

// === cooldown ===

#[test]
fn a_429_benches_for_the_time_retry_after_asks() {
    let mut bench = Bench::new();
    assert_eq!(bench.on(asked(7)), None);
    assert_eq!(bench.shut(), Some((7, ShutReason::Cooldown)));
}

#[test]
fn retry_after_is_cut_to_the_longest_cooldown() {
    let mut bench = Bench::new();
    bench.on(asked(u64::MAX));
    assert_eq!(bench.shut(), Some((300, ShutReason::Cooldown)));
}

#[test]
fn a_cooldown_doubles_with_each_429_in_a_row_up_to_the_longest() {
    let mut bench = Bench::with(BreakerPolicy { threshold_429: 0, ..BreakerPolicy::default() });
    for expected in [15, 30, 60, 120, 240, 300, 300] {
        bench.on(BUSY);
        assert_eq!(bench.shut(), Some((expected, ShutReason::Cooldown)));
        bench.wait(expected);
        assert!(bench.is_open());
    }
    bench.repeat(BUSY, 100);
    assert_eq!(bench.shut(), Some((300, ShutReason::Cooldown)));
}

#[test]
fn after_a_cooldown_the_circuit_is_closed_and_the_weight_still_low() {
    let mut bench = Bench::new();
    bench.on(BUSY);
    assert_eq!(bench.deadline(), Some(Duration::from_secs(15)));
    bench.wait(14);
    assert_eq!(bench.shut(), Some((1, ShutReason::Cooldown)));
    bench.wait(1);
    assert_eq!(bench.admission(), Admission::Open { factor: 0.5 });
    assert_eq!(bench.deadline(), None);
}

#[test]
fn a_shorter_retry_after_does_not_end_a_longer_cooldown() {
    let mut bench = Bench::new();
    bench.on(asked(60));
    bench.on(asked(1));
    assert_eq!(bench.shut(), Some((60, ShutReason::Cooldown)));
}

#[test]
fn a_success_during_a_cooldown_ends_the_run_but_not_the_cooldown() {
    let mut bench = Bench::new();
    bench.repeat(BUSY, 2);
    bench.on(Outcome::Success);
    assert_eq!(bench.shut(), Some((30, ShutReason::Cooldown)));
    assert_eq!(bench.repeat(BUSY, 2), None);
}

// === closed to open ===

#[test]
fn each_failure_opens_the_circuit_at_its_threshold() {
    for (outcome, threshold, seconds, label) in [
        (BUSY, 3, 60, "429"),
        (Outcome::ServerError, 5, 30, "5xx"),
        (Outcome::Auth, 5, 30, "auth"),
        (Outcome::Transport, 4, 30, "transport"),
    ] {
        let mut bench = Bench::new();
        assert_eq!(bench.repeat(outcome, threshold - 1), None, "{label}");
        let ejection = bench.on(outcome).expect(label);
        assert_eq!(ejection.reason.label(), label);
        assert_eq!(ejection.until, bench.now + Duration::from_secs(seconds));
        assert_eq!(bench.shut(), Some((seconds, ShutReason::Breaker)));
    }
}

#[test]
fn a_circuit_opened_by_429_stays_open_as_long_as_retry_after_asks() {
    let mut bench = Bench::new();
    bench.repeat(asked(5), 3);
    assert_eq!(bench.shut(), Some((5, ShutReason::Breaker)));
}

#[test]
fn an_opening_circuit_keeps_a_cooldown_that_ends_later() {
    let mut bench = Bench::new();
    bench.on(asked(200));
    bench.repeat(Outcome::ServerError, 5);
    assert_eq!(bench.shut(), Some((200, ShutReason::Breaker)));
}

#[test]
fn rejected_secrets_and_5xx_count_as_one_run() {
    let mut bench = Bench::new();
    bench.repeat(Outcome::ServerError, 4);
    let ejection = bench.on(Outcome::Auth).expect("the fifth failure opens");
    assert_eq!(ejection.reason, EjectionReason::Auth);
}

#[test]
fn a_success_a_client_fault_or_another_failure_ends_a_run() {
    for end in [Outcome::Success, Outcome::ClientFault, Outcome::Transport] {
        let mut bench = Bench::new();
        bench.repeat(Outcome::ServerError, 4);
        bench.on(end);
        assert_eq!(bench.repeat(Outcome::ServerError, 4), None, "{end:?}");
        assert!(bench.on(Outcome::ServerError).is_some(), "{end:?}");
    }
}

#[test]
fn a_408_or_a_neutral_outcome_neither_extends_nor_ends_a_run() {
    for between in [Outcome::RequestTimeout, Outcome::Neutral] {
        let mut bench = Bench::new();
        bench.repeat(Outcome::Transport, 3);
        assert_eq!(bench.repeat(between, 10), None);
        assert!(bench.is_open());
        assert!(bench.on(Outcome::Transport).is_some(), "{between:?}");
    }
}

#[test]
fn a_threshold_of_0_never_opens_the_circuit() {
    let mut bench = Bench::with(BreakerPolicy {
        threshold_429: 0,
        threshold_5xx: 0,
        threshold_transport: 0,
        ..BreakerPolicy::default()
    });
    for outcome in [Outcome::ServerError, Outcome::Auth, Outcome::Transport] {
        assert_eq!(bench.repeat(outcome, 100), None);
        assert!(bench.is_open());
    }
    assert_eq!(bench.repeat(BUSY, 100), None);
}

// === settings ===

#[test]
fn a_disabled_breaker_keeps_full_weight_whatever_happens() {
    let mut bench = Bench::new();
    bench.policy.enabled = false;
    for outcome in [BUSY, Outcome::ServerError, Outcome::Transport] {
        assert_eq!(bench.repeat(outcome, 10), None);
        assert_eq!(bench.admission(), Admission::Open { factor: 1.0 });
    }
    assert_eq!(bench.deadline(), None);
    bench.policy.enabled = true;
    assert_eq!(bench.admission(), Admission::Open { factor: 1.0 });
}

#[test]
fn without_settings_the_policy_is_the_documented_one() {
    let policy = BreakerPolicy::default();
    let seconds = [
        policy.slow_start_window,
        policy.base_429_cooldown,
        policy.max_429_cooldown,
        policy.base_open,
        policy.max_open,
    ]
    .map(|time| time.as_secs());
    assert_eq!(seconds, [60, 15, 300, 30, 300]);
    assert!(policy.enabled);
    assert_eq!(policy.half_open_success_threshold, 2);
    assert_eq!(policy.half_open_max_probes, 1);
}
