//! Where a request may go.

use std::sync::Arc;
use std::time::Duration;

use crate::actors::provider_pool::{Choice, PoolView, Unchosen};
use crate::chat::{Failure, FailureKind, Operation, Protocol};
use crate::config::{Candidate, Snapshot};

/// The providers that serve `model` and can do what is asked.
///
/// # Errors
/// `ModelNotFound` when nobody maps it, `NoProviderAvailable` when the rows of those who do are
/// broken, `UnsupportedOperation` when they cannot do it.
pub(super) fn candidates(snapshot: &Snapshot, model: &str, operation: Operation) -> Result<Vec<Candidate>, Failure> {
    let all: Arc<[Candidate]> = snapshot.candidates(model);
    if all.is_empty() && snapshot.is_mapped_by_broken(model) {
        let message = format!("no provider of the model {model:?} can be used");
        return Err(Failure::new(FailureKind::NoProviderAvailable, message));
    }
    if all.is_empty() {
        let message = format!("no provider serves the model {model:?}");
        return Err(Failure::new(FailureKind::ModelNotFound, message).with_param("model"));
    }
    let able: Vec<Candidate> = all.iter().filter(|candidate| can_do(candidate, operation)).cloned().collect();
    if able.is_empty() {
        let message = format!("no provider of the model {model:?} can answer this kind of request");
        return Err(Failure::new(FailureKind::UnsupportedOperation, message).with_param("model"));
    }
    Ok(able)
}

/// Whether a provider can be asked for this at all. Embeddings are forwarded only; everything
/// else can be translated.
fn can_do(candidate: &Candidate, operation: Operation) -> bool {
    match operation {
        Operation::Embeddings => candidate.provider.kind.protocol() == Protocol::OpenAiChat,
        Operation::Generate | Operation::Completions | Operation::CountTokens => true,
    }
}

/// Whether a provider counts tokens itself; for the others they are counted here.
pub(super) fn counts_tokens(candidate: &Candidate) -> bool {
    candidate.provider.kind.protocol() == Protocol::Anthropic
}

/// The next candidate among those not yet tried, at random by effective weight.
///
/// # Errors
/// When none is left that may run an attempt.
pub(super) fn choose<'c>(
    pool: &PoolView,
    candidates: &'c [Candidate],
    tried: &[usize],
) -> Result<(usize, &'c Candidate, Choice), Unchosen> {
    let left = candidates.iter().enumerate().filter(|(index, _)| !tried.contains(index));
    let (places, left): (Vec<usize>, Vec<&Candidate>) = left.unzip();
    let choice = pool.choose(&left, rand::random())?;
    let place = places.get(choice.index).zip(left.get(choice.index));
    place.map(|(place, candidate)| (*place, *candidate, choice)).ok_or(Unchosen::Nobody)
}

/// The failure when there was no choice, and no attempt before.
pub(super) fn unchosen(why: Unchosen, model: &str) -> Failure {
    match why {
        Unchosen::Nobody => {
            let message = format!("every provider of the model {model:?} is drained or unusable");
            Failure::new(FailureKind::NoProviderAvailable, message)
        }
        Unchosen::Saturated => {
            let message = format!("every provider of the model {model:?} runs as many requests as it may");
            Failure::new(FailureKind::ProviderSaturated, message).with_retry_after(Duration::from_secs(1))
        }
    }
}
