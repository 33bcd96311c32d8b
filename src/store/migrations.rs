//! Bringing the tables to the state that this program knows.

use std::collections::BTreeSet;

use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::StoreError;
use crate::config::Loaded;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// How the database stands to this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    /// There is no database yet; a start creates it.
    Missing,
    /// So many migrations are missing; a start applies them.
    Pending(usize),
    /// All is as this program expects.
    Current,
    /// A newer release migrated it; the version is one of its migrations.
    Newer(String),
}

/// What `inspect` found.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// How the tables stand.
    pub schema: SchemaState,
    /// The rows, when the tables are current.
    pub loaded: Option<Loaded>,
}

#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    version: String,
}

/// The state of the tables; changes nothing.
pub(super) fn state(c: &mut SqliteConnection) -> Result<SchemaState, StoreError> {
    let table = "SELECT name AS version FROM sqlite_master WHERE name = '__diesel_schema_migrations'";
    let migrated = !diesel::sql_query(table).load::<Applied>(c)?.is_empty();
    let applied = if migrated {
        diesel::sql_query("SELECT version FROM __diesel_schema_migrations").load::<Applied>(c)?
    } else {
        Vec::new()
    };
    let known = known()?;
    let applied: BTreeSet<String> = applied.into_iter().map(|row| row.version).collect();
    Ok(match (applied.difference(&known).last(), known.difference(&applied).count()) {
        (Some(newer), _) => SchemaState::Newer(newer.clone()),
        (None, 0) => SchemaState::Current,
        (None, missing) => SchemaState::Pending(missing),
    })
}

/// Applies what is missing and returns how many that were. Two processes may do so at once: the
/// transaction makes the second one wait and then find nothing to do.
pub(super) fn apply(c: &mut SqliteConnection) -> Result<usize, StoreError> {
    c.immediate_transaction(|c| match state(c)? {
        SchemaState::Newer(version) => {
            Err(StoreError::Schema(format!("migration {version} was applied by a newer release than this one")))
        }
        SchemaState::Current => Ok(0),
        SchemaState::Missing | SchemaState::Pending(_) => {
            let done = c.run_pending_migrations(SQLITE);
            Ok(done.map_err(|error| StoreError::Schema(error.to_string()))?.len())
        }
    })
}

/// The versions of all embedded migrations.
fn known() -> Result<BTreeSet<String>, StoreError> {
    let migrations: Vec<Box<dyn Migration<Sqlite>>> =
        MigrationSource::<Sqlite>::migrations(&SQLITE).map_err(|error| StoreError::Internal(error.to_string()))?;
    let version = |version: MigrationVersion<'_>| version.to_string();
    Ok(migrations.iter().map(|migration| version(migration.name().version())).collect())
}
