//! What is still there after an account was closed.

use lockdown_tests::Host;

use crate::Way;

/// What alice leaves running: the kind, what starts it as her in a shell, and the number by which it is known again.
const KINDS: [(&str, &str, u32); 8] = [
    ("setsid", "setsid --fork sleep 7101", 7101),
    ("user service", "systemd-run --user --quiet --property=Restart=always sleep 7102", 7102),
    ("root daemon left by sudo and setsid", "sudo -n setsid --fork sleep 7103", 7103),
    (
        "root daemon in another control group",
        "sudo -n sh -c 'echo $$ > /sys/fs/cgroup/system.slice/cron.service/cgroup.procs; exec setsid --fork sleep 7104'",
        7104,
    ),
    ("process of sudo -u bob", "setsid --fork sudo -n -u bob sleep 7105", 7105),
    (
        "process under a subordinate uid",
        "setsid --fork unshare --map-root-user --map-auto setpriv --reuid=5 --clear-groups sleep 7106",
        7106,
    ),
    (
        "system service with User=alice",
        "sudo -n systemd-run --quiet --uid=alice --property=Restart=always sleep 7107",
        7107,
    ),
    ("setuid program of root's", "setsid --fork /srv/setpriv --reuid=root sleep 7108", 7108),
];

/// What lets her in or has something run later: the kind, and what succeeds as long as it is there.
const TOKENS: [(&str, &str); 6] = [
    ("authorized keys", "test -s /home/alice/.ssh/authorized_keys"),
    ("crontab", "crontab -u alice -l"),
    ("at jobs", "test -n \"$(find /var/spool/cron/atjobs -user alice -type f)\""),
    ("lingering", "test -e /var/lib/systemd/linger/alice"),
    ("sudo ticket", "test -e /run/sudo/ts/alice -o -e /run/sudo/ts/1000"),
    ("shared memory", "ipcs --shmems | grep --word-regexp alice"),
];

/// Lets alice do all of it, closes her account this way, and names what is left a second later.
pub fn by(host: &Host, way: Way) -> Vec<&'static str> {
    host.sh("install --mode=4755 /usr/bin/setpriv /srv/setpriv; loginctl enable-linger alice").ok();
    host.write(
        "/etc/sudoers.d/ticket",
        "Defaults:alice timestamp_type=global\nalice ALL=(carol) PASSWD: ALL\n",
    );
    let shell = host.ssh_session("alice");
    for (_, start, _) in KINDS {
        shell.ask(&format!("{start} </dev/null >/dev/null 2>&1")).ok();
    }
    shell.ask("echo '@yearly true' | crontab -; echo true | at now + 3 days; ipcmk --shmem 4096").ok();
    shell.ask("echo alice-secret-7 | sudo --stdin --prompt= -u carol true").ok();
    let is_there = |check: &str| host.run(&["sh", "-c", &format!("{check} >/dev/null 2>&1")]).succeeded();
    // systemd starts it by its path.
    let runs = |number: u32| {
        let sleeps = [format!("sleep {number}"), format!("/usr/bin/sleep {number}")];
        host.commands().iter().any(|command| sleeps.contains(command))
    };
    for (kind, _, number) in KINDS {
        assert!(
            lockdown_tests::wait::poll(std::time::Duration::from_secs(10), || runs(number).then_some(()))
                .is_some(),
            "{kind} does not run"
        );
    }
    for (token, check) in TOKENS {
        assert!(is_there(check), "there is no {token}");
    }

    host.sh(way.command()).says_not("not authorised");
    host.run(&["sleep", "1"]).ok();
    let mut left: Vec<&str> =
        KINDS.iter().filter(|(_, _, number)| runs(*number)).map(|(kind, ..)| *kind).collect();
    left.extend(TOKENS.iter().filter(|(_, check)| is_there(check)).map(|(token, _)| *token));
    let _ = host.sh(way.undo());
    left
}
