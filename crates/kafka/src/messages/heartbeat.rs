//! Heartbeat (12): a member is alive, and learns of a rebalance.

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(Heartbeat: Request<'a> => Response);

message! {
    api Heartbeat;

    /// Says that a member is alive.
    pub struct Request<'a> {
        group_id: &'a str [0+],
        generation_id: i32 [0+],
        member_id: &'a str [0+],
        group_instance_id: Option<&'a str> [3+],
    }

    /// Whether the member may go on.
    pub struct Response {
        throttle_time_ms: i32 [1+],
        error_code: ErrorCode [0+],
    }
}
