//! Counting tokens that a provider did not count.
//!
//! Counting is CPU work (10 KB of prose 0.2 ms, a megabyte of one letter 0.2 s), so it runs on
//! threads of its own. A vocabulary is loaded when it is first needed: it takes 50 to 140 ms and
//! 25 to 45 MB.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use actix::{Actor, Addr, Handler, Message, SyncArbiter, SyncContext};
use futures_util::future::join;
use tiktoken_rs::tokenizer::{Tokenizer as Vocabulary, get_tokenizer};
use tiktoken_rs::{CoreBPE, cl100k_base_singleton, o200k_base_singleton};

use crate::chat::{Countable, Usage};

/// Threads that count.
const THREADS: usize = 2;
/// How long a client waits for a count at most.
const COUNT_WITHIN: Duration = Duration::from_secs(30);
/// Tokens of an image, as OpenAI counts one of 1024 x 1024; in low detail.
const IMAGE: u64 = 765;
const LOW_DETAIL_IMAGE: u64 = 85;
/// Texts are counted in windows of this many bytes: a run of a single character that is longer
/// overflows the vocabulary's regex, and a window more or less is a token in thousands.
const WINDOW: usize = 16 * 1024;

/// Counts with the vocabulary of a model.
#[derive(Debug, Message)]
#[rtype(result = "Option<u64>")]
struct CountTokens {
    model: String,
    what: Countable,
}

/// The address of the counting threads.
pub type Tokenizer = Addr<TokenizerActor>;

/// Counts; it has no state but the vocabularies, which all threads share.
pub struct TokenizerActor;

/// Starts the threads. They load nothing yet.
pub(super) fn start() -> Tokenizer {
    SyncArbiter::start(THREADS, || TokenizerActor)
}

/// The tokens of `what` for `model`; `None` when they cannot be counted, which is no reason to
/// fail a request.
pub async fn count(tokenizer: &Tokenizer, model: &str, what: Countable) -> Option<u64> {
    let message = CountTokens { model: model.to_owned(), what };
    tokenizer.send(message).timeout(COUNT_WITHIN).await.ok().flatten()
}

/// The usage of an exchange, marked as estimated.
pub async fn count_usage(tokenizer: &Tokenizer, model: &str, input: Countable, output: Countable) -> Option<Usage> {
    let (input, output) = join(count(tokenizer, model, input), count(tokenizer, model, output)).await;
    Some(Usage { input: input?, output: output?, estimated: true, ..Usage::default() })
}

impl Actor for TokenizerActor {
    type Context = SyncContext<Self>;
}

impl Handler<CountTokens> for TokenizerActor {
    type Result = Option<u64>;

    fn handle(&mut self, CountTokens { model, what }: CountTokens, _: &mut Self::Context) -> Option<u64> {
        // A panic would end one of the threads for ever.
        catch_unwind(AssertUnwindSafe(|| count_all(vocabulary(&model), &what))).ok().flatten()
    }
}

/// Models that no vocabulary is known for are counted with the newest one. Gateways name models
/// `maker/model`.
fn vocabulary(model: &str) -> &'static CoreBPE {
    match get_tokenizer(model.rsplit('/').next().unwrap_or(model)) {
        Some(Vocabulary::Cl100kBase) => cl100k_base_singleton(),
        _ => o200k_base_singleton(),
    }
}

fn count_all(vocabulary: &CoreBPE, what: &Countable) -> Option<u64> {
    let images =
        what.images.saturating_mul(IMAGE).saturating_add(what.low_detail_images.saturating_mul(LOW_DETAIL_IMAGE));
    what.texts.iter().flat_map(|text| windows(text)).try_fold(images, |sum, window| {
        let tokens = vocabulary.count(window, &HashSet::new()).ok()?;
        Some(sum.saturating_add(u64::try_from(tokens).ok()?))
    })
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
        let usage = count_usage(&tokenizer, "gpt-4", texts("hello"), texts("hello world")).await.unwrap();
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

    #[test]
    fn windows_are_cut_between_characters_and_lose_nothing() {
        let text = "é".repeat(WINDOW);
        let pieces: Vec<&str> = windows(&text).collect();
        assert!(pieces.iter().all(|piece| piece.len() <= WINDOW));
        assert_eq!(pieces.concat(), text);
    }
}
