//! What every case under `tests/golden` becomes in the other two protocols. A case is a file; its
//! translations stand next to it as `<case>.<protocol>.snap`. `UPDATE_GOLDEN=1` writes them anew,
//! for review.
#![expect(clippy::unwrap_used, reason = "a case that cannot be read shall fail")]

#[path = "golden/support.rs"]
mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use llm_proxy::chat::Failure;
use llm_proxy::codec::Codec;
use regex::{Captures, Regex};
use serde::de::IgnoredAny;
use support::{Case, PROTOCOLS, PROVIDER, asked, cases, encoded, events, exchange, files, target};

type Translate = fn(&Case, &dyn Codec, &dyn Codec) -> String;

#[test]
fn requests_become_what_the_other_protocols_providers_take() {
    check("requests", |case, from, to| match from.decode_request(&case.bytes) {
        Err(failure) => refused(from, &failure),
        Ok(request) => match to.encode_request(&request, &target(&request.model)) {
            Err(failure) => refused(from, &failure),
            Ok(encoded) => {
                let dropped: BTreeSet<&String> = request.foreign.iter().chain(&encoded.dropped).collect();
                format!("dropped: {dropped:?}\n{}", pretty(&encoded.body))
            }
        },
    });
}

#[test]
fn answers_become_what_the_other_protocols_clients_read() {
    check("responses", |case, from, to| {
        let asked = asked(to);
        match from.decode_response(&case.bytes, &asked, PROVIDER) {
            Err(failure) => refused(to, &failure),
            Ok(answer) => {
                format!("lost: {:?}\n{}", answer.lost, pretty(&to.encode_response(&answer, &exchange(&asked))))
            }
        }
    });
}

#[test]
fn streams_become_what_the_other_protocols_clients_read() {
    check("streams", |case, from, to| {
        let asked = asked(to);
        let (events, broke) = events(from, &asked, [case.bytes.as_slice()]);
        String::from_utf8(encoded(to, &exchange(&asked), &events, broke.as_ref()).to_vec()).unwrap()
    });
}

#[test]
fn errors_become_what_the_other_protocols_clients_read() {
    check("errors", |case, from, to| {
        let status = case.name.split('-').next().unwrap().parse();
        refused(to, &from.decode_error(status.unwrap_or_else(|_| panic!("{}: no status", case.name)), &case.bytes))
    });
}

/// Compares every translation of a kind of cases with its snapshot, or writes it.
fn check(kind: &str, translate: Translate) {
    let mut wrong = Vec::new();
    let is_update = std::env::vars_os().any(|(name, value)| name == "UPDATE_GOLDEN" && value == "1");
    for (protocol, from) in PROTOCOLS {
        let mut snapshots = BTreeSet::new();
        for case in cases(protocol, kind) {
            for (other, to) in PROTOCOLS.into_iter().filter(|(other, _)| *other != protocol) {
                let path = case.path.with_extension(format!("{other}.snap"));
                let now = numbered(&translate(&case, from, to));
                if is_update {
                    fs::write(&path, &now).unwrap();
                }
                match fs::read_to_string(&path) {
                    Ok(then) if then == now => {}
                    Ok(then) => wrong.push(format!("{}:\n{}", path.display(), difference(&then, &now))),
                    Err(problem) => wrong.push(format!("{}: {problem}", path.display())),
                }
                assert!(snapshots.insert(path), "two cases named {}", case.name);
            }
        }
        let found: BTreeSet<PathBuf> = files(protocol, kind).into_iter().filter(is_snapshot).collect();
        wrong.extend(found.difference(&snapshots).map(|path| format!("{} has no case", path.display())));
    }
    assert!(wrong.is_empty(), "{}\nUPDATE_GOLDEN=1 writes the snapshots anew", wrong.join("\n"));
}

#[expect(clippy::ptr_arg, reason = "it is a filter of paths")]
fn is_snapshot(path: &PathBuf) -> bool {
    path.extension().is_some_and(|extension| extension == "snap")
}

fn refused(client: &dyn Codec, failure: &Failure) -> String {
    format!("status: {}\n{}", failure.status(), pretty(&client.encode_error(failure, "req-1")))
}

/// JSON over several lines, each value as it was written: reading it would change its numbers.
fn pretty(body: &[u8]) -> String {
    let body = std::str::from_utf8(body).unwrap();
    serde_json::from_str::<IgnoredAny>(body).unwrap();
    let (mut out, mut depth, mut is_text, mut is_escaped) = (String::new(), 0, false, false);
    for character in body.chars() {
        let is_mark = !is_text;
        is_text ^= character == '"' && !is_escaped;
        is_escaped = is_text && character == '\\' && !is_escaped;
        match character {
            '}' | ']' if is_mark => {
                depth -= 1;
                write!(out, "\n{}{character}", "  ".repeat(depth)).unwrap();
            }
            '{' | '[' if is_mark => {
                depth += 1;
                write!(out, "{character}\n{}", "  ".repeat(depth)).unwrap();
            }
            ',' if is_mark => write!(out, ",\n{}", "  ".repeat(depth)).unwrap(),
            _ => out.push(character),
        }
    }
    out + "\n"
}

/// Ids that were made up become numbers.
fn numbered(text: &str) -> String {
    let made_up = Regex::new(r"\b(chatcmpl-|msg_|resp_|rs_|fc_|ctc_|call_|toolu_)[A-Za-z0-9]{24}\b").unwrap();
    let mut seen = Vec::new();
    let text = made_up.replace_all(text, |found: &Captures<'_>| {
        let place = seen.iter().position(|id| *id == found[0]).unwrap_or_else(|| {
            seen.push(found[0].to_owned());
            seen.len() - 1
        });
        format!("{}#{place}", &found[1])
    });
    text.into_owned()
}

/// The first line that differs.
fn difference(then: &str, now: &str) -> String {
    let mut out = String::new();
    let place = then.lines().zip(now.lines()).position(|(then, now)| then != now);
    let place = place.unwrap_or_else(|| then.lines().count().min(now.lines().count()));
    for (mark, text) in [("-", then), ("+", now)] {
        writeln!(out, "  {mark} line {}: {}", place + 1, text.lines().nth(place).unwrap_or("(end)")).unwrap();
    }
    out
}
