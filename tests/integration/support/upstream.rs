//! A provider that does exactly what a test says, and tells what it saw.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use socket2::SockRef;

use super::wait::PATIENCE;

const BETWEEN_DRIPS: Duration = Duration::from_millis(10);

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// Request line and headers.
    pub head: String,
    pub body: Vec<u8>,
}

/// A step of an answer.
pub enum Act {
    /// These bytes go out at once.
    Send(Vec<u8>),
    /// Wait until the test sends something, or drops its end.
    Await(Arc<Mutex<Receiver<()>>>),
    /// Send nothing more until the proxy hangs up.
    Hang,
    /// Close the connection.
    Close,
    /// Reset the connection.
    Reset,
    /// These bytes so many times, or until the proxy hangs up.
    Repeat(Vec<u8>, usize),
    /// These bytes again and again, a moment apart, until the proxy hangs up.
    Drip(Vec<u8>),
}

type Script = dyn Fn(&Received) -> Vec<Act> + Send + Sync;

/// A scripted provider on a port of its own.
pub struct Upstream {
    address: SocketAddr,
    requests: Receiver<Received>,
    hangups: Receiver<Instant>,
}

struct Conversation {
    stream: BufReader<TcpStream>,
    script: Arc<Script>,
    requests: Sender<Received>,
    hangups: Sender<Instant>,
}

impl Upstream {
    /// A provider whose acts depend on the request.
    pub fn new(script: impl Fn(&Received) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let script: Arc<Script> = Arc::new(script);
        let (request_sender, requests) = channel();
        let (hangup_sender, hangups) = channel();
        // Ends with the process; a listener cannot be interrupted.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                stream.set_nodelay(true).unwrap();
                let conversation = Conversation {
                    stream: BufReader::new(stream),
                    script: Arc::clone(&script),
                    requests: request_sender.clone(),
                    hangups: hangup_sender.clone(),
                };
                thread::spawn(move || conversation.run());
            }
        });
        Self { address, requests, hangups }
    }

    /// A provider that sends these bytes to every request.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::new(move |_| vec![Act::Send(bytes.clone())])
    }

    /// A provider that answers 200 with this JSON.
    pub fn json(body: &str) -> Self {
        Self::bytes(answer(200, "content-type: application/json\r\n", body))
    }

    /// A provider that answers with a status, headers (each with its line end) and a body.
    pub fn status(status: u16, headers: &str, body: &str) -> Self {
        Self::bytes(answer(status, headers, body))
    }

    /// A provider that streams these pieces, each in a chunk and a packet of its own.
    pub fn stream<P: AsRef<[u8]>>(pieces: &[P]) -> Self {
        let mut sends = vec![Act::stream_head().bytes()];
        sends.extend(pieces.iter().map(|piece| Act::chunk(piece).bytes()));
        sends.push(b"0\r\n\r\n".to_vec());
        Self::new(move |_| sends.iter().cloned().map(Act::Send).collect())
    }

    /// Where this provider listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The `api_base` of this provider.
    pub fn base(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The next request.
    pub fn request(&self) -> Received {
        self.requests.recv_timeout(PATIENCE).expect("no request came to the provider")
    }

    /// Requests that have come and were not asked for yet.
    pub fn waiting(&self) -> usize {
        self.all_waiting().count()
    }

    /// The same, themselves.
    pub fn all_waiting(&self) -> impl Iterator<Item = Received> {
        self.requests.try_iter()
    }

    /// When the proxy hung up.
    pub fn hangup(&self) -> Instant {
        self.hangups.recv_timeout(PATIENCE).expect("the proxy did not hang up")
    }
}

/// A whole answer.
fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Any\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

impl Act {
    /// The head of a stream.
    pub fn stream_head() -> Self {
        Self::send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    }

    /// A piece of a stream.
    pub fn chunk(piece: impl AsRef<[u8]>) -> Self {
        let piece = piece.as_ref();
        let mut bytes = format!("{:x}\r\n", piece.len()).into_bytes();
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
        Self::Send(bytes)
    }

    /// These bytes.
    pub fn send(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Send(bytes.into())
    }

    /// A wait and what ends it.
    pub fn gate() -> (Sender<()>, Arc<Mutex<Receiver<()>>>) {
        let (sender, receiver) = channel();
        (sender, Arc::new(Mutex::new(receiver)))
    }

    fn bytes(self) -> Vec<u8> {
        match self {
            Self::Send(bytes) => bytes,
            Self::Await(_) | Self::Hang | Self::Close | Self::Reset | Self::Repeat(..) | Self::Drip(_) => Vec::new(),
        }
    }
}

impl Received {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    }

    /// The names of all headers, in lower case, sorted.
    pub fn header_names(&self) -> Vec<String> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut names: Vec<String> = lines.map(|(name, _)| name.to_lowercase()).collect();
        names.sort_unstable();
        names
    }

    /// Method and path.
    pub fn target(&self) -> &str {
        self.head.lines().next().and_then(|line| line.strip_suffix(" HTTP/1.1")).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl Conversation {
    fn run(mut self) {
        while let Some(request) = self.read() {
            let acts = (self.script)(&request);
            // The test may have ended already.
            let _ = self.requests.send(request);
            for act in acts {
                if !self.act(act) {
                    return;
                }
            }
        }
        let _ = self.hangups.send(Instant::now());
    }

    /// Whether the connection goes on.
    fn act(&mut self, act: Act) -> bool {
        match act {
            Act::Send(bytes) => {
                // An error is a hang-up, which the next read finds, too.
                let _ = self.stream.get_mut().write_all(&bytes);
                true
            }
            Act::Await(gate) => {
                let _ = gate.lock().unwrap().recv();
                true
            }
            Act::Hang => {
                let mut rest = Vec::new();
                let _ = self.stream.read_to_end(&mut rest);
                let _ = self.hangups.send(Instant::now());
                false
            }
            Act::Close => {
                let _ = self.stream.get_mut().shutdown(Shutdown::Both);
                false
            }
            Act::Reset => {
                // Closed without lingering, a connection is reset.
                SockRef::from(self.stream.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
                false
            }
            Act::Repeat(bytes, times) => {
                let _ = (0..times).try_for_each(|_| self.stream.get_mut().write_all(&bytes));
                true
            }
            Act::Drip(bytes) => {
                self.drip(&bytes);
                let _ = self.hangups.send(Instant::now());
                false
            }
        }
    }

    /// Writes until the proxy hangs up, which is what it waits for in between.
    fn drip(&mut self, bytes: &[u8]) {
        let stream = self.stream.get_mut();
        stream.set_read_timeout(Some(BETWEEN_DRIPS)).unwrap();
        while stream.write_all(bytes).is_ok() {
            match stream.read(&mut [0]) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                _ => return,
            }
        }
    }

    fn read(&mut self) -> Option<Received> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let mut request = Received { head, body: Vec::new() };
        request.body = vec![0; request.header("content-length").map_or(0, |length| length.parse().unwrap())];
        self.stream.read_exact(&mut request.body).ok()?;
        Some(request)
    }
}
