//! Moving secrets at rest to another encryption key.

use async_trait::async_trait;
use serde_json::Value;

use super::StoreError;
use crate::config::{Sealer, Secret};

/// What a change of the encryption key came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// Provider keys that were, or in a dry run would be, sealed anew.
    pub providers: usize,
    /// Entries of the history for which the same holds.
    pub history: usize,
    /// The `provider_key` of each provider whose key none of our keys opens.
    pub unopened: Vec<String>,
}

/// The secrets in the database.
#[async_trait]
pub trait Secrets {
    /// Seals everything with the current encryption key that is not, in one transaction.
    async fn rekey(&self, dry_run: bool) -> Result<Rekeyed, StoreError>;
}

/// Rows of the history that are looked at together: it may be long, and each holds two rows.
pub(super) const HISTORY_PAGE: i64 = 500;

/// A row of the history with its secret sealed anew; `None` when there is nothing to do.
pub(super) fn refreshed(row: Option<&Value>, sealer: &Sealer) -> Option<Value> {
    let stored = Secret::new(row?.get("api_key")?.as_str()?.to_owned());
    let fresh = sealer.refresh(&stored);
    if fresh == stored {
        return None;
    }
    let mut row = row?.clone();
    *row.get_mut("api_key")? = Value::String(fresh.expose().to_owned());
    Some(row)
}

/// Implements [`Secrets`] for `$store`; see `diesel_store!`.
macro_rules! secrets_store {
    ($store:ty, $connection:ty) => {
        const _: () = {
            use diesel::prelude::*;
            use diesel_async::RunQueryDsl;

            use $crate::config::{SealState, Sealer, Secret};
            use $crate::store::column_types::Json;
            use $crate::store::schema::{config_changes, providers};
            use $crate::store::secrets::{HISTORY_PAGE, refreshed};
            use $crate::store::{Rekeyed, Secrets, StoreError};

            type Entry = (i64, Option<Json>, Option<Json>);

            async fn rekey_providers(
                c: &mut $connection,
                (sealer, dry_run): (&Sealer, bool),
                rekeyed: &mut Rekeyed,
            ) -> Result<(), StoreError> {
                let columns = (providers::id, providers::provider_key, providers::api_key);
                let rows: Vec<(i32, String, String)> =
                    providers::table.order(providers::id).select(columns).load(c).await?;
                for (id, name, stored) in rows {
                    let stored = Secret::new(stored);
                    let fresh = sealer.refresh(&stored);
                    if sealer.state(&stored) == SealState::Undecryptable {
                        rekeyed.unopened.push(name);
                    } else if fresh != stored {
                        rekeyed.providers += 1;
                        if !dry_run {
                            let row = diesel::update(providers::table.find(id));
                            row.set(providers::api_key.eq(fresh.expose())).execute(c).await?;
                        }
                    }
                }
                Ok(())
            }

            async fn rekey_history(
                c: &mut $connection,
                (sealer, dry_run): (&Sealer, bool),
                rekeyed: &mut Rekeyed,
            ) -> Result<(), StoreError> {
                let mut last = 0;
                loop {
                    let columns = (config_changes::id, config_changes::before, config_changes::after);
                    let page = config_changes::table.filter(config_changes::id.gt(last)).order(config_changes::id);
                    let rows: Vec<Entry> = page.select(columns).limit(HISTORY_PAGE).load(c).await?;
                    let Some(end) = rows.as_slice().last().map(|row| row.0) else {
                        return Ok(());
                    };
                    last = end;
                    for (id, before, after) in rows {
                        let (before, after) = (before.map(|json| json.0), after.map(|json| json.0));
                        let fresh = (refreshed(before.as_ref(), sealer), refreshed(after.as_ref(), sealer));
                        if fresh == (None, None) {
                            continue;
                        }
                        rekeyed.history += 1;
                        if !dry_run {
                            let (before, after) = (fresh.0.or(before).map(Json), fresh.1.or(after).map(Json));
                            let row = diesel::update(config_changes::table.find(id));
                            let values = (config_changes::before.eq(before), config_changes::after.eq(after));
                            row.set(values).execute(c).await?;
                        }
                    }
                }
            }

            async fn rekey(c: &mut $connection, how: (&Sealer, bool)) -> Result<Rekeyed, StoreError> {
                let (before, mut rekeyed) = (version(c).await?, Rekeyed::default());
                rekey_providers(c, how, &mut rekeyed).await?;
                attribute(c, before, "rekey", ()).await?;
                // After the providers: what was just done to them is in the history, too.
                rekey_history(c, how, &mut rekeyed).await?;
                Ok(rekeyed)
            }

            #[async_trait::async_trait]
            impl Secrets for $store {
                async fn rekey(&self, dry_run: bool) -> Result<Rekeyed, StoreError> {
                    let sealer = std::sync::Arc::clone(&self.sealer);
                    self.write(move |c| Box::pin(async move { rekey(c, (&sealer, dry_run)).await })).await
                }
            }
        };
    };
}

pub(super) use secrets_store;
