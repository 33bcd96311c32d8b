//! What may happen to processes that share a configuration.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;

use super::around;
use super::database::Weather;
use crate::actors::config::Change;
use crate::config::{CredentialDraft, CredentialPatch, KeyHash, Loaded, ProviderDraft, ProviderPatch, Secret};

/// Longer than an answer may take.
pub(super) const FOR_LONG: Duration = Duration::from_secs(40);

#[derive(Debug, Clone)]
pub(super) enum Event {
    Passes(Duration),
    Applies {
        at: usize,
        edit: Edit,
    },
    RollsBack {
        at: usize,
        by: i64,
    },
    Reloads(usize),
    /// Another program changes a row.
    Elsewhere(Edit),
    Turns(Weather),
    Deafens(u32),
    Held {
        at: usize,
        who: Who,
        time: Duration,
    },
    Ends {
        at: usize,
        who: Who,
    },
}

/// A change of some row; ids wrap around those that ever were.
#[derive(Debug, Clone, Copy)]
pub(super) enum Edit {
    AddProvider,
    ChangeProvider { id: i32, weight: i32, is_enabled: bool },
    RemoveProvider(i32),
    AddCredential { quota: Option<i32> },
    ChangeCredential { id: i32, quota: Option<i32> },
    RemoveCredential(i32),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Who {
    Config,
    Limits,
    Pool,
}

pub(super) fn edit() -> impl Strategy<Value = Edit> {
    let (id, quota) = (1..8_i32, prop::sample::select(vec![None, Some(0), Some(5), Some(9)]));
    prop_oneof![
        2 => Just(Edit::AddProvider),
        2 => (id.clone(), 0..3_i32, any::<bool>())
            .prop_map(|(id, weight, is_enabled)| Edit::ChangeProvider { id, weight, is_enabled }),
        1 => id.clone().prop_map(Edit::RemoveProvider),
        3 => quota.clone().prop_map(|quota| Edit::AddCredential { quota }),
        3 => (id.clone(), quota).prop_map(|(id, quota)| Edit::ChangeCredential { id, quota }),
        1 => id.prop_map(Edit::RemoveCredential),
    ]
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let (process, slow) =
        (0..2_usize, || prop_oneof![4 => around(60), 1 => (0..5_000_u64).prop_map(Duration::from_millis)]);
    let who = prop::sample::select(vec![Who::Config, Who::Limits, Who::Pool]);
    let weather = prop_oneof![
        3 => slow().prop_map(Weather::Up),
        2 => (slow(), 5..60_u32).prop_map(|(time, percent)| Weather::Failing(time, percent)),
        1 => Just(Weather::Down),
    ];
    prop_oneof![
        6 => prop_oneof![around(40), around(500), around(8_000)].prop_map(Event::Passes),
        8 => (process.clone(), edit()).prop_map(|(at, edit)| Event::Applies { at, edit }),
        1 => (process.clone(), 0..5_i64).prop_map(|(at, by)| Event::RollsBack { at, by }),
        1 => process.clone().prop_map(Event::Reloads),
        3 => edit().prop_map(Event::Elsewhere),
        2 => weather.prop_map(Event::Turns),
        1 => prop::sample::select(vec![0_u32, 50, 100]).prop_map(Event::Deafens),
        2 => (process.clone(), who.clone(), prop_oneof![6 => around(200), 1 => Just(FOR_LONG)])
            .prop_map(|(at, who, time)| Event::Held { at, who, time }),
        2 => (process, who).prop_map(|(at, who)| Event::Ends { at, who }),
    ]
}

pub(super) fn change(edit: Edit, name: &str) -> Change {
    match edit {
        Edit::AddProvider => Change::CreateProvider(ProviderDraft {
            provider_key: name.to_owned(),
            provider_type: "openai".to_owned(),
            api_base: "http://127.0.0.1:1".to_owned(),
            api_key: Secret::new("k".to_owned()),
            model_mapping: json!({"m": "m"}),
            weight: 1,
            provider_params: json!({}),
            is_enabled: true,
        }),
        Edit::ChangeProvider { id, weight, is_enabled } => Change::UpdateProvider(
            id,
            ProviderPatch { weight: Some(weight), is_enabled: Some(is_enabled), ..ProviderPatch::default() },
        ),
        Edit::RemoveProvider(id) => Change::DeleteProvider(id),
        Edit::AddCredential { quota } => Change::CreateCredential(CredentialDraft {
            key_hash: KeyHash::of(name),
            name: name.to_owned(),
            allowed_models: Vec::new(),
            rate_limit: quota,
            burst: None,
            is_enabled: true,
            expires_at: None,
        }),
        Edit::ChangeCredential { id, quota } => {
            Change::UpdateCredential(id, CredentialPatch { rate_limit: Some(quota), ..CredentialPatch::default() })
        }
        Edit::RemoveCredential(id) => Change::DeleteCredential(id),
    }
}

/// What another program makes of it: only changes of rows that are there.
pub(super) fn sql(edit: Edit, rows: &mut Loaded) {
    match edit {
        Edit::ChangeProvider { id, weight, is_enabled } => {
            for row in rows.providers.iter_mut().filter(|row| row.id == id) {
                (row.weight, row.is_enabled) = (weight, is_enabled);
            }
        }
        Edit::RemoveProvider(id) => rows.providers.retain(|row| row.id != id),
        Edit::ChangeCredential { id, quota } => {
            rows.credentials.iter_mut().filter(|row| row.id == id).for_each(|row| row.rate_limit = quota);
        }
        Edit::RemoveCredential(id) => rows.credentials.retain(|row| row.id != id),
        Edit::AddProvider => rows.providers.iter_mut().for_each(|row| row.weight += 1),
        Edit::AddCredential { quota } => rows.credentials.iter_mut().for_each(|row| row.rate_limit = quota),
    }
}
