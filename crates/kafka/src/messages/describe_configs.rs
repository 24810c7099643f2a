//! DescribeConfigs (32): the settings of topics and brokers, and where each comes from.

use crate::ErrorCode;
use crate::schema::{exchange, message};

exchange!(DescribeConfigs: Request<'a> => Response<'r>);

/// Resource type: a topic.
pub const TOPIC: i8 = 2;
/// Resource type: a broker.
pub const BROKER: i8 = 4;
/// Resource type: the loggers of a broker.
pub const BROKER_LOGGER: i8 = 8;

/// Source: set for the topic.
pub const TOPIC_CONFIG: i8 = 1;
/// Source: set for one broker while it ran.
pub const DYNAMIC_BROKER_CONFIG: i8 = 2;
/// Source: set for all brokers while they ran.
pub const DYNAMIC_DEFAULT_BROKER_CONFIG: i8 = 3;
/// Source: set when the broker started.
pub const STATIC_BROKER_CONFIG: i8 = 4;
/// Source: built in.
pub const DEFAULT_CONFIG: i8 = 5;

/// What kind of value a setting has: `config_type` in the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
#[allow(missing_docs)]
pub enum ConfigType {
    Unknown = 0,
    Boolean = 1,
    String = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
    Class = 8,
    Password = 9,
}

message! {
    api DescribeConfigs;

    /// Asks for settings.
    pub struct Request<'a> {
        resources: Vec<RequestResource<'a>> [0+],
        include_synonyms: bool [1+],
        include_documentation: bool [3+],
    }

    /// What is asked about.
    pub struct RequestResource<'a> {
        resource_type: i8 [0+],
        resource_name: &'a str [0+],
        /// None: all settings.
        configuration_keys: Option<Vec<&'a str>> [0+],
    }

    /// The settings.
    pub struct Response<'a> {
        throttle_time_ms: i32 [0+],
        results: Vec<Resource<'a>> [0+],
    }

    /// The settings of one resource.
    pub struct Resource<'a> {
        error_code: ErrorCode [0+],
        error_message: Option<&'a str> [0+],
        resource_type: i8 [0+],
        resource_name: &'a str [0+],
        configs: Vec<Config<'a>> [0+],
    }

    /// A setting.
    pub struct Config<'a> {
        name: &'a str [0+],
        /// None: a secret, or not set.
        value: Option<&'a str> [0+],
        read_only: bool [0+],
        config_source: i8 [1+] = -1,
        is_sensitive: bool [0+],
        synonyms: Vec<Synonym<'a>> [1+],
        /// A [`ConfigType`].
        config_type: i8 [3+],
        documentation: Option<&'a str> [3+],
    }

    /// What the setting would fall back to, nearest first (KIP-226).
    pub struct Synonym<'a> {
        name: &'a str [1+],
        value: Option<&'a str> [1+],
        source: i8 [1+],
    }
}
