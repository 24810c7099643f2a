//! DescribeGroups (15): the state and members of groups.

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(DescribeGroups: Request<'a> => Response<'r>);

message! {
    api DescribeGroups;

    /// Asks about groups.
    pub struct Request<'a> {
        groups: Vec<&'a str> [0+],
        include_authorized_operations: bool [3+],
    }

    /// The groups.
    pub struct Response<'a> {
        throttle_time_ms: i32 [1+],
        groups: Vec<Group<'a>> [0+],
    }

    /// A group.
    pub struct Group<'a> {
        error_code: ErrorCode [0+],
        group_id: &'a str [0+],
        /// Empty, PreparingRebalance, CompletingRebalance, Stable or Dead.
        group_state: &'a str [0+],
        protocol_type: &'a str [0+],
        /// The assignment protocol chosen.
        protocol_data: &'a str [0+],
        members: Vec<Member<'a>> [0+],
        authorized_operations: i32 [3+] = i32::MIN,
    }

    /// A member of a group.
    pub struct Member<'a> {
        member_id: &'a str [0+],
        group_instance_id: Option<&'a str> [4+],
        client_id: &'a str [0+],
        client_host: &'a str [0+],
        member_metadata: &'a [u8] [0+],
        member_assignment: &'a [u8] [0+],
    }
}
