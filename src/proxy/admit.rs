//! May this request pass: model allowed, token left?

use super::Caller;
use crate::actors::rate_limiter::{Decision, LimitTable};
use crate::chat::{Failure, FailureKind};
use crate::config::Quota;

/// Takes one token of the caller's bucket. `None`: no quota. It waits only for a bucket that
/// replicas share.
pub async fn throttle(caller: &Caller, limits: &LimitTable) -> Option<Decision> {
    // A bucket outlives its quota for a while.
    let credential = caller.credential.as_ref().filter(|credential| credential.quota != Quota::Unlimited)?;
    let limiter = limits.get(&credential.record.id)?;
    Some(limiter.take().await)
}

/// The failure of a refused request; `None` when it may pass.
#[must_use]
pub fn refusal(decision: &Decision) -> Option<Failure> {
    let wait = decision.retry_after?;
    let message = if decision.can_recover {
        format!("rate limit of {} requests reached; try again in {:.1} s", decision.limit, wait.as_secs_f64())
    } else {
        "this key's rate limit is 0: it may not make requests".to_owned()
    };
    Some(Failure::new(FailureKind::RateLimited, message).with_retry_after(wait))
}

/// The name to look up: the client's without the configured prefix, removed once.
#[must_use]
pub fn model_name<'m>(model: &'m str, suffix: Option<&str>) -> &'m str {
    let rest = suffix.and_then(|suffix| model.strip_prefix(suffix)?.strip_prefix('/'));
    rest.unwrap_or(model)
}

/// # Errors
/// `ModelNotAllowed`, naming what the key may use.
pub(super) fn allow_model(caller: &Caller, model: &str) -> Result<(), Failure> {
    let refused = caller.credential.as_ref().filter(|credential| !credential.allows(model));
    refused.map_or(Ok(()), |credential| {
        let allowed = credential.record.allowed_models.join(", ");
        let message = format!("this key may not use the model {model:?}; it may use: {allowed}");
        Err(Failure::new(FailureKind::ModelNotAllowed, message).with_param("model"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_is_removed_once_and_only_before_a_slash() {
        assert_eq!(model_name("acme/gpt-4", Some("acme")), "gpt-4");
        assert_eq!(model_name("acme/acme/gpt-4", Some("acme")), "acme/gpt-4");
        assert_eq!(model_name("Acme/gpt-4", Some("acme")), "Acme/gpt-4");
        assert_eq!(model_name("acmegpt-4", Some("acme")), "acmegpt-4");
        assert_eq!(model_name("other/gpt-4", Some("acme")), "other/gpt-4");
        assert_eq!(model_name("acme/gpt-4", None), "acme/gpt-4");
    }
}
