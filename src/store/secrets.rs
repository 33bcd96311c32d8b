//! Moving secrets at rest to another encryption key.

use async_trait::async_trait;

use super::StoreError;
use super::column_types::JsonText;
use crate::codec::json::{Edit, Members, quote, splice, unquote};
use crate::config::{SealState, Sealer, Secret};

/// What a change of the encryption key came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// Provider keys that were, or in a dry run would be, sealed anew.
    pub providers: usize,
    /// Entries of the history for which the same holds, without those that this change makes.
    pub history: usize,
    /// The `provider_key` of each provider whose key none of our keys opens.
    pub unopened: Vec<String>,
    /// How many entries of the history hold a key that none of ours opens.
    pub unopened_history: usize,
}

/// The secrets in the database.
#[async_trait]
pub trait Secrets {
    /// Seals everything with the current encryption key that is not, in one transaction; without
    /// such a key nothing. What does not open stays as it is.
    async fn rekey(&self, dry_run: bool) -> Result<Rekeyed, StoreError>;
}

/// Rows of the history that are looked at together: it may be long, and each holds two rows.
pub(super) const HISTORY_PAGE: i64 = 500;

/// A stored secret under the current key.
pub(super) enum Fresh {
    /// It is already, or there is none.
    Same,
    /// No key of ours opens it.
    Unopened,
    /// The form to store.
    Sealed(Secret),
}

/// An entry of the history: id, version, the row before and after.
pub(super) type Entry = (i64, i64, Option<JsonText>, Option<JsonText>);

/// What became of an entry of the history.
#[derive(Default)]
pub(super) struct Looked {
    pub(super) is_changed: bool,
    pub(super) is_unopened: bool,
}

impl Fresh {
    /// Of a secret as it is stored.
    pub(super) fn of(stored: &Secret, sealer: &Sealer) -> Self {
        let fresh = sealer.refresh(stored);
        if sealer.state(stored) == SealState::Undecryptable {
            Self::Unopened
        } else if fresh == *stored {
            Self::Same
        } else {
            Self::Sealed(fresh)
        }
    }
}

impl Looked {
    /// Seals the key in `row` anew. The rest of it stays to the letter: a number that no JSON
    /// library holds must not cost a row of the history.
    pub(super) fn at(&mut self, row: &mut Option<JsonText>, sealer: &Sealer) {
        let Some(JsonText(text)) = row else {
            return;
        };
        // What is no object was not written by our triggers.
        let Ok(members) = Members::read(text) else {
            return;
        };
        let Some((value, stored)) = members.get("api_key").and_then(|value| Some((value, unquote(value)?))) else {
            return;
        };
        match Fresh::of(&Secret::new(stored.into_owned()), sealer) {
            Fresh::Same => {}
            Fresh::Unopened => self.is_unopened = true,
            Fresh::Sealed(fresh) => {
                let edit = Edit { span: members.span(value), with: quote(fresh.expose()) };
                let spliced = splice(text.as_bytes(), vec![edit]);
                *row = Some(JsonText(String::from_utf8_lossy(&spliced).into_owned()));
                self.is_changed = true;
            }
        }
    }
}

/// Implements [`Secrets`] for `$store`; see `diesel_store!`.
macro_rules! secrets_store {
    ($store:ty, $connection:ty) => {
        const _: () = {
            use diesel::prelude::*;
            use diesel_async::RunQueryDsl;

            use $crate::config::{Sealer, Secret};
            use $crate::store::column_types::Moment;
            use $crate::store::schema::{config_changes, providers};
            use $crate::store::secrets::{Entry, Fresh, HISTORY_PAGE, Looked};
            use $crate::store::{Rekeyed, Secrets, StoreError};

            async fn rekey_providers(
                c: &mut $connection,
                (sealer, dry_run): (&Sealer, bool),
                rekeyed: &mut Rekeyed,
            ) -> Result<(), StoreError> {
                let columns = (providers::id, providers::provider_key, providers::api_key);
                let rows: Vec<(i32, String, String)> =
                    providers::table.order(providers::id).select(columns).load(c).await?;
                for (id, name, stored) in rows {
                    match Fresh::of(&Secret::new(stored), sealer) {
                        Fresh::Same => {}
                        Fresh::Unopened => rekeyed.unopened.push(name),
                        Fresh::Sealed(_) if dry_run => rekeyed.providers += 1,
                        Fresh::Sealed(fresh) => {
                            rekeyed.providers += 1;
                            let (key, now) = (fresh.expose(), Moment::now());
                            let row = diesel::update(providers::table.find(id));
                            row.set((providers::api_key.eq(key), providers::updated_at.eq(now))).execute(c).await?;
                        }
                    }
                }
                Ok(())
            }

            /// Entries above version `own` are those that this change made: sealed, not counted.
            async fn rekey_history(
                c: &mut $connection,
                (sealer, dry_run): (&Sealer, bool),
                (own, rekeyed): (i64, &mut Rekeyed),
            ) -> Result<(), StoreError> {
                use config_changes::{after, before, id, version};
                let mut last = 0;
                loop {
                    let of_providers = config_changes::table.filter(config_changes::entity.eq("provider"));
                    let page = of_providers.filter(id.gt(last)).order(id).limit(HISTORY_PAGE);
                    let rows: Vec<Entry> = page.select((id, version, before, after)).load(c).await?;
                    let Some(end) = rows.as_slice().last().map(|row| row.0) else {
                        return Ok(());
                    };
                    last = end;
                    for (entry, made, mut then, mut now) in rows {
                        let mut looked = Looked::default();
                        looked.at(&mut then, sealer);
                        looked.at(&mut now, sealer);
                        rekeyed.unopened_history += usize::from(looked.is_unopened);
                        rekeyed.history += usize::from(looked.is_changed && made <= own);
                        if looked.is_changed && !dry_run {
                            let row = diesel::update(config_changes::table.find(entry));
                            row.set((before.eq(then), after.eq(now))).execute(c).await?;
                        }
                    }
                }
            }

            async fn rekey(c: &mut $connection, how: (&Sealer, bool)) -> Result<Rekeyed, StoreError> {
                let (before, mut rekeyed) = (version(c).await?, Rekeyed::default());
                rekey_providers(c, how, &mut rekeyed).await?;
                if rekeyed.providers > 0 && !how.1 {
                    attribute(c, before, "rekey", ()).await?;
                }
                // After the providers: what was just done to them is in the history, too.
                rekey_history(c, how, (before, &mut rekeyed)).await?;
                Ok(rekeyed)
            }

            #[async_trait::async_trait]
            impl Secrets for $store {
                async fn rekey(&self, dry_run: bool) -> Result<Rekeyed, StoreError> {
                    let sealer = std::sync::Arc::clone(&self.sealer);
                    self.write_at_length(move |c| Box::pin(async move { rekey(c, (&sealer, dry_run)).await })).await
                }
            }
        };
    };
}

pub(super) use secrets_store;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::EncryptionKeys;

    fn sealer(key: u8) -> Sealer {
        Sealer::new(&EncryptionKeys { current: Some([key; 32]), old: Vec::new() })
    }

    fn looked(text: &str, sealer: &Sealer) -> (String, bool, bool) {
        let (mut row, mut looked) = (Some(JsonText(text.to_owned())), Looked::default());
        looked.at(&mut row, sealer);
        (row.unwrap().0, looked.is_changed, looked.is_unopened)
    }

    #[test]
    fn only_the_key_in_a_row_of_the_history_changes() {
        let row = r#"{"id":1,"api_key":"k\u0022","provider_params":{"a":1e999,"b":1.10,"api_key":"x"}}"#;
        let (fresh, is_changed, is_unopened) = looked(row, &sealer(1));
        assert_eq!((is_changed, is_unopened), (true, false));
        let (head, rest) = fresh.split_once(r#""api_key":"enc:v1:"#).unwrap();
        let (sealed, tail) = rest.split_once('"').unwrap();
        assert_eq!((head, tail), (r#"{"id":1,"#, r#","provider_params":{"a":1e999,"b":1.10,"api_key":"x"}}"#));
        assert_eq!(sealer(1).open(&Secret::new(format!("enc:v1:{sealed}"))).unwrap().expose(), "k\"");
        assert_eq!(looked(&fresh, &sealer(1)), (fresh.clone(), false, false));
        assert_eq!(looked(&fresh, &sealer(2)), (fresh, false, true));
    }

    #[test]
    fn a_row_without_a_key_stays() {
        for row in [r#"{"api_key":""}"#, r#"{"api_key":null}"#, r#"{"api_key":7}"#, "{}", "[]", "\"k\"", "null"] {
            assert_eq!(looked(row, &sealer(1)), (row.to_owned(), false, false));
        }
        let (mut none, mut looked) = (None, Looked::default());
        looked.at(&mut none, &sealer(1));
        assert!(none.is_none() && !looked.is_changed);
    }
}
