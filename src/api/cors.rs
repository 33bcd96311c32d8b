//! Pages of other origins (the Fetch standard, 3.2): what `CORS_ORIGINS` lets browsers do.
//!
//! Own code, since the preflight's 204, the rule for `/admin/v1` and the list of exposed headers
//! are promised, and actix-cors has its own of each.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};

use super::Shared;
use crate::settings::CorsOrigins;

/// Every method that some path takes.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// What a page may send when its browser does not say what it wants to send.
const HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type, x-api-key, api-key");

/// How long a browser may remember a preflight: two hours, the most that Chromium does.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

const ANY: HeaderValue = HeaderValue::from_static("*");

/// Names of exposed headers that do not begin with `x-` or `anthropic-ratelimit-`.
const EXPOSED: [&str; 4] = ["request-id", "retry-after", "retry-after-ms", "server-timing"];

/// Serves a request; answers preflights, and lets the listed pages read every answer, errors too.
///
/// # Errors
/// Those of the handler.
pub(super) async fn serve(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    let shared = request.app_data::<web::Data<Shared>>();
    let Some(origins) = shared.map(|shared| &shared.settings.cors_origins).filter(|origins| origins.is_on()) else {
        return next.call(request).await;
    };
    // The path as the router understood it: percent-encoding must not change the rule.
    let allowed = allowed_origin(request.headers(), request.match_info().as_str(), origins);
    if let Some(origin) = allowed.as_ref().filter(|_| is_preflight(&request)) {
        let response = preflight(origin.clone(), request.headers());
        return Ok(request.into_response(response));
    }
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    headers.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed {
        if let Some(exposed) = exposed(headers) {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    Ok(response)
}

/// What `Access-Control-Allow-Origin` says to the page that asks; `None`: nothing, so its browser
/// keeps the answer from it.
fn allowed_origin(headers: &HeaderMap, path: &str, origins: &CorsOrigins) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    if origins.listed.iter().any(|listed| listed.as_bytes() == origin.as_bytes()) {
        return Some(origin.clone());
    }
    let is_admin = path == "/admin" || path.starts_with("/admin/");
    (origins.any && !is_admin).then_some(ANY)
}

fn is_preflight(request: &ServiceRequest) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight(origin: HeaderValue, asked: &HeaderMap) -> HttpResponse {
    // Whatever a page sends, it gets no further than any other client does: allowed as asked for.
    let headers = asked.get(ACCESS_CONTROL_REQUEST_HEADERS).cloned().unwrap_or(HEADERS);
    HttpResponse::NoContent()
        .insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, origin))
        .insert_header((ACCESS_CONTROL_ALLOW_METHODS, METHODS))
        .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, headers))
        .insert_header((ACCESS_CONTROL_MAX_AGE, MAX_AGE))
        .insert_header((VARY, "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"))
        .finish()
}

/// The headers of an answer that a page may read. Named one by one: browsers take `*` literally
/// for a request with credentials.
fn exposed(headers: &HeaderMap) -> Option<HeaderValue> {
    let is_exposed =
        |name: &&str| name.starts_with("x-") || name.starts_with("anthropic-ratelimit-") || EXPOSED.contains(name);
    // Set later than this, on every answer.
    let mut names = vec!["x-request-id"];
    names.extend(headers.keys().map(|name| name.as_str()).filter(is_exposed).filter(|name| *name != "x-request-id"));
    HeaderValue::try_from(names.join(", ")).ok()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderName;

    use super::*;

    fn allowed(listed: &[&str], any: bool, path: &str, origin: &'static str) -> Option<String> {
        let origins = CorsOrigins { listed: listed.iter().map(|&origin| origin.to_owned()).collect(), any };
        let headers: HeaderMap = [(ORIGIN, HeaderValue::from_static(origin))].into_iter().collect();
        allowed_origin(&headers, path, &origins).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn only_a_listed_origin_may_use_the_admin_api() {
        let (page, other) = ("https://page.example", "https://other.example");
        for path in ["/admin", "/admin/v1", "/admin/v1/providers"] {
            assert_eq!(allowed(&[page], true, path, page).as_deref(), Some(page));
            assert_eq!(allowed(&[page], true, path, other), None);
        }
        assert_eq!(allowed(&[page], true, "/v1/models", other).as_deref(), Some("*"));
        assert_eq!(allowed(&[page], true, "/v1/models", page).as_deref(), Some(page));
        assert_eq!(allowed(&[page], false, "/v1/models", other), None);
        assert_eq!(allowed(&[], true, "/v1/models", "null").as_deref(), Some("*"));
        for similar in ["https://page.example.evil", "https://page.example:8443", "http://page.example", ""] {
            assert_eq!(allowed(&[page], false, "/v1/models", similar), None, "{similar}");
        }
    }

    #[test]
    fn headers_of_our_own_are_exposed_and_others_are_not() {
        let names = ["x-request-id", "x-llm-proxy-attempts", "retry-after", "anthropic-ratelimit-requests-limit"];
        let others = ["content-type", "set-cookie", "www-authenticate"];
        let pair = |name: &'static str| (HeaderName::from_static(name), HeaderValue::from_static("1"));
        let headers: HeaderMap = names.into_iter().chain(others).map(pair).collect();
        let exposed = exposed(&headers).unwrap();
        let mut exposed: Vec<&str> = exposed.to_str().unwrap().split(", ").collect();
        exposed.sort_unstable();
        assert_eq!(
            exposed,
            ["anthropic-ratelimit-requests-limit", "retry-after", "x-llm-proxy-attempts", "x-request-id"]
        );
    }
}
