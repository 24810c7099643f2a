//! One hour of numbers in steps of five seconds, in a ring of fixed size.

use std::collections::VecDeque;

use serde::Serialize;

/// Time from one point to the next.
pub(super) const STEP_MS: i64 = 5_000;

/// Points of an hour.
const POINTS: usize = 720;

/// What is remembered of a moment; None: not known.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Point {
    pub(super) in_records_s: Option<f64>,
    pub(super) in_bytes_s: Option<f64>,
    pub(super) out_bytes_s: Option<f64>,
    pub(super) connections: Option<u64>,
    pub(super) lag: Option<i64>,
    /// Of each shard, 0 to 1.
    pub(super) busy: Vec<f64>,
}

/// The ring. Points are at multiples of the step.
#[derive(Debug, Default)]
pub(super) struct History {
    points: VecDeque<Point>,
    /// When the last point was.
    last_ms: i64,
}

/// As `/api/history` answers.
#[derive(Debug, Serialize, PartialEq)]
pub(super) struct Told {
    step_ms: i64,
    from_ms: i64,
    series: Series,
}

#[derive(Debug, Serialize, PartialEq)]
struct Series {
    in_records_s: Vec<Option<f64>>,
    in_bytes_s: Vec<Option<f64>>,
    out_bytes_s: Vec<Option<f64>>,
    connections: Vec<Option<u64>>,
    lag: Vec<Option<i64>>,
    busy: Vec<Vec<Option<f64>>>,
}

impl History {
    /// Whether `now_ms` lies in a step that has no point yet.
    pub(super) fn is_due(&self, now_ms: i64) -> bool {
        self.points.is_empty() || step(now_ms) != self.last_ms
    }

    /// Notes the numbers of about now. Steps without a point, while the process was stopped or the
    /// clock put forward, are gaps; a clock that was put back begins anew.
    pub(super) fn push(&mut self, now_ms: i64, point: Point) {
        let at = step(now_ms);
        let missed = (at - self.last_ms) / STEP_MS - 1;
        if !self.points.is_empty() {
            if missed < 0 || missed >= POINTS as i64 {
                self.points.clear();
            } else {
                self.points.extend((0..missed).map(|_| Point::default()));
            }
        }
        self.points.push_back(point);
        let over = self.points.len().saturating_sub(POINTS);
        self.points.drain(..over);
        self.last_ms = at;
    }

    /// All points from `since_ms` on.
    pub(super) fn since(&self, since_ms: i64) -> Told {
        let first_ms = self.last_ms - (self.points.len() as i64 - 1).max(0) * STEP_MS;
        let skip = since_ms.saturating_sub(first_ms).max(0) as u64;
        let skip = (skip.div_ceil(STEP_MS as u64) as usize).min(self.points.len());
        let points = || self.points.iter().skip(skip);
        let shards = points().map(|point| point.busy.len()).max().unwrap_or(0);
        let busy = |shard: usize| points().map(|point| point.busy.get(shard).copied()).collect();
        Told {
            step_ms: STEP_MS,
            from_ms: first_ms + skip as i64 * STEP_MS,
            series: Series {
                in_records_s: points().map(|point| point.in_records_s).collect(),
                in_bytes_s: points().map(|point| point.in_bytes_s).collect(),
                out_bytes_s: points().map(|point| point.out_bytes_s).collect(),
                connections: points().map(|point| point.connections).collect(),
                lag: points().map(|point| point.lag).collect(),
                busy: (0..shards).map(busy).collect(),
            },
        }
    }
}

fn step(ms: i64) -> i64 {
    ms - ms.rem_euclid(STEP_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(connections: u64) -> Point {
        Point { connections: Some(connections), busy: vec![0.5], ..Point::default() }
    }

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let mut history = History::default();
        for n in 0..1000 {
            assert!(history.is_due(n * STEP_MS + 3));
            history.push(n * STEP_MS + 3, point(n as u64));
            assert!(!history.is_due(n * STEP_MS + STEP_MS - 1));
        }
        let told = history.since(0);
        assert_eq!(told.from_ms, 280 * STEP_MS);
        assert_eq!(told.series.connections.len(), POINTS);
        assert_eq!(told.series.connections.first(), Some(&Some(280)));
        assert_eq!(told.series.busy[0].len(), POINTS);
    }

    #[test]
    fn who_asks_again_gets_only_what_is_new() {
        let mut history = History::default();
        assert!(history.since(0).series.lag.is_empty());
        (1..=3).for_each(|n| history.push(n * STEP_MS, point(n as u64)));
        let told = history.since(2 * STEP_MS);
        assert_eq!((told.from_ms, told.series.connections), (10_000, vec![Some(2), Some(3)]));
        let told = history.since(2 * STEP_MS + 1);
        assert_eq!((told.from_ms, told.series.connections), (15_000, vec![Some(3)]));
        let told = history.since(4 * STEP_MS);
        assert_eq!((told.from_ms, told.series.connections), (20_000, vec![]), "as asked for");
        assert_eq!(history.since(i64::MAX).series.connections, []);
        assert_eq!(history.since(i64::MIN).series.connections.len(), 3);
    }

    #[test]
    fn gaps_are_gaps_and_a_clock_put_back_begins_anew() {
        let mut history = History::default();
        history.push(5_000, point(1));
        history.push(20_000, point(4));
        assert_eq!(history.since(0).series.connections, [Some(1), None, None, Some(4)]);
        history.push(10_000, point(9));
        let told = history.since(0);
        assert_eq!((told.from_ms, told.series.connections), (10_000, vec![Some(9)]));
        history.push(i64::MAX / 2, point(7));
        assert_eq!(history.since(0).series.connections, [Some(7)]);
    }
}
