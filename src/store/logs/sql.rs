//! Text of a query beside its values.

use chrono::{DateTime, Utc};

use crate::store::column_types::Raw;

/// A value of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum Bind {
    /// TEXT.
    Text(String),
    /// BIGINT.
    Number(i64),
    /// BOOLEAN.
    Flag(bool),
    /// A point in time.
    At(DateTime<Utc>),
    /// The same, exactly as the database has it.
    Raw(Raw),
}

/// A query for either database. Values never become a part of its text. Every `$n` appears once
/// and in order, so that SQLite, which numbers by first appearance, agrees with PostgreSQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Sql {
    pub(in crate::store) text: String,
    pub(in crate::store) binds: Vec<Bind>,
}

impl From<&str> for Sql {
    fn from(text: &str) -> Self {
        Self { text: text.to_owned(), binds: Vec::new() }
    }
}

impl Sql {
    /// Appends text that is ours.
    pub(in crate::store) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends the place of a value.
    pub(in crate::store) fn bind(&mut self, value: Bind) -> &mut Self {
        self.binds.push(value);
        self.text.push_str(&format!("${}", self.binds.len()));
        self
    }

    /// Appends ` AND <column> <operator> <value>`.
    pub(in crate::store) fn and(&mut self, comparison: &str, value: Bind) -> &mut Self {
        self.push(" AND ").push(comparison).push(" ").bind(value)
    }

    /// The same if there is a value.
    pub(in crate::store) fn and_text(&mut self, comparison: &str, value: Option<&String>) -> &mut Self {
        match value {
            Some(text) => self.and(comparison, Bind::Text(text.clone())),
            None => self,
        }
    }

    /// The same for a point in time.
    pub(in crate::store) fn and_at(&mut self, comparison: &str, value: Option<DateTime<Utc>>) -> &mut Self {
        match value {
            Some(at) => self.and(comparison, Bind::At(at)),
            None => self,
        }
    }
}
