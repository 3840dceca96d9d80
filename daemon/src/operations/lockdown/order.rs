//! What is asked for, once it has been checked.

use lockdown_config::{SelfService, Settings};
use lockdown_dbus_api::{Error, options};
use lockdown_enforcement::Login;

use crate::{
    bus::caller::Caller,
    domain::{
        account::Account,
        event::Fields,
        lock::Owner,
        lockdown::{Actions, Suspects, Wanted},
    },
    host::processes::{Mark, logging_in, of_account},
};

/// Who gives an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// An operator.
    Operator,
    /// The account's own user.
    User,
    /// A line of pam.d, in the middle of a login.
    LoginPath,
}

/// Processes that a lockdown goes round, though they are the account's.
#[derive(Clone, Debug, Default)]
pub struct Spared {
    /// They and what they descend from.
    pub marks: Vec<Mark>,
    /// They are a login that is about to fail by itself, as with a wrong password; otherwise a terminal, which goes on.
    pub is_failing_login: bool,
}

/// An order to lock accounts down.
#[derive(Clone, Debug)]
pub struct Order {
    /// Who gives it.
    pub caller: Caller,
    /// Who that is.
    pub by: By,
    /// Why.
    pub reason: String,
    /// What the user is told at a login.
    pub message: String,
    /// What is to be done.
    pub wanted: Wanted,
    /// The first account that cannot be locked down is the last that is attempted.
    pub abort: bool,
    /// Also the last administrator.
    pub force: bool,
}

impl Order {
    /// An operator's.
    ///
    /// # Errors
    /// `InvalidArgument`, `NotAuthorized`
    pub fn of_operator(
        settings: &Settings,
        caller: &Caller,
        options: options::Lockdown,
    ) -> Result<Self, Error> {
        let defaults = defaults(settings);
        let actions = Actions {
            deactivate: options.deactivate.unwrap_or(defaults.deactivate),
            unusable_password: options.unusable_password.unwrap_or(defaults.unusable_password),
            end_sessions: options.end_sessions.unwrap_or(defaults.end_sessions),
            revoke_tokens: options.revoke_tokens.unwrap_or(defaults.revoke_tokens),
        };
        let suspects = match options.suspects.as_deref() {
            None | Some("report") => Suspects::Report,
            Some("stop") => Suspects::Stop,
            Some(_) => return Err(invalid("option `suspects` is `report` or `stop`")),
        };
        let abort = match options.on_error.as_deref() {
            None | Some("continue") => false,
            Some("abort") => true,
            Some(_) => return Err(invalid("option `on_error` is `continue` or `abort`")),
        };
        let force = options.force.unwrap_or(false);
        if force && caller.uid != 0 {
            return Err(Error::NotAuthorized("only root may use force: run this as root".to_owned()));
        }
        Ok(Self {
            caller: caller.clone(),
            by: By::Operator,
            reason: given(options.reason)?,
            message: options.message.or_else(|| settings.lock.message.clone()).unwrap_or_default(),
            wanted: Wanted { actions, suspects },
            abort,
            force,
        })
    }

    /// The user's own.
    ///
    /// # Errors
    /// `InvalidArgument`, and `Disabled` without a completion text.
    pub fn of_user(
        settings: &Settings,
        caller: &Caller,
        options: options::LockdownSelf,
    ) -> Result<Self, Error> {
        let message = completion(&settings.self_service).ok_or_else(|| {
            Error::Disabled(
                "self-service is not configured on this host: an administrator has to set [self_service] message, so that \
                 you know whom to turn to afterwards; ask them to lock you down"
                    .to_owned(),
            )
        })?;
        let mut actions = defaults(settings);
        actions.unusable_password &= !settings.self_service.keep_password;
        Ok(Self {
            caller: caller.clone(),
            by: By::User,
            reason: given(options.reason)?,
            message,
            wanted: Wanted { actions, suspects: Suspects::Report },
            abort: false,
            force: false,
        })
    }

    /// The login path's.
    #[must_use]
    pub fn of_login_path(settings: &Settings, login: &Login, reporter: u32) -> Self {
        let caller = Caller {
            name: format!("pam_lockdown ({})", login.service),
            pid: Some(reporter),
            tty: login.tty.clone(),
            remote_host: login.remote_host.clone(),
            ..Caller::default()
        };
        Self {
            caller,
            by: By::LoginPath,
            reason: format!("trigger=lockdown was reached in the PAM service {}", login.service),
            message: settings.lock.message.clone().unwrap_or_default(),
            wanted: Wanted { actions: defaults(settings), suspects: Suspects::Report },
            abort: false,
            force: false,
        }
    }

    /// Owner of its lock.
    #[must_use]
    pub fn owner(&self) -> Owner {
        match self.by {
            By::Operator | By::LoginPath => Owner::Lockdown,
            By::User => Owner::SelfService,
        }
    }

    /// What it goes round in this account: whoever locks others down goes on, and an attempt to log in is not to look cut off.
    /// What the account ran before the attempt (the shell in which somebody gave sudo the password of duress) is none of it.
    #[must_use]
    pub fn spared(&self, account: &Account) -> Spared {
        match self.by {
            By::User => Spared::default(),
            By::Operator => Spared { marks: self.caller.lineage(), is_failing_login: false },
            By::LoginPath => {
                let target = of_account(account.uid, &account.name);
                Spared { marks: logging_in(&target, &self.caller.lineage()), is_failing_login: true }
            }
        }
    }

    /// What was asked for, for the audit trail.
    #[must_use]
    pub fn input(&self) -> Fields {
        let mut input: Fields = self
            .wanted
            .actions
            .named()
            .into_iter()
            .map(|(action, wanted)| (action, wanted.to_string()))
            .collect();
        if self.abort {
            input.insert("on_error", "abort".to_owned());
        }
        if self.force {
            input.insert("force", "true".to_owned());
        }
        if self.wanted.suspects == Suspects::Stop {
            input.insert("suspects", "stop".to_owned());
        }
        input
    }
}

fn defaults(settings: &Settings) -> Actions {
    Actions {
        deactivate: settings.lockdown.deactivate,
        unusable_password: settings.lockdown.unusable_password,
        end_sessions: settings.lockdown.end_sessions,
        revoke_tokens: settings.lockdown.revoke_tokens,
    }
}

fn given(reason: Option<String>) -> Result<String, Error> {
    reason
        .filter(|reason| !reason.trim().is_empty())
        .ok_or_else(|| invalid("a lockdown needs a reason: give option `reason`"))
}

fn invalid(why: &str) -> Error {
    Error::InvalidArgument(why.to_owned())
}

/// What the user is left with: everything of `[self_service]`, a line each.
fn completion(settings: &SelfService) -> Option<String> {
    let lines: Vec<&str> = [&settings.message, &settings.url, &settings.phone]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(options: options::Lockdown) -> Result<Order, Error> {
        let reason = options.reason.clone().or_else(|| Some("stolen laptop".to_owned()));
        Order::of_operator(&Settings::default(), &Caller::default(), options::Lockdown { reason, ..options })
    }

    #[test]
    fn every_action_is_wanted_unless_somebody_says_otherwise() {
        let wanted = order(options::Lockdown::default()).unwrap().wanted.actions;
        assert!(wanted.named().iter().all(|(_, wanted)| *wanted));
        let wanted = order(options::Lockdown { end_sessions: Some(false), ..Default::default() })
            .unwrap()
            .wanted
            .actions;
        assert!(!wanted.end_sessions && wanted.revoke_tokens);
    }

    #[test]
    fn an_empty_reason_is_none() {
        for reason in ["", " \n"] {
            let options = options::Lockdown { reason: Some(reason.into()), ..Default::default() };
            assert!(matches!(order(options), Err(Error::InvalidArgument(_))), "{reason:?}");
        }
        let caller = Caller::default();
        assert!(Order::of_operator(&Settings::default(), &caller, options::Lockdown::default()).is_err());
    }

    #[test]
    fn only_root_forces() {
        let options =
            || options::Lockdown { reason: Some("r".into()), force: Some(true), ..Default::default() };
        let of =
            |uid| Order::of_operator(&Settings::default(), &Caller { uid, ..Caller::default() }, options());
        assert!(of(0).unwrap().force);
        assert!(matches!(of(1002), Err(Error::NotAuthorized(_))));
    }

    #[test]
    fn words_that_are_not_known_are_refused() {
        let on_error = options::Lockdown { on_error: Some("stop".into()), ..Default::default() };
        let suspects = options::Lockdown { suspects: Some("kill".into()), ..Default::default() };
        assert!(matches!(order(on_error), Err(Error::InvalidArgument(_))));
        assert!(matches!(order(suspects), Err(Error::InvalidArgument(_))));
    }

    #[test]
    fn a_trigger_spares_nothing_that_the_account_ran_before() {
        // Everything that this test descends from and that runs as its own user.
        let own = rustix::process::geteuid().as_raw();
        let account = Account::without_nss("alice".into(), own);
        let login = Login {
            account: "alice".into(),
            uid: own,
            service: "sudo".into(),
            pid: std::process::id(),
            ..Login::default()
        };
        let order = Order::of_login_path(&Settings::default(), &login, std::process::id());
        assert!(!order.caller.lineage().is_empty());
        assert_eq!(order.spared(&account).marks, []);
        let operator = Caller { pid: Some(std::process::id()), ..Caller::default() };
        let options = options::Lockdown { reason: Some("r".into()), ..Default::default() };
        let order = Order::of_operator(&Settings::default(), &operator, options).unwrap();
        assert!(!order.spared(&account).marks.is_empty());
    }

    #[test]
    fn self_service_leaves_the_user_with_all_that_is_configured() {
        let mut settings = Settings::default();
        let of = |settings: &Settings| {
            let options = options::LockdownSelf { reason: Some("phished".into()), ..Default::default() };
            Order::of_user(settings, &Caller::default(), options)
        };
        assert!(matches!(of(&settings), Err(Error::Disabled(_))));
        settings.self_service.message = Some("Call the help desk.".into());
        settings.self_service.phone = Some("555-0123".into());
        let order = of(&settings).unwrap();
        assert_eq!(order.message, "Call the help desk.\n555-0123");
        // Otherwise nobody could be shown it again.
        assert!(!order.wanted.actions.unusable_password && order.wanted.actions.deactivate);
        assert_eq!(order.owner(), Owner::SelfService);
    }
}
