//! The APIs served, by number: versions, and from where they are flexible.

use std::fmt;

/// The versions of one API that the broker offers, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct ApiRange {
    pub api: ApiKey,
    pub min: i16,
    pub max: i16,
}

/// Never flexible.
const NEVER: i16 = i16::MAX;

macro_rules! api_keys {
    ($( $name:ident = $key:literal, $min:literal ..= $max:literal, $flexible:expr; )*) => {
        /// An API that is served. The number is the one on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        #[allow(missing_docs)]
        pub enum ApiKey {
            $( $name = $key, )*
        }

        impl ApiKey {
            /// All of them, by rising number.
            pub const ALL: &'static [ApiKey] = &[$( ApiKey::$name ),*];

            /// The API with this number, if it is served.
            pub const fn from_i16(key: i16) -> Option<ApiKey> {
                match key {
                    $( $key => Some(ApiKey::$name), )*
                    _ => None,
                }
            }

            /// Kafka's name for it.
            pub const fn name(self) -> &'static str {
                match self {
                    $( ApiKey::$name => stringify!($name), )*
                }
            }

            /// Lowest version served.
            pub const fn min_version(self) -> i16 {
                match self {
                    $( ApiKey::$name => $min, )*
                }
            }

            /// Highest version served.
            pub const fn max_version(self) -> i16 {
                match self {
                    $( ApiKey::$name => $max, )*
                }
            }

            /// First flexible version (KIP-482); `i16::MAX` if there is none.
            #[inline]
            pub const fn flexible_from(self) -> i16 {
                match self {
                    $( ApiKey::$name => $flexible, )*
                }
            }
        }

        static SERVED: &[ApiRange] = &[$(
            ApiRange { api: ApiKey::$name, min: advertised_min(ApiKey::$name), max: $max },
        )*];
    };
}

api_keys! {
    Produce = 0, 3..=11, 9;
    Fetch = 1, 4..=12, 12;
    ListOffsets = 2, 1..=8, 6;
    Metadata = 3, 0..=12, 9;
    OffsetCommit = 8, 2..=9, 8;
    OffsetFetch = 9, 1..=9, 6;
    FindCoordinator = 10, 0..=4, 3;
    JoinGroup = 11, 0..=9, 6;
    Heartbeat = 12, 0..=4, 4;
    LeaveGroup = 13, 0..=5, 4;
    SyncGroup = 14, 0..=5, 4;
    DescribeGroups = 15, 0..=5, 5;
    ListGroups = 16, 0..=5, 3;
    ApiVersions = 18, 0..=4, 3;
    CreateTopics = 19, 2..=7, 5;
    DeleteTopics = 20, 1..=6, 4;
    DeleteRecords = 21, 0..=2, 2;
    InitProducerId = 22, 0..=4, 2;
    OffsetForLeaderEpoch = 23, 2..=4, 4;
    DescribeConfigs = 32, 1..=4, 4;
    AlterConfigs = 33, 0..=2, 2;
    CreatePartitions = 37, 0..=3, 2;
    DeleteGroups = 42, 0..=2, 2;
    IncrementalAlterConfigs = 44, 0..=1, 1;
    OffsetDelete = 47, 0..=0, NEVER;
    DescribeCluster = 60, 0..=1, 0;
}

/// Produce is advertised from 0 although 3 is the first version served: librdkafka takes a higher
/// minimum to mean that no compression is supported (KAFKA-18659). No client goes that low.
const fn advertised_min(api: ApiKey) -> i16 {
    match api {
        ApiKey::Produce => 0,
        _ => api.min_version(),
    }
}

/// What ApiVersions advertises, by rising API number.
pub fn served() -> &'static [ApiRange] {
    SERVED
}

impl ApiKey {
    /// Is this version served?
    pub const fn serves(self, version: i16) -> bool {
        self.min_version() <= version && version <= self.max_version()
    }

    /// Is this version flexible?
    pub const fn is_flexible(self, version: i16) -> bool {
        version >= self.flexible_from()
    }

    /// Version of the request header: 2 has tagged fields, 1 has none.
    pub const fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// Version of the response header: 1 has tagged fields, 0 has none.
    ///
    /// ApiVersions always answers with 0, as the client does not know yet what the broker speaks
    /// (KIP-511).
    pub const fn response_header_version(self, version: i16) -> i16 {
        match self {
            ApiKey::ApiVersions => 0,
            _ if self.is_flexible(version) => 1,
            _ => 0,
        }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_numbers_agree() {
        for &api in ApiKey::ALL {
            assert_eq!(ApiKey::from_i16(api as i16), Some(api));
            assert!(api.serves(api.min_version()) && api.serves(api.max_version()));
            assert!(!api.serves(api.min_version() - 1) && !api.serves(api.max_version() + 1));
        }
        assert!(ApiKey::ALL.is_sorted());
        assert_eq!(ApiKey::from_i16(17), None);
        assert_eq!(ApiKey::from_i16(-1), None);
    }

    #[test]
    fn only_produce_advertises_more_than_is_served() {
        assert_eq!(served().len(), ApiKey::ALL.len());
        for range in served() {
            let min = if range.api == ApiKey::Produce { 0 } else { range.api.min_version() };
            assert_eq!((range.min, range.max), (min, range.api.max_version()), "{}", range.api);
        }
    }

    #[test]
    fn header_versions() {
        assert_eq!(ApiKey::Metadata.request_header_version(8), 1);
        assert_eq!(ApiKey::Metadata.request_header_version(9), 2);
        assert_eq!(ApiKey::Metadata.response_header_version(9), 1);
        assert_eq!(ApiKey::ApiVersions.request_header_version(3), 2);
        assert_eq!(ApiKey::ApiVersions.response_header_version(3), 0);
        assert_eq!(ApiKey::OffsetDelete.request_header_version(0), 1);
    }
}
