//! The feed of configuration changes over a websocket. The only user of actix-web-actors.

mod frames;
mod hang_up;
mod origin;
mod session;

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::{HttpRequest, HttpResponse, web};
use actix_web_actors::ws::{self, WsResponseBuilder};
use url::form_urlencoded;

use self::frames::FrameLimit;
use self::hang_up::HangUp;
pub use self::hang_up::is_hang_up;
use self::session::Session;
use super::Shared;
use super::admin::auth::{Presented, presented};
use super::admin::error::AdminError;
use crate::config::FieldError;

/// Most bytes of a client's message; all that it has to say is short.
const LARGEST_MESSAGE: usize = 64 * 1024;

/// How patient the feed is with its clients.
#[derive(Debug, Clone)]
pub struct FeedTimings {
    /// How long a client may take to present the admin key.
    pub auth_within: Duration,
    /// How often a client is asked whether it is there.
    pub ping_every: Duration,
    /// How long a client may be silent.
    pub pong_within: Duration,
    /// How long a client may take to agree that the connection ends.
    pub close_within: Duration,
}

impl Default for FeedTimings {
    fn default() -> Self {
        Self {
            auth_within: Duration::from_secs(5),
            ping_every: Duration::from_secs(15),
            pong_within: Duration::from_secs(60),
            close_within: Duration::from_secs(2),
        }
    }
}

/// Tells of every change of the configuration over a websocket.
///
/// The key comes in the `Authorization` header, or, from browsers, in the first message:
/// `{"type":"auth","key":"..."}`. The server sends `hello` (`version`, `replica_id`, `replicas`), then a
/// `change` for every change above `since`, in order and once, then a `change` for each new one; `replica`
/// (`id`, `version`, `seen_at`, `state`: `up` or `gone`) when another version is in force on a replica; and
/// `ping`, which is to be answered with `{"type":"pong"}`. Close codes: 1000 normal, 1001 the server stops,
/// 4400 bad message, 4401 wrong or late key, 4408 no pong for 60 s, 4409 `since` is above the current version,
/// 4429 too slow: connect again with `since`, 4503 the database is lost.
#[utoipa::path(
    get, path = "/admin/v1/config/feed", tag = "config", operation_id = "follow_config",
    security(("admin_key" = []), ()),
    params(("since" = Option<i64>, Query, minimum = 0,
        description = "The last version that the client knows; without it only new changes are told")),
    responses((status = 101, description = "The websocket is open"), crate::api::admin::document::FeedFailures),
)]
pub(super) fn feed(
    request: HttpRequest,
    payload: web::Payload,
    shared: web::Data<Shared>,
) -> Ready<Result<HttpResponse, AdminError>> {
    ready(open(&request, payload, shared))
}

fn open(request: &HttpRequest, payload: web::Payload, shared: web::Data<Shared>) -> Result<HttpResponse, AdminError> {
    let key = presented(request, &shared);
    if key == Presented::Wrong {
        return Err(AdminError::unauthorized());
    }
    ws::handshake(request).map_err(|error| AdminError::upgrade_required(&error))?;
    if !origin::is_allowed(request.headers(), &shared.settings.cors_origins) {
        return Err(AdminError::foreign_origin());
    }
    let since = since(request.query_string())?;
    if !shared.handles.database.load().is_up {
        return Err(AdminError::unavailable());
    }
    let session = Session::new(shared, since, key == Presented::Right);
    let payload = FrameLimit::new(payload, LARGEST_MESSAGE);
    let upgrade = WsResponseBuilder::new(session, request, payload).frame_size(LARGEST_MESSAGE);
    let response = upgrade.start().map_err(|error| AdminError::upgrade_required(&error))?;
    Ok(response.map_body(|_, body| BoxBody::new(HangUp::new(body))))
}

/// The version after which a client wants to be told of changes.
fn since(query: &str) -> Result<Option<i64>, FieldError> {
    let Some((_, text)) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "since") else {
        return Ok(None);
    };
    match text.parse() {
        Ok(since) if since >= 0 => Ok(Some(since)),
        Ok(_) | Err(_) => Err(FieldError::new("since", "must be an integer of at least 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn since_is_a_version_or_absent() {
        assert_eq!(since("").unwrap(), None);
        assert_eq!(since("x=1&since=17").unwrap(), Some(17));
        for wrong in ["since=", "since=-1", "since=1.5", "since=99999999999999999999"] {
            assert_eq!(since(wrong).unwrap_err().field, "since", "{wrong}");
        }
    }
}
