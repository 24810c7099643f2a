//! The settings of the broker.

use axum::Json;
use serde::Serialize;

use crate::client::{SettingValue, Source};
use crate::http::endpoints::{Endpoint, Endpoints};
use crate::http::extract::Live;

const LIST: Endpoint =
    Endpoint::get("/api/config", "Every setting of the broker, its default beside its value.")
        .answer(
            "{settings:[{name, value (\"(hidden)\" for a secret that is given), default, source: \
             \"broker\"|\"default\", doc}]}",
        );

pub(super) fn add(all: &mut Endpoints) {
    all.add(LIST, list);
}

/// A setting as it is told.
#[derive(Serialize)]
pub(super) struct Told {
    name: &'static str,
    value: String,
    default: &'static str,
    source: &'static str,
    doc: &'static str,
}

impl From<SettingValue> for Told {
    fn from(setting: SettingValue) -> Told {
        let SettingValue { name, value, default, source, doc, .. } = setting;
        let source = match source {
            Source::Topic => "topic",
            Source::Broker => "broker",
            Source::Default => "default",
        };
        Told { name, value, default, source, doc }
    }
}

#[derive(Serialize)]
struct Settings {
    settings: Vec<Told>,
}

async fn list(live: Live) -> Json<Settings> {
    Json(Settings { settings: live.client.settings().into_iter().map(Told::from).collect() })
}
