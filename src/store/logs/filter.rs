//! Which rows are meant.

use chrono::{DateTime, Utc};

use super::sql::{Bind, Sql};

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The client got its answer.
    Complete,
    /// It got an error.
    Failed,
    /// It left.
    Cancelled,
}

/// Which request logs are meant: those that meet every condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// Our id of the request.
    pub request_id: Option<String>,
    /// The key of the provider of the last attempt.
    pub provider_name: Option<String>,
    /// The model that the client named.
    pub model: Option<String>,
    /// Whose key it was.
    pub credential_name: Option<String>,
    /// The client program.
    pub client: Option<String>,
    /// The status that the client got.
    pub status_code: Option<i32>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Whether a stream was asked for.
    pub is_streaming: Option<bool>,
    /// Whether the tokens are estimated.
    pub estimated: Option<bool>,
    /// Only requests that failed.
    pub error_only: bool,
    /// From here on.
    pub start_time: Option<DateTime<Utc>>,
    /// Before this.
    pub end_time: Option<DateTime<Utc>>,
}

/// Which error logs are meant: those that meet every condition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorFilter {
    /// Our id of the request.
    pub request_id: Option<String>,
    /// The provider's key.
    pub provider_name: Option<String>,
    /// What kind of failure it was.
    pub error_category: Option<String>,
    /// Whose key it was.
    pub credential_name: Option<String>,
    /// From here on.
    pub start_time: Option<DateTime<Utc>>,
    /// Before this.
    pub end_time: Option<DateTime<Utc>>,
}

/// What a list may be filtered by.
pub(in crate::store) trait Conditions {
    /// Appends ` AND ...` for each condition.
    fn push_to(&self, sql: &mut Sql);
}

impl Outcome {
    /// As it is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Conditions for RequestFilter {
    fn push_to(&self, sql: &mut Sql) {
        sql.and_at("timestamp >=", self.start_time).and_at("timestamp <", self.end_time);
        sql.and_text("request_id =", self.request_id.as_ref());
        self.push_dimensions(sql, "substr(model_requested, 1, 255)");
    }
}

impl RequestFilter {
    /// Whether nothing but the time matters.
    pub(in crate::store) fn is_of_time_only(&self) -> bool {
        let (start_time, end_time) = (self.start_time, self.end_time);
        *self == Self { start_time, end_time, ..Self::default() }
    }

    /// Appends the conditions on columns that the rollups have, too. Indexes and rollups know only
    /// the first 255 characters of a model: `model` gives them.
    pub(in crate::store) fn push_dimensions(&self, sql: &mut Sql, model: &str) {
        let name: Option<String> = self.model.as_ref().map(|name| name.chars().take(255).collect());
        sql.and_text("provider_name =", self.provider_name.as_ref())
            .and_text(&format!("{model} ="), name.as_ref())
            .and_text("credential_name =", self.credential_name.as_ref())
            .and_text("client =", self.client.as_ref());
        if let Some(status) = self.status_code {
            // Spelled out for SQLite, which uses a partial index only where its condition stands.
            sql.push(if status == 200 { "" } else { " AND status_code <> 200" });
            sql.push(&format!(" AND status_code = {status}"));
        }
        let failed = self.error_only.then_some(Outcome::Failed);
        for outcome in [self.outcome, failed].into_iter().flatten() {
            sql.push(if outcome == Outcome::Complete { "" } else { " AND outcome <> 'complete'" });
            sql.push(&format!(" AND outcome = '{}'", outcome.name()));
        }
        for (comparison, flag) in [("is_streaming =", self.is_streaming), ("estimated =", self.estimated)] {
            if let Some(flag) = flag {
                sql.and(comparison, Bind::Flag(flag));
            }
        }
    }
}

impl Conditions for ErrorFilter {
    fn push_to(&self, sql: &mut Sql) {
        sql.and_at("timestamp >=", self.start_time)
            .and_at("timestamp <", self.end_time)
            .and_text("request_id =", self.request_id.as_ref())
            .and_text("provider_name =", self.provider_name.as_ref())
            .and_text("error_category =", self.error_category.as_ref())
            .and_text("credential_name =", self.credential_name.as_ref());
    }
}
