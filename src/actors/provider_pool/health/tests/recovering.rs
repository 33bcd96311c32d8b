//! How a provider earns its traffic back.

use super::*;

// === open ===

#[test]
fn an_open_circuit_is_neither_closed_nor_extended_by_late_outcomes() {
    let mut bench = Bench::new();
    bench.repeat(Outcome::ServerError, 5);
    bench.wait(10);
    for late in [Outcome::Success, Outcome::ClientFault, Outcome::ServerError, Outcome::Transport, BUSY, asked(20)] {
        assert_eq!(bench.repeat(late, 10), None);
        assert_eq!(bench.shut(), Some((20, ShutReason::Breaker)), "{late:?}");
    }
}

#[test]
fn an_open_circuit_stays_open_as_long_as_a_late_retry_after_asks() {
    let mut bench = Bench::new();
    bench.repeat(Outcome::ServerError, 5);
    assert_eq!(bench.on(asked(90)), None);
    assert_eq!(bench.shut(), Some((90, ShutReason::Breaker)));
    bench.on(asked(9000));
    assert_eq!(bench.shut(), Some((300, ShutReason::Breaker)));
}

#[test]
fn outcomes_of_last_candidates_still_move_the_rank_of_an_open_circuit() {
    let mut bench = Bench::new();
    bench.repeat(Outcome::Transport, 4);
    let rank = bench.factor();
    bench.on(Outcome::Success);
    assert!(bench.factor() > rank);
}

#[test]
fn an_open_circuit_is_probed_when_its_time_is_over() {
    let mut bench = Bench::new();
    let until = bench.repeat(Outcome::Transport, 4).expect("opens").until;
    assert_eq!(bench.deadline(), Some(Duration::from_secs(30)));
    // A timer that fires late does not change when the phase began.
    bench.wait(33);
    let factor = 0.7_f64.powi(4) * 0.2;
    let Admission::Probing { since, permits, factor: actual } = bench.admission() else {
        panic!("not probing: {:?}", bench.admission());
    };
    assert_eq!((since, permits), (until, 1));
    assert_close(actual, factor);
    assert_eq!(bench.deadline(), None);
}

// === half-open ===

#[test]
fn enough_successful_probes_close_the_circuit() {
    let mut bench = half_open();
    bench.on(Outcome::Success);
    assert!(bench.is_probing());
    bench.on(Outcome::Success);
    assert!(bench.is_open());
}

#[test]
fn any_failed_probe_opens_the_circuit_for_longer() {
    for outcome in [Outcome::ServerError, Outcome::Auth, Outcome::Transport] {
        let mut bench = half_open();
        bench.on(Outcome::Success);
        assert!(bench.on(outcome).is_some());
        assert_eq!(bench.shut(), Some((60, ShutReason::Breaker)), "{outcome:?}");
    }
}

#[test]
fn open_times_double_with_each_ejection_up_to_the_longest() {
    let mut bench = half_open();
    for expected in [60, 120, 240, 300, 300] {
        bench.on(Outcome::Transport);
        assert_eq!(bench.shut(), Some((expected, ShutReason::Breaker)));
        bench.wait(expected);
    }
}

#[test]
fn a_429_to_a_probe_opens_for_a_cooldown_longer_than_the_last() {
    let mut bench = Bench::new();
    bench.repeat(BUSY, 3);
    bench.wait(60);
    bench.on(Outcome::Success);
    let ejection = bench.on(BUSY).expect("opens");
    assert_eq!(ejection.reason, EjectionReason::RateLimited);
    assert_eq!(bench.shut(), Some((120, ShutReason::Breaker)));
}

#[test]
fn outcomes_that_are_no_verdict_leave_a_half_open_circuit_alone() {
    let mut bench = half_open();
    for outcome in [Outcome::RequestTimeout, Outcome::ClientFault, Outcome::Neutral] {
        assert_eq!(bench.repeat(outcome, 10), None);
        assert!(bench.is_probing(), "{outcome:?}");
    }
}

#[test]
fn attempts_begun_before_the_half_open_phase_do_not_decide_it() {
    let mut bench = half_open();
    let before = bench.now - Duration::from_secs(1);
    for outcome in [Outcome::Success, Outcome::ServerError, Outcome::Transport] {
        for _ in 0..10 {
            assert_eq!(bench.on_started(outcome, before), None);
        }
        assert!(bench.is_probing(), "{outcome:?}");
    }
    assert!(bench.on_started(BUSY, before).is_some(), "a 429 always benches");
}

#[test]
fn probe_settings_of_0_are_read_as_1() {
    let mut bench = half_open();
    bench.policy.half_open_max_probes = 0;
    bench.policy.half_open_success_threshold = 0;
    assert!(matches!(bench.admission(), Admission::Probing { permits: 1, .. }));
    bench.on(Outcome::Success);
    assert!(bench.is_open());
}

// === slow start ===

#[test]
fn after_closing_the_weight_ramps_up_over_the_window() {
    let mut bench = closed_again();
    bench.repeat(Outcome::Success, 10);
    assert_close(bench.factor(), 0.05);
    bench.wait(30);
    assert_close(bench.factor(), 0.05 + 0.95 / 2.0);
    bench.wait(29);
    assert_close(bench.factor(), 0.05 + 0.95 * 0.95);
    bench.wait(1);
    assert_eq!(bench.admission(), Admission::Open { factor: 1.0 });
    assert_eq!(bench.deadline(), None);
}

#[test]
fn slow_start_asks_for_a_tick_at_each_of_its_steps() {
    let mut bench = closed_again();
    let mut steps = 0;
    while let Some(wait) = bench.deadline() {
        assert_eq!(wait, Duration::from_secs(3));
        let factor = bench.factor();
        bench.wait(3);
        assert!(bench.factor() > factor);
        steps += 1;
    }
    assert_eq!(steps, 20);
}

#[test]
fn a_slow_start_of_0_gives_the_full_weight_at_once() {
    let mut bench = half_open();
    bench.policy.slow_start_window = Duration::ZERO;
    bench.repeat(Outcome::Success, 12);
    assert_eq!(bench.admission(), Admission::Open { factor: 1.0 });
    assert_eq!(bench.deadline(), None);
}

#[test]
fn an_ejection_before_the_end_of_slow_start_counts_the_earlier_ones() {
    let mut bench = closed_again();
    bench.wait(59);
    bench.repeat(Outcome::ServerError, 5);
    assert_eq!(bench.shut(), Some((60, ShutReason::Breaker)));
}

#[test]
fn an_ejection_after_slow_start_begins_anew() {
    let mut bench = closed_again();
    bench.wait(60);
    bench.repeat(Outcome::ServerError, 5);
    assert_eq!(bench.shut(), Some((30, ShutReason::Breaker)));
}

#[test]
fn failures_from_before_the_circuit_closed_do_not_count_towards_the_next_ejection() {
    let mut bench = closed_again();
    assert_eq!(bench.repeat(Outcome::ServerError, 4), None);
}
