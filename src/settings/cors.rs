//! Which web pages of other origins may use this server.

use url::{Origin, Url};

use super::read::Reader;

/// Origins of pages that may call this server from a browser.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorsOrigins {
    /// The listed ones, in the form in which browsers send them.
    pub listed: Vec<String>,
    /// Whether `*` is among them. It never opens the admin API.
    pub any: bool,
}

impl CorsOrigins {
    /// Whether any page of another origin is let in.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.any || !self.listed.is_empty()
    }
}

/// Reads `CORS_ORIGINS`, a list with commas.
pub(super) fn cors_origins(read: &mut Reader<'_>) -> CorsOrigins {
    let text = read.text("CORS_ORIGINS").unwrap_or_default();
    let mut origins = CorsOrigins::default();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        match origin(entry) {
            _ if entry == "*" => origins.any = true,
            Some(origin) => origins.listed.push(origin),
            None => read.wrong("CORS_ORIGINS", format!("must list origins such as https://example.com, not {entry:?}")),
        }
    }
    origins
}

/// The entry as browsers write it; `None` when it is no origin, or more than one.
fn origin(entry: &str) -> Option<String> {
    let url = Url::parse(entry).ok().filter(|url| matches!(url.origin(), Origin::Tuple(..)))?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    is_bare.then(|| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn read(text: &str) -> Result<CorsOrigins, String> {
        let env = HashMap::from([("CORS_ORIGINS".to_owned(), text.to_owned())]);
        let mut read = Reader::new(&env);
        let origins = cors_origins(&mut read);
        read.finish(origins).map_err(|wrong| format!("{wrong:?}"))
    }

    #[test]
    fn origins_are_listed_as_browsers_send_them() {
        let origins = read("https://Admin.Example.com/, http://localhost:5173,,https://a.example:443").unwrap();
        assert_eq!(origins.listed, ["https://admin.example.com", "http://localhost:5173", "https://a.example"]);
        assert!(!origins.any && read("*").unwrap().any && read("").unwrap() == CorsOrigins::default());
    }

    #[test]
    fn what_is_no_origin_is_refused_by_name() {
        for wrong in ["example.com", "https://example.com/path", "https://*.example.com:x", "data:text/html,x"] {
            let error = read(&format!("http://fine.example,{wrong}")).unwrap_err();
            assert!(error.contains("CORS_ORIGINS"), "{error}");
        }
    }
}
