//! FindCoordinator (10): which broker looks after a group; from version 4 many at once.

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(FindCoordinator: Request<'a> => Response<'r>);

/// Key type of a consumer group.
pub const GROUP: i8 = 0;
/// Key type of a transactional id.
pub const TRANSACTION: i8 = 1;

message! {
    api FindCoordinator;

    /// Asks for coordinators.
    pub struct Request<'a> {
        key: &'a str [0..=3],
        key_type: i8 [1+],
        coordinator_keys: Vec<&'a str> [4+],
    }

    /// The coordinators.
    pub struct Response<'a> {
        throttle_time_ms: i32 [1+],
        error_code: ErrorCode [0..=3],
        error_message: Option<&'a str> [1..=3],
        node_id: i32 [0..=3],
        host: &'a str [0..=3],
        port: i32 [0..=3],
        coordinators: Vec<Coordinator<'a>> [4+],
    }

    /// The coordinator of one key.
    pub struct Coordinator<'a> {
        key: &'a str [4+],
        node_id: i32 [4+],
        host: &'a str [4+],
        port: i32 [4+],
        error_code: ErrorCode [4+],
        error_message: Option<&'a str> [4+],
    }
}
