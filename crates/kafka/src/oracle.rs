//! Every message in every version, against another implementation of the protocol.
//!
//! Ours to theirs: what we encode, `kafka-protocol` decodes to the last byte, and encodes again to
//! the same bytes. Theirs to ours: those bytes we decode to the last byte, to the value we began
//! with.

use std::fmt::Debug;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable, Request as TheirRequest};

use crate::sample::Sampler;
use crate::wire::{Field, Wire};
use crate::{ApiKey, Message, Reader, RequestHeader, ResponseHeader, Writer, fetch};

/// Messages checked per API and version, beside the full one.
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

/// `ours` is `message` encoded.
fn compare<'a, T, M>(message: &M, ours: &'a [u8], api: ApiKey, wire: Wire)
where
    T: Decodable + Encodable,
    M: Message<'a> + Field<'a> + PartialEq + Debug,
{
    let version = wire.version;
    let mut input = Bytes::copy_from_slice(ours);
    let decoded = T::decode(&mut input, version)
        .unwrap_or_else(|e| panic!("{api} {version}: {e} in {message:?}"));
    assert!(input.is_empty(), "{api} {version}: {} bytes left of {message:?}", input.len());
    let mut theirs = BytesMut::new();
    decoded.encode(&mut theirs, version).unwrap_or_else(|e| panic!("{api} {version}: {e}"));
    assert_eq!(ours, &theirs[..], "{api} {version}: {message:?}");

    let mut r = Reader::new(ours);
    assert_eq!(M::decode(&mut r, version).as_ref(), Ok(message), "{api} {version}");
    assert_eq!(r.finish(), Ok(()), "{api} {version}: {message:?}");
    assert!(M::len_min(wire) <= ours.len(), "{api} {version}: {message:?}");
}

macro_rules! against_the_oracle {
    ($($api:ident $module:ident $request:ident,)*) => {
        $(
            #[test]
            fn $module() {
                use crate::$module::{Request, Response};
                for wire in wires(ApiKey::$api) {
                    for mut s in samplers() {
                        type T = theirs::$request;
                        let message = Request::sample(&mut s, wire, false);
                        let bytes = encoded(&message, wire.version);
                        compare::<T, Request>(&message, &bytes, ApiKey::$api, wire);

                        type U = <theirs::$request as TheirRequest>::Response;
                        let message = Response::sample(&mut s, wire, false);
                        let bytes = encoded(&message, wire.version);
                        compare::<U, Response>(&message, &bytes, ApiKey::$api, wire);
                    }
                }
            }
        )*

        #[test]
        fn every_api_is_checked() {
            assert_eq!([$( ApiKey::$api ),*], ApiKey::ALL);
            $( assert_eq!(ApiKey::$api as i16, theirs::$request::KEY); )*
        }
    };
}

against_the_oracle! {
    Produce produce ProduceRequest,
    Fetch fetch FetchRequest,
    ListOffsets list_offsets ListOffsetsRequest,
    Metadata metadata MetadataRequest,
    OffsetCommit offset_commit OffsetCommitRequest,
    OffsetFetch offset_fetch OffsetFetchRequest,
    FindCoordinator find_coordinator FindCoordinatorRequest,
    JoinGroup join_group JoinGroupRequest,
    Heartbeat heartbeat HeartbeatRequest,
    LeaveGroup leave_group LeaveGroupRequest,
    SyncGroup sync_group SyncGroupRequest,
    DescribeGroups describe_groups DescribeGroupsRequest,
    ListGroups list_groups ListGroupsRequest,
    ApiVersions api_versions ApiVersionsRequest,
    CreateTopics create_topics CreateTopicsRequest,
    DeleteTopics delete_topics DeleteTopicsRequest,
    DeleteRecords delete_records DeleteRecordsRequest,
    InitProducerId init_producer_id InitProducerIdRequest,
    OffsetForLeaderEpoch offset_for_leader_epoch OffsetForLeaderEpochRequest,
    DescribeConfigs describe_configs DescribeConfigsRequest,
    AlterConfigs alter_configs AlterConfigsRequest,
    CreatePartitions create_partitions CreatePartitionsRequest,
    DeleteGroups delete_groups DeleteGroupsRequest,
    IncrementalAlterConfigs incremental_alter_configs IncrementalAlterConfigsRequest,
    OffsetDelete offset_delete OffsetDeleteRequest,
    DescribeCluster describe_cluster DescribeClusterRequest,
}

/// The consumer protocol is no API: its versions are its own, and none is flexible.
#[test]
fn consumer_protocol() {
    use crate::consumer_protocol::{Assignment, Subscription, VERSION_MAX};
    for version in 0..=VERSION_MAX {
        let wire = Wire { version, flexible: false };
        for mut s in samplers() {
            let message = Subscription::sample(&mut s, wire, false);
            let bytes = encoded(&message, version);
            let mut input = Bytes::copy_from_slice(&bytes);
            let decoded = theirs::ConsumerProtocolSubscription::decode(&mut input, version);
            let mut again = BytesMut::new();
            decoded.unwrap().encode(&mut again, version).unwrap();
            assert_eq!(bytes, again);
            assert_eq!(Subscription::from_bytes(&message.to_bytes(version)), Ok(message));

            let message = Assignment::sample(&mut s, wire, false);
            let bytes = encoded(&message, version);
            let mut input = Bytes::copy_from_slice(&bytes);
            let decoded = theirs::ConsumerProtocolAssignment::decode(&mut input, version);
            let mut again = BytesMut::new();
            decoded.unwrap().encode(&mut again, version).unwrap();
            assert_eq!(bytes, again);
            assert_eq!(Assignment::from_bytes(&message.to_bytes(version)), Ok(message));
        }
    }
}

#[test]
fn headers() {
    for &api in ApiKey::ALL {
        let their_api = theirs::ApiKey::try_from(api as i16).unwrap();
        for version in api.min_version()..=api.max_version() {
            let header_version = api.request_header_version(version);
            assert_eq!(header_version, their_api.request_header_version(version), "{api}");
            let client_id = (version % 2 == 0).then_some("client");
            let api_key = api as i16;
            let ours =
                RequestHeader { api_key, api_version: version, correlation_id: 77, client_id };
            let mut w = Writer::new();
            ours.encode(&mut w);
            let (bytes, _) = w.into_parts();
            let mut input = Bytes::copy_from_slice(&bytes);
            let header = theirs::RequestHeader::decode(&mut input, header_version).unwrap();
            assert!(input.is_empty());
            assert_eq!(header.client_id.as_deref(), client_id);
            assert_eq!((header.request_api_version, header.correlation_id), (version, 77));
            assert_eq!(RequestHeader::decode(&bytes), Ok((ours, bytes.len())));

            let header_version = api.response_header_version(version);
            assert_eq!(header_version, their_api.response_header_version(version), "{api}");
            let ours = ResponseHeader { correlation_id: 77 };
            let mut w = Writer::new();
            ours.encode(&mut w, api, version);
            let (bytes, _) = w.into_parts();
            let mut input = Bytes::copy_from_slice(&bytes);
            let header = theirs::ResponseHeader::decode(&mut input, header_version).unwrap();
            assert!(input.is_empty());
            assert_eq!(header.correlation_id, 77);
            assert_eq!(ResponseHeader::decode(&bytes, api, version), Ok((ours, bytes.len())));
        }
    }
}

/// A response with spliced records is, once they are put in, the one that held them.
#[test]
fn spliced_records_lie_where_copied_ones_would() {
    for wire in wires(ApiKey::Fetch) {
        for mut s in samplers() {
            let mut response = fetch::Response::sample(&mut s, wire, false);
            let mut records = Vec::new();
            for partition in response.responses.iter_mut().flat_map(|t| &mut t.partitions) {
                if let fetch::Records::Bytes(None) = partition.records {
                    partition.records = fetch::Records::Bytes(Some(b""));
                }
            }
            let copied = encoded(&response, wire.version);
            for partition in response.responses.iter_mut().flat_map(|t| &mut t.partitions) {
                if let fetch::Records::Bytes(Some(bytes)) = partition.records {
                    records.extend(Some(bytes).filter(|bytes| !bytes.is_empty()));
                    partition.records = fetch::Records::Spliced(bytes.len());
                }
            }
            let mut w = Writer::new();
            response.encode(&mut w, wire.version);
            assert_eq!(w.len(), copied.len());
            let (bytes, cuts) = w.into_parts();
            assert_eq!(cuts.len(), records.len());
            let mut joined = Vec::new();
            let mut from = 0;
            for ((at, len), records) in cuts.into_iter().zip(records) {
                assert_eq!(len, records.len());
                joined.extend_from_slice(&bytes[from..at]);
                joined.extend_from_slice(records);
                from = at;
            }
            joined.extend_from_slice(&bytes[from..]);
            assert_eq!(joined, copied);
        }
    }
}
