//! Which rows are asked for.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::parameters::{Parameters, described, flag, text, time, whole, words};
use crate::api::admin::error::AdminError;
use crate::config::FieldError;
use crate::store::logs::{
    Begin, Cursor, ERROR_SORTS, ErrorFilter, Outcome, REQUEST_SORTS, RequestFilter, Slice, SortColumn,
};

const DEFAULT_SIZE: i64 = 50;
const LARGEST_SIZE: i64 = 200;

/// A filter that can be read from a query.
pub(in crate::api::admin) trait Filter: Sized {
    /// What its list may be sorted by; the first is the default.
    const SORTS: &'static [SortColumn];

    /// Reads it.
    fn read(parameters: &Parameters) -> Result<Self, FieldError>;

    /// Describes its parameters.
    fn describe() -> Vec<Parameter>;
}

/// A filter alone.
#[derive(Debug)]
pub(in crate::api::admin) struct Filtered<F>(pub(super) F);

/// A filter and the part of the list that is shown.
#[derive(Debug)]
pub(in crate::api::admin) struct ListQuery<F> {
    pub(super) filter: F,
    pub(super) slice: Slice,
    /// `None` with a cursor.
    pub(super) page: Option<i64>,
}

/// A filter and an order.
#[derive(Debug)]
pub(in crate::api::admin) struct ExportQuery<F> {
    pub(super) filter: F,
    pub(super) sort: SortColumn,
    pub(super) descending: bool,
}

// === impl Filter ===

impl Filter for RequestFilter {
    const SORTS: &'static [SortColumn] = REQUEST_SORTS;

    fn read(parameters: &Parameters) -> Result<Self, FieldError> {
        let (start_time, end_time) = parameters.window()?;
        let outcomes =
            [Outcome::Complete, Outcome::Failed, Outcome::Cancelled].map(|outcome| (outcome.name(), outcome));
        let status = parameters.whole("status_code", 100, 599)?;
        Ok(Self {
            request_id: parameters.text("request_id")?,
            provider_name: parameters.text("provider_name")?,
            model: parameters.text("model")?,
            credential_name: parameters.text("credential_name")?,
            client: parameters.text("client")?,
            status_code: status.and_then(|status| i32::try_from(status).ok()),
            outcome: parameters.one_of("outcome", &outcomes)?,
            is_streaming: parameters.flag("is_streaming")?,
            estimated: parameters.flag("estimated")?,
            error_only: parameters.flag("error_only")?.unwrap_or(false),
            start_time,
            end_time,
        })
    }

    fn describe() -> Vec<Parameter> {
        vec![
            described("request_id", "Our id of the request", text()),
            described("provider_name", "The key of the provider of the last attempt", text()),
            described("model", "The model that the client named; its first 255 characters count", text()),
            described("credential_name", "Whose key it was", text()),
            described("client", "The client program", text()),
            described("status_code", "The HTTP status that the client got", whole(100).maximum(Some(599))),
            described("outcome", "How the request ended", words(&["complete", "failed", "cancelled"])),
            described("is_streaming", "Whether the client asked for a stream", flag()),
            described("estimated", "Whether the tokens are estimated", flag()),
            described("error_only", "Only requests whose outcome is failed", flag()),
            described("start_time", "From here on", time()),
            described("end_time", "Before this", time()),
        ]
    }
}

impl Filter for ErrorFilter {
    const SORTS: &'static [SortColumn] = ERROR_SORTS;

    fn read(parameters: &Parameters) -> Result<Self, FieldError> {
        let (start_time, end_time) = parameters.window()?;
        Ok(Self {
            request_id: parameters.text("request_id")?,
            provider_name: parameters.text("provider_name")?,
            error_category: parameters.text("error_category")?,
            credential_name: parameters.text("credential_name")?,
            start_time,
            end_time,
        })
    }

    fn describe() -> Vec<Parameter> {
        vec![
            described("request_id", "Our id of the request", text()),
            described("provider_name", "The key of the provider", text()),
            described("error_category", "What kind of failure it was, such as provider_5xx", text()),
            described("credential_name", "Whose key it was", text()),
            described("start_time", "From here on", time()),
            described("end_time", "Before this", time()),
        ]
    }
}

// === reading ===

fn order<F: Filter>(parameters: &Parameters) -> Result<(SortColumn, bool), FieldError> {
    let sorts: Vec<(&str, SortColumn)> = F::SORTS.iter().map(|sort| (sort.name, *sort)).collect();
    let sort = parameters.one_of("sort_by", &sorts)?.or_else(|| F::SORTS.first().copied());
    let sort = sort.ok_or_else(|| FieldError::new("sort_by", "is not possible here"))?;
    let descending = parameters.one_of("sort_order", &[("desc", true), ("asc", false)])?;
    Ok((sort, descending.unwrap_or(true)))
}

impl<F: Filter> ListQuery<F> {
    fn read(parameters: &Parameters) -> Result<Self, FieldError> {
        let (sort, descending) = order::<F>(parameters)?;
        let size = parameters.whole("page_size", 1, LARGEST_SIZE)?.unwrap_or(DEFAULT_SIZE);
        let page = parameters.whole("page", 1, i64::MAX)?;
        let (begin, page) = match (parameters.text("cursor")?, page) {
            (None, page) => {
                let page = page.unwrap_or(1);
                (Begin::Skip((page - 1).saturating_mul(size)), Some(page))
            }
            (Some(_), Some(_)) => return Err(FieldError::new("cursor", "cannot be combined with page")),
            (Some(text), None) => {
                let cursor = Cursor::decode(&text, sort, descending);
                let wrong = "must be a next_cursor of a list in the same order";
                (Begin::After(cursor.ok_or_else(|| FieldError::new("cursor", wrong))?), None)
            }
        };
        let slice = Slice { sort, descending, begin, size, count: true };
        Ok(Self { filter: F::read(parameters)?, slice, page })
    }
}

impl<F: Filter> ExportQuery<F> {
    fn read(parameters: &Parameters) -> Result<Self, FieldError> {
        let (sort, descending) = order::<F>(parameters)?;
        Ok(Self { filter: F::read(parameters)?, sort, descending })
    }
}

/// Lets handlers take a query.
macro_rules! from_request {
    ($name:ident, $read:expr, $describe:expr) => {
        impl<F: Filter> FromRequest for $name<F> {
            type Error = AdminError;
            type Future = Ready<Result<Self, AdminError>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                ready($read(&Parameters::from(request)).map_err(AdminError::from))
            }
        }

        impl<F: Filter> IntoParams for $name<F> {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                F::describe().into_iter().chain($describe).collect()
            }
        }
    };
}

from_request!(Filtered, |parameters: &Parameters| F::read(parameters).map(Filtered), []);
from_request!(ExportQuery, Self::read, describe_order::<F>());
from_request!(ListQuery, Self::read, describe_order::<F>().into_iter().chain(describe_slice()));

fn describe_order<F: Filter>() -> [Parameter; 2] {
    let sorts: Vec<&str> = F::SORTS.iter().map(|sort| sort.name).collect();
    let sorts = words(&sorts).default(sorts.first().map(|sort| (*sort).into()));
    let orders = words(&["desc", "asc"]).default(Some("desc".into()));
    let by = "The column to sort by; rows without a value come last, equal ones in the order of their ids";
    [described("sort_by", by, sorts), described("sort_order", "The largest or the smallest first", orders)]
}

fn describe_slice() -> [Parameter; 3] {
    let size = whole(1).maximum(Some(LARGEST_SIZE)).default(Some(DEFAULT_SIZE.into()));
    let cursor = "The next_cursor of the answer before, to go on from there with the same filters and order; \
                  instead of page, and as fast at the end of a long list as at its beginning";
    [
        described("page", "The page to show", whole(1).default(Some(1.into()))),
        described("page_size", "Rows on a page", size),
        described("cursor", cursor, text()),
    ]
}
