//! Bytes from an enemy: no decoder may panic, or take more memory than the bytes are worth.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::messages::for_each_api;
use crate::sample::Sampler;
use crate::wire::{Field, Wire};
use crate::{
    ApiKey, DecodeError, Message, Reader, RequestHeader, Writer, consumer_protocol,
    decode_any_request, decode_any_response, metadata, produce,
};

/// Bytes of arrays that a byte of input may cost, the worst case over all schemas: 22 for the
/// array whose elements are largest against their least size on the wire, at three levels.
const COST_MAX: usize = 3 * 22;

macro_rules! by_api {
    ($($api:ident $module:ident,)*) => {
        /// Decodes the body and returns the bytes its arrays were allowed.
        fn cost(api: ApiKey, request: bool, body: &[u8], version: i16) -> usize {
            let mut r = Reader::new(body);
            let _ = match (api, request) {
                $(
                    (ApiKey::$api, true) => {
                        crate::$module::Request::decode(&mut r, version).map(drop)
                    }
                    (ApiKey::$api, false) => {
                        crate::$module::Response::decode(&mut r, version).map(drop)
                    }
                )*
            };
            r.memory_used()
        }

        fn sample(api: ApiKey, request: bool, s: &mut Sampler, wire: Wire) -> Vec<u8> {
            let mut w = Writer::new();
            match (api, request) {
                $(
                    (ApiKey::$api, true) => crate::$module::Request::sample(s, wire, false)
                        .encode(&mut w, wire.version),
                    (ApiKey::$api, false) => crate::$module::Response::sample(s, wire, false)
                        .encode(&mut w, wire.version),
                )*
            }
            w.into_parts().0
        }
    };
}

for_each_api!(by_api);

fn withstands(api: ApiKey, body: &[u8], version: i16) {
    for request in [true, false] {
        let cost = cost(api, request, body, version);
        assert!(cost <= COST_MAX * body.len(), "{api} {version}: {cost} for {}", body.len());
    }
    if api == ApiKey::Produce
        && let Ok(ranges) = produce::decode_ranges(body, version)
    {
        lies_within(&ranges, body);
    }
    let mut w = Writer::new();
    let api_key = api as i16;
    RequestHeader { api_key, api_version: version, ..Default::default() }.encode(&mut w);
    w.raw(body);
    let _ = decode_any_request(&w.into_parts().0);
    let _ = decode_any_response(api, version, body);
}

fn lies_within(ranges: &produce::RequestRanges, body: &[u8]) {
    let mut end = 0;
    let partitions = |topic: &produce::TopicRanges| {
        topic.partitions.iter().filter_map(|p| p.records.clone()).collect::<Vec<_>>()
    };
    let topics = ranges.topics.iter();
    let all = topics.flat_map(|t| std::iter::once(t.name.clone()).chain(partitions(t)));
    for range in ranges.transactional_id.clone().into_iter().chain(all) {
        assert!(end <= range.start && range.start <= range.end && range.end <= body.len());
        end = range.end;
    }
}

/// An API and a version, mostly one that is served.
fn version_of_api() -> impl Strategy<Value = (ApiKey, i16)> {
    let api = prop::sample::select(ApiKey::ALL);
    api.prop_flat_map(|api| (Just(api), api.min_version() - 1..=api.max_version() + 1))
}

/// A change to a message: a byte set, bytes put in, bytes taken out.
#[derive(Debug, Clone)]
enum Damage {
    Set(usize, u8),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<usize>();
    let telling = prop_oneof![Just(0), Just(1), Just(0x7f), Just(0x80), Just(0xff), any::<u8>()];
    prop_oneof![
        4 => (at, telling).prop_map(|(at, byte)| Damage::Set(at, byte)),
        1 => (at, vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        1 => (at, 1..8usize).prop_map(|(at, len)| Damage::Remove(at, len)),
    ]
}

fn apply(damage: &Damage, bytes: &mut Vec<u8>) {
    let len = bytes.len();
    match damage {
        Damage::Set(at, byte) if len > 0 => bytes[at % len] = *byte,
        Damage::Set(..) => {}
        Damage::Insert(at, new) => {
            let at = at % (len + 1);
            bytes.splice(at..at, new.iter().copied());
        }
        Damage::Remove(at, count) => {
            let at = at % (len + 1);
            bytes.drain(at..len.min(at + count));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4000,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn random_bytes((api, version) in version_of_api(), body in vec(any::<u8>(), 0..200)) {
        withstands(api, &body, version);
    }

    #[test]
    fn small_bytes((api, version) in version_of_api(), body in vec(0..6u8, 0..200)) {
        withstands(api, &body, version);
    }

    #[test]
    fn damaged_messages(
        (api, version) in version_of_api(),
        request in any::<bool>(),
        seed in any::<u64>(),
        changes in vec(damage(), 1..6),
    ) {
        let wire = Wire { version, flexible: api.is_flexible(version) };
        let mut body = sample(api, request, &mut Sampler::varied(seed), wire);
        for change in &changes {
            apply(change, &mut body);
        }
        withstands(api, &body, version);
    }

    #[test]
    fn random_frames(frame in vec(any::<u8>(), 0..100)) {
        let _ = RequestHeader::decode(&frame);
        let _ = decode_any_request(&frame);
        let _ = consumer_protocol::Subscription::from_bytes(&frame);
        let _ = consumer_protocol::Assignment::from_bytes(&frame);
    }
}

/// A message cut anywhere is an error, since the last byte of every message counts.
#[test]
fn every_cut_is_noticed() {
    for &api in ApiKey::ALL {
        for version in api.min_version()..=api.max_version() {
            let wire = Wire { version, flexible: api.is_flexible(version) };
            let mut w = Writer::new();
            let header =
                RequestHeader { api_key: api as i16, api_version: version, ..Default::default() };
            header.encode(&mut w);
            w.raw(&sample(api, true, &mut Sampler::full(), wire));
            let (frame, _) = w.into_parts();
            assert_eq!(decode_any_request(&frame), Ok(api));
            for end in 0..frame.len() {
                let result = decode_any_request(&frame[..end]);
                assert!(result.is_err(), "{api} {version} cut at {end} of {}", frame.len());
            }
        }
    }
}

/// Every byte of every message in turn becomes the largest and the smallest length.
#[test]
fn every_length_may_lie() {
    for &api in ApiKey::ALL {
        for version in api.min_version()..=api.max_version() {
            let wire = Wire { version, flexible: api.is_flexible(version) };
            for request in [true, false] {
                let body = sample(api, request, &mut Sampler::full(), wire);
                for at in 0..body.len() {
                    for lie in [&[0x7f, 0xff, 0xff, 0xff][..], &[0x80, 0, 0, 0], &[0xff; 5]] {
                        let mut body = body.clone();
                        let end = body.len().min(at + lie.len());
                        body[at..end].copy_from_slice(&lie[..end - at]);
                        withstands(api, &body, version);
                    }
                }
            }
        }
    }
}

#[test]
fn a_count_without_elements_is_refused_before_anything_is_allocated() {
    let body = i32::MAX.to_be_bytes();
    let result = metadata::Request::decode(&mut Reader::new(&body), 1);
    assert_eq!(result, Err(DecodeError::Count { count: i32::MAX as usize, have: 0 }));
    // In compact form: a count of 2^31 - 2.
    let body = [0xff, 0xff, 0xff, 0xff, 0x07];
    let result = metadata::Request::decode(&mut Reader::new(&body), 9);
    assert_eq!(result, Err(DecodeError::Count { count: i32::MAX as usize - 1, have: 0 }));
}

/// A large frame of the smallest elements is well formed, and is refused all the same.
#[test]
fn arrays_stay_within_the_memory_allowed() {
    let count: usize = 1 << 20;
    let mut body = (count as i32).to_be_bytes().to_vec();
    body.resize(4 + 2 * count, 0);
    let max = count * size_of::<metadata::RequestTopic<'_>>();
    let decode = |max| {
        let mut r = Reader::with_memory_max(&body, max);
        metadata::Request::decode(&mut r, 0).map(|request| request.topics.map_or(0, |t| t.len()))
    };
    assert_eq!(decode(max), Ok(count));
    assert_eq!(decode(max - 1), Err(DecodeError::Memory { max: max - 1 }));
}

#[test]
fn names_must_be_text() {
    let mut body = b"\xff\xff\0\x01\0\0\0\0\0\0\0\x01\0\x02\xc3\x28\0\0\0\0".to_vec();
    assert_eq!(produce::decode_ranges(&body, 3), Err(DecodeError::Utf8));
    body[15] = 0xa8;
    let ranges = produce::decode_ranges(&body, 3).unwrap();
    assert_eq!(&body[ranges.topics[0].name.clone()], "\u{e8}".as_bytes());
}
