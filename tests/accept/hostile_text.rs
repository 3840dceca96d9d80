//! Text that tries to be more than text: names that cannot be, reasons and messages with line breaks and escape sequences.

use lockdown_tests::{Host, on_each_release};

/// What an event of the journal would look like, for somebody to forge.
const FORGED: &str = "lock account=bob target=lock:9 owner=operator";
const REASON: &str = "he said \"so\"\nlock account=bob target=lock:9 owner=operator\u{1b}[2J\u{7} \\ ü";
const MESSAGE: &str = "Call \"us\"\u{1b}[2J\nlockdownctl: unlocked\u{7}";
/// What would be escape sequences or the bell on a terminal.
const CONTROLS: [char; 2] = ['\u{1b}', '\u{7}'];

/// Lines of the journal that begin with the forged text, as one of the daemon's own would.
fn forged_lines(host: &Host) -> Vec<String> {
    let messages = host.journalctl(&["--output=cat", "--all"]).ok().stdout;
    messages.lines().filter(|line| line.trim_start().starts_with(FORGED)).map(str::to_owned).collect()
}

on_each_release!(
    fn names_that_cannot_be(host: &Host) {
        let long = "x".repeat(10_000);
        let forged = format!("alice\n{FORGED}");
        let not_a_name = 2;
        let no_such_account = 3;
        for (name, code) in [
            ("alice\n", not_a_name),
            (forged.as_str(), not_a_name),
            ("al\u{1}ice", not_a_name),
            ("\u{1b}[2Jalice", not_a_name),
            ("../etc", not_a_name),
            ("uid:-1", not_a_name),
            (" ", not_a_name),
            (long.as_str(), not_a_name),
            (";$(id)", no_such_account),
            ("-x", no_such_account),
            ("alice\u{202e}", no_such_account),
        ] {
            for command in ["lock", "unlock", "status", "sessions", "end-sessions"] {
                let output = host.lockdownctl(&[command, "--", name]).code(code);
                let line = output.stderr.trim_end_matches('\n');
                assert!(line.starts_with("lockdownctl: "), "{output}");
                assert!(
                    !line.contains(|c: char| c.is_control() || c == '\u{202e}') && line.len() < 500,
                    "{output}"
                );
            }
            let refused = host.run_as("bob", &["lockdownctl", "lock", "--", name]).fails();
            assert!(!refused.stderr.contains(CONTROLS), "{refused}");
        }
        host.lockdownctl(&["lock", "-x"]).code(2);

        assert_eq!(forged_lines(host), Vec::<String>::new());
        // Nothing was done to anybody, so there is nothing to tell.
        host.lockdownctl(&["events"]).ok().says("no events");
        assert!(!host.journal(Some("lockdownd")).contains(CONTROLS));
    }
);

on_each_release!(
    fn reasons_and_messages_are_kept_and_do_no_harm(host: &Host) {
        host.lockdownctl(&["lock", "alice", "--reason", REASON, "--message", MESSAGE]).ok();

        // Raw for programs ...
        let status = host.ask_lockdown(&["status", "alice"]);
        assert_eq!(
            (&status["locks"][0]["reason"], &status["locks"][0]["message"]),
            (&REASON.into(), &MESSAGE.into())
        );
        let event = &host.events_about("alice", "lock")[0];
        assert_eq!((&event["reason"], &event["input"]["message"]), (&REASON.into(), &MESSAGE.into()));
        // ... and escaped for people and logs, each on a line of its own.
        for args in [["status", "alice"], ["events", "--user=alice"]] {
            let table =
                host.lockdownctl(&args).ok().says("he said \"so\"\\nlock account=bob").says("\\u{1b}[2J");
            assert!(!table.stdout.contains(CONTROLS), "{table}");
        }
        assert_eq!(forged_lines(host), Vec::<String>::new());
        let journal = host.journalctl(&["--unit=lockdownd", "--all", "--output=cat"]).ok();
        assert!(
            journal.stdout.contains("lock account=alice") && !journal.stdout.contains(CONTROLS),
            "{journal}"
        );

        // The message keeps its lines, and no more.
        for refused in [host.ssh("alice").run("true"), host.run(&["su", "alice", "-c", "true"])] {
            let refused = refused.fails().says("Call \"us\"");
            let shown = format!("{}{}", refused.stdout, refused.stderr);
            assert!(!shown.contains(CONTROLS), "{refused}");
            assert!(shown.contains("\nlockdownctl: unlocked"), "{refused}");
        }
    }
);

on_each_release!(
    fn text_that_is_too_long_or_no_text_is_refused(host: &Host) {
        let long = "x".repeat(2_000);
        for option in ["--reason", "--message"] {
            host.lockdownctl(&["lock", "alice", option, &long]).code(2).says("at most 1024");
        }
        host.sh(r"lockdownctl lock alice --reason $'\xff\xfe'").code(2);
        host.sh(r"lockdownctl lock $'al\xffice'").code(2);
        assert_eq!(host.ask_lockdown(&["status", "alice"])["locked"], false);
    }
);
