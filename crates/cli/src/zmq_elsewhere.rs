//! Where sockets are not to be had: they wait for their peers with what so far only Linux is known
//! here to have.

use crate::failure::Failure;

pub(crate) fn unsupported() -> Failure {
    Failure::new(url::ZmqError::Unsupported.to_string())
        .hint("kafka:// works everywhere: `chaski serve` starts a broker")
}

pub(crate) mod url {
    use std::str::FromStr;

    use thiserror::Error;

    pub(crate) const SCHEME: &str = "zmq+";

    /// There is none.
    #[derive(Debug, Clone, PartialEq)]
    pub(crate) enum ZmqUrl {}

    #[derive(Debug, Clone, PartialEq, Eq, Error)]
    #[non_exhaustive]
    pub(crate) enum ZmqError {
        #[error("there are no ZeroMQ sockets on this system")]
        Unsupported,
    }

    impl FromStr for ZmqUrl {
        type Err = ZmqError;

        fn from_str(_: &str) -> Result<ZmqUrl, ZmqError> {
            Err(ZmqError::Unsupported)
        }
    }
}

pub(crate) mod keygen {
    use crate::args::Keygen;
    use crate::failure::Failure;

    pub(crate) fn run(_: &Keygen) -> Result<(), Failure> {
        Err(super::unsupported())
    }
}

pub(crate) mod recv {
    use super::url::ZmqUrl;
    use crate::args::Recv;
    use crate::failure::Failure;

    pub(crate) fn run(url: &ZmqUrl, _: &Recv) -> Result<(), Failure> {
        match *url {}
    }
}

pub(crate) mod send {
    use super::url::ZmqUrl;
    use crate::args::Send;
    use crate::failure::Failure;

    pub(crate) fn run(url: &ZmqUrl, _: &Send) -> Result<(), Failure> {
        match *url {}
    }
}
