//! Logins that come as fast as they can while an account is locked down: none that begins after the call has returned
//! gets in, and nothing of it lives on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lockdown_tests::{Host, Session, eventually, on_each_release, wait::poll};

const ROUNDS: u32 = 100;
const LOOPS: usize = 8;
/// Logins of each round that begin after the call has returned, at least.
const TRIES: usize = 4;
const SOON: Duration = Duration::from_secs(20);
/// After the call has returned, nothing of hers may live for longer.
const GRACE: Duration = Duration::from_secs(1);

/// Logs in by key, leaves something running, and notes when it began and whether it got in; again and again.
const LOGINS: &str = r#"
    while :; do
        began=$(date +%s%N)
        said=$(ssh -oBatchMode=yes -oIdentitiesOnly=yes -i /home/alice/.ssh/id_ed25519 alice@127.0.0.1 \
            'echo in; setsid --fork sleep 100 </dev/null >/dev/null 2>&1' 2>/dev/null)
        echo "$began $said" >> /run/logins
    done
"#;

/// A login that was attempted and has ended.
struct Attempt {
    began: u128,
    got_in: bool,
}

/// All that have ended, in that order.
fn attempts(host: &Host) -> Vec<Attempt> {
    let lines = host.read("/run/logins");
    let attempt = |line: &str| {
        let mut words = line.split(' ');
        Some(Attempt { began: words.next()?.parse().ok()?, got_in: words.next() == Some("in") })
    };
    lines.lines().filter_map(attempt).collect()
}

/// Nanoseconds of the clock that the host has, too.
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_nanos()
}

on_each_release!(
    fn no_login_gets_in_after_the_call_has_returned(host: &Host) {
        host.write("/run/logins", "");
        let _loops: Vec<Session> = (0..LOOPS).map(|_| host.terminal(&["bash", "-c", LOGINS])).collect();
        for round in 0..ROUNDS {
            // Some get in while nothing stands against it, or there would be no race.
            let before = attempts(host).len();
            eventually(SOON, || attempts(host)[before..].iter().any(|attempt| attempt.got_in));

            let result = host.lock_down_wholly("alice");
            let returned = now();
            let left = poll(GRACE, || host.belongings_of(1000).is_empty().then_some(()));
            assert!(left.is_some(), "round {round}: {}\n{result:#}", host.belongings_of(1000));
            eventually(SOON, || {
                let later = attempts(host).into_iter().filter(|attempt| attempt.began > returned);
                let (in_again, refused): (Vec<_>, Vec<_>) = later.partition(|attempt| attempt.got_in);
                assert!(
                    in_again.is_empty(),
                    "round {round}: got in {} ns late\n{result:#}",
                    in_again[0].began - returned
                );
                refused.len() >= TRIES
            });
            // sshd reads her keys with her uid, for a moment, of a login that it is going to refuse.
            let back = poll(GRACE, || host.belongings_of(1000).is_empty().then_some(()));
            assert!(back.is_some(), "round {round}: came back: {}\n{result:#}", host.belongings_of(1000));
            host.undo("alice");
        }
    }
);
