//! What the protocols of the OpenAI family have in common: Chat, the older text completions and,
//! as far as they go, embeddings.

mod alike;
pub(super) mod body;
pub(super) mod error;
pub(super) mod lenient;
pub(super) mod object;
pub(super) mod stream;
pub(super) mod usage;

use rand::RngExt as _;
use rand::distr::Alphanumeric;

/// 24 letters and digits, for ids.
pub(super) fn random_letters() -> String {
    rand::rng().sample_iter(Alphanumeric).take(24).map(char::from).collect()
}
