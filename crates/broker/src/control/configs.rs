//! The wire side of settings: describe them with default and source, change a topic's.
//!
//! A topic's settings change while it is in use. The broker's come from its file, environment and
//! flags, so that they are listed here but cannot be changed from afar.

use chaski_kafka::describe_configs::{
    BROKER as BROKER_RESOURCE, Config, ConfigType, Resource, Synonym, TOPIC as TOPIC_RESOURCE,
};
use chaski_kafka::{
    DecodeError, ErrorCode, Message, Reader, alter_configs, describe_configs,
    incremental_alter_configs as incremental,
};

use super::Control;
use super::admin::{encode, source_code};
use super::topics::Refused;
use crate::cluster::{Source, effective};
use crate::settings::{self, BROKER, Given, Kind, Setting, TOPIC};

/// A resource of a request that changes settings: type, name, and what to do with each setting.
type Changes<'a> = Vec<(&'a str, Step<'a>)>;

enum Step<'a> {
    Set(&'a str),
    Default,
    Append(&'a str),
    Subtract(&'a str),
}

/// What became of one resource.
type Outcome<'a> = (i8, &'a str, Result<(), Refused>);

impl Control {
    pub(super) fn describe_configs(
        &mut self,
        version: i16,
        body: &[u8],
    ) -> Result<Vec<u8>, DecodeError> {
        let request = describe_configs::Request::decode(&mut Reader::new(body), version)?;
        let results = request.resources.iter().map(|r| self.describe(r, &request)).collect();
        Ok(encode(version, &describe_configs::Response { results, ..Default::default() }))
    }

    fn describe<'a>(
        &'a self,
        asked: &describe_configs::RequestResource<'a>,
        request: &describe_configs::Request<'_>,
    ) -> Resource<'a> {
        let mut resource = Resource {
            resource_type: asked.resource_type,
            resource_name: asked.resource_name,
            ..Default::default()
        };
        let wanted = |setting: &&Setting| {
            asked.configuration_keys.as_ref().is_none_or(|keys| keys.contains(&setting.name))
        };
        match asked.resource_type {
            TOPIC_RESOURCE => match self.cluster.by_name.get(asked.resource_name) {
                Some(topic) => {
                    resource.configs = TOPIC
                        .iter()
                        .filter(wanted)
                        .map(|setting| self.topic_config(setting, &topic.given, request))
                        .collect();
                }
                None => resource.error_code = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            },
            BROKER_RESOURCE if self.is_this_broker(asked.resource_name) => {
                resource.configs = BROKER
                    .iter()
                    .filter(wanted)
                    .map(|setting| self.broker_config(setting, request))
                    .collect();
            }
            BROKER_RESOURCE => {
                resource.error_code = ErrorCode::INVALID_REQUEST;
                resource.error_message = Some("no broker of this id");
            }
            _ => {
                resource.error_code = ErrorCode::INVALID_REQUEST;
                resource.error_message = Some("only topics and brokers have settings");
            }
        }
        resource
    }

    fn is_this_broker(&self, name: &str) -> bool {
        name.is_empty() || name == self.broker.node.id.to_string()
    }

    fn topic_config<'a>(
        &'a self,
        setting: &'static Setting,
        given: &'a Given,
        request: &describe_configs::Request<'_>,
    ) -> Config<'a> {
        let (value, source) = effective(given, &self.broker.settings, setting.name);
        let mut config = plain_config(setting, value, request);
        config.config_source = source_code(source);
        if request.include_synonyms {
            config.synonyms = self.synonyms(setting, given);
        }
        config
    }

    /// Where a topic's setting would come from, strongest first.
    fn synonyms<'a>(&'a self, setting: &'static Setting, given: &'a Given) -> Vec<Synonym<'a>> {
        let parent = setting.broker.unwrap_or(setting.name);
        let at =
            |name, value, source| Synonym { name, value: Some(value), source: source_code(source) };
        given
            .get(setting.name)
            .map(|value| at(setting.name, value, Source::Topic))
            .into_iter()
            .chain(self.broker.settings.get(parent).map(|value| at(parent, value, Source::Broker)))
            .chain([at(parent, setting.default, Source::Default)])
            .collect()
    }

    fn broker_config<'a>(
        &'a self,
        setting: &'static Setting,
        request: &describe_configs::Request<'_>,
    ) -> Config<'a> {
        let given = self.broker.settings.get(setting.name);
        let source = if given.is_some() { Source::Broker } else { Source::Default };
        let mut config = plain_config(setting, given.unwrap_or(setting.default), request);
        config.read_only = true;
        config.config_source = source_code(source);
        config
    }

    pub(super) fn alter_configs(
        &mut self,
        version: i16,
        body: &[u8],
    ) -> Result<Vec<u8>, DecodeError> {
        let request = alter_configs::Request::decode(&mut Reader::new(body), version)?;
        let mut outcomes: Vec<Outcome<'_>> = Vec::new();
        for resource in &request.resources {
            let changes = resource
                .configs
                .iter()
                .map(|c| (c.name, c.value.map_or(Step::Default, Step::Set)))
                .collect();
            // The old form replaces all settings of the topic by those named.
            let done = self.alter(
                resource.resource_type,
                resource.resource_name,
                |_| Given::new(),
                changes,
                request.validate_only,
            );
            outcomes.push((resource.resource_type, resource.resource_name, done));
        }
        let responses = outcomes
            .iter()
            .map(|(resource_type, resource_name, done)| alter_configs::Resource {
                error_code: code_of(done),
                error_message: message_of(done),
                resource_type: *resource_type,
                resource_name,
            })
            .collect();
        Ok(encode(version, &alter_configs::Response { responses, ..Default::default() }))
    }

    pub(super) fn incremental_alter(
        &mut self,
        version: i16,
        body: &[u8],
    ) -> Result<Vec<u8>, DecodeError> {
        let request = incremental::Request::decode(&mut Reader::new(body), version)?;
        let mut outcomes: Vec<Outcome<'_>> = Vec::new();
        for resource in &request.resources {
            let changes: Result<Changes<'_>, Refused> = resource.configs.iter().map(step).collect();
            let done = changes.and_then(|changes| {
                self.alter(
                    resource.resource_type,
                    resource.resource_name,
                    Given::clone,
                    changes,
                    request.validate_only,
                )
            });
            outcomes.push((resource.resource_type, resource.resource_name, done));
        }
        let responses = outcomes
            .iter()
            .map(|(resource_type, resource_name, done)| incremental::Resource {
                error_code: code_of(done),
                error_message: message_of(done),
                resource_type: *resource_type,
                resource_name,
            })
            .collect();
        Ok(encode(version, &incremental::Response { responses, ..Default::default() }))
    }

    /// Changes the settings of a topic, starting from what `base` makes of the present ones.
    fn alter(
        &mut self,
        resource_type: i8,
        name: &str,
        base: fn(&Given) -> Given,
        changes: Changes<'_>,
        validate_only: bool,
    ) -> Result<(), Refused> {
        if resource_type != TOPIC_RESOURCE {
            let why = "the broker's settings come from its file, environment and flags";
            return Err((ErrorCode::INVALID_REQUEST, why.to_owned()));
        }
        let topic =
            self.cluster.by_name.get(name).cloned().ok_or_else(|| {
                (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("no topic `{name}`"))
            })?;
        let mut given = base(&topic.given);
        for (name, step) in changes {
            self.apply(&mut given, name, &step)?;
        }
        if validate_only { Ok(()) } else { self.configure_topic(name, given) }
    }

    fn apply(&self, given: &mut Given, name: &str, step: &Step<'_>) -> Result<(), Refused> {
        let invalid = |e: settings::SettingError| (ErrorCode::INVALID_CONFIG, e.to_string());
        let setting = settings::find(TOPIC, name).map_err(invalid)?;
        let value = match step {
            Step::Default => {
                given.unset(setting.name);
                return Ok(());
            }
            Step::Set(value) => (*value).to_owned(),
            Step::Append(_) | Step::Subtract(_) if setting.name != "cleanup.policy" => {
                let why = format!("`{name}` is no list");
                return Err((ErrorCode::INVALID_CONFIG, why));
            }
            Step::Append(item) => {
                let now = effective(given, &self.broker.settings, setting.name).0;
                let mut items: Vec<&str> = now.split(',').filter(|i| i != item).collect();
                items.push(item);
                items.join(",")
            }
            Step::Subtract(item) => {
                let now = effective(given, &self.broker.settings, setting.name).0;
                now.split(',').filter(|i| i != item).collect::<Vec<_>>().join(",")
            }
        };
        given.set(TOPIC, setting.name, &value).map_err(invalid)
    }
}

fn step<'a>(config: &incremental::Config<'a>) -> Result<(&'a str, Step<'a>), Refused> {
    let value = config.value.unwrap_or("");
    let step = match config.config_operation {
        incremental::SET => Step::Set(value),
        incremental::DELETE => Step::Default,
        incremental::APPEND => Step::Append(value),
        incremental::SUBTRACT => Step::Subtract(value),
        other => {
            return Err((ErrorCode::INVALID_REQUEST, format!("unknown operation {other}")));
        }
    };
    Ok((config.name, step))
}

fn code_of(done: &Result<(), Refused>) -> ErrorCode {
    done.as_ref().err().map_or(ErrorCode::NONE, |(code, _)| *code)
}

fn message_of(done: &Result<(), Refused>) -> Option<&str> {
    done.as_ref().err().map(|(_, message)| message.as_str())
}

fn plain_config<'a>(
    setting: &'static Setting,
    value: &'a str,
    request: &describe_configs::Request<'_>,
) -> Config<'a> {
    let config_type = match setting.kind {
        Kind::Bool => ConfigType::Boolean,
        Kind::Int { max, .. } if max <= i64::from(i32::MAX) => ConfigType::Int,
        Kind::Int { .. } => ConfigType::Long,
        Kind::Fraction => ConfigType::Double,
        Kind::Choice(_) if setting.name.ends_with("cleanup.policy") => ConfigType::List,
        _ => ConfigType::String,
    };
    Config {
        name: setting.name,
        value: Some(value),
        config_type: config_type as i8,
        documentation: request.include_documentation.then_some(setting.doc),
        ..Default::default()
    }
}
