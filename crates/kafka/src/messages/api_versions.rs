//! ApiVersions (18): which APIs and versions the broker serves, and who the client is (KIP-511).

use crate::schema::{exchange, message};
use crate::{ErrorCode, served};

exchange!(ApiVersions: Request<'a> => Response<'r>);

message! {
    api ApiVersions;

    /// Asks what the broker serves.
    pub struct Request<'a> {
        client_software_name: &'a str [3+],
        client_software_version: &'a str [3+],
    }

    /// What the broker serves.
    pub struct Response<'a> {
        error_code: ErrorCode [0+],
        api_keys: Vec<ApiVersion> [0+],
        throttle_time_ms: i32 [1+],
        supported_features: Vec<SupportedFeature<'a>> [3+] tag 0,
        /// -1: unknown.
        finalized_features_epoch: i64 [3+] tag 1 = -1,
        finalized_features: Vec<FinalizedFeature<'a>> [3+] tag 2,
        zk_migration_ready: bool [3+] tag 3,
    }

    /// The versions of one API.
    pub struct ApiVersion {
        api_key: i16 [0+],
        min_version: i16 [0+],
        max_version: i16 [0+],
    }

    /// The versions of a feature that the broker supports.
    pub struct SupportedFeature<'a> {
        name: &'a str [3+],
        min_version: i16 [3+],
        max_version: i16 [3+],
    }

    /// The versions of a feature that the cluster has settled on.
    pub struct FinalizedFeature<'a> {
        name: &'a str [3+],
        max_version_level: i16 [3+],
        min_version_level: i16 [3+],
    }
}

impl Response<'_> {
    /// All that is served.
    pub fn advertised() -> Self {
        let api_keys = served()
            .iter()
            .map(|range| ApiVersion {
                api_key: range.api as i16,
                min_version: range.min,
                max_version: range.max,
            })
            .collect();
        Response { api_keys, ..Response::default() }
    }

    /// The answer to an ApiVersions request of a version not served, to be encoded as version 0:
    /// the client then knows how to ask again (KIP-511).
    pub fn unsupported_version() -> Self {
        let mut response = Response::advertised();
        response.error_code = ErrorCode::UNSUPPORTED_VERSION;
        response.api_keys.retain(|version| version.api_key == crate::ApiKey::ApiVersions as i16);
        response
    }
}
