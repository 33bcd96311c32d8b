//! The whole configuration at one version.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::{
    Credential, CredentialRecord, KeyHash, MatchKind, ModelLimits, ModelMap, Provider, ProviderRecord, Sealer,
};

/// What a configuration row describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entity {
    /// A row of `providers`.
    Provider,
    /// A row of `credentials`.
    Credential,
}

impl Entity {
    /// `provider` or `credential`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Credential => "credential",
        }
    }
}

/// A part of a stored row that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Which table.
    pub entity: Entity,
    /// Which row.
    pub id: i32,
    /// Which field, as a path.
    pub field: String,
    /// Why, without secrets.
    pub message: String,
}

/// Everything the store holds at one version.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The version of the configuration.
    pub version: i64,
    /// When that version was made.
    pub changed_at: DateTime<Utc>,
    /// All providers by id.
    pub providers: Vec<ProviderRecord>,
    /// All credentials by id.
    pub credentials: Vec<CredentialRecord>,
    /// Rows that are no record at all.
    pub errors: Vec<ConfigError>,
}

/// A provider that serves a model.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The provider.
    pub provider: Arc<Provider>,
    /// The mapping key that matched; bounded, so fit for a metric label.
    pub mapping_key: Arc<str>,
    /// How it matched.
    pub kind: MatchKind,
    /// The provider's name for the model.
    pub mapped_model: Arc<str>,
    /// What the mapping says of the model.
    pub limits: ModelLimits,
}

/// Where a configuration came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: none is loaded yet.
    Nowhere,
    /// The database.
    Database,
    /// The file with the last one in force, since the database could not be reached.
    SnapshotFile,
}

/// An immutable configuration. A request loads it once and sees one version throughout.
#[derive(Debug)]
pub struct Snapshot {
    /// The version of the configuration.
    pub version: i64,
    /// When that version was made.
    pub changed_at: DateTime<Utc>,
    /// Where it came from.
    pub source: Source,
    /// When it was loaded.
    pub loaded_at: DateTime<Utc>,
    /// All providers as stored, by id.
    pub providers: Vec<ProviderRecord>,
    /// The providers that can be used.
    pub usable: Vec<Arc<Provider>>,
    /// All credentials by id.
    pub credentials: Vec<Arc<Credential>>,
    /// What of the stored rows cannot be used.
    pub errors: Vec<ConfigError>,
    /// What enabled providers map that cannot be used.
    broken: Vec<ModelMap>,
    by_key: HashMap<KeyHash, KeyUse>,
    /// Candidates of every name that some mapping holds exactly. Patterns are left to the
    /// request: their names are not known here.
    by_model: HashMap<String, Arc<[Candidate]>>,
}

#[derive(Debug)]
struct KeyUse {
    hash: KeyHash,
    credential: Arc<Credential>,
    /// Set for a key that a rotation replaced.
    valid_until: Option<DateTime<Utc>>,
}

/// Why a key opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyRefusal {
    /// No credential has it.
    Unknown,
    /// Its credential is disabled.
    Disabled,
    /// Its credential, or the grace of its rotation, is over.
    Expired,
}

impl Snapshot {
    /// Compiles what the store holds. Never fails: what cannot be used is left out and listed
    /// in [`Snapshot::errors`]. `sealer` opens the providers' keys.
    #[must_use]
    pub fn new(loaded: Loaded, source: Source, sealer: &Sealer) -> Self {
        let mut errors = loaded.errors;
        let (usable, broken) = compile_providers(&loaded.providers, sealer, &mut errors);
        let credentials = compile_credentials(loaded.credentials, &mut errors);
        Self {
            version: loaded.version,
            changed_at: loaded.changed_at,
            source,
            loaded_at: Utc::now(),
            by_model: index_models(&usable),
            by_key: index_keys(&credentials),
            providers: loaded.providers,
            usable,
            broken,
            credentials,
            errors,
        }
    }

    /// What is in force before any configuration was loaded: nothing.
    #[must_use]
    pub fn unloaded() -> Self {
        let (version, changed_at) = (0, DateTime::<Utc>::UNIX_EPOCH);
        let nothing =
            Loaded { version, changed_at, providers: Vec::new(), credentials: Vec::new(), errors: Vec::new() };
        Self::new(nothing, Source::Nowhere, &Sealer::default())
    }

    /// Whether there is a configuration at all.
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.source != Source::Nowhere
    }

    /// The credential of a client's key at `now`.
    ///
    /// # Errors
    /// Why the key opens nothing.
    pub fn authenticate(&self, hash: &KeyHash, now: DateTime<Utc>) -> Result<&Arc<Credential>, KeyRefusal> {
        let found = self.by_key.get(hash).filter(|found| found.hash.matches(hash));
        let found = found.ok_or(KeyRefusal::Unknown)?;
        if !found.credential.record.is_enabled {
            return Err(KeyRefusal::Disabled);
        }
        if found.credential.is_expired(now) || found.valid_until.is_some_and(|end| end <= now) {
            return Err(KeyRefusal::Expired);
        }
        Ok(&found.credential)
    }

    /// Whether any credential is enabled, expired or not. Rows that cannot be read count:
    /// a damaged table must not open the door.
    #[must_use]
    pub fn has_enabled_credential(&self) -> bool {
        self.credentials.iter().any(|credential| credential.record.is_enabled)
            || self.errors.iter().any(|error| error.entity == Entity::Credential)
    }

    /// The usable providers that serve `model`, by id. Shared, not copied, for exact names.
    #[must_use]
    pub fn candidates(&self, model: &str) -> Arc<[Candidate]> {
        self.by_model.get(model).map_or_else(|| resolve(&self.usable, model), Arc::clone)
    }

    /// Whether an enabled provider maps `model` that cannot be used for what is wrong with its row.
    #[must_use]
    pub fn is_mapped_by_broken(&self, model: &str) -> bool {
        self.broken.iter().any(|models| models.resolve(model).is_some())
    }

    /// Whether some mapping holds `model` exactly.
    #[must_use]
    pub fn is_exact_model(&self, model: &str) -> bool {
        self.by_model.contains_key(model)
    }

    /// The models that `credential` may use and that can be named: exact mapping keys, and the
    /// exact names of its `allowed_models` that some pattern matches. Sorted, unique.
    #[must_use]
    pub fn models_for(&self, credential: Option<&Credential>) -> BTreeSet<String> {
        let own = credential.into_iter().flat_map(Credential::exact_names);
        let own = own.filter(|name| !self.candidates(name).is_empty());
        let exact = self.by_model.keys().map(String::as_str);
        let allowed = |name: &&str| credential.is_none_or(|credential| credential.allows(name));
        exact.filter(allowed).chain(own).map(str::to_owned).collect()
    }
}

/// The providers that can be used, and the mappings of the enabled ones that cannot.
fn compile_providers(
    records: &[ProviderRecord],
    sealer: &Sealer,
    errors: &mut Vec<ConfigError>,
) -> (Vec<Arc<Provider>>, Vec<ModelMap>) {
    let (mut usable, mut broken) = (Vec::new(), Vec::new());
    for record in records {
        let (provider, wrong) = Provider::compile(record, sealer);
        errors.extend(wrong.into_iter().map(|error| ConfigError {
            entity: Entity::Provider,
            id: record.id,
            field: error.field,
            message: error.message,
        }));
        match provider {
            _ if !record.is_enabled => {}
            Some(provider) => usable.push(Arc::new(provider)),
            None => broken.push(ModelMap::compile(&record.model_mapping).0),
        }
    }
    (usable, broken)
}

fn compile_credentials(records: Vec<CredentialRecord>, errors: &mut Vec<ConfigError>) -> Vec<Arc<Credential>> {
    let compile = |record: CredentialRecord| {
        let id = record.id;
        let (credential, wrong) = Credential::new(record);
        errors.extend(wrong.into_iter().map(|message| ConfigError {
            entity: Entity::Credential,
            id,
            field: "allowed_models".to_owned(),
            message,
        }));
        Arc::new(credential)
    };
    records.into_iter().map(compile).collect()
}

fn index_keys(credentials: &[Arc<Credential>]) -> HashMap<KeyHash, KeyUse> {
    let mut by_key = HashMap::new();
    // Replaced keys first: where one is another credential's present key, the present one wins.
    for credential in credentials {
        if let (Some(hash), valid_until @ Some(_)) =
            (credential.record.previous_key_hash, credential.record.previous_valid_until)
        {
            let credential = Arc::clone(credential);
            by_key.insert(hash, KeyUse { hash, credential, valid_until });
        }
    }
    for credential in credentials {
        let (hash, credential) = (credential.record.key_hash, Arc::clone(credential));
        by_key.insert(hash, KeyUse { hash, credential, valid_until: None });
    }
    by_key
}

fn index_models(providers: &[Arc<Provider>]) -> HashMap<String, Arc<[Candidate]>> {
    let names: BTreeSet<&str> = providers.iter().flat_map(|provider| provider.models.exact_names()).collect();
    names.into_iter().map(|name| (name.to_owned(), resolve(providers, name))).collect()
}

fn resolve(providers: &[Arc<Provider>], model: &str) -> Arc<[Candidate]> {
    let candidate = |provider: &Arc<Provider>| {
        let resolved = provider.models.resolve(model)?;
        Some(Candidate {
            provider: Arc::clone(provider),
            mapping_key: Arc::from(resolved.key),
            kind: resolved.kind,
            mapped_model: Arc::from(resolved.mapped),
            limits: resolved.limits,
        })
    };
    providers.iter().filter_map(candidate).collect()
}
