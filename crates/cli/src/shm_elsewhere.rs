//! Where shared memory between processes is not to be had: it takes sealed memory that has no name
//! and doorbells that can be handed over, and so far only Linux is known here to have both.

use crate::args::Shm;
use crate::failure::Failure;

pub(crate) fn run(_: &Shm) -> Result<(), Failure> {
    Err(unsupported())
}

pub(crate) fn unsupported() -> Failure {
    Failure::new("there is no shared memory between processes on this system")
        .hint("kafka:// works everywhere: `chaski serve` starts a broker")
}

pub(crate) mod recv {
    use crate::args::Recv;
    use crate::failure::Failure;
    use crate::service::ServiceUrl;

    pub(crate) fn run(_: &ServiceUrl, _: &Recv) -> Result<(), Failure> {
        Err(super::unsupported())
    }
}

pub(crate) mod send {
    use crate::args::Send;
    use crate::failure::Failure;
    use crate::service::ServiceUrl;

    pub(crate) fn run(_: &ServiceUrl, _: &Send) -> Result<(), Failure> {
        Err(super::unsupported())
    }
}
