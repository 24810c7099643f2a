//! A position in a topic as a person says it: an end, an offset, or a time.

use std::str::FromStr;

use jiff::{Span, SpanRelativeTo, Timestamp};
use thiserror::Error;

/// Where to start, or where to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// The oldest record there is.
    Earliest,
    /// Behind the newest record.
    Latest,
    /// This offset.
    Offset(i64),
    /// The first record of this time or later, in milliseconds since the epoch.
    Time(i64),
}

/// Why a text is no position.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub(crate) enum PositionError {
    #[error(
        "it must be earliest, latest, an offset, a time like 2026-08-01T12:00:00Z, \
         or one ago like -1h"
    )]
    Unknown,
    #[error("the time needs a zone: {0}Z, or an offset like +02:00")]
    Zone(String),
    #[error("{0} lies in the future; a time ago has a minus: -{0}")]
    Future(String),
    #[error("the time is out of range")]
    Range,
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Position, PositionError> {
        Position::parse(text, Timestamp::now())
    }
}

impl Position {
    fn parse(text: &str, now: Timestamp) -> Result<Position, PositionError> {
        match text {
            "earliest" => return Ok(Position::Earliest),
            "latest" => return Ok(Position::Latest),
            _ => {}
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Position::Offset).map_err(|_| PositionError::Range);
        }
        if let Ok(time) = text.parse::<Timestamp>() {
            return at(time);
        }
        if text.parse::<jiff::civil::DateTime>().is_ok() {
            let full = if text.contains(['T', 't', ' ']) { "" } else { "T00:00:00" };
            return Err(PositionError::Zone(format!("{text}{full}")));
        }
        let span: Span = text.parse().map_err(|_| PositionError::Unknown)?;
        ago(span, text, now)
    }
}

fn at(time: Timestamp) -> Result<Position, PositionError> {
    match time.as_millisecond() {
        // Kafka gives the smallest negative numbers a meaning of their own.
        ms @ 0.. => Ok(Position::Time(ms)),
        _ => Err(PositionError::Range),
    }
}

/// `span` is negative for the past. A day is 24 hours; months have no fixed length.
fn ago(span: Span, text: &str, now: Timestamp) -> Result<Position, PositionError> {
    if span.is_positive() {
        return Err(PositionError::Future(text.to_owned()));
    }
    let days = SpanRelativeTo::days_are_24_hours();
    let duration = span.to_duration(days).map_err(|_| PositionError::Unknown)?;
    at(now.checked_add(duration).map_err(|_| PositionError::Range)?)
}

/// A timestamp of the log for people; -1, which stands for none, as `-`.
pub(crate) fn show_time(timestamp_ms: i64) -> String {
    match Timestamp::from_millisecond(timestamp_ms) {
        _ if timestamp_ms == -1 => "-".to_owned(),
        Ok(time) => format!("{time:.3}"),
        Err(_) => format!("{timestamp_ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn parse(text: &str) -> Result<Position, PositionError> {
        Position::parse(text, Timestamp::from_millisecond(NOW).unwrap())
    }

    #[test]
    fn ends_and_offsets() {
        assert_eq!(parse("earliest"), Ok(Position::Earliest));
        assert_eq!(parse("latest"), Ok(Position::Latest));
        assert_eq!(parse("0"), Ok(Position::Offset(0)));
        assert_eq!(parse("9223372036854775807"), Ok(Position::Offset(i64::MAX)));
        assert_eq!(parse("9223372036854775808"), Err(PositionError::Range));
    }

    #[test]
    fn times_with_a_zone() {
        assert_eq!(parse("1970-01-01T00:00:01Z"), Ok(Position::Time(1_000)));
        assert_eq!(parse("1970-01-01T02:00:01.5+02:00"), Ok(Position::Time(1_500)));
        assert_eq!(parse("1969-12-31T23:59:59Z"), Err(PositionError::Range));
    }

    #[test]
    fn times_without_a_zone_are_asked_about() {
        let zone = |text: &str| Err(PositionError::Zone(text.into()));
        assert_eq!(parse("2026-08-01T12:00"), zone("2026-08-01T12:00"));
        assert_eq!(parse("2026-08-01"), zone("2026-08-01T00:00:00"));
    }

    #[test]
    fn times_ago() {
        assert_eq!(parse("-1h"), Ok(Position::Time(NOW - HOUR)));
        assert_eq!(parse("-90m"), Ok(Position::Time(NOW - HOUR * 3 / 2)));
        assert_eq!(parse("-2d"), Ok(Position::Time(NOW - 48 * HOUR)));
        assert_eq!(parse("-1h 30m"), Ok(Position::Time(NOW - HOUR * 3 / 2)));
        assert_eq!(parse("1h ago"), Ok(Position::Time(NOW - HOUR)));
        assert_eq!(parse("1h"), Err(PositionError::Future("1h".into())));
        assert_eq!(parse("-9999y"), Err(PositionError::Unknown));
        assert_eq!(parse("-90000h"), Ok(Position::Time(NOW - 90_000 * HOUR)));
        assert_eq!(parse("-900000h"), Err(PositionError::Range));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "now", "-5", "1.5", "earlies", "-", "+3", "2026-13-01T00:00:00Z"] {
            assert_eq!(parse(text), Err(PositionError::Unknown), "{text}");
        }
    }

    #[test]
    fn times_are_shown_with_milliseconds() {
        assert_eq!(show_time(1_500), "1970-01-01T00:00:01.500Z");
        assert_eq!(show_time(-1), "-");
        assert_eq!(show_time(i64::MAX), "9223372036854775807 ms");
    }
}
