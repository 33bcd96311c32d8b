//! The shapes of the admin API's answers.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::schemas;
pub(super) use crate::config::rfc3339 as time;
use crate::config::{Credential, PlainKey, ProviderParams, ProviderRecord, Sealer, Snapshot};
use crate::store;

/// An error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminError)]
pub(super) struct ErrorBody {
    pub(super) error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminErrorDetail)]
pub(super) struct ErrorDetail {
    /// For people.
    pub(super) message: String,
    /// One of `validation_error`, `unauthorized`, `not_found`, `conflict`, `upgrade_required`, `request_timeout`, `internal_error`,
    /// `database_unavailable`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// The HTTP status.
    #[schema(example = 400)]
    pub(super) code: u16,
    /// The path of the field at fault.
    #[schema(required)]
    pub(super) field: Option<String>,
}

/// Whether the admin key is right.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyValidity {
    pub(super) valid: bool,
    /// For people.
    pub(super) message: &'static str,
}

/// A provider.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Provider)]
pub(super) struct ProviderView {
    id: i32,
    /// The operator's name for it.
    provider_key: String,
    #[schema(schema_with = schemas::provider_type)]
    provider_type: String,
    /// Absolute URL without a trailing slash.
    api_base: String,
    /// How the provider's key is stored: `encrypted`, `plain`, `empty`, or `undecryptable` when none of the
    /// present encryption keys opens it. The key itself is never shown.
    api_key_state: &'static str,
    #[schema(schema_with = schemas::model_mapping)]
    model_mapping: Value,
    /// Share of the traffic; 0 drains.
    #[schema(minimum = 0)]
    weight: i32,
    #[schema(schema_with = schemas::provider_params)]
    provider_params: Value,
    is_enabled: bool,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A credential.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Credential)]
pub(super) struct CredentialView {
    id: i32,
    name: String,
    /// Where it was just created: the ends of the key. Later: the beginning of its hash.
    key_preview: String,
    /// Which models it may use; empty means all.
    allowed_models: Vec<String>,
    /// Requests per second; null is unlimited, 0 refuses everything.
    #[schema(required, minimum = 0)]
    rate_limit: Option<i32>,
    /// Bucket size; null is `rate_limit`.
    #[schema(required, minimum = 1)]
    burst: Option<i32>,
    is_enabled: bool,
    #[schema(required, format = DateTime)]
    expires_at: Option<String>,
    /// Until when the key before the last rotation still works.
    #[schema(required, format = DateTime)]
    previous_key_valid_until: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A credential that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreatedCredential {
    #[serde(flatten)]
    pub(super) credential: CredentialView,
    /// The generated key, shown only here; absent when the request brought its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) key: Option<String>,
}

/// A credential whose key was replaced.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RotatedCredential {
    /// The version of the configuration that has the new key.
    pub(super) version: i64,
    /// The new key, shown only here.
    pub(super) new_key: String,
    /// For people.
    pub(super) message: String,
    /// Until when the old key still works.
    #[schema(required, format = DateTime)]
    pub(super) previous_key_valid_until: Option<String>,
    pub(super) credential: CredentialView,
}

/// Where a page stands; absent when no page was asked for.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Paging {
    /// Rows on all pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) total: Option<usize>,
    /// This page; the first is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) page: Option<usize>,
    /// Rows on a full page.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) page_size: Option<usize>,
    /// The number of pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) total_pages: Option<usize>,
}

/// Providers by id.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProviderList {
    /// The version of the configuration that was read.
    pub(super) version: i64,
    pub(super) providers: Vec<ProviderView>,
    #[serde(flatten)]
    pub(super) paging: Paging,
}

/// Credentials by id.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CredentialList {
    /// The version of the configuration that was read.
    pub(super) version: i64,
    pub(super) credentials: Vec<CredentialView>,
    #[serde(flatten)]
    pub(super) paging: Paging,
}

/// The configuration in force on the replica that answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConfigStatus {
    version: i64,
    /// When that version was made.
    #[schema(format = DateTime)]
    timestamp: String,
    providers_count: usize,
    credentials_count: usize,
}

/// The configuration in force, here and elsewhere.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConfigVersion {
    #[serde(flatten)]
    pub(super) status: ConfigStatus,
    /// The replicas seen in the last 30 seconds.
    pub(super) replicas: Vec<Replica>,
}

/// One process of llm-proxy.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Replica {
    pub(super) id: String,
    /// The version of the configuration in force there.
    pub(super) version: i64,
    #[schema(format = DateTime)]
    pub(super) seen_at: String,
}

// === impl Replica ===

impl From<&store::Replica> for Replica {
    fn from(replica: &store::Replica) -> Self {
        Self { id: replica.id.clone(), version: replica.version, seen_at: time(replica.seen_at) }
    }
}

// === impl ProviderView ===

impl ProviderView {
    /// What a read shows; `sealer` tells how the key is stored.
    pub(super) fn new(record: &ProviderRecord, sealer: &Sealer) -> Self {
        Self {
            id: record.id,
            provider_key: record.provider_key.clone(),
            provider_type: record.provider_type.clone(),
            api_base: record.api_base.clone(),
            api_key_state: sealer.state(&record.api_key).name(),
            model_mapping: record.model_mapping.clone(),
            weight: record.weight,
            provider_params: ProviderParams::masked(&record.provider_params),
            is_enabled: record.is_enabled,
            created_at: time(record.created_at),
            updated_at: time(record.updated_at),
        }
    }
}

// === impl CredentialView ===

impl CredentialView {
    /// What a read at `now` shows.
    pub(super) fn new(credential: &Credential, now: DateTime<Utc>) -> Self {
        let record = &credential.record;
        Self {
            id: record.id,
            name: record.name.clone(),
            key_preview: record.key_hash.preview(),
            allowed_models: record.allowed_models.clone(),
            rate_limit: record.rate_limit,
            burst: record.burst,
            is_enabled: record.is_enabled,
            expires_at: record.expires_at.map(time),
            previous_key_valid_until: record.previous_valid_until.filter(|end| *end > now).map(time),
            created_at: time(record.created_at),
            updated_at: time(record.updated_at),
        }
    }

    /// The same for whoever just sent or received the key.
    pub(super) fn with_preview_of(self, key: &PlainKey) -> Self {
        Self { key_preview: key.preview(), ..self }
    }
}

// === impl ConfigStatus ===

impl From<&Snapshot> for ConfigStatus {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            version: snapshot.version,
            timestamp: time(snapshot.changed_at),
            providers_count: snapshot.providers.len(),
            credentials_count: snapshot.credentials.len(),
        }
    }
}
