//! Reading them from the bus: strictly, so that a mistake in a call is no surprise after it.

use super::{
    AccountFilter, ApplyState, EndSessions, EventFilter, ExportState, FailureFilter, Lock, LockAuthenticator,
    Lockdown, LockdownSelf, MAX_TEXT, MAX_TEXTS, NotificationFilter, ResetFailures, Restore,
    RetryNotifications, SessionFilter, SetAccount, Unlock, UnlockAuthenticator, VerifyEvents,
};
use crate::{
    Dict, Error,
    tags::{self, Tags},
};

/// Takes the keys out of a dictionary one by one, then refuses what is left.
struct Reader {
    dict: Dict,
    known: Vec<&'static str>,
}

impl Reader {
    fn new(dict: Dict) -> Self {
        Self { dict, known: Vec::new() }
    }

    fn take<T>(&mut self, key: &'static str, signature: &str) -> Result<Option<T>, Error>
    where
        T: TryFrom<zbus::OwnedVariant>,
    {
        self.known.push(key);
        let Some(value) = self.dict.remove(key) else { return Ok(None) };
        let found = value.value_signature().to_string();
        T::try_from(value).map(Some).map_err(|_| {
            Error::InvalidArgument(format!("option `{key}` has type `{found}`: give it type `{signature}`"))
        })
    }

    fn text(&mut self, key: &'static str) -> Result<Option<String>, Error> {
        let text: Option<String> = self.take(key, "s")?;
        match text {
            Some(text) if text.len() > MAX_TEXT => Err(Error::InvalidArgument(format!(
                "option `{key}` has {} bytes: at most {MAX_TEXT} are kept",
                text.len()
            ))),
            other => Ok(other),
        }
    }

    fn texts(&mut self, key: &'static str) -> Result<Option<Vec<String>>, Error> {
        let texts: Option<Vec<String>> = self.take(key, "as")?;
        match texts {
            Some(texts) if texts.len() > MAX_TEXTS || texts.iter().any(|text| text.len() > MAX_TEXT) => {
                Err(Error::InvalidArgument(format!(
                    "option `{key}` is too long: at most {MAX_TEXTS} of at most {MAX_TEXT} bytes"
                )))
            }
            other => Ok(other),
        }
    }

    fn tags(&mut self, key: &'static str) -> Result<Option<Tags>, Error> {
        let tags: Option<Tags> = self.take(key, "a{ss}")?;
        match tags.as_ref().map(tags::check) {
            Some(Err(why)) => Err(Error::InvalidArgument(format!("option `{key}`: {why}"))),
            _ => Ok(tags),
        }
    }

    fn finish(self) -> Result<(), Error> {
        // The first in order, so that the same call gives the same error.
        match self.dict.into_keys().min() {
            None => Ok(()),
            Some(key) => Err(Error::InvalidArgument(format!(
                "option `{}` is not known here: known are {}",
                key.chars().take(64).flat_map(char::escape_default).collect::<String>(),
                self.known.join(", ")
            ))),
        }
    }
}

/// Implements `TryFrom<Dict>`: `text` keys are bounded strings, the others are taken as their type is. A field whose key
/// is a word of Rust's has it in brackets.
macro_rules! read_strictly {
    ($name:ident { $($field:ident $([$key:literal])? : $how:ident),* $(,)? }) => {
        impl TryFrom<Dict> for $name {
            type Error = Error;

            fn try_from(dict: Dict) -> Result<Self, Error> {
                let mut reader = Reader::new(dict);
                let options = Self { $($field: read_strictly!(@$how reader (read_strictly!(@key $field $($key)?)))?),* };
                reader.finish()?;
                Ok(options)
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@text $reader:ident $key:expr) => { $reader.text($key) };
    (@boolean $reader:ident $key:expr) => { $reader.take($key, "b") };
    (@seconds $reader:ident $key:expr) => { $reader.take($key, "t") };
    (@number $reader:ident $key:expr) => { $reader.take($key, "u") };
    (@time $reader:ident $key:expr) => { $reader.take($key, "x") };
    (@texts $reader:ident $key:expr) => { $reader.texts($key) };
    (@pairs $reader:ident $key:expr) => { $reader.take($key, "a{ss}") };
    (@tags $reader:ident $key:expr) => { $reader.tags($key) };
}

read_strictly!(Lock {
    reason: text,
    message: text,
    duration: seconds,
    end_sessions: boolean,
    owner: text,
    tags: tags
});
read_strictly!(Unlock { reason: text, owner: text, tags: tags });
read_strictly!(LockAuthenticator {
    reason: text,
    message: text,
    duration: seconds,
    owner: text,
    unenforced: boolean,
    force: boolean,
    tags: tags,
});
read_strictly!(UnlockAuthenticator { reason: text, owner: text, kind["type"]: text, tags: tags });
read_strictly!(AccountFilter { locked: boolean, expired: boolean, deactivated: boolean, system: boolean });
read_strictly!(SessionFilter { user: text });
read_strictly!(EndSessions { session: text, reason: text, tags: tags });
read_strictly!(Lockdown {
    reason: text,
    message: text,
    deactivate: boolean,
    unusable_password: boolean,
    end_sessions: boolean,
    revoke_tokens: boolean,
    on_error: text,
    force: boolean,
    suspects: text,
    tags: tags,
});
read_strictly!(LockdownSelf { reason: text, tags: tags });
read_strictly!(Restore {
    reason: text,
    undo: boolean,
    recovery_code: boolean,
    password: text,
    tokens: boolean,
    tags: tags,
});
read_strictly!(SetAccount {
    email: text,
    phone: text,
    id: text,
    identifiers: pairs,
    metadata: pairs,
    valid_until: time,
    reason: text,
    tags: tags,
});
read_strictly!(ApplyState { check: boolean, documents: pairs, paths: pairs, tags: tags });
read_strictly!(ExportState { document: text });
read_strictly!(FailureFilter { source: text, since: time, limit: number });
read_strictly!(ResetFailures { source: text, reason: text, tags: tags });
read_strictly!(EventFilter {
    user: text,
    action: text,
    actions: texts,
    severity: text,
    owner: text,
    caller: text,
    since: time,
    until: time,
    before: time,
    after: time,
    order: text,
    limit: number,
});
read_strictly!(VerifyEvents { since: time });
read_strictly!(NotificationFilter { dead: boolean, rule: text, limit: number });
read_strictly!(RetryNotifications { ids: texts, tags: tags });
