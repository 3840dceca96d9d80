//! When an account became root, by the journal.
//!
//! Only what sudo(8), su(1), pkexec(1) and polkitd(8) wrote themselves counts, and journald vouches for who wrote: otherwise
//! an account that never was root could make others' units suspects by writing what they would.

use std::io;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    domain::{account::Account, lock::Time},
    host::journalctl,
};

/// Programs by which users become root, where Debian, Fedora and Ubuntu have them.
const PROGRAMS: [&str; 6] = [
    "/usr/bin/sudo",
    "/usr/bin/su",
    "/usr/bin/pkexec",
    "/usr/bin/doas",
    "/usr/lib/cargo/bin/sudo",
    "/usr/lib/cargo/bin/su",
];

/// Who lets users have systemd start something without becoming root: run0(1), and systemd-run(1) without sudo.
const POLKIT: [&str; 2] = ["/usr/lib/polkit-1/polkitd", "/usr/libexec/polkit-1/polkitd"];

/// A time as root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rise {
    /// When it began, in microseconds since 1970.
    pub(super) at: u64,
    /// When it ended; `None`: it has not, or the journal does not say.
    pub(super) until: Option<u64>,
    /// The program, `sudo`; empty where the command was run without one.
    pub(super) tool: String,
    /// What it was to run, if the journal has that.
    pub(super) command: Option<String>,
}

impl Rise {
    /// Program and command, as they were typed, more or less.
    pub(super) fn command(&self) -> String {
        let words = [self.tool.as_str(), self.command.as_deref().unwrap_or_default()];
        words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    }
}

/// What the journal has.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) rises: Vec<Rise>,
    /// Why it may not be all.
    pub(super) note: Option<String>,
}

/// The times that this account, or who logged in as it, became root from `since` on.
pub(super) async fn rises(account: &Account, since: Time) -> io::Result<Read> {
    let uid = account.uid;
    let programs = PROGRAMS.map(|program| format!("_EXE={program}"));
    let mut arguments = vec![format!("--since=@{since}")];
    // Who called the program, and who logged in: the latter also after becoming somebody else in between; journald has it
    // only where the kernel audits.
    arguments.push(format!("_AUDIT_LOGINUID={uid}"));
    arguments.extend(programs.clone());
    arguments.extend(["+".to_owned(), format!("_UID={uid}")]);
    arguments.extend(programs);
    arguments.push("+".to_owned());
    arguments.extend(POLKIT.map(|program| format!("_EXE={program}")));
    let mut entries = Vec::new();
    // From the oldest on, so that the first time is among what is read.
    let is_all =
        journalctl::entries("MESSAGE,_PID,_EXE", arguments, |line| entries.extend(Entry::parse(line)))
            .await?;
    let note =
        "the journal has more of sudo and su than is read: units may have been started by later commands";
    Ok(Read { rises: combine(entries, &account.name), note: (!is_all).then(|| note.to_owned()) })
}

/// An entry of the journal that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    at: u64,
    pid: String,
    tool: String,
    said: Said,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// sudo or pkexec runs a command as root.
    Command(String),
    /// PAM has opened a session for root.
    Opened,
    /// And closed it.
    Closed,
    /// A command, but in a line that can be read in two ways: `sudo` logs directories and arguments as they are.
    Ambiguous(String),
    /// polkit lets somebody's command have systemd do something.
    Granted { to: String, command: String },
}

impl Entry {
    /// An entry in journalctl's JSON; `None` if it says nothing.
    fn parse(line: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Line {
            #[serde(rename = "__REALTIME_TIMESTAMP")]
            at: String,
            #[serde(rename = "MESSAGE")]
            message: Value,
            #[serde(rename = "_PID")]
            pid: String,
            #[serde(rename = "_EXE")]
            program: String,
        }
        let line: Line = serde_json::from_slice(line).ok()?;
        let tool = line.program.rsplit('/').next().unwrap_or_default().to_owned();
        Some(Self { at: line.at.parse().ok()?, pid: line.pid, tool, said: said(&text(&line.message)?)? })
    }
}

/// journalctl gives text that is not printable UTF-8 as a list of bytes.
fn text(message: &Value) -> Option<String> {
    match message {
        Value::String(text) => Some(text.clone()),
        Value::Array(bytes) => {
            let byte = |value: &Value| u8::try_from(value.as_u64()?).ok();
            let bytes: Vec<u8> = bytes.iter().map(byte).collect::<Option<_>>()?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        }
        _ => None,
    }
}

fn said(message: &str) -> Option<Said> {
    if let Some((_, event)) =
        message.strip_prefix("pam_unix(").and_then(|rest| rest.split_once(":session): "))
    {
        let is_of_root =
            |rest: &str| rest.strip_prefix("root").is_some_and(|rest| !rest.starts_with(is_of_name));
        let of_root = |start| event.strip_prefix(start).is_some_and(is_of_root);
        return if of_root("session opened for user ") {
            Some(Said::Opened)
        } else {
            of_root("session closed for user ").then_some(Said::Closed)
        };
    }
    of_polkit(message).or_else(|| of_pkexec(message)).or_else(|| of_sudo(message))
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || "_.-$".contains(character)
}

/// `Operator of unix-session:4 successfully authenticated as unix-user:root to gain ONE-SHOT authorization for action
/// org.freedesktop.systemd1.manage-units for system-bus-name::1.52 [systemd-run sleep 9] (owned by unix-user:alice)`
fn of_polkit(message: &str) -> Option<Said> {
    let (_, rest) = message.strip_prefix("Operator of ")?.split_once(' ')?;
    let rest = rest.strip_prefix("successfully authenticated as unix-user:")?;
    let (_, rest) = rest.split_once(" authorization for action ")?;
    // What stands in brackets is written by the account, so what follows is found from the end.
    let (command, to) = rest.strip_suffix(')')?.rsplit_once("] (owned by unix-user:")?;
    let (_, command) = command.strip_prefix("org.freedesktop.systemd1.")?.split_once(" [")?;
    Some(Said::Granted { to: to.to_owned(), command: command.to_owned() })
}

/// `alice: Executing command [USER=root] [TTY=unknown] [CWD=/home/alice] [COMMAND=/usr/bin/id]`
fn of_pkexec(message: &str) -> Option<Said> {
    let rest = message.split_once(": Executing command [USER=root] [")?.1;
    Some(Said::Command(rest.split_once("[COMMAND=")?.1.strip_suffix(']')?.to_owned()))
}

/// `   alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/id`. Where it refuses, sudo puts the reason
/// before the first field.
fn of_sudo(message: &str) -> Option<Said> {
    let fields = message.split_once(" : ")?.1;
    let is_key =
        |key: &str| !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
    if !is_key(fields.split_once('=')?.0) {
        return None;
    }
    let (before, command) = fields.split_once("COMMAND=")?;
    let is_root = before.split(" ; ").any(|field| matches!(field, "USER=root" | "USER=#0"));
    let is_clear = fields.matches("USER=").count() == 1 && fields.matches("COMMAND=").count() == 1;
    let command = command.to_owned();
    match (is_root, is_clear) {
        (true, true) => Some(Said::Command(command)),
        (_, false) => Some(Said::Ambiguous(command)),
        (false, true) => None,
    }
}

/// Puts together what belongs together: sudo says what it runs, and PAM by the same process that it came to that, and when
/// it was over.
fn combine(entries: Vec<Entry>, name: &str) -> Vec<Rise> {
    let mut rises: Vec<(String, Rise)> = Vec::new();
    let mut ambiguous: Option<(String, String)> = None;
    for Entry { at, pid, tool, said } in entries {
        let open = rises.iter_mut().rev().find(|(of, rise)| *of == pid && rise.until.is_none());
        let command = match (said, open) {
            (Said::Command(command), _) => Some(command),
            (Said::Opened, None) => ambiguous.take_if(|(of, _)| *of == pid).map(|(_, command)| command),
            (Said::Opened, Some(_)) | (Said::Closed, None) => continue,
            (Said::Closed, Some((_, open))) => {
                open.until = Some(at);
                continue;
            }
            (Said::Ambiguous(command), _) => {
                ambiguous = Some((pid, command));
                continue;
            }
            (Said::Granted { to, command }, _) => {
                if to == name {
                    let (until, tool, command) = (Some(at), String::new(), Some(command));
                    rises.push((pid, Rise { at, until, tool, command }));
                }
                continue;
            }
        };
        rises.push((pid, Rise { at, until: None, tool, command }));
    }
    rises.into_iter().map(|(_, rise)| rise).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(at: u64, pid: u32, program: &str, message: &str) -> Vec<u8> {
        let fields = serde_json::json!({
            "__REALTIME_TIMESTAMP": at.to_string(),
            "_PID": pid.to_string(),
            "_EXE": program,
            "MESSAGE": message,
            "_BOOT_ID": "0",
        });
        fields.to_string().into_bytes()
    }

    fn read(lines: &[(u64, u32, &str, &str)]) -> Vec<Rise> {
        let parsed = lines.iter().filter_map(|(at, pid, program, message)| {
            Entry::parse(&line(*at, *pid, &format!("/usr/bin/{program}"), message))
        });
        combine(parsed.collect(), "alice")
    }

    const OPENED: &str = "pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)";
    const CLOSED: &str = "pam_unix(sudo:session): session closed for user root";

    #[test]
    fn what_sudo_ran_and_from_when_to_when() {
        let command = "   alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/sh -c 'a ; b'";
        let rises = read(&[
            (1, 7, "sudo", command),
            (2, 7, "sudo", OPENED),
            (3, 8, "sudo", CLOSED),
            (9, 7, "sudo", CLOSED),
        ]);
        let [rise] = rises.as_slice() else { panic!("{rises:?}") };
        assert_eq!((rise.at, rise.until), (1, Some(9)));
        assert_eq!(rise.command(), "sudo /usr/bin/sh -c 'a ; b'");
    }

    #[test]
    fn su_and_pkexec_and_a_sudo_that_logs_no_command() {
        let su = "pam_unix(su-l:session): session opened for user root(uid=0) by alice(uid=1000)";
        let pkexec =
            "alice: Executing command [USER=root] [TTY=unknown] [CWD=/home/alice] [COMMAND=/usr/bin/id -u]";
        let rises = read(&[(1, 7, "su", su), (2, 8, "pkexec", pkexec), (3, 9, "sudo", OPENED)]);
        let commands: Vec<String> = rises.iter().map(Rise::command).collect();
        assert_eq!(commands, ["su", "pkexec /usr/bin/id -u", "sudo"]);
    }

    #[test]
    fn what_polkit_let_have_done_by_systemd() {
        let granted = |action: &str, command: &str, to: &str| {
            format!(
                "Operator of unix-session:4 successfully authenticated as unix-user:root to gain ONE-SHOT authorization \
                 for action org.freedesktop.{action} for system-bus-name::1.52 [{command}] (owned by unix-user:{to})"
            )
        };
        let hers = granted("systemd1.manage-units", "run0 [x] sh", "alice");
        let rises = read(&[(1, 7, "polkitd", &hers)]);
        assert_eq!(rises.iter().map(Rise::command).collect::<Vec<_>>(), ["run0 [x] sh"]);
        let others = [
            granted("systemd1.manage-units", "systemd-run x", "bob"),
            granted("systemd1.manage-units", "x] (owned by unix-user:alice)", "bob"),
            granted("login1.reboot", "reboot", "alice"),
            hers.replace("successfully authenticated as unix-user:root", "FAILED to authenticate"),
        ];
        for message in others {
            assert_eq!(read(&[(1, 7, "polkitd", &message)]), [], "{message}");
        }
    }

    #[test]
    fn who_was_refused_or_became_another_was_not_root() {
        let messages = [
            "   alice : command not allowed ; PWD=/home/alice ; USER=root ; COMMAND=/usr/bin/id",
            "   alice : user NOT in sudoers ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            "   alice : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
            "   alice : PWD=/home/alice ; USER=bob ; COMMAND=/usr/bin/id",
            "FAILED SU (to root) alice on pts/0",
            "pam_unix(sudo:session): session opened for user bob(uid=1001) by alice(uid=1000)",
            "pam_unix(sudo:session): session opened for user rooty(uid=1001) by alice(uid=1000)",
            "pam_unix(sudo:auth): authentication failure; logname=alice uid=1000",
        ];
        for message in messages {
            assert_eq!(read(&[(1, 7, "sudo", message)]), [], "{message}");
        }
    }

    #[test]
    fn a_directory_with_a_clever_name_makes_nobody_root() {
        let shorter = "   alice : PWD=/tmp/x ; USER=root ; USER=bob ; COMMAND=/usr/bin/id";
        let forged = "   alice : PWD=/tmp/x ; USER=root ; COMMAND=/bin/sh ; USER=bob ; COMMAND=/usr/bin/id";
        assert_eq!(read(&[(1, 7, "sudo", forged), (2, 8, "sudo", shorter)]), []);
        let rises = read(&[(1, 7, "sudo", forged), (2, 7, "sudo", OPENED)]);
        assert!(rises.len() == 1 && rises[0].at == 2, "{rises:?}");
    }

    #[test]
    fn text_that_is_no_utf8_comes_as_bytes() {
        assert_eq!(text(&serde_json::json!([104, 105, 255])).as_deref(), Some("hi\u{fffd}"));
        assert_eq!(text(&serde_json::json!([104, 256])), None);
        assert_eq!(text(&Value::Null), None);
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(bytes: Vec<u8>, messages in prop::collection::vec("( : |USER=root|COMMAND=| ; |Operator of |\\[|\\] \\(owned by unix-user:|\\PC){0,12}", 0..6)) {
            let _ = Entry::parse(&bytes);
            let entries = messages.iter().filter_map(|message| Entry::parse(&line(1, 7, "/usr/bin/sudo", message)));
            let _ = combine(entries.collect(), "alice");
        }

        #[test]
        fn only_root_is_root(user in "[a-z]{1,8}", command in "\\PC{0,20}") {
            let message = format!("   alice : PWD=/ ; USER={user} ; COMMAND={command}");
            prop_assert_eq!(matches!(said(&message), Some(Said::Command(_))), user == "root" && !command.contains("USER=") && !command.contains("COMMAND="));
        }
    }
}
