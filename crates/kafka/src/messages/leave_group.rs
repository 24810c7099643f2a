//! LeaveGroup (13): members leave; from version 3 many at once.

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(LeaveGroup: Request<'a> => Response<'r>);

message! {
    api LeaveGroup;

    /// Takes members out of a group.
    pub struct Request<'a> {
        group_id: &'a str [0+],
        member_id: &'a str [0..=2],
        members: Vec<RequestMember<'a>> [3+],
    }

    /// A member that leaves, by member id or by group instance id.
    pub struct RequestMember<'a> {
        member_id: &'a str [3+],
        group_instance_id: Option<&'a str> [3+],
        reason: Option<&'a str> [5+],
    }

    /// What became of them.
    pub struct Response<'a> {
        throttle_time_ms: i32 [1+],
        error_code: ErrorCode [0+],
        members: Vec<Member<'a>> [3+],
    }

    /// What became of a member.
    pub struct Member<'a> {
        member_id: &'a str [3+],
        group_instance_id: Option<&'a str> [3+],
        error_code: ErrorCode [3+],
    }
}
