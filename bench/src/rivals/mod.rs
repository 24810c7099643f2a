//! Who takes part: the product, the rivals, and the bare programs that show the limit.

pub mod bare;
pub mod disk;
pub mod kafka;
pub mod librdkafka;
pub mod machines;
pub mod nats;
pub mod processes;
pub mod redis;
pub mod threads;

/// The lock file of this workspace, which says what was built in.
const LOCK_FILE: &str = include_str!("../../Cargo.lock");

/// Each of these packages with its version.
pub fn versions(packages: &[&str]) -> Vec<(String, String)> {
    let version = |package: &str| {
        let entry = format!("name = \"{package}\"\nversion = \"");
        let (_, rest) = LOCK_FILE.split_once(&entry)?;
        rest.split_once('"').map(|(version, _)| version.to_owned())
    };
    let unknown = || "unknown".to_owned();
    let entry = |package: &&str| ((*package).to_owned(), version(package).unwrap_or_else(unknown));
    packages.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_tells_every_version() {
        let packages = [&threads::PACKAGES[..], &processes::PACKAGES, &machines::PACKAGES].concat();
        for (package, version) in versions(&packages) {
            assert!(version.starts_with(|c: char| c.is_ascii_digit()), "{package}: {version}");
        }
    }
}
