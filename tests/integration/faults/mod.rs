//! Every fault of a provider, for every pair of protocols, whole and streamed, with and without a
//! healthy provider behind it: what the client gets and what is left behind, against the rules,
//! and as a table.

mod cases;
mod client;
mod kinds;
mod rules;
mod run;
mod scripts;
mod seen;
mod table;
mod traces;
mod wire;

use self::cases::Case;
use self::kinds::Fault;
use self::run::Bench;
use self::seen::{Seen, Who};

#[test]
#[expect(clippy::print_stdout, reason = "the table is for those who run the test")]
fn every_fault_comes_to_what_the_rules_say() {
    let cases = Case::all();
    let seen: Vec<(Case, Seen)> = cases.iter().copied().zip(run::run(&cases)).collect();
    let table = table::table(&seen);
    println!("{table}");
    let wrong: Vec<String> = seen.iter().filter_map(|(case, seen)| difference(case, seen)).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    table::check(&table);
}

/// Twice the default limit, for a buffer that grows is copied, and what the process needs anyway.
const MOST_MEMORY: u64 = (2 * 64 + 128) << 20;

#[test]
fn an_answer_over_the_default_limit_costs_no_more_than_the_limit() {
    let endless = |case: &Case| matches!(case.fault, Fault::EndlessFirst | Fault::EndlessMidStream);
    let is_wanted = |case: &Case| endless(case) && !case.is_backed && case.client == case.provider;
    let mut cases: Vec<Case> = Case::all().into_iter().filter(is_wanted).collect();
    cases.iter_mut().enumerate().for_each(|(number, case)| case.number = number);
    let bench = Bench::start(&cases, &[]);
    for case in &cases {
        let (expected, heard) = (rules::expected(case), client::ask(case, bench.address, &bench.key));
        assert_eq!((heard.got, heard.answered), (expected.got, Some((Who::Faulty, 1))), "{case:?}");
    }
    let memory = bench.process.peak_memory();
    assert!(memory.is_none_or(|memory| memory < MOST_MEMORY), "it took {memory:?} bytes");
}

/// What was seen of a case and is not what the rules say.
fn difference(case: &Case, seen: &Seen) -> Option<String> {
    let expected = rules::expected(case);
    if *seen == expected {
        return None;
    }
    let (seen, expected) = (format!("{seen:#?}"), format!("{expected:#?}"));
    let lines = seen.lines().zip(expected.lines()).filter(|(seen, expected)| seen != expected);
    let lines: Vec<String> =
        lines.map(|(seen, expected)| format!("    {}, not {}", seen.trim(), expected.trim())).collect();
    let behind = if case.is_backed { "a spare one" } else { "nobody" };
    let (client, provider) = (case.client.name(), case.provider.name());
    let head = format!("{:?} {:?}, {client} < {provider}, behind it {behind}:", case.fault, case.mode);
    Some(format!("{head}\n{}", lines.join("\n")))
}
