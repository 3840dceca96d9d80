//! A program of the site's, as smartd(8) runs them: what happened is in `LOCKDOWN_*` and, as JSON, on standard input.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path, process::Command, time::Duration};

use lockdown_delivery::{Item, Outcome, visible};
use rustix::process::geteuid;

use crate::{child, standard, text};

const LIMIT: Duration = Duration::from_secs(45);
/// Of a value in the environment, so many bytes.
const MAX_VALUE: usize = 8 * 1024;

pub(crate) fn deliver(item: &Item, command: &[String]) -> Outcome {
    let Some((program, arguments)) = command.split_first() else {
        return Outcome::retry("the rule's command is empty");
    };
    let shown = visible(program, 200);
    if let Err(why) = check(Path::new(program)) {
        return Outcome::retry(format!("{shown} is not run: {why}"));
    }
    let input = match standard::body(item) {
        Ok(mut json) => {
            json.push(b'\n');
            json
        }
        Err(error) => return Outcome::retry(error.to_string()),
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("PATH", child::PATH).envs(environment(item)).current_dir("/");
    match child::run(&mut command, &input, LIMIT) {
        Ok(ended) => match ended.problem(LIMIT) {
            None => Outcome::Delivered,
            Some(problem) => Outcome::retry(format!("{shown}: {problem}")),
        },
        Err(error) => Outcome::retry(format!("{shown} cannot be run: {error}")),
    }
}

/// Whoever can write to the program can do what it may do.
fn check(program: &Path) -> Result<(), String> {
    if !program.is_absolute() {
        return Err("its path does not begin with /".to_owned());
    }
    let status = fs::metadata(program).map_err(|error: io::Error| error.to_string())?;
    let owner = status.uid();
    let is_trusted = (owner == 0 || owner == geteuid().as_raw()) && status.mode() & 0o022 == 0;
    if !is_trusted {
        return Err("it is not root's, or others may write to it: chown root, chmod go-w".to_owned());
    }
    if status.is_file() { Ok(()) } else { Err("it is no file".to_owned()) }
}

/// Of a digest, the newest event.
fn environment(item: &Item) -> Vec<(String, String)> {
    let Some(event) = item.events.last() else { return Vec::new() };
    let named = [
        ("ACTION", event.action.clone()),
        ("SEVERITY", event.severity.clone()),
        ("USER", event.user.clone()),
        ("TARGET", event.target.clone()),
        ("OWNER", event.owner.clone()),
        ("REASON", event.reason.clone()),
        ("OUTCOME", event.outcome.clone()),
        ("ERROR", event.error.clone()),
        ("TIME", text::time(event.time)),
        ("EVENT_ID", event.id.to_string()),
        ("HOST", item.host.clone()),
        ("RULE", item.rule.clone()),
        ("MESSAGE_ID", item.id.clone()),
        ("TOTAL", item.total.to_string()),
        ("SUBJECT", text::subject(item)),
        ("MESSAGE", text::short(item)),
    ];
    let caller = event.caller.iter().filter(|(key, _)| is_key(key));
    let caller = caller.map(|(key, value)| (format!("CALLER_{}", key.to_ascii_uppercase()), value.clone()));
    let all = named.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(caller);
    all.map(|(name, value)| (format!("LOCKDOWN_{name}"), fit(value))).collect()
}

fn is_key(key: &str) -> bool {
    (1..=32).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

/// As execve(2) takes it.
fn fit(mut value: String) -> String {
    value.retain(|character| character != '\0');
    value.truncate(value.floor_char_boundary(MAX_VALUE));
    value
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;
    use crate::samples::{HOSTILE, digest, hostile, item, wall};

    fn run(script: &str, item: &Item) -> Outcome {
        deliver(item, &["/bin/sh".into(), "-c".into(), script.into(), "notify".into(), "$(exit 9) *".into()])
    }

    fn value(item: &Item, name: &str) -> String {
        let name = format!("LOCKDOWN_{name}");
        environment(item).into_iter().find(|(known, _)| *known == name).unwrap().1
    }

    #[test]
    fn a_program_gets_the_event() {
        let directory = tempfile::tempdir().unwrap();
        let script = format!(
            "cd {} && env > environment && cat > json && printf %s \"$1\" > argument",
            directory.path().display()
        );
        assert_eq!(run(&script, &item(wall())), Outcome::Delivered);
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        let environment = read("environment");
        for line in [
            "LOCKDOWN_ACTION=lockdown",
            "LOCKDOWN_USER=alice",
            "LOCKDOWN_REASON=phished",
            "LOCKDOWN_TIME=2026-11-21T10:00:00Z",
            "LOCKDOWN_CALLER_NAME=bob",
            "LOCKDOWN_CALLER_REMOTE_HOST=192.0.2.7",
            "LOCKDOWN_ERROR=",
            "LOCKDOWN_EVENT_ID=7",
            "LOCKDOWN_MESSAGE_ID=msg_1",
            "LOCKDOWN_SUBJECT=[lockdown] web1: lockdown alice",
            "LOCKDOWN_TOTAL=1",
        ] {
            assert!(environment.lines().any(|it| it == line), "{line}: {environment}");
        }
        assert!(!environment.contains("HOME=") && !environment.contains("CARGO"));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&read("json")).unwrap()["data"]["user"],
            "alice"
        );
        assert_eq!(read("argument"), "$(exit 9) *");
    }

    #[test]
    fn how_it_ends_is_the_verdict() {
        let Outcome::Retry { error, .. } = run("echo broken >&2; exit 75", &item(wall())) else { panic!() };
        assert_eq!(error, "/bin/sh: exit status: 75: broken");
        let error = |command: &[&str]| {
            let command: Vec<_> = command.iter().map(|&it| it.to_owned()).collect();
            deliver(&item(wall()), &command).error().unwrap().to_owned()
        };
        assert!(error(&[]).contains("empty"));
        assert!(error(&["sh"]).contains("does not begin with /"));
        assert!(error(&["/nonexistent"]).contains("No such file"));
        assert!(error(&["/usr"]).contains("no file"));
    }

    #[test]
    fn what_others_could_have_written_is_not_run() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        for (mode, owner, runs) in
            [(0o755, None, true), (0o775, None, false), (0o757, None, false), (0o755, Some(65534), false)]
        {
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            // Only root can give files away.
            if owner.is_none() || std::os::unix::fs::chown(&path, owner, None).is_ok() {
                let outcome = deliver(&item(wall()), &[path.display().to_string()]);
                assert_eq!(outcome == Outcome::Delivered, runs, "{mode:o} {owner:?} {outcome:?}");
            }
        }
    }

    #[test]
    fn of_a_digest_the_newest_event() {
        let item = digest(wall(), 2, 40);
        assert_eq!(
            (value(&item, "TIME").as_str(), value(&item, "TOTAL").as_str()),
            ("2026-11-21T10:00:01Z", "40")
        );
    }

    #[test]
    fn a_stranger_names_no_variable() {
        let item = hostile(wall(), HOSTILE);
        assert!(environment(&item).iter().all(|(name, _)| {
            name.strip_prefix("LOCKDOWN_")
                .unwrap()
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        }));
        assert_eq!(value(&item, "REASON"), HOSTILE.replace('\0', ""));
        assert_eq!(value(&item, "MESSAGE").lines().count(), 1);
        assert_eq!(run("exit 0", &item), Outcome::Delivered);
    }

    proptest! {
        #[test]
        fn values_fit(text: Vec<char>, times in 1_usize..4000) {
            let value = fit(String::from_iter(text).repeat(times));
            prop_assert!(value.len() <= MAX_VALUE && !value.contains('\0'));
        }
    }
}
