//! The daemon that documents are given to.

use std::{path::PathBuf, sync::Arc};

use lockdown_config::{Paths, Settings};
use lockdown_dbus_api::{ManagerProxy, options, views::StateApplied};
use lockdownd::{
    core::Core,
    store::{StoreError, accounts, events, locks},
};

use crate::support::Bus;

pub const ALICE: (&str, u32) = ("state-test-alice", 61_981);
pub const BOB: (&str, u32) = ("state-test-bob", 61_982);

pub fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.lock.end_sessions = false;
    settings
}

/// A daemon that knows Alice and Bob, though NSS does not, with its own `state.d`.
pub struct Stage {
    pub bus: Bus,
    pub core: Arc<Core>,
    pub manager: ManagerProxy<'static>,
}

impl Stage {
    pub async fn set() -> Self {
        let bus = Bus::start();
        let root = bus.path().to_owned();
        std::fs::create_dir_all(root.join("etc/lockdown/state.d")).unwrap();
        let core = bus.serve_with(settings(), |core| core.paths = Paths::under(&root)).await;
        for (name, uid) in [ALICE, BOB] {
            let known = core.store.write(move |change| accounts::ensure(change, name, uid, 1).map(drop));
            known.await.unwrap_or_else(|error: StoreError| panic!("{error}"));
        }
        let manager = ManagerProxy::new(&bus.connect().await).await.unwrap();
        Self { bus, core, manager }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.bus.path().join("etc/lockdown/state.d").join(format!("{name}.toml"))
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), format!("version = 1\n{text}")).unwrap();
    }

    pub async fn apply(&self, options: &options::ApplyState) -> StateApplied {
        self.manager.apply_state(options).await.unwrap()
    }

    pub async fn reread(&self) -> StateApplied {
        self.apply(&options::ApplyState::default()).await
    }

    pub async fn give(&self, name: &str, text: &str) -> StateApplied {
        self.apply(&given(name, text)).await
    }

    /// Owners of the locks on an account, by which its deny record is there or not.
    pub async fn owners(&self, (name, uid): (&'static str, u32)) -> Vec<String> {
        let locks = self
            .core
            .store
            .read(move |connection| locks::of_account(connection, name).map_err(StoreError::from));
        let owners: Vec<String> =
            locks.await.unwrap().into_iter().map(|lock| lock.terms.owner.to_string()).collect();
        let record = self.core.directory.read(uid).unwrap();
        assert_eq!(record.map_or(0, |record| record.locks.len()), owners.len());
        owners
    }

    pub async fn events(&self) -> Vec<String> {
        let filter = options::EventFilter::default();
        let listed = self
            .core
            .store
            .read(move |connection| events::list(connection, &filter).map_err(StoreError::from));
        let listed = listed.await.unwrap();
        listed
            .into_iter()
            .map(|event| format!("{} {} {} {}", event.action, event.user, event.owner, event.outcome))
            .collect()
    }
}

pub fn given(name: &str, text: &str) -> options::ApplyState {
    let text = if text.is_empty() { String::new() } else { format!("version = 1\n{text}") };
    options::ApplyState { documents: Some([(name.to_owned(), text)].into()), ..Default::default() }
}

pub fn locked(account: &str) -> String {
    format!("[[account]]\nname = \"{account}\"\nstate = \"locked\"\nreason = \"left\"\n")
}

pub fn whats(result: &StateApplied) -> Vec<String> {
    assert!(result.success, "{result:?}");
    let of = |change: &lockdown_dbus_api::views::StateChange| {
        format!("{} {} {} {}", change.document, change.what, change.account, change.key).trim().to_owned()
    };
    result.changes.iter().map(of).collect()
}
