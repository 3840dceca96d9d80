//! Events in the kernel's audit log, for hosts that collect that: what audit(8)'s own tools search by account and result.
//!
//! The kernel adds who wrote it: this daemon. Who asked is in the message. A kernel without audit, or one that does not take
//! messages here (in a container), is left alone.

use std::os::fd::OwnedFd;

use rustix::{
    io::Errno,
    net::{
        AddressFamily, SendFlags, SocketFlags, SocketType, netlink, netlink::SocketAddrNetlink, sendto,
        socket_with,
    },
};

use crate::domain::{
    event::{Action, Event, Outcome},
    lock::Owner,
};

/// `AUDIT_USER_MGMT` of audit-records.h: something about a user's account was changed.
const USER_MGMT: u16 = 1102;
/// `AUDIT_ANOM_LOGIN_FAILURES`: failed logins have reached their limit.
const ANOM_LOGIN_FAILURES: u16 = 2100;
/// `NLM_F_REQUEST` of netlink(7). An answer is not asked for: nobody would wait for it.
const REQUEST: u16 = 1;
/// `struct nlmsghdr`.
const HEADER: usize = 16;
/// Of one value in a message, which has to be well below `MAX_AUDIT_MESSAGE_LENGTH` as a whole.
const LONGEST: usize = 256;

/// The kernel's audit log.
#[derive(Debug)]
pub struct Log {
    socket: OwnedFd,
}

impl Log {
    /// `None` on a host without.
    #[must_use]
    pub fn open() -> Option<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::AUDIT)).ok()?;
        Some(Self { socket })
    }

    /// Writes an event, if it is of a kind that belongs there.
    pub fn event(&self, event: &Event) {
        let Some(kind) = kind(event) else { return };
        let packet = packet(kind, &message(event));
        match sendto(&self.socket, &packet, SendFlags::empty(), &SocketAddrNetlink::new(0, 0)) {
            // What the kernel has no audit for, it refuses; what it has no room for now is in the journal.
            Ok(_) | Err(Errno::CONNREFUSED | Errno::PERM | Errno::AGAIN | Errno::NOBUFS) => {}
            Err(error) => tracing::warn!("the kernel's audit log does not take an event: {error}"),
        }
    }
}

/// Sessions and denied logins are not among them: PAM and sshd write those.
fn kind(event: &Event) -> Option<u16> {
    let by_attack_protection = event.owner == Owner::AttackProtection.to_string();
    match event.action {
        Action::Lock | Action::LockAuthenticator if by_attack_protection => Some(ANOM_LOGIN_FAILURES),
        Action::Lock
        | Action::Unlock
        | Action::LockAuthenticator
        | Action::UnlockAuthenticator
        | Action::LockExpired
        | Action::SetExpiry
        | Action::SetAccount
        | Action::AccountExpired
        | Action::Lockdown
        | Action::LockdownFinished
        | Action::Restore
        | Action::ResetFailures
        | Action::RecoveryUsed
        | Action::RecoveryExpired => Some(USER_MGMT),
        _ => None,
    }
}

/// As libaudit writes it (audit_log_acct_message(3)), with the caller's login uid as `sauid`.
fn message(event: &Event) -> String {
    let caller = |key: &str| event.caller.get(key).map_or("?", String::as_str);
    let result = if event.outcome == Outcome::Success { "success" } else { "failed" };
    let mut message =
        format!("op={} acct={}", value(event.action.name(), false), value(&event.account, true));
    for (key, text) in [("id", event.target.as_str()), ("sauid", caller("loginuid"))] {
        if !text.is_empty() && text != "?" {
            message.push_str(&format!(" {key}={}", value(text, false)));
        }
    }
    message.push_str(&format!(
        " exe={} hostname={} addr=? terminal={} res={result}",
        value(event.caller.get("executable").map_or("/usr/sbin/lockdownd", String::as_str), true),
        value(caller("remote_host"), false),
        value(caller("tty"), false),
    ));
    message
}

/// Text in the audit log's own way: in hexadecimal if it has anything else than printable characters without space and quote.
fn value(text: &str, quoted: bool) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text[..end];
    if text.bytes().any(|byte| !byte.is_ascii_graphic() || byte == b'"') || text.is_empty() {
        return text.bytes().map(|byte| format!("{byte:02X}")).collect();
    }
    if quoted { format!("\"{text}\"") } else { text.to_owned() }
}

/// A message of netlink(7), with the zero at the end that the kernel expects.
fn packet(kind: u16, message: &str) -> Vec<u8> {
    let length = HEADER + message.len() + 1;
    let mut packet = Vec::with_capacity(length);
    packet.extend(u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    packet.extend(kind.to_ne_bytes());
    packet.extend(REQUEST.to_ne_bytes());
    // Number of the message and port of the sender: nothing comes back that would name them.
    packet.extend([0; 8]);
    packet.extend(message.as_bytes());
    packet.push(0);
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_as_the_audit_log_has_it() {
        let mut event = Event::new(1, Action::Lock, "alice");
        event.target = "lock:7".to_owned();
        event.caller = [("loginuid", "1002"), ("executable", "/usr/bin/lockdownctl"), ("tty", "pts/0")]
            .map(|(key, value)| (key, value.to_owned()))
            .into();
        assert_eq!(
            message(&event),
            "op=lock acct=\"alice\" id=lock:7 sauid=1002 exe=\"/usr/bin/lockdownctl\" hostname=? addr=? \
             terminal=pts/0 res=success"
        );
        event.outcome = Outcome::Refused("is protected".to_owned());
        assert!(message(&event).ends_with("res=failed"));
    }

    #[test]
    fn nobody_writes_fields_of_their_own() {
        let mut event = Event::new(1, Action::Lock, "x\" res=success acct=\"bob");
        event.caller.insert("remote_host", "host res=success".to_owned());
        assert_eq!(message(&event).matches("res=").count(), 1);
        assert_eq!(value("a b", true), "612062");
        assert_eq!(value(&"\u{fc}".repeat(1000), true).len(), 2 * LONGEST);
    }

    #[test]
    fn a_packet_tells_its_length() {
        let packet = packet(USER_MGMT, "op=lock");
        assert_eq!(packet.len(), HEADER + 8);
        assert_eq!(packet[..4], 24_u32.to_ne_bytes());
        assert_eq!(packet[4..6], 1102_u16.to_ne_bytes());
        assert_eq!(&packet[HEADER..], b"op=lock\0");
    }

    #[test]
    fn what_is_whose() {
        let of = |action, owner: &str| kind(&Event { owner: owner.to_owned(), ..Event::new(1, action, "a") });
        assert_eq!(of(Action::Lock, "operator"), Some(USER_MGMT));
        assert_eq!(of(Action::Lock, "attack-protection"), Some(ANOM_LOGIN_FAILURES));
        assert_eq!(of(Action::SessionStart, ""), None);
    }
}
