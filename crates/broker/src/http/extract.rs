//! What handlers take: the broker, the query, the body; each refused as the API refuses.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::View;
use super::error::ApiError;
use crate::{Broker, Client};

/// The broker, once its log is recovered.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) view: Arc<View>,
    pub(super) broker: Arc<Broker>,
    pub(super) client: Client,
}

impl Live {
    /// None: the log is being recovered.
    pub(super) fn of(view: &Arc<View>) -> Option<Live> {
        let broker = view.broker.get()?.clone();
        Some(Live { view: view.clone(), client: Client::new(broker.clone()), broker })
    }

    /// Does what may block, elsewhere.
    pub(super) async fn run<T: Send + 'static, E: Into<ApiError>>(
        &self,
        work: impl FnOnce(&Client) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ApiError> {
        let client = self.client.clone();
        self.view.workers.run(move || work(&client).map_err(Into::into)).await
    }
}

impl Live {
    /// The same, and its JSON as well: that of a long list takes a while.
    pub(super) async fn tell<T: Serialize, E: Into<ApiError>>(
        &self,
        work: impl FnOnce(&Client) -> Result<T, E> + Send + 'static,
    ) -> Told {
        let text = move |client: &Client| {
            let told = work(client).map_err(Into::into)?;
            serde_json::to_vec(&told).map_err(|error| ApiError::internal(error.to_string()))
        };
        let text = self.run(text).await?;
        Ok(([(header::CONTENT_TYPE, "application/json")], text))
    }
}

/// JSON that is made already, or why not.
pub(super) type Told = Result<([(HeaderName, &'static str); 1], Vec<u8>), ApiError>;

impl FromRequestParts<Arc<View>> for Live {
    type Rejection = ApiError;

    async fn from_request_parts(_: &mut Parts, view: &Arc<View>) -> Result<Live, ApiError> {
        Live::of(view).ok_or_else(ApiError::recovering)
    }
}

/// The query.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<View>> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(
        parts: &mut Parts,
        view: &Arc<View>,
    ) -> Result<Params<T>, ApiError> {
        match Query::from_request_parts(parts, view).await {
            Ok(Query(params)) => Ok(Params(params)),
            Err(error) => Err(ApiError::invalid(error.body_text())
                .hint("GET /api says what may stand in the query")),
        }
    }
}

/// The body, as JSON.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<View>> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, view: &Arc<View>) -> Result<Body<T>, ApiError> {
        match Json::from_request(request, view).await {
            Ok(Json(body)) => Ok(Body(body)),
            Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                Err(ApiError::new(status, "too_large", "the body is longer than it may be"))
            }
            Err(error) => {
                Err(ApiError::invalid(error.body_text())
                    .hint("GET /api says what the body has to be"))
            }
        }
    }
}
