//! Where the configuration and the logs live.
//!
//! [`Store`] is one trait over every database; [`open`] picks the database by its URL. Versions
//! and history are written by triggers, so that a change made with plain SQL counts too; a write
//! made here only adds whose it was.

mod column_types;
mod error;
mod error_log;
mod history;
mod io;
pub mod logs;
mod migrations;
mod postgres;
mod queries;
mod replicas;
mod request_log;
mod restore;
mod rows;
mod schema;
mod secrets;
mod sqlite;
mod sqlite_rows;
#[cfg(test)]
mod suite;
mod text;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::config::{
    CredentialDraft, CredentialPatch, CredentialRecord, Loaded, ProviderDraft, ProviderPatch, ProviderRecord, Sealer,
};
use crate::settings::DatabaseSettings;

pub use error::StoreError;
pub use error_log::ErrorLog;
pub use history::{ChangePage, History, RolledBack};
pub use logs::Logs;
pub use migrations::{Inspection, SchemaState};
pub use replicas::{Replica, Replicas, silent_after};
pub use request_log::{LogRow, RequestLog};
pub use secrets::{Rekeyed, Secrets};

/// A change that is stored, and the version of the configuration that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed<T> {
    /// The version after the change; the version before it when it changed nothing.
    pub version: i64,
    /// The row as stored.
    pub record: T,
}

/// The database. A call that its caller drops still runs to its end.
///
/// Every call may fail with [`StoreError::Unavailable`]; a write whose row does not exist with
/// [`StoreError::NotFound`].
#[async_trait]
pub trait Store: History + Logs + Replicas + Secrets + Send + Sync {
    /// Creates and migrates the database as needed and returns how many migrations that took.
    /// Nothing else works before it succeeded once; it may be called again.
    async fn prepare(&self) -> Result<usize, StoreError>;

    /// Returns when another process may have changed the configuration. Where the database does
    /// not tell, never: then only polling finds out.
    async fn changed(&self);

    /// Both tables at one version, ordered by id.
    async fn load(&self) -> Result<Loaded, StoreError>;

    /// The version of the configuration; grows with every change.
    async fn version(&self) -> Result<i64, StoreError>;

    /// The version, and when it was made: a database that was restored from a backup may come to
    /// the same version with another configuration.
    async fn stamp(&self) -> Result<(i64, DateTime<Utc>), StoreError>;

    /// Adds a provider; [`StoreError::Conflict`] when its key is taken.
    async fn create_provider(&self, draft: ProviderDraft, actor: &str)
    -> Result<Committed<ProviderRecord>, StoreError>;

    /// Changes a provider; [`StoreError::Invalid`] when the patch does not fit the row. A patch
    /// that changes nothing writes nothing.
    async fn update_provider(
        &self,
        id: i32,
        patch: ProviderPatch,
        actor: &str,
    ) -> Result<Committed<ProviderRecord>, StoreError>;

    /// Removes a provider.
    async fn delete_provider(&self, id: i32, actor: &str) -> Result<Committed<()>, StoreError>;

    /// Adds a credential; [`StoreError::Conflict`] when its key opens another one.
    async fn create_credential(
        &self,
        draft: CredentialDraft,
        actor: &str,
    ) -> Result<Committed<CredentialRecord>, StoreError>;

    /// Changes a credential, also by a rotation; [`StoreError::Conflict`] when its new key opens
    /// another one. A patch that changes nothing writes nothing.
    async fn update_credential(
        &self,
        id: i32,
        patch: CredentialPatch,
        actor: &str,
    ) -> Result<Committed<CredentialRecord>, StoreError>;

    /// Removes a credential.
    async fn delete_credential(&self, id: i32, actor: &str) -> Result<Committed<()>, StoreError>;

    /// Appends all `rows` or none.
    async fn append_request_logs(&self, rows: Arc<Vec<RequestLog>>) -> Result<(), StoreError>;

    /// Appends all `rows` or none.
    async fn append_error_logs(&self, rows: Arc<Vec<ErrorLog>>) -> Result<(), StoreError>;

    /// Removes the request logs from before `before` and returns how many they were.
    async fn prune_request_logs(&self, before: DateTime<Utc>) -> Result<usize, StoreError>;

    /// Removes the error logs from before `before` and returns how many they were.
    async fn prune_error_logs(&self, before: DateTime<Utc>) -> Result<usize, StoreError>;
}

/// A store over the database of `settings`. Contacts nothing: what the database has to say is
/// told by [`Store::prepare`].
///
/// # Errors
/// [`StoreError::Unsupported`] for a wrong URL.
pub fn connect(settings: &DatabaseSettings) -> Result<Arc<dyn Store>, StoreError> {
    let sealer = Arc::new(Sealer::new(&settings.keys));
    if is_postgres(settings) {
        return Ok(Arc::new(postgres::PostgresStore::new(settings, sealer)?));
    }
    let path = sqlite_path(settings.url.expose())?;
    Ok(Arc::new(sqlite::SqliteStore::new(&path, settings.pool_max, sealer)?))
}

/// The same, prepared.
///
/// # Errors
/// As [`connect`]; [`StoreError::Schema`] for a database that is not ours or is newer than this
/// program, [`StoreError::Unavailable`] when it cannot be reached.
pub async fn open(settings: &DatabaseSettings) -> Result<Arc<dyn Store>, StoreError> {
    let store = connect(settings)?;
    store.prepare().await?;
    Ok(store)
}

/// Looks at the database without changing it.
///
/// # Errors
/// As [`open`], but a missing file and a foreign schema are findings, no errors.
pub async fn inspect(settings: &DatabaseSettings) -> Result<Inspection, StoreError> {
    if is_postgres(settings) {
        return postgres::inspect(settings).await;
    }
    sqlite::inspect(&sqlite_path(settings.url.expose())?).await
}

fn is_postgres(settings: &DatabaseSettings) -> bool {
    let url = settings.url.expose();
    ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme))
}

/// What a query body is to a transaction: a future that borrows its connection.
type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>;

/// The file that a `sqlite://` URL names.
fn sqlite_path(url: &str) -> Result<std::path::PathBuf, StoreError> {
    let wrong = |reason: &str| Err(StoreError::Unsupported(reason.to_owned()));
    // The URL itself is not repeated: one with another scheme may hold a password.
    match url.strip_prefix("sqlite://") {
        None => wrong("must be sqlite://path or postgres://user:password@host/database"),
        Some("" | ":memory:") => wrong("must name a file: sqlite://path"),
        Some(path) if path.contains(['?', '#', '\0']) => {
            wrong("options after the path of sqlite://path are not supported")
        }
        Some(path) => Ok(path.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_relative_or_an_absolute_file() {
        assert_eq!(sqlite_path("sqlite://data/llm.db").unwrap().to_str(), Some("data/llm.db"));
        assert_eq!(sqlite_path("sqlite:///var/llm.db").unwrap().to_str(), Some("/var/llm.db"));
    }

    #[test]
    fn a_url_that_names_no_file_is_refused_without_its_password() {
        for url in ["sqlite://", "sqlite://:memory:", "sqlite://a.db?mode=ro", "mysql://u:hunter2@h/d"] {
            let error = sqlite_path(url).unwrap_err();
            assert!(matches!(error, StoreError::Unsupported(_)), "{url}");
            assert!(error.to_string().contains("DB_URL"), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
