use super::*;

/// 2026-11-21 03:12:00 UTC
const START: u64 = 1_795_230_720_000_000;

fn seconds(seconds: u64) -> u64 {
    START + seconds * 1_000_000
}

fn rise(at: u64, until: Option<u64>, command: &str) -> Rise {
    Rise { at: seconds(at), until: until.map(seconds), tool: "sudo".into(), command: Some(command.into()) }
}

fn transient(started: u64) -> Facts {
    Facts { unit: "run-u7.service".into(), transient: true, started: seconds(started), ..Facts::default() }
}

fn file(changed: u64, started: u64) -> Facts {
    let changed = Some((seconds(changed), "/etc/systemd/system/app.service".to_owned()));
    Facts { unit: "app.service".into(), changed, started: seconds(started), ..Facts::default() }
}

fn of_alice(unit: &Facts, rises: &[Rise]) -> Option<String> {
    evidence(unit, rises, "alice")
}

#[test]
fn a_command_that_starts_units_explains_the_one_that_starts_next() {
    let rises = [
        rise(0, Some(1), "/usr/bin/id"),
        rise(6, Some(8), "/usr/bin/systemd-run sleep 9"),
        rise(7, None, "/bin/bash"),
    ];
    assert_eq!(
        of_alice(&transient(7), &rises).as_deref(),
        Some(
            "transient, started 2026-11-21 03:12:07 UTC, 1 s after alice ran `sudo /usr/bin/systemd-run sleep 9`"
        )
    );
    let named =
        [rise(0, None, "/bin/bash"), rise(5, Some(5), "/usr/bin/tee /etc/systemd/system/app.service")];
    let evidence = of_alice(&file(5, 6), &named).unwrap();
    assert!(
        evidence.starts_with("/etc/systemd/system/app.service changed 2026-11-21 03:12:05 UTC, "),
        "{evidence}"
    );
    assert!(evidence.contains("1 s after alice ran `sudo /usr/bin/tee "), "{evidence}");
}

#[test]
fn otherwise_it_is_the_root_shell_that_was_open_or_the_last_one() {
    let open = [rise(0, None, "/bin/bash"), rise(1, Some(2), "/usr/bin/id")];
    let evidence = of_alice(&transient(60), &open).unwrap();
    assert!(
        evidence.ends_with("while `sudo /bin/bash` of alice was running, from 2026-11-21 03:12:00 UTC"),
        "{evidence}"
    );
    let closed = [rise(0, Some(1), "/usr/bin/systemctl start x"), rise(2, Some(3), "/usr/bin/id")];
    let evidence = of_alice(&transient(60), &closed).unwrap();
    assert!(evidence.ends_with("after `sudo /usr/bin/id` of alice at 2026-11-21 03:12:02 UTC"), "{evidence}");
}

#[test]
fn what_was_there_before_she_was_root_or_runs_as_another_is_no_suspect() {
    let rises = [rise(10, None, "/bin/bash")];
    assert!(of_alice(&transient(10), &rises).is_some());
    assert_eq!(of_alice(&transient(9), &rises), None);
    assert_eq!(of_alice(&transient(10), &[]), None);
    assert_eq!(of_alice(&Facts { user: "www-data".into(), ..transient(10) }, &rises), None);
    assert!(of_alice(&Facts { user: "root".into(), ..transient(10) }, &rises).is_some());
    assert!(of_alice(&file(10, 11), &rises).is_some());
    assert_eq!(of_alice(&file(9, 11), &rises), None, "changed before");
    assert_eq!(of_alice(&file(11, 9), &rises), None, "started before");
    assert_eq!(of_alice(&Facts { started: 0, ..file(11, 0) }, &rises), None, "never started");
}

#[test]
fn evidence_is_fit_for_a_terminal() {
    let rises = [rise(0, None, "/bin/systemctl \u{1b}[2J")];
    let evidence = evidence(&transient(1), &rises, "al\nice").unwrap();
    assert!(!evidence.contains(char::is_control), "{evidence}");
}

#[test]
fn this_daemon_is_no_suspect_of_its_own() {
    let named = |unit: &str| Facts { unit: unit.into(), ..transient(1) };
    let units = vec![named("z.timer"), named("lockdownd.service"), named("a.service")];
    let names: Vec<String> =
        judge(units, &[rise(0, None, "id")], "alice").into_iter().map(|suspect| suspect.unit).collect();
    assert_eq!(names, ["a.service", "z.timer"]);
}
