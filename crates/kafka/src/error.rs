//! The error codes of the protocol. Source: the Kafka protocol guide, "Error Codes".

use std::fmt;

/// An error code as it stands in a response. Codes that Kafka has not given out are kept as they
/// came.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ErrorCode(pub i16);

/// Whether the client may just try again.
const RETRY: bool = true;
const FINAL: bool = false;

macro_rules! error_codes {
    ($( $code:literal $name:ident $retriable:ident $message:literal; )*) => {
        #[allow(missing_docs)]
        impl ErrorCode {
            $(
                #[doc = $message]
                pub const $name: ErrorCode = ErrorCode($code);
            )*

            /// All codes that Kafka has given out.
            pub const ALL: &'static [ErrorCode] = &[$( ErrorCode::$name ),*];

            fn row(self) -> Option<(&'static str, bool, &'static str)> {
                match self.0 {
                    $( $code => Some((stringify!($name), $retriable, $message)), )*
                    _ => None,
                }
            }
        }
    };
}

error_codes! {
    -1 UNKNOWN_SERVER_ERROR FINAL "the broker failed in an unexpected way";
    0 NONE FINAL "no error";
    1 OFFSET_OUT_OF_RANGE FINAL "the offset is outside what the partition holds";
    2 CORRUPT_MESSAGE RETRY "the checksum, size or form of the records is wrong";
    3 UNKNOWN_TOPIC_OR_PARTITION RETRY "the broker has no such topic or partition";
    4 INVALID_FETCH_SIZE FINAL "the fetch size is invalid";
    5 LEADER_NOT_AVAILABLE RETRY "the partition has no leader at present";
    6 NOT_LEADER_OR_FOLLOWER RETRY "the broker is not the leader or a replica of the partition";
    7 REQUEST_TIMED_OUT RETRY "the request timed out";
    8 BROKER_NOT_AVAILABLE FINAL "the broker is not available";
    9 REPLICA_NOT_AVAILABLE RETRY "the replica is not available";
    10 MESSAGE_TOO_LARGE FINAL "the records are larger than the broker accepts";
    11 STALE_CONTROLLER_EPOCH FINAL "the controller has moved to another broker";
    12 OFFSET_METADATA_TOO_LARGE FINAL "the metadata of the offset commit is too large";
    13 NETWORK_EXCEPTION RETRY "the connection ended before the response came";
    14 COORDINATOR_LOAD_IN_PROGRESS RETRY "the coordinator is loading its state";
    15 COORDINATOR_NOT_AVAILABLE RETRY "the coordinator is not available";
    16 NOT_COORDINATOR RETRY "the broker is not the coordinator asked for";
    17 INVALID_TOPIC_EXCEPTION FINAL "the topic is invalid or may not be used like this";
    18 RECORD_LIST_TOO_LARGE FINAL "the record batch is larger than a segment";
    19 NOT_ENOUGH_REPLICAS RETRY "too few replicas are in sync to take the records";
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND RETRY "the records went to too few replicas";
    21 INVALID_REQUIRED_ACKS FINAL "acks must be 0, 1 or -1";
    22 ILLEGAL_GENERATION FINAL "the group has another generation";
    23 INCONSISTENT_GROUP_PROTOCOL FINAL "no protocol is common to all members of the group";
    24 INVALID_GROUP_ID FINAL "the group id is invalid";
    25 UNKNOWN_MEMBER_ID FINAL "the group has no such member";
    26 INVALID_SESSION_TIMEOUT FINAL "the session timeout is outside what the broker allows";
    27 REBALANCE_IN_PROGRESS FINAL "the group is rebalancing; join again";
    28 INVALID_COMMIT_OFFSET_SIZE FINAL "the offset commit is too large";
    29 TOPIC_AUTHORIZATION_FAILED FINAL "not authorized for the topic";
    30 GROUP_AUTHORIZATION_FAILED FINAL "not authorized for the group";
    31 CLUSTER_AUTHORIZATION_FAILED FINAL "not authorized for the cluster";
    32 INVALID_TIMESTAMP FINAL "a timestamp is out of the accepted range";
    33 UNSUPPORTED_SASL_MECHANISM FINAL "the SASL mechanism is not supported";
    34 ILLEGAL_SASL_STATE FINAL "the request does not fit the state of authentication";
    35 UNSUPPORTED_VERSION FINAL "the version of the API is not supported";
    36 TOPIC_ALREADY_EXISTS FINAL "a topic of this name exists";
    37 INVALID_PARTITIONS FINAL "the number of partitions is invalid";
    38 INVALID_REPLICATION_FACTOR FINAL "the replication factor is invalid";
    39 INVALID_REPLICA_ASSIGNMENT FINAL "the replica assignment is invalid";
    40 INVALID_CONFIG FINAL "a setting is invalid";
    41 NOT_CONTROLLER RETRY "the broker is not the controller";
    42 INVALID_REQUEST FINAL "the request is malformed or contradicts itself";
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT FINAL "the record format does not support the request";
    44 POLICY_VIOLATION FINAL "the request violates a policy of the broker";
    45 OUT_OF_ORDER_SEQUENCE_NUMBER FINAL "the producer's sequence number does not follow the last";
    46 DUPLICATE_SEQUENCE_NUMBER FINAL "the producer's sequence number came before";
    47 INVALID_PRODUCER_EPOCH FINAL "the producer's epoch is old";
    48 INVALID_TXN_STATE FINAL "the operation does not fit the state of the transaction";
    49 INVALID_PRODUCER_ID_MAPPING FINAL "the producer id is not that of the transactional id";
    50 INVALID_TRANSACTION_TIMEOUT FINAL "the transaction timeout is larger than allowed";
    51 CONCURRENT_TRANSACTIONS FINAL "another operation on the transaction is under way";
    52 TRANSACTION_COORDINATOR_FENCED FINAL "the transaction has another coordinator by now";
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED FINAL "not authorized for the transactional id";
    54 SECURITY_DISABLED FINAL "security is disabled";
    55 OPERATION_NOT_ATTEMPTED FINAL "the operation was not attempted";
    56 KAFKA_STORAGE_ERROR RETRY "the broker's storage failed";
    57 LOG_DIR_NOT_FOUND FINAL "the broker has no such log directory";
    58 SASL_AUTHENTICATION_FAILED FINAL "authentication failed";
    59 UNKNOWN_PRODUCER_ID FINAL "the broker does not know the producer id";
    60 REASSIGNMENT_IN_PROGRESS FINAL "partitions are being reassigned";
    61 DELEGATION_TOKEN_AUTH_DISABLED FINAL "delegation tokens are disabled";
    62 DELEGATION_TOKEN_NOT_FOUND FINAL "there is no such delegation token";
    63 DELEGATION_TOKEN_OWNER_MISMATCH FINAL "the delegation token has another owner or renewer";
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED FINAL "delegation tokens need a secure channel";
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED FINAL "not authorized for the delegation token";
    66 DELEGATION_TOKEN_EXPIRED FINAL "the delegation token has expired";
    67 INVALID_PRINCIPAL_TYPE FINAL "the principal type is not supported";
    68 NON_EMPTY_GROUP FINAL "the group has members";
    69 GROUP_ID_NOT_FOUND FINAL "there is no such group";
    70 FETCH_SESSION_ID_NOT_FOUND RETRY "there is no such fetch session";
    71 INVALID_FETCH_SESSION_EPOCH RETRY "the epoch of the fetch session is wrong";
    72 LISTENER_NOT_FOUND RETRY "the leader has no such listener";
    73 TOPIC_DELETION_DISABLED FINAL "topics may not be deleted";
    74 FENCED_LEADER_EPOCH RETRY "the leader epoch is older than the broker's";
    75 UNKNOWN_LEADER_EPOCH RETRY "the leader epoch is newer than the broker's";
    76 UNSUPPORTED_COMPRESSION_TYPE FINAL "the compression type is not supported";
    77 STALE_BROKER_EPOCH FINAL "the broker epoch has changed";
    78 OFFSET_NOT_AVAILABLE RETRY "the leader does not know its high watermark yet";
    79 MEMBER_ID_REQUIRED FINAL "join again with the member id given";
    80 PREFERRED_LEADER_NOT_AVAILABLE RETRY "the preferred leader is not available";
    81 GROUP_MAX_SIZE_REACHED FINAL "the group is full";
    82 FENCED_INSTANCE_ID FINAL "another member holds the group instance id";
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE RETRY "no eligible leader is available";
    84 ELECTION_NOT_NEEDED RETRY "no leader election is needed";
    85 NO_REASSIGNMENT_IN_PROGRESS FINAL "no partition is being reassigned";
    86 GROUP_SUBSCRIBED_TO_TOPIC FINAL "the group is subscribed to the topic";
    87 INVALID_RECORD FINAL "a record is invalid";
    88 UNSTABLE_OFFSET_COMMIT RETRY "offsets of an open transaction stand in the way";
    89 THROTTLING_QUOTA_EXCEEDED RETRY "the quota is used up";
    90 PRODUCER_FENCED FINAL "a newer producer has the transactional id";
    91 RESOURCE_NOT_FOUND FINAL "there is no such resource";
    92 DUPLICATE_RESOURCE FINAL "the resource is named twice";
    93 UNACCEPTABLE_CREDENTIAL FINAL "the credential is not acceptable";
    94 INCONSISTENT_VOTER_SET FINAL "sender or recipient is not one of the voters";
    95 INVALID_UPDATE_VERSION FINAL "the update version is invalid";
    96 FEATURE_UPDATE_FAILED FINAL "the features could not be updated";
    97 PRINCIPAL_DESERIALIZATION_FAILURE FINAL "the forwarded principal cannot be read";
    98 SNAPSHOT_NOT_FOUND FINAL "there is no such snapshot";
    99 POSITION_OUT_OF_RANGE FINAL "the position is outside the snapshot";
    100 UNKNOWN_TOPIC_ID RETRY "the broker has no topic with this id";
    101 DUPLICATE_BROKER_REGISTRATION FINAL "the broker id is in use";
    102 BROKER_ID_NOT_REGISTERED FINAL "the broker id is not registered";
    103 INCONSISTENT_TOPIC_ID RETRY "the log has another topic id";
    104 INCONSISTENT_CLUSTER_ID FINAL "the broker has another cluster id";
    105 TRANSACTIONAL_ID_NOT_FOUND FINAL "there is no such transactional id";
    106 FETCH_SESSION_TOPIC_ID_ERROR RETRY "the fetch session mixes topic names and ids";
    107 INELIGIBLE_REPLICA FINAL "the in-sync set holds an ineligible replica";
    108 NEW_LEADER_ELECTED FINAL "the partition changed, and has another leader";
    109 OFFSET_MOVED_TO_TIERED_STORAGE FINAL "the offset lies in tiered storage";
    110 FENCED_MEMBER_EPOCH FINAL "the member is fenced and must join again";
    111 UNRELEASED_INSTANCE_ID FINAL "another member still uses the instance id";
    112 UNSUPPORTED_ASSIGNOR FINAL "the group does not support the assignor";
    113 STALE_MEMBER_EPOCH FINAL "the member epoch is old";
    114 MISMATCHED_ENDPOINT_TYPE FINAL "the endpoint is of another type";
    115 UNSUPPORTED_ENDPOINT_TYPE FINAL "the endpoint type is not supported";
    116 UNKNOWN_CONTROLLER_ID FINAL "the controller id is not known";
    117 UNKNOWN_SUBSCRIPTION_ID FINAL "the telemetry subscription is invalid or outdated";
    118 TELEMETRY_TOO_LARGE FINAL "the telemetry is larger than the broker accepts";
    119 INVALID_REGISTRATION FINAL "the broker registration is invalid";
    120 TRANSACTION_ABORTABLE FINAL "the transaction failed and should be aborted";
    121 INVALID_RECORD_STATE FINAL "the state of the record does not allow the acknowledgement";
    122 SHARE_SESSION_NOT_FOUND RETRY "there is no such share session";
    123 INVALID_SHARE_SESSION_EPOCH RETRY "the epoch of the share session is wrong";
    124 FENCED_STATE_EPOCH FINAL "the state epoch of the share group is another";
    125 INVALID_VOTER_KEY FINAL "the key is not that of the voter";
    126 DUPLICATE_VOTER FINAL "the voter is there already";
    127 VOTER_NOT_FOUND FINAL "there is no such voter";
    128 INVALID_REGULAR_EXPRESSION FINAL "the regular expression is invalid";
    129 REBOOTSTRAP_REQUIRED FINAL "the client must start over from its bootstrap servers";
    130 STREAMS_INVALID_TOPOLOGY FINAL "the streams topology is invalid";
}

impl ErrorCode {
    /// Kafka's name for it, in capitals; `UNKNOWN` for a code Kafka has not given out.
    pub fn name(self) -> &'static str {
        self.row().map_or("UNKNOWN", |row| row.0)
    }

    /// May the client send the same request again?
    pub fn retriable(self) -> bool {
        self.row().is_some_and(|row| row.1)
    }

    /// What it means, in a few words.
    pub fn message(self) -> &'static str {
        self.row().map_or("an error code not known here", |row| row.2)
    }

    /// No error?
    pub fn is_none(self) -> bool {
        self == ErrorCode::NONE
    }

    /// `Err` unless there is no error.
    pub fn ok(self) -> Result<(), ErrorCode> {
        if self.is_none() { Ok(()) } else { Err(self) }
    }
}

impl std::error::Error for ErrorCode {}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}: {})", self.message(), self.0, self.name())
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> ErrorCode {
        ErrorCode(code)
    }
}

impl From<ErrorCode> for i16 {
    fn from(code: ErrorCode) -> i16 {
        code.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::ResponseError;

    #[test]
    fn no_code_is_missing() {
        let codes: Vec<i16> = ErrorCode::ALL.iter().map(|code| code.0).collect();
        assert_eq!(codes, (-1..=130).collect::<Vec<_>>());
    }

    #[test]
    fn names_and_retriability_are_those_of_the_oracle() {
        for code in ErrorCode::ALL.iter().filter(|code| !code.is_none()) {
            let oracle = ResponseError::try_from_code(code.0).unwrap();
            let camel = code.name().replace('_', "").to_lowercase();
            assert_eq!(camel, format!("{oracle:?}").to_lowercase());
            assert_eq!(code.retriable(), oracle.is_retriable(), "{code:?}");
        }
    }

    #[test]
    fn shows_what_it_means() {
        let shown = ErrorCode::NON_EMPTY_GROUP.to_string();
        assert_eq!(shown, "the group has members (68: NON_EMPTY_GROUP)");
        assert_eq!(format!("{:?}", ErrorCode(999)), "UNKNOWN(999)");
        assert_eq!(ErrorCode::NONE.ok(), Ok(()));
        assert_eq!(ErrorCode(3).ok(), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    }
}
