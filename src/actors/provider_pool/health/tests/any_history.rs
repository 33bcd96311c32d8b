//! What holds for every policy and every history.

use proptest::prelude::*;

use super::*;

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Success),
        Just(BUSY),
        any_duration().prop_map(|wait| Outcome::RateLimited { retry_after: Some(wait) }),
        Just(Outcome::ServerError),
        Just(Outcome::Transport),
        Just(Outcome::Auth),
        Just(Outcome::RequestTimeout),
        Just(Outcome::ClientFault),
        Just(Outcome::Neutral),
    ]
}

fn any_duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        (0_u64..100).prop_map(Duration::from_nanos),
        (0_u64..1_000_000).prop_map(Duration::from_millis),
    ]
}

fn any_share() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..=1.0, Just(f64::NAN), Just(f64::INFINITY), Just(-1.0)]
}

prop_compose! {
    fn any_policy()(
        (min_multiplier, half_open_weight_factor) in (any_share(), any_share()),
        // A smaller step would recover too, but not within the patience of a test.
        success_recovery_step in 0.01..2.0,
        thresholds in any::<[u8; 4]>(),
        half_open_success_threshold in 0_u32..10,
        (base_429_cooldown, max_429_cooldown) in (any_duration(), any_duration()),
        (base_open, max_open, slow_start_window) in (any_duration(), any_duration(), any_duration()),
    ) -> BreakerPolicy {
        let [threshold_429, threshold_5xx, threshold_transport, half_open_max_probes] =
            thresholds.map(|threshold| u32::from(threshold % 6));
        BreakerPolicy {
            enabled: true, min_multiplier, half_open_weight_factor, success_recovery_step,
            slow_start_window, threshold_429, threshold_5xx, threshold_transport,
            half_open_success_threshold, half_open_max_probes,
            base_429_cooldown, max_429_cooldown, base_open, max_open,
        }
    }
}

fn assert_sound(bench: &Bench) {
    let factor = bench.factor();
    assert!((0.0..=1.0).contains(&factor), "factor {factor}");
    if let Admission::Shut { until, .. } = bench.admission() {
        let longest = bench.policy.max_429_cooldown.max(bench.policy.max_open);
        assert!(until > bench.now);
        assert!(until.duration_since(bench.now) <= longest);
    }
    if let Some(deadline) = bench.health.next_deadline(bench.now, &bench.policy) {
        assert!(deadline > bench.now, "a deadline must not be due at once");
        let just_before = deadline - Duration::from_nanos(1);
        let then = bench.health.admission(just_before, &bench.policy);
        assert_eq!(then, bench.admission(), "changed before its deadline");
    }
}

proptest! {
    #[test]
    fn any_history_stays_within_bounds_and_successes_always_bring_the_full_weight_back(
        policy in any_policy(),
        history in prop::collection::vec((any_outcome(), 0_u64..400, 0_u64..600), 0..60),
    ) {
        let mut bench = Bench::with(policy);
        bench.now += Duration::from_secs(1000);
        for (outcome, pause, age) in history {
            bench.wait(pause);
            assert_sound(&bench);
            bench.on_started(outcome, bench.now - Duration::from_secs(age));
            bench.wait(0);
            assert_sound(&bench);
        }
        for _ in 0..300 {
            bench.now = bench.health.next_deadline(bench.now, &bench.policy).unwrap_or(bench.now);
            bench.wait(0);
            bench.on(Outcome::Success);
            assert_sound(&bench);
        }
        prop_assert_eq!(bench.admission(), Admission::Open { factor: 1.0 });
        prop_assert_eq!(bench.deadline(), None);
    }
}
