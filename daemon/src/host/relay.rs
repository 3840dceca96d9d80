//! The other end of what goes out: `lockdown-relay`, by its socket for what needs the network, in a unit of its own for what
//! needs to be somebody on this host.
//!
//! It is not trusted with more than that: every wait has an end, every frame a size, and what it says of a message that it was
//! not given ends the connection.

use std::{io, path::Path, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, timeout},
};

use lockdown_delivery::{
    Item, MAX_IN_FLIGHT, MAX_SECONDS, Outcome, RELAY_PROGRAM, Transport, Verdict,
    frame::{self, FrameError},
};

use super::transient_unit::{TransientUnit, UnitError, last_line};

/// How long the socket may take to let somebody in, and to take a frame.
const CONNECTING: Duration = Duration::from_secs(5);
const WRITING: Duration = Duration::from_secs(30);

/// How long a verdict may take: what the relay promises, and some more for a host that is busy.
pub const VERDICT: Duration = Duration::from_secs(MAX_SECONDS + 30);

/// How long a local delivery may take.
const LOCAL: Duration = Duration::from_secs(MAX_SECONDS + 5);

/// A connection to the relay.
#[derive(Debug)]
pub struct Link {
    frames: mpsc::Sender<Vec<u8>>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Link {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// What comes from the relay.
#[derive(Debug)]
pub enum Answer {
    /// What became of an item.
    Verdict(Verdict),
    /// The connection has ended, and why.
    Ended(String),
}

impl Link {
    /// Connects; what the relay says goes to `answers`, as `map` has it.
    ///
    /// # Errors
    /// Those of connect(2), and that it took too long.
    pub async fn open<T: Send + 'static>(
        socket: &Path,
        answers: mpsc::Sender<T>,
        map: impl Fn(Answer) -> T + Clone + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let connected = timeout(CONNECTING, UnixStream::connect(socket)).await;
        let (reading, writing) =
            connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?.into_split();
        let (frames, queue) = mpsc::channel(MAX_IN_FLIGHT);
        let (from_writer, map_writer) = (answers.clone(), map.clone());
        let write = async move {
            if let Err(error) = write_all(writing, queue).await {
                let _ = from_writer.send(map_writer(Answer::Ended(error.to_string()))).await;
            }
        };
        let read = async move {
            let why = read_all(reading, &answers, &map).await;
            let _ = answers.send(map(Answer::Ended(why))).await;
        };
        Ok(Self { frames, tasks: [tokio::spawn(write), tokio::spawn(read)] })
    }

    /// Sends an item; whether there is room for it, as there is for those without a verdict up to [`MAX_IN_FLIGHT`].
    #[must_use]
    pub fn send(&self, frame: Vec<u8>) -> bool {
        self.frames.try_send(frame).is_ok()
    }
}

async fn write_all(mut writing: OwnedWriteHalf, mut frames: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    while let Some(frame) = frames.recv().await {
        let written = timeout(WRITING, writing.write_all(&frame)).await;
        written.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "it takes nothing in")))?;
    }
    // The link is dropped: its tasks are about to be aborted.
    Ok(())
}

/// Why it ended.
async fn read_all<T>(
    mut reading: OwnedReadHalf,
    answers: &mpsc::Sender<T>,
    map: &impl Fn(Answer) -> T,
) -> String {
    loop {
        match read_verdict(&mut reading).await {
            Ok(Some(verdict)) => {
                if answers.send(map(Answer::Verdict(verdict))).await.is_err() {
                    return String::new();
                }
            }
            Ok(None) => return "it has closed the connection".to_owned(),
            Err(error) => return error.to_string(),
        }
    }
}

/// The next verdict; `None` at the end of the stream. Memory is taken as bytes arrive.
async fn read_verdict(reading: &mut OwnedReadHalf) -> Result<Option<Verdict>, FrameError> {
    let mut header = [0; frame::HEADER];
    if reading.read(&mut header[..1]).await? == 0 {
        return Ok(None);
    }
    reading.read_exact(&mut header[1..]).await?;
    let length = frame::length(header)?;
    let mut json = Vec::new();
    reading.take(length as u64).read_to_end(&mut json).await?;
    if json.len() < length {
        return Err(FrameError::Truncated);
    }
    frame::decode(&json).map(Some)
}

/// Delivers one item by a connection of its own.
pub async fn deliver(socket: &Path, item: &Item) -> Outcome {
    let frame = match frame::encode(item) {
        Ok(frame) => frame,
        Err(error) => return Outcome::refused(error.to_string()),
    };
    let (answers, mut queue) = mpsc::channel(1);
    let link = match Link::open(socket, answers, |answer| answer).await {
        Ok(link) => link,
        Err(error) => return Outcome::retry(unreachable(&error)),
    };
    if !link.send(frame) {
        return Outcome::retry("lockdown-relay takes nothing in");
    }
    match timeout(VERDICT, queue.recv()).await {
        Err(_) => Outcome::retry("lockdown-relay does not answer"),
        Ok(Some(Answer::Verdict(verdict))) if verdict.id == item.id => verdict.outcome,
        Ok(Some(Answer::Verdict(_)) | None) => Outcome::retry("lockdown-relay answers something else"),
        Ok(Some(Answer::Ended(why))) => Outcome::retry(format!("lockdown-relay: {why}")),
    }
}

/// What to say when the socket lets nobody in.
#[must_use]
pub fn unreachable(error: &io::Error) -> String {
    format!("lockdown-relay cannot be reached ({error}): systemctl status lockdown-relay.socket")
}

/// What an item needs beyond the sandbox that all units have, and what it can do without.
fn properties(transport: &Transport) -> &'static [&'static str] {
    match transport {
        // A program of the site's is as free as a hook.
        Transport::Exec { .. } => &["NoNewPrivileges=yes", "PrivateDevices=yes"],
        // sendmail may be setuid or setgid to get at its queue; exim delivers what it has queued by a process that goes on.
        Transport::Sendmail { .. } => &["PrivateDevices=yes", "KillMode=process"],
        // Terminals are devices, consoles and serial lines among them.
        _ => &[
            "NoNewPrivileges=yes",
            "DevicePolicy=closed",
            "DeviceAllow=char-pts w",
            "DeviceAllow=char-tty w",
            "DeviceAllow=char-ttyS w",
            "DeviceAllow=char-ttyAMA w",
            "DeviceAllow=char-ttyUSB w",
            "DeviceAllow=char-hvc w",
        ],
    }
}

/// Delivers an item that needs to be somebody on this host.
pub async fn deliver_locally(item: &Item) -> Outcome {
    let input = match frame::encode(item) {
        Ok(mut frame) => frame.split_off(frame::HEADER),
        Err(error) => return Outcome::refused(error.to_string()),
    };
    let unit = match TransientUnit::new("lockdown-notify", properties(&item.transport)) {
        Ok(unit) => unit,
        Err(error) => return Outcome::retry(error.to_string()),
    };
    let ended = unit.run(Path::new(RELAY_PROGRAM), &["local"], &input, Instant::now() + LOCAL).await;
    match ended {
        Ok(ended) => match frame::decode::<Verdict>(ended.stdout.trim_ascii()) {
            Ok(verdict) if verdict.id == item.id => verdict.outcome,
            _ => Outcome::retry(match last_line(&ended.stderr) {
                Some(line) => format!("{RELAY_PROGRAM}: {line}"),
                None => format!("{RELAY_PROGRAM} ended without a verdict: {}", ended.status),
            }),
        },
        Err(error @ UnitError::TookTooLong) => Outcome::retry(error.to_string()),
        Err(error) => Outcome::retry(format!("{RELAY_PROGRAM}: {error}")),
    }
}
