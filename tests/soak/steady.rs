//! Everything at once for a long time: nothing grows, nothing fails, nothing is forgotten.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use serde_json::{Value, json};

use crate::faults::Tally;
use crate::machine::Holding;
use crate::provider::{Provider, Talk};
use crate::reading::{End, Reading, text_of};
use crate::scale::{Scale, Seed, tell};
use crate::support::database::log_rows;
use crate::support::feed::Feed;
use crate::support::load::{Ask, Plan, Target, pause};
use crate::support::{Admin, Answer, Replica, alone, eventually};
use crate::wire::{LAST_CHUNK, Mark, STREAM_HEAD, Wire, answer, chunks};

const KEY: &str = "sk-that-comes-again";
const STRANGER: &str = "sk-of-a-stranger";
const CONNECTIONS: u32 = 32;
const WORDS: usize = 20;
/// More changes than the feed keeps in memory.
const CHANGES_KEPT: u32 = 1100;
/// From this length on what is held must not grow.
const LONG: Duration = Duration::from_secs(600);
/// What memory may grow by after the first minute, in percent.
const GROWTH: u64 = 5;
/// Seconds whose median is compared.
const WINDOW: usize = 20;

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Whole,
    Stream,
    /// The provider finds fault with the request.
    Refused,
    UnknownModel,
    Stranger,
    NotJson,
    CountTokens,
}

#[test]
fn nothing_grows_while_everything_happens() {
    let _alone = alone();
    let (scale, seed) = (Scale::chosen(), Seed::chosen("steady"));
    let is_long = scale.steady >= LONG;
    let variables = [("RUST_LOG", "info,llm_proxy::proxy=error,llm_proxy::actors=error")];
    let replica = Replica::start("steady", "sqlite://test.db", &variables);
    let mut admin = replica.admin();
    let providers = Wire::ALL.map(|wire| {
        let provider = Provider::new(move |talk| speak(wire, talk));
        let name = wire.provider_type();
        let more = json!({"model_mapping": {name: "real"}});
        admin.change("POST", "/providers", &wire.provider(name, &provider.base(), &more));
        provider
    });
    admin.credential(KEY, &json!({"name": "again"}));
    // The memory of the feed is full before anything is measured.
    (0..if is_long { CHANGES_KEPT } else { 20 }).for_each(|turn| change(&mut admin, turn));
    let feed = Feed::open(replica.address(), 0);

    let ends = Tally::default();
    let ask = |number: u32| ask(seed, number);
    let judge = |ask: &Ask, answer: &Answer| judge(ask, answer, &ends);
    let target = Target { address: replica.address(), rate: scale.steady_rate, connections: CONNECTIONS };
    let plan = Plan { targets: vec![target], ask: &ask, judge: &judge };
    let (held, report) = plan.during(|| watch(&replica, &mut admin, scale.steady));
    tell(&format!("steady: {report}; {}", ends.figures()));
    report.assert_all_well(scale.steady_rate * u32::try_from(scale.steady.as_secs()).unwrap());
    assert_held(&held, is_long);

    let version = admin.version();
    drop(admin);
    let told: Vec<i64> = feed.changes_until(version).iter().map(|change| change.version).collect();
    assert_eq!(told, (1..=version).collect::<Vec<_>>(), "what the feed told");
    drop(feed);
    let idle = || providers.iter().map(|provider| provider.counts.open.load(Ordering::SeqCst)).sum::<usize>();
    let most = usize::try_from(CONNECTIONS).unwrap() * providers.len();
    eventually("connections are closed", || Holding::of(replica.id()).sockets <= idle() + 8 && idle() <= most);
    let dropped: f64 = replica.samples("llm_proxy_mailbox_dropped_total").iter().map(|(_, count)| count).sum();
    assert!(dropped < 0.5, "{dropped} messages were dropped");
    let folder = replica.stop();
    let asked = ends.sum(|end| end != format!("{:?}", Case::Stranger));
    assert_eq!(log_rows(folder.path()).len().to_string(), asked.to_string(), "rows");
}

/// Changes and looks at something each second; gives what the process held then.
fn watch(replica: &Replica, admin: &mut Admin, length: Duration) -> Vec<Holding> {
    let (start, mut held) = (Instant::now(), Vec::new());
    while start.elapsed() < length {
        let turn = u32::try_from(held.len()).unwrap();
        change(admin, turn);
        assert_eq!(replica.get("/metrics").status, 200);
        assert_eq!(replica.get("/health/ready").status, 200);
        for path in ["/providers", "/credentials", "/config/changes"] {
            admin.get(path);
        }
        held.push(Holding::of(replica.id()));
        pause((start + Duration::from_secs(1) * (turn + 1)).saturating_duration_since(Instant::now()));
    }
    held
}

fn change(admin: &mut Admin, turn: u32) {
    match turn % 4 {
        0 => admin.change("PUT", "/providers/1", &json!({"weight": turn + 1})),
        1 => admin.change("PUT", "/credentials/1", &json!({"rate_limit": 1_000_000 + turn})),
        _ => {
            let more = json!({"model_mapping": {"other": "real"}});
            let other = Wire::Chat.provider("other", "http://127.0.0.1:1/v1", &more);
            let (_, made) = admin.change("POST", "/providers", &other);
            admin.change("DELETE", &format!("/providers/{}", made["id"]), &Value::Null)
        }
    };
}

/// Memory and files are what they were after the first minute.
fn assert_held(held: &[Holding], is_long: bool) {
    let first = if is_long { 60 } else { held.len() / 3 };
    let window = WINDOW.min(first);
    let median = |from: usize, of: fn(&Holding) -> u64| {
        let mut values: Vec<u64> = held[from..from + window].iter().map(of).collect();
        values.sort_unstable();
        values[window / 2]
    };
    let memory: fn(&Holding) -> u64 = |holding| holding.memory;
    let files: fn(&Holding) -> u64 = |holding| u64::try_from(holding.files).unwrap();
    let last = held.len() - window;
    for (name, of) in [("KiB", memory), ("open files", files)] {
        let course: Vec<u64> = (0..10).map(|tenth| median(last * tenth / 9, of)).collect();
        let (before, after) = (median(first - window, of), median(last, of));
        tell(&format!("steady: {before} {name} after {first} s, {after} at the end; on the way {course:?}"));
        if is_long {
            assert!(after * 100 <= before * (100 + GROWTH), "{before} {name} became {after}");
        }
    }
    let most = |held: &[Holding]| held.iter().map(|holding| holding.files).max().unwrap();
    let (early, late) = (most(&held[..first]), most(&held[last..]));
    assert!(late <= early + usize::try_from(CONNECTIONS).unwrap(), "{early} files became {late}");
}

impl Case {
    const ALL: [(Self, u32); 7] = [
        (Self::Whole, 6),
        (Self::Stream, 8),
        (Self::Refused, 1),
        (Self::UnknownModel, 1),
        (Self::Stranger, 1),
        (Self::NotJson, 1),
        (Self::CountTokens, 2),
    ];

    fn drawn(number: u32) -> Self {
        let mut place = number % Self::ALL.iter().map(|(_, share)| share).sum::<u32>();
        for (case, share) in Self::ALL {
            if place < share {
                return case;
            }
            place -= share;
        }
        Self::Whole
    }

    const fn status(self) -> u16 {
        match self {
            Self::Whole | Self::Stream | Self::CountTokens => 200,
            Self::Refused | Self::NotJson => 400,
            Self::UnknownModel => 404,
            Self::Stranger => 401,
        }
    }
}

fn ask(seed: Seed, number: u32) -> Ask {
    let mut dice = seed.dice(u64::from(number));
    let case = Case::drawn(number);
    let [wire, provider] = [0, 1].map(|_| Wire::ALL[dice.random_range(0..3)]);
    let wire = if case == Case::CountTokens { Wire::Messages } else { wire };
    let text = Mark::new(u64::from(number), &format!("{case:?}"), dice.random_range(0..5)).text();
    let model = if case == Case::UnknownModel { "nobody-knows" } else { provider.provider_type() };
    let body = wire.request(model, &text, case == Case::Stream);
    let body = if case == Case::NotJson { body[..body.len() - 1].to_owned() } else { body };
    let path = if case == Case::CountTokens { "/v1/messages/count_tokens" } else { wire.path() };
    let key = if case == Case::Stranger { STRANGER } else { KEY };
    Ask { path, key: Arc::from(key), body: body.into() }
}

fn speak(wire: Wire, talk: &mut Talk) -> io::Result<()> {
    let words = talk.mark.words(WORDS);
    if talk.mark.what == "Refused" {
        return talk.say(answer(400, "", &wire.error_body()));
    }
    if talk.mark.what == "CountTokens" {
        return talk.say(answer(200, "", "{\"input_tokens\":7}"));
    }
    let pace = Duration::from_millis(u64::try_from(talk.mark.amount).unwrap());
    pause(pace);
    if !talk.is_streamed {
        return talk.say(answer(200, "", &wire.whole(&words)));
    }
    let frames = wire.frames(&words);
    talk.say(format!("{STREAM_HEAD}{}", chunks(&frames.opening)))?;
    for some in frames.words.chunks(5) {
        talk.say(chunks(some))?;
        pause(pace);
    }
    talk.say(format!("{}{LAST_CHUNK}", chunks(&frames.closing)))
}

fn judge(ask: &Ask, answer: &Answer, ends: &Tally) -> Result<(), String> {
    let mark = Mark::of(&ask.body);
    let (case, _) = Case::ALL.into_iter().find(|(case, _)| format!("{case:?}") == mark.what).unwrap();
    ends.count(mark.what.clone());
    let wire = Wire::ALL.into_iter().find(|wire| wire.path() == ask.path);
    let text = mark.words(WORDS).concat();
    let is_right = answer.status == case.status()
        && match (case, wire) {
            (Case::Whole, Some(wire)) => text_of(wire, answer).as_ref() == Some(&text),
            (Case::Stream, Some(wire)) => Reading::of(wire, answer.text())?.end_of(&text)? == End::Complete,
            _ => true,
        };
    is_right.then_some(()).ok_or_else(|| format!("{case:?} {}: {answer:?}", ask.body))
}
