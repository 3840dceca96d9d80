//! The one table of who may do what. A member that is not in it is denied.

use std::{collections::HashMap, fmt};

use zbus::{Connection, message::Header};
use zbus_polkit::policykit1::{AuthorityProxy, CheckAuthorizationFlags, Subject};

use lockdown_dbus_api::Error;

use super::caller::Caller;

/// A polkit action of `org.lockdown1.policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    View,
    Lock,
    Unlock,
    EndSessions,
    Lockdown,
    LockdownSelf,
    Restore,
    Notify,
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::View => "org.lockdown1.view",
            Self::Lock => "org.lockdown1.lock",
            Self::Unlock => "org.lockdown1.unlock",
            Self::EndSessions => "org.lockdown1.end-sessions",
            Self::Lockdown => "org.lockdown1.lockdown",
            Self::LockdownSelf => "org.lockdown1.lockdown-self",
            Self::Restore => "org.lockdown1.restore",
            Self::Notify => "org.lockdown1.notify",
        })
    }
}

/// Member of the interface → action, and whether everybody may do it to their own account.
const TABLE: &[(&str, Action, bool)] = &[
    ("LockAccount", Action::Lock, false),
    ("UnlockAccount", Action::Unlock, false),
    ("SetExpiry", Action::Lock, false),
    ("SetAccount", Action::Lock, false),
    ("EndSessions", Action::EndSessions, false),
    ("Lockdown", Action::Lockdown, false),
    ("LockdownSelf", Action::LockdownSelf, false),
    ("PreviewLockdown", Action::View, false),
    ("Restore", Action::Restore, false),
    ("GetAccount", Action::View, true),
    ("ListAccounts", Action::View, false),
    ("ListSessions", Action::View, true),
    ("ListAuthenticators", Action::View, true),
    ("LockAuthenticator", Action::Lock, false),
    ("UnlockAuthenticator", Action::Unlock, false),
    ("ListFailures", Action::View, true),
    ("ResetFailures", Action::Unlock, false),
    ("ListEvents", Action::View, true),
    ("VerifyEvents", Action::View, false),
    ("CheckRecords", Action::View, false),
    ("TestNotification", Action::Notify, false),
    ("ListNotifications", Action::View, false),
    ("RetryNotifications", Action::Notify, false),
    ("GetMetrics", Action::View, false),
    ("ListDocuments", Action::View, false),
];

/// Members that are root's alone, whatever polkit would say: who changes configuration can become root by it.
const ROOT_ONLY: &[&str] = &["ApplyState", "ExportState"];

/// What is decided without asking polkit.
#[derive(Debug, PartialEq, Eq)]
enum Rule {
    Allowed,
    Ask(Action),
    RootOnly,
    Denied,
}

fn rule(member: &str, caller_uid: u32, account_uid: Option<u32>) -> Rule {
    if ROOT_ONLY.contains(&member) {
        return if caller_uid == 0 { Rule::Allowed } else { Rule::RootOnly };
    }
    match TABLE.iter().find(|(name, ..)| *name == member) {
        None => Rule::Denied,
        Some(_) if caller_uid == 0 => Rule::Allowed,
        Some((_, _, true)) if account_uid == Some(caller_uid) => Rule::Allowed,
        Some((_, action, _)) => Rule::Ask(*action),
    }
}

/// Lets the call pass or refuses it. `account_uid` is the account it is about; `None` if about several.
///
/// # Errors
/// `NotAuthorized`, with what would help.
pub async fn authorize(
    bus: &Connection,
    header: &Header<'_>,
    caller: &Caller,
    account_uid: Option<u32>,
) -> Result<(), Error> {
    let member = header.member().map(|member| member.as_str()).unwrap_or_default();
    let action = match rule(member, caller.uid, account_uid) {
        Rule::Allowed => return Ok(()),
        Rule::RootOnly => {
            return Err(Error::NotAuthorized(format!("{member} is root's alone: run this as root")));
        }
        Rule::Denied => return Err(Error::NotAuthorized(format!("{member} is not open to anybody"))),
        Rule::Ask(action) => action,
    };
    let refusal = match ask_polkit(bus, header, caller, action).await {
        Ok(Answer::Yes) => return Ok(()),
        Ok(Answer::No) => {
            format!("{} is not allowed to do this ({action}): ask an administrator", caller.name)
        }
        Ok(Answer::NotWithoutPassword) => {
            format!("{action} wants an administrator's password: run this on a terminal, or as root")
        }
        Err(error) => {
            tracing::warn!("polkit cannot be asked about {action}: {error}");
            "polkit does not answer: without it only root may do this".to_owned()
        }
    };
    tracing::info!("{member} refused caller_uid={} caller_pid={:?}: {refusal}", caller.uid, caller.pid);
    Err(Error::NotAuthorized(refusal))
}

enum Answer {
    Yes,
    No,
    NotWithoutPassword,
}

async fn ask_polkit(
    bus: &Connection,
    header: &Header<'_>,
    caller: &Caller,
    action: Action,
) -> zbus::Result<Answer> {
    let subject =
        Subject::new_for_message_header(header).map_err(|error| zbus::Error::Failure(error.to_string()))?;
    let flags = if caller.interactive {
        CheckAuthorizationFlags::ALLOW_USER_INTERACTION
    } else {
        CheckAuthorizationFlags::empty()
    };
    let authority = AuthorityProxy::new(bus).await?;
    let answer =
        authority.check_authorization(&subject, &action.to_string(), &HashMap::new(), flags, "").await?;
    Ok(match (answer.is_authorized, answer.is_challenge) {
        (true, _) => Answer::Yes,
        (false, true) => Answer::NotWithoutPassword,
        (false, false) => Answer::No,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_not_in_the_table_is_denied_even_to_root() {
        assert_eq!(rule("Shutdown", 0, None), Rule::Denied);
        assert_eq!(rule("", 0, None), Rule::Denied);
    }

    #[test]
    fn root_needs_no_polkit() {
        for (member, ..) in TABLE {
            assert_eq!(rule(member, 0, Some(1000)), Rule::Allowed);
        }
    }

    #[test]
    fn configuration_is_roots_alone() {
        for member in ROOT_ONLY {
            assert_eq!(rule(member, 0, None), Rule::Allowed);
            assert_eq!(rule(member, 1000, Some(1000)), Rule::RootOnly);
        }
    }

    #[test]
    fn everybody_sees_their_own_account_and_no_other() {
        assert_eq!(rule("GetAccount", 1000, Some(1000)), Rule::Allowed);
        assert_eq!(rule("GetAccount", 1000, Some(1001)), Rule::Ask(Action::View));
        assert_eq!(rule("ListAuthenticators", 1000, Some(1000)), Rule::Allowed);
        assert_eq!(rule("LockAuthenticator", 1000, Some(1000)), Rule::Ask(Action::Lock));
        assert_eq!(rule("ListSessions", 1000, None), Rule::Ask(Action::View));
        assert_eq!(rule("ListFailures", 1000, Some(1000)), Rule::Allowed);
        assert_eq!(rule("ListFailures", 1000, None), Rule::Ask(Action::View));
        assert_eq!(rule("ResetFailures", 1000, Some(1000)), Rule::Ask(Action::Unlock));
        assert_eq!(rule("UnlockAccount", 1000, Some(1000)), Rule::Ask(Action::Unlock));
    }

    #[test]
    fn a_member_that_changes_something_leaves_an_event_when_it_is_refused() {
        for (member, action, _) in TABLE {
            assert_eq!(super::super::refusals::action(member).is_none(), *action == Action::View, "{member}");
        }
    }

    #[test]
    fn every_member_of_the_interface_has_a_row() {
        let xml = lockdown_dbus_api::INTROSPECTION_XML;
        let members: Vec<&str> =
            xml.split("<method name=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(members.contains(&"LockAccount"));
        for member in members {
            assert_ne!(rule(member, 0, None), Rule::Denied, "{member}");
        }
    }
}
