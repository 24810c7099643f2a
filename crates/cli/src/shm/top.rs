//! `chaski shm top`.
//!
//! A thread asks the services, since one that does not answer takes a second; this one draws, and
//! hears Ctrl-C. The screen is only ever drawn over, line by line: no mode of the terminal is
//! changed, so none has to be restored, whatever ends the process.

mod rates;
mod screen;

use std::collections::HashMap;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use chaski_shm::survey::Service;

use super::{inspect, survey};
use crate::args::{DirArg, ShmTop};
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{self, Format, Listing, Row, printed};
use rates::PeerRates;
pub(crate) use rates::ServiceRates;
use screen::Screen;

/// The longest that Ctrl-C may have to wait.
const HEARS_WITHIN: Duration = Duration::from_millis(50);

/// What was found at one time.
struct Look {
    at: Instant,
    time: String,
    services: Vec<Service>,
}

/// Looks at all services, time and again, for a screen that shows more than them.
#[derive(Default)]
pub(crate) struct Watch {
    before: Option<Look>,
}

impl Watch {
    /// A row for each service; rates are those since the last time.
    pub(crate) fn rows(&mut self, dir: &DirArg) -> Result<Vec<ServiceRates>, Failure> {
        let now = look(dir, None)?;
        let rows = ServiceRates::all(self.before.as_ref(), &now);
        self.before = Some(now);
        Ok(rows)
    }

    /// The same for services that were told of, each with its program.
    pub(crate) fn rows_of(&mut self, told: Vec<(Service, Option<String>)>) -> Vec<ServiceRates> {
        let (services, programs): (Vec<_>, Vec<_>) = told.into_iter().unzip();
        let names = services.iter().map(|service: &Service| service.name.clone());
        let mut programs: HashMap<String, Option<String>> = names.zip(programs).collect();
        let time = format!("{:.3}", jiff::Timestamp::now());
        let now = Look { at: Instant::now(), time, services };
        let rows = ServiceRates::all(self.before.as_ref(), &now);
        self.before = Some(now);
        let named = |row: ServiceRates| {
            let program = programs.remove(row.name()).flatten();
            row.run_by(program)
        };
        rows.into_iter().map(named).collect()
    }
}

pub(super) fn run(args: &ShmTop) -> Result<(), Failure> {
    match args.name {
        Some(_) => watch::<PeerRates>(args, PeerRates::all),
        None => watch::<ServiceRates>(args, ServiceRates::all),
    }
}

/// Rows of what moved from one look to the next; without the first, rates are not known.
type Rates<R> = fn(Option<&Look>, &Look) -> Vec<R>;

fn watch<R: Row>(args: &ShmTop, rates: Rates<R>) -> Result<(), Failure> {
    let interrupt = Interrupt::install()?;
    let looks = start_looking(args)?;
    let mut view = View::new::<R>(args);
    let mut before: Option<Look> = None;
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 && !interrupt.came() {
        let look = match looks.recv_timeout(HEARS_WITHIN) {
            Ok(look) => look?,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let rows = rates(before.as_ref(), &look);
        let shown = view.show(&look, &rows, before.is_some());
        if shown.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            return Ok(());
        }
        printed(shown)?;
        left -= u64::from(before.is_some());
        before = Some(look);
    }
    printed(view.finish())
}

/// Looks until nobody wants to know any more. The first look is here, so that a mistake is told
/// before anything is drawn.
fn start_looking(args: &ShmTop) -> Result<Receiver<Result<Look, Failure>>, Failure> {
    let (interval, name) = (args.interval, args.name.clone());
    let dir = DirArg { dir: args.dir.dir.clone() };
    let first = look(&dir, name.as_deref())?;
    let (found, looks) = sync_channel(1);
    thread::spawn(move || go_on_looking(first, &dir, name.as_deref(), interval, &found));
    Ok(looks)
}

fn go_on_looking(
    first: Look,
    dir: &DirArg,
    name: Option<&str>,
    interval: Duration,
    found: &SyncSender<Result<Look, Failure>>,
) {
    let mut next = first.at;
    let mut latest = Ok(first);
    loop {
        let failed = latest.is_err();
        if found.send(latest).is_err() || failed {
            return;
        }
        next = (next + interval).max(Instant::now());
        thread::sleep(next - Instant::now());
        latest = look(dir, name);
    }
}

fn look(dir: &DirArg, name: Option<&str>) -> Result<Look, Failure> {
    let services = match name {
        Some(name) => vec![inspect::one(dir, name)?],
        None => survey::all(dir)?,
    };
    let time = format!("{:.3}", jiff::Timestamp::now());
    Ok(Look { at: Instant::now(), time, services })
}

/// Where looks are shown.
enum View {
    /// Drawn over and over.
    Screen(Screen),
    /// One table below the other.
    Tables { many: bool },
    /// A JSON object for each row of each look.
    Rows(Listing<BufWriter<io::Stdout>>),
}

impl View {
    fn new<R: Row>(args: &ShmTop) -> View {
        match args.output.output {
            Format::Table if io::stdout().is_terminal() => {
                View::Screen(Screen::new(&survey::directory(&args.dir)))
            }
            Format::Table => View::Tables { many: false },
            format => View::Rows(Listing::new::<R>(format, BufWriter::new(io::stdout()))),
        }
    }

    /// Shows a look. Where nothing can be drawn over, one without rates is passed over.
    fn show<R: Row>(&mut self, look: &Look, rows: &[R], rated: bool) -> io::Result<()> {
        match self {
            View::Screen(screen) => screen.draw(&look.time, &output::table(rows)),
            _ if !rated => Ok(()),
            View::Tables { many } => {
                let gap = if std::mem::replace(many, true) { "\n" } else { "" };
                write!(io::stdout().lock(), "{gap}{}\n{}", look.time, output::table(rows))
            }
            View::Rows(listing) => {
                rows.iter().try_for_each(|row| listing.push(row))?;
                listing.flush()
            }
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            View::Screen(_) | View::Tables { .. } => Ok(()),
            View::Rows(listing) => listing.finish(),
        }
    }
}
