//! What was acknowledged stays true: through crashes of the daemon, full disks and damaged files.

use std::collections::BTreeMap;
use std::time::Duration;

use lockdown_tests::{Host, Output, eventually, on_each_release};

const SOON: Duration = Duration::from_secs(10);
const DENY: &str = "/var/lib/lockdown/deny";
const DATABASE: &str = "/var/lib/lockdown/lockdown.db";
const AGREE: &str = "aa{sv} 0";

/// What PAM says about an account, asked by root.
fn check(host: &Host, account: &str) -> Output {
    host.run(&["pamtester", "su", account, "acct_mgmt"])
}

/// xorshift64* of Marsaglia and Vigna; the state must not be 0.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % limit
    }
}

/// What the acknowledged calls have made of an account; `None` where a call got no answer, so that either is right.
#[derive(Clone, Debug)]
struct Known {
    /// The reason of the lock that stands, if one does.
    lock: Option<Option<String>>,
    valid_until: Option<i64>,
}

/// One random call; what is known afterwards.
fn call(host: &Host, account: &str, number: u32, random: &mut Random, known: &mut Known) {
    let reason = format!("call {number}");
    let year = 2030 + random.below(60);
    let at = format!("{year}-01-01");
    match random.below(4) {
        0 => {
            let answer = host.lockdownctl(&["lock", account, "--indefinite", "--reason", &reason]);
            known.lock = answer.succeeded().then_some(Some(reason));
        }
        1 => {
            let answer = host.lockdownctl(&["unlock", account]);
            let is_open = answer.succeeded() || answer.stderr.contains("is not locked");
            assert!(
                answer.succeeded() || !is_open || !matches!(known.lock, Some(Some(_))),
                "a lock was lost: {answer}"
            );
            known.lock = is_open.then_some(None);
        }
        2 => {
            let answer = host.lockdownctl(&["expire", account, "--at", &at]);
            let moment = host.run(&["date", "--date", &at, "+%s"]).ok();
            known.valid_until = answer.succeeded().then(|| moment.text().parse().expect("Unix seconds"));
        }
        _ => known.valid_until = host.lockdownctl(&["expire", account, "--never"]).succeeded().then_some(0),
    }
}

/// Store, records and PAM say the same, and what is known.
fn verify(host: &Host, known: &BTreeMap<&str, Known>) {
    assert_eq!(host.drifts(), AGREE);
    for (account, known) in known {
        let status = host.ask_lockdown(&["status", account]);
        let reason = status["locks"].get(0).map(|lock| lock["reason"].as_str().expect("a reason").to_owned());
        if let Some(expected) = &known.lock {
            assert_eq!(&reason, expected, "{status:#}");
        }
        if let Some(expected) = known.valid_until {
            assert_eq!(status["valid_until"], expected, "{status:#}");
        }
        assert_eq!(check(host, account).succeeded(), reason.is_none(), "PAM disagrees with {status:#}");
    }
}

on_each_release!(
    fn every_acknowledged_call_is_true_after_crashes(host: &Host) {
        let accounts = ["alice", "bob", "dora", "emil", "frida"];
        for account in &accounts[2..] {
            host.run(&["useradd", account]).ok();
        }
        let unlocked = Known { lock: Some(None), valid_until: Some(0) };
        let mut known: BTreeMap<&str, Known> =
            accounts.iter().map(|&account| (account, unlocked.clone())).collect();
        // So that the calls need not wait a second for every restart.
        host.sh("
            mkdir /run/systemd/system/lockdownd.service.d
            printf '[Service]\nRestartSec=50ms\n' > /run/systemd/system/lockdownd.service.d/soon.conf
            systemctl daemon-reload
        ")
            .ok();
        let seed = u64::from(host.pid1()) | 1;
        eprintln!("seed {seed}");
        let mut random = Random(seed);
        for round in 0..4 {
            // Some calls end before the next kill, some do not.
            let killer = host.terminal(&[
                "bash",
                "-c",
                "while :; do sleep 0.$((RANDOM % 4))$((RANDOM % 10)); pkill -KILL -x lockdownd; done",
            ]);
            for number in 0..50 {
                let account = accounts[usize::try_from(random.below(5)).expect("small")];
                let known = known.get_mut(account).expect("one of them");
                call(host, account, round * 50 + number, &mut random, known);
            }
            drop(killer);
            verify(host, &known);
        }
        let kills = host.journal(Some("lockdownd")).matches("status=9/KILL").count();
        assert!(kills >= 10, "only {kills} kills");
    }
);

on_each_release!(
    fn a_full_disk_loses_nothing_acknowledged(host: &Host) {
        host.lockdownctl(&["lock", "bob", "--indefinite"]).ok();
        host.sh("
            systemctl stop lockdownd
            cp -a /var/lib/lockdown /root/lockdown
            mount -t tmpfs -o size=1M,mode=0700 tmpfs /var/lib/lockdown
            cp -a /root/lockdown/. /var/lib/lockdown/
            systemctl start lockdownd
        ")
            .ok();
        let filler = "/var/lib/lockdown/filler";
        host.run(&["dd", "if=/dev/zero", &format!("of={filler}"), "bs=1k"]).fails().says("No space left");
        // At first nothing can be written, then the database but not the record, then all.
        let mut refusals = 0;
        while let refused @ Output { status: 1.., .. } = host.lockdownctl(&["lock", "alice", "--indefinite"])
        {
            assert!(
                refused.stderr.contains("No space left") || refused.stderr.contains("is full"),
                "{refused}"
            );
            refusals += 1;
            assert!(refusals < 50, "it never works again");
            check(host, "alice").ok();
            assert_eq!(host.drifts(), AGREE);
            assert_eq!(host.ask_lockdown(&["status", "alice"])["locked"], false);
            host.run(&["truncate", "--size=-4K", filler]).ok();
        }
        assert!(refusals > 1, "the disk was not full");
        for account in ["alice", "bob"] {
            check(host, account).fails().says("This account is locked");
        }
        host.run(&["rm", filler]).ok();
        host.kill_daemon();
        for account in ["alice", "bob"] {
            assert_eq!(host.ask_lockdown(&["status", account])["locked"], true);
            host.lockdownctl(&["unlock", account]).ok();
            check(host, account).ok();
        }
    }
);

on_each_release!(
    fn a_damaged_record_denies_its_account_until_it_is_mended(host: &Host) {
        for damage in [
            "truncate --size=20 1000",
            "printf X | dd of=1000 bs=1 seek=30 conv=notrunc status=none",
            "chown bob 1000",
            "chmod 666 1000",
            "mv 1000 /root/record; ln -s /root/record 1000",
            "rm 1000; mkdir 1000; touch 1000/file",
            "rm 1000; mkfifo 1000",
            "cp 1000 1002",
        ] {
            // The store knows no carol.
            let (account, named) =
                if damage.ends_with("1002") { ("carol", "uid 1002") } else { ("alice", "alice") };
            host.lockdownctl(&["lock", "alice", "--indefinite"]).ok();
            let drifts =
                || host.ask_lockdown(&["events", "--action", "record-drift"]).as_array().map_or(0, Vec::len);
            let before = drifts();
            host.sh(&format!("cd {DENY}; {damage}")).ok();
            // Whose record cannot be believed is refused whatever it says, locked or not.
            check(host, account).fails().says("tell the administrator");
            for other in ["root", "bob"] {
                check(host, other).ok();
            }
            host.lockdownctl(&["doctor"]).code(1).says(named).says("differ from the store");
            host.run(&["systemctl", "restart", "lockdownd"]).ok();
            assert_eq!(host.drifts(), AGREE, "{damage}");
            check(host, "alice").fails().says("This account is locked");
            check(host, "carol").ok();
            assert_eq!(drifts(), before + 1, "{damage}");
            host.lockdownctl(&["unlock", "alice"]).ok();
            check(host, "alice").ok();
        }
    }
);

on_each_release!(
    fn without_the_directory_of_records_only_root_comes_in(host: &Host) {
        host.lockdownctl(&["lock", "alice", "--indefinite"]).ok();
        host.run(&["rm", "-r", DENY]).ok();
        for account in ["alice", "bob"] {
            check(host, account).fails().says("tell the administrator");
        }
        check(host, "root").ok();
        host.ssh("root").run("true").ok();
        host.lockdownctl(&["doctor"]).code(1);
        host.run(&["systemctl", "restart", "lockdownd"]).ok();
        check(host, "alice").fails().says("This account is locked");
        check(host, "bob").ok();
        assert_eq!(host.drifts(), AGREE);
    }
);

on_each_release!(
    fn a_database_that_cannot_be_used_stops_the_daemon_and_nothing_else(host: &Host) {
        host.lockdownctl(&["lock", "alice", "--indefinite"]).ok();
        host.run(&["systemctl", "stop", "lockdownd"]).ok();
        host.sh(&format!("cp -a {DATABASE} /root/good.db")).ok();
        for (damage, complaint) in [
            (format!("dd if=/dev/urandom of={DATABASE} bs=1k count=4 conv=notrunc status=none"), "damaged"),
            (
                format!("dd if=/dev/urandom of={DATABASE} bs=1k seek=4 count=8 conv=notrunc status=none"),
                "damaged",
            ),
            (format!("sqlite3 {DATABASE} 'PRAGMA user_version = 999'"), "newer version"),
            (format!("rm {DATABASE}"), "missing"),
        ] {
            host.sh(&damage).ok();
            host.run(&["systemctl", "start", "lockdownd"]).fails();
            let status = ["systemctl", "show", "--value", "--property=ExecMainStatus", "lockdownd"];
            assert_eq!(host.run(&status).ok().text(), "78", "{damage}");
            assert!(host.journal(Some("lockdownd")).contains(complaint), "{damage}");
            check(host, "alice").fails().says("This account is locked");
            host.ssh("bob").run("true").ok();
            host.lockdownctl(&["status", "alice"]).code(5);

            host.sh(&format!(
                "rm -f {DATABASE}*; cp -a /root/good.db {DATABASE}; systemctl reset-failed lockdownd"
            ))
            .ok();
            host.run(&["systemctl", "start", "lockdownd"]).ok();
            assert_eq!(host.ask_lockdown(&["status", "alice"])["locked"], true);
            assert_eq!(host.drifts(), AGREE);
            host.run(&["systemctl", "stop", "lockdownd"]).ok();
        }
        host.run(&["systemctl", "start", "lockdownd"]).ok();
        eventually(SOON, || host.lockdownctl(&["unlock", "alice"]).succeeded());
        check(host, "alice").ok();
    }
);

on_each_release!(
    /// PID 1 would wait for ever for what it starts in a frozen slice.
    fn a_slice_that_a_killed_daemon_left_frozen_thaws(host: &Host) {
        let alice = host.ssh_session("alice");
        let frozen = "/sys/fs/cgroup/user.slice/user-1000.slice/cgroup.freeze";
        host.run(&["systemctl", "stop", "lockdownd.socket", "lockdownd.service"]).ok();
        host.sh(&format!("echo 1 > {frozen}")).ok();
        host.run(&["systemctl", "start", "lockdownd"]).ok();
        assert_eq!(host.read(frozen), "0\n");
        alice.ask("id -un").ok().says("alice");
    }
);
