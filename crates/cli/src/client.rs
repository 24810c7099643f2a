//! A small Kafka client that blocks: one connection to one broker, which is asked everything. A
//! cluster that spreads its partitions over several brokers is not for it.
//!
//! The connection begins with ApiVersions; every later request uses the highest version that both
//! sides speak. Answers come in the order of the requests, so that several may be under way
//! ([`Client::send`], [`Client::receive`]). What the broker sends is bounded before it is held.
//!
//! - this file: the connection and the exchange of frames;
//! - `error`: what can go wrong, and what to do about it;
//! - `topics`, `groups`: the questions that several commands ask.

mod error;
mod groups;
mod topics;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use chaski_kafka::{
    ApiKey, DecodeError, ErrorCode, Message, Reader, Request, ResponseHeader, api_versions,
    frame_request,
};

pub(crate) use error::{ClientError, Refusal};
pub(crate) use groups::{Committed, GroupState};
pub(crate) use topics::{Offsets, TopicInfo};

use crate::address::Address;
use crate::interrupt::Interrupt;

/// How long connecting may take, for each address a name stands for.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long the broker may be silent while it owes an answer. Longer than any wait that the
/// commands ask it for.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long the broker has for one request, where the request says so.
pub(crate) const REQUEST_MS: i32 = 30_000;
/// Bytes of one answer at most.
const FRAME_BYTES_MAX: usize = 128 << 20;
/// Bytes reserved before the first byte of an answer is there.
const RESERVE_BYTES_MAX: usize = 1 << 20;
const CLIENT_ID: &str = "chaski-cli";

/// A connection to a broker.
#[derive(Debug)]
pub(crate) struct Client {
    address: Address,
    stream: TcpStream,
    /// The versions the broker speaks, lowest and highest, by API number.
    offered: HashMap<i16, (i16, i16)>,
    correlation_id: i32,
    interrupt: Interrupt,
}

/// An answer that is still to come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticket {
    correlation_id: i32,
    version: i16,
}

impl Client {
    /// Connects, and learns what the broker speaks.
    pub(crate) fn connect(address: &Address) -> Result<Client, ClientError> {
        Client::connect_with(address, Interrupt::default())
    }

    /// The same; waiting for an answer ends when the user wants it to.
    pub(crate) fn connect_with(
        address: &Address,
        interrupt: Interrupt,
    ) -> Result<Client, ClientError> {
        let stream = dial(address)?;
        let mut client = Client {
            address: address.clone(),
            stream,
            offered: HashMap::new(),
            correlation_id: 0,
            interrupt,
        };
        client.learn_versions()?;
        Ok(client)
    }

    /// Sends a request and waits for the answer, which borrows from `buf`.
    pub(crate) fn call<'q, 'r, R: Request<'q>>(
        &mut self,
        request: &R,
        buf: &'r mut Vec<u8>,
    ) -> Result<R::Response<'r>, ClientError> {
        let ticket = self.send(request)?;
        self.receive::<R>(ticket, buf)
    }

    /// Sends a request. Every answer must be received, in order.
    pub(crate) fn send<'q, R: Request<'q>>(&mut self, request: &R) -> Result<Ticket, ClientError> {
        let version = self.version(R::API)?;
        self.send_as(version, request)
    }

    /// Waits for the answer to the oldest request that was not answered yet.
    pub(crate) fn receive<'q, 'r, R: Request<'q>>(
        &mut self,
        ticket: Ticket,
        buf: &'r mut Vec<u8>,
    ) -> Result<R::Response<'r>, ClientError> {
        self.read_frame(buf)?;
        self.decode::<R>(ticket, buf)
    }

    /// The highest version of an API that both sides speak.
    pub(crate) fn version(&self, api: ApiKey) -> Result<i16, ClientError> {
        let &(min, max) = self.offered.get(&(api as i16)).ok_or(ClientError::NotOffered { api })?;
        let version = max.min(api.max_version());
        match version >= min && version >= api.min_version() {
            true => Ok(version),
            false => Err(ClientError::NoCommonVersion { api, min, max }),
        }
    }

    /// KIP-511: a broker that does not know the version asked with answers in version 0, and says
    /// which ones it knows.
    fn learn_versions(&mut self) -> Result<(), ClientError> {
        let request = api_versions::Request {
            client_software_name: CLIENT_ID,
            client_software_version: env!("CARGO_PKG_VERSION"),
        };
        let mut version = ApiKey::ApiVersions.max_version();
        let mut buf = Vec::new();
        // The second turn asks with a version the broker named.
        for _ in 0..2 {
            let mut ticket = self.send_as(version, &request)?;
            self.read_frame(&mut buf)?;
            if is_unsupported_version(&buf) {
                ticket.version = 0;
            }
            let response = self.decode::<api_versions::Request<'_>>(ticket, &buf)?;
            self.offered = response
                .api_keys
                .iter()
                .map(|offer| (offer.api_key, (offer.min_version, offer.max_version)))
                .collect();
            match response.error_code {
                ErrorCode::UNSUPPORTED_VERSION => version = self.version(ApiKey::ApiVersions)?,
                code => return code.ok().map_err(|code| Refusal::new(code, None).into()),
            }
        }
        Err(Refusal::new(ErrorCode::UNSUPPORTED_VERSION, None).into())
    }

    fn send_as<'q, R: Request<'q>>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Result<Ticket, ClientError> {
        self.correlation_id = self.correlation_id.wrapping_add(1);
        let correlation_id = self.correlation_id;
        let frame = frame_request(version, correlation_id, Some(CLIENT_ID), request);
        self.stream.write_all(&frame.into_bytes()).map_err(|source| self.broken(source))?;
        Ok(Ticket { correlation_id, version })
    }

    /// Reads one frame, without its length, into `buf`.
    fn read_frame(&mut self, buf: &mut Vec<u8>) -> Result<(), ClientError> {
        let mut prefix = [0; 4];
        self.read_patiently(&mut prefix)?;
        let announced = i32::from_be_bytes(prefix);
        let len = usize::try_from(announced)
            .ok()
            .filter(|&len| len <= FRAME_BYTES_MAX)
            .ok_or(ClientError::Frame { len: announced, max: FRAME_BYTES_MAX })?;
        buf.clear();
        buf.reserve(len.min(RESERVE_BYTES_MAX));
        let read = (&self.stream).take(len as u64).read_to_end(buf);
        match read.map_err(|source| self.broken(source))? {
            read if read == len => Ok(()),
            _ => Err(ClientError::Closed { address: self.address.clone() }),
        }
    }

    /// Fills `bytes`; this is where a client waits, and where the user may grow impatient.
    fn read_patiently(&mut self, bytes: &mut [u8]) -> Result<(), ClientError> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.stream.read(&mut bytes[filled..]) {
                Ok(0) => return Err(ClientError::Closed { address: self.address.clone() }),
                Ok(read) => filled += read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {
                    if self.interrupt.came() {
                        return Err(ClientError::Interrupted);
                    }
                }
                Err(source) => return Err(self.broken(source)),
            }
        }
        Ok(())
    }

    fn decode<'q, 'r, R: Request<'q>>(
        &self,
        ticket: Ticket,
        frame: &'r [u8],
    ) -> Result<R::Response<'r>, ClientError> {
        let unreadable = |source: DecodeError| ClientError::Unreadable { api: R::API, source };
        let (header, header_len) =
            ResponseHeader::decode(frame, R::API, ticket.version).map_err(unreadable)?;
        if header.correlation_id != ticket.correlation_id {
            return Err(ClientError::OutOfTurn { api: R::API });
        }
        let mut body = Reader::new(&frame[header_len..]);
        Message::decode(&mut body, ticket.version).map_err(unreadable)
    }

    fn broken(&self, source: io::Error) -> ClientError {
        let address = self.address.clone();
        match source.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                ClientError::Silent { address, seconds: SILENCE_MAX.as_secs() }
            }
            _ => ClientError::Broken { address, source },
        }
    }
}

/// Tries every address that the host stands for.
fn dial(address: &Address) -> Result<TcpStream, ClientError> {
    let resolved = (address.host.as_str(), address.port)
        .to_socket_addrs()
        .map_err(|source| ClientError::Resolve { address: address.clone(), source })?;
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name stands for no address");
    for candidate in resolved {
        let stream = TcpStream::connect_timeout(&candidate, CONNECT_WAIT_MAX).and_then(|stream| {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(SILENCE_MAX))?;
            stream.set_write_timeout(Some(SILENCE_MAX))?;
            Ok(stream)
        });
        match stream {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(ClientError::Connect { address: address.clone(), source: failed })
}

/// In every version, the error code follows the correlation id of an ApiVersions answer.
fn is_unsupported_version(frame: &[u8]) -> bool {
    frame.get(4..6) == Some(&ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use chaski_kafka::{RequestHeader, frame_response, metadata};

    use super::*;

    /// Answers each request that one client sends with what `answer` makes of it.
    fn broker(answer: impl Fn(RequestHeader<'_>) -> Vec<u8> + Send + 'static) -> Address {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut prefix = [0; 4];
            while stream.read_exact(&mut prefix).is_ok() {
                let mut frame = vec![0; u32::from_be_bytes(prefix) as usize];
                stream.read_exact(&mut frame).unwrap();
                let (header, _) = RequestHeader::decode(&frame).unwrap();
                let answer = answer(header);
                if answer.is_empty() || stream.write_all(&answer).is_err() {
                    return;
                }
            }
        });
        Address { host: "127.0.0.1".into(), port }
    }

    fn offer(header: RequestHeader<'_>, max_version: i16) -> Vec<u8> {
        let mut response = api_versions::Response::advertised();
        response.api_keys.iter_mut().for_each(|k| k.max_version = k.max_version.min(max_version));
        let (version, id) = (header.api_version, header.correlation_id);
        frame_response(ApiKey::ApiVersions, version, id, &response).into_bytes()
    }

    #[test]
    fn the_highest_common_version_is_used() {
        let address = broker(|header| offer(header, 5));
        let client = Client::connect(&address).unwrap();
        assert_eq!(client.version(ApiKey::Metadata).unwrap(), 5);
        assert_eq!(client.version(ApiKey::OffsetDelete).unwrap(), 0);
    }

    #[test]
    fn a_broker_that_knows_only_older_versions_is_asked_again() {
        let address = broker(|header| match header.api_version {
            2 => offer(header, 2),
            _ => {
                let mut response = api_versions::Response::unsupported_version();
                response.api_keys.iter_mut().for_each(|k| k.max_version = 2);
                let id = header.correlation_id;
                frame_response(ApiKey::ApiVersions, 0, id, &response).into_bytes()
            }
        });
        let client = Client::connect(&address).unwrap();
        assert_eq!(client.version(ApiKey::Metadata).unwrap(), 2);
    }

    #[test]
    fn an_api_without_a_common_version_is_named() {
        let address = broker(|header| offer(header, 1));
        let error = Client::connect(&address).unwrap().version(ApiKey::Fetch).unwrap_err();
        assert!(matches!(error, ClientError::NoCommonVersion { api: ApiKey::Fetch, .. }));
    }

    #[test]
    fn what_a_hostile_broker_sends_is_an_error() {
        let sends = |bytes: &'static [u8]| {
            let address = broker(move |_| bytes.to_vec());
            Client::connect(&address).unwrap_err()
        };
        assert!(matches!(sends(b""), ClientError::Closed { .. }));
        assert!(matches!(sends(b"\x7f\xff\xff\xff"), ClientError::Frame { .. }));
        assert!(matches!(sends(b"\xff\xff\xff\xff"), ClientError::Frame { .. }));
        assert!(matches!(sends(b"HTTP/1.1 400 Bad Request\r\n"), ClientError::Frame { .. }));
        assert!(matches!(sends(b"\0\0\0\x02\0\0"), ClientError::Unreadable { .. }));
        assert!(matches!(sends(b"\0\0\0\x08\0\0\0\x63\0\0\0\0"), ClientError::OutOfTurn { .. }));
        let count = b"\0\0\0\x0b\0\0\0\x01\0\0\xff\xff\xff\xff\x07";
        assert!(matches!(sends(count), ClientError::Unreadable { .. }));
    }

    #[test]
    fn nobody_there_is_said_as_such() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = Client::connect(&Address { host: "127.0.0.1".into(), port }).unwrap_err();
        assert!(matches!(error, ClientError::Connect { .. }));
    }

    #[test]
    fn answers_come_in_turn() {
        let address = broker(|header| match ApiKey::from_i16(header.api_key) {
            Some(ApiKey::ApiVersions) => offer(header, i16::MAX),
            _ => {
                let id = header.correlation_id;
                let response = metadata::Response { controller_id: id, ..Default::default() };
                frame_response(ApiKey::Metadata, header.api_version, id, &response).into_bytes()
            }
        });
        let mut client = Client::connect(&address).unwrap();
        let request = metadata::Request::default();
        let tickets: Vec<Ticket> = (0..3).map(|_| client.send(&request).unwrap()).collect();
        let mut buf = Vec::new();
        for ticket in tickets {
            let response = client.receive::<metadata::Request<'_>>(ticket, &mut buf).unwrap();
            assert_eq!(response.controller_id, ticket.correlation_id);
        }
    }
}
