//! The HTTP server on its listener.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol};
use actix_server::Server;
use actix_service::{ServiceFactory, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;
use actix_web::{App, middleware, web};
use tokio::sync::watch;

use super::socket::Socket;
use super::{CUT_WITHIN, LINGER};
use crate::api::{self, Exchange, Newcomers, Shared};
use crate::proxy::Proxy;
use crate::upstream::Client;

/// How long an idle connection of a client is kept. Longer than load balancers keep theirs (nginx
/// and AWS 60 s): who closes first races with a request of the other's.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// The clock by which actix-http sets its timers may be so late, which makes them early.
const CLOCK: Duration = Duration::from_millis(500);

/// What makes the service of a worker.
#[derive(Clone)]
pub(super) struct Services {
    pub shared: web::Data<Shared>,
    pub tls: Arc<rustls::ClientConfig>,
    /// Connections without a request.
    pub newcomers: Newcomers,
    /// True when idle connections shall end.
    pub ends: watch::Receiver<bool>,
}

impl Services {
    /// The same for connections that end with their answers, not before.
    pub(super) fn lasting(&self) -> Self {
        // Without its sender a channel says nothing more.
        Self { ends: watch::channel(false).1, ..self.clone() }
    }

    /// A service that carries connections to the end.
    pub(super) fn service(
        &self,
    ) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()> + use<> {
        let settings = Arc::clone(&self.shared.settings);
        let clients = settings.http.clients;
        let client = Client::new(Arc::clone(&self.tls), settings.upstream);
        let proxy = Proxy { handles: self.shared.handles.clone(), settings, client };
        let app = App::new()
            .wrap(middleware::from_fn(api::keep_pace))
            .wrap(middleware::from_fn(api::finish))
            .app_data(self.shared.clone())
            .app_data(web::Data::new(proxy))
            .configure(api::routes);
        let ends = self.ends.clone();
        let http = HttpService::build()
            .keep_alive(KEEP_ALIVE)
            // Zero is off.
            .client_request_timeout(clients.header_timeout.map_or(Duration::ZERO, |time| time + CLOCK))
            .client_disconnect_timeout(LINGER)
            // With the default a client that leaves is not noticed, and its stream goes on to cost.
            .h1_allow_half_closed(false)
            .graceful_shutdown_signal(move || {
                let mut ends = ends.clone();
                async move {
                    if ends.wait_for(|ends| *ends).await.is_err() {
                        // Nobody is left who could say so.
                        std::future::pending::<()>().await;
                    }
                }
            })
            .on_connect_ext(|socket: &Socket, data| drop(data.insert(Rc::clone(socket.exchange()))))
            .finish(map_config(app, |()| AppConfig::default()));
        let newcomers = self.newcomers.clone();
        fn_service(move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            let socket = Socket::new(stream, Exchange::new(newcomers.clone()), clients);
            std::future::ready(Ok::<_, DispatchError>((socket, Protocol::Http1, peer)))
        })
        .and_then(http)
    }
}

/// The server, not yet running.
pub(super) fn server(listener: TcpListener, services: Services) -> std::io::Result<Server> {
    let http = &services.shared.settings.http;
    let (workers, drain) = (http.workers, http.shutdown_drain);
    Server::build()
        .workers(workers)
        .disable_signals()
        .shutdown_timeout((drain + CUT_WITHIN).as_secs())
        .listen("http", listener, move || services.service())
        .map(actix_server::ServerBuilder::run)
}
