//! AlterConfigs (33): replaces all settings of resources. See [`crate::incremental_alter_configs`].

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(AlterConfigs: Request<'a> => Response<'r>);

message! {
    api AlterConfigs;

    /// Settings to have from now on; those not named fall back to their defaults.
    pub struct Request<'a> {
        resources: Vec<RequestResource<'a>> [0+],
        validate_only: bool [0+],
    }

    /// All settings of a resource.
    pub struct RequestResource<'a> {
        /// One of the resource types of [`crate::describe_configs`].
        resource_type: i8 [0+],
        resource_name: &'a str [0+],
        configs: Vec<Config<'a>> [0+],
    }

    /// A setting.
    pub struct Config<'a> {
        name: &'a str [0+],
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
