//! Opening connections: which addresses, which socket options, TLS.
//!
//! The addresses themselves are judged, after the name was resolved and before one of them is
//! connected to, so that no notation of a host and no change of its DNS records leads elsewhere.
//!
//! TLS is added here and not by awc: [`StrictStream`] has to see HTTP, not its encryption, and one
//! time limit holds for TCP and TLS together.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_rt::net::TcpStream;
use actix_service::Service;
use actix_tls::connect::rustls_0_23::{TlsConnector, TlsConnectorService};
use actix_tls::connect::tcp::TcpConnectorService;
use actix_tls::connect::{ConnectError, ConnectInfo, Connection, Host, Resolver, ResolverService};
use awc::http::Uri;
use rustls::ClientConfig;
use socket2::{SockRef, TcpKeepalive};

use super::strict::{StrictStream, Wire};
use crate::config::{AddressClass, AddressRule};

/// How often TCP asks again when the other side does not answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

tokio::task_local! {
    /// How long the last new connection of this piece of work took.
    static CONNECTED: Cell<Option<Duration>>;
}

/// What `work` comes to, and how long it took to connect; `None` where a kept connection was
/// used. Requests to a provider run where their connections are opened.
pub async fn time_connect<F: Future>(work: F) -> (F::Output, Option<Duration>) {
    let timed = async { (work.await, CONNECTED.try_with(Cell::get).ok().flatten()) };
    CONNECTED.scope(Cell::new(None), timed).await
}

/// Connects with [`StrictStream`].
#[derive(Clone)]
pub(super) struct StrictConnector {
    resolver: ResolverService,
    tcp: TcpConnectorService,
    tls: Option<TlsConnectorService>,
    rule: AddressRule,
    keepalive: Option<Duration>,
}

/// The name in a certificate.
struct ServerName(String);

impl StrictConnector {
    /// A connector to addresses that `rule` allows; `keepalive` is the silence after which TCP
    /// asks whether the other side is still there.
    pub(super) fn new(tls: Option<Arc<ClientConfig>>, rule: AddressRule, keepalive: Option<Duration>) -> Self {
        Self {
            resolver: Resolver::default().service(),
            tcp: TcpConnectorService::default(),
            tls: tls.map(TlsConnector::service),
            rule,
            keepalive,
        }
    }

    async fn connect(self, mut resolved: ConnectInfo<Uri>) -> Result<Connection<Uri, StrictStream>, ConnectError> {
        let mut refused = None;
        let allowed = |address: &std::net::SocketAddr| match self.rule.check(address.ip()) {
            Ok(()) => true,
            Err(class) => {
                refused = Some(class);
                false
            }
        };
        let addresses: Vec<_> = resolved.take_addrs().filter(allowed).collect();
        if let (true, Some(class)) = (addresses.is_empty(), refused) {
            return Err(ConnectError::Io(refusal(class)));
        }
        let (tcp, uri) = self.tcp.call(resolved.set_addrs(addresses)).await?.into_parts();
        self.set_options(&tcp).map_err(ConnectError::Io)?;
        let wire = match &self.tls {
            None => Wire::Plain(tcp),
            Some(tls) => {
                let connection = Connection::new(ServerName(uri.hostname().to_owned()), tcp);
                let (stream, _) = tls.call(connection).await.map_err(ConnectError::Io)?.into_parts();
                Wire::Tls(Box::new(stream))
            }
        };
        Ok(Connection::new(uri, StrictStream::new(wire)))
    }

    fn set_options(&self, tcp: &TcpStream) -> io::Result<()> {
        // awc sets none; without it a request that is written in two parts waits for an ACK.
        tcp.set_nodelay(true)?;
        let Some(silence) = self.keepalive else {
            return Ok(());
        };
        let keepalive = TcpKeepalive::new().with_time(silence).with_interval(silence.min(KEEPALIVE_INTERVAL));
        SockRef::from(tcp).set_tcp_keepalive(&keepalive)
    }
}

fn refusal(class: AddressClass) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("{class} is not allowed"))
}

impl Service<ConnectInfo<Uri>> for StrictConnector {
    type Response = Connection<Uri, StrictStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>>>>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<ConnectInfo<Uri>>::poll_ready(&self.resolver, cx)
    }

    fn call(&self, info: ConnectInfo<Uri>) -> Self::Future {
        let (resolving, this) = (self.resolver.call(info), self.clone());
        Box::pin(async move {
            let begun = Instant::now();
            let connection = this.connect(resolving.await?).await?;
            // Outside of `time_connect` nobody wants to know.
            let _ = CONNECTED.try_with(|connected| connected.set(Some(begun.elapsed())));
            Ok(connection)
        })
    }
}

impl Host for ServerName {
    /// IPv6 addresses stand in brackets in a URL only.
    fn hostname(&self) -> &str {
        self.0.trim_start_matches('[').trim_end_matches(']')
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};

    use actix_tls::connect::Resolve;
    use futures_util::future::LocalBoxFuture;

    use super::*;

    /// Resolves every name to the same addresses.
    struct Fixed(Vec<SocketAddr>);

    impl Resolve for Fixed {
        fn lookup<'a>(
            &'a self,
            _: &'a str,
            _: u16,
        ) -> LocalBoxFuture<'a, Result<Vec<SocketAddr>, Box<dyn std::error::Error>>> {
            Box::pin(std::future::ready(Ok(self.0.clone())))
        }
    }

    fn connector(rule: AddressRule, addresses: Vec<SocketAddr>) -> StrictConnector {
        let resolver = Resolver::custom(Fixed(addresses)).service();
        StrictConnector { resolver, ..StrictConnector::new(None, rule, None) }
    }

    async fn connect(connector: &StrictConnector, url: &str) -> Result<StrictStream, String> {
        let info = ConnectInfo::new(Uri::try_from(url).unwrap());
        let connected = connector.call(info).await;
        connected.map(|connection| connection.into_parts().0).map_err(|error| match error {
            ConnectError::Io(error) => error.to_string(),
            error => error.to_string(),
        })
    }

    #[actix_web::test]
    async fn of_the_addresses_of_a_name_only_allowed_ones_are_tried() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = listener.local_addr().unwrap();
        let bad = SocketAddr::new("169.254.169.254".parse().unwrap(), good.port());
        // A connection to the first one would not fail before its time is over.
        let connector = connector(AddressRule::default(), vec![bad, good, bad]);
        let stream = connect(&connector, "http://provider.example").await.unwrap();
        assert_eq!(stream.tcp().peer_addr().unwrap(), good);
    }

    #[actix_web::test]
    async fn a_name_with_refused_addresses_only_is_not_connected_to() {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        for (address, class) in [
            ("0.0.0.0", "an unspecified address"),
            ("::ffff:0.0.0.0", "an unspecified address"),
            ("169.254.1.1", "a link-local address"),
            ("::ffff:169.254.169.254", "the address of a cloud's metadata service"),
        ] {
            let connector = connector(AddressRule::default(), vec![SocketAddr::new(address.parse().unwrap(), port)]);
            let error = connect(&connector, "http://provider.example").await.unwrap_err();
            assert_eq!(error, format!("{class} is not allowed"), "{address}");
        }
        assert_eq!(listener.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[actix_web::test]
    async fn an_address_in_the_url_is_judged_although_nobody_resolves_it() {
        let connector = StrictConnector::new(None, AddressRule::default(), None);
        for url in ["http://169.254.169.254", "http://[::ffff:169.254.169.254]", "http://[fe80::1]", "http://0.0.0.0:1"]
        {
            let error = connect(&connector, url).await.unwrap_err();
            assert!(error.ends_with("is not allowed"), "{url}: {error}");
        }
    }

    #[actix_web::test]
    async fn keepalive_is_set_unless_it_is_off() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        for (silence, interval) in [(None, None), (Some(60), Some(15)), (Some(5), Some(5))] {
            let (silence, interval) = (silence.map(Duration::from_secs), interval.map(Duration::from_secs));
            let connector = StrictConnector::new(None, AddressRule::default(), silence);
            let stream = connect(&connector, &url).await.unwrap();
            let socket = SockRef::from(stream.tcp());
            assert_eq!(socket.keepalive().unwrap(), silence.is_some());
            if let (Some(silence), Some(interval)) = (silence, interval) {
                assert_eq!(socket.tcp_keepalive_time().unwrap(), silence);
                assert_eq!(socket.tcp_keepalive_interval().unwrap(), interval);
            }
            assert!(stream.tcp().nodelay().unwrap());
        }
    }
}
