//! What the mappings say of the models, in the form that LiteLLM's clients read.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value, json};

use super::{Shared, models};
use crate::config::{MatchKind, NameMatcher, ProviderRecord};
use crate::proxy::Caller;

/// Filters of the list.
struct Filter {
    /// A mapping key.
    model: Option<String>,
    /// A mapped name.
    litellm_model_id: Option<String>,
}

/// One entry for each usable provider and mapping key that the caller may use, patterns
/// included. The providers' addresses are not shown to clients.
pub(super) async fn info(request: HttpRequest, shared: web::Data<Shared>) -> HttpResponse {
    models::answer("/v1/model/info", &request, &shared, |caller, _| {
        let filter = Filter::of(request.query_string());
        let usable =
            |record: &&ProviderRecord| caller.snapshot.usable.iter().any(|provider| provider.id.0 == record.id);
        let records = caller.snapshot.providers.iter().filter(usable);
        let data: Vec<Value> = records.flat_map(|record| entries(record, caller, &filter)).collect();
        Ok(HttpResponse::Ok().json(json!({"data": data})))
    })
}

impl Filter {
    /// The first value of each counts. Read here and not by the framework, whose refusal would
    /// come before the key is checked and not be JSON.
    fn of(query: &str) -> Self {
        let find = |wanted: &str| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
        };
        Self { model: find("model"), litellm_model_id: find("litellm_model_id") }
    }
}

fn entries(record: &ProviderRecord, caller: &Caller, filter: &Filter) -> Vec<Value> {
    let mapping = record.model_mapping.as_object().into_iter().flatten();
    let entry = |(key, value): (&String, &Value)| {
        let mapped = value.as_str().or_else(|| value.get("mapped_model")?.as_str())?;
        let wanted = |wish: &Option<String>, name: &str| wish.as_deref().is_none_or(|wish| wish == name);
        let allowed = caller.credential.as_ref().is_none_or(|credential| credential.allows(key));
        // A key that does not compile serves nobody.
        let usable = NameMatcher::new(key).is_ok();
        let shown = usable && allowed && wanted(&filter.model, key) && wanted(&filter.litellm_model_id, mapped);
        shown.then(|| {
            json!({
                "model_name": key,
                "litellm_params": {"model": mapped, "custom_llm_provider": record.provider_type},
                "model_info": model_info(record, key, value),
            })
        })
    };
    mapping.filter_map(entry).collect()
}

fn model_info(record: &ProviderRecord, key: &str, value: &Value) -> Value {
    let mut info = Map::new();
    info.insert("provider_name".to_owned(), json!(record.provider_key));
    info.insert("provider_type".to_owned(), json!(record.provider_type));
    info.insert("weight".to_owned(), json!(record.weight));
    info.insert("is_pattern".to_owned(), json!(MatchKind::of(key) != MatchKind::Exact));
    let set =
        value.as_object().into_iter().flatten().filter(|(name, value)| *name != "mapped_model" && !value.is_null());
    info.extend(set.map(|(name, value)| (name.clone(), value.clone())));
    for (per_1k, per_token) in
        [("input_cost_per_1k_tokens", "input_cost_per_token"), ("output_cost_per_1k_tokens", "output_cost_per_token")]
    {
        let price = value.get(per_1k).and_then(Value::as_f64).map(|price| price / 1000.0);
        info.insert(per_token.to_owned(), json!(price));
    }
    Value::Object(info)
}
