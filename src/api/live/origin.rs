//! Which web pages may follow the feed. A browser connects websockets for any page, so the server
//! has to look where it comes from.

use actix_web::http::header::{HOST, HeaderMap, ORIGIN};
use url::{Origin, Url};

use crate::settings::CorsOrigins;

/// Whether the page that asks, if any, is ours or one of the listed ones.
pub(super) fn is_allowed(headers: &HeaderMap, origins: &CorsOrigins) -> bool {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    headers.get_all(ORIGIN).all(|origin| {
        let page = origin.to_str().ok().and_then(|origin| Url::parse(origin).ok());
        page.is_some_and(|page| is_ours(&page, host) || origins.listed.contains(&page.origin().ascii_serialization()))
    })
}

/// Whether the page comes from `host`. What the scheme was in front of a proxy is not known here.
fn is_ours(page: &Url, host: Option<&str>) -> bool {
    let ours = host.and_then(|host| Url::parse(&format!("{}://{host}/", page.scheme())).ok());
    ours.is_some_and(|ours| matches!(ours.origin(), Origin::Tuple(..)) && ours.origin() == page.origin())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn allowed(host: &str, origin: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(host).unwrap());
        headers.insert(HeaderName::from_static("origin"), HeaderValue::from_str(origin).unwrap());
        let listed = vec!["https://admin.example.com".to_owned()];
        is_allowed(&headers, &CorsOrigins { listed, any: true })
    }

    #[test]
    fn our_own_pages_and_listed_ones_are_allowed() {
        for (host, origin) in [
            ("proxy.example.com", "https://proxy.example.com"),
            ("Proxy.example.com:443", "https://proxy.example.com"),
            ("127.0.0.1:18000", "http://127.0.0.1:18000"),
            ("[::1]:18000", "http://[::1]:18000"),
            ("proxy.example.com", "https://admin.example.com"),
        ] {
            assert!(allowed(host, origin), "{host} {origin}");
        }
        assert!(is_allowed(&HeaderMap::new(), &CorsOrigins::default()));
    }

    #[test]
    fn every_other_page_is_refused_also_with_a_star() {
        for origin in [
            "https://evil.example",
            "https://proxy.example.com.evil.example",
            "http://proxy.example.com:8080",
            "http://admin.example.com",
            "null",
            "",
            "file://",
            "data:text/html,x",
        ] {
            assert!(!allowed("proxy.example.com", origin), "{origin}");
        }
    }
}
