//! Waiting for a lockdown, and showing how far it is.

use std::{
    io::{IsTerminal, Write, stderr},
    pin::pin,
};

use futures_util::{Stream, StreamExt, stream};
use lockdown_dbus_api::views::Progress;

use super::Context;
use crate::{
    exit::Failure,
    output::{Show, progress::Live},
    terminal::Terminal,
};

/// The lines on standard error, if that is a terminal, or nothing.
pub(super) struct Lines(Option<Live>);

impl Lines {
    pub(super) fn new(several: bool, context: &Context) -> Self {
        let shown = stderr().is_terminal() && !context.quiet;
        Self(shown.then(|| Live::new(several, on_stderr(context))))
    }

    /// Whether there is somebody to show it to.
    pub(super) fn are_seen(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn heard(&mut self, user: &str, progress: &Progress) {
        if let Some(live) = &mut self.0 {
            write(&live.heard(user, progress));
        }
    }

    /// Ends the line that is open.
    pub(super) fn close(&mut self) {
        if let Some(live) = &mut self.0 {
            write(&live.close());
        }
    }
}

fn write(text: &str) {
    // A terminal that is gone cannot be told so, and the lockdown is no less wanted.
    let _ = stderr().write_all(text.as_bytes());
}

/// How text is shown on standard error.
pub(super) fn on_stderr(context: &Context) -> Show {
    Show::on(&stderr(), context.show.now, context.show.zone.clone())
}

/// Waits for the answer, and tells `heed` of the progress meanwhile.
pub(super) async fn follow<T>(
    progress: Option<impl Stream<Item = (String, Progress)>>,
    answer: impl Future<Output = Result<T, Failure>>,
    mut terminal: Option<Terminal>,
    mut heed: impl FnMut(&str, &Progress),
) -> Result<T, Failure> {
    let progress = progress.map_or_else(|| stream::empty().left_stream(), StreamExt::right_stream);
    let mut progress = pin!(progress);
    let follow = async {
        let mut answer = pin!(answer);
        loop {
            tokio::select! {
                biased;
                Some((user, progress)) = progress.next() => heed(&user, &progress),
                answer = &mut answer => return answer,
            }
        }
    };
    match &mut terminal {
        Some(terminal) => {
            let then = "a lockdown that has begun goes on in lockdownd: see `lockdownctl status`";
            terminal.unless_interrupted(then, follow).await
        }
        None => follow.await,
    }
}
