//! `lockdownctl metrics`

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::Context;
use crate::{
    client::Client,
    exit::Failure,
    output::{json, prometheus},
};

/// Print what lockdown counts and measures, for Prometheus
///
/// Prints the text format of Prometheus. Counts begin anew when the daemon is started. With --json, prints an object with the
/// keys of GetMetrics.
///
/// For node_exporter's textfile collector, --textfile writes the text to a file, as a whole: its reader never sees half of it.
/// `systemctl enable --now lockdown-metrics.timer` does that every minute, in /var/lib/prometheus/node-exporter.
#[derive(clap::Args, Debug, PartialEq)]
#[command(after_long_help = "\
Examples:
  lockdownctl metrics
  lockdownctl metrics --textfile /var/lib/prometheus/node-exporter/lockdown.prom")]
pub struct Args {
    /// Write the text to this file instead
    #[arg(long, value_name = "PATH")]
    textfile: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
///
/// The daemon does not say, or the file cannot be written.
pub async fn run(args: &Args, context: &mut Context) -> Result<(), Failure> {
    let metrics = Client::connect().await?.metrics().await?;
    let Some(path) = &args.textfile else {
        return context.answer(|| json::object(&metrics), |_| prometheus::text(&metrics));
    };
    write_whole(path, &prometheus::text(&metrics)).map_err(|error| {
        Failure::Local(format!("{} cannot be written: {error}: check its directory", path.display()))
    })
}

/// Puts a file in the place of the one that is there.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
    // What node_exporter reads ends in `.prom`.
    let temporary = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o644).open(&temporary)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // What is left would be there for ever.
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lockdown.prom");
        for text in ["one\n", "two\n"] {
            write_whole(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::create_dir(directory.path().join("x.prom")).unwrap();
        assert!(write_whole(&directory.path().join("x.prom"), "x").is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "no leftovers");
    }
}
