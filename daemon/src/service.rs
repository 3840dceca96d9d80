//! Builds the parts, runs them, ends them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
    time::MissedTickBehavior,
};
use zbus::{Connection, fdo::RequestNameFlags};

use lockdown_config::{Paths, Settings};
use lockdown_dbus_api::{BUS_NAME, OBJECT_PATH};
use lockdown_enforcement::{
    ATTACK_PROTECTION, DENY_DIRECTORY, DenyDirectory, TALLY_DIRECTORY, TallyDirectory,
};

use crate::{
    announcement::Announcement,
    bus::{manager::Manager, signals},
    core::Core,
    domain::event::{Action, Event, Outcome},
    host::{
        cgroup,
        clock::{self, Alarm},
    },
    login_socket,
    operations::{
        attempts, configure, join, lockdown, notify, reconcile, settle, standing_watch, state, trail,
    },
    store::{Store, StoreError},
};

const DATABASE: &str = "/var/lib/lockdown/lockdown.db";

/// Why the daemon stopped or did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The configuration is wrong; nothing was started.
    #[error("{0}")]
    Config(#[from] lockdown_config::Error),
    /// The store cannot be used.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The system bus is not there, or went away.
    #[error("the system bus: {0}")]
    Bus(#[from] zbus::Error),
    /// The host said no.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl ServiceError {
    /// Starting again would end the same way until somebody does something about it.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::Config(_) | Self::Store(StoreError::Unusable(_)))
    }
}

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// [`ServiceError`]
pub async fn run() -> Result<(), ServiceError> {
    let loaded = Settings::load(&Paths::default())?;
    let directory = DenyDirectory::new(DENY_DIRECTORY);
    let store = Store::open(&PathBuf::from(DATABASE), directory.clone())?;
    cgroup::thaw_all();
    let leftovers = directory.remove_temporaries()?;
    if leftovers > 0 {
        tracing::info!("{leftovers} deny records that were being written when lockdownd ended were removed");
    }
    let bus = Connection::system().await?;
    let tallies = TallyDirectory::new(TALLY_DIRECTORY);
    // Neither keeps a lock from holding: what cannot be counted is loud, and the settings that were written before hold.
    if let Err(error) = attempts::policy::make_directory(tallies.path()) {
        tracing::error!("{TALLY_DIRECTORY}: {error}: failed attempts are not counted");
    }
    if let Err(error) = protect_from_attacks(&loaded.settings) {
        tracing::error!("{error}");
    }
    let (core, queue) = Core::new(store, directory, tallies, bus.clone(), loaded.settings.clone())?;
    let core = Arc::new(core);
    trail::tell_head(&core).await?;
    configure::note(&core, &loaded, None).await?;
    reconcile::reconcile(&core).await?;
    state::follow::start(&core).await?;

    let mut tasks = start(&core, queue).await?;
    // Whoever finds the name finds everything behind it.
    bus.request_name_with_flags(BUS_NAME, RequestNameFlags::DO_NOT_QUEUE).await?;
    tell_systemd(&[NotifyState::Ready]);
    tracing::info!("lockdownd {} is ready", env!("CARGO_PKG_VERSION"));

    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            _ = hangup.recv() => reload(&core).await,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            ended = tasks.join_next() => {
                return match ended {
                    Some(Ok(Err(error))) => Err(error),
                    _ => Err(ServiceError::Bus(zbus::Error::Failure("the connection was closed".to_owned()))),
                };
            }
        }
    }
    tell_systemd(&[NotifyState::Stopping]);
    if let Err(error) = trail::tell_head(&core).await {
        tracing::warn!("the journal cannot be told where the audit trail ends: {error}");
    }
    if let Err(error) = core.store.checkpoint().await {
        tracing::warn!("the write-ahead log of the database stays: {error}");
    }
    Ok(())
}

async fn start(
    core: &Arc<Core>,
    queue: mpsc::UnboundedReceiver<Announcement>,
) -> Result<JoinSet<Result<(), ServiceError>>, ServiceError> {
    core.bus.object_server().at(OBJECT_PATH, Manager::new(Arc::clone(core))).await?;
    let socket = login_socket::socket()?;
    let (alarm, dispatch_alarm) = (Alarm::new()?, Alarm::new()?);
    let mut tasks = JoinSet::new();
    let bus = core.bus.clone();
    tasks.spawn(async move {
        signals::send_all(bus, queue).await;
        Ok(())
    });
    let parts = Arc::clone(core);
    tasks.spawn(async move { Ok(login_socket::serve(parts, socket).await?) });
    let parts = Arc::clone(core);
    tasks.spawn(async move { Ok(join::follow_logind(parts).await?) });
    let parts = Arc::clone(core);
    tasks.spawn(async move {
        settle::settle_forever(&parts, alarm).await;
        Ok(())
    });
    let parts = Arc::clone(core);
    tasks.spawn(async move { Ok(standing_watch::follow_systemd(parts).await?) });
    let parts = Arc::clone(core);
    tasks.spawn(async move {
        attempts::follow(parts).await;
        Ok(())
    });
    let parts = Arc::clone(core);
    tasks.spawn(async move { reconcile_forever(&parts).await });
    let parts = Arc::clone(core);
    tasks.spawn(async move {
        reconcile::follow_account_files(&parts).await;
        Ok(())
    });
    let parts = Arc::clone(core);
    tasks.spawn(async move {
        state::follow::follow(&parts).await;
        Ok(())
    });
    let parts = Arc::clone(core);
    tasks.spawn(async move {
        trail::tend(&parts).await;
        Ok(())
    });
    let parts = Arc::clone(core);
    tasks.spawn(async move {
        notify::dispatch::dispatch_forever(parts, dispatch_alarm).await;
        Ok(())
    });
    lockdown::finish::take_up(core).await?;
    Ok(tasks)
}

async fn reconcile_forever(core: &Core) -> Result<(), ServiceError> {
    loop {
        fold_attempts(core).await;
        let mut pause = tokio::time::interval(core.settings().enforcement.reconcile_interval);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is at once.
        pause.tick().await;
        pause.tick().await;
        if let Err(error) = reconcile::reconcile(core).await {
            tracing::error!("the deny records cannot be compared with the store: {error}");
        }
    }
}

async fn fold_attempts(core: &Core) {
    if let Err(error) = attempts::fold_all(core).await {
        tracing::error!("failed attempts cannot be compared with the store: {error}");
    }
}

/// Takes the configuration of the files, or keeps the running one and says why.
async fn reload(core: &Arc<Core>) {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell_systemd(&[NotifyState::Reloading, now]);
    }
    let recorded: Result<(), StoreError> = match Settings::load(&Paths::default()) {
        Ok(loaded) => {
            let outcome = match protect_from_attacks(&loaded.settings) {
                Ok(()) => Outcome::Success,
                Err(error) => {
                    tracing::error!("{error}");
                    Outcome::Failed(error)
                }
            };
            core.configure(loaded.settings.clone());
            let recorded = configure::note(core, &loaded, Some(outcome)).await;
            // Locks of attack protection come and go with it.
            let core = Arc::clone(core);
            let attempts = Arc::clone(&core);
            tokio::spawn(async move { fold_attempts(&attempts).await });
            state::follow::apply_directory(&core).await;
            recorded
        }
        Err(error) => {
            tracing::error!("the configuration stays as it was: {error}");
            let mut event = Event::new(clock::now(), Action::ConfigReload, "");
            event.outcome = Outcome::Failed(error.to_string());
            core.store.write(move |change| change.record(event)).await
        }
    };
    if let Err(error) = recorded {
        tracing::error!("the reload could not be recorded: {error}");
    }
    tell_systemd(&[NotifyState::Ready]);
}

/// Writes the settings of attack protection down for the login path.
fn protect_from_attacks(settings: &Settings) -> Result<(), String> {
    attempts::policy::write(&settings.attack_protection, Path::new(ATTACK_PROTECTION)).map_err(|error| {
        format!("{ATTACK_PROTECTION}: {error}: attack protection goes on as it was set before")
    })
}

fn tell_systemd(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("systemd could not be told: {error}");
    }
}

/// How long the runtime waits at the end for blocking calls that hang (NSS).
pub const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(1);
