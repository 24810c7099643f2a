//! A thread of a child, run one instruction at a time (ptrace(2)).

use std::fs;
use std::io::{self, Error, ErrorKind};
use std::mem::{MaybeUninit, zeroed};
use std::ptr::null_mut;
use std::time::{Duration, Instant};

use super::processes::runner::progress;

/// An instruction that has not ended after so long is a system call that sleeps. If it was only
/// slow, the thread is taken to sleep there, and dies there.
const ASLEEP: Duration = Duration::from_millis(20);

/// How often the wait for a step is interrupted, to look at the clock.
const TICK_NS: i64 = 5_000_000;

/// A thread under our hand. Only the thread that took it can step it.
#[derive(Debug)]
pub(crate) struct Tracee {
    process: i32,
    thread: i32,
}

impl Tracee {
    /// Stops a thread of a child, wherever it is.
    pub(crate) fn seize(process: i32, thread: i32) -> io::Result<Tracee> {
        request(libc::PTRACE_SEIZE, thread)?;
        request(libc::PTRACE_INTERRUPT, thread)?;
        let tracee = Tracee { process, thread };
        // It is not asleep: it has been interrupted.
        while !tracee.waits_for_stop()? {}
        Ok(tracee)
    }

    /// Runs up to `limit` instructions, fewer if the thread goes to sleep; how many it ran.
    pub(crate) fn run(&self, limit: usize) -> io::Result<usize> {
        let _ticker = Ticker::start()?;
        for ran in 0..limit {
            request(libc::PTRACE_SINGLESTEP, self.thread)?;
            if !self.waits_for_stop()? {
                return Ok(ran);
            }
            if ran % 1024 == 0 {
                progress();
            }
        }
        Ok(limit)
    }

    /// Kills the process. Whoever started it waits for that.
    pub(crate) fn kill(self) {
        // SAFETY: numbers, and a child of ours that has not been waited for.
        unsafe { libc::kill(self.process, libc::SIGKILL) };
        if self.thread != self.process {
            // The process is not gone before its threads have been, each by its tracer.
            while matches!(self.status(), Ok(status) if libc::WIFSTOPPED(status)) {}
        }
    }

    /// Whether the thread stops again, and does not go to sleep.
    fn waits_for_stop(&self) -> io::Result<bool> {
        let begun = Instant::now();
        loop {
            match self.status() {
                Ok(status) if libc::WIFSTOPPED(status) => return Ok(true),
                Ok(_) => return Err(Error::other("the thread has ended")),
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                // By the ticker.
                Err(_) if begun.elapsed() > ASLEEP => return Ok(false),
                Err(_) => {}
            }
        }
    }

    fn status(&self) -> io::Result<i32> {
        let mut status = 0;
        // SAFETY: `status` is ours to write.
        match unsafe { libc::waitpid(self.thread, &mut status, libc::__WALL) } {
            -1 => Err(Error::last_os_error()),
            _ => Ok(status),
        }
    }
}

/// Interrupts the system calls of this thread now and then, while it lives.
struct Ticker(libc::timer_t);

impl Ticker {
    fn start() -> io::Result<Ticker> {
        let mut timer = MaybeUninit::uninit();
        let every = libc::timespec { tv_sec: 0, tv_nsec: TICK_NS };
        let ticks = libc::itimerspec { it_interval: every, it_value: every };
        // SAFETY: plain structures, for which zeros are a value; the handler does nothing, and so
        // may run anywhere. Without SA_RESTART it interrupts. The timer is made before it is used.
        let done = unsafe {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = nothing as extern "C" fn(i32) as usize;
            libc::sigaction(libc::SIGALRM, &action, null_mut());
            let mut event: libc::sigevent = zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = libc::SIGALRM;
            event.sigev_notify_thread_id = libc::gettid();
            libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, timer.as_mut_ptr()) == 0
                && libc::timer_settime(timer.assume_init(), 0, &ticks, null_mut()) == 0
        };
        if !done {
            return Err(Error::last_os_error());
        }
        // SAFETY: made, as just found.
        Ok(Ticker(unsafe { timer.assume_init() }))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // SAFETY: a timer of ours.
        unsafe { libc::timer_delete(self.0) };
    }
}

extern "C" fn nothing(_: i32) {}

fn request(what: libc::c_uint, thread: i32) -> io::Result<()> {
    let none = null_mut::<libc::c_void>();
    // SAFETY: none of these requests reads or writes memory of this process.
    let done = unsafe { libc::ptrace(what, thread, none, none) };
    if done == -1 { Err(Error::last_os_error()) } else { Ok(()) }
}

/// The thread of a process that has this name, as soon as it has it.
pub(crate) fn thread_named(process: i32, name: &str) -> i32 {
    loop {
        if let Some(thread) = find_thread(process, name) {
            return thread;
        }
        std::thread::yield_now();
    }
}

fn find_thread(process: i32, name: &str) -> Option<i32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let mut tasks = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
    tasks.find(|task| {
        let path = format!("/proc/{process}/task/{task}/comm");
        fs::read_to_string(path).is_ok_and(|comm| comm.trim_end() == name)
    })
}
