//! ListGroups (16): all groups, or those in certain states.

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(ListGroups: Request<'a> => Response<'r>);

message! {
    api ListGroups;

    /// Asks for groups.
    pub struct Request<'a> {
        /// Empty: any state.
        states_filter: Vec<&'a str> [4+],
        /// Empty: any type.
        types_filter: Vec<&'a str> [5+],
    }

    /// The groups.
    pub struct Response<'a> {
        throttle_time_ms: i32 [1+],
        error_code: ErrorCode [0+],
        groups: Vec<Group<'a>> [0+],
    }

    /// A group.
    pub struct Group<'a> {
        group_id: &'a str [0+],
        protocol_type: &'a str [0+],
        group_state: &'a str [4+],
        group_type: &'a str [5+],
    }
}
