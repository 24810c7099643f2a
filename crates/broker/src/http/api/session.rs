//! Logging in and out of a browser.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};

use crate::http::View;
use crate::http::auth::{Role, unauthorized};
use crate::http::endpoints::{Endpoint, Endpoints};
use crate::http::error::ApiError;
use crate::http::extract::Body;

const TELL: Endpoint = Endpoint::get("/api/session", "What the caller may do; needs no role.")
    .answer("{login: whether a token is needed, role: \"admin\"|\"read\"|null, version}");

const BEGIN: Endpoint =
    Endpoint::post("/api/session", "Logs in: exchanges a token for a cookie; needs no role.")
        .body("{token}")
        .answer("{role}");

const END: Endpoint = Endpoint::delete("/api/session", "Logs out.").answer("{role: null}");

pub(super) fn add(all: &mut Endpoints) {
    all.add(TELL, tell);
    all.add(BEGIN, begin);
    all.add(END, end);
}

#[derive(Serialize)]
struct Session {
    login: bool,
    role: Option<Role>,
    version: &'static str,
}

async fn tell(State(view): State<Arc<View>>, headers: HeaderMap) -> Json<Session> {
    let access = &view.access;
    Json(Session {
        login: access.needs_login(),
        role: access.role(&headers),
        version: env!("CARGO_PKG_VERSION"),
    })
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
    Body(Token { token }): Body<Token>,
) -> Result<impl IntoResponse, ApiError> {
    let access = &view.access;
    if !access.needs_login() {
        return Ok(Json(Now { role: Some(Role::Admin) }).into_response());
    }
    let Some(role) = access.role_of(&token) else {
        tracing::warn!("somebody tried to log in to the console with a wrong token");
        return Err(unauthorized("this is not the token"));
    };
    let cookie = [(header::SET_COOKIE, access.log_in(role))];
    Ok((cookie, Json(Now { role: Some(role) })).into_response())
}

async fn end(State(view): State<Arc<View>>, headers: HeaderMap) -> impl IntoResponse {
    ([(header::SET_COOKIE, view.access.log_out(&headers))], Json(Now { role: None }))
}
