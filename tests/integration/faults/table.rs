//! The table: what was seen of every fault, for readers.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::cases::Case;
use super::kinds::{Fault, Mode};
use super::seen::{Seen, Who, list};
use super::wire::Protocol;

const FILE: &str = "tests/fault-table.txt";

const INTRODUCTION: &str = "\
What becomes of every fault of a provider: seen at the real program by tests/integration/faults, which also holds the rules.
UPDATE_GOLDEN=1 cargo test --test integration faults:: writes it anew, for review.

who       protocol of the client < protocol of the faulty provider; pairs with the same outcome share a line
behind    what stands behind the faulty provider: nobody, or a healthy spare one of the next protocol
gets      an error: status, type / code (who said so: x-llm-proxy-error-source); or a stream: text, and its one end
attempts  llm_proxy_upstream_attempts_total; -> where llm_proxy_failovers_total counted
breaker   of the faulty provider, which opens here at the first failure but of 429 at the third: and why; xN is the multiplier
row       request_logs: outcome, status_code, error_category, attempts, provider
warning   the line of the process log for the failed attempt: category, status
";

const HEADS: [&str; 7] = ["who", "behind", "gets", "attempts", "breaker", "row", "warning"];

type Line = [String; 7];

/// The cases of a fault and a mode that came to the same, alone and backed.
struct Group {
    pairs: Vec<(Protocol, Protocol)>,
    lines: [Line; 2],
}

/// The whole table.
pub fn table(seen: &[(Case, Seen)]) -> String {
    let sections: Vec<(Fault, Mode, Vec<Group>)> = Fault::ALL
        .into_iter()
        .flat_map(|fault| fault.modes().iter().map(move |mode| (fault, *mode)))
        .map(|(fault, mode)| (fault, mode, groups(seen, fault, mode)))
        .collect();
    let lines = |groups: &[Group]| -> Vec<Line> { groups.iter().flat_map(Group::lines).collect() };
    let all: Vec<Line> = sections.iter().flat_map(|(_, _, groups)| lines(groups)).collect();
    let width = |column: usize| all.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = HEADS.iter().enumerate().map(|(at, head)| width(at).max(head.len())).collect();
    let mut text = format!("{INTRODUCTION}\n{}\n", formatted(&HEADS.map(str::to_owned), &widths));
    for (fault, mode, groups) in &sections {
        let title = format!("-- {} ", fault.title(*mode));
        writeln!(text, "\n{title:-<width$}", width = widths.iter().sum::<usize>() + 12).unwrap();
        for line in lines(groups) {
            writeln!(text, "{}", formatted(&line, &widths)).unwrap();
        }
    }
    text
}

/// Compares the table with the file, or writes it.
pub fn check(table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::vars_os().any(|(name, value)| name == "UPDATE_GOLDEN" && value == "1") {
        fs::write(&path, table).unwrap();
    }
    let then = fs::read_to_string(&path).unwrap_or_default();
    let different = then.lines().zip(table.lines()).find(|(then, now)| then != now);
    assert!(then == table, "{FILE} says otherwise: {different:?}\nUPDATE_GOLDEN=1 writes it anew");
}

fn groups(seen: &[(Case, Seen)], fault: Fault, mode: Mode) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (case, alone) in seen.iter().filter(|(case, _)| case.fault == fault && case.mode == mode && !case.is_backed) {
        let is_same = |other: &Case| Case { number: 0, is_backed: true, ..*case } == Case { number: 0, ..*other };
        let (_, backed) = seen.iter().find(|(other, _)| is_same(other)).unwrap();
        let lines = [line("nobody", alone), line("spare", backed)];
        match groups.iter_mut().find(|group| group.lines == lines) {
            Some(group) => group.pairs.push((case.client, case.provider)),
            None => groups.push(Group { pairs: vec![(case.client, case.provider)], lines }),
        }
    }
    groups
}

/// All but the first column.
fn line(behind: &str, seen: &Seen) -> Line {
    let warnings: Vec<String> = seen.warned.iter().map(|(_, kind, status)| format!("{kind} {status}")).collect();
    let arrow = if seen.counted.failovers.is_empty() { ", " } else { " -> " };
    [
        String::new(),
        behind.to_owned(),
        seen.got.to_string(),
        list(&seen.counted.attempts).replace(", ", arrow),
        seen.breaker.clone(),
        seen.row.to_string(),
        warnings.join(", "),
    ]
}

fn formatted(line: &Line, widths: &[usize]) -> String {
    let cells: Vec<String> = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    cells.join("  ").trim_end().to_owned()
}

impl Group {
    /// Its two lines; as many more as its pairs take.
    fn lines(&self) -> Vec<Line> {
        let mut lines = self.lines.to_vec();
        for (at, who) in self.who().into_iter().enumerate() {
            if at >= lines.len() {
                lines.push(Line::default());
            }
            lines[at][0] = who;
        }
        lines
    }

    /// Its pairs, an entry for each client.
    fn who(&self) -> Vec<String> {
        let count = Protocol::ALL.len();
        if self.pairs.len() == count * count {
            return vec!["all < all".to_owned()];
        }
        let of_client = |client: Protocol| {
            let providers: Vec<&str> =
                self.pairs.iter().filter(|(other, _)| *other == client).map(|(_, provider)| provider.name()).collect();
            let providers = if providers.len() == count { "all".to_owned() } else { providers.join(", ") };
            (!providers.is_empty()).then(|| format!("{} < {providers}", client.name()))
        };
        Protocol::ALL.into_iter().filter_map(of_client).collect()
    }
}

/// The faulty provider is the first one of every list.
#[test]
fn pairs_that_came_to_the_same_share_a_line() {
    let pairs = vec![(Protocol::Chat, Protocol::Chat), (Protocol::Chat, Protocol::Messages)];
    let group = Group { pairs, lines: Default::default() };
    assert_eq!(group.who(), ["Chat < Chat, Messages"]);
    assert_eq!(list(&[(Who::Faulty, "429".to_owned())]), "faulty 429");
}
