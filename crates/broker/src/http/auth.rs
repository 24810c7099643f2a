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

use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::View;
use super::error::ApiError;
use super::sessions::Sessions;
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
}

impl Access {
    pub(super) fn new(address: SocketAddr, given: &Given) -> Access {
        let token = |name| given.get(name).filter(|token| !token.is_empty()).map(str::to_owned);
        Access {
            address,
            admin: token("http.token"),
            read: token("http.read.token"),
            sessions: Sessions::default(),
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

    /// What who sent these headers may do.
    pub(super) fn role(&self, headers: &HeaderMap) -> Option<Role> {
        if !self.needs_login() {
            return Some(Role::Admin);
        }
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        if let Some((scheme, token)) = bearer.and_then(|value| value.split_once(' ')) {
            let is_bearer = scheme.eq_ignore_ascii_case("bearer");
            return self.role_of(token.trim()).filter(|_| is_bearer);
        }
        self.sessions.role(self.cookie(headers)?, Instant::now())
    }

    /// What a token opens.
    pub(super) fn role_of(&self, token: &str) -> Option<Role> {
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
        let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
        if changes {
            check_ours(headers)?;
        }
        // Whoever logs in has no role yet. The path is without `/api` here.
        if request.uri().path() == "/session" {
            return Ok(());
        }
        match self.role(headers) {
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

/// Guards all of the API.
pub(super) async fn guard(State(view): State<Arc<View>>, request: Request, next: Next) -> Response {
    let mut response = match view.access.check(&request) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in SECURITY {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
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

/// Takes as long for a near miss as for a wild guess of the same length.
fn same(known: &str, guess: &str) -> bool {
    let differ = |sum, (a, b): (u8, u8)| black_box(sum | (a ^ b));
    known.len() == guess.len() && known.bytes().zip(guess.bytes()).fold(0, differ) == 0
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
        assert_eq!(access.role_of("aa"), Some(Role::Admin));
        assert_eq!(access.role_of("bb"), Some(Role::Read));
        for wrong in ["", "a", "ab", "aaa"] {
            assert_eq!(access.role_of(wrong), None);
        }
        assert_eq!(access.role(&HeaderMap::new()), None);
    }
}
