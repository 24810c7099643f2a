//! Logging in and out of a browser.

use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::handler::Handler;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};

use crate::http::View;
use crate::http::auth::{Role, unauthorized};
use crate::http::connections::Peer;
use crate::http::endpoints::{Endpoint, Endpoints};
use crate::http::error::{Answer, ApiError};
use crate::http::extract::Body;

const TELL: Endpoint = Endpoint::get("/api/session", "What the caller may do; needs no role.")
    .answer("{login: whether a token is needed, role: \"admin\"|\"read\"|null, version}");

const BEGIN: Endpoint =
    Endpoint::post("/api/session", "Logs in: exchanges a token for a cookie; needs no role.")
        .body("{token}")
        .answer("{role}");

const END: Endpoint = Endpoint::delete("/api/session", "Logs out.").answer("{role: null}");

/// Longest body of a login.
const LOGIN_BYTES_MAX: usize = 4096;

pub(super) fn add(all: &mut Endpoints) {
    all.add(TELL, tell);
    // Whoever has no role yet is not to fill the memory.
    all.add(BEGIN, begin.layer(DefaultBodyLimit::max(LOGIN_BYTES_MAX)));
    all.add(END, end);
}

#[derive(Serialize)]
struct Session {
    login: bool,
    role: Option<Role>,
    version: &'static str,
}

async fn tell(
    State(view): State<Arc<View>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
) -> Answer<Session> {
    let access = &view.access;
    let (login, role) = (access.needs_login(), access.role(&headers, peer)?);
    Ok(Json(Session { login, role, version: env!("CARGO_PKG_VERSION") }))
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

#[derive(Serialize)]
struct Now {
    role: Option<Role>,
}

async fn begin(
    State(view): State<Arc<View>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Body(Token { token }): Body<Token>,
) -> Result<impl IntoResponse, ApiError> {
    let access = &view.access;
    if !access.needs_login() {
        return Ok(Json(Now { role: Some(Role::Admin) }).into_response());
    }
    let Some(role) = access.role_of(&token, peer)? else {
        tracing::warn!("somebody tried to log in to the console with a wrong token");
        return Err(unauthorized("this is not the token"));
    };
    let cookie = [(header::SET_COOKIE, access.log_in(role))];
    Ok((cookie, Json(Now { role: Some(role) })).into_response())
}

async fn end(State(view): State<Arc<View>>, headers: HeaderMap) -> impl IntoResponse {
    ([(header::SET_COOKIE, view.access.log_out(&headers))], Json(Now { role: None }))
}
