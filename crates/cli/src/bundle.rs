//! `chaski bundle`: one file for a bug report.
//!
//! Each part is gathered on its own; one that is not to be had is named with the reason, and the
//! others go in without it. Nothing that `secrets` takes for a secret leaves the machine, and no
//! record does: of the log there are names, sizes and headers of batches.

mod archive;
mod log;
mod secrets;

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::args::Bundle;
use crate::bench::Facts;
use crate::doctor;
use crate::failure::Failure;
use crate::http::Http;
use crate::output::{self, Described, Row};
use crate::progress::{Step, show_bytes};
use crate::table::{Column, number, text};
use archive::Archive;

/// How long a broker is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was put together.
#[derive(Debug, Serialize)]
struct Bundled {
    file: PathBuf,
    bytes: u64,
    parts: Vec<Part>,
    left_out: Vec<LeftOut>,
}

/// A file in it.
#[derive(Debug, Serialize)]
struct Part {
    name: &'static str,
    bytes: usize,
    what: &'static str,
}

/// What is not in it.
#[derive(Debug, Serialize)]
struct LeftOut {
    name: &'static str,
    why: String,
}

pub(crate) fn run(args: &Bundle) -> Result<(), Failure> {
    let now = jiff::Timestamp::now();
    let file = args.file.clone().unwrap_or_else(|| {
        PathBuf::from(format!("chaski-bundle-{}.tar.gz", now.strftime("%Y%m%dT%H%M%SZ")))
    });
    let mut gathered = Gathered::new(Archive::create(&file, now)?);
    gathered.all(args)?;
    output::describe(args.output.output, &gathered.finish(file)?)
}

/// The bundle while it is being made.
struct Gathered {
    archive: Archive,
    parts: Vec<Part>,
    left_out: Vec<LeftOut>,
    step: Step,
}

impl Gathered {
    fn new(archive: Archive) -> Gathered {
        Gathered { archive, parts: Vec::new(), left_out: Vec::new(), step: Step::new() }
    }

    fn all(&mut self, args: &Bundle) -> Result<(), Failure> {
        self.json("versions.json", "versions and the machine", Ok(versions()))?;
        let given = secrets::environment();
        self.json("environment.json", "CHASKI_ variables, without secrets", Ok(given))?;
        if let Some(path) = &args.config {
            let what = "the configuration, without secrets";
            self.json("config.json", what, secrets::config(path))?;
        }
        let data = self.broker(args)?;
        self.step.show("measuring flushes ..");
        let findings = serde_json::to_value(doctor::examine(&data, &[]));
        let findings = findings.map_err(|e| e.to_string());
        self.json("doctor.json", "what `chaski doctor` finds", findings)?;
        self.step.show("reading headers of the log ..");
        let listing = log::listing(&data);
        self.part("log/files.jsonl", "names and sizes of the log's files", listing)?;
        let headers = log::headers(&data);
        let what = "headers of the newest batches, no records";
        self.part("log/batches.jsonl", what, headers)?;
        self.step.clear();
        Ok(())
    }

    /// What the broker says of itself. Where its data is.
    fn broker(&mut self, args: &Bundle) -> Result<PathBuf, Failure> {
        self.step.show("asking the broker ..");
        let http = Http::new(&args.http).patient_for(PATIENCE);
        let metrics = http.text("/metrics").map_err(|e| e.to_string());
        self.part("metrics.txt", "the broker's metrics", metrics.map(String::into_bytes))?;
        let overview = http.get::<Value>("/api/overview").map_err(|e| e.to_string());
        // Elsewhere the same path is somebody else's.
        let ours = overview.as_ref().ok().filter(|_| http.address().is_loopback());
        let told = ours.and_then(|it| it["data_dir"].as_str().map(PathBuf::from));
        let data = args.data.clone().or(told).unwrap_or_else(|| PathBuf::from("./chaski-data"));
        let overview = overview.map(secrets::removed);
        self.json("overview.json", "the broker's overview", overview)?;
        for (name, path, what) in [
            ("settings.json", "/api/config", "the broker's settings, without secrets"),
            ("gateways.json", "/api/gateways", "gateways and their peers"),
        ] {
            let answer = http.get::<Value>(path).map(secrets::removed).map_err(|e| e.to_string());
            self.json(name, what, answer)?;
        }
        Ok(data)
    }

    fn json(
        &mut self,
        name: &'static str,
        what: &'static str,
        value: Result<Value, String>,
    ) -> Result<(), Failure> {
        self.part(name, what, value.map(|value| format!("{value:#}\n").into_bytes()))
    }

    fn part(
        &mut self,
        name: &'static str,
        what: &'static str,
        bytes: Result<Vec<u8>, String>,
    ) -> Result<(), Failure> {
        match bytes {
            Ok(bytes) => {
                self.archive.add(name, &bytes)?;
                self.parts.push(Part { name, bytes: bytes.len(), what });
            }
            Err(why) => self.left_out.push(LeftOut { name, why }),
        }
        Ok(())
    }

    /// The list of what is in it goes in last.
    fn finish(mut self, file: PathBuf) -> Result<Bundled, Failure> {
        let contents = json!({"parts": self.parts, "left_out": self.left_out});
        self.archive.add("contents.json", format!("{contents:#}\n").as_bytes())?;
        let bytes = self.archive.finish()?;
        Ok(Bundled { file, bytes, parts: self.parts, left_out: self.left_out })
    }
}

fn versions() -> Value {
    json!({
        "chaski": env!("CARGO_PKG_VERSION"),
        "debug_build": cfg!(debug_assertions),
        "system": std::env::consts::OS,
        "architecture": std::env::consts::ARCH,
        "time": jiff::Timestamp::now().to_string(),
        "machine": Facts::gather(),
    })
}

impl Described for Bundled {
    fn describe(&self) -> String {
        let mut text = output::table(&self.parts);
        if !self.left_out.is_empty() {
            text = text + "\n" + &output::table(&self.left_out);
        }
        let size = show_bytes(self.bytes);
        text + &format!(
            "\nwrote {} ({size}); look into it before you send it\n",
            self.file.display()
        )
    }
}

impl Row for Part {
    const COLUMNS: &'static [Column] = &[text("FILE"), number("BYTES"), text("WHAT")];

    fn cells(&self) -> Vec<String> {
        vec![self.name.to_owned(), self.bytes.to_string(), self.what.to_owned()]
    }
}

impl Row for LeftOut {
    const COLUMNS: &'static [Column] = &[text("LEFT OUT"), text("BECAUSE")];

    fn cells(&self) -> Vec<String> {
        vec![self.name.to_owned(), self.why.clone()]
    }
}
