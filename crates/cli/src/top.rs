//! `chaski top`.
//!
//! A thread looks, since a broker that does not answer takes seconds; this one draws and hears
//! keys. `look` gathers what there is, part by part; `api` and `metrics` are the two things that a
//! broker can be asked; `screen` is the picture and knows no broker.

mod api;
mod look;
mod metrics;
mod rings;
mod rows;
mod screen;

use std::io::{self, IsTerminal as _};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event};

use crate::args::Top;
use crate::failure::{CALLED_WRONGLY, Failure};
use crate::interrupt::Interrupt;
use crate::output::{self, Format};
use look::{Look, Looker};
use screen::Screen;

/// The longest that a signal, or a new look, may have to wait.
const HEARS_WITHIN: Duration = Duration::from_millis(50);

pub(crate) fn run(args: &Top) -> Result<(), Failure> {
    if args.once {
        return once(args);
    }
    if args.output.output != Format::Table || !io::stdout().is_terminal() {
        return Err(Failure::new("the live screen needs a terminal")
            .hint("`chaski top --once -o json` looks once and prints it")
            .code(CALLED_WRONGLY));
    }
    let interrupt = Interrupt::install()?;
    let looks = start_looking(args);
    let mut terminal =
        ratatui::try_init().map_err(|e| Failure::because("cannot draw on this terminal", &e))?;
    let done = watch(&mut terminal, &looks, &interrupt);
    ratatui::restore();
    done.map_err(|e| Failure::because("cannot draw on this terminal", &e))
}

/// Rates need two looks.
fn once(args: &Top) -> Result<(), Failure> {
    let mut looker = Looker::new(args);
    looker.look();
    thread::sleep(args.interval);
    output::describe(args.output.output, &looker.look())
}

/// Looks until nobody wants to see any more.
fn start_looking(args: &Top) -> Receiver<Look> {
    let mut looker = Looker::new(args);
    let interval = args.interval;
    let (found, looks) = sync_channel(1);
    thread::spawn(move || {
        let mut next = Instant::now();
        while found.send(looker.look()).is_ok() {
            next = (next + interval).max(Instant::now());
            thread::sleep(next - Instant::now());
        }
    });
    looks
}

fn watch(
    terminal: &mut ratatui::DefaultTerminal,
    looks: &Receiver<Look>,
    interrupt: &Interrupt,
) -> io::Result<()> {
    let mut screen = Screen::new();
    let mut stale = true;
    while !interrupt.came() && !screen.is_over() {
        if std::mem::take(&mut stale) {
            terminal.draw(|frame| screen.draw(frame))?;
        }
        if event::poll(HEARS_WITHIN)? {
            if let Event::Key(key) = event::read()? {
                screen.press(key);
            }
            // Another size of the terminal, too, is a reason to draw.
            stale = true;
        }
        match looks.try_recv() {
            Ok(look) => {
                screen.show(&look);
                stale = true;
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => break,
        }
    }
    Ok(())
}
