//! `chaski topic`: one file a verb.

mod alter;
mod create;
mod delete;
mod describe;
mod list;

use crate::args::Topic;
use crate::failure::Failure;

pub(crate) fn run(args: &Topic) -> Result<(), Failure> {
    match args {
        Topic::Create(args) => create::run(args),
        Topic::List(args) => list::run(args),
        Topic::Describe(args) => describe::run(args),
        Topic::Alter(args) => alter::run(args),
        Topic::Delete(args) => delete::run(args),
    }
}
