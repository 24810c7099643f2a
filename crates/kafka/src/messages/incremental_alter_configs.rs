//! IncrementalAlterConfigs (44): changes single settings of resources (KIP-339).

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(IncrementalAlterConfigs: Request<'a> => Response<'r>);

/// Operation: set to the value.
pub const SET: i8 = 0;
/// Operation: fall back to the default.
pub const DELETE: i8 = 1;
/// Operation: add to a list.
pub const APPEND: i8 = 2;
/// Operation: take from a list.
pub const SUBTRACT: i8 = 3;

message! {
    api IncrementalAlterConfigs;

    /// Settings to change; those not named stay.
    pub struct Request<'a> {
        resources: Vec<RequestResource<'a>> [0+],
        validate_only: bool [0+],
    }

    /// Settings of a resource to change.
    pub struct RequestResource<'a> {
        /// One of the resource types of [`crate::describe_configs`].
        resource_type: i8 [0+],
        resource_name: &'a str [0+],
        configs: Vec<Config<'a>> [0+],
    }

    /// A change of a setting.
    pub struct Config<'a> {
        name: &'a str [0+],
        /// [`SET`], [`DELETE`], [`APPEND`] or [`SUBTRACT`].
        config_operation: i8 [0+],
        value: Option<&'a str> [0+],
    }

    /// What became of the settings.
    pub struct Response<'a> {
        throttle_time_ms: i32 [0+],
        responses: Vec<Resource<'a>> [0+],
    }

    /// What became of the settings of a resource.
    pub struct Resource<'a> {
        error_code: ErrorCode [0+],
        error_message: Option<&'a str> [0+],
        resource_type: i8 [0+],
        resource_name: &'a str [0+],
    }
}
