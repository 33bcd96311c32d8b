//! A websocket client that hides nothing: frames as they come.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use super::{ADMIN_KEY, Answer, Connection, Headers};

const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Headers that ask for a websocket.
pub const UPGRADE: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// An open websocket.
pub struct WebSocket {
    stream: BufReader<TcpStream>,
}

impl WebSocket {
    /// Asks for a websocket; gives the answer and, when it was granted, the socket.
    pub fn request(address: SocketAddr, path: &str, headers: Headers<'_>) -> (Answer, Option<Self>) {
        let mut connection = Connection::open(address);
        let headers: Vec<(&str, &str)> = UPGRADE.iter().chain(headers).copied().collect();
        connection.send("GET", path, &headers, b"");
        let answer = connection.head();
        if answer.status != 101 {
            return (connection.rest(answer), None);
        }
        assert_eq!(answer.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        (answer, Some(Self { stream: connection.into_stream() }))
    }

    /// Opens the feed with the admin key.
    #[track_caller]
    pub fn feed(address: SocketAddr, query: &str) -> Self {
        let bearer = format!("Bearer {ADMIN_KEY}");
        let (answer, socket) =
            Self::request(address, &format!("/admin/v1/config/feed{query}"), &[("authorization", &bearer)]);
        socket.unwrap_or_else(|| panic!("{answer:?}"))
    }

    /// The next frame: its opcode and its content.
    pub fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).unwrap();
        assert_eq!((head[0] & 0xf0, head[1] & 0x80), (0x80, 0), "whole and not masked");
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.stream.read_exact(&mut length).unwrap();
                u64::from(u16::from_be_bytes(length))
            }
            127 => {
                let mut length = [0; 8];
                self.stream.read_exact(&mut length).unwrap();
                u64::from_be_bytes(length)
            }
            short => u64::from(short),
        };
        let mut content = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut content).unwrap();
        (head[0] & 0x0f, content)
    }

    /// The next message.
    #[track_caller]
    pub fn message(&mut self) -> Value {
        let (opcode, content) = self.frame();
        assert_eq!(opcode, TEXT, "{:?}", String::from_utf8_lossy(&content));
        serde_json::from_slice(&content).unwrap()
    }

    /// The next message of this type; answers pings on the way.
    #[track_caller]
    pub fn next(&mut self, kind: &str) -> Value {
        loop {
            let message = self.message();
            if message["type"] == kind {
                return message;
            }
            if message["type"] == "ping" {
                self.say(&json!({"type": "pong"}));
            }
        }
    }

    /// The versions of the next `count` changes.
    #[track_caller]
    pub fn versions(&mut self, count: usize) -> Vec<i64> {
        (0..count).map(|_| self.next("change")["version"].as_i64().unwrap()).collect()
    }

    /// The code with which the server closes; what it says before goes to `seen`. The server is also
    /// the one to close the connection then.
    #[track_caller]
    pub fn closed(&mut self, mut seen: impl FnMut(Value)) -> u16 {
        loop {
            let (opcode, content) = self.frame();
            if opcode == TEXT {
                seen(serde_json::from_slice(&content).unwrap());
                continue;
            }
            assert_eq!(opcode, CLOSE);
            let code = u16::from_be_bytes([content[0], content[1]]);
            // After a frame that it cannot read the server may be gone already.
            let _ = self.stream.get_mut().write_all(&frame(CLOSE, &content[..2]));
            let mut rest = Vec::new();
            // Nothing follows; a reset is an end, too.
            let _ = self.stream.read_to_end(&mut rest);
            assert!(rest.is_empty());
            return code;
        }
    }

    pub fn say(&mut self, message: &Value) {
        self.send(TEXT, message.to_string().as_bytes());
    }

    pub fn send(&mut self, opcode: u8, content: &[u8]) {
        self.bytes(&frame(opcode, content));
    }

    /// Sends bytes that need not be a frame.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// Asks the server to close; gives the code with which it agrees.
    pub fn close(mut self) -> u16 {
        self.send(CLOSE, &1000_u16.to_be_bytes());
        self.closed(drop)
    }

    /// Pings as the protocol does; gives what comes back.
    pub fn ping(&mut self, mark: &[u8]) -> Vec<u8> {
        self.send(PING, mark);
        let (opcode, content) = self.frame();
        assert_eq!(opcode, PONG);
        content
    }
}

/// A masked frame.
fn frame(opcode: u8, content: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [1, 2, 3, 4];
    let mut frame = vec![0x80 | opcode];
    match content.len() {
        short @ 0..126 => frame.push(0x80 | u8::try_from(short).unwrap()),
        middle @ 126..65536 => {
            frame.push(0xfe);
            frame.extend(u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            frame.push(0xff);
            frame.extend(u64::try_from(long).unwrap().to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(content.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
