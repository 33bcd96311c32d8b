//! Replicas that are restarted one after the other behind nginx: no client notices.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use serde_json::json;

use crate::faults::Tally;
use crate::provider::{Provider, Talk};
use crate::reading::{End, Reading, text_of};
use crate::scale::{Scale, Seed, tell};
use crate::support::load::{Ask, Plan, Report, Target, pause};
use crate::support::nginx::Nginx;
use crate::support::servers::Postgres;
use crate::support::{Answer, Cluster, Replica, alone};
use crate::wire::{LAST_CHUNK, Mark, STREAM_HEAD, Wire, answer, chunks};

const KEY: &str = "sk-that-notices-nothing";
const WORDS: usize = 12;
/// The longest pause between two words, in milliseconds.
const SLOWEST: usize = 150;
const VARIABLES: [(&str, &str); 2] = [("SHUTDOWN_DELAY_SECS", "2"), ("SHUTDOWN_DRAIN_SECS", "30")];

#[test]
fn replicas_are_restarted_without_a_cut_stream_or_a_refused_request() {
    let _alone = alone();
    let (scale, seed) = (Scale::chosen(), Seed::chosen("restart"));
    let postgres = Postgres::shared();
    let database = postgres.create_database();
    let url = postgres.url(&database);
    let mut cluster = Cluster::of(&[url.as_str(); 2], &VARIABLES);
    let provider = Provider::new(speak);
    let mut admin = cluster.replicas[0].admin();
    let more = json!({"model_mapping": {"m": "real"}});
    admin.change("POST", "/providers", &Wire::Chat.provider("main", &provider.base(), &more));
    let (version, _) = admin.credential(KEY, &json!({}));
    cluster.wait_for_version(version);
    drop(admin);
    let nginx = Nginx::before(&cluster.addresses());

    let ends = Tally::default();
    let ask = |number: u32| ask(seed, number);
    let judge = |ask: &Ask, answer: &Answer| judge(ask, answer, &ends);
    let target = Target { address: nginx.address(), rate: scale.restart_rate, connections: scale.restart_rate * 2 };
    let plan = Plan { targets: vec![target], ask: &ask, judge: &judge };
    let (took, report) = plan.during(|| restart_all(&mut cluster, &url, scale.rounds));

    tell(&format!("restart: {} restarts, {took:.1?} each at most; {report}", scale.rounds * 2));
    tell(&format!("restart: {}; nginx said {:?}", ends.figures(), summary(&nginx.complaints())));
    let seconds = u32::try_from(report.lasted.as_secs()).unwrap();
    report.assert_all_well(scale.restart_rate * seconds);
    for replica in cluster.replicas {
        replica.stop();
    }
    assert_logged(&report, &postgres.texts(&database, ROWS));
}

/// Restarts every replica, one after the other; gives how long the slowest restart took.
fn restart_all(cluster: &mut Cluster, url: &str, rounds: u32) -> Duration {
    let mut slowest = Duration::ZERO;
    pause(Duration::from_secs(1));
    for _ in 0..rounds {
        for _ in 0..cluster.replicas.len() {
            let start = Instant::now();
            let replica = cluster.replicas.remove(0);
            let (name, port) = (replica.name.clone(), replica.address().port().to_string());
            replica.stop();
            let variables: Vec<(&str, &str)> = VARIABLES.into_iter().chain([("PORT", port.as_str())]).collect();
            let replica = Replica::start(&name, url, &variables);
            replica.wait_until_ready();
            cluster.replicas.push(replica);
            slowest = slowest.max(start.elapsed());
            // It serves some requests before the next one goes.
            pause(Duration::from_secs(1));
        }
    }
    slowest
}

fn ask(seed: Seed, number: u32) -> Ask {
    let mut dice = seed.dice(u64::from(number));
    let wire = Wire::ALL[dice.random_range(0..3)];
    let text = Mark::new(u64::from(number), "speak", dice.random_range(1..SLOWEST)).text();
    Ask { path: wire.path(), key: Arc::from(KEY), body: wire.request("m", &text, dice.random_range(0..3) > 0).into() }
}

/// Answers as slowly as it is asked to.
fn speak(talk: &mut Talk) -> io::Result<()> {
    let words = talk.mark.words(WORDS);
    let pace = Duration::from_millis(u64::try_from(talk.mark.amount).unwrap());
    if !talk.is_streamed {
        pause(pace * 3);
        return talk.say(answer(200, "", &Wire::Chat.whole(&words)));
    }
    let frames = Wire::Chat.frames(&words);
    talk.say(format!("{STREAM_HEAD}{}", chunks(&frames.opening)))?;
    for word in &frames.words {
        talk.say(chunks([word]))?;
        pause(pace);
    }
    talk.say(format!("{}{LAST_CHUNK}", chunks(&frames.closing)))
}

fn judge(ask: &Ask, answer: &Answer, ends: &Tally) -> Result<(), String> {
    let wire = Wire::ALL.into_iter().find(|wire| wire.path() == ask.path).unwrap();
    let text = Mark::of(&ask.body).words(WORDS).concat();
    let is_streamed = ask.body.contains("\"stream\":true");
    let is_right = answer.status == 200
        && if is_streamed {
            Reading::of(wire, answer.text())?.end_of(&text)? == End::Complete
        } else {
            text_of(wire, answer).as_ref() == Some(&text)
        };
    ends.count(if is_streamed { "streams" } else { "whole answers" });
    is_right.then_some(()).ok_or_else(|| format!("{answer:?}"))
}

const ROWS: &str = "SELECT replica_id, outcome, count(*) FROM request_logs GROUP BY 1, 2 ORDER BY 1, 2";

/// Every request is recorded as complete by the replica that answered it.
fn assert_logged(report: &Report, rows: &[String]) {
    tell(&format!("restart: {rows:?}"));
    let columns: Vec<Vec<&str>> = rows.iter().map(|row| row.split('|').collect()).collect();
    assert!(columns.len() == 2 && columns.iter().all(|row| row[1] == "complete"), "{rows:?}");
    let all: usize = columns.iter().map(|row| row[2].parse::<usize>().unwrap()).sum();
    assert_eq!(all, report.samples.len(), "{rows:?}");
}

/// The kinds of what nginx complained about.
fn summary(complaints: &str) -> Vec<(String, usize)> {
    let mut kinds: Vec<(String, usize)> = Vec::new();
    for line in complaints.lines() {
        let kind = line.split(": *").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or(line);
        let kind = kind.trim_start_matches(|c: char| c.is_ascii_digit()).trim();
        match kinds.iter_mut().find(|(known, _)| known == kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((kind.to_owned(), 1)),
        }
    }
    kinds
}
