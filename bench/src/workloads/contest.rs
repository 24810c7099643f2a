//! A case whose contestants are two processes each: what the turn does, and what the other side
//! does.

use anyhow::{Context, Result};

use super::side::{Side, Turn};
use crate::run::{Case, Entrant, Samples};
use crate::workloads::apart::Setup;

/// A case.
pub struct Contest {
    pub name: &'static str,
    pub contestants: Vec<Contestant>,
}

/// Someone who takes part, as the two programs that it is.
pub struct Contestant {
    pub who: &'static str,
    near: Box<Near>,
    far: Box<Far>,
}

type Near = dyn Fn(&Turn) -> Result<Samples>;
type Far = dyn Fn(&Side) -> Result<()>;

impl Contestant {
    /// `far` runs until it is killed.
    pub fn new(
        who: &'static str,
        near: impl Fn(&Turn) -> Result<Samples> + 'static,
        far: impl Fn(&Side) -> Result<()> + 'static,
    ) -> Contestant {
        Contestant { who, near: Box::new(near), far: Box::new(far) }
    }

    /// The other side's part.
    pub fn take_side(&self, side: &Side) -> Result<()> {
        (self.far)(side)
    }
}

impl Contest {
    /// The case, with turns that start their other sides. `sweep` removes what a turn leaves.
    pub fn into_case(self, distance: &'static str, sweep: fn(u32), setup: Setup) -> Case {
        let name = self.name;
        let entrant = |contestant: Contestant| {
            Entrant::new(contestant.who, move || {
                (contestant.near)(&Turn::begin(setup, name, contestant.who, sweep)?)
            })
        };
        let entrants = self.contestants.into_iter().map(entrant).collect();
        Case { distance, name, entrants }
    }

    pub fn contestant(&self, who: &str) -> Result<&Contestant> {
        self.contestants.iter().find(|other| other.who == who).context("nobody of that name")
    }
}
