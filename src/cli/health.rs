//! `health`: asks the server of the same settings whether it takes requests. For images without a shell
//! and without curl, as the `HEALTHCHECK` of ours.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use super::{Failed, run_time, say};

/// Longer than the server ever needs, shorter than who asks would wait.
const PATIENCE: Duration = Duration::from_secs(3);

/// Prints what `/health/ready` says.
///
/// # Errors
/// When nobody answers, or not with 200.
pub(super) fn health(listener: (IpAddr, u16)) -> Result<(), Failed> {
    let (status, body) = ask(reachable(listener)).map_err(run_time)?;
    say(std::io::stdout(), body.trim_end());
    if status.contains(" 200 ") { Ok(()) } else { Err(run_time(status)) }
}

/// The address at which a listener is reached from the same machine.
fn reachable((host, port): (IpAddr, u16)) -> SocketAddr {
    let host = match host {
        IpAddr::V4(host) if host.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(host) if host.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        host => host,
    };
    SocketAddr::new(host, port)
}

/// Status line and body of an answer.
fn ask(address: SocketAddr) -> std::io::Result<(String, String)> {
    let mut connection = TcpStream::connect_timeout(&address, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    write!(connection, "GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.take(65_536).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok((head.lines().next().unwrap_or_default().to_owned(), body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_asked_on_loopback() {
        for (listener, asked) in [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:2", "[::1]:2"), ("10.0.0.1:3", "10.0.0.1:3")] {
            let listener: SocketAddr = listener.parse().unwrap();
            assert_eq!(reachable((listener.ip(), listener.port())).to_string(), asked);
        }
    }

    #[test]
    fn a_server_that_is_not_there_is_a_failure() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(health((free.ip(), free.port())).unwrap_err().code, super::super::RUN_TIME);
    }
}
