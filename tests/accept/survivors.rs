//! What survives the commands of today: every kind runs before a lockdown, none afterwards, and none comes back. What
//! others run of the same kinds goes on.

mod kinds;
mod stage;

use std::time::Duration;

use kinds::{KINDS, Sign};
use lockdown_tests::{Host, on_each_release, wait::poll};
use stage::{ALICE, BOB, RAN, Running, Stage};

const CALL: &[&str] = &["--json", "lockdown", "alice", "--reason", "test", "--yes"];

const SOON: Duration = Duration::from_secs(20);
const NONE_COMES_BACK: Duration = Duration::from_secs(15);
/// By what the process in the container of another is known: how long it sleeps.
const CONTAINED: &str = "9001";
/// cron and at look at their jobs at full minutes.
const MINUTE: u64 = 60;

/// The names of those that run.
fn alive(host: &Host, kinds: &[Running]) -> Vec<&'static str> {
    let commands = host.commands();
    kinds.iter().filter(|kind| kind.is_alive(&commands)).map(|kind| kind.name).collect()
}

/// Panics unless all kinds run that do not wait for a full minute.
#[track_caller]
fn all_run(host: &Host, kinds: &[Running]) {
    let mut missing: Vec<&str> = Vec::new();
    let all = || {
        let alive = alive(host, kinds);
        let expected = KINDS.iter().filter(|kind| kind.sign != Sign::Later).map(|kind| kind.name);
        missing = expected.filter(|kind| !alive.contains(kind)).collect();
        missing.is_empty().then_some(())
    };
    assert!(poll(SOON, all).is_some(), "these do not run: {missing:?}");
}

/// What is left of alice's, one a line, but for what only has her number.
fn left(host: &Host) -> Vec<String> {
    let left = host.belongings_of(1000);
    left.lines().filter(|line| !line.ends_with(&format!("sleep {CONTAINED}"))).map(str::to_owned).collect()
}

/// How long to watch: none may come back, and what was to run at the next full minute would have run.
fn watch(host: &Host) -> Duration {
    let now: u64 = host.run(&["date", "+%s"]).ok().text().parse().expect("Unix seconds");
    NONE_COMES_BACK.max(Duration::from_secs(MINUTE - now % MINUTE + 3))
}

/// A process of kernel uid 1000 in a container of root's: not alice's, though she has that number here.
fn start_container_of_another(host: &Host) {
    let init = ["unshare", "--pid", "--fork", "--mount-proc", "setpriv", "--reuid=1000", "--clear-groups"];
    let unit = ["systemd-run", "--quiet", "--unit=box", "--slice=machine.slice"];
    host.run(&[&unit[..], &init, &["sleep", CONTAINED]].concat()).ok();
}

on_each_release!(
    fn none_survives_none_comes_back_and_those_of_others_go_on(host: &Host) {
        stage::prepare(host);
        start_container_of_another(host);
        let (bob, alice) = (Stage::set(host, BOB), Stage::set(host, ALICE));
        let (his, hers) = (bob.start(KINDS), alice.start(KINDS));
        all_run(host, &his);
        all_run(host, &hers);

        let answer = host.lockdownctl(CALL).ok();
        assert_eq!(left(host), [""; 0], "after the call has returned: {answer}");
        assert_eq!(alive(host, &hers), [""; 0], "after the call has returned: {answer}");
        let comes_back = || {
            let (back, left) = (alive(host, &hers), left(host));
            (!back.is_empty() || !left.is_empty()).then(|| format!("{back:?} {left:?}"))
        };
        assert_eq!(poll(watch(host), comes_back), None, "came back: {answer}");

        all_run(host, &his);
        let files = host.run(&["ls", RAN]).ok().stdout;
        let ran =
            |kinds: &[Running]| kinds.iter().filter_map(|kind| kind.has_run(&files)).collect::<Vec<_>>();
        assert_eq!((ran(&hers), ran(&his)), (vec![false; 2], vec![true; 2]), "jobs of cron and at: {files}");
        assert!(
            host.commands().contains(&format!("sleep {CONTAINED}")),
            "the container of another has ended"
        );
        bob.shell("id -un");
        for service in ["ssh", "cron", "atd", "systemd-logind", "user@1001"] {
            host.run(&["systemctl", "is-active", service]).ok();
        }
    }
);
