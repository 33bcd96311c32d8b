//! The admin page: a single-page application at `/admin/`, embedded when `frontend/build` was there
//! as this binary was compiled. A debug build reads that folder at run time instead.

use std::borrow::Cow;
use std::fmt::Write as _;

use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, guard, web};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use super::admin::error::AdminError;

const INDEX: &str = "index.html";

/// What is shown by a binary that was built without the page.
const MISSING: &str = include_str!("ui_missing.html");

/// The style attribute of the element in which SvelteKit tells screen readers of a new page. It is
/// the same in every build; SvelteKit's own policies name this hash, too.
const ANNOUNCER_STYLE: &str = "'unsafe-hashes' 'sha256-S8qMpvofolR8Mpjy4kQvEm7m1q8clzU4dfDH0AmvZjo='";

/// Names with a hash of their content are below this folder.
const IMMUTABLE: &str = "_app/immutable/";

#[derive(rust_embed::Embed)]
#[folder = "frontend/build"]
#[allow_missing = true]
struct Built;

/// Reads a file of the page by its path.
type Read = fn(&str) -> Option<Cow<'static, [u8]>>;

fn built(path: &str) -> Option<Cow<'static, [u8]>> {
    Built::get(path).map(|file| file.data)
}

/// Mounts the page at `/admin`. What is mounted before, as the admin API is, goes first.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    for path in ["/admin", "/admin/{file:.*}"] {
        let readable = guard::Any(guard::Method(Method::GET)).or(guard::Method(Method::HEAD));
        let serve = |request: HttpRequest| std::future::ready(page(&request, built));
        let refuse = || std::future::ready(AdminError::wrong_method("GET, HEAD").error_response());
        app.service(web::resource(path).route(web::route().guard(readable).to(serve)).default_service(web::to(refuse)));
    }
}

/// A file of the page; for a path that is none, the page itself, which knows what to show there.
fn page(request: &HttpRequest, read: Read) -> HttpResponse {
    let wanted = request.match_info().query("file").trim_end_matches('/');
    let is_file = wanted.rsplit('/').next().is_some_and(|name| name.contains('.')) || wanted.starts_with("_app/");
    if is_file && wanted != INDEX {
        return match read(wanted).filter(|_| !is_compressed(wanted)) {
            Some(bytes) => secured(file(request, wanted, bytes, read), ""),
            None => AdminError::no_path(request.path()).error_response(),
        };
    }
    let Some(index) = read(INDEX) else {
        return secured(HttpResponse::NotFound().content_type(content_type(INDEX)).body(MISSING), MISSING);
    };
    let html = String::from_utf8_lossy(&index).into_owned();
    secured(file(request, INDEX, index, read), &html)
}

fn is_compressed(path: &str) -> bool {
    [".br", ".gz"].iter().any(|end| path.ends_with(end))
}

/// A file in the smallest form that the client takes.
fn file(request: &HttpRequest, path: &str, plain: Cow<'static, [u8]>, read: Read) -> HttpResponse {
    let smaller = [("br", ".br"), ("gzip", ".gz")]
        .into_iter()
        .filter(|(encoding, _)| accepts(request, encoding))
        .find_map(|(encoding, end)| read(&format!("{path}{end}")).map(|bytes| (encoding, bytes)));
    let tag = etag(&plain, smaller.as_ref().map_or("", |(encoding, _)| encoding));
    let age = if path.starts_with(IMMUTABLE) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let is_known = is_known(request, &tag);
    let mut response = HttpResponse::build(if is_known { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    response
        .insert_header((header::CACHE_CONTROL, age))
        .insert_header((header::VARY, "accept-encoding"))
        .insert_header((header::ETAG, tag));
    if is_known {
        return response.finish();
    }
    response.insert_header((header::CONTENT_TYPE, content_type(path)));
    match smaller {
        Some((encoding, bytes)) => {
            response.insert_header((header::CONTENT_ENCODING, encoding)).body(bytes.into_owned())
        }
        None => response.body(plain.into_owned()),
    }
}

/// Whether the client takes `encoding` (RFC 9110, 12.5.3): a weight of nought refuses it.
fn accepts(request: &HttpRequest, encoding: &str) -> bool {
    let given = request.headers().get_all(header::ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
    given.flat_map(|value| value.split(',')).any(|item| {
        let (name, weight) = item.split_once(';').unwrap_or((item, "q=1"));
        let weight = weight.trim().trim_start_matches("q=").parse::<f32>().unwrap_or(0.0);
        name.trim().eq_ignore_ascii_case(encoding) && weight > 0.0
    })
}

fn etag(plain: &[u8], encoding: &str) -> String {
    let mut tag = String::from("\"");
    for byte in Sha256::digest(plain).iter().take(12) {
        let _ = write!(tag, "{byte:02x}");
    }
    if !encoding.is_empty() {
        tag.push('-');
        tag.push_str(encoding);
    }
    tag.push('"');
    tag
}

fn is_known(request: &HttpRequest, tag: &str) -> bool {
    let given = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    given.is_some_and(|given| {
        given
            .split(',')
            .any(|one| matches!(one.trim().trim_start_matches("W/"), "*") || one.trim().trim_start_matches("W/") == tag)
    })
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Adds what keeps a page from running or loading what is not its own.
fn secured(mut response: HttpResponse, html: &str) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // A browser would ask for the address of every host that an answer in the playground links to.
    headers.insert(header::X_DNS_PREFETCH_CONTROL, HeaderValue::from_static("off"));
    headers.insert(header::CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("same-origin"));
    if let Ok(policy) = HeaderValue::from_str(&policy(html)) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// The Content-Security-Policy (CSP Level 3) of a page: of inline code only what is in it runs.
fn policy(html: &str) -> String {
    let scripts = hashes(html, "script");
    let styles = hashes(html, "style");
    format!(
        "default-src 'self'; script-src 'self'{scripts}; style-src 'self'{styles}; \
         style-src-attr {ANNOUNCER_STYLE}; img-src 'self' data: blob:; \
         connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}

/// A source for each inline element called `name`.
fn hashes(html: &str, name: &str) -> String {
    let mut sources = String::new();
    for element in html.split(&format!("<{name}")).skip(1) {
        let Some((attributes, rest)) = element.split_once('>') else { continue };
        let Some((code, _)) = rest.split_once(&format!("</{name}>")) else { continue };
        if !attributes.contains("src=") {
            let _ = write!(sources, " 'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(code)));
        }
    }
    sources
}

#[cfg(test)]
mod tests;
