//! The only place where a row becomes a record of `config`, and a record a row.

use diesel::{AsChangeset, Insertable, Queryable, Selectable};

use super::StoreError;
use super::column_types::{Json, Moment, Texts};
use super::schema::{credentials, providers};
use crate::config::{
    ConfigError, CredentialDraft, CredentialRecord, Entity, FieldError, KeyHash, Loaded, ProviderDraft, ProviderRecord,
    Secret,
};

/// A row of `providers` as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = providers)]
pub(super) struct ProviderRow {
    id: i32,
    provider_key: String,
    provider_type: String,
    api_base: String,
    api_key: String,
    model_mapping: Json,
    weight: i32,
    provider_params: Json,
    is_enabled: bool,
    created_at: Moment,
    updated_at: Moment,
}

/// The columns of `providers` that a write sets.
#[derive(PartialEq, Insertable, AsChangeset)]
#[diesel(table_name = providers)]
pub(super) struct ProviderValues {
    provider_key: String,
    provider_type: String,
    api_base: String,
    api_key: String,
    model_mapping: Json,
    weight: i32,
    provider_params: Json,
    is_enabled: bool,
    created_at: Moment,
    updated_at: Moment,
}

/// A row of `credentials` as it is read.
#[derive(Queryable, Selectable)]
#[diesel(table_name = credentials)]
pub(super) struct CredentialRow {
    id: i32,
    credential_key: String,
    name: String,
    allowed_models: Texts,
    rate_limit: Option<i32>,
    burst: Option<i32>,
    is_enabled: bool,
    expires_at: Option<Moment>,
    previous_credential_key: Option<String>,
    previous_valid_until: Option<Moment>,
    created_at: Moment,
    updated_at: Moment,
}

/// The columns of `credentials` that a write sets; `None` is NULL.
#[derive(PartialEq, Insertable, AsChangeset)]
#[diesel(table_name = credentials)]
#[diesel(treat_none_as_default_value = false)]
#[diesel(treat_none_as_null = true)]
pub(super) struct CredentialValues {
    credential_key: String,
    name: String,
    allowed_models: Texts,
    rate_limit: Option<i32>,
    burst: Option<i32>,
    is_enabled: bool,
    expires_at: Option<Moment>,
    previous_credential_key: Option<String>,
    previous_valid_until: Option<Moment>,
    created_at: Moment,
    updated_at: Moment,
}

/// Both tables at one version; rows that are no record are reported beside the others.
pub(super) fn loaded(
    (version, changed_at): (i64, Moment),
    providers: Vec<ProviderRow>,
    credentials: Vec<CredentialRow>,
) -> Loaded {
    let (mut records, mut errors) = (Vec::with_capacity(credentials.len()), Vec::new());
    for row in credentials {
        let id = row.id;
        match row.into_record() {
            Ok(record) => records.push(record),
            Err(FieldError { field, message }) => {
                errors.push(ConfigError { entity: Entity::Credential, id, field, message });
            }
        }
    }
    Loaded {
        version,
        changed_at: changed_at.into(),
        providers: providers.into_iter().map(ProviderRow::into_record).collect(),
        credentials: records,
        errors,
    }
}

// === impl providers ===

impl ProviderRow {
    pub(super) const fn id(&self) -> i32 {
        self.id
    }

    pub(super) fn into_record(self) -> ProviderRecord {
        ProviderRecord {
            id: self.id,
            provider_key: self.provider_key,
            provider_type: self.provider_type,
            api_base: self.api_base,
            api_key: Secret::new(self.api_key),
            model_mapping: self.model_mapping.0,
            weight: self.weight,
            provider_params: self.provider_params.0,
            is_enabled: self.is_enabled,
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
        }
    }
}

impl ProviderValues {
    /// Its unique name.
    pub(super) fn key(&self) -> &str {
        &self.provider_key
    }

    /// A new row.
    pub(super) fn created(draft: ProviderDraft) -> Self {
        let now = Moment::now();
        Self {
            provider_key: draft.provider_key,
            provider_type: draft.provider_type,
            api_base: draft.api_base,
            api_key: draft.api_key.expose().to_owned(),
            model_mapping: Json(draft.model_mapping),
            weight: draft.weight,
            provider_params: Json(draft.provider_params),
            is_enabled: draft.is_enabled,
            created_at: now,
            updated_at: now,
        }
    }

    /// An existing row as of `at`.
    pub(super) fn updated(record: ProviderRecord, at: Moment) -> Self {
        Self {
            provider_key: record.provider_key,
            provider_type: record.provider_type,
            api_base: record.api_base,
            api_key: record.api_key.expose().to_owned(),
            model_mapping: Json(record.model_mapping),
            weight: record.weight,
            provider_params: Json(record.provider_params),
            is_enabled: record.is_enabled,
            created_at: record.created_at.into(),
            updated_at: at,
        }
    }
}

// === impl credentials ===

impl CredentialRow {
    pub(super) const fn id(&self) -> i32 {
        self.id
    }

    /// The record, unless plain SQL wrote what no record can hold.
    pub(super) fn into_record(self) -> Result<CredentialRecord, FieldError> {
        let hash = |field: &str, text: &str| {
            KeyHash::from_hex(text).ok_or_else(|| FieldError::new(field, "is not a SHA-256 in 64 hex digits"))
        };
        let previous = self.previous_credential_key.as_deref();
        let previous = previous.map(|text| hash("previous_credential_key", text)).transpose()?;
        Ok(CredentialRecord {
            id: self.id,
            key_hash: hash("credential_key", &self.credential_key)?,
            name: self.name,
            allowed_models: self
                .allowed_models
                .0
                .ok_or_else(|| FieldError::new("allowed_models", "is not a list of strings"))?,
            rate_limit: self.rate_limit,
            burst: self.burst,
            is_enabled: self.is_enabled,
            expires_at: self.expires_at.map(Into::into),
            previous_key_hash: previous,
            previous_valid_until: self.previous_valid_until.map(Into::into),
            created_at: self.created_at.into(),
            updated_at: self.updated_at.into(),
        })
    }
}

impl CredentialValues {
    /// A new row.
    pub(super) fn created(draft: CredentialDraft) -> Self {
        let now = Moment::now();
        Self {
            credential_key: draft.key_hash.to_hex(),
            name: draft.name,
            allowed_models: Texts(Some(draft.allowed_models)),
            rate_limit: draft.rate_limit,
            burst: draft.burst,
            is_enabled: draft.is_enabled,
            expires_at: draft.expires_at.map(Into::into),
            previous_credential_key: None,
            previous_valid_until: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// An existing row as of `at`.
    pub(super) fn updated(record: CredentialRecord, at: Moment) -> Self {
        Self {
            credential_key: record.key_hash.to_hex(),
            name: record.name,
            allowed_models: Texts(Some(record.allowed_models)),
            rate_limit: record.rate_limit,
            burst: record.burst,
            is_enabled: record.is_enabled,
            expires_at: record.expires_at.map(Into::into),
            previous_credential_key: record.previous_key_hash.map(KeyHash::to_hex),
            previous_valid_until: record.previous_valid_until.map(Into::into),
            created_at: record.created_at.into(),
            updated_at: at,
        }
    }

    /// The row as it is, readable or not, as of `at`.
    pub(super) fn present(row: CredentialRow, at: Moment) -> Self {
        Self {
            credential_key: row.credential_key,
            name: row.name,
            allowed_models: row.allowed_models,
            rate_limit: row.rate_limit,
            burst: row.burst,
            is_enabled: row.is_enabled,
            expires_at: row.expires_at,
            previous_credential_key: row.previous_credential_key,
            previous_valid_until: row.previous_valid_until,
            created_at: row.created_at,
            updated_at: at,
        }
    }

    /// What the `present` row becomes when it is rolled back: its keys stay, since a key that was
    /// replaced may be known to others, and it is not switched on again.
    pub(super) fn restored(then: CredentialRecord, present: &CredentialRow, at: Moment) -> Self {
        Self {
            credential_key: present.credential_key.clone(),
            previous_credential_key: present.previous_credential_key.clone(),
            previous_valid_until: present.previous_valid_until,
            is_enabled: then.is_enabled && present.is_enabled,
            // What has expired stays so, as what was switched off does.
            expires_at: present.expires_at.filter(|end| end.0 <= at.0).or(then.expires_at.map(Into::into)),
            ..Self::updated(then, at)
        }
    }

    /// What a row that is gone returns as: switched off, and without the key before its last.
    pub(super) fn returned(then: CredentialRecord, at: Moment) -> Self {
        let then = CredentialRecord { is_enabled: false, previous_key_hash: None, previous_valid_until: None, ..then };
        Self::updated(then, at)
    }

    /// The hash of its key.
    pub(super) fn key_hash(&self) -> Option<KeyHash> {
        KeyHash::from_hex(&self.credential_key)
    }
}

/// A key that opens another credential already.
pub(super) fn key_in_use() -> StoreError {
    let message = "Credential with this key already exists".to_owned();
    StoreError::Conflict { field: "key".to_owned(), message }
}
