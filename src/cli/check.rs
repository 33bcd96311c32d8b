//! `check`: everything that `serve` would stumble over, without changing anything.

use super::serve::runtime;
use super::{DATABASE, Failed, USAGE, database, say};
use crate::config::{Sealer, Snapshot, Source};
use crate::settings::{ProcessEnv, Settings};
use crate::store::{self, Inspection, SchemaState};

/// Prints every problem. The exit code is that of the first kind of problem: settings, then
/// database.
pub(super) fn check(env: &ProcessEnv) -> Result<(), Failed> {
    let wrong = Settings::parse(env).err().unwrap_or_default();
    let mut problems: Vec<String> = wrong.iter().map(|error| format!("setting {error}")).collect();
    let code = if wrong.is_empty() { DATABASE } else { USAGE };
    if let Ok(settings) = Settings::parse_database(env) {
        let inspected = runtime()?.block_on(store::inspect(&settings));
        match inspected {
            Ok(inspection) => problems.extend(inspect(inspection, &Sealer::new(&settings.keys))),
            Err(error) => problems.push(database(&error).message),
        }
    }
    if problems.is_empty() {
        say(std::io::stdout(), "settings, database and rows are in order");
        return Ok(());
    }
    Err(Failed { code, message: problems.join("\n") })
}

fn inspect(inspection: Inspection, sealer: &Sealer) -> Vec<String> {
    match inspection.schema {
        // A fresh installation is in order: `serve` makes the database.
        SchemaState::Missing | SchemaState::Current => {}
        SchemaState::Pending(count) => return vec![format!("database: {count} migrations are not applied yet")],
        SchemaState::Newer(version) => {
            return vec![format!("database: its schema {version} is newer than this llm-proxy")];
        }
    }
    let Some(loaded) = inspection.loaded else {
        return Vec::new();
    };
    let errors = Snapshot::new(loaded, Source::Database, sealer).errors;
    errors
        .iter()
        .map(|error| format!("{} {}: {}: {}", error.entity.name(), error.id, error.field, error.message))
        .collect()
}
