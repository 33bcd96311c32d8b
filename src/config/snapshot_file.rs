//! The last configuration in force, in a file, for a start while the database is away.

use std::fs::{File, Permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ConfigError, CredentialRecord, Entity, KeyHash, Loaded, ProviderRecord, SealError, Sealer, Secret};

/// What tells our files from others, and their formats from each other.
const FORMAT: &str = "llm-proxy snapshot 1";

/// Why the file could not be written or read. No message holds a secret.
#[derive(Debug, thiserror::Error)]
#[error("the snapshot file {path} {reason}", path = path.display())]
pub struct SnapshotFileError {
    path: PathBuf,
    reason: String,
}

#[derive(Serialize, Deserialize)]
struct Document {
    format: String,
    version: i64,
    changed_at: DateTime<Utc>,
    providers: Vec<ProviderEntry>,
    credentials: Vec<CredentialEntry>,
    errors: Vec<ErrorEntry>,
}

#[derive(Serialize, Deserialize)]
struct ProviderEntry {
    id: i32,
    provider_key: String,
    provider_type: String,
    api_base: String,
    /// As it is stored in the database.
    api_key: String,
    model_mapping: Value,
    weight: i32,
    provider_params: Value,
    is_enabled: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct CredentialEntry {
    id: i32,
    credential_key: String,
    name: String,
    allowed_models: Vec<String>,
    rate_limit: Option<i32>,
    burst: Option<i32>,
    is_enabled: bool,
    expires_at: Option<DateTime<Utc>>,
    previous_credential_key: Option<String>,
    previous_valid_until: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A row that is no record. It counts: while credentials cannot be read, nobody is let in for
/// want of credentials.
#[derive(Serialize, Deserialize)]
struct ErrorEntry {
    entity: String,
    id: i32,
    field: String,
    message: String,
}

/// Replaces the file at once as a whole; only its owner may read it. With an encryption key all
/// of it is sealed.
///
/// # Errors
/// When it cannot be written; the old file is then still there.
pub fn save_snapshot(path: &Path, loaded: &Loaded, sealer: &Sealer) -> Result<(), SnapshotFileError> {
    let failed = |reason: String| SnapshotFileError { path: path.to_owned(), reason };
    let text = serde_json::to_string(&Document::from(loaded)).map_err(|error| failed(error.to_string()))?;
    let text = sealer.seal(&Secret::new(text));
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let write = || {
        let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o600)).tempfile_in(folder)?;
        file.write_all(text.expose().as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        // The new name is safe only when the folder is.
        File::open(folder)?.sync_all()
    };
    write().map_err(|error: std::io::Error| failed(format!("cannot be written: {error}")))
}

/// Reads the file; `None` when there is none.
///
/// # Errors
/// When it cannot be read or opened with our keys, or is none of ours.
pub fn load_snapshot(path: &Path, sealer: &Sealer) -> Result<Option<Loaded>, SnapshotFileError> {
    let failed = |reason: String| SnapshotFileError { path: path.to_owned(), reason };
    let text = match std::fs::read_to_string(path) {
        Ok(text) => Secret::new(text),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(format!("cannot be read: {error}"))),
    };
    let text = sealer.open(&text).map_err(|error: SealError| failed(error.to_string()))?;
    // The parser's message could quote what it read.
    let document: Document = serde_json::from_str(text.expose())
        .map_err(|error| failed(format!("is damaged in line {}, column {}", error.line(), error.column())))?;
    if document.format != FORMAT {
        return Err(failed("has a format that this release does not know".to_owned()));
    }
    document.into_loaded().map(Some).ok_or_else(|| failed("is damaged: an entry in it makes no sense".to_owned()))
}

// === impl Document ===

impl From<&Loaded> for Document {
    fn from(loaded: &Loaded) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: loaded.version,
            changed_at: loaded.changed_at,
            providers: loaded.providers.iter().cloned().map(ProviderEntry::from).collect(),
            credentials: loaded.credentials.iter().cloned().map(CredentialEntry::from).collect(),
            errors: loaded.errors.iter().cloned().map(ErrorEntry::from).collect(),
        }
    }
}

impl Document {
    fn into_loaded(self) -> Option<Loaded> {
        Some(Loaded {
            version: self.version,
            changed_at: self.changed_at,
            providers: self.providers.into_iter().map(ProviderEntry::into_record).collect(),
            credentials: self.credentials.into_iter().map(CredentialEntry::into_record).collect::<Option<_>>()?,
            errors: self.errors.into_iter().map(ErrorEntry::into_error).collect::<Option<_>>()?,
        })
    }
}

// === impl ErrorEntry ===

impl From<ConfigError> for ErrorEntry {
    fn from(error: ConfigError) -> Self {
        let ConfigError { entity, id, field, message } = error;
        Self { entity: entity.name().to_owned(), id, field, message }
    }
}

impl ErrorEntry {
    /// `None` for an unknown entity.
    fn into_error(self) -> Option<ConfigError> {
        let entity = [Entity::Provider, Entity::Credential].into_iter().find(|known| known.name() == self.entity)?;
        Some(ConfigError { entity, id: self.id, field: self.field, message: self.message })
    }
}

// === impl ProviderEntry ===

impl From<ProviderRecord> for ProviderEntry {
    fn from(record: ProviderRecord) -> Self {
        Self {
            id: record.id,
            provider_key: record.provider_key,
            provider_type: record.provider_type,
            api_base: record.api_base,
            api_key: record.api_key.expose().to_owned(),
            model_mapping: record.model_mapping,
            weight: record.weight,
            provider_params: record.provider_params,
            is_enabled: record.is_enabled,
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}

impl ProviderEntry {
    fn into_record(self) -> ProviderRecord {
        ProviderRecord {
            id: self.id,
            provider_key: self.provider_key,
            provider_type: self.provider_type,
            api_base: self.api_base,
            api_key: Secret::new(self.api_key),
            model_mapping: self.model_mapping,
            weight: self.weight,
            provider_params: self.provider_params,
            is_enabled: self.is_enabled,
            created_at: self.created_at,
            updated_at: self.updated_at,
        }
    }
}

// === impl CredentialEntry ===

impl From<CredentialRecord> for CredentialEntry {
    fn from(record: CredentialRecord) -> Self {
        Self {
            id: record.id,
            credential_key: record.key_hash.to_hex(),
            name: record.name,
            allowed_models: record.allowed_models,
            rate_limit: record.rate_limit,
            burst: record.burst,
            is_enabled: record.is_enabled,
            expires_at: record.expires_at,
            previous_credential_key: record.previous_key_hash.map(KeyHash::to_hex),
            previous_valid_until: record.previous_valid_until,
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}

impl CredentialEntry {
    /// `None` for a hash that is none.
    fn into_record(self) -> Option<CredentialRecord> {
        let previous = self.previous_credential_key.map(|hash| KeyHash::from_hex(&hash).ok_or(()));
        Some(CredentialRecord {
            id: self.id,
            key_hash: KeyHash::from_hex(&self.credential_key)?,
            name: self.name,
            allowed_models: self.allowed_models,
            rate_limit: self.rate_limit,
            burst: self.burst,
            is_enabled: self.is_enabled,
            expires_at: self.expires_at,
            previous_key_hash: previous.transpose().ok()?,
            previous_valid_until: self.previous_valid_until,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::EncryptionKeys;

    fn sealer(key: Option<u8>) -> Sealer {
        Sealer::new(&EncryptionKeys { current: key.map(|byte| [byte; 32]), old: Vec::new() })
    }

    fn loaded() -> Loaded {
        let now = DateTime::from_timestamp_millis(1_900_000_000_123).unwrap();
        let provider = ProviderRecord {
            id: 3,
            provider_key: "p".to_owned(),
            provider_type: "openai".to_owned(),
            api_base: "http://h".to_owned(),
            api_key: Secret::new("sk-provider".to_owned()),
            model_mapping: json!({"m": "real"}),
            weight: 2,
            provider_params: json!({"headers": {"x-secret": "h"}}),
            is_enabled: true,
            created_at: now,
            updated_at: now,
        };
        let credential = CredentialRecord {
            id: 4,
            key_hash: KeyHash::of("sk-client"),
            name: "team".to_owned(),
            allowed_models: vec!["m".to_owned()],
            rate_limit: Some(5),
            burst: None,
            is_enabled: true,
            expires_at: Some(now),
            previous_key_hash: Some(KeyHash::of("sk-before")),
            previous_valid_until: Some(now),
            created_at: now,
            updated_at: now,
        };
        let (providers, credentials) = (vec![provider], vec![credential]);
        let (field, message) = ("credential_key".to_owned(), "is no hash".to_owned());
        let errors = vec![ConfigError { entity: Entity::Credential, id: 5, field, message }];
        Loaded { version: 9, changed_at: now, providers, credentials, errors }
    }

    #[test]
    fn what_is_saved_is_read_back_sealed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        for key in [None, Some(1)] {
            let path = folder.path().join(format!("{key:?}.json"));
            assert!(load_snapshot(&path, &sealer(key)).unwrap().is_none());
            save_snapshot(&path, &loaded(), &sealer(key)).unwrap();
            save_snapshot(&path, &loaded(), &sealer(key)).unwrap();
            let read = load_snapshot(&path, &sealer(key)).unwrap().unwrap();
            let wanted = loaded();
            assert_eq!((read.version, read.changed_at), (wanted.version, wanted.changed_at));
            assert_eq!((read.providers, read.credentials), (wanted.providers, wanted.credentials));
            assert_eq!(read.errors, wanted.errors);
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let bytes = std::fs::read_to_string(&path).unwrap();
            assert_eq!(bytes.contains("sk-provider"), key.is_none());
            assert_eq!(bytes.contains("team"), key.is_none());
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_file_that_was_not_sealed_is_read_with_a_key_too() {
        let path = tempfile::tempdir().unwrap().keep().join("s.json");
        save_snapshot(&path, &loaded(), &sealer(None)).unwrap();
        assert_eq!(load_snapshot(&path, &sealer(Some(1))).unwrap().unwrap().version, 9);
        save_snapshot(&path, &loaded(), &sealer(Some(1))).unwrap();
        let error = load_snapshot(&path, &sealer(None)).err().unwrap().to_string();
        assert!(error.contains("s.json") && error.contains("ENCRYPTION_KEY"), "{error}");
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }

    #[test]
    fn a_damaged_or_foreign_file_is_named_and_quotes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.json");
        save_snapshot(&path, &loaded(), &sealer(None)).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        let short_hash = whole.replace(&KeyHash::of("sk-before").to_hex(), "abc");
        let foreign = whole.replace(FORMAT, "something else");
        let tenant = whole.replace("\"credential\"", "\"tenant\"");
        let cut = whole[..whole.len() / 2].to_owned();
        for text in ["", "sk-provider", "{}", "[1]", "enc:v1:x:y", &cut, &foreign, &short_hash, &tenant] {
            std::fs::write(&path, text).unwrap();
            let error = load_snapshot(&path, &sealer(Some(1))).err().unwrap().to_string();
            assert!(error.contains("s.json") && !error.contains("sk-"), "{text}: {error}");
        }
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(load_snapshot(&path, &sealer(None)).is_err());
        let nowhere = folder.path().join("nowhere/s.json");
        assert!(save_snapshot(&nowhere, &loaded(), &sealer(None)).is_err());
        assert!(load_snapshot(&nowhere, &sealer(None)).unwrap().is_none());
    }
}
