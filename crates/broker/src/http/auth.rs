//! Who may ask the API, and what.
//!
//! | listening on | `http.token` | who may |
//! |---|---|---|
//! | a loopback address | none | everybody on this machine, if the Host header names it |
//! | any other | none | nobody: the API is not served; metrics and health are |
//! | any | given | who has it; who has `http.read.token` may only read |
//!
//! A token comes as `Authorization: Bearer`, or once by `POST /api/session`, which answers with a
//! cookie. What a page of another site can make a browser send is refused:
//! - changes need a header of our own and JSON, which such a page may not send unasked, and an
//!   Origin, where there is one, that is ours;
//! - the cookie is not sent along from other sites;
//! - a name of another site that has been pointed at this machine (DNS rebinding) fails by its
//!   Host header where there is no token, and has no cookie where there is one.
//!
//! Tokens can be tried, but not many: see [`guesses`](super::guesses).

use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::View;
use super::connections::Peer;
use super::error::ApiError;
use super::guesses::Guesses;
use super::sessions::{Hold, Sessions};
use crate::settings::Given;

/// The header that makes a change ours.
const OURS: &str = "x-chaski";

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    Read,
    Admin,
}

pub(super) struct Access {
    address: SocketAddr,
    admin: Option<String>,
    read: Option<String>,
    sessions: Sessions,
    guesses: Guesses,
}

impl Access {
    pub(super) fn new(address: SocketAddr, given: &Given) -> Access {
        let token = |name| given.get(name).filter(|token| !token.is_empty()).map(str::to_owned);
        Access {
            address,
            admin: token("http.token"),
            read: token("http.read.token"),
            sessions: Sessions::default(),
            guesses: Guesses::default(),
        }
    }

    /// Says at the start what somebody may wonder about later.
    pub(super) fn warn(&self) {
        if self.is_closed() {
            tracing::warn!(
                address = %self.address,
                "console and API are not served beyond this machine without a token: set \
                 http.token, or listen on 127.0.0.1"
            );
        }
    }

    /// Whether one has to log in.
    pub(super) fn needs_login(&self) -> bool {
        self.admin.is_some()
    }

    /// The length of the shortest token; None: there is none.
    pub(super) fn shortest_token(&self) -> Option<usize> {
        self.admin.iter().chain(&self.read).map(String::len).min()
    }

    /// What who sent these headers may do; refused if he has brought too many wrong tokens.
    pub(super) fn role(&self, headers: &HeaderMap, peer: Peer) -> Result<Option<Role>, ApiError> {
        if !self.needs_login() {
            return Ok(Some(Role::Admin));
        }
        let Some((scheme, token)) = authorization(headers) else {
            let cookie = self.cookie(headers);
            return Ok(cookie.and_then(|name| self.sessions.role(name, Instant::now())));
        };
        match scheme.eq_ignore_ascii_case("bearer") {
            true => self.role_of(token.trim(), peer),
            false => Ok(None),
        }
    }

    /// What a token opens; refused as above.
    pub(super) fn role_of(&self, token: &str, Peer(peer): Peer) -> Result<Option<Role>, ApiError> {
        let now = Instant::now();
        if let Some(wait) = self.guesses.wait(peer.ip(), now) {
            return Err(ApiError::slow_down(wait));
        }
        let role = self.opened_by(token);
        if role.is_none() {
            self.guesses.note(peer.ip(), now);
        }
        Ok(role)
    }

    fn opened_by(&self, token: &str) -> Option<Role> {
        let is = |known: &Option<String>| known.as_deref().is_some_and(|known| same(known, token));
        match (is(&self.admin), is(&self.read)) {
            (true, _) => Some(Role::Admin),
            (false, true) => Some(Role::Read),
            (false, false) => None,
        }
    }

    /// Begins a session; returns the cookie for it.
    pub(super) fn log_in(&self, role: Role) -> String {
        let name = self.sessions.begin(role, Instant::now());
        format!("{}={name}; Path=/; HttpOnly; SameSite=Strict", self.cookie_name())
    }

    /// Ends a session, if there is one; returns what makes a browser forget its cookie.
    pub(super) fn log_out(&self, headers: &HeaderMap) -> String {
        if let Some(name) = self.cookie(headers) {
            self.sessions.end(name);
        }
        format!("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0", self.cookie_name())
    }

    /// What an admitted request hangs on: its login, if it came by one. A token lasts as long as
    /// this process.
    fn hold(&self, headers: &HeaderMap) -> Hold {
        let by_cookie = self.needs_login() && authorization(headers).is_none();
        let cookie = self.cookie(headers).filter(|_| by_cookie);
        cookie.map_or_else(Hold::default, |name| self.sessions.hold(name))
    }

    /// Cookies belong to a host, whatever its port, and there may be another broker on it.
    fn cookie_name(&self) -> String {
        format!("chaski_{}", self.address.port())
    }

    fn cookie<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let name = self.cookie_name();
        let all = headers.get_all(header::COOKIE).into_iter();
        let mut pairs = all.filter_map(|one| one.to_str().ok()).flat_map(|one| one.split(';'));
        pairs.find_map(|pair| pair.trim().strip_prefix(name.as_str())?.strip_prefix('='))
    }

    /// Reachable from elsewhere, and nobody would be asked who he is.
    fn is_closed(&self) -> bool {
        self.admin.is_none() && !self.address.ip().to_canonical().is_loopback()
    }

    /// Refuses what must not reach a handler.
    fn check(&self, request: &Request) -> Result<(), ApiError> {
        if self.is_closed() {
            let message = format!("the API is not served on {} without a token", self.address);
            let error = ApiError::new(StatusCode::FORBIDDEN, "no_token", message);
            return Err(error.hint("set `http.token`, or listen on 127.0.0.1"));
        }
        let headers = request.headers();
        if !self.needs_login() {
            self.check_host(headers)?;
        }
        let changes = is_change(request);
        if changes {
            check_ours(headers)?;
        }
        // Whoever logs in has no role yet.
        if is_login(request) {
            return Ok(());
        }
        match self.role(headers, peer(request.extensions()))? {
            None => Err(unauthorized("a token is needed")),
            Some(Role::Read) if changes => {
                Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", "this token may only read")
                    .hint("use the value of `http.token`"))
            }
            Some(_) => Ok(()),
        }
    }

    fn check_host(&self, headers: &HeaderMap) -> Result<(), ApiError> {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        if host.is_some_and(|host| is_here(host, self.address.ip())) {
            return Ok(());
        }
        let error = ApiError::new(
            StatusCode::FORBIDDEN,
            "wrong_host",
            "the Host header does not name this machine",
        );
        Err(error.hint(format!("use http://{}, or set `http.token`", self.address)))
    }
}

/// The scheme and the token by which somebody says who he is, if he does: then no cookie counts.
fn authorization(headers: &HeaderMap) -> Option<(&str, &str)> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')
}

/// Who sent a request.
pub(super) fn peer(extensions: &Extensions) -> Peer {
    // The server gives one to every connection; were there none, all would be one address.
    let nobody = Peer(SocketAddr::from(([0, 0, 0, 0], 0)));
    extensions.get::<ConnectInfo<Peer>>().map_or(nobody, |ConnectInfo(peer)| *peer)
}

/// Guards all of the API.
pub(super) async fn guard(
    State(view): State<Arc<View>>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut response = match view.access.check(&request) {
        Ok(()) => {
            let hold = view.access.hold(request.headers());
            request.extensions_mut().insert(hold);
            admitted(&view, request, next).await
        }
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in SECURITY {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Has it handled. Bodies are held in memory, so only so many changes are under way at a time; that
/// of a login, which anybody may send, is short.
async fn admitted(view: &View, request: Request, next: Next) -> Response {
    let _turn = if is_change(&request) && !is_login(&request) {
        match view.changes.try_acquire() {
            Ok(turn) => Some(turn),
            Err(_) => return ApiError::busy("too many changes at once").into_response(),
        }
    } else {
        None
    };
    next.run(request).await
}

fn is_change(request: &Request) -> bool {
    !matches!(*request.method(), Method::GET | Method::HEAD)
}

/// The path is without `/api` here.
fn is_login(request: &Request) -> bool {
    request.uri().path() == "/session"
}

/// Sent with whatever the API answers: it is data, never a page.
const SECURITY: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'; sandbox"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

pub(super) fn unauthorized(message: &'static str) -> ApiError {
    let error = ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message);
    error.hint("send `Authorization: Bearer` with the value of `http.token`, or log in")
}

/// A change that a page of another site could have made a browser send is refused.
fn check_ours(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let kind = text("content-type").map(|kind| kind.split(';').next().unwrap_or(kind).trim());
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json")) {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        let error = ApiError::new(status, "not_json", "a change has to be sent as JSON");
        return Err(error.hint("add the header `Content-Type: application/json`"));
    }
    if text(OURS) != Some("1") {
        let message = "the header that tells a change from a forged one is missing";
        let error = ApiError::new(StatusCode::FORBIDDEN, "forged", message);
        return Err(error.hint("add the header `X-Chaski: 1`"));
    }
    let origin = text("origin").map(|origin| origin.split_once("://").map(|(_, host)| host));
    if origin.is_some_and(|origin| origin.is_none() || origin != text("host")) {
        let message = "a page of another site has sent this";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "forged", message));
    }
    Ok(())
}

/// Whether a Host header names this machine as only this machine would.
fn is_here(host: &str, listened: IpAddr) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(v6),
        None => host.split(':').next().unwrap_or(host),
    };
    match name.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback() || ip == listened,
        Err(_) => name.trim_end_matches('.').eq_ignore_ascii_case("localhost"),
    }
}

/// Takes as long for a near miss as for a wild guess, and tells nothing of the length.
fn same(known: &str, guess: &str) -> bool {
    let differ = |sum, (a, b): (u8, u8)| black_box(sum | (a ^ b));
    let length = u8::from(known.len() != guess.len());
    guess.bytes().zip(known.bytes().cycle()).fold(length, differ) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::BROKER;

    fn access(address: &str, settings: &[(&str, &str)]) -> Access {
        let mut given = Given::new();
        for (name, value) in settings {
            given.set(BROKER, name, value).expect("valid");
        }
        Access::new(address.parse().expect("an address"), &given)
    }

    #[test]
    fn only_names_of_this_machine_are_here() {
        let listened = "192.0.2.7".parse().expect("an address");
        for host in [
            "localhost",
            "LocalHost:80",
            "127.0.0.1:8080",
            "127.9.9.9",
            "[::1]:8080",
            "[::ffff:127.0.0.1]",
            "192.0.2.7:1",
            "localhost.",
        ] {
            assert!(is_here(host, listened), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "192.0.2.8",
            "[::2]",
            "0.0.0.0",
            "10.0.0.1:8080",
        ] {
            assert!(!is_here(host, listened), "{host}");
        }
    }

    #[test]
    fn wide_without_a_token_is_closed() {
        let token = [("http.token", "secret")];
        assert!(!access("127.0.0.1:1", &[]).is_closed());
        assert!(!access("[::1]:1", &[]).is_closed());
        for wide in ["0.0.0.0:1", "[::]:1", "192.0.2.7:1"] {
            assert!(access(wide, &[]).is_closed(), "{wide}");
            assert!(access(wide, &[("http.read.token", "r")]).is_closed(), "{wide}");
            assert!(!access(wide, &token).is_closed(), "{wide}");
        }
    }

    #[test]
    fn tokens_open_what_they_are_for() {
        let access = access("127.0.0.1:1", &[("http.token", "aa"), ("http.read.token", "bb")]);
        assert_eq!(access.opened_by("aa"), Some(Role::Admin));
        assert_eq!(access.opened_by("bb"), Some(Role::Read));
        for wrong in ["", "a", "ab", "aaa", "aaaa"] {
            assert_eq!(access.opened_by(wrong), None);
        }
        let peer = Peer("192.0.2.1:1".parse().expect("an address"));
        assert_eq!(access.role(&HeaderMap::new(), peer).expect("not refused"), None);
    }
}
