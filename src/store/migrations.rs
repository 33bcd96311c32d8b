//! Bringing the tables to the state that this program knows.

use std::collections::BTreeSet;

use diesel::backend::Backend;
use diesel::connection::LoadConnection;
use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::prelude::*;
use diesel::query_builder::SqlQuery;
use diesel::query_dsl::LoadQuery;
use diesel::sql_types::Text;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::StoreError;
use crate::config::Loaded;

/// The tables of one backend.
pub(super) struct Tables {
    migrations: EmbeddedMigrations,
    /// Gives a row when migrations were ever applied.
    is_migrated: &'static str,
    /// Of a database to which none was applied.
    fresh: fn(usize) -> SchemaState,
}

/// SQLite's. A file that exists without them is not known to be ours.
pub(super) const SQLITE: Tables = Tables {
    migrations: embed_migrations!("migrations/sqlite"),
    is_migrated: "SELECT name AS version FROM sqlite_master WHERE name = '__diesel_schema_migrations'",
    fresh: SchemaState::Pending,
};

/// PostgreSQL's. That somebody made the database for us says nothing about its tables.
pub(super) const POSTGRES: Tables = Tables {
    migrations: embed_migrations!("migrations/postgres"),
    is_migrated: "SELECT '' AS version WHERE to_regclass('__diesel_schema_migrations') IS NOT NULL",
    fresh: |_migrations| SchemaState::Missing,
};

/// How the database stands to this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaState {
    /// There is no database yet, or one without any of our tables; a start creates them.
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
pub(super) struct Applied {
    #[diesel(sql_type = Text)]
    version: String,
}

/// The state of the tables; changes nothing.
pub(super) fn state<C>(c: &mut C, tables: &Tables) -> Result<SchemaState, StoreError>
where
    C: LoadConnection,
    SqlQuery: for<'q> LoadQuery<'q, C, Applied>,
{
    let known = known::<C::Backend>(tables)?;
    if diesel::sql_query(tables.is_migrated).load::<Applied>(c)?.is_empty() {
        return Ok((tables.fresh)(known.len()));
    }
    let applied = diesel::sql_query("SELECT version FROM __diesel_schema_migrations").load::<Applied>(c)?;
    let applied: BTreeSet<String> = applied.into_iter().map(|row| row.version).collect();
    Ok(match (applied.difference(&known).last(), known.difference(&applied).count()) {
        (Some(newer), _) => SchemaState::Newer(newer.clone()),
        (None, 0) => SchemaState::Current,
        (None, missing) => SchemaState::Pending(missing),
    })
}

/// Applies what is missing and returns how many that were. Several processes may do so at once, so
/// this must run in a transaction that makes the second one wait and then find nothing to do.
pub(super) fn apply<C>(c: &mut C, tables: &Tables) -> Result<usize, StoreError>
where
    C: LoadConnection + MigrationHarness<C::Backend>,
    SqlQuery: for<'q> LoadQuery<'q, C, Applied>,
{
    match state(c, tables)? {
        SchemaState::Newer(version) => {
            Err(StoreError::Schema(format!("migration {version} was applied by a newer release than this one")))
        }
        SchemaState::Current => Ok(0),
        SchemaState::Missing | SchemaState::Pending(_) => Ok(c.run_pending_migrations(tables).map_err(failed)?.len()),
    }
}

impl<DB: Backend> MigrationSource<DB> for &Tables {
    fn migrations(&self) -> diesel::migration::Result<Vec<Box<dyn Migration<DB>>>> {
        self.migrations.migrations()
    }
}

/// The versions of all embedded migrations.
fn known<DB: Backend>(tables: &Tables) -> Result<BTreeSet<String>, StoreError> {
    let migrations: Vec<Box<dyn Migration<DB>>> =
        tables.migrations.migrations().map_err(|error| StoreError::Internal(error.to_string()))?;
    let version = |version: MigrationVersion<'_>| version.to_string();
    Ok(migrations.iter().map(|migration| version(migration.name().version())).collect())
}

/// A migration that failed does not fit the tables, unless the database went away.
fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> StoreError {
    match StoreError::classify(error.to_string()) {
        error @ (StoreError::Unavailable(_) | StoreError::Busy(_)) => error,
        _ => StoreError::Schema(error.to_string()),
    }
}
