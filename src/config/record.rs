//! Providers and credentials as they are stored, and the changes an operator may ask for.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{KeyHash, Sealer, Secret};

/// Why a field was refused; the message is for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct FieldError {
    /// The field's path in the admin API, such as `provider_params.headers`.
    pub field: String,
    /// What is wrong with it, in plain words and without secrets.
    pub message: String,
}

impl FieldError {
    /// An error for `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// A stored provider, valid or not.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderRecord {
    /// Primary key.
    pub id: i32,
    /// The operator's name for it; unique, never changes.
    pub provider_key: String,
    /// The canonical provider type, see [`super::ProviderKind`].
    pub provider_type: String,
    /// Absolute URL without a trailing slash.
    pub api_base: String,
    /// The key we present, as stored.
    pub api_key: Secret,
    /// Model key → mapped name or object with `mapped_model`.
    pub model_mapping: Value,
    /// Share of the traffic; 0 drains.
    pub weight: i32,
    /// Options, see [`super::ProviderParams`].
    pub provider_params: Value,
    /// Whether it may be used.
    pub is_enabled: bool,
    /// When the row was made.
    pub created_at: DateTime<Utc>,
    /// When the row was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A new provider, every field checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderDraft {
    /// See [`ProviderRecord::provider_key`].
    pub provider_key: String,
    /// See [`ProviderRecord::provider_type`].
    pub provider_type: String,
    /// See [`ProviderRecord::api_base`].
    pub api_base: String,
    /// See [`ProviderRecord::api_key`].
    pub api_key: Secret,
    /// See [`ProviderRecord::model_mapping`].
    pub model_mapping: Value,
    /// See [`ProviderRecord::weight`].
    pub weight: i32,
    /// See [`ProviderRecord::provider_params`].
    pub provider_params: Value,
    /// See [`ProviderRecord::is_enabled`].
    pub is_enabled: bool,
}

/// A partial change; `None` leaves the field as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProviderPatch {
    /// The immutable key, when the client sent it back; must equal the stored one.
    pub provider_key: Option<String>,
    /// See [`ProviderRecord::provider_type`].
    pub provider_type: Option<String>,
    /// See [`ProviderRecord::api_base`].
    pub api_base: Option<String>,
    /// See [`ProviderRecord::api_key`].
    pub api_key: Option<Secret>,
    /// See [`ProviderRecord::model_mapping`]; replaces the whole map.
    pub model_mapping: Option<Map<String, Value>>,
    /// See [`ProviderRecord::weight`].
    pub weight: Option<i32>,
    /// See [`ProviderRecord::provider_params`]; replaces the whole object.
    pub provider_params: Option<Map<String, Value>>,
    /// See [`ProviderRecord::is_enabled`].
    pub is_enabled: Option<bool>,
}

/// A stored credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialRecord {
    /// Primary key.
    pub id: i32,
    /// SHA-256 of the plain key.
    pub key_hash: KeyHash,
    /// The operator's name for it.
    pub name: String,
    /// Which models it may use; empty means all.
    pub allowed_models: Vec<String>,
    /// Requests per second; `None` is unlimited, 0 refuses everything.
    pub rate_limit: Option<i32>,
    /// Bucket size; `None` is `rate_limit`.
    pub burst: Option<i32>,
    /// Whether it may be used.
    pub is_enabled: bool,
    /// After this it may not be used.
    pub expires_at: Option<DateTime<Utc>>,
    /// The hash it had before the last rotation.
    pub previous_key_hash: Option<KeyHash>,
    /// Until when the previous key still works.
    pub previous_valid_until: Option<DateTime<Utc>>,
    /// When the row was made.
    pub created_at: DateTime<Utc>,
    /// When the row was last changed.
    pub updated_at: DateTime<Utc>,
}

/// A new credential, every field checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialDraft {
    /// See [`CredentialRecord::key_hash`].
    pub key_hash: KeyHash,
    /// See [`CredentialRecord::name`].
    pub name: String,
    /// See [`CredentialRecord::allowed_models`].
    pub allowed_models: Vec<String>,
    /// See [`CredentialRecord::rate_limit`].
    pub rate_limit: Option<i32>,
    /// See [`CredentialRecord::burst`].
    pub burst: Option<i32>,
    /// See [`CredentialRecord::is_enabled`].
    pub is_enabled: bool,
    /// See [`CredentialRecord::expires_at`].
    pub expires_at: Option<DateTime<Utc>>,
}

/// A partial change; `None` leaves the field as it is, `Some(None)` clears a nullable one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CredentialPatch {
    /// A new key; ends the grace of an earlier rotation.
    pub key_hash: Option<KeyHash>,
    /// See [`CredentialRecord::name`].
    pub name: Option<String>,
    /// See [`CredentialRecord::allowed_models`].
    pub allowed_models: Option<Vec<String>>,
    /// See [`CredentialRecord::rate_limit`].
    pub rate_limit: Option<Option<i32>>,
    /// See [`CredentialRecord::burst`].
    pub burst: Option<Option<i32>>,
    /// See [`CredentialRecord::is_enabled`].
    pub is_enabled: Option<bool>,
    /// See [`CredentialRecord::expires_at`].
    pub expires_at: Option<Option<DateTime<Utc>>>,
    /// With a new key: until when the one it replaces still works. The replaced one is read
    /// within the store's transaction, so that no change in between is lost.
    pub grace_until: Option<DateTime<Utc>>,
}

impl ProviderPatch {
    /// The same without an `api_key` that is the stored one already: sealed, no two forms of it
    /// look alike.
    #[must_use]
    pub fn without_stored_key(self, before: &ProviderRecord, sealer: &Sealer) -> Self {
        let api_key = self.api_key.filter(|key| !sealer.same(key, &before.api_key));
        Self { api_key, ..self }
    }

    /// The record after this change; `updated_at` is left to the caller.
    ///
    /// # Errors
    /// The first field that the change would make wrong.
    pub fn apply_to(self, before: &ProviderRecord) -> Result<ProviderRecord, FieldError> {
        if self.provider_key.as_ref().is_some_and(|key| *key != before.provider_key) {
            return Err(FieldError::new("provider_key", "cannot be changed"));
        }
        let params =
            self.provider_params.map(|params| super::ProviderParams::restore_masked(params, &before.provider_params));
        let after = ProviderRecord {
            provider_type: self.provider_type.unwrap_or_else(|| before.provider_type.clone()),
            api_base: self.api_base.unwrap_or_else(|| before.api_base.clone()),
            api_key: self.api_key.unwrap_or_else(|| before.api_key.clone()),
            model_mapping: self.model_mapping.map_or_else(|| before.model_mapping.clone(), Value::Object),
            weight: self.weight.unwrap_or(before.weight),
            provider_params: params.map_or_else(|| before.provider_params.clone(), Value::Object),
            is_enabled: self.is_enabled.unwrap_or(before.is_enabled),
            ..before.clone()
        };
        // A value that cannot be read is not written back as something else.
        for (field, value) in [("model_mapping", &after.model_mapping), ("provider_params", &after.provider_params)] {
            if value.is_null() {
                return Err(FieldError::new(field, "cannot be read as it is stored; send a new value for it, too"));
            }
        }
        if after.api_key.is_empty() && !super::ProviderKind::is_custom(&after.provider_type) {
            return Err(FieldError::new("api_key", "may be empty only for provider type custom"));
        }
        Ok(after)
    }
}

impl CredentialPatch {
    /// The record after this change; `updated_at` is left to the caller.
    #[must_use]
    pub fn apply_to(self, before: &CredentialRecord) -> CredentialRecord {
        let key_changed = self.key_hash.is_some_and(|hash| hash != before.key_hash);
        let previous = if key_changed {
            self.grace_until.map(|until| (before.key_hash, until))
        } else {
            before.previous_key_hash.zip(before.previous_valid_until)
        };
        CredentialRecord {
            key_hash: self.key_hash.unwrap_or(before.key_hash),
            name: self.name.unwrap_or_else(|| before.name.clone()),
            allowed_models: self.allowed_models.unwrap_or_else(|| before.allowed_models.clone()),
            rate_limit: self.rate_limit.unwrap_or(before.rate_limit),
            burst: self.burst.unwrap_or(before.burst),
            is_enabled: self.is_enabled.unwrap_or(before.is_enabled),
            expires_at: self.expires_at.unwrap_or(before.expires_at),
            previous_key_hash: previous.map(|(hash, _)| hash),
            previous_valid_until: previous.map(|(_, until)| until),
            ..before.clone()
        }
    }
}
