//! A thread that owns something blocking and runs jobs on it, one after the other.

use std::{fmt, sync::mpsc, thread};

use tokio::sync::oneshot;

use super::StoreError;

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// Handle on the thread; it ends when the last handle is dropped.
pub(super) struct Worker<S> {
    jobs: mpsc::Sender<Job<S>>,
}

impl<S> Clone for Worker<S> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone() }
    }
}

impl<S> fmt::Debug for Worker<S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Worker")
    }
}

impl<S: Send + 'static> Worker<S> {
    pub(super) fn start(name: &str, mut state: S) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel::<Job<S>>();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while let Ok(job) = queue.recv() {
                    job(&mut state);
                }
            })
            .map_err(|error| StoreError::Unusable(format!("no thread for the store: {error}")))?;
        Ok(Self { jobs })
    }

    /// A caller that goes away does not stop its job: what has begun is finished.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut S) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, result) = oneshot::channel();
        let job = move |state: &mut S| {
            let _ = reply.send(job(state));
        };
        self.jobs.send(Box::new(job)).map_err(|_| StoreError::Stopped)?;
        result.await.map_err(|_| StoreError::Stopped)
    }
}
