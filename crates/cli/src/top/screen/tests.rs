//! The picture, drawn on a terminal of ratatui's own.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::KeyEvent;

use super::super::rows::{BrokerRow, GroupRow, LatencyRow, ShardRow, TopicRow};
use super::*;

fn look() -> Look {
    let topic = |name: &str, rate| TopicRow {
        name: name.to_owned(),
        partitions: 4,
        records: Some(1000),
        bytes: Some(12_345),
        records_per_second: Some(rate),
        groups: Some(1),
        lag: Some(7),
        problems: Vec::new(),
    };
    let latency = LatencyRow { path: "produce".into(), p50_us: Some(40.0), p99_us: Some(900.0) };
    let mut look = Look {
        time: "2026-01-01T00:00:00Z".to_owned(),
        broker: Some(BrokerRow {
            address: "127.0.0.1:8080".to_owned(),
            version: "9.9.9".to_owned(),
            uptime_s: Some(3_700.0),
            records_per_second: Some(1234.0),
            latency: vec![latency],
            findings: vec!["error: the disk is full\u{1b}[2J".to_owned()],
            ..BrokerRow::default()
        }),
        topics: Some(vec![topic("orders", 90.0), topic("audit", 1.0)]),
        groups: Some(vec![GroupRow { group: "billing".to_owned(), ..GroupRow::default() }]),
        sockets: None,
        rings: Some(Vec::new()),
        shards: Some((0..40).map(|shard| ShardRow { shard, ..ShardRow::default() }).collect()),
        ..Look::default()
    };
    look.missing.insert("sockets", "/api/sockets was answered with status 404".to_owned());
    look
}

fn drawn(screen: &mut Screen, columns: u16, lines: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
    terminal.draw(|frame| screen.draw(frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| (0..columns).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..lines).map(|y| line(y).trim_end().to_owned()).collect()
}

fn screen() -> Screen {
    let mut screen = Screen::new();
    screen.show(&look());
    screen
}

fn press(screen: &mut Screen, keys: &str) {
    for key in keys.chars() {
        screen.press(KeyEvent::from(KeyCode::Char(key)));
    }
}

#[test]
fn all_parts_are_on_one_screen_with_their_keys() {
    let text = drawn(&mut screen(), 100, 40).join("\n");
    for shown in [
        "chaski 9.9.9 at 127.0.0.1:8080, up 1 h 1 min   2026-01-01T00:00:00Z",
        "1234 records/s in",
        "p50/p99: produce 40/900 us",
        " 1 topics (2)",
        " TOPIC   PARTITIONS  RECORDS    BYTES  RECORDS/S  LAG  PROBLEMS",
        " orders           4     1000  12.3 kB       90.0    7",
        " 2 groups (1)",
        " billing",
        " 3 sockets (0)\n /api/sockets was answered with status 404",
        " 4 rings (0)",
        " 5 shards (40)",
        "more",
        KEYS,
    ] {
        assert!(text.contains(shown), "`{shown}` is missing:\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn keys_choose_sort_scroll_and_hold() {
    let mut screen = screen();
    press(&mut screen, "s");
    let text = drawn(&mut screen, 100, 40).join("\n");
    assert!(text.contains("topics (2, by topic)"), "{text}");
    assert!(text.find("audit").unwrap() < text.find("orders").unwrap(), "{text}");
    press(&mut screen, "5zjj");
    let text = drawn(&mut screen, 100, 40);
    assert!(text[4].contains("5 shards (40)"), "{text:#?}");
    assert!(text[6].trim_start().starts_with("2 "), "{text:#?}");
    press(&mut screen, " ");
    screen.show(&Look::default());
    assert!(drawn(&mut screen, 100, 40)[0].contains("9.9.9"), "held");
    press(&mut screen, " ");
    screen.show(&Look::default());
    assert!(drawn(&mut screen, 100, 40)[0].contains("no broker"));
    assert!(!screen.is_over());
    press(&mut screen, "q");
    assert!(screen.is_over());
}

#[test]
fn who_refuses_colours_gets_none() {
    let mut screen = screen();
    screen.coloured = false;
    let mut terminal = Terminal::new(TestBackend::new(100, 40)).unwrap();
    terminal.draw(|frame| screen.draw(frame)).unwrap();
    let cells = &terminal.backend().buffer().content;
    assert!(cells.iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
}

#[test]
fn a_terminal_of_any_size_is_drawn_on() {
    for (columns, lines) in [(1, 1), (5, 3), (20, 8), (80, 24), (300, 100)] {
        let mut screen = screen();
        for key in ["1", "2", "3", "4", "5", "z"] {
            press(&mut screen, key);
            drawn(&mut screen, columns, lines);
        }
    }
}

#[test]
fn nothing_at_all_is_a_picture_too() {
    let mut look = Look::default();
    for part in ["broker", "topics", "groups", "sockets", "rings", "shards"] {
        look.missing.insert(part, format!("no {part} here"));
    }
    let mut screen = Screen::new();
    screen.show(&look);
    let text = drawn(&mut screen, 80, 30).join("\n");
    assert!(text.contains("no topics here") && text.contains("no rings here"), "{text}");
}
