//! Several other hosts, many at a time.

use std::{process::Stdio, time::Duration};

use futures_util::{StreamExt, stream};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
    signal::unix::{SignalKind, signal},
};

use super::{
    Ending,
    order::{Input, Order},
    report::{self, Answer},
};
use crate::{commands::Context, exit::Failure};

/// Hosts that are worked on at the same time.
const AT_ONCE: usize = 16;
/// How long ssh may take to connect, and how long a host may be silent, in seconds.
const CONNECT: u64 = 10;
const ALIVE_EVERY: u64 = 15;
const ALIVE_COUNT: u64 = 3;
/// Most that is read of what a host prints, in bytes, and of what it prints on stderr.
const MOST: u64 = 64 << 20;
const MOST_ERRORS: u64 = 1 << 20;
/// How long ssh may take to end when it has nothing more to say.
const TO_END: Duration = Duration::from_secs(10);

/// Runs it on all of them, shows what came of each, and sets the exit code of `context`.
///
/// # Errors
///
/// It failed on one or more of them, or was interrupted.
pub async fn run(
    hosts: &[String],
    order: &Order,
    is_detailed: bool,
    context: &mut Context,
) -> Result<(), Failure> {
    let mut answers: Vec<Option<Answer>> = hosts.iter().map(|_| None).collect();
    let mut interruption = Interruption::listen()?;
    let asked = stream::iter(hosts.iter().enumerate());
    let asked = asked.map(|(index, host)| async move { (index, ask(host, order).await) });
    let mut asked = Box::pin(asked.buffer_unordered(AT_ONCE));
    let is_interrupted = loop {
        let next = tokio::select! {
            biased;
            () = interruption.comes() => break true,
            next = asked.next() => next,
        };
        let Some((index, answer)) = next else { break false };
        let mut answer = answer?;
        report::group(&hosts[index], &mut answer, context)?;
        answers[index] = Some(answer);
    };
    // Ends every ssh that still runs.
    drop(asked);
    report::conclude(hosts, &answers, is_detailed, is_interrupted, context)
}

/// Ctrl-C, or a terminal that goes away.
struct Interruption([tokio::signal::unix::Signal; 3]);

impl Interruption {
    fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::Local(format!("cannot handle signals: {error}: try again")))
        };
        Ok(Self([
            listen(SignalKind::interrupt())?,
            listen(SignalKind::hangup())?,
            listen(SignalKind::terminate())?,
        ]))
    }

    async fn comes(&mut self) {
        let [interrupt, hangup, terminate] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// Runs it on one of them. Nobody can be asked for a password, and a host that is dead or dies ends it: ssh_config(5).
async fn ask(host: &str, order: &Order) -> Result<Answer, Failure> {
    let text: &[u8] = match &order.input {
        Input::Text(text) => text,
        Input::Inherited => &[],
    };
    let mut ssh = Command::new("ssh");
    let options = [
        "BatchMode=yes".to_owned(),
        format!("ConnectTimeout={CONNECT}"),
        format!("ServerAliveInterval={ALIVE_EVERY}"),
        format!("ServerAliveCountMax={ALIVE_COUNT}"),
        // A master would keep the pipes of this one open when it ends. One that runs already is used.
        "ControlMaster=no".to_owned(),
        // The banners of all hosts.
        "LogLevel=ERROR".to_owned(),
    ];
    for option in options {
        ssh.arg("-o").arg(option);
    }
    ssh.arg("-T").arg("--").arg(host).args(order.command());
    ssh.stdin(if text.is_empty() { Stdio::null() } else { Stdio::piped() });
    ssh.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // Ctrl-C is for this process, which ends them: else they would look like hosts that failed.
    ssh.process_group(0);
    let mut child = ssh.spawn().map_err(|error| {
        Failure::Host(format!("cannot run ssh: {error}: install an ssh client, or run this on the hosts"))
    })?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let ((stdout, is_cut), (mut stderr, _), ()) =
        tokio::join!(read(stdout, MOST), read(stderr, MOST_ERRORS), send(stdin, text));
    if is_cut {
        stderr.push_str(&format!(
            "lockdownctl: it printed more than {} MiB: the rest is left out\n",
            MOST >> 20
        ));
    }
    let ending = end(&mut child).await;
    Ok(Answer { ending, stdout, stderr })
}

/// What of it nobody reads shows in how the command ends.
async fn send(stdin: Option<ChildStdin>, text: &[u8]) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(text).await;
    }
}

/// Reads to the end; what is too much is left out, and whether that is so comes second.
async fn read(stream: Option<impl AsyncRead + Unpin>, most: u64) -> (String, bool) {
    let (mut bytes, mut left_out) = (Vec::new(), 0);
    if let Some(mut stream) = stream {
        // What was read before an error is all there is.
        let _ = (&mut stream).take(most).read_to_end(&mut bytes).await;
        left_out = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.unwrap_or_default();
    }
    (String::from_utf8_lossy(&bytes).into_owned(), left_out > 0)
}

async fn end(child: &mut Child) -> Ending {
    match tokio::time::timeout(TO_END, child.wait()).await {
        Ok(Ok(status)) => Ending::from(status),
        _ => Ending::Killed,
    }
}
