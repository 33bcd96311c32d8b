//! The mock provider: a server that speaks all three protocols and behaves, or misbehaves, as the
//! model name says. It is the upstream of `llm-proxy demo` and `llm-proxy mock` and of the
//! integration tests, so every answer has all the fields that the official SDKs look for.

mod chat;
mod completions;
mod exchange;
mod faults;
mod filler;
mod frames;
mod messages;
mod models;
mod plan;
mod problem;
mod responses;
#[cfg(test)]
mod tests;
mod text;

use actix_web::{
    App, HttpResponse, HttpServer,
    dev::Server,
    web::{self, Data, PayloadConfig, ServiceConfig},
};
use exchange::{serve, unique};
use problem::{Problem, Shape};
use std::{io, net::SocketAddr, time::Duration};

/// Largest request body, in bytes.
const MOST_BODY_BYTES: usize = 64 * 1024 * 1024;
/// How long an idle connection stays open: longer than any pool of the proxy keeps it.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Seconds that a graceful stop waits for open streams.
const SHUTDOWN_SECONDS: u64 = 1;

/// Where the mock listens and how fast it speaks.
#[derive(Clone, Debug)]
pub struct Options {
    /// Host name or address to bind, such as `127.0.0.1`.
    pub host: String,
    /// Port to bind; 0 takes any free one, see [`Bound::addr`].
    pub port: u16,
    /// Pause between streamed words; zero sends them all at once, still as separate events.
    pub pace: Duration,
    /// Whether SIGINT and SIGTERM stop the server; false leaves the signals to the caller.
    pub handle_signals: bool,
}

/// A mock that has its port and accepts connections once [`Bound::run`] is awaited.
#[derive(Debug)]
pub struct Bound {
    addr: SocketAddr,
    server: ServerFuture,
}

/// [`Options::pace`] as the handlers see it.
#[derive(Clone, Copy, Debug)]
struct Pace(Duration);

/// A server that was not started; it has nothing to show in a debug output.
struct ServerFuture(Server);

impl Default for Options {
    /// The defaults of `llm-proxy mock`: `127.0.0.1:18001`, 20 ms between words, signals handled.
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: 18_001, pace: Duration::from_millis(20), handle_signals: true }
    }
}

impl Bound {
    /// The address that was bound, with the port that port 0 has become.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The server: a future that ends when the server has stopped. Await or spawn it inside an
    /// actix system; `handle()` gives what stops it.
    pub fn run(self) -> Server {
        self.server.0
    }
}

impl std::fmt::Debug for ServerFuture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Server")
    }
}

/// Binds the mock to its address.
///
/// # Errors
/// The host cannot be resolved, or its address cannot be bound.
pub fn bind(options: &Options) -> io::Result<Bound> {
    let pace = Data::new(Pace(options.pace));
    let app = move || {
        App::new()
            .app_data(pace.clone())
            .app_data(PayloadConfig::new(MOST_BODY_BYTES))
            .route("/health", web::get().to(health))
            .service(web::scope("/v1").configure(routes))
            .configure(routes)
            .default_service(web::to(unknown_path))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .h1_allow_half_closed(false)
        .tcp_nodelay(true)
        .bind((options.host.as_str(), options.port))?;
    let addr = server.addrs().first().copied().ok_or_else(|| io::Error::other("no address was bound"))?;
    let server = if options.handle_signals { server } else { server.disable_signals() };
    Ok(Bound { addr, server: ServerFuture(server.run()) })
}

fn routes(config: &mut ServiceConfig) {
    config
        .route("/chat/completions", web::post().to(serve::<chat::Chat>))
        .route("/completions", web::post().to(serve::<completions::Completions>))
        .route("/embeddings", web::post().to(serve::<completions::Embeddings>))
        .route("/messages", web::post().to(serve::<messages::Messages>))
        .route("/messages/count_tokens", web::post().to(serve::<messages::CountTokens>))
        .route("/responses", web::post().to(serve::<responses::Responses>))
        .route("/models", web::get().to(models::list));
}

async fn health() -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({"status": "ok"}))
}

async fn unknown_path() -> HttpResponse {
    let message = "The mock has no such path.".to_owned();
    let problem = Problem { status: 404, message, code: Some("unknown_url"), param: None };
    exchange::refuse(&problem, Shape::OpenAi, &unique("req_mock_"))
}
