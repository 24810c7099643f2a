//! What happens inside one process: `inproc`, waiting for several sockets, proxies, and asking who
//! may enter. Each test has a context of its own.

mod inproc;
mod poll;
mod proxy;
mod zap;

use std::time::Duration;

use chaski_zmq::{Builder, Context};

/// Longer than anything takes that is going to happen: a wake-up that is lost shows as a test that
/// does not end.
const LONG: Duration = Duration::from_secs(300);

/// Long enough for what should not happen to be seen now and then.
const MOMENT: Duration = Duration::from_millis(20);

/// A socket's builder, in this context.
trait In {
    fn within(self, context: &Context) -> Self;
}

impl<S> In for Builder<S> {
    fn within(self, context: &Context) -> Self {
        self.context(context).linger(Duration::ZERO).rcvtimeo(LONG).sndtimeo(LONG)
    }
}

/// Makes a socket in a context: `socket!(Push, context)`, with options: `socket!(Push, context,
/// sndhwm = 3)`.
macro_rules! socket {
    ($kind:ident, $context:expr $(, $option:ident = $value:expr)*) => {
        $crate::In::within(chaski_zmq::$kind::builder(), &$context)
            $(.$option($value))*
            .build()
            .unwrap()
    };
}
pub(crate) use socket;

/// Waits until something has come about.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < LONG, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
