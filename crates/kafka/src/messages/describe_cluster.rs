//! DescribeCluster (60): the brokers (KIP-700).

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(DescribeCluster: Request => Response<'r>);

/// Endpoint type: brokers.
pub const BROKERS: i8 = 1;
/// Endpoint type: controllers.
pub const CONTROLLERS: i8 = 2;

message! {
    api DescribeCluster;

    /// Asks about the cluster.
    pub struct Request {
        include_cluster_authorized_operations: bool [0+],
        /// [`BROKERS`] or [`CONTROLLERS`].
        endpoint_type: i8 [1+] = BROKERS,
    }

    /// The cluster.
    pub struct Response<'a> {
        throttle_time_ms: i32 [0+],
        error_code: ErrorCode [0+],
        error_message: Option<&'a str> [0+],
        endpoint_type: i8 [1+] = BROKERS,
        cluster_id: &'a str [0+],
        controller_id: i32 [0+] = -1,
        brokers: Vec<Broker<'a>> [0+],
        cluster_authorized_operations: i32 [0+] = i32::MIN,
    }

    /// A broker and where it listens.
    pub struct Broker<'a> {
        broker_id: i32 [0+],
        host: &'a str [0+],
        port: i32 [0+],
        rack: Option<&'a str> [0+],
    }
}
