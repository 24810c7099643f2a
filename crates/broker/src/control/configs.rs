//! The wire side of settings: describe them with default and source, change a topic's.
//!
//! A topic's settings change while it is in use. The broker's come from its file, environment and
//! flags, so that they are listed here but cannot be changed from afar.

use std::collections::HashSet;

use chaski_kafka::describe_configs::{
    BROKER as BROKER_RESOURCE, Config, ConfigType, Resource, Synonym, TOPIC as TOPIC_RESOURCE,
};
use chaski_kafka::{
    DecodeError, ErrorCode, Message, Reader, alter_configs, describe_configs,
    incremental_alter_configs as incremental,
};

use super::admin::{encode, source_code};
use super::topics::{Changed, Refused, code_of, message_of, named_twice, repeated};
use super::{Control, Work};
use crate::cluster::{Source, effective};
use crate::settings::{self, BROKER, Given, Kind, Setting, TOPIC};

/// What to do with each setting of a resource.
type Changes<'a> = Vec<(&'a str, Step<'a>)>;

/// A resource of a request that changes settings.
struct Alteration<'a> {
    resource_type: i8,
    name: &'a str,
    changes: Result<Changes<'a>, Refused>,
}

enum Step<'a> {
    Set(&'a str),
    Default,
    Append(&'a str),
    Subtract(&'a str),
}

impl Control {
    pub(super) fn describe_configs(
        &mut self,
        version: i16,
        body: &[u8],
    ) -> Result<Vec<u8>, DecodeError> {
        let request = describe_configs::Request::decode(&mut Reader::new(body), version)?;
        let mut seen = HashSet::new();
        let results = request
            .resources
            .iter()
            .filter(|resource| seen.insert((resource.resource_type, resource.resource_name)))
            .map(|resource| self.describe(resource, &request))
            .collect();
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

    pub(super) fn alter_configs(&mut self, work: Work) -> Result<(), DecodeError> {
        let request = alter_configs::Request::decode(&mut Reader::new(&work.body), work.version)?;
        let alterations = request
            .resources
            .iter()
            .map(|resource| Alteration {
                resource_type: resource.resource_type,
                name: resource.resource_name,
                changes: Ok(resource
                    .configs
                    .iter()
                    .map(|c| (c.name, c.value.map_or(Step::Default, Step::Set)))
                    .collect()),
            })
            .collect();
        // The old form replaces all settings of the topic by those named.
        let checked = self.check_alterations(alterations, |_| Given::new());
        let only_checked = request.validate_only;
        self.alter(checked, only_checked, move |control, outcomes| {
            let body = configs_altered(&work, &outcomes);
            control.answer(&work, body);
        });
        Ok(())
    }

    pub(super) fn incremental_alter(&mut self, work: Work) -> Result<(), DecodeError> {
        let request = incremental::Request::decode(&mut Reader::new(&work.body), work.version)?;
        let alterations = request
            .resources
            .iter()
            .map(|resource| Alteration {
                resource_type: resource.resource_type,
                name: resource.resource_name,
                changes: resource.configs.iter().map(step).collect(),
            })
            .collect();
        let checked = self.check_alterations(alterations, Given::clone);
        let only_checked = request.validate_only;
        self.alter(checked, only_checked, move |control, outcomes| {
            let body = incrementally_altered(&work, &outcomes);
            control.answer(&work, body);
        });
        Ok(())
    }

    /// Changes the settings of the topics that were not refused, or does not.
    fn alter(
        &mut self,
        checked: Vec<Result<Changed, Refused>>,
        only_checked: bool,
        then: impl FnOnce(&mut Control, Vec<Result<(), Refused>>) + Send + 'static,
    ) {
        match only_checked {
            true => then(self, checked.into_iter().map(|changed| changed.map(drop)).collect()),
            false => self.configure(checked, then),
        }
    }

    /// Checks changes to the settings of topics, starting from what `base` makes of the present
    /// ones.
    fn check_alterations(
        &self,
        alterations: Vec<Alteration<'_>>,
        base: fn(&Given) -> Given,
    ) -> Vec<Result<Changed, Refused>> {
        let topics = alterations.iter().filter(|a| a.resource_type == TOPIC_RESOURCE);
        let twice = repeated(topics.map(|topic| topic.name));
        let check = |alteration: &Alteration<'_>| match twice.contains(alteration.name) {
            true => Err(named_twice()),
            false => self.check_alteration(alteration, base),
        };
        alterations.iter().map(check).collect()
    }

    fn check_alteration(
        &self,
        alteration: &Alteration<'_>,
        base: fn(&Given) -> Given,
    ) -> Result<Changed, Refused> {
        if alteration.resource_type != TOPIC_RESOURCE {
            let why = "the broker's settings come from its file, environment and flags";
            return Err((ErrorCode::INVALID_REQUEST, why.to_owned()));
        }
        let topic = self.topic(alteration.name)?;
        let mut given = base(&topic.given);
        for (name, step) in alteration.changes.as_ref().map_err(Refused::clone)? {
            self.take_step(&mut given, name, step)?;
        }
        Ok(Changed { topic, given })
    }

    fn take_step(&self, given: &mut Given, name: &str, step: &Step<'_>) -> Result<(), Refused> {
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

/// The answer to a request of the old form, given what became of each resource.
fn configs_altered(work: &Work, outcomes: &[Result<(), Refused>]) -> Result<Vec<u8>, DecodeError> {
    let request = alter_configs::Request::decode(&mut Reader::new(&work.body), work.version)?;
    let responses = request
        .resources
        .iter()
        .zip(outcomes)
        .map(|(resource, done)| alter_configs::Resource {
            error_code: code_of(done),
            error_message: message_of(done),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
        })
        .collect();
    Ok(encode(work.version, &alter_configs::Response { responses, ..Default::default() }))
}

/// The same for the new form.
fn incrementally_altered(
    work: &Work,
    outcomes: &[Result<(), Refused>],
) -> Result<Vec<u8>, DecodeError> {
    let request = incremental::Request::decode(&mut Reader::new(&work.body), work.version)?;
    let responses = request
        .resources
        .iter()
        .zip(outcomes)
        .map(|(resource, done)| incremental::Resource {
            error_code: code_of(done),
            error_message: message_of(done),
            resource_type: resource.resource_type,
            resource_name: resource.resource_name,
        })
        .collect();
    Ok(encode(work.version, &incremental::Response { responses, ..Default::default() }))
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
        Kind::Secret => ConfigType::Password,
        _ => ConfigType::String,
    };
    let is_sensitive = setting.kind == Kind::Secret;
    Config {
        name: setting.name,
        // As Kafka does: of a secret nothing is told but that it is one.
        value: (!is_sensitive).then_some(value),
        is_sensitive,
        config_type: config_type as i8,
        documentation: request.include_documentation.then_some(setting.doc),
        ..Default::default()
    }
}
