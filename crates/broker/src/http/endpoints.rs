//! Endpoints: a route and what is said of it, given in one place.
//!
//! There is no way to add a route without its documentation, which `GET /api` answers with.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::header;
use axum::routing::{MethodFilter, on};
use serde::Serialize;

use super::View;

/// What is said of an endpoint.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Endpoint {
    pub(super) method: &'static str,
    /// With `{name}` for what varies.
    pub(super) path: &'static str,
    /// One sentence.
    pub(super) does: &'static str,
    /// Name and meaning.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) query: &'static [(&'static str, &'static str)],
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) body: &'static str,
    pub(super) answer: &'static str,
}

impl Endpoint {
    pub(super) const fn get(path: &'static str, does: &'static str) -> Endpoint {
        Endpoint::new("GET", path, does)
    }

    pub(super) const fn post(path: &'static str, does: &'static str) -> Endpoint {
        Endpoint::new("POST", path, does)
    }

    pub(super) const fn patch(path: &'static str, does: &'static str) -> Endpoint {
        Endpoint::new("PATCH", path, does)
    }

    pub(super) const fn delete(path: &'static str, does: &'static str) -> Endpoint {
        Endpoint::new("DELETE", path, does)
    }

    const fn new(method: &'static str, path: &'static str, does: &'static str) -> Endpoint {
        Endpoint { method, path, does, query: &[], body: "", answer: "{}" }
    }

    pub(super) const fn query(self, query: &'static [(&'static str, &'static str)]) -> Endpoint {
        Endpoint { query, ..self }
    }

    pub(super) const fn body(self, body: &'static str) -> Endpoint {
        Endpoint { body, ..self }
    }

    pub(super) const fn answer(self, answer: &'static str) -> Endpoint {
        Endpoint { answer, ..self }
    }
}

/// The routes of the API.
#[derive(Default)]
pub(super) struct Endpoints {
    router: Router<Arc<View>>,
    said: Vec<Endpoint>,
}

impl Endpoints {
    /// Adds an endpoint.
    pub(super) fn add<T: 'static>(
        &mut self,
        endpoint: Endpoint,
        handler: impl Handler<T, Arc<View>>,
    ) {
        let method = match endpoint.method {
            "POST" => MethodFilter::POST,
            "PATCH" => MethodFilter::PATCH,
            "DELETE" => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        };
        // The router is nested, and knows nothing of what is before.
        let path = match endpoint.path.trim_start_matches("/api") {
            "" => "/",
            rest => rest,
        };
        self.router = std::mem::take(&mut self.router).route(path, on(method, handler));
        self.said.push(endpoint);
    }

    /// What is said of all.
    #[cfg(test)]
    pub(super) fn said(&self) -> &[Endpoint] {
        &self.said
    }

    /// The routes, and the one that tells of them all.
    pub(super) fn into_router(mut self) -> Router<Arc<View>> {
        self.said.insert(0, ABOUT);
        let text = serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "endpoints": self.said,
            "errors": ERRORS,
            "security": SECURITY,
        });
        let text: Arc<str> = text.to_string().into();
        let about = async move || ([(header::CONTENT_TYPE, "application/json")], text.to_string());
        self.router.route("/", axum::routing::get(about))
    }
}

pub(super) const ABOUT: Endpoint = Endpoint::get("/api", "This: every endpoint, in JSON.").answer(
    "{version, endpoints:[{method, \
        path, does, query?:[[name, meaning]], body?, answer}], errors, security}",
);

const ERRORS: &str = "Every error is {\"error\":{\"kind\":..,\"message\":..,\"hint\"?:..}} with a \
    fitting status. Programs go by the status and the kind; a hint says what to do next.";

const SECURITY: &str = "Without `http.token` the API is served on loopback addresses only, to \
    requests whose Host header names this machine. With it every request needs `Authorization: \
    Bearer TOKEN`, or the cookie of POST /api/session; `http.read.token` opens GET only. Changes \
    need `Content-Type: application/json` and `X-Chaski: 1`.";
