//! Where a request would go, and why. Goes through the same stages as a request, without taking
//! a token, a probe or an attempt.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Caller, admit, route};
use crate::actors::provider_pool::{Admission, Bar, PoolView, Prospect};
use crate::chat::{FailureKind, Operation, Protocol};
use crate::config::{
    Candidate, Credential, MatchKind, ModelMap, Provider, ProviderId, ProviderKind, ProviderParams, ProviderRecord,
    SealState, Sealer, Snapshot,
};

/// A request that is not sent.
#[derive(Debug, Clone)]
pub struct Question {
    /// The model's name as a client gives it.
    pub model: String,
    /// The client's protocol.
    pub protocol: Protocol,
    /// What is asked for.
    pub operation: Operation,
    /// Who asks; `None`: anybody.
    pub credential: Option<Arc<Credential>>,
}

/// What a request sees.
pub struct Views<'v> {
    /// The configuration in force.
    pub snapshot: &'v Arc<Snapshot>,
    /// Who may get how much.
    pub pool: &'v PoolView,
    /// What opens the providers' keys.
    pub sealer: &'v Sealer,
    /// `PROVIDER_SUFFIX`.
    pub suffix: Option<&'v str>,
}

/// What becomes of the request.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation<'v> {
    /// The name that is looked up.
    pub resolved_model: String,
    /// How it would end before anybody is asked.
    pub verdict: Verdict,
    /// All providers by id. They are told as if the credential might use the model.
    pub candidates: Vec<Assessed<'v>>,
}

/// How a request would end before anybody is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It would be sent, or answered here: tokens that no provider counts.
    Ok,
    /// The credential may not use the model.
    ModelNotAllowed,
    /// No usable provider maps it.
    ModelNotFound,
    /// All that map it are drained or broken.
    NoProviderAvailable,
    /// None that map it can do what is asked.
    UnsupportedOperation,
}

/// A provider as a request finds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessed<'v> {
    /// The row.
    pub record: &'v ProviderRecord,
    /// What of its mapping matches, also when it cannot be used.
    pub mapping: Option<Mapping>,
    /// Whether the body is forwarded as it is.
    pub same_protocol: bool,
    /// How much traffic it may get; `None`: nothing bad is known.
    pub admission: Option<Admission>,
    /// The configured weight times what health leaves of it; 0 when it cannot be used.
    pub effective_weight: f64,
    /// Attempts that this replica has running there.
    pub in_flight: u32,
    /// As many as it may have.
    pub max_concurrency: Option<u32>,
    /// Its share of such requests, or why it gets none.
    pub prospect: Result<f64, Exclusion>,
}

/// An entry of a model mapping that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The key.
    pub key: String,
    /// How it matches.
    pub kind: MatchKind,
    /// The provider's name for the model.
    pub mapped_model: String,
}

/// Why a provider gets nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// Switched off.
    Disabled,
    /// No key of ours opens its key.
    UndecryptableKey,
    /// Its row makes no sense.
    InvalidConfig,
    /// It does not map the model.
    NoMapping,
    /// It cannot do what is asked.
    UnsupportedOperation,
    /// Its weight is 0.
    Drained,
    /// Its circuit is open.
    BreakerOpen,
    /// It is benched by a 429.
    Cooldown,
    /// As many attempts as may probe it are under way.
    HalfOpenBusy,
    /// It runs as many attempts as it may.
    Saturated,
}

/// Tells what would become of a request.
#[must_use]
pub fn explain<'v>(question: &Question, views: &Views<'v>) -> Explanation<'v> {
    let Question { model, protocol, operation, credential } = question;
    let snapshot = views.snapshot;
    let asked = admit::model_name(model, views.suffix);
    let caller = Caller { snapshot: Arc::clone(snapshot), credential: credential.clone() };
    let routed = route::candidates(snapshot, asked, *operation);
    let able = able(routed.as_deref().unwrap_or_default(), *operation);
    let prospects: HashMap<ProviderId, Prospect> =
        able.iter().map(|candidate| candidate.provider.id).zip(views.pool.prospects(&able)).collect();
    let verdict = match &routed {
        _ if admit::allow_model(&caller, asked).is_err() => Verdict::ModelNotAllowed,
        Err(failure) if failure.kind == FailureKind::ModelNotFound => Verdict::ModelNotFound,
        Err(failure) if failure.kind == FailureKind::NoProviderAvailable => Verdict::NoProviderAvailable,
        Err(_) => Verdict::UnsupportedOperation,
        Ok(_) if able.is_empty() => Verdict::Ok,
        // The others' tokens are counted here.
        Ok(all) if all.len() > able.len() => Verdict::Ok,
        Ok(_) if prospects.values().any(|prospect| matches!(prospect, Prospect::Share(_))) => Verdict::Ok,
        Ok(_) => Verdict::NoProviderAvailable,
    };
    let mapped = snapshot.candidates(asked);
    let assess = |record: &'v ProviderRecord| {
        let usable = snapshot.usable.iter().find(|provider| provider.id.0 == record.id);
        let candidate = mapped.iter().find(|candidate| candidate.provider.id.0 == record.id);
        let prospect = match usable {
            None => Err(unusable(record, views.sealer)),
            Some(provider) => prospect(prospects.get(&provider.id), candidate.is_some()),
        };
        Assessed {
            record,
            mapping: mapping(record, usable.map(Arc::as_ref), candidate, asked),
            same_protocol: ProviderKind::parse(&record.provider_type).is_some_and(|kind| kind.protocol() == *protocol),
            admission: views.pool.admission(ProviderId(record.id)),
            effective_weight: usable.map_or(0.0, |provider| views.pool.effective_weight(provider)),
            in_flight: views.pool.in_flight(ProviderId(record.id)),
            max_concurrency: usable.map_or_else(
                || ProviderParams::compile(&record.provider_params).0.max_concurrency,
                |provider| provider.params.max_concurrency,
            ),
            prospect,
        }
    };
    let candidates = snapshot.providers.iter().map(assess).collect();
    Explanation { resolved_model: asked.to_owned(), verdict, candidates }
}

/// Those that would really be asked.
fn able(candidates: &[Candidate], operation: Operation) -> Vec<&Candidate> {
    let is_asked = |candidate: &&Candidate| operation != Operation::CountTokens || route::counts_tokens(candidate);
    candidates.iter().filter(is_asked).collect()
}

fn unusable(record: &ProviderRecord, sealer: &Sealer) -> Exclusion {
    match sealer.state(&record.api_key) {
        _ if !record.is_enabled => Exclusion::Disabled,
        SealState::Undecryptable => Exclusion::UndecryptableKey,
        SealState::Encrypted | SealState::Plain | SealState::Empty => Exclusion::InvalidConfig,
    }
}

/// What a usable provider may expect; `found` is told for those that are asked only.
fn prospect(found: Option<&Prospect>, is_mapped: bool) -> Result<f64, Exclusion> {
    match found {
        Some(Prospect::Share(share)) => Ok(*share),
        Some(Prospect::Barred(bar)) => Err((*bar).into()),
        None if is_mapped => Err(Exclusion::UnsupportedOperation),
        None => Err(Exclusion::NoMapping),
    }
}

fn mapping(
    record: &ProviderRecord,
    usable: Option<&Provider>,
    candidate: Option<&Candidate>,
    asked: &str,
) -> Option<Mapping> {
    if let Some(Candidate { mapping_key, kind, mapped_model, .. }) = candidate {
        let (key, mapped_model) = (mapping_key.to_string(), mapped_model.to_string());
        return Some(Mapping { key, kind: *kind, mapped_model });
    }
    if usable.is_some() {
        return None;
    }
    // Only usable providers are compiled; an operator wants to know what another one would do.
    let (map, _) = ModelMap::compile(&record.model_mapping);
    let found = map.resolve(asked)?;
    Some(Mapping { key: found.key.to_owned(), kind: found.kind, mapped_model: found.mapped })
}

// === impl Verdict ===

impl Verdict {
    /// The name in the admin API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::ModelNotFound => "model_not_found",
            Self::NoProviderAvailable => "no_provider_available",
            Self::UnsupportedOperation => "unsupported_operation",
        }
    }
}

// === impl Exclusion ===

impl Exclusion {
    /// The name in the admin API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::UndecryptableKey => "undecryptable_key",
            Self::InvalidConfig => "invalid_config",
            Self::NoMapping => "no_mapping",
            Self::UnsupportedOperation => "unsupported_operation",
            Self::Drained => "drained",
            Self::BreakerOpen => "breaker_open",
            Self::Cooldown => "cooldown",
            Self::HalfOpenBusy => "half_open_busy",
            Self::Saturated => "saturated",
        }
    }
}

impl From<Bar> for Exclusion {
    fn from(bar: Bar) -> Self {
        match bar {
            Bar::Drained => Self::Drained,
            Bar::Breaker => Self::BreakerOpen,
            Bar::Cooldown => Self::Cooldown,
            Bar::Busy => Self::HalfOpenBusy,
            Bar::Saturated => Self::Saturated,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::{CredentialRecord, KeyHash, Loaded, Secret};

    fn provider(id: i32, provider_type: &str, mapping: Value) -> ProviderRecord {
        let now = chrono::Utc::now();
        ProviderRecord {
            id,
            provider_key: format!("p{id}"),
            provider_type: provider_type.to_owned(),
            api_base: "http://127.0.0.1:1".to_owned(),
            api_key: Secret::new("k".to_owned()),
            model_mapping: mapping,
            weight: 1,
            provider_params: json!({}),
            is_enabled: true,
            created_at: now,
            updated_at: now,
        }
    }

    fn snapshot(providers: Vec<ProviderRecord>) -> Arc<Snapshot> {
        let now = chrono::Utc::now();
        let credential = CredentialRecord {
            id: 1,
            key_hash: KeyHash::of("k"),
            name: "c".to_owned(),
            allowed_models: vec!["only-this".to_owned()],
            rate_limit: None,
            burst: None,
            is_enabled: true,
            expires_at: None,
            previous_key_hash: None,
            previous_valid_until: None,
            created_at: now,
            updated_at: now,
        };
        let credentials = vec![credential];
        let loaded = Loaded { version: 1, changed_at: now, providers, credentials, errors: vec![] };
        Arc::new(Snapshot::new(loaded, crate::config::Source::Database, &Sealer::default()))
    }

    fn question(model: &str, operation: Operation) -> Question {
        let protocol = if operation == Operation::CountTokens { Protocol::Anthropic } else { Protocol::OpenAiChat };
        Question { model: model.to_owned(), protocol, operation, credential: None }
    }

    fn told(snapshot: &Arc<Snapshot>, question: &Question) -> (Verdict, Vec<Result<f64, Exclusion>>) {
        let (pool, sealer) = (PoolView::default(), Sealer::default());
        let views = Views { snapshot, pool: &pool, sealer: &sealer, suffix: Some("acme") };
        let explanation = explain(question, &views);
        (explanation.verdict, explanation.candidates.into_iter().map(|one| one.prospect).collect())
    }

    #[test]
    fn every_provider_is_told_with_the_reason_that_keeps_it_out() {
        let serves = json!({"m": "real"});
        let mut all: Vec<ProviderRecord> = (1..=7).map(|id| provider(id, "openai", serves.clone())).collect();
        all[1].is_enabled = false;
        all[2].api_key = Secret::new("enc:v1:00000000:AAAA".to_owned());
        all[3].api_base = "nowhere".to_owned();
        all[4].model_mapping = json!({"other": "x"});
        all[5].weight = 0;
        all[6].weight = 3;
        let (verdict, prospects) = told(&snapshot(all), &question("m", Operation::Generate));
        assert_eq!(verdict, Verdict::Ok);
        assert_eq!(
            prospects,
            [
                Ok(0.25),
                Err(Exclusion::Disabled),
                Err(Exclusion::UndecryptableKey),
                Err(Exclusion::InvalidConfig),
                Err(Exclusion::NoMapping),
                Err(Exclusion::Drained),
                Ok(0.75),
            ]
        );
    }

    #[test]
    fn a_name_without_its_prefix_is_looked_up_also_at_providers_that_are_off() {
        let mut off = provider(1, "claude", json!({"gpt-*": "real-*"}));
        off.is_enabled = false;
        let snapshot = snapshot(vec![off, provider(2, "openai", json!({"gpt-4": "exact"}))]);
        let (pool, sealer) = (PoolView::default(), Sealer::default());
        let views = Views { snapshot: &snapshot, pool: &pool, sealer: &sealer, suffix: Some("acme") };
        let Explanation { resolved_model, candidates, .. } =
            explain(&question("acme/gpt-4", Operation::Generate), &views);
        assert_eq!(resolved_model, "gpt-4");
        let mapping = |key: &str, kind, mapped: &str| {
            Some(Mapping { key: key.to_owned(), kind, mapped_model: mapped.to_owned() })
        };
        assert_eq!(candidates[0].mapping, mapping("gpt-*", MatchKind::Wildcard, "real-4"));
        assert_eq!(candidates[1].mapping, mapping("gpt-4", MatchKind::Exact, "exact"));
        assert_eq!([candidates[0].same_protocol, candidates[1].same_protocol], [false, true]);
        assert_eq!([candidates[0].effective_weight, candidates[1].effective_weight], [0.0, 1.0]);
    }

    #[test]
    fn the_verdict_is_how_a_request_would_end_before_anybody_is_asked() {
        let mut drained = provider(2, "openai", json!({"drained": "x"}));
        drained.weight = 0;
        let snapshot = snapshot(vec![provider(1, "anthropic", json!({"m": "x", "only-this": "x"})), drained]);
        let verdict = |model: &str, operation| told(&snapshot, &question(model, operation)).0;
        assert_eq!(verdict("m", Operation::Generate), Verdict::Ok);
        assert_eq!(verdict("m", Operation::Completions), Verdict::Ok);
        assert_eq!(verdict("m", Operation::Embeddings), Verdict::UnsupportedOperation);
        assert_eq!(verdict("nobody's", Operation::Generate), Verdict::ModelNotFound);
        assert_eq!(verdict("drained", Operation::Generate), Verdict::NoProviderAvailable);
        let credential = Some(Arc::clone(&snapshot.credentials[0]));
        let of_credential = |model| Question { credential: credential.clone(), ..question(model, Operation::Generate) };
        assert_eq!(told(&snapshot, &of_credential("m")).0, Verdict::ModelNotAllowed);
        assert_eq!(told(&snapshot, &of_credential("only-this")).0, Verdict::Ok);
    }

    #[test]
    fn tokens_are_counted_by_anthropic_providers_or_here() {
        let serves = |id, kind| provider(id, kind, json!({"m": "x"}));
        let mixed = snapshot(vec![serves(1, "openai"), serves(2, "anthropic")]);
        let asked = question("m", Operation::CountTokens);
        assert_eq!(told(&mixed, &asked), (Verdict::Ok, vec![Err(Exclusion::UnsupportedOperation), Ok(1.0)]));
        let here = snapshot(vec![serves(1, "openai")]);
        assert_eq!(told(&here, &asked), (Verdict::Ok, vec![Err(Exclusion::UnsupportedOperation)]));
    }
}
