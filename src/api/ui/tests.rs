use actix_web::body::to_bytes;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, dev::ServiceResponse};

use super::*;

const PAGE: &str = "<html><script>go()</script><script src=\"a.js\"></script></html>";

fn some(path: &str) -> Option<Cow<'static, [u8]>> {
    let content: &'static [u8] = match path {
        "index.html" => PAGE.as_bytes(),
        "index.html.br" => b"brotli page",
        "_app/immutable/a.1f.js" => b"plain script",
        "_app/immutable/a.1f.js.br" => b"brotli script",
        "_app/immutable/a.1f.js.gz" => b"gzip script",
        "icon.svg" => b"<svg/>",
        _ => return None,
    };
    Some(Cow::Borrowed(content))
}

async fn ask(read: Read, request: TestRequest) -> ServiceResponse {
    let serve = move |request: HttpRequest| std::future::ready(page(&request, read));
    let app = init_service(App::new().route("/admin", web::to(serve)).route("/admin/{file:.*}", web::to(serve))).await;
    call_service(&app, request.to_request()).await
}

fn get(path: &str) -> TestRequest {
    TestRequest::get().uri(path)
}

fn of<'r>(response: &'r ServiceResponse, name: &str) -> &'r str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

async fn text(response: ServiceResponse) -> String {
    String::from_utf8(to_bytes(response.into_body()).await.unwrap().to_vec()).unwrap()
}

#[actix_web::test]
async fn every_path_of_the_page_gives_the_page() {
    for path in ["/admin", "/admin/", "/admin/providers/7", "/admin/logs?status_code=500", "/admin/index.html"] {
        let response = ask(some, get(path)).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(of(&response, "cache-control"), "no-cache", "{path}");
        assert_eq!(of(&response, "content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(text(response).await, PAGE, "{path}");
    }
}

#[actix_web::test]
async fn a_file_that_is_gone_is_not_answered_with_the_page() {
    for path in ["/admin/_app/immutable/gone.js", "/admin/_app/gone", "/admin/gone.png", "/admin/index.html.br"] {
        let response = ask(some, get(path)).await;
        assert_eq!(response.status(), 404, "{path}");
        assert_eq!(of(&response, "content-type"), "application/json", "{path}");
    }
}

#[actix_web::test]
async fn a_hashed_file_is_kept_for_ever_and_comes_in_the_smallest_form_that_is_taken() {
    for (accepted, encoding, body) in [
        ("gzip, deflate, br, zstd", "br", "brotli script"),
        ("gzip", "gzip", "gzip script"),
        ("br;q=0, gzip;q=0.5", "gzip", "gzip script"),
        ("identity", "", "plain script"),
        ("", "", "plain script"),
    ] {
        let request = get("/admin/_app/immutable/a.1f.js").insert_header(("accept-encoding", accepted));
        let response = ask(some, request).await;
        assert_eq!(of(&response, "content-encoding"), encoding, "{accepted}");
        assert_eq!(of(&response, "cache-control"), "public, max-age=31536000, immutable");
        assert_eq!(of(&response, "content-type"), "text/javascript; charset=utf-8");
        assert_eq!(of(&response, "vary"), "accept-encoding");
        assert_eq!(text(response).await, body, "{accepted}");
    }
}

#[actix_web::test]
async fn a_page_that_the_browser_has_is_not_sent_again() {
    let first = ask(some, get("/admin/")).await;
    let tag = of(&first, "etag").to_owned();
    let again = ask(some, get("/admin/").insert_header(("if-none-match", format!("\"x\", W/{tag}")))).await;
    assert_eq!(again.status(), 304);
    assert_eq!(text(again).await, "");
    let other = ask(some, get("/admin/").insert_header(("if-none-match", "\"x\""))).await;
    assert_eq!(other.status(), 200);
}

#[actix_web::test]
async fn only_what_is_in_the_page_runs_inline_and_nobody_frames_it() {
    let response = ask(some, get("/admin/")).await;
    let policy = of(&response, "content-security-policy").to_owned();
    let hash = BASE64_STANDARD.encode(Sha256::digest("go()"));
    assert!(policy.contains(&format!("script-src 'self' 'sha256-{hash}';")), "{policy}");
    assert!(!policy.contains("unsafe-inline") && !policy.contains("unsafe-eval"), "{policy}");
    assert!(policy.contains("style-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(of(&response, "x-content-type-options"), "nosniff");
    assert_eq!(of(&response, "referrer-policy"), "no-referrer");
    assert_eq!(of(&response, "x-dns-prefetch-control"), "off");
    assert_eq!(of(&response, "cross-origin-opener-policy"), "same-origin");
    let script = ask(some, get("/admin/icon.svg")).await;
    assert!(of(&script, "content-security-policy").contains("script-src 'self';"));
}

#[actix_web::test]
async fn a_build_without_the_page_says_how_to_get_it() {
    let response = ask(|_| None, get("/admin/providers")).await;
    assert_eq!(response.status(), 404);
    assert!(of(&response, "content-security-policy").contains("style-src 'self' 'sha256-"));
    assert!(text(response).await.contains("make frontend"));
}
