//! Entries of the journal, by journalctl(1).

use std::{io, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::Command,
    time::timeout,
};

const JOURNALCTL: &str = "/usr/bin/journalctl";
const LIMIT: Duration = Duration::from_secs(10);
/// Of what journalctl prints.
const MAX_OUTPUT: u64 = 8 << 20;

/// Gives each entry that `arguments` select to `take`, as the JSON of a line, with `fields` and those that every entry has. Returns
/// whether that was all of them: no more than 8 MiB are read.
///
/// # Errors
/// journalctl cannot be run, fails, or takes more than ten seconds.
pub async fn entries(
    fields: &str,
    arguments: impl IntoIterator<Item = String>,
    take: impl FnMut(&[u8]),
) -> io::Result<bool> {
    let read = read(fields, arguments, take);
    timeout(LIMIT, read).await.map_err(|_| io::Error::other("journalctl took too long"))?
}

async fn read(
    fields: &str,
    arguments: impl IntoIterator<Item = String>,
    mut take: impl FnMut(&[u8]),
) -> io::Result<bool> {
    let mut command = Command::new(JOURNALCTL);
    command.args(["--quiet", "--output=json"]).arg(format!("--output-fields={fields}")).args(arguments);
    command.env_clear().env("LC_ALL", "C").kill_on_drop(true);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let stdout = child.stdout.take().ok_or_else(|| io::Error::other("journalctl has no output"))?;
    let mut lines = BufReader::new(stdout.take(MAX_OUTPUT));
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).await? > 0 {
        take(&line);
        line.clear();
    }
    if lines.into_inner().limit() == 0 {
        return Ok(false);
    }
    let status = child.wait().await?;
    if status.success() { Ok(true) } else { Err(io::Error::other(format!("journalctl: {status}"))) }
}
