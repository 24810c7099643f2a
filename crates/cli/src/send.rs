//! `chaski send`: to a topic, in `kafka`, or to a service, in [`shm`](crate::shm).

mod kafka;
mod partitioner;
mod producer;
mod record;

use crate::address::Url;
use crate::args::Send;
use crate::failure::Failure;
use crate::shm;

pub(crate) fn run(args: &Send) -> Result<(), Failure> {
    match &args.url {
        Url::Topic(url) => kafka::run(url, args),
        Url::Service(url) => shm::send::run(url, args),
    }
}
