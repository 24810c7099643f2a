//! SyncGroup (14): the leader brings the assignment, every member takes its own.

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(SyncGroup: Request<'a> => Response<'r>);

message! {
    api SyncGroup;

    /// Asks for the member's assignment.
    pub struct Request<'a> {
        group_id: &'a str [0+],
        generation_id: i32 [0+],
        member_id: &'a str [0+],
        group_instance_id: Option<&'a str> [3+],
        protocol_type: Option<&'a str> [5+],
        protocol_name: Option<&'a str> [5+],
        /// From the leader only.
        assignments: Vec<Assignment<'a>> [0+],
    }

    /// What the leader assigns to a member.
    pub struct Assignment<'a> {
        member_id: &'a str [0+],
        assignment: &'a [u8] [0+],
    }

    /// The member's assignment.
    pub struct Response<'a> {
        throttle_time_ms: i32 [1+],
        error_code: ErrorCode [0+],
        protocol_type: Option<&'a str> [5+],
        protocol_name: Option<&'a str> [5+],
        assignment: &'a [u8] [0+],
    }
}
