//! Providers that fail at random: nobody notices but the clients of streams that had begun.

use std::sync::Arc;

use rand::RngExt as _;
use serde_json::json;

use crate::faults::{Fault, Tally, WORDS};
use crate::provider::{Provider, Talk};
use crate::reading::{End, Reading, text_of};
use crate::scale::{Scale, Seed, tell};
use crate::support::database::log_rows;
use crate::support::load::{Ask, Plan, Target};
use crate::support::{Answer, Replica, alone};
use crate::wire::{LAST_CHUNK, Mark, STREAM_HEAD, Wire, answer, chunks};

const KEY: &str = "sk-in-the-chaos";
/// Of this many answers of a provider, one goes wrong.
const ONE_IN: u32 = 5;
/// How many times as often as the healthy provider one that fails is chosen.
const WEIGHT: u32 = 30;

/// Timeouts that make a fault short, and a breaker that forgives soon: what is tried here is what
/// becomes of requests, not how few of them meet a provider that fails.
const VARIABLES: [(&str, &str); 13] = [
    ("DB_URL", "sqlite://test.db"),
    ("RUST_LOG", "info,llm_proxy::proxy=error,llm_proxy::actors=error"),
    // All providers: three that fail at random, one where nobody listens, and one that is well.
    ("MAX_ATTEMPTS", "5"),
    ("TTFT_TIMEOUT_SECS", "0.5"),
    ("STREAM_IDLE_TIMEOUT_SECS", "1"),
    ("SSE_KEEPALIVE_SECS", "0.2"),
    ("REQUEST_LOG_QUEUE", "100000"),
    ("ADAPTIVE_MIN_MULTIPLIER", "0.5"),
    ("ADAPTIVE_SLOW_START_WINDOW_SECS", "0"),
    ("ADAPTIVE_BASE_429_COOLDOWN_SECS", "0.1"),
    ("ADAPTIVE_MAX_429_COOLDOWN_SECS", "0.5"),
    ("ADAPTIVE_BASE_OPEN_DURATION_SECS", "0.2"),
    ("ADAPTIVE_MAX_OPEN_DURATION_SECS", "1"),
];

#[test]
fn when_providers_fail_only_streams_that_had_begun_break() {
    let _alone = alone();
    let (scale, seed) = (Scale::chosen(), Seed::chosen("chaos"));
    let replica = Replica::start("chaos", "sqlite://test.db", &VARIABLES);
    let (faults, ends) = (Arc::new(Tally::default()), Tally::default());
    let providers = start_providers(&replica, seed, &faults);
    let ask = |number: u32| {
        let (wire, is_streamed) = kind(number);
        let text = Mark::new(u64::from(number), "chaos", WORDS).text();
        Ask { path: wire.path(), key: KEY.into(), body: wire.request("m", &text, is_streamed).into() }
    };
    let judge = |ask: &Ask, answer: &Answer| judge(ask, answer, &ends);
    let target = Target { address: replica.address(), rate: scale.chaos_rate, connections: 48 };
    let plan = Plan { targets: vec![target], ask: &ask, judge: &judge };
    let report = plan.run(scale.chaos);

    let calls: usize = providers.iter().map(|provider| provider.counts.requests.load(SeqCst)).sum();
    let (failed, later) = (faults.sum(|_| true), faults.sum(|fault| fault.starts_with("Later")));
    tell(&format!("chaos: {report}"));
    tell(&format!("chaos: {failed} of {calls} calls failed, {later} of them after content: {}", faults.figures()));
    tell(&format!("chaos: {}", ends.figures()));
    for metric in ["llm_proxy_upstream_attempts_total", "llm_proxy_streams_total"] {
        tell(&format!("chaos: {metric}: {:?}", replica.samples(metric)));
    }
    let seconds = u32::try_from(scale.chaos.as_secs()).unwrap();
    report.assert_all_well(scale.chaos_rate * seconds);
    let (calls, asked) = (u64::try_from(calls).unwrap(), u64::try_from(report.samples.len()).unwrap());
    assert!(failed * 10 > calls, "{failed} of {calls} are too few");
    assert_broken(&faults, &ends);
    assert_logged(replica, asked, &ends);
}

use std::sync::atomic::Ordering::SeqCst;

/// Protocol of a client, and whether it streams.
fn kind(number: u32) -> (Wire, bool) {
    (Wire::ALL[usize::try_from(number % 3).unwrap()], number % 5 > 1)
}

/// Three providers that fail at random, one where nobody listens, and one that is well.
fn start_providers(replica: &Replica, seed: Seed, faults: &Arc<Tally>) -> Vec<Provider> {
    let mut admin = replica.admin();
    let mut providers = Vec::new();
    let mut make = |wire: Wire, key: &str, base: &str, weight: u32| {
        // A whole answer that does not come must end in time for another one.
        let timeouts = json!({"request_secs": 0.5});
        let more = json!({"model_mapping": {"m": "real"}, "weight": weight,
            "provider_params": {"timeouts": timeouts}});
        admin.change("POST", "/providers", &wire.provider(key, base, &more));
    };
    for (place, wire) in Wire::ALL.into_iter().enumerate() {
        let (place, faults) = (u64::try_from(place).unwrap(), Arc::clone(faults));
        let provider = Provider::new(move |talk| serve(wire, talk, seed, (place, &faults)));
        make(wire, &format!("flaky-{}", wire.provider_type()), &provider.base(), WEIGHT);
        providers.push(provider);
    }
    let healthy = Provider::new(|talk| answer_well(Wire::Chat, talk));
    make(Wire::Chat, "healthy", &healthy.base(), 1);
    make(Wire::Chat, "refusing", "http://127.0.0.1:1/v1", WEIGHT / 5);
    providers.push(healthy);
    admin.credential(KEY, &json!({}));
    providers
}

/// Fails for one request in some, always the same ones with the same seed.
fn serve(wire: Wire, talk: &mut Talk, seed: Seed, (place, faults): (u64, &Tally)) -> std::io::Result<()> {
    let mut dice = seed.dice(talk.mark.number * 3 + place);
    if dice.random_range(0..ONE_IN) > 0 {
        return answer_well(wire, talk);
    }
    let fault = Fault::drawn(&mut dice, talk.is_streamed);
    let when = if fault.is_later() { "Later" } else { "Before" };
    let how = if talk.is_streamed { "stream" } else { "whole" };
    faults.count(format!("{when} {how} {fault:?}"));
    fault.happen(wire, talk, &mut dice)
}

fn answer_well(wire: Wire, talk: &mut Talk) -> std::io::Result<()> {
    let words = talk.mark.words(WORDS);
    if !talk.is_streamed {
        return talk.say(answer(200, "", &wire.whole(&words)));
    }
    let frames = wire.frames(&words);
    // The content comes in two pieces, so that a stream does not end where it begins.
    let (first, rest) = frames.words.split_at(WORDS / 2);
    talk.say(format!("{STREAM_HEAD}{}", chunks(frames.opening.iter().chain(first))))?;
    talk.say(format!("{}{LAST_CHUNK}", chunks(rest.iter().chain(&frames.closing))))
}

/// A whole answer never fails; a stream is whole, or breaks after content, and says so.
fn judge(ask: &Ask, answer: &Answer, ends: &Tally) -> Result<(), String> {
    let wire = Wire::ALL.into_iter().find(|wire| wire.path() == ask.path).unwrap();
    if answer.status != 200 {
        return Err(format!("{}: {answer:?}", ask.body));
    }
    let text = Mark::of(&ask.body).words(WORDS).concat();
    if !ask.body.contains("\"stream\":true") {
        let said = text_of(wire, answer);
        ends.count(format!("{wire:?} whole"));
        return if said.as_ref() == Some(&text) { Ok(()) } else { Err(format!("not {text:?}: {answer:?}")) };
    }
    let end = Reading::of(wire, answer.text()).and_then(|reading| reading.end_of(&text));
    match end.map_err(|wrong| format!("{wire:?}: {wrong} in {answer:?}"))? {
        End::Complete => ends.count(format!("{wire:?} stream complete")),
        End::Broken(code) => ends.count(format!("{wire:?} stream broken: {code}")),
    }
    Ok(())
}

/// Each fault after content broke one stream, and nothing else did.
fn assert_broken(faults: &Tally, ends: &Tally) {
    let broken = ends.sum(|end| end.contains("broken"));
    let later = faults.sum(|fault| fault.starts_with("Later"));
    // A reset may overtake the content before it, which then goes to waste unseen.
    let certain = faults.sum(|fault| fault.starts_with("Later") && !fault.contains("Reset"));
    assert!((certain..=later).contains(&broken), "{broken} broken streams of {certain} to {later} faults");
}

/// Every request has a row that tells how it ended.
fn assert_logged(replica: Replica, asked: u64, ends: &Tally) {
    let counted: f64 = replica.samples("llm_proxy_requests_total").iter().map(|(_, count)| count).sum();
    let folder = replica.stop();
    let rows = log_rows(folder.path());
    let of = |outcome: &str| u64::try_from(rows.iter().filter(|row| row.outcome == outcome).count()).unwrap();
    let broken = ends.sum(|end| end.contains("broken"));
    assert_eq!((of("complete"), of("failed"), of("cancelled")), (asked - broken, broken, 0));
    assert_eq!(format!("{counted}"), asked.to_string(), "requests counted");
}
