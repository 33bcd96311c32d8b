//! Which rows a list shows.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use url::form_urlencoded;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::{ObjectBuilder, Required};

use super::dto::Paging;
use super::error::AdminError;
use crate::config::FieldError;

const DEFAULT_SIZE: usize = 50;
const LARGEST_SIZE: usize = 200;

/// The query of a list. Parameters that are not named here are ignored.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ListQuery {
    /// Lower case.
    search: Option<String>,
    is_enabled: Option<bool>,
    page: Option<Page>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Page {
    /// Counts from 1.
    number: usize,
    size: usize,
}

impl IntoParams for ListQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let whole = |most| {
            let whole = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
            whole.maximum(most)
        };
        let parameter = |name: &str, description: &str, schema: ObjectBuilder| {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
            parameter.required(Required::False).description(Some(description)).schema(Some(schema)).build()
        };
        let size = whole(Some(LARGEST_SIZE)).default(Some(DEFAULT_SIZE.into()));
        let (text, flag) =
            (ObjectBuilder::new().schema_type(Type::String), ObjectBuilder::new().schema_type(Type::Boolean));
        vec![
            parameter("search", "A part of a name, in any case", text),
            parameter("is_enabled", "Only rows that are on, or off", flag),
            parameter("page", "The page to show; all rows without it", whole(None)),
            parameter("page_size", "Rows on a page", size),
        ]
    }
}

impl FromRequest for ListQuery {
    type Error = AdminError;
    type Future = Ready<Result<Self, AdminError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()).map_err(AdminError::from))
    }
}

impl ListQuery {
    fn parse(query: &str) -> Result<Self, FieldError> {
        let value =
            |name| form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value);
        let whole = |name, most| match value(name) {
            None => Ok(None),
            Some(text) => match text.parse::<usize>() {
                Ok(number) if (1..=most).contains(&number) => Ok(Some(number)),
                Ok(_) | Err(_) => Err(FieldError::new(name, format!("must be an integer from 1 to {most}"))),
            },
        };
        let is_enabled = match value("is_enabled").as_deref() {
            None => None,
            Some("true") => Some(true),
            Some("false") => Some(false),
            Some(_) => return Err(FieldError::new("is_enabled", "must be true or false")),
        };
        let size = whole("page_size", LARGEST_SIZE)?.unwrap_or(DEFAULT_SIZE);
        let page = whole("page", usize::MAX)?.map(|number| Page { number, size });
        let search = value("search").filter(|text| !text.is_empty()).map(|text| text.to_lowercase());
        Ok(Self { search, is_enabled, page })
    }

    /// Whether a row with these `texts` is meant. The texts are asked for only when searching.
    pub(super) fn wants<'t, T>(&self, is_enabled: bool, texts: impl FnOnce() -> T) -> bool
    where
        T: IntoIterator<Item = &'t str>,
    {
        self.is_enabled.is_none_or(|wanted| wanted == is_enabled)
            && self
                .search
                .as_ref()
                .is_none_or(|part| texts().into_iter().any(|text| text.to_lowercase().contains(part)))
    }

    /// The page of `rows` that is asked for, and where it stands; all of them without a page.
    pub(super) fn cut<T>(&self, rows: Vec<T>) -> (Vec<T>, Paging) {
        let Some(Page { number, size }) = self.page else {
            return (rows, Paging::default());
        };
        let total = rows.len();
        let paging = Paging {
            total: Some(total),
            page: Some(number),
            page_size: Some(size),
            total_pages: Some(total.div_ceil(size)),
        };
        let skipped = (number - 1).saturating_mul(size);
        (rows.into_iter().skip(skipped).take(size).collect(), paging)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_values_are_named_and_unknown_parameters_ignored() {
        for (query, field) in [
            ("page=0", "page"),
            ("page=x", "page"),
            ("page_size=0", "page_size"),
            ("page=1&page_size=201", "page_size"),
            ("is_enabled=yes", "is_enabled"),
        ] {
            assert_eq!(ListQuery::parse(query).unwrap_err().field, field, "{query}");
        }
        assert_eq!(ListQuery::parse("colour=red&search=").unwrap(), ListQuery::default());
    }

    #[test]
    fn a_page_is_cut_out_and_the_last_one_may_be_short() {
        let rows = || (1..=5).collect::<Vec<u32>>();
        let (shown, paging) = ListQuery::parse("page=3&page_size=2").unwrap().cut(rows());
        assert_eq!((shown, paging.total, paging.total_pages), (vec![5], Some(5), Some(3)));
        let (shown, paging) = ListQuery::parse(&format!("page={}", usize::MAX)).unwrap().cut(rows());
        assert_eq!((shown.len(), paging.page_size), (0, Some(50)));
        let (shown, paging) = ListQuery::parse("page_size=2").unwrap().cut(rows());
        assert_eq!((shown.len(), paging), (5, Paging::default()));
    }

    #[test]
    fn searching_ignores_case_and_asks_for_a_part() {
        let query = ListQuery::parse("search=Gpt%2D4&is_enabled=true").unwrap();
        assert!(query.wants(true, || ["x", "my-GPT-4o"]));
        assert!(!query.wants(true, || ["gpt-5"]));
        assert!(!query.wants(false, || ["gpt-4"]));
    }
}
