//! Why the store did not do what it was asked.

use diesel::ConnectionError;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::pooled_connection::PoolError as ManagerError;
use diesel_async::pooled_connection::deadpool::PoolError;

use crate::config::{Entity, FieldError};

/// Why the store did not do what it was asked. No message contains a secret or a row's values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is locked or cannot write; trying again may help.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// The database answers, but somebody else holds what is needed; trying again may help.
    #[error("database busy: {0}")]
    Busy(String),
    /// There is no such row.
    #[error("{} with ID {id} not found", title(*.entity))]
    NotFound {
        /// Which table.
        entity: Entity,
        /// Which row.
        id: i32,
    },
    /// The configuration never had this version.
    #[error("Version {0} does not exist")]
    NoVersion(i64),
    /// Another row already has a value that must be unique, or the history has a gap.
    #[error("{message}")]
    Conflict {
        /// The field in the admin API.
        field: String,
        /// For the operator.
        message: String,
    },
    /// The change would make a row wrong.
    #[error(transparent)]
    Invalid(#[from] FieldError),
    /// The tables are not those of this program, such as those of a newer release.
    #[error("database schema: {0}")]
    Schema(String),
    /// `DB_URL` is wrong.
    #[error("DB_URL: {0}")]
    Unsupported(String),
    /// A fault of ours.
    #[error("database error: {0}")]
    Internal(String),
}

/// The entity as a sentence begins with it.
const fn title(entity: Entity) -> &'static str {
    match entity {
        Entity::Provider => "Provider",
        Entity::Credential => "Credential",
    }
}

/// What the databases say when the fault is theirs, the disk's or another writer's. Diesel keeps
/// no code for them, only this text.
const TRANSIENT: [&str; 21] = [
    // SQLite.
    "database is locked",
    "database table is locked",
    "database schema is locked",
    "database or disk is full",
    "disk I/O error",
    "unable to open database file",
    "attempt to write a readonly database",
    "no transaction is active",
    "locking protocol",
    // PostgreSQL. In another language they are found by the connection that ended.
    "terminating connection",
    "the database system is",
    "canceling statement due to",
    "canceling authentication due to",
    "too many clients already",
    "too many connections for",
    "remaining connection slots are reserved",
    "No space left on device",
    "out of memory",
    "out of shared memory",
    "connection closed",
    "communicating with the server",
];

/// What PostgreSQL says when another transaction is in the way.
const CONTENDED: [&str; 3] = ["due to lock timeout", "deadlock detected", "could not serialize access"];

/// What the driver says of a statement that it cannot send at all; trying again never helps.
const UNSENDABLE: [&str; 3] = ["error serializing parameter", "error encoding message", "parameters but got"];

/// What SQLite says when the file is not a database at all.
const NO_DATABASE: [&str; 2] = ["file is not a database", "database disk image is malformed"];

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        let (kind, information) = match &error {
            DieselError::DatabaseError(kind, information) => (kind, information),
            DieselError::BrokenTransactionManager => {
                return Self::Unavailable("the connection ended within a transaction".to_owned());
            }
            DieselError::RollbackErrorOnCommit { .. } => return Self::Unavailable(error.to_string()),
            _ => return Self::Internal(error.to_string()),
        };
        // `details()` may quote values of a row; `message()` names columns and rules only.
        let message = information.message().to_owned();
        match kind {
            DatabaseErrorKind::UnableToSendCommand if UNSENDABLE.iter().any(|text| message.contains(text)) => {
                Self::Internal(message)
            }
            DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::ReadOnlyTransaction => Self::Unavailable(message),
            DatabaseErrorKind::SerializationFailure => Self::Busy(message),
            _ => Self::classify(message),
        }
    }
}

impl From<ConnectionError> for StoreError {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::CouldntSetupConfiguration(error) => error.into(),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<PoolError> for StoreError {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Backend(ManagerError::ConnectionError(error)) => error.into(),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl StoreError {
    /// The error that a database's words stand for.
    pub(super) fn classify(message: String) -> Self {
        let says = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
        if says(&CONTENDED) {
            Self::Busy(message)
        } else if says(&TRANSIENT) {
            Self::Unavailable(message)
        } else if says(&NO_DATABASE) {
            Self::Schema(message)
        } else {
            Self::Internal(message)
        }
    }

    /// Turns a violated uniqueness into the conflict that the operator caused.
    pub(super) fn or_conflict(error: DieselError, field: &str, message: String) -> Self {
        match error {
            DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => {
                Self::Conflict { field: field.to_owned(), message }
            }
            other => other.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_row_is_named_as_the_contract_says() {
        let entity = Entity::Provider;
        assert_eq!(StoreError::NotFound { entity, id: 7 }.to_string(), "Provider with ID 7 not found");
        let entity = Entity::Credential;
        assert_eq!(StoreError::NotFound { entity, id: 8 }.to_string(), "Credential with ID 8 not found");
    }

    #[test]
    fn a_locked_database_is_unavailable_and_a_broken_rule_is_our_fault() {
        let error = |message: &str| StoreError::classify(message.to_owned());
        for transient in [
            "database is locked",
            "terminating connection due to administrator command",
            "the database system is starting up",
        ] {
            assert!(matches!(error(transient), StoreError::Unavailable(_)), "{transient}");
        }
        for contended in ["canceling statement due to lock timeout", "deadlock detected"] {
            assert!(matches!(error(contended), StoreError::Busy(_)), "{contended}");
        }
        assert!(matches!(error("file is not a database"), StoreError::Schema(_)));
        assert!(matches!(error("CHECK constraint failed: weight"), StoreError::Internal(_)));
    }
}
