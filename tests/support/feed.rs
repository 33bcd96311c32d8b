//! A subscriber of the configuration feed, which notes when each message came.

use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::{HandshakeError, Message, WebSocket};

use super::{ADMIN_KEY, PATIENCE};

/// An open subscription; it ends when it is dropped.
pub struct Feed {
    pub hello: Value,
    stream: TcpStream,
    events: Receiver<Event>,
}

/// A change as a subscriber got it.
#[derive(Debug, Clone)]
pub struct Change {
    pub version: i64,
    pub at: Instant,
    pub message: Value,
}

enum Event {
    Message(Instant, Value),
    /// The code of the server, or `None` when the connection just ended.
    Closed(Option<u16>),
}

impl Feed {
    /// Subscribes to what comes after `since`.
    pub fn open(address: SocketAddr, since: i64) -> Self {
        Self::try_open(address, since).unwrap_or_else(|status| panic!("no feed: status {status}"))
    }

    /// The same; gives the status when the server refuses.
    pub fn try_open(address: SocketAddr, since: i64) -> Result<Self, u16> {
        let url = format!("ws://{address}/admin/v1/config/feed?since={since}");
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {ADMIN_KEY}").parse().unwrap());
        let stream = TcpStream::connect(address).unwrap();
        let socket = match tungstenite::client(request, stream.try_clone().unwrap()) {
            Ok((socket, _)) => socket,
            Err(HandshakeError::Failure(tungstenite::Error::Http(answer))) => return Err(answer.status().as_u16()),
            Err(error) => panic!("no feed: {error}"),
        };
        let (sender, events) = channel();
        thread::spawn(move || listen(socket, &sender));
        let mut feed = Self { hello: Value::Null, stream, events };
        feed.hello = feed.next().1;
        assert_eq!(feed.hello["type"], "hello", "{}", feed.hello);
        Ok(feed)
    }

    /// The changes from here until the one that made `version`.
    pub fn changes_until(&self, version: i64) -> Vec<Change> {
        let mut changes: Vec<Change> = Vec::new();
        let start = Instant::now();
        while changes.last().is_none_or(|last| last.version < version) {
            let (at, message) = self.next();
            let late = at.duration_since(changes.last().map_or(start, |last| last.at));
            assert!(late < PATIENCE, "version {version} did not come, nothing after {:?}", changes.last());
            changes.extend(change(at, message));
        }
        changes
    }

    /// Waits until the server closes; gives the changes up to there and the close code.
    pub fn closed(self) -> (Vec<Change>, Option<u16>) {
        let mut changes = Vec::new();
        loop {
            match self.events.recv_timeout(PATIENCE).expect("the feed was not closed") {
                Event::Message(at, message) => changes.extend(change(at, message)),
                Event::Closed(code) => return (changes, code),
            }
        }
    }

    fn next(&self) -> (Instant, Value) {
        match self.events.recv_timeout(PATIENCE).expect("nothing more came from the feed") {
            Event::Message(at, message) => (at, message),
            Event::Closed(code) => panic!("the feed was closed: {code:?}"),
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // The server may have closed it.
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

fn change(at: Instant, message: Value) -> Option<Change> {
    (message["type"] == "change").then(|| Change { version: message["version"].as_i64().unwrap(), at, message })
}

fn listen(mut socket: WebSocket<TcpStream>, events: &Sender<Event>) {
    let mut code = None;
    loop {
        let event = match socket.read() {
            Ok(Message::Text(text)) => Event::Message(Instant::now(), serde_json::from_str(&text).unwrap()),
            Ok(Message::Close(frame)) => {
                code = frame.map(|frame| frame.code.into());
                continue;
            }
            Ok(_) => continue,
            Err(_) => Event::Closed(code),
        };
        if matches!(&event, Event::Message(_, message) if message["type"] == "ping") {
            // A failure is an end, which the next read finds, too.
            let _ = socket.send(Message::text(json!({"type": "pong"}).to_string()));
        }
        let is_last = matches!(event, Event::Closed(_));
        // The scenario may have ended already.
        if events.send(event).is_err() || is_last {
            return;
        }
    }
}
