//! A provider that does what a scenario says: a thread for each connection, blocking, so that it
//! costs little beside the proxy.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::support::PATIENCE;
use crate::wire::Mark;

/// What a scenario does with a request. An error ends the connection.
type Script = dyn Fn(&mut Talk) -> io::Result<()> + Send + Sync;

/// A provider on a port of its own. It goes on until the process ends.
pub struct Provider {
    address: SocketAddr,
    pub counts: Arc<Counts>,
}

/// What goes on at a provider.
#[derive(Default)]
pub struct Counts {
    /// Connections that are open.
    pub open: AtomicUsize,
    /// Requests that are being answered.
    pub busy: AtomicUsize,
    /// Requests that ever came.
    pub requests: AtomicUsize,
    /// Answers that the proxy should have left, but did not.
    pub stuck: AtomicUsize,
}

/// A request, and the connection on which it is answered.
pub struct Talk {
    /// What the client's text says.
    pub mark: Mark,
    pub is_streamed: bool,
    stream: BufReader<TcpStream>,
    counts: Arc<Counts>,
}

/// Counts what goes on for as long as it lives.
struct Counted<'c>(&'c AtomicUsize);

impl Provider {
    pub fn new(script: impl Fn(&mut Talk) -> io::Result<()> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (script, counts): (Arc<Script>, Arc<Counts>) = (Arc::new(script), Arc::default());
        let shared = Arc::clone(&counts);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, counts) = (Arc::clone(&script), Arc::clone(&shared));
                let serve = move || {
                    let _open = Counted::new(&counts.open);
                    // The proxy may leave at any point.
                    let _ = serve(stream, &counts, &*script);
                };
                thread::Builder::new().stack_size(256 * 1024).spawn(serve).unwrap();
            }
        });
        Self { address, counts }
    }

    /// The `api_base` of this provider.
    pub fn base(&self) -> String {
        format!("http://{}/v1", self.address)
    }
}

fn serve(stream: TcpStream, counts: &Arc<Counts>, script: &Script) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if stream.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
        });
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body)?;
        let _busy = Counted::new(&counts.busy);
        counts.requests.fetch_add(1, Ordering::SeqCst);
        let body = String::from_utf8(body).unwrap();
        let is_streamed = body.contains("\"stream\":true");
        let mut talk = Talk { mark: Mark::of(&body), is_streamed, stream, counts: Arc::clone(counts) };
        script(&mut talk)?;
        stream = talk.stream;
    }
}

impl Talk {
    pub fn say(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Says nothing more until the proxy hangs up, which it must.
    pub fn wait_for_hangup(&mut self) -> io::Result<()> {
        self.wait_for_hangup_within(PATIENCE)
    }

    /// The same for a client that stays long.
    pub fn wait_for_hangup_within(&mut self, patience: Duration) -> io::Result<()> {
        self.stream.get_mut().set_read_timeout(Some(patience))?;
        let ended = self.stream.read(&mut [0]);
        if ended.is_err_and(|error| matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)) {
            self.counts.stuck.fetch_add(1, Ordering::SeqCst);
        }
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// Breaks the connection off.
    pub fn reset(&mut self) -> io::Result<()> {
        reset_when_dropped(self.stream.get_ref());
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// Closes the connection.
    pub fn close(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

/// Makes the end of a connection a reset instead of a farewell.
pub fn reset_when_dropped(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
}

impl<'c> Counted<'c> {
    fn new(count: &'c AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
