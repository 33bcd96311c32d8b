//! Where traces of requests go: Langfuse.

use std::time::Duration;

use url::Url;

use super::SecretText;
use super::read::Reader;

/// A Langfuse project that gets the traces of requests.
#[derive(Debug, Clone, PartialEq)]
pub struct LangfuseSettings {
    /// Its address, without a trailing slash.
    pub host: String,
    /// The user name of its API.
    pub public_key: SecretText,
    /// The password of its API.
    pub secret_key: SecretText,
    /// Which part of the requests it gets, from 0 to 1.
    pub sample_rate: f64,
    /// How long an event waits for others at most.
    pub flush_interval: Duration,
    /// Whether each batch and its answer are logged, without their contents.
    pub debug: bool,
}

/// Reads `LANGFUSE_*`; `None` while it is not enabled. What is wrong is told in either case.
pub(super) fn langfuse(read: &mut Reader<'_>) -> Option<LangfuseSettings> {
    let is_enabled = read.flag("LANGFUSE_ENABLED", false);
    let settings = LangfuseSettings {
        host: host(read),
        public_key: key(read, "LANGFUSE_PUBLIC_KEY", is_enabled),
        secret_key: key(read, "LANGFUSE_SECRET_KEY", is_enabled),
        sample_rate: read.whole("LANGFUSE_SAMPLE_RATE", 1.0, 0.0..=1.0),
        flush_interval: read.seconds("LANGFUSE_FLUSH_INTERVAL", 5.0, 0.01).unwrap_or(Duration::from_secs(5)),
        debug: read.flag("LANGFUSE_DEBUG", false),
    };
    if settings.public_key.expose().contains(':') {
        // RFC 7617, 2: the user name of Basic authentication ends at the first colon.
        read.wrong("LANGFUSE_PUBLIC_KEY", "must not contain a colon");
    }
    is_enabled.then_some(settings)
}

fn key(read: &mut Reader<'_>, variable: &'static str, is_required: bool) -> SecretText {
    let key = read.text(variable).unwrap_or_default();
    if key.is_empty() && is_required {
        read.wrong(variable, "is required while LANGFUSE_ENABLED is true");
    } else if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        read.wrong(variable, "must be visible ASCII without spaces");
    }
    SecretText::new(key)
}

fn host(read: &mut Reader<'_>) -> String {
    let host = read.text("LANGFUSE_HOST").unwrap_or_else(|| "https://cloud.langfuse.com".to_owned());
    let trimmed = host.trim_end_matches('/').to_owned();
    if let Err(reason) = check_address(&trimmed) {
        read.wrong("LANGFUSE_HOST", reason);
    }
    trimmed
}

/// Whether requests can be sent to an address. The address is not repeated: it may hold a secret.
pub(super) fn check_address(address: &str) -> Result<(), &'static str> {
    let url = Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(url) = url.filter(|url| url.host_str().is_some_and(|host| !host.is_empty())) else {
        return Err("must be an absolute http or https URL");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not contain a query or fragment");
    }
    // The HTTP client parses more strictly than the URL standard allows.
    let is_strict = address.split_once("://").is_some_and(|(_, rest)| !rest.starts_with('/'));
    if !is_strict || !address.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"<>^`{|}".contains(&byte)) {
        return Err("must be an absolute http or https URL, percent-encoded where needed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    const KEYS: [(&str, &str); 3] =
        [("LANGFUSE_ENABLED", "true"), ("LANGFUSE_PUBLIC_KEY", "pk-lf-1"), ("LANGFUSE_SECRET_KEY", "sk-lf-hunter2")];

    fn read(pairs: &[(&str, &str)]) -> Result<Option<LangfuseSettings>, String> {
        let env: HashMap<String, String> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut read = Reader::new(&env);
        let settings = langfuse(&mut read);
        read.finish(settings).map_err(|wrong| format!("{wrong:?}"))
    }

    fn with(pair: (&str, &str)) -> Result<Option<LangfuseSettings>, String> {
        read(&KEYS.into_iter().filter(|(name, _)| *name != pair.0).chain([pair]).collect::<Vec<_>>())
    }

    #[test]
    fn it_is_off_unless_enabled_and_then_needs_its_keys_only() {
        assert_eq!(read(&[]).unwrap(), None);
        assert_eq!(read(&[KEYS[1], KEYS[2]]).unwrap(), None);
        let settings = read(&KEYS).unwrap().unwrap();
        assert_eq!(settings.host, "https://cloud.langfuse.com");
        assert_eq!((settings.sample_rate, settings.flush_interval), (1.0, Duration::from_secs(5)));
        assert!(!settings.debug);
        let missing = read(&[("LANGFUSE_ENABLED", "true")]).unwrap_err();
        assert!(missing.contains("LANGFUSE_PUBLIC_KEY") && missing.contains("LANGFUSE_SECRET_KEY"), "{missing}");
    }

    #[test]
    fn no_key_is_ever_shown() {
        let shown = format!("{:?}", read(&KEYS).unwrap());
        assert!(!shown.contains("hunter2") && !shown.contains("pk-lf-1"), "{shown}");
        let wrong = with(("LANGFUSE_SECRET_KEY", "sk hunter2")).unwrap_err();
        assert!(wrong.contains("LANGFUSE_SECRET_KEY") && !wrong.contains("hunter2"), "{wrong}");
    }

    #[test]
    fn wrong_values_are_told_by_name_also_while_it_is_off() {
        for (name, value) in [
            ("LANGFUSE_ENABLED", "perhaps"),
            ("LANGFUSE_HOST", "cloud.langfuse.com"),
            ("LANGFUSE_HOST", "https://u:p@h"),
            ("LANGFUSE_HOST", "http:///h"),
            ("LANGFUSE_PUBLIC_KEY", "a:b"),
            ("LANGFUSE_SAMPLE_RATE", "1.5"),
            ("LANGFUSE_SAMPLE_RATE", "NaN"),
            ("LANGFUSE_FLUSH_INTERVAL", "0"),
            ("LANGFUSE_DEBUG", "2"),
        ] {
            let wrong = with((name, value)).unwrap_err();
            assert!(wrong.contains(name), "{name}={value}: {wrong}");
            assert!(read(&[(name, value)]).is_err(), "{name}={value}");
        }
        assert_eq!(with(("LANGFUSE_HOST", "http://h:3000/base/")).unwrap().unwrap().host, "http://h:3000/base");
    }
}
