//! An accepted connection, and how long its client may keep it without use.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use bytes::BytesMut;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::api::Exchange;
use crate::settings::ClientSettings;

/// After so much silence the kernel asks whether the client's machine is there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// So often it asks.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);

/// So often without an answer, and the connection is gone.
const KEEPALIVE_TRIES: u32 = 4;

/// How much of the next requests is taken in while an answer is under way: behind it the end of the
/// connection could not be seen. Nobody pipelines so much but to do harm.
const MOST_AHEAD: usize = 64 * 1024;

/// What actix-web gets at a time between requests. It would else fill its buffer with whatever
/// follows a request before it looks at the request, and turn in circles as long as the buffer
/// stays full; or answer all of it to a client that reads nothing.
const PORTION: usize = 4 * 1024;

/// actix-web refuses heads of more bytes; what comes beyond is the rest of a refused body.
const LARGEST_HEAD: usize = 128 * 1024;

/// A connection. actix-web bounds the time for the first head on it only; here are the others.
pub(super) struct Socket {
    stream: TcpStream,
    exchange: Rc<Exchange>,
    header_timeout: Option<Duration>,
    head: Head,
    /// What has come of the next requests while an answer was under way.
    ahead: BytesMut,
    /// What actix-web has got since it last had to wait.
    portion: usize,
    /// Whether the client takes no more of its answers for now.
    is_blocked: bool,
    /// Whether what is written waits for the end of the connection.
    is_held: bool,
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
        Self {
            stream,
            exchange,
            header_timeout: settings.header_timeout,
            head: Head::None,
            ahead: BytesMut::new(),
            portion: 0,
            is_blocked: false,
            is_held: false,
        }
    }

    pub(super) const fn exchange(&self) -> &Rc<Exchange> {
        &self.exchange
    }

    /// Takes in what comes while an answer is under way, to see whether the client leaves.
    fn read_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.exchange.wake_when_idle(context);
        loop {
            let mut space = [0; 2048];
            let mut buffer = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.ahead.extend_from_slice(buffer.filled());
            if self.ahead.len() > MOST_AHEAD {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
        }
    }

    /// What actix-web gets: first what came early.
    fn deliver(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // Of a body more at a time, since it goes on to whoever reads it.
        let portion = if self.exchange.is_busy() { MOST_AHEAD } else { PORTION };
        if self.portion >= portion {
            self.portion = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let most = buffer.remaining().min(portion - self.portion);
        if !self.ahead.is_empty() {
            buffer.put_slice(&self.ahead.split_to(most.min(self.ahead.len())));
            return Poll::Ready(Ok(()));
        }
        let mut part = (&mut self.stream).take(u64::try_from(most).unwrap_or(u64::MAX));
        Pin::new(&mut part).poll_read(context, buffer)
    }

    /// Before the last bytes of an answer whose head promised to keep the connection: makes them
    /// leave together with its end. A client that had them first would send its next request into
    /// a connection that is about to close.
    fn hold_for_the_end(&mut self) {
        if !self.is_held && self.exchange.is_last() {
            self.is_held = true;
            #[cfg(target_os = "linux")]
            if let Err(error) = SockRef::from(&self.stream).set_tcp_cork(true) {
                log::debug!(error:%; "the end of a connection comes after its last bytes");
            }
        }
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
        if self.exchange.is_over() {
            return Poll::Ready(Ok(()));
        }
        if self.exchange.is_answering() || (self.is_blocked && !self.exchange.is_busy()) {
            self.note(0);
            return self.read_ahead(context);
        }
        let before = buffer.filled().len();
        let read = self.deliver(context, buffer);
        let filled = buffer.filled().len() - before;
        self.portion = if read.is_ready() { self.portion + filled } else { 0 };
        self.note(filled);
        // To actix-web it looks as if the client had closed, so it does, too.
        if read.is_pending() && self.is_late(context) { Poll::Ready(Ok(())) } else { read }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.hold_for_the_end();
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.is_blocked = written.is_pending();
        written
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
        self.hold_for_the_end();
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.is_blocked = written.is_pending();
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
