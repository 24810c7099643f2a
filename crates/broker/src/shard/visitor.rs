//! Who is at the other end of a connection, and what has passed: for people who look.

use std::net::SocketAddr;
use std::sync::mpsc;

use chaski_kafka::{ApiKey, Message, Reader, api_versions};
use chaski_reactor::Output;

use super::Shard;
use super::connection::Connection;

/// Characters of a name that are kept.
const NAME_CHARS_MAX: usize = 100;

/// Connections that a shard tells of: more would hold it up.
const TOLD_MAX: usize = 10_000;

/// What is known of a client.
#[derive(Debug)]
pub(super) struct Visitor {
    peer: SocketAddr,
    client_id: String,
    software: String,
    bytes_in: u64,
    bytes_out: u64,
}

impl Visitor {
    pub(super) fn new(peer: SocketAddr) -> Visitor {
        let (client_id, software) = (String::new(), String::new());
        Visitor { peer, client_id, software, bytes_in: 0, bytes_out: 0 }
    }

    /// Its address without port, as group members are listed.
    pub(super) fn host(&self) -> String {
        self.peer.ip().to_string()
    }

    pub(super) fn took(&mut self, bytes: usize) {
        self.bytes_in += bytes as u64;
    }

    pub(super) fn gave(&mut self, output: &Output) {
        self.bytes_out += match output {
            Output::Bytes(bytes) => bytes.len(),
            Output::Shared(bytes) => bytes.len(),
            Output::File { len, .. } => *len,
        } as u64;
    }

    /// Listens to how the client calls itself in a request that does not come often.
    pub(super) fn heard(&mut self, api: ApiKey, version: i16, client_id: &str, body: &[u8]) {
        let named = cut(client_id);
        if self.client_id != named {
            named.clone_into(&mut self.client_id);
        }
        if api != ApiKey::ApiVersions {
            return;
        }
        // Whether it makes sense is for others to say.
        if let Ok(request) = api_versions::Request::decode(&mut Reader::new(body), version) {
            let (name, version) = (request.client_software_name, request.client_software_version);
            self.software = format!("{} {}", cut(name), cut(version)).trim().to_owned();
        }
    }
}

fn cut(name: &str) -> &str {
    name.char_indices().nth(NAME_CHARS_MAX).map_or(name, |(end, _)| &name[..end])
}

/// A connection as it is told.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionView {
    pub(crate) id: u64,
    pub(crate) address: SocketAddr,
    /// Empty: it has not said.
    pub(crate) client_id: String,
    pub(crate) software: String,
    pub(crate) requests: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) unanswered: usize,
}

impl ConnectionView {
    fn new(id: u64, connection: &Connection) -> ConnectionView {
        let visitor = &connection.visitor;
        ConnectionView {
            id,
            address: visitor.peer,
            client_id: visitor.client_id.clone(),
            software: visitor.software.clone(),
            requests: connection.requests(),
            bytes_in: visitor.bytes_in,
            bytes_out: visitor.bytes_out,
            unanswered: connection.unanswered(),
        }
    }
}

impl Shard {
    /// Tells of its connections; no harm if nobody waits for it any more.
    pub(super) fn describe(&self, tell: &mpsc::Sender<Vec<ConnectionView>>) {
        let all = self.connections.iter().take(TOLD_MAX);
        let _ = tell.send(all.map(|(id, one)| ConnectionView::new(id.0, one)).collect());
    }
}
