//! Rings between processes: of the broker's machine, as it tells of them, else those of this one.

#[cfg(target_os = "linux")]
mod here {
    use chaski_shm::survey::{Connection, Pattern, Service};

    use crate::args::DirArg;
    use crate::shm::Watch;
    use crate::top::api;

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

        /// Whoever names a directory means one of this machine.
        pub(in crate::top) fn look(
            &mut self,
            theirs: Option<api::Rings>,
        ) -> Result<Vec<RingRow>, String> {
            match theirs.filter(|_| self.dir.dir.is_none()) {
                Some(theirs) => Ok(self.watch.rows_of(theirs.rings.iter().map(told).collect())),
                None => self.watch.rows(&self.dir).map_err(|failure| failure.in_a_line()),
            }
        }
    }

    /// A service as a broker tells of it, and its program.
    fn told(ring: &api::Ring) -> (Service, Option<String>) {
        let kinds = [
            Pattern::Server,
            Pattern::Publisher,
            Pattern::Push,
            Pattern::Pull,
            Pattern::Listener,
            Pattern::Pipe,
            Pattern::Packets,
        ];
        let kind = ring.kind.as_deref();
        let mut service = Service::default();
        service.name.clone_from(&ring.name);
        service.pid = ring.pid;
        service.answered = ring.answered;
        service.generation = ring.generation.parse().unwrap_or(0);
        let pattern = kinds.into_iter().find(|pattern| Some(pattern.as_str()) == kind);
        service.pattern = pattern.unwrap_or(Pattern::Unknown);
        service.connections = ring.clients.iter().map(connection).collect();
        (service, ring.program.clone())
    }

    /// What is told of both ways together is noted under one of them, the one that is used.
    fn connection(client: &api::Client) -> Connection {
        let mut connection = Connection::default();
        (connection.slot, connection.pid) = (client.slot, client.pid);
        (connection.drops, connection.dead) = (client.drops, !client.alive);
        connection.incoming.sent = client.taken;
        connection.incoming.sent_bytes = client.in_bytes;
        connection.outgoing.sent = client.out;
        connection.outgoing.sent_bytes = client.out_bytes;
        let both = if client.out > client.taken || client.taken == 0 {
            &mut connection.outgoing
        } else {
            &mut connection.incoming
        };
        (both.capacity, both.fill) = (client.capacity, client.fill);
        (both.depth, both.stalls) = (client.waiting, client.stalls);
        both.receiver_wakes = client.wakes;
        connection
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// What `chaski top` shows of the rings of another machine.
        fn rows(rings: &mut Rings, told: &str) -> serde_json::Value {
            let told = serde_json::from_str(told).unwrap();
            serde_json::to_value(rings.look(Some(told)).unwrap()).unwrap()
        }

        #[test]
        fn rings_of_another_machine_have_rates_too() {
            let mut rings = Rings::new(&DirArg { dir: None });
            let told = |sent: u64| {
                format!(
                    r#"{{"rings":[{{"name":"s","kind":"pull","pid":7,"program":"theirs",
                    "answered":true,"generation":"18446744073709551615","clients":[{{"slot":0,
                    "pid":8,"alive":true,"fill":10,"capacity":40,"waiting":3,"stalls":{sent},
                    "in":{sent},"in_bytes":{sent}}}]}}]}}"#
                )
            };
            let first = rows(&mut rings, &told(100));
            assert_eq!(first[0]["messages_per_second"], serde_json::Value::Null);
            let then = rows(&mut rings, &told(300));
            let row = &then[0];
            assert_eq!((&row["name"], &row["pattern"]), (&"s".into(), &"pull".into()));
            assert_eq!((&row["program"], &row["state"]), (&"theirs".into(), &"ok".into()));
            assert_eq!((&row["waiting"], &row["fill_percent"]), (&3.into(), &25.0.into()));
            let rate = |name: &str| row[name].as_f64().unwrap();
            assert!(rate("messages_per_second") > 0.0);
            assert_eq!(rate("messages_per_second"), rate("stalls_per_second"));
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod here {
    use serde::Serialize;

    use crate::args::DirArg;
    use crate::output::Row;
    use crate::table::Column;
    use crate::top::api;

    /// There is none.
    #[derive(Debug, Serialize)]
    pub(in crate::top) enum RingRow {}

    pub(in crate::top) struct Rings;

    impl Rings {
        pub(in crate::top) fn new(_: &DirArg) -> Rings {
            Rings
        }

        pub(in crate::top) fn look(
            &mut self,
            _: Option<api::Rings>,
        ) -> Result<Vec<RingRow>, String> {
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
