//! When victims die: at each step of the sources, and at random times. Who dies, and who lives on,
//! is for a stage to say.

use super::processes::dice::Dice;
use super::{rounds, steps};

/// Where victims come and go, one at a time, and others live on.
pub(crate) trait Stage: Sized {
    fn new(dice: Dice) -> Self;

    /// Starts victims that are told this, each to end after some requests; whether one was killed
    /// before that.
    fn play(&mut self, told: &[(&str, &str)]) -> bool;

    /// Starts a victim and kills it at some time.
    fn play_for_a_while(&mut self);

    /// Goes on until nothing of the victims is under way, and checks what became of it.
    fn settle(&mut self, occasion: &str);

    /// All is over: nothing is left of anybody.
    fn end(self);
}

/// At each step of the sources that a victim comes to.
pub(crate) fn at_every_step<S: Stage>() {
    let mut stage = S::new(Dice::thrown_for("at_every_step"));
    for name in steps::wanted() {
        for times in steps::TIMES {
            let told = [("CHASKI_KILL_AT", &*format!("{name}:{times}"))];
            if !stage.play(&told) {
                break;
            }
            steps::was_fatal(&name);
        }
        stage.settle(&name);
    }
    stage.end();
}

/// At random times.
pub(crate) fn at_any_time<S: Stage>() {
    let mut stage = S::new(Dice::thrown_for("at_any_time"));
    for round in 0..rounds() / 2 {
        stage.play_for_a_while();
        if round % 8 == 7 {
            stage.settle(&format!("round {round}"));
        }
    }
    stage.end();
}
