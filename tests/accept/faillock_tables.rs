//! What pam_faillock(8), faillock(8) and faillock.conf(5) say of pam_faillock, one script a sentence: played to it and to
//! attack protection with the same settings, on the same host.

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use lockdown_enforcement::AttackProtection;
use lockdown_tests::{Attempt, Host, Outcome, PamClient, on_each_release, password_of};

/// Both examples of its manual, without the modules that have nothing to do with it.
const FAILLOCK_STACKS: [(&str, &str); 2] = [
    (
        "faillock-1",
        "auth [success=1 default=bad] pam_unix.so\n\
         auth [default=die] pam_faillock.so authfail\n\
         auth sufficient pam_faillock.so authsucc\n\
         auth required pam_deny.so\n\
         account required pam_unix.so\n",
    ),
    (
        "faillock-2",
        "auth required pam_faillock.so preauth\n\
         auth sufficient pam_unix.so\n\
         auth [default=die] pam_faillock.so authfail\n\
         auth required pam_deny.so\n\
         account required pam_faillock.so\n\
         account required pam_unix.so\n",
    ),
];
const LOCKDOWN_STACK: &str = "@include common-auth\n@include common-account\n";

/// Of both, in the words of faillock.conf.
#[derive(Clone, Copy)]
struct Settings {
    deny: u32,
    /// Seconds.
    fail_interval: u32,
    /// Seconds; 0: never.
    unlock_time: u32,
    even_deny_root: bool,
    /// Of lockdown alone.
    per_source: bool,
}

/// Its defaults, for one who counts everything together as it does.
const DEFAULTS: Settings =
    Settings { deny: 3, fail_interval: 900, unlock_time: 600, even_deny_root: false, per_source: false };

/// A sentence of the manual.
struct Row {
    what: &'static str,
    settings: Settings,
    user: &'static str,
    /// `w` a wrong password, `r` the right one, from one host; `W` and `R` from another; `u` somebody unlocks by command;
    /// a digit: as many seconds pass.
    script: &'static str,
    /// What comes of each attempt: `-` refused, `+` let in.
    expected: &'static str,
    /// The same for attack protection where that differs, and why it does.
    differs: Option<(&'static str, &'static str)>,
}

const fn row(what: &'static str, settings: Settings, script: &'static str, expected: &'static str) -> Row {
    Row { what, settings, user: "alice", script, expected, differs: None }
}

const ROWS: &[Row] = &[
    row("deny failures lock", DEFAULTS, "wwwr", "----"),
    row("fewer do not", DEFAULTS, "wwr", "--+"),
    row("deny=4, as in the example", Settings { deny: 4, ..DEFAULTS }, "wwwwr", "-----"),
    row("deny=4: three do not", Settings { deny: 4, ..DEFAULTS }, "wwwr", "---+"),
    row("only consecutive ones: a success ends the count", DEFAULTS, "wwrwwrwwwr", "--+--+----"),
    row("wherever they come from", DEFAULTS, "wWwR", "----"),
    row("only within fail_interval", Settings { fail_interval: 3, ..DEFAULTS }, "ww5wr", "---+"),
    row("within it over a pause as well", Settings { fail_interval: 30, ..DEFAULTS }, "ww2wr", "----"),
    row("let in again after unlock_time", Settings { unlock_time: 3, ..DEFAULTS }, "wwwr5r", "----+"),
    row(
        "attempts while locked do not extend it",
        Settings { unlock_time: 4, ..DEFAULTS },
        "www3w3r",
        "----+",
    ),
    row(
        "after it the count begins anew",
        Settings { unlock_time: 2, ..DEFAULTS },
        "www4wwrwwwr",
        "-----+----",
    ),
    row("unlock_time=0: never by itself", Settings { unlock_time: 0, ..DEFAULTS }, "www4rur", "----+"),
    row("unlocked by command", DEFAULTS, "wwwrur", "----+"),
    row("by command the count is reset as well", DEFAULTS, "wwuwwr", "----+"),
    Row { user: "root", ..row("root is not locked", DEFAULTS, "wwwwr", "----+") },
    Row {
        user: "root",
        ..row("even_deny_root", Settings { even_deny_root: true, ..DEFAULTS }, "wwwrur", "----+")
    },
    Row {
        differs: Some((
            "---+-",
            "lockdown locks the pair: from elsewhere she gets in (per_source, its default)",
        )),
        ..row("one host's failures", Settings { per_source: true, ..DEFAULTS }, "wwwRr", "-----")
    },
];

/// Both modules on a host.
struct Both<'h> {
    host: &'h Host,
    client: PamClient<'h>,
    /// Which example.
    faillock: &'static str,
}

impl Both<'_> {
    fn set(&self, settings: Settings) {
        let Settings { deny, fail_interval, unlock_time, even_deny_root, per_source } = settings;
        let root = if even_deny_root {
            format!("even_deny_root\nroot_unlock_time={unlock_time}\n")
        } else {
            String::new()
        };
        self.host.write(
            "/etc/security/faillock.conf",
            format!("deny={deny}\nfail_interval={fail_interval}\nunlock_time={unlock_time}\n{root}"),
        );
        self.host.protect(&AttackProtection {
            max_attempts: deny,
            window: fail_interval,
            duration: (unlock_time > 0).then_some(unlock_time),
            even_deny_root,
            per_source,
            ..AttackProtection::default()
        });
    }

    /// One attempt at each: what came of it at pam_faillock, and at attack protection.
    fn attempt(&self, user: &str, letter: char) -> [Outcome; 2] {
        let password = if letter.eq_ignore_ascii_case(&'r') { password_of(user) } else { "wrong".to_owned() };
        let remote_host = if letter.is_ascii_lowercase() { "192.0.2.1" } else { "192.0.2.2" };
        let at = |service: &str| Attempt::new(service, user, &password).from(remote_host);
        let outcomes = self.client.attempts(&[at(self.faillock), at("lockdown")]);
        outcomes.try_into().expect("two")
    }

    fn unlock(&self, user: &str) {
        self.host.run(&["faillock", "--user", user, "--reset"]).ok();
        self.host.forget_failures(user);
    }

    /// Plays the script to both: a letter for what came of each attempt.
    fn play(&self, row: &Row) -> [String; 2] {
        self.set(row.settings);
        self.unlock(row.user);
        let mut results = [String::new(), String::new()];
        for letter in row.script.chars() {
            match letter {
                'u' => self.unlock(row.user),
                '1'..='9' => sleep(Duration::from_secs(letter.to_digit(10).unwrap_or(0).into())),
                _ => {
                    for (result, outcome) in results.iter_mut().zip(self.attempt(row.user, letter)) {
                        result.push(if outcome.entered() { '+' } else { '-' });
                    }
                }
            }
        }
        results
    }
}

fn both(host: &Host, example: usize) -> Both<'_> {
    for (service, lines) in FAILLOCK_STACKS {
        host.write(&format!("/etc/pam.d/{service}"), lines);
    }
    host.write("/etc/pam.d/lockdown", LOCKDOWN_STACK);
    host.judge_quickly(&["root", "alice", "bob"]);
    let client = host.pam_client(Path::new(env!("CARGO_BIN_EXE_pam-attempts")), &[]);
    Both { host, client, faillock: FAILLOCK_STACKS[example].0 }
}

on_each_release!(
    fn attack_protection_keeps_what_pam_faillock_promises(host: &Host) {
        let mut wrong = Vec::new();
        for example in 0..FAILLOCK_STACKS.len() {
            let both = both(host, example);
            println!("{:<48} {:<12} {:<10} {:<10}", both.faillock, "", "faillock", "lockdown");
            for row in ROWS {
                let [faillock, lockdown] = both.play(row);
                let (expected, why) = row.differs.unwrap_or((row.expected, ""));
                println!("{:<48} {:<12} {faillock:<10} {lockdown:<10} {why}", row.what, row.script);
                if (faillock.as_str(), lockdown.as_str()) != (row.expected, expected) {
                    wrong.push(format!("{}, {}: {faillock} {lockdown}", both.faillock, row.what));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
);

/// `yes` or `no`: to compare, and to print.
fn word(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}

on_each_release!(
    /// What its manual warns of, or what lockdown has another way for: true of pam_faillock, and not of lockdown.
    fn where_attack_protection_differs_from_pam_faillock(host: &Host) {
        let both = both(host, 1);
        host.run(&["groupadd", "--users", "bob", "admins"]).code(0);
        both.set(DEFAULTS);
        let mut table: Vec<(&str, [bool; 2], &str)> = Vec::new();
        let lock = |user: &str| (0..3).for_each(|_| drop(both.attempt(user, 'w')));
        let gets_in = |user: &str| both.attempt(user, 'r').map(|outcome| outcome.entered());

        lock("alice");
        let [known, unknown] = ["alice", "no-such"].map(|user| both.attempt(user, 'w'));
        let differ = [0, 1].map(|module| {
            (known[module].code, &known[module].heard) != (unknown[module].code, &unknown[module].heard)
        });
        table.push(("who guesses learns which accounts there are", differ, "no locked account is told so"));

        host.run_as("alice", &["/usr/sbin/faillock", "--user", "alice", "--reset"]).ok();
        for own in [&["unlock", "alice"][..], &["failures", "alice", "--reset"]] {
            host.run_as("alice", &[&["lockdownctl"], own].concat()).fails();
        }
        host.run_as("alice", &["sh", "-c", ": > /var/lib/lockdown/tally/1000"]).fails();
        table.push(("what runs as the account lifts its lock", gets_in("alice"), "tallies are root's"));

        lock("alice");
        host.reboot();
        table.push(("a reboot lifts the lock", gets_in("alice"), "tallies lie in /var/lib"));

        let mut conf = host.read("/etc/security/faillock.conf");
        conf.push_str("admin_group=admins\n");
        host.write("/etc/security/faillock.conf", conf);
        lock("bob");
        let why = "locks for one source, and trusted_sources, are what keeps administrators in";
        table.push(("members of admin_group are not locked", gets_in("bob"), why));

        println!("{:<48} {:<10} {:<10}", "", "faillock", "lockdown");
        for (what, [faillock, lockdown], why) in &table {
            println!("{what:<48} {:<10} {:<10} {why}", word(*faillock), word(*lockdown));
        }
        for (what, found, _) in table {
            assert_eq!(found, [true, false], "{what}");
        }
    }
);
