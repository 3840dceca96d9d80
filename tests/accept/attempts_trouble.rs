//! Attack protection in the face of trouble, as pam_lockdown(8) says: what cannot be counted locks nobody out, and what is
//! damaged does not switch it off.

use std::path::Path;
use std::time::Duration;

use lockdown_enforcement::AttackProtection;
use lockdown_enforcement::tally::{NOBODYS_UID, Standing};
use lockdown_tests::{Attempt, Host, PamClient, on_each_release, password_of};

const FROM: &str = "192.0.2.1";
const TALLIES: &str = "/var/lib/lockdown/tally";
const SETTINGS: &str = "/var/lib/lockdown/attack-protection";
/// What a line of the journal would look like, for somebody to forge.
const FORGED: &str = "lock account=bob target=lock:9 owner=operator";
/// Nothing keeps an attempt for longer: a wrong password that waits for its turn has ten seconds.
const PATIENCE: Duration = Duration::from_secs(12);

struct Door<'h> {
    host: &'h Host,
    client: PamClient<'h>,
}

impl<'h> Door<'h> {
    fn of(host: &'h Host, max_attempts: u32) -> Self {
        host.protect(&AttackProtection { max_attempts, ..AttackProtection::default() });
        host.write("/etc/pam.d/guarded", "@include common-auth\n@include common-account\n");
        host.judge_quickly(&["alice", "bob"]);
        Self { host, client: host.pam_client(Path::new(env!("CARGO_BIN_EXE_pam-attempts")), &[]) }
    }

    fn guess(&self, user: &str, times: usize) {
        for outcome in self.client.attempts(&vec![Attempt::new("guarded", user, "wrong").from(FROM); times]) {
            assert!(!outcome.entered() && outcome.took < PATIENCE, "{outcome:?}");
        }
    }

    fn opens(&self, user: &str) -> bool {
        let outcome = self.client.attempt(&Attempt::new("guarded", user, &password_of(user)).from(FROM));
        assert!(outcome.took < PATIENCE, "{outcome:?}");
        outcome.entered()
    }

    /// Lines of the log with this text, that are at least this loud.
    fn logged(&self, text: &str, priority: &str) -> usize {
        let shown = self.host.journalctl(&["--output=cat", "--priority", priority]).ok();
        shown.stdout.lines().filter(|line| line.contains(text)).count()
    }

    /// Something else lies where the tally of alice should, which is put there by this line of a shell: it is not counted, and
    /// said.
    fn cannot_count(&self, line: &str) {
        self.host.sh(&format!("cd {TALLIES}; rm -rf 1000; {line}")).ok();
        let before = self.logged("NOT COUNTED", "alert");
        self.guess("alice", 5);
        assert!(self.opens("alice"), "{line}");
        assert!(self.logged("NOT COUNTED", "alert") > before, "{line}");
        self.host.run(&["rm", "-rf", &format!("{TALLIES}/1000")]).ok();
    }
}

on_each_release!(
    fn what_cannot_be_counted_locks_nobody_out(host: &Host) {
        let door = Door::of(host, 3);
        host.run(&["systemctl", "stop", "lockdownd.socket", "lockdownd.service"]).ok();
        // A link, a directory, a pipe, a file that others may write, none.
        host.write("/root/precious", "precious");
        for line in
            ["ln -s /root/precious 1000", "mkdir 1000", "mkfifo 1000", "install -m 0666 /dev/null 1000"]
        {
            door.cannot_count(line);
        }
        assert_eq!(host.read("/root/precious"), "precious");
        host.run(&["mv", TALLIES, "/root/tallies"]).ok();
        door.guess("alice", 5);
        assert!(door.opens("alice"));
        host.run(&["test", "-e", TALLIES]).fails();
        host.run(&["mv", "/root/tallies", TALLIES]).ok();

        // A full disk. A lock from before stands.
        host.sh(&format!("mount -t tmpfs -o size=8k,mode=0700 tmpfs {TALLIES}")).ok();
        door.guess("bob", 3);
        host.sh(&format!("dd if=/dev/zero of={TALLIES}/filler bs=4k")).fails().says("No space left");
        let before = door.logged("NOT COUNTED", "alert");
        door.guess("alice", 5);
        assert!(door.opens("alice") && !door.opens("bob"));
        assert!(door.logged("NOT COUNTED", "alert") > before);
        host.run(&["rm", &format!("{TALLIES}/filler")]).ok();
        door.guess("alice", 3);
        assert!(!door.opens("alice"), "with room again");
        host.run(&["umount", TALLIES]).ok();

        // Somebody keeps the file to himself, and is stopped.
        door.guess("alice", 2);
        host.sh(&format!("flock {TALLIES}/1000 sleep 100 & sleep 0.2")).ok();
        door.guess("alice", 1);
        assert!(!door.opens("alice"), "counted all the same");
        assert_eq!(host.tally(1000).count(), 3);
    }
);

on_each_release!(
    fn damage_switches_nothing_off(host: &Host) {
        let door = Door::of(host, 3);
        host.run(&["systemctl", "stop", "lockdownd.socket", "lockdownd.service"]).ok();
        // The settings: the defaults hold, and that is said.
        let good = host.read_bytes(SETTINGS);
        let mut flipped = good.clone();
        flipped[40] ^= 1;
        let damages: [&dyn Fn(); 4] = [
            &|| host.write(SETTINGS, &flipped),
            &|| host.write(SETTINGS, &good[..good.len() / 2]),
            &|| host.write(SETTINGS, ""),
            &|| {
                host.write(SETTINGS, &good);
                host.run(&["chmod", "0666", SETTINGS]).ok();
            },
        ];
        for (number, damage) in damages.iter().enumerate() {
            damage();
            let before = door.logged("goes on with the default settings", "err");
            door.guess("alice", 9);
            assert!(door.opens("alice"), "{number}: nine of ten");
            door.guess("alice", 10);
            assert!(!door.opens("alice"), "{number}: ten of ten");
            assert!(door.logged("goes on with the default settings", "err") > before, "{number}");
            host.run(&["rm", &format!("{TALLIES}/1000")]).ok();
        }
        host.sh(&format!("rm {SETTINGS}")).ok();
        host.write(SETTINGS, &good);
        host.run(&["chmod", "0600", SETTINGS]).ok();

        // The tally: what is damaged of it is lost, and nothing else.
        let tally = format!("{TALLIES}/1000");
        door.guess("alice", 2);
        host.sh(&format!("printf x | dd of={tally} bs=1 seek=40 conv=notrunc")).ok();
        assert_eq!(host.tally(1000).failures().count(), 1);
        door.guess("alice", 1);
        assert!(door.opens("alice"), "two of three can be read");
        door.guess("alice", 3);
        assert!(!door.opens("alice"));
        for line in ["head -c 100 /dev/urandom > 1000", "head -c 1000000 /dev/urandom > 1000", ": > 1000"] {
            host.sh(&format!("cd {TALLIES}; {line}; chmod 0600 1000")).ok();
            door.guess("alice", 2);
            assert!(door.opens("alice"), "{line}");
            door.guess("alice", 3);
            assert!(!door.opens("alice"), "{line}");
        }

        // No settings: there is no attack protection, and what is locked is not.
        host.run(&["rm", SETTINGS]).ok();
        door.guess("alice", 12);
        assert!(door.opens("alice"));
    }
);

on_each_release!(
    fn names_that_want_to_be_more_do_no_harm(host: &Host) {
        let door = Door::of(host, 3);
        let long = "x".repeat(10_000);
        let forged = format!("alice\n{FORGED}");
        let names = [
            forged.as_str(),
            "\u{1b}[2Jalice",
            "../1000",
            "/etc/passwd",
            "1000",
            "uid:1000",
            "-x",
            " ",
            "%s%n",
            "alice\u{202e}",
            &long,
        ];
        let wrong = |user: &str| Attempt::new("guarded", user, "wrong");
        let mut attempts: Vec<Attempt> = names.iter().map(|name| wrong(name).from(FROM)).collect();
        attempts.extend(names.iter().flat_map(|name| [wrong("bob").from(name), wrong("bob").by(name)]));
        for outcome in door.client.attempts(&attempts) {
            assert!(!outcome.entered() && outcome.heard == ["Password: "], "{outcome:?}");
        }
        // No name makes a file, but accounts: bob, and nobody, who has the attempts of all of them.
        assert_eq!(host.run(&["ls", TALLIES]).ok().text(), format!("1001\n{NOBODYS_UID}"));
        assert_eq!(host.tally(NOBODYS_UID).count(), names.len() as u64);
        assert!(host.tally(NOBODYS_UID).failures().all(|failure| failure.standing == Standing::NotCounted));
        assert_eq!(host.tally(1001).count(), 2 * names.len() as u64);
        assert!(door.opens("bob") && door.opens("alice"));
        for shown in [&["failures", "bob"][..], &["events", "--user", "bob"], &["status", "bob"]] {
            let shown = host.lockdownctl(shown).ok();
            assert!(!shown.stdout.contains(['\u{1b}', '\u{202e}']), "{shown}");
            assert!(!shown.stdout.lines().any(|line| line.starts_with(FORGED)), "{shown}");
        }
        assert!(host.ask_lockdown(&["failures", "bob"]).to_string().contains("alice\\nlock account=bob"));
        // By other doors as well.
        host.ssh(&forged).password("wrong").run("true").code(255);
        host.ssh("../1000").password("wrong").run("true").code(255);
        let journal = host.journalctl(&["--output=cat", "--all", "--grep", "pam_lockdown|lockdownd"]);
        assert!(!journal.stdout.contains('\u{1b}') && !journal.stdout.contains('\u{202e}'), "{journal}");
        assert!(!journal.stdout.lines().any(|line| line.trim_start().starts_with(FORGED)), "{journal}");
    }
);

on_each_release!(
    /// It can neither read nor write a tally, and who locked that screen is on the host already.
    fn a_screen_locker_opens_with_the_password(host: &Host) {
        let door = Door::of(host, 3);
        for attempt in
            [Attempt::new("guarded", "alice", "wrong"), Attempt::new("guarded", "alice", "wrong").by("alice")]
        {
            door.client.attempts(&vec![attempt; 3]);
        }
        let locker = |password: &str| {
            host.command(&["pamtester", "guarded", "alice", "authenticate", "acct_mgmt"])
                .as_user("alice")
                .stdin(format!("{password}\n"))
                .run()
        };
        locker("wrong").fails().says_not("locked");
        locker(&password_of("alice")).ok();
        assert_eq!(host.tally(1000).count(), 6);
    }
);
