//! The JSON API: one file a subject, each with its endpoints and what they answer.

mod config;
mod decode;
mod gateways;
mod groups;
mod messages;
mod msgpack;
pub(super) mod overview;
mod produce;
mod record;
mod rings;
mod scan;
mod session;
mod shards;
mod sockets;
mod tail;
mod topic;
mod topics;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;

use super::View;
use super::auth;
use super::endpoints::Endpoints;
use super::error::ApiError;
use super::events;

/// Longest body of a request.
const BODY_BYTES_MAX: usize = 8 << 20;

/// All endpoints, without the guard.
fn endpoints() -> Endpoints {
    let mut all = Endpoints::default();
    session::add(&mut all);
    overview::add(&mut all);
    events::add(&mut all);
    topics::add(&mut all);
    topic::add(&mut all);
    messages::add(&mut all);
    produce::add(&mut all);
    tail::add(&mut all);
    groups::add(&mut all);
    gateways::add(&mut all);
    sockets::add(&mut all);
    rings::add(&mut all);
    shards::add(&mut all);
    config::add(&mut all);
    all
}

/// What is below `/api`.
pub(super) fn router(view: &Arc<View>) -> Router<Arc<View>> {
    endpoints()
        .into_router()
        .fallback(missing)
        .method_not_allowed_fallback(not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(view.clone(), auth::guard))
}

async fn missing(request: Request) -> ApiError {
    ApiError::not_found(format!("no endpoint `/api{}`", request.uri().path()))
        .hint("GET /api tells of all there are")
}

async fn not_allowed(request: Request) -> ApiError {
    let (method, path) = (request.method(), request.uri().path());
    let message = format!("`/api{path}` does not take {method}");
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "not_allowed", message)
        .hint("GET /api tells what it takes")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::http::endpoints::{ABOUT, Endpoint};

    /// For people.
    const DOCS: &str = include_str!("../../../../../docs/api.md");

    #[test]
    fn every_endpoint_is_in_the_documentation_and_no_other() {
        let all = endpoints();
        let title = |one: &Endpoint| format!("### `{} {}`", one.method, one.path);
        let said: HashSet<String> = all.said().iter().chain([&ABOUT]).map(title).collect();
        let written: HashSet<String> =
            DOCS.lines().filter(|line| line.starts_with("### `")).map(str::to_owned).collect();
        assert_eq!(written, said);
        for endpoint in all.said() {
            let rest = DOCS.split(&title(endpoint)).nth(1).expect("it is there");
            let section = rest.split("\n## ").next().and_then(|s| s.split("\n### ").next());
            let section = section.expect("a section");
            for (name, _) in endpoint.query {
                assert!(section.contains(&format!("`{name}`")), "{}: {name}", title(endpoint));
            }
        }
    }

    #[test]
    fn every_endpoint_says_what_it_does() {
        for endpoint in endpoints().said() {
            assert!(endpoint.does.ends_with('.'), "{}", endpoint.path);
            assert!(endpoint.method == "GET" || endpoint.query.is_empty(), "{}", endpoint.path);
            assert!(endpoint.method != "GET" || endpoint.body.is_empty(), "{}", endpoint.path);
        }
    }
}
