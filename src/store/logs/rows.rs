//! Rows of the logs as they are read.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::backend::Backend;
use diesel::row::NamedRow;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};
use serde::Serialize;
use utoipa::ToSchema;

use crate::store::column_types::{Instant, Moment, Raw};

/// Declares a row and lists its columns.
macro_rules! log_row {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty = $sql:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, QueryableByName)]
        pub struct $name {
            /// Grows with every row.
            #[diesel(sql_type = BigInt)]
            pub id: i64,
            /// When the request was accepted, or an attempt failed.
            #[diesel(sql_type = Instant, deserialize_as = Moment)]
            pub timestamp: DateTime<Utc>,
            $($(#[$field_doc])* #[diesel(sql_type = $sql)] #[schema(required)] pub $field: $type,)*
        }

        impl $name {
            /// Its columns in order.
            pub const COLUMNS: &'static [&'static str] = &["id", "timestamp", $(stringify!($field)),*];
        }
    };
}

log_row! {
    /// A finished request.
    RequestLogItem {
        /// Our id of the request.
        request_id: String = Text,
        /// The path without query.
        endpoint: String = Text,
        /// Whose key it was.
        credential_name: String = Text,
        /// The client program.
        client: String = Text,
        /// The model the client named.
        model_requested: Option<String> = Nullable<Text>,
        /// The model sent upstream.
        model_mapped: Option<String> = Nullable<Text>,
        /// The key of the provider of the last attempt.
        provider_name: Option<String> = Nullable<Text>,
        /// Its type.
        provider_type: Option<String> = Nullable<Text>,
        /// The protocol the client spoke.
        client_protocol: String = Text,
        /// The protocol the provider spoke.
        provider_protocol: Option<String> = Nullable<Text>,
        /// Whether the client asked for a stream.
        is_streaming: bool = Bool,
        /// The HTTP status the client got; 499 when it left.
        status_code: i32 = Integer,
        /// `complete`, `failed` or `cancelled`.
        outcome: String = Text,
        /// How many attempts were made.
        attempts: i32 = Integer,
        /// Prompt tokens.
        input_tokens: Option<i64> = Nullable<BigInt>,
        /// Answer tokens.
        output_tokens: Option<i64> = Nullable<BigInt>,
        /// Both.
        total_tokens: Option<i64> = Nullable<BigInt>,
        /// Prompt tokens read from the provider's cache.
        cached_tokens: Option<i64> = Nullable<BigInt>,
        /// Prompt tokens written to the provider's cache.
        cache_write_tokens: Option<i64> = Nullable<BigInt>,
        /// Answer tokens spent on reasoning.
        reasoning_tokens: Option<i64> = Nullable<BigInt>,
        /// Whether the counts are ours because the provider reported none.
        estimated: bool = Bool,
        /// What it cost, in micro-dollars; null where the model has no prices.
        cost_microusd: Option<i64> = Nullable<BigInt>,
        /// From the request's begin to its end, in milliseconds.
        total_duration_ms: i64 = BigInt,
        /// To the first byte of the answer, in milliseconds.
        ttft_ms: Option<i64> = Nullable<BigInt>,
        /// Spent in llm-proxy itself, in microseconds.
        gateway_us: Option<i64> = Nullable<BigInt>,
        /// Fields that the provider's protocol has no place for.
        dropped_fields: Option<String> = Nullable<Text>,
        /// What kind of failure it was.
        error_category: Option<String> = Nullable<Text>,
        /// The same in words.
        error_message: Option<String> = Nullable<Text>,
        /// The provider's id of the request.
        upstream_request_id: Option<String> = Nullable<Text>,
        /// Which replica served it.
        replica_id: String = Text,
        /// The version of the configuration it was served with.
        config_version: i64 = BigInt,
    }
}

log_row! {
    /// A failed attempt, or an error of our own.
    ErrorLogItem {
        /// Our id of the request.
        request_id: String = Text,
        /// Which attempt of the request it was, from 1; for an error of our own how many were made.
        attempt: i32 = Integer,
        /// What kind of failure it was.
        error_category: String = Text,
        /// The code that clients get.
        error_code: Option<String> = Nullable<Text>,
        /// The same in words.
        error_message: Option<String> = Nullable<Text>,
        /// The path without query.
        endpoint: String = Text,
        /// The protocol the client spoke.
        client_protocol: String = Text,
        /// The provider's key.
        provider_name: Option<String> = Nullable<Text>,
        /// Its address.
        provider_api_base: Option<String> = Nullable<Text>,
        /// The protocol it speaks.
        provider_protocol: Option<String> = Nullable<Text>,
        /// The model the client named.
        model_requested: Option<String> = Nullable<Text>,
        /// The model sent upstream.
        mapped_model: Option<String> = Nullable<Text>,
        /// The status of its answer, when one came.
        response_status_code: Option<i32> = Nullable<Integer>,
        /// From the attempt's begin to its end, in milliseconds.
        total_duration_ms: Option<i64> = Nullable<BigInt>,
        /// Whose key it was.
        credential_name: String = Text,
        /// The client program.
        client: String = Text,
        /// Whether the client asked for a stream.
        is_streaming: bool = Bool,
    }
}

/// A finished request with its headers and bodies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, QueryableByName)]
pub struct RequestLogDetail {
    /// All else.
    #[diesel(embed)]
    #[serde(flatten)]
    pub item: RequestLogItem,
    /// The client's headers as JSON, keys and cookies masked.
    #[diesel(sql_type = Nullable<Text>)]
    #[schema(required)]
    pub request_headers: Option<String>,
    /// The client's body.
    #[diesel(sql_type = Nullable<Text>)]
    #[schema(required)]
    pub request_body: Option<String>,
    /// The body it got.
    #[diesel(sql_type = Nullable<Text>)]
    #[schema(required)]
    pub response_body: Option<String>,
}

/// A failed attempt with its headers and bodies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, QueryableByName)]
pub struct ErrorLogDetail {
    /// All else.
    #[diesel(embed)]
    #[serde(flatten)]
    pub item: ErrorLogItem,
    /// The client's headers as JSON, keys and cookies masked.
    #[diesel(sql_type = Nullable<Text>)]
    #[schema(required)]
    pub request_headers: Option<String>,
    /// The client's body.
    #[diesel(sql_type = Nullable<Text>)]
    #[schema(required)]
    pub request_body: Option<String>,
    /// The body of the provider's answer.
    #[diesel(sql_type = Nullable<Text>)]
    #[schema(required)]
    pub response_body: Option<String>,
    /// What was sent to the provider, keys masked.
    #[diesel(sql_type = Nullable<Text>)]
    #[schema(required)]
    pub provider_request_headers: Option<String>,
    /// The body that was sent to the provider.
    #[diesel(sql_type = Nullable<Text>)]
    #[schema(required)]
    pub provider_request_body: Option<String>,
}

/// A row and its place in the order of a list.
pub(in crate::store) struct Placed<T> {
    pub(in crate::store) row: T,
    pub(in crate::store) place: Place,
}

/// The value of a row in the column that a list is sorted by.
#[derive(QueryableByName)]
pub(in crate::store) struct Place {
    #[diesel(sql_type = Nullable<Instant>)]
    sort_time: Option<Raw>,
    #[diesel(sql_type = Nullable<BigInt>)]
    sort_number: Option<i64>,
}

impl Place {
    /// The value, a time as the database has it.
    pub(in crate::store) fn value(&self) -> Option<i64> {
        self.sort_time.map(|time| time.0).or(self.sort_number)
    }
}

impl<T, DB> QueryableByName<DB> for Placed<T>
where
    DB: Backend,
    T: QueryableByName<DB>,
    Place: QueryableByName<DB>,
{
    fn build<'a>(row: &impl NamedRow<'a, DB>) -> diesel::deserialize::Result<Self> {
        Ok(Self { row: T::build(row)?, place: Place::build(row)? })
    }
}

/// One number.
#[derive(QueryableByName)]
pub(in crate::store) struct Number {
    #[diesel(sql_type = BigInt)]
    pub(in crate::store) number: i64,
}
