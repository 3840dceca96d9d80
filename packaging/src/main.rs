//! `lockdown-docs DIRECTORY` writes man pages and completions for a package, laid out as `man/man1`, `man/man5`,
//! `man/man8`, `completions/bash`, `completions/fish` and `completions/zsh`, and the JSON schema of state documents, in
//! `schema`.
//!
//! Pages and completions of `lockdownctl` come from its own command line ([`command_line`]), the settings in
//! lockdown.toml(5) from the configuration's own list ([`settings_page`]), keys of state documents from that of their parser
//! ([`state_page`], [`state_schema`]), the rest is written by hand in `man/`.

mod command_line;
mod messages;
mod roff;
mod settings_page;
mod state_page;
mod state_schema;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

/// Pages written by hand; `@VERSION@` in them is the version of the package.
const LOCKDOWND: &str = include_str!("../man/lockdownd.8");
const LOCKDOWN_RELAY: &str = include_str!("../man/lockdown-relay.8");
const PAM_LOCKDOWN: &str = include_str!("../man/pam_lockdown.8");
const LOCKDOWN_TOML: &str = include_str!("../man/lockdown.toml.5");
const LOCKDOWN_STATE: &str = include_str!("../man/lockdown-state.5");

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    let [directory] = arguments.as_slice() else {
        eprintln!("Usage: lockdown-docs DIRECTORY");
        return ExitCode::from(2);
    };
    match write_all(Path::new(directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lockdown-docs: cannot write to {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}

fn write_all(directory: &Path) -> io::Result<()> {
    command_line::write_pages(&directory.join("man/man1"))?;
    write_page(&directory.join("man/man5"), "lockdown.toml.5", &settings_page::fill(LOCKDOWN_TOML))?;
    write_page(&directory.join("man/man5"), "lockdown-state.5", &state_page::fill(LOCKDOWN_STATE))?;
    write_page(&directory.join("man/man8"), "lockdownd.8", &messages::fill(LOCKDOWND))?;
    write_page(&directory.join("man/man8"), "lockdown-relay.8", LOCKDOWN_RELAY)?;
    write_page(&directory.join("man/man8"), "pam_lockdown.8", PAM_LOCKDOWN)?;
    write_schema(&directory.join("schema"))?;
    command_line::write_completions(&directory.join("completions"))
}

fn write_schema(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join("lockdown-state.schema.json"), state_schema::schema()?)
}

fn write_page(directory: &Path, name: &str, source: &str) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join(name), source.replace("@VERSION@", env!("CARGO_PKG_VERSION")))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn written() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        write_all(directory.path()).unwrap();
        directory
    }

    #[test]
    fn every_subcommand_has_a_page() {
        let directory = written();
        for name in [
            "lockdownctl",
            "lockdownctl-lock",
            "lockdownctl-end-sessions",
            "lockdownctl-lockdown",
            "lockdownctl-restore",
        ] {
            assert!(directory.path().join(format!("man/man1/{name}.1")).exists(), "{name}");
        }
        for completion in ["bash/lockdownctl", "fish/lockdownctl.fish", "zsh/_lockdownctl"] {
            let text = fs::read_to_string(directory.path().join("completions").join(completion)).unwrap();
            for word in ["end-sessions", "no-tokens", "recovery-code"] {
                assert!(text.contains(word), "{completion} {word}");
            }
        }
    }

    /// As the check that Debian's lintian makes. Skipped without man-db, which a build does not need.
    #[test]
    fn man_has_no_complaints() {
        if Command::new("man").arg("--version").output().is_err() {
            return;
        }
        let directory = written();
        for section in ["man1", "man5", "man8"] {
            for page in fs::read_dir(directory.path().join("man").join(section)).unwrap() {
                let page = page.unwrap().path();
                let shown = Command::new("man")
                    .args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"])
                    .arg(&page)
                    .env("LC_ALL", "C.UTF-8")
                    .env("MANWIDTH", "80")
                    .output()
                    .unwrap();
                assert!(shown.status.success(), "{}", page.display());
                assert_eq!(String::from_utf8_lossy(&shown.stderr), "", "{}", page.display());
            }
        }
    }
}
