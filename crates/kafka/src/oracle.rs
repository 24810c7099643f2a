//! Every message in every version, against another implementation of the protocol.
//!
//! Ours to theirs: what we encode, `kafka-protocol` decodes to the last byte, and encodes again to
//! the same bytes. Theirs to ours: those bytes we decode to the last byte, to the value we began
//! with, and encode again to the same bytes.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable};

use crate::sample::Sampler;
use crate::wire::{Field, Wire};
use crate::{ApiKey, Message, Reader, RequestHeader, ResponseHeader, Writer};

/// Messages checked per API, version and direction, beside the full one.
const VARIED: u64 = 40;

fn wires(api: ApiKey) -> impl Iterator<Item = Wire> {
    (api.min_version()..=api.max_version())
        .map(move |version| Wire { version, flexible: api.is_flexible(version) })
}

fn samplers() -> impl Iterator<Item = Sampler> {
    std::iter::once(Sampler::full()).chain((0..VARIED).map(Sampler::varied))
}

fn encoded<'a>(message: &impl Message<'a>, version: i16) -> Vec<u8> {
    let mut w = Writer::new();
    message.encode(&mut w, version);
    w.into_parts().0
}

fn check<M, T>(api: ApiKey)
where
    M: for<'a> Field<'a> + for<'a> Message<'a> + PartialEq + std::fmt::Debug,
    T: Decodable + Encodable,
{
    for wire in wires(api) {
        for mut sampler in samplers() {
            compare::<T, M>(&M::sample(&mut sampler, wire, false), api, wire.version);
        }
    }
}

fn compare<'a, T, M>(message: &M, api: ApiKey, version: i16)
where
    T: Decodable + Encodable,
    M: Message<'a> + PartialEq + std::fmt::Debug,
{
    // Leaked because what is decoded borrows for as long as the message itself.
    let ours: &'static [u8] = encoded(message, version).leak();
    let mut input = Bytes::from_static(ours);
    let decoded = T::decode(&mut input, version)
        .unwrap_or_else(|e| panic!("{api} {version}: {e} in {message:?}"));
    assert!(input.is_empty(), "{api} {version}: {} bytes left of {message:?}", input.len());
    let mut again = BytesMut::new();
    decoded.encode(&mut again, version).unwrap_or_else(|e| panic!("{api} {version}: {e}"));
    assert_eq!(ours, &again[..], "{api} {version}: {message:?}");

    let mut r = Reader::new(ours);
    assert_eq!(M::decode(&mut r, version).as_ref(), Ok(message), "{api} {version}");
    assert_eq!(r.finish(), Ok(()), "{api} {version}: {message:?}");
}
