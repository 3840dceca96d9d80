//! The D-Bus interface, by nothing but busctl.

use std::time::{Duration, SystemTime};

use lockdown_tests::{Host, Output, on_releases};
use serde_json::Value;

const NAME: &str = "org.lockdown1";
const MANAGER: [&str; 3] = [NAME, "/org/lockdown1", "org.lockdown1.Manager"];

fn call(host: &Host, member: &str, args: &[&str]) -> Output {
    host.run(&[&["busctl", "--json=short", "call"], &MANAGER[..], &[member], args].concat())
}

/// The one value that a call returns.
#[track_caller]
fn returned(host: &Host, member: &str, args: &[&str]) -> Value {
    call(host, member, args).ok().json()["data"][0].clone()
}

/// A property with its type in front.
#[track_caller]
fn property(host: &Host, name: &str) -> String {
    host.run(&[&["busctl", "get-property"], &MANAGER[..], &[name]].concat()).ok().text().to_owned()
}

/// Panics unless the dictionary has these keys with these types.
#[track_caller]
fn has(dictionary: &Value, keys: &[(&str, &str)]) {
    for (key, signature) in keys {
        assert_eq!(dictionary[key]["type"], *signature, "{key} of {dictionary}");
    }
}

const ACCOUNT: [(&str, &str); 23] = [
    ("name", "s"),
    ("uid", "u"),
    ("locked", "b"),
    ("locked_until", "x"),
    ("deactivated", "b"),
    ("expired", "b"),
    ("valid_until", "x"),
    ("protected", "b"),
    ("password_usable", "b"),
    ("failed_attempts", "u"),
    ("last_sign_in", "x"),
    ("locks", "aa{sv}"),
    ("sessions", "u"),
    ("external_id", "s"),
    ("email", "s"),
    ("phone", "s"),
    ("identifiers", "a{ss}"),
    ("metadata", "a{ss}"),
    ("created", "x"),
    ("last_active", "x"),
    ("passkeys", "u"),
    ("totp_enabled", "b"),
    ("backup_codes", "u"),
];
const LOCK: [(&str, &str); 7] = [
    ("id", "x"),
    ("owner", "s"),
    ("reason", "s"),
    ("message", "s"),
    ("created_at", "x"),
    ("created_by", "s"),
    ("expires_at", "x"),
];
const SESSION: [(&str, &str); 8] = [
    ("id", "s"),
    ("user", "s"),
    ("service", "s"),
    ("tty", "s"),
    ("remote_host", "s"),
    ("leader_pid", "u"),
    ("started", "x"),
    ("authenticator", "s"),
];
const EVENT: [(&str, &str); 11] = [
    ("id", "x"),
    ("time", "x"),
    ("action", "s"),
    ("severity", "s"),
    ("user", "s"),
    ("owner", "s"),
    ("reason", "s"),
    ("outcome", "s"),
    ("caller", "a{ss}"),
    ("input", "a{ss}"),
    ("tags", "a{ss}"),
];

fn seconds_from_now(seconds: u64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
    (now.as_secs() + seconds).to_string()
}

on_releases!([bookworm, trixie, trixie_broker]
    fn every_method_and_property(host: &Host) {
        let introspected = host.run(&[&["busctl", "introspect"], &MANAGER[..]].concat()).ok().stdout;
        for member in [
            ".EndSessions method sa{sv} aa{sv}",
            ".GetAccount method s a{sv}",
            ".ListAccounts method a{sv} aa{sv}",
            ".ListEvents method a{sv} aa{sv}",
            ".ListSessions method a{sv} aa{sv}",
            ".LockAccount method sa{sv} a{sv}",
            ".Lockdown method asa{sv} aa{sv}",
            ".LockdownSelf method a{sv} a{sv}",
            ".Restore method sa{sv} a{sv}",
            ".SetAccount method sa{sv} a{sv}",
            ".SetExpiry method sx -",
            ".UnlockAccount method sa{sv} a{sv}",
            ".AccountLocked signal sa{sv} -",
            ".AccountRestored signal sa{sv} -",
            ".LockdownTriggered signal sa{sv} -",
            ".LockedAccounts property u",
        ] {
            let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(introspected.lines().any(|line| words(line).starts_with(member)), "{member}:\n{introspected}");
        }

        let shell = host.ssh_session("alice");
        let options =
            ["alice", "4", "reason", "s", "stolen", "message", "s", "Call us.", "duration", "t", "3600", "end_sessions", "b", "false"];
        let account = returned(host, "LockAccount", &[&["sa{sv}"], &options[..]].concat());
        has(&account, &ACCOUNT);
        has(&account["locks"]["data"][0], &LOCK);
        assert_eq!(account["locks"]["data"][0]["message"]["data"], "Call us.");
        assert!(shell.is_alive(), "end_sessions was false");
        host.run(&["su", "alice", "-c", "true"]).fails().says("Call us.");
        assert_eq!(property(host, "LockedAccounts"), "u 1");
        assert_eq!(property(host, "LockdownEnabled"), "b true");
        assert!(property(host, "Version").starts_with("s \"0."));

        has(&returned(host, "GetAccount", &["s", "uid:1000"]), &ACCOUNT);
        let locked = returned(host, "ListAccounts", &["a{sv}", "1", "locked", "b", "true"]);
        assert_eq!((locked.as_array().map(Vec::len), &locked[0]["name"]["data"]), (Some(1), &"alice".into()));
        let sessions = returned(host, "ListSessions", &["a{sv}", "1", "user", "s", "alice"]);
        has(&sessions[0], &SESSION);
        let ended = returned(host, "EndSessions", &["sa{sv}", "alice", "0"]);
        assert_eq!((&ended[0]["id"], &ended[0]["ended"]["data"]), (&sessions[0]["id"], &true.into()));
        shell.wait_ended(Duration::from_secs(5));

        // Another owner's lock stands by itself.
        let other = ["owner", "s", "config:audit.toml"];
        returned(host, "LockAccount", &[&["sa{sv}", "alice", "2"], &other[..], &["duration", "t", "0"]].concat());
        let account = returned(host, "UnlockAccount", &["sa{sv}", "alice", "0"]);
        assert_eq!((&account["locked"]["data"], &account["locked_until"]["data"]), (&true.into(), &0.into()));
        host.run(&["su", "alice", "-c", "true"]).fails();
        let account = returned(host, "UnlockAccount", &[&["sa{sv}", "alice", "1"], &other[..]].concat());
        assert_eq!(account["locked"]["data"], false);
        host.run(&["su", "alice", "-c", "true"]).ok();

        assert_eq!(call(host, "SetExpiry", &["sx", "alice", "1000000000"]).ok().text(), "");
        assert_eq!(returned(host, "GetAccount", &["s", "alice"])["expired"]["data"], true);
        call(host, "SetExpiry", &["sx", "alice", "0"]).ok();
        assert_eq!(returned(host, "GetAccount", &["s", "alice"])["valid_until"]["data"], 0);

        let events = returned(host, "ListEvents", &["a{sv}", "2", "user", "s", "alice", "action", "s", "lock"]);
        has(&events[0], &EVENT);
        assert_eq!(events.as_array().map(Vec::len), Some(2));
    }
);

on_releases!([bookworm, trixie, trixie_broker]
    fn every_signal(host: &Host) {
        let monitor = host.terminal(&["busctl", "monitor", "--match=type='signal',sender='org.lockdown1'"]);
        monitor.wait_for("Monitoring bus message stream.");
        let shell = host.ssh_session("alice");
        monitor.wait_for("Member=SessionStarted");
        call(host, "LockAccount", &["sa{sv}", "alice", "0"]).ok();
        for said in ["Member=AccountLocked", "Member=PropertiesChanged", "LockedAccounts", "Member=SessionEnded"] {
            monitor.wait_for(said);
        }
        shell.wait_ended(Duration::from_secs(5));
        call(host, "UnlockAccount", &["sa{sv}", "alice", "0"]).ok();
        for said in ["Member=AccountUnlocked", "lifted", "Member=PropertiesChanged", "LockedAccounts"] {
            monitor.wait_for(said);
        }
        call(host, "LockAccount", &["sa{sv}", "bob", "1", "duration", "t", "1"]).ok();
        for said in ["Member=AccountLocked", "Member=AccountUnlocked", "expired", "Member=PropertiesChanged"] {
            monitor.wait_for(said);
        }
        call(host, "SetExpiry", &["sx", "bob", &seconds_from_now(1)]).ok();
        monitor.wait_for("Member=AccountExpired");
        call(host, "Lockdown", &["asa{sv}", "1", "alice", "1", "reason", "s", "test"]).ok();
        monitor.wait_for("Member=LockdownTriggered");
        call(host, "Restore", &["sa{sv}", "alice", "1", "undo", "b", "true"]).ok();
        monitor.wait_for("Member=AccountRestored");
        // Everybody on the bus hears signals: they carry no reason and no message.
        assert!(!["\"reason\"", "\"message\""].iter().any(|key| monitor.screen().contains(key)), "{}", monitor.screen());
    }
);

on_releases!([bookworm, trixie, trixie_broker]
    fn what_the_bus_refuses(host: &Host) {
        let monitor = host.terminal(&["busctl", "monitor", "--match=type='error',sender='org.lockdown1'"]);
        monitor.wait_for("Monitoring bus message stream.");
        let refuses = |error: &str, says: &str, output: Output| {
            output.fails().says(says);
            monitor.wait_for(&format!("ErrorName=org.lockdown1.Error.{error}"));
        };
        let lock = |args: &[&str]| call(host, "LockAccount", &[&["sa{sv}"], args].concat());
        refuses("InvalidArgument", "`resaon` is not known", lock(&["alice", "1", "resaon", "s", "x"]));
        refuses("InvalidArgument", "give it type `t`", lock(&["alice", "1", "duration", "s", "1h"]));
        refuses("InvalidArgument", "belongs to the daemon", lock(&["alice", "1", "owner", "s", "lockdown"]));
        refuses("NoSuchAccount", "mallory", lock(&["mallory", "0"]));
        refuses("Protected", "root", lock(&["root", "0"]));
        refuses("NotLocked", "alice", call(host, "UnlockAccount", &["sa{sv}", "alice", "0"]));
        refuses("InvalidArgument", "`lcoked`", call(host, "ListAccounts", &["a{sv}", "1", "lcoked", "b", "true"]));

        let as_bob = |args: &[&str]| host.run_as("bob", &[&["busctl", "call"], args].concat());
        for call in [
            ["LockAccount", "sa{sv}", "alice", "0"].as_slice(),
            &["UnlockAccount", "sa{sv}", "alice", "0"],
            &["EndSessions", "sa{sv}", "bob", "0"],
            &["SetExpiry", "sx", "bob", "0"],
            &["SetAccount", "sa{sv}", "bob", "1", "id", "s", "1"],
            &["GetAccount", "s", "alice"],
            &["ListAccounts", "a{sv}", "0"],
            &["ListEvents", "a{sv}", "0"],
            &["CheckRecords"],
        ] {
            refuses("NotAuthorized", "", as_bob(&[&MANAGER[..], call].concat()));
        }
        as_bob(&[&MANAGER[..], &["GetAccount", "s", "bob"]].concat()).ok().says("\"bob\"");

        // Nobody but root becomes org.lockdown1, not even when the name is free.
        let bus = ["org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"];
        let own = || as_bob(&[&bus[..], &["RequestName", "su", NAME, "0"]].concat());
        own().fails();
        host.run(&["systemctl", "mask", "--now", "lockdownd"]).ok();
        own().fails();
        host.run(&["systemctl", "unmask", "lockdownd"]).ok();

        // A call starts the daemon, an ordinary user's as well.
        host.run(&["systemctl", "stop", "lockdownd.socket", "lockdownd"]).ok();
        host.run(&["systemctl", "is-active", "lockdownd"]).fails();
        as_bob(&[&MANAGER[..], &["GetAccount", "s", "bob"]].concat()).ok();
        host.run(&["systemctl", "is-active", "lockdownd", "lockdownd.socket"]).ok();
    }
);
