//! `rekey`: seals every secret in the database with the present encryption key.

use super::serve::runtime;
use super::{DATABASE, Failed, RUN_TIME, USAGE, database, say};
use crate::settings::DatabaseSettings;
use crate::store::{self, Rekeyed, SchemaState, StoreError};

/// Prints what was done, or with `dry_run` what would be.
pub(super) fn rekey(settings: &DatabaseSettings, dry_run: bool) -> Result<(), Failed> {
    if settings.keys.current.is_none() {
        let message = "wrong settings:\n  ENCRYPTION_KEY: is required: it is what secrets shall be sealed with";
        return Err(Failed { code: USAGE, message: message.to_owned() });
    }
    let rekeyed = runtime()?.block_on(async {
        // A database that `serve` has not migrated yet is left to it.
        if store::inspect(settings).await?.schema != SchemaState::Current {
            return Ok(None);
        }
        store::connect(settings)?.rekey(dry_run).await.map(Some)
    });
    match rekeyed.map_err(|error: StoreError| database(&error))? {
        Some(rekeyed) => tell(&rekeyed, dry_run),
        None => {
            let message = "database: it is not migrated to this release; run `llm-proxy migrate` first".to_owned();
            Err(Failed { code: DATABASE, message })
        }
    }
}

fn tell(rekeyed: &Rekeyed, dry_run: bool) -> Result<(), Failed> {
    let done = if dry_run { "would be re-encrypted" } else { "re-encrypted" };
    let Rekeyed { providers, history, unopened, unopened_history } = rekeyed;
    say(std::io::stdout(), format!("{providers} provider keys and {history} history entries {done}"));
    if *unopened_history > 0 {
        let left = "history entries hold keys that do not open: a rollback cannot make these work again";
        say(std::io::stdout(), format!("{unopened_history} {left}"));
    }
    if unopened.is_empty() {
        return Ok(());
    }
    let names = unopened.join(", ");
    let message = format!("neither ENCRYPTION_KEY nor ENCRYPTION_KEY_OLD opens the keys of these providers: {names}");
    Err(Failed { code: RUN_TIME, message })
}
