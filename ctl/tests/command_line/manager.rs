//! A manager that follows a script: the stand-in for the daemon. What the real one does is tested with it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use lockdown_dbus_api::{
    Dict, Error,
    options::{
        AccountFilter, ApplyState, EndSessions, EventFilter, ExportState, FailureFilter, Lock,
        LockAuthenticator, Lockdown, LockdownSelf, NotificationFilter, ResetFailures, Restore,
        RetryNotifications, SessionFilter, SetAccount, Unlock, UnlockAuthenticator, VerifyEvents,
    },
    views::{
        self, Account, Authenticator, Drift, Event, Failure, LockNotice, LockdownPreview, LockdownResult,
        Metrics, Notification, NotificationTest, Progress, Restored, Session, StateApplied, StateDocument,
        Verification,
    },
};
use zbus::{Connection, DBusError, interface, message::Header, names::BusName, object_server::SignalEmitter};

/// When the script plays, Unix seconds: 2026-11-21 12:30 UTC. Far from the clock of the machine that runs the tests, so
/// nothing here depends on relative times.
pub const THEN: i64 = 1_795_264_200;

/// Longer than anything here takes, on a busy machine too.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a lock takes for an account whose name begins with `slow`.
pub const SLOW: Duration = Duration::from_millis(300);

/// What `ListEvents` returns at most.
pub const MOST_EVENTS: u32 = 10_000;

/// What the manager was asked, and what it has to say.
#[derive(Default)]
pub struct Script {
    pub calls: Vec<String>,
    pub events: Vec<Event>,
    pub verification: Verification,
    pub drifts: Vec<Drift>,
    pub notifications: Vec<Notification>,
    pub survivors: Option<Vec<String>>,
    /// `LockdownSelf` sends its completion, but no answer.
    pub mute: bool,
    pub restored: Restored,
    /// What `ApplyState` comes to, and the texts that it got.
    pub applied: StateApplied,
    pub texts: BTreeMap<String, String>,
    pub state_error: String,
    /// The caller may not ask for what others' accounts are.
    pub is_private: bool,
}

pub struct Manager {
    script: Arc<Mutex<Script>>,
    /// Somebody else on the bus, who sends signals that look like the daemon's.
    forger: Connection,
}

impl Manager {
    pub fn new(script: Arc<Mutex<Script>>, forger: Connection) -> Self {
        Self { script, forger }
    }

    fn called(&self, call: String) {
        self.script.lock().unwrap().calls.push(call);
    }

    /// The forger sends to everybody what looks like the daemon's.
    async fn forge_lock(&self) {
        let (path, interface) = (lockdown_dbus_api::OBJECT_PATH, lockdown_dbus_api::INTERFACE);
        let forged = ("FORGED", LockNotice::default());
        let bus = zbus::fdo::DBusProxy::new(&self.forger).await.unwrap();
        // A test that ends the bus may be faster, and whoever is named may be gone.
        for name in bus.list_names().await.unwrap_or_default() {
            let _ = self.forger.emit_signal(Some(name), path, interface, "AccountLocked", &forged).await;
        }
    }

    /// Tells the caller alone how far it is, and so does the forger.
    async fn progress(
        &self,
        header: &Header<'_>,
        emitter: &SignalEmitter<'_>,
        user: &str,
        steps: &[(&str, &str)],
    ) {
        let caller = header.sender().unwrap();
        let emitter = emitter.clone().set_destination(BusName::from(caller));
        let forged = Progress { step: "completion".into(), outcome: "FORGED".into() };
        let (path, interface) = (lockdown_dbus_api::OBJECT_PATH, lockdown_dbus_api::INTERFACE);
        // A test that ends the bus may be faster.
        let _ =
            self.forger.emit_signal(Some(caller), path, interface, "LockdownProgress", &(user, forged)).await;
        for (step, outcome) in steps {
            let progress = Progress { step: (*step).into(), outcome: (*outcome).into() };
            let _ = Self::lockdown_progress(&emitter, user, progress).await;
        }
    }
}

const STEPS: &[(&str, &str)] =
    &[("deactivate", "begun"), ("deactivate", "done"), ("end_sessions", "begun"), ("end_sessions", "done")];

fn locked_down(user: &str) -> LockdownResult {
    match account(user) {
        Ok(account) => LockdownResult {
            user: account.name,
            success: true,
            actions: ["deactivate", "unusable_password", "end_sessions", "revoke_tokens"]
                .map(|action| (action.to_owned(), "done".to_owned()))
                .into(),
            sessions_ended: 2,
            processes_ended: 14,
            ..LockdownResult::default()
        },
        Err(error) => LockdownResult {
            user: user.into(),
            error: Some(error.message()),
            error_name: Some(error.name().to_string()),
            ..LockdownResult::default()
        },
    }
}

/// alice and bob exist, root is protected, eve may not be looked at.
fn account(user: &str) -> Result<Account, Error> {
    // Whoever runs the tests is alice, too.
    let own = format!("uid:{}", rustix::process::geteuid().as_raw());
    let user = if user == own { "alice" } else { user };
    let uid = match user {
        "alice" | "uid:1000" | "email:alice@example.org" => 1000,
        "bob" => 1001,
        "slow" => 1002,
        "uid:1001" => {
            return Err(Error::InvalidArgument(
                "uid 1001 is that of several accounts: name one of bob, rob".into(),
            ));
        }
        "root" => return Err(Error::Protected("root is protected: it cannot be locked".into())),
        "eve" => return Err(Error::NotAuthorized("eve is not yours to look at: ask root".into())),
        other => {
            return Err(Error::NoSuchAccount(format!(
                "there is no account {}: check the name",
                other.escape_debug()
            )));
        }
    };
    let name = if uid == 1000 { "alice" } else { user };
    Ok(Account { name: name.into(), uid, password_usable: true, ..Account::default() })
}

fn session(user: &str, id: &str) -> Session {
    Session { id: id.into(), user: user.into(), service: "sshd".into(), started: THEN, ..Session::default() }
}

const KEY: &str = "ssh:SHA256:n4bQgYhMfWWaLqgxVrQFaOTxsrC4Is0V1sFbDwCgg";

fn authenticator(id: &str) -> Authenticator {
    Authenticator {
        id: id.into(),
        kind: id.split(':').next().unwrap().into(),
        present: true,
        lockable: !id.starts_with("totp"),
        enforced: true,
        added: THEN,
        ..Authenticator::default()
    }
}

fn dictionary(options: &Dict) -> String {
    let mut pairs: Vec<_> = options.iter().map(|(key, value)| format!("{key}={}", **value)).collect();
    pairs.sort();
    pairs.join(" ")
}

#[interface(name = "org.lockdown1.Manager")]
impl Manager {
    async fn lock_account(
        &self,
        user: &str,
        options: Dict,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<Account, Error> {
        self.called(format!("LockAccount {user} {}", dictionary(&options)));
        let options = Lock::try_from(options)?;
        if user.starts_with("slow") {
            tokio::time::sleep(SLOW).await;
        }
        let mut account = account(user)?;
        account.locked = true;
        account.locked_until = Some(if options.duration == Some(0) { 0 } else { THEN });
        account.sessions_ended = Some(1);
        account.processes_ended = Some(3);
        account.survivors = self.script.lock().unwrap().survivors.clone();
        self.forge_lock().await;
        emitter
            .account_locked(user, LockNotice { id: 1, ..LockNotice::default() })
            .await
            .map_err(Error::from)?;
        Ok(account)
    }

    async fn unlock_account(&self, user: &str, options: Dict) -> Result<Account, Error> {
        self.called(format!("UnlockAccount {user} {}", dictionary(&options)));
        Unlock::try_from(options)?;
        if user == "bob" {
            return Err(Error::NotLocked("bob has no lock that this lifts; locked by lockdown".into()));
        }
        account(user)
    }

    async fn lockdown(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        users: Vec<String>,
        options: Dict,
    ) -> Result<Vec<LockdownResult>, Error> {
        self.called(format!("Lockdown {} {}", users.join(","), dictionary(&options)));
        Lockdown::try_from(options)?;
        for user in users.iter().filter(|user| account(user).is_ok()) {
            self.progress(&header, &emitter, user, STEPS).await;
        }
        if users.iter().any(|user| user == "slow") {
            tokio::time::sleep(PATIENCE).await;
        }
        Ok(users.iter().map(|user| locked_down(user)).collect())
    }

    async fn lockdown_self(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        options: Dict,
    ) -> Result<LockdownResult, Error> {
        self.called(format!("LockdownSelf {}", dictionary(&options)));
        let completion = match LockdownSelf::try_from(options)?.reason.as_deref() {
            Some("disabled") => {
                return Err(Error::Disabled("[self_service] is not configured: ask an administrator".into()));
            }
            Some("silent") => &[][..],
            _ => &[("completion", "Call 555-0100.\nNot \u{1b}[2J.")],
        };
        self.progress(&header, &emitter, "alice", completion).await;
        if self.script.lock().unwrap().mute {
            tokio::time::sleep(PATIENCE).await;
        }
        Ok(locked_down("alice"))
    }

    async fn preview_lockdown(&self, users: Vec<String>) -> Result<Vec<LockdownPreview>, Error> {
        self.called(format!("PreviewLockdown {}", users.join(",")));
        let preview = |user: &String| match account(user) {
            Ok(account) => LockdownPreview {
                user: account.name,
                keys: 3,
                sessions: 2,
                processes: 14,
                locked_down: user == "bob",
                ..LockdownPreview::default()
            },
            Err(error) => LockdownPreview {
                user: user.clone(),
                error: Some(error.message()),
                error_name: Some(error.name().to_string()),
                ..LockdownPreview::default()
            },
        };
        Ok(users.iter().map(preview).collect())
    }

    async fn restore(&self, user: &str, options: Dict) -> Result<Restored, Error> {
        self.called(format!("Restore {user} {}", dictionary(&options)));
        let options = Restore::try_from(options)?;
        let account = account(user)?;
        let code = options.recovery_code.map(|_| "K7Q2-M9XD-4TRW".to_owned());
        Ok(Restored {
            user: account.name,
            recovery_code_expires: code.as_ref().map(|_| THEN),
            recovery_code: code,
            ..self.script.lock().unwrap().restored.clone()
        })
    }

    async fn get_account(&self, user: &str) -> Result<Account, Error> {
        self.called(format!("GetAccount {user}"));
        let mut account = account(user)?;
        if user == "bob" {
            account.locks.push(views::Lock { owner: "lockdown".into(), ..views::Lock::default() });
        }
        Ok(account)
    }

    async fn list_accounts(&self, filter: Dict) -> Result<Vec<Account>, Error> {
        self.called(format!("ListAccounts {}", dictionary(&filter)));
        let filter = AccountFilter::try_from(filter)?;
        let alice = Account { locked: true, locked_until: Some(0), ..account("alice")? };
        Ok(if filter.locked == Some(true) { vec![alice] } else { vec![alice, account("bob")?] })
    }

    async fn set_account(&self, user: &str, options: Dict) -> Result<Account, Error> {
        self.called(format!("SetAccount {user} {}", dictionary(&options)));
        let options = SetAccount::try_from(options)?;
        let account = account(user)?;
        if options.email.as_deref() == Some("bob@example.org") {
            return Err(Error::IdentifierTaken(
                "email bob@example.org is that of bob: take it from him".into(),
            ));
        }
        Ok(Account {
            email: options.email.unwrap_or_default(),
            phone: options.phone.unwrap_or_default(),
            external_id: options.id.unwrap_or_default(),
            identifiers: options.identifiers.into_iter().flatten().collect(),
            metadata: options.metadata.into_iter().flatten().collect(),
            valid_until: options.valid_until.unwrap_or_default(),
            passkeys: Some(1),
            totp_enabled: Some(true),
            backup_codes: Some(4),
            ..account
        })
    }

    async fn list_sessions(&self, filter: Dict) -> Result<Vec<Session>, Error> {
        self.called(format!("ListSessions {}", dictionary(&filter)));
        SessionFilter::try_from(filter).map(|_| vec![session("alice", "c2")])
    }

    async fn end_sessions(&self, user: &str, options: Dict) -> Result<Vec<Session>, Error> {
        self.called(format!("EndSessions {user} {}", dictionary(&options)));
        match EndSessions::try_from(options)?.session.as_deref() {
            None | Some("c2") => Ok(vec![Session { ended: Some(true), ..session(user, "c2") }]),
            Some("stuck") => Ok(vec![Session { ended: Some(false), ..session(user, "stuck") }]),
            Some(_) => Err(Error::NoSuchSession("there is no such session: see lockdownctl sessions".into())),
        }
    }

    async fn list_authenticators(&self, user: &str) -> Result<Vec<Authenticator>, Error> {
        self.called(format!("ListAuthenticators {user}"));
        account(user)?;
        Ok(vec![authenticator("password"), authenticator(KEY), authenticator("totp:oath")])
    }

    async fn lock_authenticator(&self, user: &str, id: &str, options: Dict) -> Result<Authenticator, Error> {
        self.called(format!("LockAuthenticator {user} {id} {}", dictionary(&options)));
        let options = LockAuthenticator::try_from(options)?;
        account(user)?;
        match id {
            "totp:oath" => Err(Error::NotLockable("totp:oath cannot be locked: lock another".into())),
            "face:9" => Err(Error::NoSuchAuthenticator("alice has no authenticator face:9".into())),
            "password" if user == "bob" && options.force.is_none() => {
                Err(Error::LastAuthenticator("password is the last authenticator of bob".into()))
            }
            id => Ok(Authenticator {
                locked: true,
                locked_until: Some(0),
                sessions_ended: Some(1),
                survivors: self.script.lock().unwrap().survivors.clone(),
                ..authenticator(id)
            }),
        }
    }

    async fn unlock_authenticator(
        &self,
        user: &str,
        id: &str,
        options: Dict,
    ) -> Result<Authenticator, Error> {
        self.called(format!("UnlockAuthenticator {user} {id:?} {}", dictionary(&options)));
        let kind = UnlockAuthenticator::try_from(options)?.kind;
        let unlocked = Some(vec![if id.is_empty() { KEY } else { id }.to_owned()]);
        let view = Authenticator { unlocked, ..authenticator(id) };
        Ok(Authenticator { kind: kind.unwrap_or(view.kind), ..view })
    }

    async fn list_failures(&self, user: &str, filter: Dict) -> Result<Vec<Failure>, Error> {
        self.called(format!("ListFailures {user:?} {}", dictionary(&filter)));
        FailureFilter::try_from(filter)?;
        let failure = Failure {
            user: "alice".into(),
            number: 1,
            time: THEN,
            service: "sshd".into(),
            source: "192.0.2.7".into(),
            counted: true,
            ..Failure::default()
        };
        match user {
            "bob" => Ok(Vec::new()),
            "" => Ok(vec![failure]),
            user => account(user).map(|_| vec![failure]),
        }
    }

    async fn reset_failures(&self, user: &str, options: Dict) -> Result<Account, Error> {
        self.called(format!("ResetFailures {user} {}", dictionary(&options)));
        ResetFailures::try_from(options)?;
        account(user)
    }

    async fn list_events(&self, filter: Dict) -> Result<Vec<Event>, Error> {
        self.called(format!("ListEvents {}", dictionary(&filter)));
        let filter = EventFilter::try_from(filter)?;
        let events = self.script.lock().unwrap().events.clone();
        let mut events: Vec<_> =
            events.into_iter().filter(|event| event.id > filter.after.unwrap_or(0)).collect();
        let limit = filter.limit.unwrap_or(MOST_EVENTS).min(MOST_EVENTS) as usize;
        if filter.order.as_deref() == Some("oldest") {
            events.truncate(limit);
        } else {
            events.drain(..events.len().saturating_sub(limit));
        }
        Ok(events)
    }

    async fn verify_events(&self, options: Dict) -> Result<Verification, Error> {
        self.called(format!("VerifyEvents {}", dictionary(&options)));
        VerifyEvents::try_from(options)?;
        Ok(self.script.lock().unwrap().verification.clone())
    }

    async fn check_records(&self) -> Result<Vec<Drift>, Error> {
        self.called("CheckRecords".into());
        Ok(self.script.lock().unwrap().drifts.clone())
    }

    async fn test_notification(&self, rule: &str) -> Result<Vec<NotificationTest>, Error> {
        self.called(format!("TestNotification {rule:?}"));
        if rule == "ghost" {
            return Err(Error::InvalidArgument("no rule is called ghost: there are on-call, audit".into()));
        }
        let result = |rule: &str, error: Option<&str>| NotificationTest {
            rule: rule.into(),
            transport: "webhook".into(),
            success: error.is_none(),
            error: error.map(str::to_owned),
        };
        let all = [result("on-call", None), result("audit", Some("hooks.example.org: 404"))];
        Ok(all.into_iter().filter(|one| rule.is_empty() || one.rule == rule).collect())
    }

    async fn list_notifications(&self, filter: Dict) -> Result<Vec<Notification>, Error> {
        self.called(format!("ListNotifications {}", dictionary(&filter)));
        NotificationFilter::try_from(filter)?;
        Ok(self.script.lock().unwrap().notifications.clone())
    }

    async fn retry_notifications(&self, options: Dict) -> Result<u32, Error> {
        self.called(format!("RetryNotifications {}", dictionary(&options)));
        let ids = RetryNotifications::try_from(options)?.ids;
        Ok(ids.map_or(3, |ids| ids.iter().filter(|id| *id != "msg_ghost").count() as u32))
    }

    async fn apply_state(&self, options: Dict) -> Result<StateApplied, Error> {
        let options = ApplyState::try_from(options)?;
        let names = |map: &Option<BTreeMap<String, String>>| {
            map.as_ref().map(|map| map.keys().cloned().collect::<Vec<_>>().join(","))
        };
        let mut script = self.script.lock().unwrap();
        script.calls.push(format!(
            "ApplyState check={:?} documents={:?} tags={:?}",
            options.check,
            names(&options.documents),
            names(&options.tags)
        ));
        script.texts = options.documents.unwrap_or_default();
        if script.texts.contains_key("taken") {
            return Err(Error::InvalidArgument("the document taken comes from state.d".into()));
        }
        Ok(script.applied.clone())
    }

    async fn export_state(&self, options: Dict) -> Result<String, Error> {
        self.called(format!("ExportState {}", dictionary(&options)));
        match ExportState::try_from(options)?.document.as_deref() {
            Some("ghost") => Err(Error::InvalidArgument("no document is called ghost".into())),
            _ => Ok("version = 1\n\n[[account]]\nname = \"alice\"\nstate = \"locked\"\n".into()),
        }
    }

    async fn list_documents(&self) -> Result<Vec<StateDocument>, Error> {
        // Part of several subcommands: not among the calls.
        if self.script.lock().unwrap().is_private {
            return Err(Error::NotAuthorized("this is not yours to look at: ask root".into()));
        }
        let document = StateDocument {
            name: "web".into(),
            origin: "directory".into(),
            path: "/etc/lockdown/state.d/web.toml".into(),
            sha256: "ab".repeat(32),
            applied_at: THEN,
            locks: 1,
            pending: 0,
        };
        Ok(vec![document])
    }

    async fn get_metrics(&self) -> Result<Metrics, Error> {
        // Part of several subcommands: not among the calls.
        let dead = self.script.lock().unwrap().notifications.len() as u32;
        let outbox = [("queued".into(), 0), ("sending".into(), 0), ("dead".into(), dead)].into();
        Ok(Metrics { started: THEN, locked_accounts: 1, outbox, ..Metrics::default() })
    }

    #[zbus(signal)]
    async fn account_locked(emitter: &SignalEmitter<'_>, user: &str, lock: LockNotice) -> zbus::Result<()>;

    #[zbus(signal)]
    async fn lockdown_progress(
        emitter: &SignalEmitter<'_>,
        user: &str,
        progress: Progress,
    ) -> zbus::Result<()>;

    #[zbus(property)]
    async fn version(&self) -> String {
        "0.1.0".into()
    }

    #[zbus(property)]
    async fn lockdown_enabled(&self) -> bool {
        true
    }

    #[zbus(property)]
    async fn state_error(&self) -> String {
        self.script.lock().unwrap().state_error.clone()
    }

    #[zbus(property)]
    async fn locked_accounts(&self) -> u32 {
        1
    }
}
