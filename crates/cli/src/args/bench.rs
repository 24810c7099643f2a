//! `chaski bench`.

use clap::{Subcommand, ValueEnum};

use super::OutputArg;

/// Measure this machine: what messages between threads, processes and sockets cost, next to what
/// the machine allows.
///
/// Throughput and latency are measured apart, and each comes with the machine's own limit, measured
/// in the same run. Rounds of all that is measured take turns, and the median of the rounds is
/// shown: what disturbs the machine for a moment disturbs one round of each. Use a release build
/// and leave the machine alone meanwhile.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  chaski bench channel
  chaski bench pool
  chaski bench shm
  chaski bench zmq
  chaski bench channel --kind spsc --size 64 --batch 256 -o json")]
pub(crate) enum Bench {
    Channel(BenchChannel),
    Pool(BenchPool),
    Shm(BenchShm),
    Zmq(BenchZmq),
}

/// Measure channels between threads: nanoseconds a message, and round trips.
///
/// Throughput: producers send as fast as the channel takes it; every message is accounted for. The
/// limit is memory that one core writes and another reads in blocks of 32 KiB, without any channel.
///
/// Latency: one message goes to another thread over one channel and back over a second one of the
/// same kind. The limit is a bare cache line each way. Percentiles are exact to 1 %, and what a
/// reading of the clock costs is taken off.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski bench channel
  chaski bench channel --kind spsc --size 64 --batch 256     slices of 256 messages
  chaski bench channel --kind spsc --wait spin               the least latency two cores can have
  chaski bench channel --kind mpsc --producers 4 --no-pin
  chaski bench channel --messages 1000000 --rounds 9 -o json")]
pub(crate) struct BenchChannel {
    /// Which channel
    #[arg(long, value_enum, value_name = "KIND", default_value_t = KindName::All)]
    pub(crate) kind: KindName,
    /// Bytes of a message
    #[arg(long, value_enum, value_name = "BYTES", default_value_t = Size::B8)]
    pub(crate) size: Size,
    /// Threads that send; spsc has one [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) producers: Option<u16>,
    /// Threads that receive; only mpmc has several [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) consumers: Option<u16>,
    /// Messages sent and received in one call
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) batch: u32,
    /// Messages that the channel has room for; with fan-in, for each producer
    #[arg(long, value_name = "N", default_value_t = 1024)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    pub(crate) capacity: u32,
    #[command(flatten)]
    pub(crate) wait: WaitArg,
    #[command(flatten)]
    pub(crate) pin: PinArg,
    #[command(flatten)]
    pub(crate) extent: ExtentArg,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

/// Measure a pool of workers: throughput by number of workers, and how soon an idle one begins.
///
/// Throughput: one producer sends to 1, 2, .. workers, each of which works on every message for
/// --work-ns. The limit is as many threads that do the same work and share nothing, not even a
/// queue. Mind that the producer wants a CPU of its own, too; only the workers are bound to theirs.
///
/// Latency: the time from sending to the handler of a worker that has gone to sleep. The limit is a
/// bare wake: a thread that is unparked, which on Linux is a futex.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski bench pool
  chaski bench pool --workers 8 --work-ns 500 --partitioner hash
  chaski bench pool --work-ns 0                   what the pool itself costs
  chaski bench pool --idle --seconds 1 -o json    only the latency")]
pub(crate) struct BenchPool {
    /// Most workers [default: as many as this process has CPUs]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,
    /// Nanoseconds of work for each message
    #[arg(long, value_name = "NS", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(..=1_000_000_000))]
    pub(crate) work_ns: u32,
    /// How the worker of a message is picked
    #[arg(long, value_enum, value_name = "NAME", default_value_t = PartitionerName::RoundRobin)]
    pub(crate) partitioner: PartitionerName,
    /// Messages that each worker's queue has room for
    #[arg(long, value_name = "N", default_value_t = 1024)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=16_777_216))]
    pub(crate) queue: u32,
    /// Only the latency to an idle worker
    #[arg(long)]
    pub(crate) idle: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArg,
    #[command(flatten)]
    pub(crate) pin: PinArg,
    #[command(flatten)]
    pub(crate) extent: ExtentArg,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

/// Measure shared memory between two processes: round trips, and a stream.
///
/// The second process is a child of this one. Latency: a request goes to it and comes back, one at
/// a time. The limit is a bare cache line each way. Throughput: messages go to it as fast as it
/// takes them; every message is accounted for. The limit is memory that one core writes and another
/// reads in blocks of 32 KiB. Percentiles are exact to 1 %, and what a reading of the clock costs
/// is taken off.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski bench shm
  chaski bench shm --size 1024 --batch 64 --ring 262144     a wide stream
  chaski bench shm --wait spin                              the least latency two cores can have
  chaski bench shm --wait block                             what it costs to wake a sleeper
  chaski bench shm --seconds 1 --rounds 3 -o json")]
pub(crate) struct BenchShm {
    /// Bytes of a message
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u32).range(8..=1_048_576))]
    pub(crate) size: u32,
    /// Messages of the stream sent and received in one call
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) batch: u32,
    /// Bytes of each ring: a power of two
    #[arg(long, value_name = "BYTES", default_value_t = 65536, value_parser = ring)]
    pub(crate) ring: u32,
    /// How a process waits: spin, never gives its core away; adaptive, spins where that has paid,
    /// then sleeps; block, sleeps at once
    #[arg(long, value_enum, value_name = "HOW", default_value_t = ShmWaitName::Adaptive)]
    pub(crate) wait: ShmWaitName,
    #[command(flatten)]
    pub(crate) pin: PinArg,
    #[command(flatten)]
    pub(crate) extent: ExtentArg,
    #[command(flatten)]
    pub(crate) output: OutputArg,
    /// Be the other process
    #[arg(long, value_name = "NAME", hide = true)]
    pub(crate) echo: Option<String>,
}

/// Measure ZeroMQ sockets over TCP between two threads: round trips, and a stream.
///
/// Latency: a request goes from a REQ to a REP and comes back, one at a time. Throughput: messages
/// go from a PUSH to a PULL as fast as it takes them; every message is accounted for. The limit is
/// the same over bare TCP sockets, the stream in blocks of 64 KiB. Percentiles are exact to 1 %,
/// and what a reading of the clock costs is taken off.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  chaski bench zmq
  chaski bench zmq --size 1024                  a wider stream
  chaski bench zmq --size 65536 --no-pin
  chaski bench zmq --seconds 1 --rounds 3 -o json")]
pub(crate) struct BenchZmq {
    /// Bytes of a message
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u32).range(8..=16_777_216))]
    pub(crate) size: u32,
    /// Messages received in one call, at most
    #[arg(long, value_name = "N", default_value_t = 256)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) batch: u32,
    #[command(flatten)]
    pub(crate) pin: PinArg,
    #[command(flatten)]
    pub(crate) extent: ExtentArg,
    #[command(flatten)]
    pub(crate) output: OutputArg,
}

/// What blocked threads do.
#[derive(Debug, clap::Args)]
pub(crate) struct WaitArg {
    /// How a thread waits: spin, never gives its core away; yield, never sleeps; adaptive, spins
    /// where that has paid, then sleeps; park, sleeps at once
    #[arg(long, value_enum, value_name = "HOW", default_value_t = WaitName::Adaptive)]
    pub(crate) wait: WaitName,
}

/// Which thread runs where.
#[derive(Debug, clap::Args)]
pub(crate) struct PinArg {
    /// Bind each thread to a CPU [default: if there is a CPU for each]
    #[arg(long, overrides_with = "no_pin")]
    pub(crate) pin: bool,
    /// Let the kernel move threads
    #[arg(long)]
    pub(crate) no_pin: bool,
}

impl PinArg {
    /// What was asked for, if anything was.
    pub(crate) fn wanted(&self) -> Option<bool> {
        (self.pin || self.no_pin).then_some(self.pin)
    }
}

/// How long to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct ExtentArg {
    /// How long each measurement takes in each round
    #[arg(long, value_name = "S", default_value_t = 0.2, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Instead of a time: messages of each measurement in each round; of those that sleep in
    /// between, 1000 at most
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) messages: Option<u64>,
    /// Rounds, of which the median is shown
    #[arg(long, value_name = "N", default_value_t = 5)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rounds: u16,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is not a number")?;
    if !(0.001..=3600.0).contains(&seconds) {
        Err("it is not between 0.001 and 3600")?
    }
    Ok(seconds)
}

fn ring(text: &str) -> Result<u32, String> {
    let bytes: u32 = text.parse().map_err(|_| "it is not a number")?;
    match bytes {
        4096..=1_073_741_824 if bytes.is_power_of_two() => Ok(bytes),
        _ => Err("it is not a power of two between 4096 and 1073741824".to_owned()),
    }
}

/// A channel by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindName {
    Spsc,
    Mpsc,
    FanIn,
    Mpmc,
    All,
}

/// Bytes of a message. Each is a type of its own, so there are but these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Size {
    #[value(name = "8")]
    B8,
    #[value(name = "64")]
    B64,
    #[value(name = "256")]
    B256,
    #[value(name = "1024")]
    B1024,
}

/// A way to wait by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WaitName {
    Spin,
    Yield,
    Adaptive,
    Park,
}

/// A way for a process to wait by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShmWaitName {
    Spin,
    Adaptive,
    Block,
}

/// A partitioner by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PartitionerName {
    Hash,
    Consistent,
    RoundRobin,
    LeastLoaded,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn pin(flags: &[&str]) -> Option<bool> {
        let args = [&["chaski", "bench", "channel"][..], flags].concat();
        match Args::try_parse_from(args).unwrap().command {
            Command::Bench(Bench::Channel(args)) => args.pin.wanted(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pinning_is_decided_later_unless_it_is_asked_for() {
        assert_eq!(pin(&[]), None);
        assert_eq!(pin(&["--pin"]), Some(true));
        assert_eq!(pin(&["--no-pin"]), Some(false));
        assert_eq!(pin(&["--pin", "--no-pin"]), Some(false), "the last one counts");
    }

    #[test]
    fn a_ring_is_a_power_of_two() {
        assert_eq!(ring("65536"), Ok(65536));
        for wrong in ["", "x", "-1", "2048", "65537", "2147483648"] {
            assert!(ring(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_has_bounds() {
        assert_eq!(seconds("0.5"), Ok(0.5));
        for wrong in ["", "x", "0", "-1", "nan", "inf", "1e9"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
