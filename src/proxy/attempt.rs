//! Trying candidates, and failing over before the first byte.

use tokio::time::Instant;

use super::answer::{Answer, Failed, after};
use super::outcome::may_fail_over;
use super::prepare::Request;
use super::{Finish, Proxy, Stage, route, send};
use crate::chat::{Failure, FailureKind};
use crate::config::Candidate;

/// Tries candidates until one answers. The last failure is the answer when none does. A
/// candidate that cannot carry the request is passed over; that is the answer only when there is
/// no other.
pub(super) async fn first_answer(
    proxy: &Proxy,
    request: &Request<'_>,
    candidates: &[Candidate],
    finish: &mut Finish,
) -> Result<Answer, Failed> {
    let deadline = after(proxy.settings.timeouts.request.filter(|_| !request.peek.stream));
    let (mut tried, mut attempts) = (Vec::new(), 0);
    let (mut last, mut untranslatable) = (None, None);
    while attempts < proxy.settings.max_attempts {
        let pool = proxy.handles.pool.load();
        let Some((place, candidate, choice)) = route::choose(&pool, candidates, &tried) else {
            break;
        };
        tried.push(place);
        let prepared = match request.prepare(proxy, candidate) {
            Ok(prepared) => prepared,
            Err(failure) => {
                untranslatable = Some(failure);
                continue;
            }
        };
        attempts += 1;
        finish.lap(Stage::Translate);
        finish.attempt(candidate, choice.probe, prepared.dropped());
        let sent = send::send(proxy, request, candidate, prepared, deadline).await;
        finish.lap(Stage::Upstream);
        match sent {
            Ok(answer) => return Ok(answer),
            Err(failed) => {
                finish.attempt_failed(&failed.failure);
                let give_up = !may_fail_over(&failed.failure) || deadline.is_some_and(|end| end <= Instant::now());
                last = Some(failed);
                if give_up {
                    break;
                }
            }
        }
    }
    Err(last.or_else(|| untranslatable.map(Failed::from)).unwrap_or_else(|| nobody(&request.peek.model)))
}

fn nobody(model: &str) -> Failed {
    let message = format!("every provider of the model {model:?} is drained or unusable");
    Failure::new(FailureKind::NoProviderAvailable, message).into()
}
