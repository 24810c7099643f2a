//! DeleteGroups (42): groups without members, with their offsets (KIP-229).

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(DeleteGroups: Request<'a> => Response<'r>);

message! {
    api DeleteGroups;

    /// Groups to delete.
    pub struct Request<'a> {
        groups_names: Vec<&'a str> [0+],
    }

    /// What became of the groups.
    pub struct Response<'a> {
        throttle_time_ms: i32 [0+],
        results: Vec<Group<'a>> [0+],
    }

    /// What became of a group.
    pub struct Group<'a> {
        group_id: &'a str [0+],
        error_code: ErrorCode [0+],
    }
}
