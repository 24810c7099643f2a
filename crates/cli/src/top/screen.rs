//! The picture: a head, one part below the other, and the keys.

mod part;

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::look::Look;
use crate::output::colour_refused;
use crate::table::printable;
use part::Part;

const KEYS: &str = " 1-5 Tab part  Up Down scroll  s sort  z alone  Space hold  q end";
/// Lines of the head, and of the keys.
const HEAD_LINES: u16 = 4;
const KEY_LINES: u16 = 1;
/// A part needs so many lines to be worth drawing: its title, the columns, two rows.
const PART_LINES_MIN: u16 = 4;

/// What is on the screen.
pub(super) struct Screen {
    head: [String; 3],
    /// What the broker finds wrong.
    alarm: Option<String>,
    parts: [Part; 5],
    chosen: usize,
    /// Only the chosen part is drawn.
    alone: bool,
    /// New looks are passed over.
    held: bool,
    over: bool,
    coloured: bool,
}

impl Screen {
    pub(super) fn new() -> Screen {
        let parts = ["topics", "groups", "sockets", "rings", "shards"].map(Part::new);
        Screen {
            head: ["looking ..".to_owned(), String::new(), String::new()],
            alarm: None,
            parts,
            chosen: 0,
            alone: false,
            held: false,
            over: false,
            coloured: !colour_refused(),
        }
    }

    /// Whether the user has had enough.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Takes over what was seen, unless the picture is held.
    pub(super) fn show(&mut self, look: &Look) {
        if self.held {
            return;
        }
        self.head = head(look);
        let findings = look.broker.as_ref().map_or(&[][..], |broker| &broker.findings);
        self.alarm = match findings {
            [] => None,
            [one] => Some(one.clone()),
            [first, rest @ ..] => Some(format!("{first} (and {} more)", rest.len())),
        };
        let missing = |part| look.missing.get(part).map(String::as_str);
        let [topics, groups, sockets, rings, shards] = &mut self.parts;
        topics.show(look.topics.as_deref(), missing("topics"));
        groups.show(look.groups.as_deref(), missing("groups"));
        sockets.show(look.sockets.as_deref(), missing("sockets"));
        rings.show(look.rings.as_deref(), missing("rings"));
        shards.show(look.shards.as_deref(), missing("shards"));
    }

    pub(super) fn press(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        let count = self.parts.len();
        let part = &mut self.parts[self.chosen];
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => self.over = true,
            KeyCode::Char('q') | KeyCode::Esc => self.over = true,
            KeyCode::Char(' ') => self.held = !self.held,
            KeyCode::Char('z') => self.alone = !self.alone,
            KeyCode::Char('s') => part.sort_by_next(),
            KeyCode::Down | KeyCode::Char('j') => part.scroll(1),
            KeyCode::Up | KeyCode::Char('k') => part.scroll(-1),
            KeyCode::PageDown => part.scroll(10),
            KeyCode::PageUp => part.scroll(-10),
            KeyCode::Home => part.scroll(isize::MIN),
            KeyCode::Tab => self.chosen = (self.chosen + 1) % count,
            KeyCode::BackTab => self.chosen = (self.chosen + count - 1) % count,
            KeyCode::Char(digit @ '1'..='5') => self.chosen = digit as usize - '1' as usize,
            _ => {}
        }
    }

    pub(super) fn draw(&mut self, frame: &mut Frame<'_>) {
        let [head, body, keys] = Layout::vertical([
            Constraint::Length(HEAD_LINES),
            Constraint::Min(0),
            Constraint::Length(KEY_LINES),
        ])
        .areas(frame.area());
        frame.render_widget(Paragraph::new(self.head_lines()), head);
        self.draw_parts(frame, body);
        frame.render_widget(Paragraph::new(KEYS).style(self.accent()), keys);
    }

    fn head_lines(&self) -> Vec<Line<'_>> {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let mut first = vec![Span::styled(self.head[0].as_str(), bold)];
        if self.held {
            first.push(Span::styled("   held", self.warning()));
        }
        let mut lines = vec![Line::from(first)];
        lines.extend(self.head[1..].iter().map(|line| Line::from(line.as_str())));
        lines.extend(self.alarm.as_ref().map(|line| Line::styled(line.as_str(), self.warning())));
        lines
    }

    fn draw_parts(&mut self, frame: &mut Frame<'_>, body: Rect) {
        let accent = self.accent();
        let fits = body.height >= PART_LINES_MIN * self.parts.len() as u16;
        if self.alone || !fits {
            let title = format!("{} {}", self.chosen + 1, self.parts[self.chosen].title());
            return self.parts[self.chosen].draw(frame, body, &title, accent);
        }
        let heights = self.heights(body.height);
        let areas = Layout::vertical(heights.map(Constraint::Length)).split(body);
        for (at, (part, area)) in self.parts.iter_mut().zip(areas.iter()).enumerate() {
            let title = format!("{} {}", at + 1, part.title());
            let style = if at == self.chosen { accent } else { Style::new() };
            part.draw(frame, *area, &title, style);
        }
    }

    /// Each part gets what it wants of an even share; what is left over goes to the chosen one,
    /// and then to whoever has more to show.
    fn heights(&self, height: u16) -> [u16; 5] {
        let wanted = self.parts.each_ref().map(|part| part.lines().max(PART_LINES_MIN));
        let mut heights = wanted.map(|wanted| wanted.min(height / 5).max(PART_LINES_MIN));
        let mut left = height.saturating_sub(heights.iter().sum());
        let others = (0..heights.len()).filter(|&at| at != self.chosen);
        for at in std::iter::once(self.chosen).chain(others) {
            let more = wanted[at].saturating_sub(heights[at]).min(left);
            heights[at] += more;
            left -= more;
        }
        heights[self.chosen] += left;
        heights
    }

    fn accent(&self) -> Style {
        match self.coloured {
            true => Style::new().fg(Color::Black).bg(Color::Cyan),
            false => Style::new().add_modifier(Modifier::REVERSED),
        }
    }

    fn warning(&self) -> Style {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        if self.coloured { bold.fg(Color::Red) } else { bold }
    }
}

fn head(look: &Look) -> [String; 3] {
    let lines = match &look.broker {
        Some(broker) => {
            let up = broker.uptime_s.map(|s| format!(", up {}", show_uptime(s)));
            let first = format!(
                "chaski {} at {}{}   {}",
                broker.version,
                broker.address,
                up.unwrap_or_default(),
                look.time
            );
            let [moves, takes] = broker.lines();
            [first, moves, takes]
        }
        None => {
            let why = look.missing.get("broker").cloned().unwrap_or_default();
            [format!("no broker   {}", look.time), why, String::new()]
        }
    };
    lines.map(|line| printable(&line).into_owned())
}

fn show_uptime(seconds: f64) -> String {
    let minutes = (seconds.max(0.0) / 60.0) as u64;
    match minutes {
        0 => format!("{seconds:.0} s"),
        1..60 => format!("{minutes} min"),
        60..1440 => format!("{} h {} min", minutes / 60, minutes % 60),
        _ => format!("{} d {} h", minutes / 1440, minutes / 60 % 24),
    }
}

#[cfg(test)]
mod tests;
