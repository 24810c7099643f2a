//! One record into a topic.

use axum::Json;
use axum::extract::Path;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decode::from_hex;
use crate::Client;
use crate::client::{ProducerOptions, Record};
use crate::http::endpoints::{Endpoint, Endpoints};
use crate::http::error::{Answer, ApiError};
use crate::http::extract::{Body, Live};

const PRODUCE: Endpoint = Endpoint::post(
    "/api/topics/{topic}/messages",
    "Produces a record; answers when it is as durable as `acks=all` asks for.",
)
.body(
    "{key?, value: text, or null for a tombstone, headers?:[{name, value}], partition?, \
     timestamp_ms?, encoding?: \"text\"|\"hex\"|\"base64\" of key and value}",
)
.answer("{partition, offset}");

pub(super) fn add(all: &mut Endpoints) {
    all.add(PRODUCE, produce);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    key: Option<String>,
    /// Not to be left out: a tombstone is not made by mistake.
    value: Value,
    #[serde(default)]
    headers: Vec<Header>,
    partition: Option<i32>,
    timestamp_ms: Option<i64>,
    #[serde(default)]
    encoding: Encoding,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    name: String,
    value: Option<String>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Text,
    Hex,
    Base64,
}

impl Encoding {
    fn bytes(self, what: &str, text: String) -> Result<Vec<u8>, ApiError> {
        let (bytes, name) = match self {
            Encoding::Text => (Some(text.into_bytes()), "text"),
            Encoding::Hex => (from_hex(&text), "hex"),
            Encoding::Base64 => (STANDARD.decode(text.trim()).ok(), "base64"),
        };
        bytes.ok_or_else(|| ApiError::invalid(format!("the {what} is not {name}")))
    }
}

#[derive(Serialize)]
struct Placed {
    partition: i32,
    offset: i64,
}

async fn produce(live: Live, Path(topic): Path<String>, Body(wish): Body<Wish>) -> Answer<Placed> {
    live.run(move |client| send(client, &topic, wish)).await.map(Json)
}

fn send(client: &Client, topic: &str, wish: Wish) -> Result<Placed, ApiError> {
    let value = match wish.value {
        Value::Null => None,
        Value::String(text) => Some(wish.encoding.bytes("value", text)?),
        _ => {
            let error = ApiError::invalid("the value has to be text or null");
            return Err(error.hint("send JSON as the text of it"));
        }
    };
    let key = wish.key.map(|key| wish.encoding.bytes("key", key)).transpose()?;
    let headers = wish.headers.iter();
    let headers: Vec<(&str, Option<&[u8]>)> = headers
        .map(|header| (header.name.as_str(), header.value.as_deref().map(str::as_bytes)))
        .collect();
    let options = ProducerOptions::new().durability(client.acks_all());
    let mut producer = client.producer(topic, options)?;
    let placed = producer.push(Record {
        key: key.as_deref(),
        value: value.as_deref(),
        headers: &headers,
        timestamp: wish.timestamp_ms,
        partition: wish.partition,
    })?;
    let offset = placed.offset_in(&producer.flush())?;
    Ok(Placed { partition: placed.partition, offset })
}
