//! The slice of a shared bucket.

use std::time::{Duration, Instant};

use super::super::lease::{Grant, Lease, MICRO, Taken, Verdict, slice};
use super::terms;

const MS: Duration = Duration::from_millis(1);

fn grant(tokens: u32, left: u32) -> Grant {
    Grant { tokens, left: u64::from(left) * MICRO }
}

fn waits_and_asks(want: u32) -> Taken {
    Taken::Waiting { ask: Some(want) }
}

const WAITS: Taken = Taken::Waiting { ask: None };

fn admitted(remaining: u32) -> Taken {
    Taken::Decided(Verdict::Admitted { remaining })
}

fn refused(retry_after: Duration) -> Taken {
    Taken::Decided(Verdict::Refused { retry_after })
}

/// What each of those who waited was told, and what is asked for next.
fn answer(lease: &mut Lease<char>, grant: Grant, now: Instant) -> (Vec<(char, Verdict)>, Option<u32>) {
    let mut told = Vec::new();
    let next = lease.answered(grant, now, |request, verdict| {
        told.push((request, verdict));
        true
    });
    (told, next)
}

#[test]
fn a_slice_is_a_tenth_of_a_seconds_tokens_within_the_burst() {
    for (per_second, burst, expected) in
        [(1, 1, 1), (10, 10, 1), (11, 20, 2), (100, 100, 10), (100, 3, 3), (1, 500, 1), (u32::MAX, 7, 7)]
    {
        assert_eq!(slice(terms(per_second, burst)), expected, "{per_second}/s, burst {burst}");
    }
}

#[test]
fn one_question_is_asked_and_the_next_only_when_the_slice_is_spent() {
    let (mut lease, now) = (Lease::new(terms(30, 30)), Instant::now());
    assert_eq!(lease.take(now, || 'a'), waits_and_asks(3));
    assert_eq!(lease.take(now, || 'b'), WAITS);
    let (told, next) = answer(&mut lease, grant(3, 27), now);
    assert_eq!(told, [('a', Verdict::Admitted { remaining: 29 }), ('b', Verdict::Admitted { remaining: 28 })]);
    assert_eq!(next, None);
    assert_eq!(lease.take(now, || 'c'), admitted(27));
    assert_eq!(lease.take(now, || 'd'), waits_and_asks(3));
}

#[test]
fn unspent_tokens_expire_after_a_second() {
    let (mut lease, now) = (Lease::new(terms(30, 30)), Instant::now());
    let _ = lease.take(now, || 'a');
    let _ = answer(&mut lease, grant(3, 27), now);
    assert_eq!((lease.remaining(now), lease.remaining(now + 1000 * MS)), (29, 27));
    assert_eq!(lease.take(now + 999 * MS, || 'b'), admitted(28));
    assert_eq!(lease.take(now + 1000 * MS, || 'c'), waits_and_asks(3));
}

#[test]
fn an_empty_bucket_is_not_asked_again_before_it_has_a_token() {
    let (mut lease, now) = (Lease::new(terms(10, 5)), Instant::now());
    assert_eq!(lease.take(now, || 'a'), waits_and_asks(1));
    assert_eq!(lease.take(now, || 'b'), WAITS);
    let left = Grant { tokens: 1, left: MICRO / 4 };
    let (told, next) = answer(&mut lease, left, now);
    let wait = 75 * MS;
    assert_eq!(
        told,
        [('a', Verdict::Admitted { remaining: 0 }), ('b', Verdict::Refused { retry_after: wait })],
        "three quarters of a token at ten a second"
    );
    assert_eq!(next, None);
    assert_eq!(lease.take(now + 70 * MS, || 'c'), refused(5 * MS));
    assert_eq!(lease.take(now + 75 * MS, || 'd'), waits_and_asks(1));
}

#[test]
fn all_who_wait_are_asked_for_at_once_and_what_they_leave_is_a_slice_at_most() {
    let (mut lease, now) = (Lease::new(terms(20, 100)), Instant::now());
    assert_eq!(lease.take(now, || 'a'), waits_and_asks(2));
    for _ in 0..50 {
        assert_eq!(lease.take(now, || 'w'), WAITS);
    }
    let (told, next) = answer(&mut lease, grant(2, 98), now);
    assert_eq!((told.len(), next), (2, Some(49)));
    // All but nine have left by now; nobody gets what they do not take.
    let mut stay = 9;
    let next = lease.answered(grant(49, 49), now, |_, verdict| {
        assert!(matches!(verdict, Verdict::Admitted { .. }));
        stay -= 1;
        stay >= 0
    });
    assert_eq!((next, lease.remaining(now)), (None, 49 + 2));
}

#[test]
fn an_answer_that_took_long_brings_a_slice_at_most() {
    let (mut lease, now) = (Lease::new(terms(10, 100)), Instant::now());
    assert_eq!(lease.take(now, || 'a'), waits_and_asks(1));
    for _ in 0..30 {
        let _ = lease.take(now, || 'w');
    }
    let _ = answer(&mut lease, grant(1, 99), now);
    let (told, next) = answer(&mut lease, grant(30, 69), now + 101 * MS);
    assert_eq!((told.len(), next), (1, Some(29)));
}

#[test]
fn without_an_answer_nobody_goes_on_waiting_and_the_next_asks_again() {
    let (mut lease, now) = (Lease::new(terms(10, 10)), Instant::now());
    let (sender, waiting) = std::sync::mpsc::channel::<()>();
    assert_eq!(lease.take(now, || sender), waits_and_asks(1));
    lease.unanswered();
    assert!(waiting.try_recv().is_err_and(|error| error == std::sync::mpsc::TryRecvError::Disconnected));
    assert_eq!(lease.take(now, || std::sync::mpsc::channel().0), waits_and_asks(1));
}
