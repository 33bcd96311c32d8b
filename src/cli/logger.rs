//! Log lines for people and for machines.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

use env_logger::fmt::Formatter;
use env_logger::{Builder, Logger, Target, WriteStyle};
use log::kv::{Error, Key, Source, Value, VisitSource};
use log::{Log, Metadata, Record};
use serde_json::{Map, json};

use crate::api::is_hang_up;
use crate::settings::{LogFormat, LogSettings};

/// Sends log lines to standard error. A second call does nothing: tests start several servers in
/// one process.
pub(super) fn init(settings: &LogSettings) {
    let mut builder = Builder::new();
    builder.parse_filters(&settings.filter).target(Target::Stderr);
    match settings.format {
        LogFormat::Json => {
            builder.format(write_json);
        }
        LogFormat::Text => {
            let color = settings.color && std::io::stderr().is_terminal();
            builder.format_timestamp_millis().format_target(false).format_key_values(write_fields);
            builder.write_style(if color { WriteStyle::Always } else { WriteStyle::Never });
        }
    }
    let logger = builder.build();
    let level = logger.filter();
    if log::set_boxed_logger(Box::new(Quieted(logger))).is_ok() {
        log::set_max_level(level);
    }
}

/// Leaves out what actix-web takes for an error and is none.
struct Quieted(Logger);

impl Log for Quieted {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !is_hang_up(record) {
            self.0.log(record);
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// ` name=value` for each field. What could be taken for the end of a value, or for another field,
/// is quoted and escaped, so that no client's word forges a field or a line.
fn write_fields(out: &mut Formatter, fields: &dyn Source) -> std::io::Result<()> {
    let mut quoted = Quoted(String::new());
    // Our own visitor never fails.
    let _ = fields.visit(&mut quoted);
    out.write_all(quoted.0.as_bytes())
}

struct Quoted(String);

impl<'kvs> VisitSource<'kvs> for Quoted {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let text = value.to_string();
        let is_plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '=' | '"' | '\\');
        if text.is_empty() || !text.chars().all(is_plain) {
            write!(self.0, " {key}={text:?}")?;
        } else {
            write!(self.0, " {key}={text}")?;
        }
        Ok(())
    }
}

/// One JSON object a line: time, level, target, message and every field by its own name.
fn write_json(out: &mut Formatter, record: &Record<'_>) -> std::io::Result<()> {
    let mut fields = Fields(Map::new());
    // Our own visitor never fails.
    let _ = record.key_values().visit(&mut fields);
    let Fields(mut line) = fields;
    line.insert("time".to_owned(), json!(out.timestamp_millis().to_string()));
    line.insert("level".to_owned(), json!(record.level().as_str().to_ascii_lowercase()));
    line.insert("target".to_owned(), json!(record.target()));
    line.insert("message".to_owned(), json!(record.args().to_string()));
    writeln!(out, "{}", serde_json::Value::Object(line))
}

struct Fields(Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let json = if let Some(flag) = value.to_bool() {
            json!(flag)
        } else if let Some(number) = value.to_i64() {
            json!(number)
        } else if let Some(number) = value.to_f64() {
            json!(number)
        } else {
            json!(value.to_string())
        };
        self.0.insert(key.to_string(), json);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_of_a_client_forges_no_field() {
        let mut line = Quoted(String::new());
        let fields = [("model", "m outcome=complete \"x\"\n"), ("plain", "gpt-4.1/μ"), ("none", ""), ("path", "a\\b")];
        fields.visit(&mut line).unwrap();
        let wanted = r#" model="m outcome=complete \"x\"\n" plain=gpt-4.1/μ none="" path="a\\b""#;
        assert_eq!(line.0, wanted);
    }
}
