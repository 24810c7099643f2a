//! Server-sent events: what is told by itself, to those who keep a request open.
//!
//! A stream is a task that hands its text to the connection piece by piece. It makes the next when
//! the connection has taken the last: so a viewer that is slow, or has gone away without a word,
//! costs one piece of memory and no more. What he misses meanwhile is for the task to know.
//!
//! A stream that was begun with a login ends with it.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use super::endpoints::{Endpoint, Endpoints};
use super::error::ApiError;
use super::extract::Live;
use super::sessions::Hold;

const EVENTS: Endpoint = Endpoint::get(
    "/api/events",
    "Server-sent events: `overview` at once and every second, as GET /api/overview answers; \
     `topology` when topics, groups or gateways come or go; `ping` when there is nothing else. \
     Ends with the login, if it came by one.",
)
.answer("a stream of events, their data one line of JSON");

/// Streams at the same time.
const STREAMS_MAX: usize = 128;

/// Longest silence of a stream.
pub(super) const SILENCE: Duration = Duration::from_secs(10);

pub(super) fn add(all: &mut Endpoints) {
    all.add(EVENTS, events);
}

/// Places for streams.
pub(super) struct Streams(Arc<Semaphore>);

impl Streams {
    pub(super) fn new() -> Streams {
        Streams(Arc::new(Semaphore::new(STREAMS_MAX)))
    }

    /// A response, and what to say in it while the hold lasts.
    pub(super) fn open(&self, hold: Hold) -> Result<(Speaker, Response), ApiError> {
        let place = self.0.clone().try_acquire_owned();
        let place = place.map_err(|_| ApiError::busy("too many streams are open"))?;
        let (pieces, taken) = mpsc::channel(1);
        let head = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8")];
        let body = Body::from_stream(Pieces(taken));
        Ok((Speaker { pieces, hold, _place: place }, (head, body).into_response()))
    }
}

/// The task's end of a stream.
pub(super) struct Speaker {
    pieces: mpsc::Sender<Bytes>,
    hold: Hold,
    _place: OwnedSemaphorePermit,
}

impl Speaker {
    /// Says this when what was said before has been taken; false: nobody listens any more, or may.
    pub(super) async fn say(&self, events: Events) -> bool {
        tokio::select! {
            // Whoever has logged out is told nothing more.
            biased;
            () = self.hold.ended() => false,
            said = self.pieces.send(events.0.into()) => said.is_ok(),
        }
    }

    /// Ends when nobody listens any more, or may.
    pub(super) async fn gone(&self) {
        tokio::select! {
            () = self.hold.ended() => {}
            () = self.pieces.closed() => {}
        }
    }
}

/// The connection's end.
struct Pieces(mpsc::Receiver<Bytes>);

impl Stream for Pieces {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|piece| piece.map(Ok))
    }
}

/// Events as text.
#[derive(Default)]
pub(super) struct Events(String);

impl Events {
    /// One event; `data` is a line of JSON.
    pub(super) fn push(&mut self, name: &str, data: &str) {
        debug_assert!(!data.contains(['\n', '\r']), "one line");
        let _ = write!(self.0, "event: {name}\ndata: {data}\n\n");
    }

    pub(super) fn push_json(&mut self, name: &str, data: &impl Serialize) {
        if let Ok(text) = serde_json::to_string(data) {
            self.push(name, &text);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Shows that there is somebody.
    pub(super) fn ping() -> Events {
        let mut events = Events::default();
        events.push("ping", "{}");
        events
    }
}

async fn events(live: Live, Extension(hold): Extension<Hold>) -> Result<Response, ApiError> {
    let (speaker, response) = live.view.streams.open(hold)?;
    tokio::spawn(tell(live, speaker));
    Ok(response)
}

/// Tells of the broker until it stops or nobody listens.
async fn tell(live: Live, speaker: Speaker) {
    let mut overviews = live.view.samples.overviews();
    let mut changes = live.view.samples.changes();
    let mut first = Events::default();
    first.push_json("overview", &super::api::overview::of(&live));
    if !speaker.say(first).await {
        return;
    }
    while !live.client.has_stopped() {
        let mut said = Events::default();
        tokio::select! {
            _ = speaker.gone() => return,
            changed = timeout(SILENCE, overviews.changed()) => match changed {
                Ok(Ok(())) => said.push("overview", &overviews.borrow_and_update()),
                Ok(Err(_)) => return,
                Err(_) => said = Events::ping(),
            },
        }
        if changes.has_changed().unwrap_or(false) {
            changes.mark_unchanged();
            said.push("topology", "{}");
        }
        if !speaker.say(said).await {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_name_and_a_line() {
        let mut events = Events::default();
        assert!(events.is_empty());
        events.push_json("message", &serde_json::json!({ "value": "a\nb" }));
        assert_eq!(events.0, "event: message\ndata: {\"value\":\"a\\nb\"}\n\n");
    }
}
