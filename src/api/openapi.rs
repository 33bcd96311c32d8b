//! The description of the whole HTTP surface, and a browser for it.

use std::sync::{Arc, LazyLock};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use utoipa::OpenApi as _;
use utoipa_swagger_ui::Config;

use super::admin::document::AdminApi;
use super::{Shared, get, reading, reply};

/// What belongs to no single part of the surface.
#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "llm-proxy",
    description = "One address for every LLM provider, configured at run time.",
    license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
))]
struct Head;

static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(openapi);

/// The browser's settings. The validator would send the document to somebody else's server.
static BROWSER: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::new(["/admin/v1/openapi.json"]).validator_url("none")));

/// Describes every path of the HTTP surface as OpenAPI 3.1. Always the same bytes for one build.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut document = Head::openapi();
    // Each part of the surface adds its own paths here.
    document.merge(AdminApi::openapi());
    document
}

/// The same, built once.
pub(super) fn shared() -> &'static utoipa::openapi::OpenApi {
    &DOCUMENT
}

/// Mounts the API browser at `/docs`.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    for path in ["/docs", "/docs/{file:.+}"] {
        app.service(reading(path).route(get().to(browser)));
    }
}

/// Serves an embedded file of the browser.
async fn browser(request: HttpRequest, shared: web::Data<Shared>) -> HttpResponse {
    let name = request.match_info().query("file");
    match utoipa_swagger_ui::serve(name, Arc::clone(&BROWSER)) {
        Ok(Some(file)) => {
            let bytes = if file.content_type == "text/html" { based(&file.bytes) } else { file.bytes.into_owned() };
            HttpResponse::Ok().insert_header((header::CONTENT_TYPE, file.content_type)).body(bytes)
        }
        Ok(None) => reply::unknown_url(request, shared).await,
        Err(error) => {
            log::error!(error:%; "the API browser cannot be served");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// Makes the page's relative links work at `/docs` as they do at `/docs/`.
fn based(page: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(page).replacen("<head>", "<head><base href=\"/docs/\">", 1).into_bytes()
}
