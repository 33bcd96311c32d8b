//! An accepted connection, and how long its client may keep it without use.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::api::Exchange;
use crate::settings::ClientSettings;

/// After so much silence the kernel asks whether the client's machine is there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// So often it asks.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);

/// So often without an answer, and the connection is gone.
const KEEPALIVE_TRIES: u32 = 4;

/// actix-web refuses heads of more bytes; what comes beyond is the rest of a refused body.
const LARGEST_HEAD: usize = 128 * 1024;

/// A connection. actix-web bounds the time for the first head on it only; here are the others.
pub(super) struct Socket {
    stream: TcpStream,
    exchange: Rc<Exchange>,
    header_timeout: Option<Duration>,
    head: Head,
}

/// What has come of the next head.
enum Head {
    /// Nothing.
    None,
    /// So many bytes.
    Part(usize, Pin<Box<Sleep>>),
    /// It was given up.
    Late,
}

// === impl Socket ===

impl Socket {
    pub(super) fn new(stream: TcpStream, exchange: Rc<Exchange>, settings: ClientSettings) -> Self {
        if let Err(error) = tune(&stream, settings.stall_timeout) {
            // The client may be gone already.
            log::debug!(error:%; "a connection keeps the options of the system");
        }
        Self { stream, exchange, header_timeout: settings.header_timeout, head: Head::None }
    }

    pub(super) const fn exchange(&self) -> &Rc<Exchange> {
        &self.exchange
    }

    /// Takes note of `read` bytes.
    fn note(&mut self, read: usize) {
        let within = self.header_timeout.filter(|_| !self.exchange.is_busy() && !self.exchange.is_new());
        match (&mut self.head, within) {
            (head, None) => *head = Head::None,
            (Head::None, Some(within)) if read > 0 => self.head = Head::Part(read, Box::pin(sleep(within))),
            (Head::Part(size, _), _) => *size = size.saturating_add(read),
            (Head::None | Head::Late, _) => {}
        }
    }

    /// Whether the next head has been coming for too long.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let late = match &mut self.head {
            Head::None => false,
            Head::Part(size, timer) => *size <= LARGEST_HEAD && timer.as_mut().poll(context).is_ready(),
            Head::Late => true,
        };
        if late {
            self.head = Head::Late;
        }
        late
    }
}

/// Lets the kernel end the connection of a client that takes nothing, or whose machine is gone.
fn tune(stream: &TcpStream, stall: Option<Duration>) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY);
    socket.set_tcp_keepalive(&keepalive.with_retries(KEEPALIVE_TRIES))?;
    // Covers both: what is sent and not acknowledged (RFC 5482), and a window that stays shut.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(stall)?;
    #[cfg(not(target_os = "linux"))]
    let _ = stall;
    Ok(())
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.note(buffer.filled().len() - before);
        // To actix-web it looks as if the client had closed, so it does, too.
        if read.is_pending() && self.is_late(context) { Poll::Ready(Ok(())) } else { read }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
