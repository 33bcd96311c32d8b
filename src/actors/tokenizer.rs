//! Counting tokens that a provider did not count.
//!
//! Counting is CPU work (10 KB of prose 0.2 ms, a megabyte of one letter 0.2 s), so it runs on
//! threads of its own. A vocabulary is loaded when it is first needed: it takes 50 to 140 ms and
//! 25 to 45 MB.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, Addr, Handler, Message, SyncArbiter, SyncContext};
use tiktoken_rs::tokenizer::{Tokenizer as Vocabulary, get_tokenizer};
use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};
use tokio::sync::{oneshot, watch};

use crate::chat::{Countable, Usage};

/// Threads that count.
const THREADS: usize = 2;
/// How long a client waits for a count at most.
const COUNT_WITHIN: Duration = Duration::from_secs(30);
/// How long the record of a request waits for a count at most. What waits longer is given up, so
/// that many streams that end at once do not hold on to what they were asked.
const RECORD_WITHIN: Duration = Duration::from_secs(5);
/// Tokens of an image, as OpenAI counts one of 1024 x 1024; in low detail.
const IMAGE: u64 = 765;
const LOW_DETAIL_IMAGE: u64 = 85;
/// Texts are counted in windows of this many bytes: a run of a single character that is longer
/// overflows the vocabulary's regex, and a window more or less is a token in thousands.
const WINDOW: usize = 16 * 1024;
/// Bytes of a token of English prose, where nothing tells it better.
const BYTES_OF_TOKEN: u64 = 4;

/// Counts with the vocabulary of a model.
#[derive(Debug, Message)]
#[rtype(result = "Option<u64>")]
struct CountTokens {
    model: String,
    what: Countable,
    until: Instant,
}

/// What was asked and what was said.
type Both = (Countable, Countable);

/// Reads and counts both sides of an exchange, then tells.
#[derive(Message)]
#[rtype(result = "()")]
struct CountExchange {
    model: String,
    read: Box<dyn FnOnce() -> Both + Send>,
    tell: Tell,
    until: Instant,
}

/// Told exactly once: what was counted, or, when this is dropped before, that nothing was.
struct Tell {
    then: Option<Box<dyn FnOnce(Option<Usage>) + Send>>,
    open: Arc<watch::Sender<usize>>,
}

/// The counting threads.
#[derive(Clone)]
pub struct Tokenizer {
    address: Addr<TokenizerActor>,
    /// How many exchanges are not counted yet.
    open: Arc<watch::Sender<usize>>,
}

/// Counts; it has no state but the vocabularies, which all threads share.
struct TokenizerActor;

/// Starts the threads. They load nothing yet.
pub(super) fn start() -> Tokenizer {
    Tokenizer { address: SyncArbiter::start(THREADS, || TokenizerActor), open: Arc::default() }
}

/// The tokens of `what` for `model`; `None` when they cannot be counted, which is no reason to
/// fail a request.
pub async fn count(tokenizer: &Tokenizer, model: &str, what: Countable) -> Option<u64> {
    let message = CountTokens { model: model.to_owned(), what, until: Instant::now() + COUNT_WITHIN };
    tokenizer.address.send(message).timeout(COUNT_WITHIN).await.ok().flatten()
}

/// The usage of an exchange, marked as estimated. `read` gives what was asked and what was said;
/// it runs on a counting thread, too.
pub async fn count_usage(
    tokenizer: &Tokenizer,
    model: &str,
    read: impl FnOnce() -> (Countable, Countable) + Send + 'static,
) -> Option<Usage> {
    let (sender, counted) = oneshot::channel();
    tokenizer.count_exchange(model, COUNT_WITHIN, Box::new(read), move |usage| {
        // Whoever waited may have gone.
        let _ = sender.send(usage);
    });
    counted.await.ok().flatten()
}

/// The same for the record of a request that has ended: nobody waits, and `then` is called in any
/// case, exactly once, on a counting thread or, when there is none any more, at once. Needs no
/// runtime, so it may be asked for in a drop.
pub fn count_for_record(
    tokenizer: &Tokenizer,
    model: &str,
    read: impl FnOnce() -> (Countable, Countable) + Send + 'static,
    then: impl FnOnce(Option<Usage>) + Send + 'static,
) {
    tokenizer.count_exchange(model, RECORD_WITHIN, Box::new(read), then);
}

// === impl Tokenizer ===

impl Tokenizer {
    /// Returns when all that was to be counted has been told.
    pub async fn idle(&self) {
        // The sender is ours, so the channel is open.
        let _ = self.open.subscribe().wait_for(|open| *open == 0).await;
    }

    fn count_exchange(
        &self,
        model: &str,
        within: Duration,
        read: Box<dyn FnOnce() -> Both + Send>,
        then: impl FnOnce(Option<Usage>) + Send + 'static,
    ) {
        self.open.send_modify(|open| *open += 1);
        let tell = Tell { then: Some(Box::new(then)), open: Arc::clone(&self.open) };
        let message = CountExchange { model: model.to_owned(), read, tell, until: Instant::now() + within };
        // A message that cannot be sent is dropped, which tells.
        let _ = self.address.try_send(message);
    }
}

// === impl Tell ===

impl Tell {
    fn tell(&mut self, usage: Option<Usage>) {
        if let Some(then) = self.then.take() {
            then(usage);
            self.open.send_modify(|open| *open = open.saturating_sub(1));
        }
    }
}

impl Drop for Tell {
    fn drop(&mut self) {
        self.tell(None);
    }
}

// === impl TokenizerActor ===

impl Actor for TokenizerActor {
    type Context = SyncContext<Self>;
}

impl Handler<CountTokens> for TokenizerActor {
    type Result = Option<u64>;

    fn handle(&mut self, CountTokens { model, what, until }: CountTokens, _: &mut Self::Context) -> Option<u64> {
        guarded(|| count_all(vocabulary(&model), &what, until))
    }
}

impl Handler<CountExchange> for TokenizerActor {
    type Result = ();

    fn handle(&mut self, message: CountExchange, _: &mut Self::Context) {
        let CountExchange { model, read, mut tell, until } = message;
        let usage = guarded(|| {
            if until <= Instant::now() {
                return None;
            }
            let (asked, said) = read();
            let vocabulary = vocabulary(&model);
            let input = count_all(vocabulary, &asked, until)?;
            let output = count_all(vocabulary, &said, until)?;
            Some(Usage { input, output, estimated: true, ..Usage::default() })
        });
        tell.tell(usage);
    }
}

/// A panic would end one of the threads for ever.
fn guarded<T>(count: impl FnOnce() -> Option<T>) -> Option<T> {
    catch_unwind(AssertUnwindSafe(count)).ok().flatten()
}

/// Models that no vocabulary is known for are counted with the newest one. Gateways name models
/// `maker/model`.
fn vocabulary(model: &str) -> &'static CoreBPE {
    match get_tokenizer(model.rsplit('/').next().unwrap_or(model)) {
        Some(Vocabulary::Cl100kBase) => cl100k_base_singleton(),
        _ => o200k_base_singleton(),
    }
}

/// `None` when it is not done at `until`, for then nobody waits for it any more.
fn count_all(vocabulary: &CoreBPE, what: &Countable, until: Instant) -> Option<u64> {
    let mut in_texts: u64 = 0;
    for window in what.texts.iter().flat_map(|text| windows(text)) {
        if until <= Instant::now() {
            return None;
        }
        let tokens = vocabulary.count(window, &HashSet::new()).ok()?;
        in_texts = in_texts.saturating_add(u64::try_from(tokens).ok()?);
    }
    let images = what.images.saturating_mul(IMAGE);
    let small_images = what.low_detail_images.saturating_mul(LOW_DETAIL_IMAGE);
    let all = [in_texts, unread(what, in_texts)?, images, small_images];
    Some(all.into_iter().fold(0, u64::saturating_add))
}

/// What is only known by its length has as many tokens as the texts beside it.
fn unread(what: &Countable, in_texts: u64) -> Option<u64> {
    let read = u64::try_from(what.texts.iter().map(String::len).sum::<usize>()).ok()?;
    match read {
        0 => Some(what.unread / BYTES_OF_TOKEN),
        _ => u64::try_from(u128::from(what.unread) * u128::from(in_texts) / u128::from(read)).ok(),
    }
}

/// Pieces of at most [`WINDOW`] bytes, cut between characters.
fn windows(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (window, tail) = rest.split_at(rest.floor_char_boundary(WINDOW));
        rest = tail;
        Some(window)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn texts(text: &str) -> Countable {
        Countable { texts: vec![text.to_owned()], ..Countable::default() }
    }

    #[actix::test]
    async fn texts_and_images_are_counted_by_the_models_vocabulary() {
        let tokenizer = start();
        let what = Countable { images: 1, low_detail_images: 2, ..texts("hello world") };
        assert_eq!(count(&tokenizer, "gpt-4o-mini", what).await, Some(2 + 765 + 2 * 85));
        for model in ["gpt-4", "claude-sonnet-4-5", "unheard-of"] {
            assert_eq!(count(&tokenizer, model, texts("hello world")).await, Some(2), "{model}");
        }
        let usage = count_usage(&tokenizer, "gpt-4", || (texts("hello"), texts("hello world"))).await.unwrap();
        assert_eq!((usage.input, usage.output, usage.estimated), (1, 2, true));
    }

    #[actix::test]
    async fn the_maker_in_a_models_name_does_not_hide_its_vocabulary() {
        let tokenizer = start();
        let text = "你好，世界";
        let newest = count(&tokenizer, "gpt-4o", texts(text)).await;
        let older = count(&tokenizer, "gpt-4", texts(text)).await;
        assert_ne!(newest, older);
        for (model, tokens) in [("openai/gpt-4-turbo", older), ("openai/gpt-5", newest), ("maker/unheard-of", newest)] {
            assert_eq!(count(&tokenizer, model, texts(text)).await, tokens, "{model}");
        }
    }

    #[actix::test]
    async fn odd_texts_are_counted_in_time_and_the_threads_live_on() {
        let tokenizer = start();
        for (what, text) in [
            ("spaces", " ".repeat(1 << 20)),
            ("line ends", "\n".repeat(1 << 20)),
            ("one letter", "a".repeat(2 << 20)),
            ("digits", "7".repeat(1 << 20)),
            ("replaced surrogates", "\u{fffd}".repeat(100_000)),
            ("emoji", "👩‍👩‍👧‍👦🏳️‍🌈".repeat(10_000)),
            ("special words", "<|endoftext|>".repeat(10_000)),
            ("zero bytes", "\0".repeat(100_000)),
        ] {
            let begun = Instant::now();
            let tokens = count(&tokenizer, "gpt-4o", texts(&text)).await.unwrap();
            assert!(tokens > 0 && usize::try_from(tokens).unwrap() <= text.len(), "{what}: {tokens}");
            assert!(begun.elapsed() < Duration::from_secs(10), "{what}: {:?}", begun.elapsed());
        }
        assert_eq!(count(&tokenizer, "gpt-4o", texts("")).await, Some(0));
        assert_eq!(count(&tokenizer, "gpt-4o", texts("hello world")).await, Some(2));
    }

    /// What the record of an exchange is told.
    async fn told(tokenizer: &Tokenizer, read: impl FnOnce() -> Both + Send + 'static) -> Option<Usage> {
        let (sender, counted) = oneshot::channel();
        count_for_record(tokenizer, "gpt-4o", read, |usage| sender.send(usage).unwrap());
        counted.await.unwrap()
    }

    #[actix::test]
    async fn a_record_is_told_whatever_becomes_of_its_count() {
        let tokenizer = start();
        let usage = told(&tokenizer, || (texts("hello"), texts("hello world"))).await.unwrap();
        assert_eq!((usage.input, usage.output, usage.estimated), (1, 2, true));
        assert_eq!(told(&tokenizer, || panic!("a text that cannot be read")).await, None);
        tokenizer.idle().await;
        let (sender, counted) = oneshot::channel();
        let read = Box::new(|| unreachable!("it is too late"));
        tokenizer.count_exchange("gpt-4o", Duration::ZERO, read, |usage| sender.send(usage).unwrap());
        assert_eq!(counted.await.unwrap(), None);
        tokenizer.idle().await;
    }

    #[test]
    fn a_record_is_told_at_once_when_nobody_counts_any_more() {
        let tokenizer = actix::System::new().block_on(async { start() });
        let (sender, mut counted) = oneshot::channel();
        count_for_record(
            &tokenizer,
            "gpt-4o",
            || unreachable!("there is no thread"),
            |usage| {
                sender.send(usage).unwrap();
            },
        );
        assert_eq!(counted.try_recv().unwrap(), None);
    }

    #[actix::test]
    async fn what_is_not_kept_counts_by_its_length() {
        let tokenizer = start();
        let half = Countable { unread: 5 * 1000, ..texts(&"word ".repeat(1000)) };
        let whole = count(&tokenizer, "gpt-4o", texts(&"word ".repeat(2000))).await.unwrap();
        assert!(count(&tokenizer, "gpt-4o", half).await.unwrap().abs_diff(whole) < 10);
        let nothing_kept = Countable { unread: 4000, ..Countable::default() };
        assert_eq!(count(&tokenizer, "gpt-4o", nothing_kept).await, Some(1000));
    }

    #[test]
    fn windows_are_cut_between_characters_and_lose_nothing() {
        let text = "é".repeat(WINDOW);
        let pieces: Vec<&str> = windows(&text).collect();
        assert!(pieces.iter().all(|piece| piece.len() <= WINDOW));
        assert_eq!(pieces.concat(), text);
    }
}
