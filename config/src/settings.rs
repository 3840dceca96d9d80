//! Every setting: its type, its default, what it allows and what it is for, in one place.
//!
//! The explanations are the documentation of the fields here and the comments of `lockdown.toml`, so they are
//! written in the administrator's words and without markup. The last line of each says what the setting allows.

use std::time::Duration;

use crate::destination::{Word, absolute_path, full_mail_address, mail_address, server};
use crate::key::Key;
use crate::notify::Rule;
use crate::value::{Count, Flag, Kind, Names, Networks, OneOf, Period, PeriodOrNever, Text};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What becomes of an account's keys in the authorized_keys of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowKeys {
    /// They are named in the result.
    Report,
    /// They are taken out.
    Quarantine,
}

/// How the connection to the mail server is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// By STARTTLS; a server that does not offer it gets no mail.
    Starttls,
    /// From the first byte on.
    Tls,
    /// Not at all.
    None,
}

settings! {
    {
        /// Who is told of what concerns the security of this host: where rules of the transport "email" send to that do not say
        /// where, see [[notify]] below. Empty: nobody. Without [email] server, the name of a mailbox of this host will do.
        /// Allowed: a mail address, or empty.
        security_email: Option<String> = None => Word { allowed: "a mail address", check: mail_address };
    }

    /// Locks that operators set with lockdownctl lock or over D-Bus.
    lock: Lock {
        /// How long a lock stands if the one who sets it does not say; "never": until it is lifted.
        /// Allowed: a duration from 1s to 3650d in whole seconds, or "never".
        duration: Option<Duration> = Some(HOUR) => PeriodOrNever(Period { min: SECOND, max: DAY * 3650 });

        /// Whether a lock also ends the sessions that the account has open, if the one who sets it does not say.
        /// Allowed: true or false.
        end_sessions: bool = true => Flag;

        /// What a locked user is shown when a login is refused, if the lock has no message of its own. Empty: no
        /// further explanation.
        /// Allowed: text of at most 1024 bytes without control characters except line breaks.
        message: Option<String> = None => Text { max_bytes: 1024 };
    }

    /// Lockdown: the emergency bundle of actions on an account.
    lockdown: Lockdown {
        /// Whether accounts of this host can be locked down. If not, calls for it are refused; accounts that are
        /// locked down already stay so.
        /// Allowed: true or false.
        enabled: bool = true => Flag;

        /// Whether a lockdown deactivates the account: a lock without expiry, and account expiry in shadow(5) for what
        /// does not ask PAM. This and the next three hold if the one who locks down does not say.
        /// Allowed: true or false.
        deactivate: bool = true => Flag;

        /// Whether a lockdown makes the password one that nothing matches.
        /// Allowed: true or false.
        unusable_password: bool = true => Flag;

        /// Whether a lockdown ends what the account runs.
        /// Allowed: true or false.
        end_sessions: bool = true => Flag;

        /// Whether a lockdown takes away what lets someone act as the account without signing in: authorized keys,
        /// tickets of sudo and Kerberos, jobs of cron and at, and what the hooks in /etc/lockdown/revoke.d know of.
        /// Allowed: true or false.
        revoke_tokens: bool = true => Flag;

        /// What becomes of the account's keys in the authorized_keys of others: they are reported, or taken out and
        /// kept for an undo. In root's own files they are only ever reported, unless the next setting says otherwise.
        /// Allowed: one of "report", "quarantine".
        follow_keys: FollowKeys = FollowKeys::Report => OneOf(&[("report", FollowKeys::Report), ("quarantine", FollowKeys::Quarantine)]);

        /// Whether "quarantine" holds for root's own authorized_keys, too.
        /// Allowed: true or false.
        follow_keys_of_root: bool = false => Flag;

        /// How long what a lockdown took away is kept for an undo.
        /// Allowed: a duration from 1m to 365d.
        undo_window: Duration = 7 * DAY => Period { min: MINUTE, max: 365 * DAY };

        /// How long a recovery code can be used.
        /// Allowed: a duration from 1m to 30d.
        recovery_code_lifetime: Duration = DAY => Period { min: MINUTE, max: 30 * DAY };

        /// How long the hooks in /etc/lockdown/revoke.d may take.
        /// Allowed: a duration from 1s to 10m.
        hook_timeout: Duration = 30 * SECOND => Period { min: SECOND, max: 10 * MINUTE };
    }

    /// What users are told who lock their own account down. Without any of it they cannot: they would not know whom to
    /// turn to.
    self_service: SelfService {
        /// What happens next, in words.
        /// Allowed: text of at most 512 bytes without control characters except line breaks.
        message: Option<String> = None => Text { max_bytes: 512 };

        /// Where to read on.
        /// Allowed: text of at most 255 bytes without control characters except line breaks.
        url: Option<String> = None => Text { max_bytes: 255 };

        /// Whom to call.
        /// Allowed: text of at most 64 bytes without control characters except line breaks.
        phone: Option<String> = None => Text { max_bytes: 64 };

        /// Whether the password stays the user's, although it opens nothing any more: it is how they prove who they are, to be
        /// shown this again at a later login. To be restored, they need a new one in any case.
        /// Allowed: true or false.
        keep_password: bool = true => Flag;
    }

    /// Attack protection: who has failed to sign in too often is locked for a while. It counts, and locks, without the
    /// daemon. A lock never ends sessions, and is lifted with lockdownctl unlock or lockdownctl failures --reset.
    attack_protection: AttackProtection {
        /// Whether failed attempts are counted, and lock.
        /// Allowed: true or false.
        enabled: bool = true => Flag;

        /// As many failed attempts on an account lock it for the remote host, or the user of this host, that they came
        /// from. Of an IPv6 address the first 64 bits count.
        /// Allowed: an integer from 1 to 128.
        max_attempts: u32 = 10 => Count { min: 1, max: 128 };

        /// As many failed attempts on an account from remote hosts, whichever they are, lock it for all of them; who sits at
        /// the console, and sudo and su, go on. Not less than max_attempts.
        /// Allowed: an integer from 1 to 128.
        max_attempts_total: u32 = 100 => Count { min: 1, max: 128 };

        /// How long a failed attempt counts. A success from where it came from ends it sooner.
        /// Allowed: a duration from 1s to 365d.
        window: Duration = 15 * MINUTE => Period { min: SECOND, max: 365 * DAY };

        /// How long a lock stands; "never": until it is lifted. Whoever can reach a login can then lock everybody out.
        /// Allowed: a duration from 1s to 3650d in whole seconds, or "never".
        duration: Option<Duration> = Some(HOUR) => PeriodOrNever(Period { min: SECOND, max: 3650 * DAY });

        /// Whether attempts are counted by where they come from. If not, max_attempts of them lock the account wherever one
        /// signs in: anybody can lock anybody out then.
        /// Allowed: true or false.
        per_source: bool = true => Flag;

        /// Whether root is locked, too. A key lets root in all the same.
        /// Allowed: true or false.
        even_deny_root: bool = false => Flag;

        /// PAM services that are not looked at: their attempts do not count, and are not refused.
        /// Allowed: a list of service names, such as ["a", "b"].
        ignore_services: Vec<String> = Vec::new() => Names { of: "service" };

        /// Where attempts do not count and no lock holds. An address proves nothing if others can take it.
        /// Allowed: a list of addresses and networks, such as ["192.0.2.7", "2001:db8::/32"].
        trusted_sources: Vec<String> = Vec::new() => Networks;

        /// A user who signs in is told of the failed attempts before, if this many or fewer more would have locked. 0: never.
        /// Allowed: an integer from 0 to 128.
        warn_attempts_left: u32 = 3 => Count { min: 0, max: 128 };
    }

    /// Accounts that can be neither locked nor locked down. Root, nobody, system accounts and the last account that
    /// can administer the host always belong to them.
    protected: Protected {
        /// Further accounts to protect.
        /// Allowed: a list of user names, such as ["a", "b"].
        users: Vec<String> = Vec::new() => Names { of: "user" };

        /// Groups whose members are to be protected.
        /// Allowed: a list of group names, such as ["a", "b"].
        groups: Vec<String> = Vec::new() => Names { of: "group" };

        /// Groups whose members can administer the host. The last of them who can still log in is protected.
        /// Allowed: a list of group names, such as ["a", "b"].
        admin_groups: Vec<String> = ["sudo", "wheel", "admin"].map(String::from).to_vec() => Names { of: "group" };
    }

    /// The deny records, which the login path reads.
    enforcement: Enforcement {
        /// How often the records are compared with the store, and put right where they differ, and the accounts that have
        /// one with NSS. What passwd(5) says anew is followed at once.
        /// Allowed: a duration from 1m to 1d.
        reconcile_interval: Duration = 5 * MINUTE => Period { min: MINUTE, max: DAY };
    }

    /// The look-up of accounts through NSS: local files, SSSD, LDAP and what else nsswitch.conf(5) names.
    nss: Nss {
        /// How long a look-up may take before it is given up.
        /// Allowed: a duration from 100ms to 1m.
        timeout: Duration = 3 * SECOND => Period { min: Duration::from_millis(100), max: MINUTE };
    }

    /// Ending sessions.
    sessions: Sessions {
        /// How long it may take to end all that runs as an account, before what is left is reported.
        /// Allowed: a duration from 1s to 5m.
        end_timeout: Duration = 10 * SECOND => Period { min: SECOND, max: 5 * MINUTE };
    }

    /// State documents, in /etc/lockdown/state.d: see lockdown-state(5).
    state: StateDocuments {
        /// How often the members of groups that documents name are looked up anew, and so are accounts that were not there
        /// when the documents were applied. What passwd(5) and group(5) say anew is followed at once.
        /// Allowed: a duration from 10s to 1d.
        groups_every: Duration = 5 * MINUTE => Period { min: 10 * SECOND, max: DAY };
    }

    /// The audit trail.
    events: Events {
        /// How long events are kept; "never": until the end of days, they are never removed. What is older leaves the trail once a
        /// day, with a checkpoint that lockdownctl events verify goes on from.
        /// Allowed: a duration from 1d to 3650d in whole seconds, or "never".
        keep: Option<Duration> = Some(365 * DAY) => PeriodOrNever(Period { min: DAY, max: 3650 * DAY });
    }

    /// How mails are sent.
    email: Email {
        /// The mail server to hand mails to; without a port: 587 for "starttls", 465 for "tls", 25 for "none". Empty: mails go
        /// through this host's own sendmail(8).
        /// Allowed: a host name or address, with or without a port, or empty.
        server: Option<String> = None => Word { allowed: "a host name or address, with or without a port", check: server };

        /// How the connection to it is secured: by STARTTLS, without which nothing is sent; from its beginning; not at all.
        /// Allowed: one of "starttls", "tls", "none".
        tls: Tls = Tls::Starttls => OneOf(&[("starttls", Tls::Starttls), ("tls", Tls::Tls), ("none", Tls::None)]);

        /// Who signs in to it. Empty: nobody.
        /// Allowed: text of at most 255 bytes without control characters except line breaks.
        username: Option<String> = None => Text { max_bytes: 255 };

        /// A file with the password; nobody but root may read it.
        /// Allowed: an absolute path, or empty.
        password_file: Option<String> = None => Word { allowed: "an absolute path", check: absolute_path };

        /// Who mails are from. Empty: lockdown at this host.
        /// Allowed: a mail address with a domain, or empty.
        from: Option<String> = None => Word { allowed: "a mail address with a domain", check: full_mail_address };
    }

    /// Word that is to get out and has not yet.
    notifications: Notifications {
        /// How many messages are kept at most, with those that could not be delivered. If there are more, the oldest of the least
        /// severe are dropped, which is an event itself.
        /// Allowed: an integer from 100 to 100000.
        queue_max: u32 = 10_000 => Count { min: 100, max: 100_000 };
    }
}

/// A section of the file, for those who go through all settings.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) doc: &'static [&'static str],
    pub(crate) keys: &'static [Key<Settings>],
}

/// Every key, in the order of the file. Rules have their own, see `notify.rs`.
pub(crate) fn keys() -> impl Iterator<Item = &'static Key<Settings>> {
    TOP.iter().chain(SECTIONS.iter().flat_map(|section| section.keys))
}

/// Makes of the list above the types, their defaults, [`TOP`] and [`SECTIONS`]. Reads
/// `{ key: type = default => kind of value; } section: Type { key: type = default => kind of value; }`.
macro_rules! settings {
    (
        {$( $(#[doc = $top_doc:literal])* $top:ident: $Top:ty = $top_default:expr => $top_kind:expr; )*}
        $(
            $(#[doc = $section_doc:literal])*
            $section:ident: $Section:ident {
                $( $(#[doc = $doc:literal])* $key:ident: $Type:ty = $default:expr => $kind:expr; )*
            }
        )*
    ) => {
        /// The whole configuration.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Settings {
            $( $(#[doc = $top_doc])* pub $top: $Top, )*
            $( $(#[doc = $section_doc])* pub $section: $Section, )*
            /// Who is told of which events, in the order of the files. No two have the same name.
            pub notify: Vec<Rule>,
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $( $top: $top_default, )* $( $section: $Section::default(), )* notify: Vec::new() }
            }
        }

        $(
            $(#[doc = $section_doc])*
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $Section {
                $( $(#[doc = $doc])* pub $key: $Type, )*
            }

            impl Default for $Section {
                fn default() -> Self {
                    Self { $( $key: $default, )* }
                }
            }
        )*

        /// The settings above all sections.
        pub(crate) static TOP: &[Key<Settings>] = &[$(
            Key {
                name: stringify!($top),
                path: stringify!($top),
                doc: &[$($top_doc),*],
                #[cfg(test)]
                allowed: || $top_kind.allowed(),
                set: |settings, given| {
                    settings.$top = $top_kind.read(given)?;
                    Ok(())
                },
                get: |settings| $top_kind.write(&settings.$top),
            },
        )*];

        /// All others, in the order of the file.
        pub(crate) static SECTIONS: &[Section] = &[$(
            Section {
                name: stringify!($section),
                doc: &[$($section_doc),*],
                keys: &[$(
                    Key {
                        name: stringify!($key),
                        path: concat!(stringify!($section), ".", stringify!($key)),
                        doc: &[$($doc),*],
                        #[cfg(test)]
                        allowed: || $kind.allowed(),
                        set: |settings, given| {
                            settings.$section.$key = $kind.read(given)?;
                            Ok(())
                        },
                        get: |settings| $kind.write(&settings.$section.$key),
                    },
                )*],
            },
        )*];
    };
}
use settings;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify;

    #[test]
    fn explanations_end_in_what_is_allowed() {
        let of_settings = keys().map(|key| (key.path, key.doc, key.allowed));
        let of_rules = notify::KEYS.iter().map(|known| (known.key.path, known.key.doc, known.key.allowed));
        for (path, doc, allowed) in of_settings.chain(of_rules) {
            let allowed = format!(" Allowed: {}.", allowed());
            assert_eq!(doc.last().copied(), Some(allowed.as_str()), "{path}");
        }
    }
}
