//! Workers that take messages from one sender: `pool-1us` (how much a second worker helps at 1 us
//! of work a message, against two threads that need nobody), `pool-0us` (what the pool itself
//! costs) and `pool-idle-wake` (from sending to the handler of a worker that slept, against a
//! futex).

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::limits::Doorbell;
use super::round_trip::{STOP, quantiles};
use super::wake::send_now_and_then;
use super::{NS_PER_MSG, SPEEDUP, Setup, case, pace};
use crate::machine::Pinned;
use crate::rivals::threads::chaski_pool::Pooled;
use crate::rivals::threads::crossbeam_channel::ChannelPerWorker;
use crate::rivals::threads::rayon::{Collecting, Spawning};
use crate::rivals::threads::{IdleWorker, Job, Message, Workers};
use crate::run::{Case, Entrant, Samples};

/// Work for each message of `pool-1us`.
const WORK: Duration = Duration::from_micros(1);

/// Rounds of work that are timed to find how many take [`WORK`], and how often they are.
const CALIBRATION_ROUNDS: u32 = 1_000_000;
const CALIBRATIONS: usize = 5;

/// Turns of each number of workers within one of ours.
const REPEATS: u32 = 2;

pub(super) fn cases(setup: Setup) -> Vec<Case> {
    vec![
        case(
            "pool-1us",
            vec![
                scaling::<Independent>(setup, "limit"),
                scaling::<Pooled>(setup, "chaski"),
                scaling::<Spawning>(setup, "rayon"),
                scaling::<Collecting>(setup, "rayon par_chunks"),
                scaling::<ChannelPerWorker>(setup, "crossbeam-channel"),
            ],
        ),
        case(
            "pool-0us",
            vec![
                overhead::<Pooled>(setup, "chaski"),
                overhead::<Spawning>(setup, "rayon"),
                overhead::<Collecting>(setup, "rayon par_chunks"),
                overhead::<ChannelPerWorker>(setup, "crossbeam-channel"),
            ],
        ),
        case(
            "pool-idle-wake",
            vec![
                idle::<Bell>(setup, "limit"),
                idle::<Pooled>(setup, "chaski"),
                idle::<Spawning>(setup, "rayon"),
                idle::<ChannelPerWorker>(setup, "crossbeam-channel"),
            ],
        ),
    ]
}

/// Throughput of two workers by that of one, and what a message costs with two.
fn scaling<W: Workers>(setup: Setup, who: &str) -> Entrant {
    Entrant::new(who, move || {
        let job = Job { rounds: rounds_of(WORK) };
        let count = (setup.turn().as_nanos() / WORK.as_nanos()) as u64 / u64::from(REPEATS);
        let (mut one, mut two) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..REPEATS {
            one += timed::<W>(1, count, job)?;
            two += timed::<W>(2, count, job)?;
        }
        let messages = count * u64::from(REPEATS);
        let speedup = one.as_secs_f64() / two.as_secs_f64();
        Ok(vec![(SPEEDUP, speedup), (NS_PER_MSG, two.as_nanos() as f64 / messages as f64)])
    })
}

fn overhead<W: Workers>(setup: Setup, who: &str) -> Entrant {
    let mut run = |count| timed::<W>(2, count, Job { rounds: 0 });
    Entrant::new(who, move || pace::ns_per_msg(setup, &mut run))
}

fn timed<W: Workers>(workers: usize, count: u64, job: Job) -> Result<Duration> {
    let start = Instant::now();
    let sum = W::run(workers, count, job);
    let took = start.elapsed();
    ensure!(sum == u64::sum_of_first(count), "messages were lost or doubled");
    Ok(took)
}

/// The shortest of a few: whatever disturbs makes it longer.
fn rounds_of(time: Duration) -> u32 {
    let job = Job { rounds: CALIBRATION_ROUNDS };
    let best = (0..CALIBRATIONS)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(job.work(std::hint::black_box(7)));
            start.elapsed()
        })
        .min()
        .unwrap_or(time);
    (f64::from(CALIBRATION_ROUNDS) * time.as_secs_f64() / best.as_secs_f64()) as u32
}

/// The limit: each thread makes up its share of the messages itself.
struct Independent;

impl Workers for Independent {
    fn run(workers: usize, count: u64, job: Job) -> u64 {
        thread::scope(|scope| {
            let share = |worker| (worker as u64..count).step_by(workers);
            let threads: Vec<_> = (0..workers)
                .map(|worker| {
                    scope.spawn(move || share(worker).map(|message| job.work(message)).sum::<u64>())
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
        })
    }
}

fn idle<W: IdleWorker>(setup: Setup, who: &str) -> Entrant {
    Entrant::new(who, move || -> Result<Samples> {
        let epoch = Instant::now();
        let delays_ns = Arc::new(Mutex::new(Vec::new()));
        let (ended, end) = std::sync::mpsc::channel();
        let handle = {
            let delays_ns = Arc::clone(&delays_ns);
            move |sent_ns: u64| {
                let now_ns = epoch.elapsed().as_nanos() as u64;
                if sent_ns == STOP {
                    ended.send(()).expect("the sender waits");
                    return;
                }
                let mut delays_ns = delays_ns.lock().expect("no panic");
                delays_ns.push(now_ns.saturating_sub(sent_ns));
            }
        };
        let mut worker = {
            // Threads start where their maker is: the worker gets the last core for itself.
            let _pinned = Pinned::to(setup.cores.map(|cores| cores.server));
            W::start(handle)
        };
        let _pinned = Pinned::to(setup.cores.map(|cores| cores.client));
        send_now_and_then(setup, epoch, &mut |number| worker.send(number));
        end.recv()?;
        let delays_ns = std::mem::take(&mut *delays_ns.lock().expect("no panic"));
        quantiles(delays_ns)
    })
}

/// The limit: a thread and a futex.
struct Bell(Arc<Doorbell>);

impl IdleWorker for Bell {
    fn start(handle: impl Fn(u64) + Send + Sync + Clone + 'static) -> Bell {
        let bell = Arc::new(Doorbell::default());
        let inside = Arc::clone(&bell);
        thread::spawn(move || {
            let mut heard = 0;
            loop {
                handle(inside.wait(&mut heard));
            }
        });
        Bell(bell)
    }

    fn send(&mut self, message: u64) {
        self.0.ring(message);
    }
}
