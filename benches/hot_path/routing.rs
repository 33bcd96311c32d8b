//! Who asks, and where the request may go, in small and in large configurations.

use chrono::Utc;
use llm_proxy::actors::provider_pool::PoolView;
use llm_proxy::config::{
    Candidate, CredentialRecord, KeyHash, Loaded, ProviderRecord, Sealer, Secret, Snapshot, Source,
};
use serde_json::json;

use super::{Bench, Work};

/// A configuration of so many providers, each with a model of its own and one of all, and keys.
fn snapshot(providers: i32, credentials: i32) -> Snapshot {
    let now = Utc::now();
    let provider = |id: i32| ProviderRecord {
        id,
        provider_key: format!("p{id}"),
        provider_type: "openai".to_owned(),
        api_base: "https://api.example/v1".to_owned(),
        api_key: Secret::new("sk-provider".to_owned()),
        model_mapping: json!({format!("model-{id}"): "real", format!("pattern-{id}-*"): "real-*"}),
        weight: 1,
        provider_params: json!({}),
        is_enabled: true,
        created_at: now,
        updated_at: now,
    };
    let credential = |id: i32| CredentialRecord {
        id,
        key_hash: KeyHash::of(&key(id)),
        name: format!("team {id}"),
        allowed_models: vec!["model-*".to_owned()],
        rate_limit: Some(100),
        burst: None,
        is_enabled: true,
        expires_at: None,
        previous_key_hash: None,
        previous_valid_until: None,
        created_at: now,
        updated_at: now,
    };
    let loaded = Loaded {
        version: 1,
        changed_at: now,
        providers: (1..=providers).map(provider).collect(),
        credentials: (1..=credentials).map(credential).collect(),
        errors: Vec::new(),
    };
    Snapshot::new(loaded, Source::Database, &Sealer::default())
}

fn key(id: i32) -> String {
    format!("sk-client-{id}")
}

/// Measures all of it.
pub fn measure(bench: &mut Bench) {
    let pool = PoolView::default();
    for (providers, credentials) in [(3, 10), (1000, 100_000)] {
        let (snapshot, size) = (snapshot(providers, credentials), format!("{providers}_providers_{credentials}_keys"));
        let (key, model) = (key(credentials / 2), format!("model-{}", providers / 2));
        let work = Work { events: 1, bytes: key.len() };
        bench.measure(&format!("admit/{size}"), &work, || {
            let credential = snapshot.authenticate(&KeyHash::of(&key), Utc::now()).unwrap();
            credential.allows(&model)
        });
        let work = Work { events: 1, bytes: model.len() };
        bench.measure(&format!("route/{size}"), &work, || {
            let candidates = snapshot.candidates(&model);
            let all: Vec<&Candidate> = candidates.iter().collect();
            pool.choose(&all, 0.5).unwrap().index
        });
    }
}
