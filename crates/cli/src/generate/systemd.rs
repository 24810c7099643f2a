//! A unit for systemd.

use std::path::{Path, PathBuf};

use crate::args::GenerateSystemd;
use crate::failure::{CALLED_WRONGLY, Failure};

pub(super) fn unit(args: &GenerateSystemd) -> Result<String, Failure> {
    let binary = match &args.binary {
        Some(binary) => binary.clone(),
        None => std::env::current_exe()
            .map_err(|e| Failure::because("cannot tell where this program is", &e))?,
    };
    let GenerateSystemd { state, open_files, .. } = args;
    let mut command = format!("{} serve --data /var/lib/{state}", word(&binary)?);
    if let Some(config) = &args.config {
        command += &format!(" --config {}", word(config)?);
    }
    Ok(format!(
        "# What is commented out is for you to decide.
[Unit]
Description=chaski message broker
After=network-online.target
Wants=network-online.target

[Service]
Type=exec
ExecStart={command}
Restart=on-failure
RestartSec=1
# A clean stop flushes the log; a broker that was killed checks its tail when it starts again.
KillSignal=SIGTERM
TimeoutStopSec=60

DynamicUser=yes
StateDirectory={state}
StateDirectoryMode=0700
RuntimeDirectory={state}
RuntimeDirectoryMode=0700
Environment=CHASKI_SHM_DIR=/run/{state}
# Environment=CHASKI_LOG=debug

# A connection is a file, a segment two.
LimitNOFILE={open_files}
LimitMEMLOCK=infinity
OOMScoreAdjust=-500

NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
"
    ))
}

/// A path as a word of `ExecStart`.
fn word(path: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| PathBuf::from(path));
    let refused = |why| {
        let what = format!("{} cannot stand in a unit: {why}", path.display());
        Failure::new(what).code(CALLED_WRONGLY)
    };
    let text = absolute.to_str().ok_or_else(|| refused("it is no UTF-8"))?;
    if text.contains(char::is_control) {
        return Err(refused("it holds a control character"));
    }
    // `%` and `$` have a meaning to systemd; the rest is as in C.
    let text = text.replace('%', "%%").replace('$', "$$");
    let plain = !text.contains([' ', '"', '\'', '\\', ';']);
    Ok(if plain {
        text
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word() {
        let word = |path: &str| word(Path::new(path)).unwrap();
        assert_eq!(word("/usr/bin/chaski"), "/usr/bin/chaski");
        assert_eq!(word("/opt/my \"x\"/50%"), "\"/opt/my \\\"x\\\"/50%%\"");
        assert!(super::word(Path::new("/a\nUser=root")).is_err());
    }
}
