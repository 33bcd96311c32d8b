//! One client of the feed.

use std::sync::Arc;
use std::time::Instant;

use actix::{
    Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Handler, StreamHandler, WrapFuture as _,
};
use actix_web::web;
use actix_web_actors::ws::{CloseCode, CloseReason, Message, ProtocolError, WebsocketContext};
use bytes::Bytes;
use chrono::Utc;
use serde::Deserialize;
use serde_json::json;

use crate::actors::config::Reload;
use crate::actors::feed::{Answer, Deliver, Ending, ReadPage, Subscribe, Subscription};
use crate::actors::{AskError, ask};
use crate::api::admin::auth::is_admin_key;
use crate::api::{Phase, Shared};
use crate::config::rfc3339;

/// Deliveries that may wait for a client that does not read. Nothing runs here while it does not:
/// actix-web asks for more only when what was written before is on its way.
const MAILBOX: usize = 256;

/// A websocket from its upgrade to its end.
pub(super) struct Session {
    shared: web::Data<Shared>,
    /// The last version that the client knows.
    since: Option<i64>,
    is_admitted: bool,
    is_greeted: bool,
    has_reloaded: bool,
    subscription: Option<Arc<Subscription>>,
    /// When the client last said anything.
    heard: Instant,
    is_closing: bool,
}

type Scene = WebsocketContext<Session>;

/// What a client may say.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Said {
    Auth { key: String },
    Pong {},
}

/// Why the server closes the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Close {
    Shutdown,
    BadMessage,
    Unauthorized,
    Silent,
    Ahead,
    Slow,
    DatabaseLost,
}

impl From<Close> for CloseReason {
    fn from(close: Close) -> Self {
        let (code, reason) = match close {
            Close::Shutdown => (1001, "the server stops"),
            Close::BadMessage => (4400, "a message cannot be understood, is in parts or is over 64 KiB"),
            Close::Unauthorized => (4401, "the admin key is wrong or did not come in time"),
            Close::Silent => (4408, "no pong came"),
            Close::Ahead => (4409, "since is above the current version: read the configuration anew"),
            Close::Slow => (4429, "too slow: connect again with since"),
            Close::DatabaseLost => (4503, "the database is not available: connect again with since"),
        };
        Self { code: CloseCode::from(code), description: Some(reason.to_owned()) }
    }
}

impl From<Option<Ending>> for Close {
    fn from(ending: Option<Ending>) -> Self {
        match ending {
            Some(Ending::Slow) => Self::Slow,
            Some(Ending::Lost) => Self::DatabaseLost,
            Some(Ending::WentBack) => Self::Ahead,
            None => Self::Shutdown,
        }
    }
}

// === impl Session ===

impl Session {
    /// A client that wants every change above `since`, or, without it, from now on.
    pub(super) fn new(shared: web::Data<Shared>, since: Option<i64>, is_admitted: bool) -> Self {
        Self {
            shared,
            since,
            is_admitted,
            is_greeted: false,
            has_reloaded: false,
            subscription: None,
            heard: Instant::now(),
            is_closing: false,
        }
    }

    fn close(&mut self, close: Close, scene: &mut Scene) {
        if self.is_closing {
            return;
        }
        self.is_closing = true;
        scene.close(Some(close.into()));
        scene.run_later(self.shared.feed.close_within, |_, scene| scene.stop());
    }

    fn say(&self, text: Bytes, scene: &mut Scene) {
        if self.is_closing {
            return;
        }
        match text.try_into() {
            Ok(text) => scene.write_raw(Message::Text(text)),
            Err(error) => log::error!(error:%; "a message of the feed is no text"),
        }
    }

    fn say_all(&self, texts: Vec<Bytes>, scene: &mut Scene) {
        for text in texts {
            self.say(text, scene);
        }
    }

    /// Asks the feed for what comes after `since`.
    fn join(&mut self, scene: &mut Scene) {
        let feed = self.shared.handles.feed.load();
        let wish = Subscribe { to: scene.address().recipient(), since: self.since, is_greeted: self.is_greeted };
        let joined = async move { ask(&feed, wish).await };
        scene.spawn(joined.into_actor(self).map(|answer, session, scene| session.answered(answer, scene)));
    }

    fn answered(&mut self, answer: Result<Answer, AskError>, scene: &mut Scene) {
        match answer {
            Ok(Answer::Joined(subscription)) => self.follow(Arc::new(subscription), scene),
            Ok(Answer::Behind(hello)) => {
                if !self.is_greeted {
                    self.say(hello, scene);
                    self.is_greeted = true;
                }
                self.catch_up(scene);
            }
            Ok(Answer::Ahead) if !self.has_reloaded => self.reload(scene),
            Ok(Answer::Ahead) => self.close(Close::Ahead, scene),
            Ok(Answer::Lost) | Err(_) => self.close(Close::DatabaseLost, scene),
        }
    }

    /// Closes when the feed ends the subscription.
    fn follow(&mut self, subscription: Arc<Subscription>, scene: &mut Scene) {
        self.subscription = Some(Arc::clone(&subscription));
        let ended = async move { subscription.ended().await };
        scene.spawn(ended.into_actor(self).map(|ending, session, scene| session.close(ending.into(), scene)));
    }

    /// Reads from the database what the feed does not remember, page by page: the next one is read
    /// when the client has taken this one.
    fn catch_up(&mut self, scene: &mut Scene) {
        let feed = self.shared.handles.feed.load();
        let page = ReadPage { since: self.since.unwrap_or_default() };
        let read = async move { ask(&feed, page).await };
        scene.spawn(read.into_actor(self).map(|page, session, scene| match page {
            Ok(Ok(page)) => {
                session.say_all(page.texts, scene);
                session.since = Some(page.reached);
                session.join(scene);
            }
            Ok(Err(_)) | Err(_) => session.close(Close::DatabaseLost, scene),
        }));
    }

    /// Makes sure that the client is ahead of the database, not only of this replica.
    fn reload(&mut self, scene: &mut Scene) {
        self.has_reloaded = true;
        let writer = self.shared.handles.config.load();
        let reload = async move { ask(&writer, Reload).await };
        // Whether it could be read shows at the second attempt.
        scene.spawn(reload.into_actor(self).map(|_, session, scene| session.join(scene)));
    }

    fn ping(&mut self, scene: &mut Scene) {
        let ending = self.subscription.as_ref().and_then(|subscription| subscription.ending());
        if ending.is_some() {
            self.close(ending.into(), scene);
        } else if self.heard.elapsed() >= self.shared.feed.pong_within {
            self.close(Close::Silent, scene);
        } else if self.is_admitted {
            let at = rfc3339(Utc::now());
            self.say(json!({"type": "ping", "at": at}).to_string().into(), scene);
        }
    }

    /// Takes in a whole message of the client.
    fn hear(&mut self, text: &[u8], scene: &mut Scene) {
        match serde_json::from_slice(text) {
            Ok(Said::Auth { key }) if is_admin_key(&key, &self.shared) => {
                if !self.is_admitted {
                    self.is_admitted = true;
                    self.join(scene);
                }
            }
            Ok(Said::Pong {}) if self.is_admitted => {}
            Ok(Said::Auth { .. } | Said::Pong {}) => self.close(Close::Unauthorized, scene),
            Err(_) => self.close(Close::BadMessage, scene),
        }
    }
}

impl Actor for Session {
    type Context = Scene;

    fn started(&mut self, scene: &mut Scene) {
        scene.set_mailbox_capacity(MAILBOX);
        let mut phase = self.shared.phase.clone();
        // A server that is gone has stopped, too.
        let stops = async move { drop(phase.wait_for(|phase| *phase == Phase::Closing).await) };
        scene.spawn(stops.into_actor(self).map(|(), session, scene| session.close(Close::Shutdown, scene)));
        scene.run_interval(self.shared.feed.ping_every, Self::ping);
        if self.is_admitted {
            self.join(scene);
            return;
        }
        scene.run_later(self.shared.feed.auth_within, |session, scene| {
            if !session.is_admitted {
                session.close(Close::Unauthorized, scene);
            }
        });
    }
}

impl Handler<Deliver> for Session {
    type Result = ();

    fn handle(&mut self, Deliver(texts): Deliver, scene: &mut Scene) {
        self.is_greeted = true;
        self.say_all(texts, scene);
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for Session {
    fn handle(&mut self, said: Result<Message, ProtocolError>, scene: &mut Scene) {
        self.heard = Instant::now();
        match said {
            // The client agrees that the connection ends, or cannot be understood any more.
            Ok(Message::Close(_)) | Err(_) if self.is_closing => scene.stop(),
            _ if self.is_closing => {}
            Ok(Message::Text(text)) => self.hear(text.as_bytes(), scene),
            Ok(Message::Ping(mark)) => scene.pong(&mark),
            Ok(Message::Pong(_) | Message::Nop) => {}
            Ok(Message::Close(_)) => {
                self.is_closing = true;
                scene.close(Some(CloseCode::Normal.into()));
                scene.stop();
            }
            // What a client has to say needs no second frame.
            Ok(Message::Binary(_) | Message::Continuation(_)) | Err(_) => self.close(Close::BadMessage, scene),
        }
    }

    fn finished(&mut self, scene: &mut Scene) {
        scene.stop();
    }
}
