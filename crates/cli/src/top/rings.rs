//! Rings between the processes of this machine, from their survey.

#[cfg(target_os = "linux")]
mod here {
    use crate::args::DirArg;
    use crate::shm::Watch;

    pub(in crate::top) type RingRow = crate::shm::ServiceRates;

    /// Looks at all services, time and again.
    pub(in crate::top) struct Rings {
        watch: Watch,
        dir: DirArg,
    }

    impl Rings {
        pub(in crate::top) fn new(dir: &DirArg) -> Rings {
            Rings { watch: Watch::default(), dir: DirArg { dir: dir.dir.clone() } }
        }

        pub(in crate::top) fn look(&mut self) -> Result<Vec<RingRow>, String> {
            self.watch.rows(&self.dir).map_err(|failure| failure.in_a_line())
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod here {
    use serde::Serialize;

    use crate::args::DirArg;
    use crate::output::Row;
    use crate::table::Column;

    /// There is none.
    #[derive(Debug, Serialize)]
    pub(in crate::top) enum RingRow {}

    pub(in crate::top) struct Rings;

    impl Rings {
        pub(in crate::top) fn new(_: &DirArg) -> Rings {
            Rings
        }

        pub(in crate::top) fn look(&mut self) -> Result<Vec<RingRow>, String> {
            Err("there is no shared memory between processes on this system".to_owned())
        }
    }

    impl Row for RingRow {
        const COLUMNS: &'static [Column] = &[];

        fn cells(&self) -> Vec<String> {
            match *self {}
        }
    }
}

pub(super) use here::{RingRow, Rings};
