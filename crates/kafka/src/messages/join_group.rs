//! JoinGroup (11): a member enters a group, or a new generation of it.

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(JoinGroup: Request<'a> => Response<'r>);

message! {
    api JoinGroup;

    /// Asks to be a member.
    pub struct Request<'a> {
        group_id: &'a str [0+],
        session_timeout_ms: i32 [0+],
        /// -1 (version 0): the session timeout.
        rebalance_timeout_ms: i32 [1+] = -1,
        /// Empty: not a member yet.
        member_id: &'a str [0+],
        /// Makes the member a static one (KIP-345).
        group_instance_id: Option<&'a str> [5+],
        protocol_type: &'a str [0+],
        protocols: Vec<Protocol<'a>> [0+],
        reason: Option<&'a str> [8+],
    }

    /// An assignment protocol the member knows, best first.
    pub struct Protocol<'a> {
        name: &'a str [0+],
        metadata: &'a [u8] [0+],
    }

    /// The generation joined.
    pub struct Response<'a> {
        throttle_time_ms: i32 [2+],
        error_code: ErrorCode [0+],
        generation_id: i32 [0+] = -1,
        protocol_type: Option<&'a str> [7+],
        protocol_name: Option<&'a str> [0+] null [7+],
        leader: &'a str [0+],
        /// The leader need not assign anything (KIP-814).
        skip_assignment: bool [9+],
        member_id: &'a str [0+],
        /// For the leader only; empty for the others.
        members: Vec<Member<'a>> [0+],
    }

    /// A member of the generation.
    pub struct Member<'a> {
        member_id: &'a str [0+],
        group_instance_id: Option<&'a str> [5+],
        metadata: &'a [u8] [0+],
    }
}
