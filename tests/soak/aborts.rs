//! Clients that leave their streams at any point: nothing of them stays.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::json;

use crate::machine::Holding;
use crate::provider::{Provider, Talk, reset_when_dropped};
use crate::scale::{Scale, Seed, tell};
use crate::support::database::{LogRow, log_rows};
use crate::support::load::pause;
use crate::support::{Connection, PATIENCE, Replica, alone, eventually};
use crate::wire::{LAST_CHUNK, Mark, STREAM_HEAD, Wire, answer, chunks};

const KEY: &str = "sk-of-those-who-leave";
/// Words of an answer.
const WORDS: usize = 12;
/// Attempts in flight at each provider.
const PERMITS: usize = 100;
/// What a stream may leave of memory, in bytes: far less than anything that belongs to it.
const LEFT_BY_A_STREAM: u64 = 100;
/// What the size of a heap varies by, in KiB, whatever it is used for.
const VARIATION: u64 = 12 * 1024;

/// Where a client leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Point {
    /// In the middle of its own request.
    Body,
    /// Before the provider's head.
    Head,
    /// Between the provider's head and its first content.
    Token,
    /// In the middle of a frame.
    Middle,
    /// Just before the end.
    End,
    /// After any number of bytes of a stream that nothing holds back.
    Any,
}

/// How it leaves.
#[derive(Clone, Copy, Debug)]
enum By {
    /// It says that it sends nothing more, and reads until it is let go.
    Farewell,
    /// It closes, whatever was not read.
    Close,
    /// It breaks off.
    Reset,
}

/// A request that is left.
struct Abort {
    number: u64,
    point: Point,
    by: By,
    client: Wire,
    provider: Wire,
    is_streamed: bool,
    /// Words that are sent before the provider waits.
    words: usize,
    dice: StdRng,
}

/// One server, and a provider for each protocol.
struct Bed {
    replica: Replica,
    providers: Vec<Provider>,
    /// How often each request came to a provider.
    arrived: Arc<Vec<AtomicU8>>,
    seed: Seed,
    /// Sockets of the process while nobody is connected, and it to nobody.
    own_sockets: usize,
}

#[test]
fn of_streams_that_their_clients_leave_nothing_stays() {
    let _alone = alone();
    let (scale, seed) = (Scale::chosen(), Seed::chosen("aborts"));
    let bed = Bed::start(scale.aborts, seed);
    // A small heap is still finding its size after a few.
    let warm = (scale.aborts / 2).min(10_000);
    bed.leave(0..warm, scale.leavers);
    let before = bed.settle(&scale);
    let (start, left) = (Instant::now(), scale.aborts - warm);
    bed.leave(warm..scale.aborts, scale.leavers);
    let took = start.elapsed();
    let after = bed.settle(&scale);
    tell(&format!("aborts: {left} streams left in {took:.1?}; before: {before}; after: {after}"));
    let bound = before.memory + VARIATION + u64::from(left) * LEFT_BY_A_STREAM / 1024;
    assert!(after.memory <= bound, "{before} became {after}");

    let counted: f64 = bed.replica.samples("llm_proxy_requests_total").iter().map(|(_, count)| count).sum();
    bed.assert_permits_are_back();
    let Bed { replica, arrived, providers, .. } = bed;
    let stuck: usize = providers.iter().map(|provider| provider.counts.stuck.load(Ordering::SeqCst)).sum();
    assert_eq!(stuck, 0, "answers that the proxy did not leave");
    let folder = replica.stop();
    assert_each_is_recorded_once(&log_rows(folder.path()), &arrived, seed, counted);
}

impl Bed {
    fn start(aborts: u32, seed: Seed) -> Self {
        let arrived: Arc<Vec<AtomicU8>> = Arc::new((0..aborts).map(|_| AtomicU8::new(0)).collect());
        let variables = [("DB_URL", "sqlite://test.db"), ("RUST_LOG", "info,llm_proxy::proxy=error")];
        let replica = Replica::start("aborts", "sqlite://test.db", &variables);
        let mut admin = replica.admin();
        let make = |wire: Wire| {
            let shared = Arc::clone(&arrived);
            let provider = Provider::new(move |talk| answer_in_part(wire, talk, &shared));
            let name = wire.provider_type();
            let more = json!({"model_mapping": {name: "real"}, "provider_params": {"max_concurrency": PERMITS}});
            admin.change("POST", "/providers", &wire.provider(name, &provider.base(), &more));
            provider
        };
        let providers = Wire::ALL.map(make).into();
        admin.credential(KEY, &json!({}));
        drop(admin);
        let own_sockets = quiet_sockets(&replica);
        Self { replica, providers, arrived, seed, own_sockets }
    }

    /// Makes these requests and leaves them.
    fn leave(&self, numbers: Range<u32>, leavers: u32) {
        let next = AtomicU32::new(numbers.start);
        let (seed, address, arrived) = (self.seed, self.replica.address(), &*self.arrived);
        let leaver = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= numbers.end {
                    return;
                }
                let abort = Abort::drawn(seed, u64::from(number));
                let (point, by) = (abort.point, abort.by);
                let left = abort.run(address, arrived);
                left.unwrap_or_else(|error| panic!("{number}, {point:?} by {by:?}: {error}"));
            }
        };
        thread::scope(|scope| (0..leavers).for_each(|_| drop(scope.spawn(leaver))));
    }

    /// Waits until nothing goes on any more; gives what the process holds then.
    fn settle(&self, scale: &Scale) -> Holding {
        let gauges = ["llm_proxy_active_requests", "llm_proxy_provider_in_flight"];
        for gauge in gauges {
            eventually(&format!("{gauge} is zero"), || {
                let samples = self.replica.samples(gauge);
                !samples.is_empty() && samples.iter().all(|(_, value)| *value == 0.0)
            });
        }
        let count = |count: fn(&Provider) -> usize| self.providers.iter().map(count).sum::<usize>();
        eventually("no provider is asked", || count(|provider| provider.counts.busy.load(Ordering::SeqCst)) == 0);
        let idle = || count(|provider| provider.counts.open.load(Ordering::SeqCst));
        eventually("every socket is accounted for", || {
            Holding::of(self.replica.id()).sockets == self.own_sockets + idle()
        });
        let most = usize::try_from(scale.leavers).unwrap() * self.providers.len();
        assert!(idle() <= most, "{} connections are kept", idle());
        Holding::of(self.replica.id())
    }

    /// Takes every permit there is, and not one more.
    fn assert_permits_are_back(&self) {
        let ask = |provider: Wire| {
            let mut connection = Connection::open(self.replica.address());
            let text = Mark::new(u64::MAX, "hold", 1).text();
            let request = Wire::Chat.request(provider.provider_type(), &text, true);
            let bearer = format!("Bearer {KEY}");
            let headers = [("authorization", bearer.as_str())];
            connection.send("POST", Wire::Chat.path(), &headers, request.as_bytes());
            let head = connection.head();
            (connection, head)
        };
        for provider in Wire::ALL {
            let held: Vec<_> = (0..PERMITS).map(|_| ask(provider)).collect();
            assert!(held.iter().all(|(_, head)| head.status == 200), "{provider:?}: {:?}", held.last().unwrap().1);
            let (_, refused) = ask(provider);
            let code = refused.header("x-llm-proxy-error-code");
            assert_eq!((refused.status, code), (503, Some("provider_saturated")), "{provider:?}");
        }
        tell(&format!("aborts: {PERMITS} more at once to each provider, and not one beyond"));
    }
}

/// How many sockets a process has when it has closed those of clients that are gone.
fn quiet_sockets(replica: &Replica) -> usize {
    let sockets = || Holding::of(replica.id()).sockets;
    let (mut fewest, mut since) = (sockets(), Instant::now());
    while since.elapsed() < Duration::from_millis(300) {
        pause(Duration::from_millis(10));
        if sockets() < fewest {
            (fewest, since) = (sockets(), Instant::now());
        }
    }
    fewest
}

/// What a provider does with a request that will be left.
fn answer_in_part(wire: Wire, talk: &mut Talk, arrived: &[AtomicU8]) -> io::Result<()> {
    let Mark { number, what, amount } = talk.mark.clone();
    if let Some(arrived) = usize::try_from(number).ok().and_then(|number| arrived.get(number)) {
        arrived.fetch_add(1, Ordering::SeqCst);
    }
    let words = talk.mark.words(WORDS);
    if !talk.is_streamed {
        if what == "any" {
            return talk.say(answer(200, "", &wire.whole(&words)));
        }
        return talk.wait_for_hangup();
    }
    let frames = wire.frames(&words);
    let opening = format!("{STREAM_HEAD}{}", chunks(&frames.opening));
    let all: Vec<&String> = frames.all().collect();
    let cut = |frames: &[&String]| {
        let bytes = chunks(frames.iter().copied());
        bytes[..bytes.len() - 40].to_owned()
    };
    let first = frames.opening.len();
    match what.as_str() {
        "head" | "body" => {}
        "token" => talk.say(opening)?,
        "middle" => talk.say(format!("{STREAM_HEAD}{}", cut(&all[..=first + amount])))?,
        "end" => talk.say(format!("{STREAM_HEAD}{}", cut(&all)))?,
        "hold" => {
            talk.say(opening + &chunks(&frames.words[..1]))?;
            return talk.wait_for_hangup_within(PATIENCE * 10);
        }
        _ => {
            talk.say(opening)?;
            for frame in &all[first..] {
                pause(Duration::from_micros(u64::try_from(amount).unwrap() * 100));
                talk.say(chunks([*frame]))?;
            }
            return talk.say(LAST_CHUNK);
        }
    }
    talk.wait_for_hangup()
}

impl Abort {
    fn drawn(seed: Seed, number: u64) -> Self {
        let mut dice = seed.dice(number);
        let points = [Point::Body, Point::Head, Point::Token, Point::Middle, Point::End, Point::Any];
        let point = points[dice.random_range(0..points.len())];
        let by = [By::Farewell, By::Close, By::Reset][dice.random_range(0..3)];
        let [client, provider] = [0, 1].map(|_| Wire::ALL[dice.random_range(0..3)]);
        let may_be_whole = matches!(point, Point::Body | Point::Head | Point::Any);
        let is_streamed = !may_be_whole || dice.random_range(0..4) > 0;
        let words = dice.random_range(1..WORDS);
        Self { number, point, by, client, provider, is_streamed, words, dice }
    }

    /// Makes the request and leaves it where it should be left.
    fn run(mut self, address: SocketAddr, arrived: &[AtomicU8]) -> io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = self.request();
        match self.point {
            Point::Body => {
                stream.write_all(&request[..request.len() - self.dice.random_range(1..40)])?;
                self.dawdle();
            }
            Point::Head | Point::Token => {
                stream.write_all(&request)?;
                if self.dice.random() {
                    self.dawdle();
                } else {
                    self.await_arrival(arrived)?;
                }
            }
            Point::Middle => {
                stream.write_all(&request)?;
                let word = if self.words == 1 { "answer".to_owned() } else { format!("word{} ", self.words - 1) };
                read_until(&mut stream, |seen| contains(seen, &word))?;
            }
            Point::End => {
                stream.write_all(&request)?;
                read_until(&mut stream, |seen| contains(seen, &format!("word{} ", WORDS - 1)))?;
            }
            Point::Any => {
                stream.write_all(&request)?;
                let enough = self.dice.random_range(1..4000);
                read_until(&mut stream, |seen| seen.len() >= enough || is_whole(seen))?;
            }
        }
        self.by.leave(stream);
        Ok(())
    }

    fn request(&self) -> Vec<u8> {
        let what = format!("{:?}", self.point).to_lowercase();
        let text = Mark::new(self.number, &what, self.words).text();
        let body = self.client.request(self.provider.provider_type(), &text, self.is_streamed);
        let (path, number, length) = (self.client.path(), self.number, body.len());
        format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\nx-request-id: abort-{number}\r\n\
            content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }

    fn dawdle(&mut self) {
        pause(Duration::from_micros(self.dice.random_range(0..6000)));
    }

    fn await_arrival(&self, arrived: &[AtomicU8]) -> io::Result<()> {
        let (start, arrived) = (Instant::now(), &arrived[usize::try_from(self.number).unwrap()]);
        while arrived.load(Ordering::SeqCst) == 0 {
            if start.elapsed() > PATIENCE {
                return Err(io::Error::other("it did not come to the provider"));
            }
            pause(Duration::from_micros(300));
        }
        Ok(())
    }
}

impl By {
    fn leave(self, mut stream: TcpStream) {
        match self {
            Self::Farewell => {
                stream.shutdown(Shutdown::Write).unwrap();
                // The server closes, or breaks off what it had left to say.
                let _ = stream.read_to_end(&mut Vec::new());
            }
            Self::Close => {}
            Self::Reset => reset_when_dropped(&stream),
        }
    }
}

/// Reads an answer of status 200 until there is enough of it.
fn read_until(stream: &mut TcpStream, enough: impl Fn(&[u8]) -> bool) -> io::Result<()> {
    let (mut seen, mut piece) = (Vec::new(), [0; 2048]);
    while !enough(&seen) {
        let read = stream.read(&mut piece)?;
        seen.extend_from_slice(&piece[..read]);
        if read == 0 || !(seen.starts_with(b"HTTP/1.1 200 ") || seen.len() < 13) {
            return Err(io::Error::other(String::from_utf8_lossy(&seen)));
        }
    }
    Ok(())
}

fn contains(seen: &[u8], word: &str) -> bool {
    seen.windows(word.len()).any(|part| part == word.as_bytes())
}

/// Whether an answer has come to its end.
fn is_whole(seen: &[u8]) -> bool {
    seen.ends_with(b"\r\n0\r\n\r\n") || (contains(seen, "content-length: ") && seen.ends_with(b"}"))
}

fn assert_each_is_recorded_once(rows: &[LogRow], arrived: &[AtomicU8], seed: Seed, counted: f64) {
    let mut recorded: BTreeMap<usize, Vec<&LogRow>> = BTreeMap::new();
    for row in rows {
        if let Some(number) = row.request_id.strip_prefix("abort-") {
            recorded.entry(number.parse().unwrap()).or_default().push(row);
        }
    }
    let mut figures: BTreeMap<String, usize> = BTreeMap::new();
    for (number, arrived) in arrived.iter().enumerate() {
        let rows = recorded.get(&number).map(Vec::as_slice).unwrap_or_default();
        let abort = Abort::drawn(seed, u64::try_from(number).unwrap());
        let (arrived, point, by) = (arrived.load(Ordering::SeqCst), abort.point, abort.by);
        let outcome = rows.first().map_or("unseen", |row| &row.outcome);
        *figures.entry(format!("{point:?} {outcome}")).or_default() += 1;
        assert!(rows.len() <= 1 && arrived <= 1, "{number}, {point:?} by {by:?}, came {arrived} times: {rows:?}");
        let is_right = match outcome {
            "cancelled" => rows[0].status_code == 499,
            "complete" => point == Point::Any,
            // The server cannot know of a request that was taken back before it was read.
            "unseen" => arrived == 0,
            _ => false,
        };
        assert!(is_right, "{number}, {point:?} by {by:?}, came {arrived} times: {rows:?}");
    }
    tell(&format!("aborts: {figures:?}"));
    let all: usize = recorded.values().map(Vec::len).sum();
    assert_eq!(format!("{counted}"), all.to_string(), "requests counted, and recorded");
}
