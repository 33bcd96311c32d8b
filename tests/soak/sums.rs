//! What is told of many requests adds up: metrics, logs and providers agree on requests, tokens
//! and cost, whatever becomes of the requests.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use rand::RngExt as _;
use serde_json::{Value, json};

use crate::provider::{Provider, Talk};
use crate::scale::{Seed, tell};
use crate::support::{Connection, Replica, alone, eventually};
use crate::wire::{LAST_CHUNK, Mark, STREAM_HEAD, Wire, answer, chunks};

const KEY: &str = "sk-of-the-accountant";
const REQUESTS: u32 = 10_000;
const CLIENTS: u32 = 12;
const MOST_WORDS: usize = 12;
/// What the providers of [`Wire::ALL`] take for a token, input and output, in tenths of a
/// micro-dollar: one of them so little that a request costs a fraction of one.
const PRICES: [(u64, u64); 3] = [(30, 150), (100, 500), (1, 3)];

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// It is answered.
    Answered,
    /// The first provider answers 500, 429, breaks the connection, or fails before any content;
    /// another one answers.
    Status,
    Busy,
    Reset,
    Empty,
    /// Every provider fails.
    Doomed,
    /// The client leaves before there is an answer, and within a stream.
    LeftEarly,
    LeftLater,
    /// The provider breaks off within a stream.
    Cut,
}

/// What providers say of a request.
#[derive(Clone, Debug, Default)]
struct Account {
    /// How often it came, and where it came last: the place in [`Wire::ALL`].
    arrivals: u32,
    last: usize,
    /// Tokens that were served.
    input: u64,
    output: u64,
}

type Book = Arc<Vec<Mutex<Account>>>;

/// Requests, tokens and micro-dollars.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sums {
    requests: u64,
    input: u64,
    output: u64,
    cost: u64,
}

/// One request.
struct Plan {
    number: u64,
    fate: Fate,
    client: Wire,
    is_streamed: bool,
    words: usize,
}

#[test]
fn metrics_logs_and_providers_agree_on_requests_tokens_and_cost() {
    let _alone = alone();
    let seed = Seed::chosen("sums");
    let variables = [
        ("DB_URL", "sqlite://test.db"),
        ("RUST_LOG", "info,llm_proxy::proxy::finish=error"),
        ("REQUEST_LOG_QUEUE", "100000"),
        // Who is asked first is left to chance; that nobody is left out lets every request find another.
        ("ADAPTIVE_ROUTING_ENABLED", "false"),
    ];
    let replica = Replica::start("sums", "sqlite://test.db", &variables);
    let book: Book = Arc::new((0..REQUESTS).map(|_| Mutex::default()).collect());
    start_providers(&replica, &book);
    let plans: Vec<Plan> = (0..u64::from(REQUESTS)).map(|number| Plan::drawn(seed, number)).collect();
    let start = Instant::now();
    run(&plans, &replica, &book);
    let took = start.elapsed();

    let mut fates: BTreeMap<Fate, usize> = BTreeMap::new();
    plans.iter().for_each(|plan| *fates.entry(plan.fate).or_default() += 1);
    let accounts: Vec<Account> = book.iter().map(|account| account.lock().unwrap().clone()).collect();
    let all = |_: &Account| true;
    let served = Sums::served(&accounts, all);
    tell(&format!("sums: {} requests in {took:.1?}: {fates:?}", plans.len()));
    tell(&format!("sums: providers: {served:?}"));
    assert_eq!(served.requests, u64::from(REQUESTS));
    assert!(fates.len() == 9 && served.cost > 0, "{fates:?}");

    assert_lines(&replica, &accounts, &plans);
    let stats = || replica.admin().get("/logs/stats");
    eventually("every row is stored", || stats()["total_requests"] == json!(REQUESTS));
    assert_logs(&replica, &accounts, &fates);
    assert_metrics(&replica, &accounts);
}

fn tokens(text: &str) -> u64 {
    let tokens = tiktoken_rs::o200k_base_singleton().encode_ordinary(text).len();
    u64::try_from(tokens).unwrap()
}

// === Providers ===

fn start_providers(replica: &Replica, book: &Book) {
    let mut admin = replica.admin();
    for (place, wire) in Wire::ALL.into_iter().enumerate() {
        let book = Arc::clone(book);
        let provider = Provider::new(move |talk| serve(wire, place, talk, &book));
        // A tenth of a micro-dollar for a token is a ten-thousandth of a dollar for a thousand.
        let dollars = |tenths: u64| format!("{}.{:04}", tenths / 10_000, tenths % 10_000).parse::<f64>().unwrap();
        let (input, output) = PRICES[place];
        let target = json!({"mapped_model": "real", "input_cost_per_1k_tokens": dollars(input),
            "output_cost_per_1k_tokens": dollars(output)});
        let more = json!({"model_mapping": {"m": target}});
        admin.change("POST", "/providers", &wire.provider(wire.provider_type(), &provider.base(), &more));
    }
    admin.credential(KEY, &json!({}));
}

/// Answers as the fate of a request wants it, and notes what that is worth.
fn serve(wire: Wire, place: usize, talk: &mut Talk, book: &Book) -> io::Result<()> {
    let Mark { number, what, amount } = talk.mark.clone();
    let (mut account, words) = (book[usize::try_from(number).unwrap()].lock().unwrap(), talk.mark.words(amount));
    account.arrivals += 1;
    account.last = place;
    let is_first = account.arrivals == 1;
    let frames = wire.frames(&words);
    let opening = format!("{STREAM_HEAD}{}", chunks(&frames.opening));
    match what.as_str() {
        "Doomed" => return talk.say(answer(500, "", &wire.error_body())),
        "Status" if is_first => return talk.say(answer(500, "", &wire.error_body())),
        "Busy" if is_first => return talk.say(answer(429, "", &wire.error_body())),
        "Reset" if is_first => return talk.reset(),
        "Empty" if is_first && talk.is_streamed => return talk.say(opening + LAST_CHUNK),
        "Empty" if is_first => return talk.say(answer(200, "", "{")),
        "LeftEarly" => {
            drop(account);
            return talk.wait_for_hangup();
        }
        _ => {}
    }
    if matches!(what.as_str(), "LeftLater" | "Cut") {
        // Only Messages tells tokens before the end: those of the request.
        account.input = if wire == Wire::Messages { 10 } else { tokens(&talk.mark.text()) };
        account.output = tokens(&words.concat());
        drop(account);
        talk.say(opening + &chunks(&frames.words))?;
        return if what == "Cut" { talk.close() } else { talk.wait_for_hangup() };
    }
    account.input = 10;
    account.output = u64::try_from(amount).unwrap();
    drop(account);
    if talk.is_streamed {
        return talk.say(format!("{STREAM_HEAD}{}{LAST_CHUNK}", chunks(frames.all())));
    }
    talk.say(answer(200, "", &wire.whole(&words)))
}

// === Clients ===

fn run(plans: &[Plan], replica: &Replica, book: &Book) {
    let (next, address) = (AtomicU32::new(0), replica.address());
    let client = || {
        let mut connection = Connection::open(address);
        while let Some(plan) = plans.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap()) {
            plan.run(&mut connection, &book[usize::try_from(plan.number).unwrap()]);
        }
    };
    thread::scope(|scope| (0..CLIENTS).for_each(|_| drop(scope.spawn(client))));
    eventually("no request is active", || {
        replica.samples("llm_proxy_active_requests").iter().all(|(_, active)| *active == 0.0)
    });
}

impl Plan {
    fn drawn(seed: Seed, number: u64) -> Self {
        let mut dice = seed.dice(number);
        let fate = match dice.random_range(0..100) {
            0..60 => Fate::Answered,
            60..64 => Fate::Status,
            64..68 => Fate::Busy,
            68..72 => Fate::Reset,
            72..76 => Fate::Empty,
            76..80 => Fate::Doomed,
            80..85 => Fate::LeftEarly,
            85..95 => Fate::LeftLater,
            _ => Fate::Cut,
        };
        let is_streamed = matches!(fate, Fate::LeftLater | Fate::Cut) || dice.random();
        let client = Wire::ALL[dice.random_range(0..3)];
        Self { number, fate, client, is_streamed, words: dice.random_range(1..=MOST_WORDS) }
    }

    fn id(&self) -> String {
        format!("sum-{}", self.number)
    }

    /// Makes the request on a connection, or, when it does not end well, on one of its own.
    fn run(&self, connection: &mut Connection, account: &Mutex<Account>) {
        let mark = Mark::new(self.number, &format!("{:?}", self.fate), self.words);
        let body = self.client.request("m", &mark.text(), self.is_streamed);
        let (bearer, id) = (format!("Bearer {KEY}"), self.id());
        let headers = [("authorization", bearer.as_str()), ("x-request-id", &id)];
        let (path, body) = (self.client.path(), body.as_bytes());
        match self.fate {
            Fate::LeftEarly => {
                let mut own = connection.again();
                own.send("POST", path, &headers, body);
                eventually("the request has come to a provider", || account.lock().unwrap().arrivals > 0);
            }
            Fate::LeftLater | Fate::Cut => {
                let mut own = connection.again();
                own.send("POST", path, &headers, body);
                assert_eq!(own.head().status, 200, "{id}");
                let last = mark.words(self.words).pop().unwrap();
                own.chunks_until(|text| text.contains(&last));
                if self.fate == Fate::Cut {
                    while own.chunk().is_some() {}
                }
            }
            _ => {
                let answer = connection.ask("POST", path, &headers, body);
                assert_eq!(answer.status == 200, self.fate != Fate::Doomed, "{id}, {:?}: {answer:?}", self.fate);
                if answer.header("connection") == Some("close") {
                    *connection = connection.again();
                }
            }
        }
    }
}

// === Sums ===

impl Account {
    fn cost(&self) -> u64 {
        let (input, output) = PRICES[self.last];
        (self.input * input + self.output * output + 5) / 10
    }
}

impl Sums {
    fn served(accounts: &[Account], wanted: impl Fn(&Account) -> bool) -> Self {
        let mut sums = Self::default();
        for account in accounts.iter().filter(|account| account.arrivals > 0 && wanted(account)) {
            sums.requests += 1;
            sums.input += account.input;
            sums.output += account.output;
            sums.cost += account.cost();
        }
        sums
    }
}

/// Each request has one line that says what its providers say.
fn assert_lines(replica: &Replica, accounts: &[Account], plans: &[Plan]) {
    let mut lines: BTreeMap<String, Value> = BTreeMap::new();
    eventually("every request has a line", || {
        lines.clear();
        for line in replica.log().lines().filter(|line| line.contains("\"message\":\"request\"")) {
            let line: Value = serde_json::from_str(line).unwrap();
            let id = line["request_id"].as_str().unwrap().to_owned();
            assert!(lines.insert(id, line).is_none(), "a second line for a request");
        }
        lines.len() == plans.len()
    });
    let mut sums = Sums::default();
    for (plan, account) in plans.iter().zip(accounts) {
        let line = &lines[&plan.id()];
        let number = |name: &str| line[name].as_u64().unwrap_or_default();
        let told = (number("input_tokens"), number("output_tokens"), number("cost_microusd"), number("attempts"));
        let served = (account.input, account.output, account.cost(), u64::from(account.arrivals));
        assert_eq!(told, served, "{:?} {line} {account:?}", plan.fate);
        assert_eq!(line["provider"], Wire::ALL[account.last].provider_type(), "{line}");
        sums.requests += 1;
        sums.input += told.0;
        sums.output += told.1;
        sums.cost += told.2;
    }
    tell(&format!("sums: lines:     {sums:?}"));
}

/// The stored log, as the admin API sums it up.
fn assert_logs(replica: &Replica, accounts: &[Account], fates: &BTreeMap<Fate, usize>) {
    let mut admin = replica.admin();
    let stats = admin.get("/logs/stats");
    let number = |value: &Value| value.as_u64().unwrap();
    let sums = Sums {
        requests: number(&stats["total_requests"]),
        input: number(&stats["total_input_tokens"]),
        output: number(&stats["total_output_tokens"]),
        cost: number(&stats["total_cost_microusd"]),
    };
    tell(&format!("sums: log:       {sums:?}"));
    assert_eq!(sums, Sums::served(accounts, |_| true));
    let fate = |fate| u64::try_from(fates[&fate]).unwrap();
    assert_eq!(number(&stats["total_errors"]), fate(Fate::Doomed) + fate(Fate::Cut));
    let totals = &admin.get("/metrics/summary")["totals"];
    let figures = ["requests", "input_tokens", "output_tokens", "cost_microusd"].map(|name| number(&totals[name]));
    assert_eq!(figures, [sums.requests, sums.input, sums.output, sums.cost]);
    assert_eq!(number(&totals["cancelled"]), fate(Fate::LeftEarly) + fate(Fate::LeftLater));
    for (place, wire) in Wire::ALL.into_iter().enumerate() {
        let served = Sums::served(accounts, |account| account.last == place);
        let name = wire.provider_type();
        let told = (number(&stats["requests_by_provider"][name]), number(&stats["cost_by_provider"][name]));
        assert_eq!(told, (served.requests, served.cost), "{name}");
    }
}

/// The metrics, in all and of each provider.
fn assert_metrics(replica: &Replica, accounts: &[Account]) {
    let sum = |name: &str, labels: &[&str]| -> u64 {
        let samples = replica.samples(&format!("llm_proxy_{name}"));
        let samples = samples.into_iter().filter(|(found, _)| labels.iter().all(|label| found.contains(label)));
        samples.map(|(_, value)| format!("{value}").parse::<u64>().unwrap()).sum()
    };
    let of = |labels: &[&str]| {
        let kind = |kind| sum("tokens_total", &[labels, &[kind]].concat());
        let sums = Sums {
            requests: sum("requests_total", labels),
            input: kind("token_type=\"prompt\""),
            output: kind("token_type=\"completion\""),
            cost: sum("cost_microdollars_total", labels),
        };
        assert_eq!(kind("token_type=\"total\""), sums.input + sums.output, "{labels:?}");
        sums
    };
    let sums = of(&["api_key_name=\"client\""]);
    tell(&format!("sums: metrics:   {sums:?}"));
    assert_eq!(sums, Sums::served(accounts, |_| true));
    for (place, wire) in Wire::ALL.into_iter().enumerate() {
        let label = format!("provider=\"{}\"", wire.provider_type());
        assert_eq!(of(&[&label]), Sums::served(accounts, |account| account.last == place), "{label}");
    }
    let arrivals: u64 = accounts.iter().map(|account| u64::from(account.arrivals)).sum();
    let again: u64 = accounts.iter().map(|account| u64::from(account.arrivals - 1)).sum();
    assert_eq!((sum("upstream_attempts_total", &[]), sum("failovers_total", &[])), (arrivals, again));
    tell(&format!("sums: {arrivals} attempts, {again} of them after another had failed"));
}
