//! Playing on a host, by itself: `ansible-playbook` runs on it and reaches it over a connection.

use std::time::Duration;

use lockdown_tests::{Host, Output};
use serde_json::{Value, json};

/// Prints results as lines of JSON.
const CALLBACK: &str = include_str!("../fixtures/ansible_results.py");
const HEAD: &str = "- hosts: all\n  gather_facts: false\n  become: true\n";

/// How Ansible reaches the host.
#[derive(Clone, Copy)]
pub enum Way {
    Local,
    /// As alice, who may become root.
    Ssh,
}

/// A playbook of tasks, each a module of the collection and its options in YAML. Their names are `MODULE 0`, `MODULE 1`, …
pub fn playbook(tasks: &[(&str, &str)]) -> String {
    let task = |(number, (module, options)): (usize, &(&str, &str))| {
        let options = if options.contains('\n') {
            format!("\n{}", indent(options, 8))
        } else {
            format!(" {options}\n")
        };
        format!(
            "    - name: {module} {number}\n      ignore_errors: true\n      lockdown.host.{module}:{options}"
        )
    };
    format!("{HEAD}  tasks:\n{}", tasks.iter().enumerate().map(task).collect::<String>())
}

/// A playbook of the role with these variables.
pub fn role(variables: &str) -> String {
    format!("{HEAD}  vars:\n{}  roles:\n    - lockdown.host.lockdown\n", indent(variables, 4))
}

fn indent(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}

/// What came of a play.
pub struct Played {
    pub output: Output,
    /// By task, in order: its name, and its result.
    tasks: Vec<(String, Value)>,
}

impl Played {
    /// The names of tasks that have changed something, or would have.
    pub fn changed(&self) -> Vec<&str> {
        let changed = |(_, result): &&(String, Value)| result["changed"] == true;
        self.tasks.iter().filter(changed).map(|(name, _)| name.as_str()).collect()
    }

    /// The result of the task of this name.
    #[track_caller]
    pub fn result(&self, task: &str) -> &Value {
        let found = self.tasks.iter().find(|(name, _)| name == task);
        &found.unwrap_or_else(|| panic!("no task {task:?}: {}", self.output)).1
    }

    /// Panics unless all tasks succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        let output = self.output.ok();
        assert!(self.tasks.iter().all(|(_, result)| result["failed"] == false), "{output}");
        Self { output, ..self }
    }
}

/// Plays with further arguments.
#[track_caller]
pub fn play(host: &Host, way: Way, playbook: &str, args: &[&str]) -> Played {
    host.write("/root/play.yml", playbook);
    host.write("/root/ansible_results.py", CALLBACK);
    let connection = match way {
        Way::Local => "--connection=local",
        Way::Ssh => "--user=alice",
    };
    let command = ["ansible-playbook", "--inventory=127.0.0.1,", connection, "/root/play.yml"];
    let output = host
        .command(&[&command, args].concat())
        .env("ANSIBLE_CALLBACK_PLUGINS", "/root")
        .env("ANSIBLE_STDOUT_CALLBACK", "ansible_results")
        .env("ANSIBLE_PIPELINING", "true")
        .env("ANSIBLE_PYTHON_INTERPRETER", "/usr/bin/python3")
        .timeout(Duration::from_secs(180))
        .run();
    let told = output.stdout.lines().map(|line| -> Value {
        serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON ({e}): {line}\n{output}"))
    });
    let of = |told: Value| (told["task"].as_str().unwrap_or_default().to_owned(), told["result"].clone());
    let tasks = told.map(of).collect();
    Played { output, tasks }
}

/// Plays in check mode, where nothing may change, and then really: exactly what was foretold has to come. Then once more,
/// where nothing is left to do.
#[track_caller]
pub fn play_as_foretold(host: &Host, way: Way, playbook: &str) -> Played {
    let before = state(host);
    let foretold = play(host, way, playbook, &["--check", "--diff"]).ok();
    assert_eq!(state(host), before, "check mode has changed something: {}", foretold.output);
    let played = play(host, way, playbook, &["--diff"]).ok();
    assert_eq!(played.changed(), foretold.changed(), "{}\n{}", foretold.output, played.output);
    for (task, result) in played.tasks.iter().filter(|(_, result)| result["changes"].is_array()) {
        let promised = foretold.result(task);
        for key in ["changes", "diff"] {
            assert_eq!(result[key], promised[key], "{key} of {task}: {}\n{}", foretold.output, played.output);
        }
    }
    let again = play(host, way, playbook, &["--diff"]).ok();
    assert_eq!(again.changed(), [""; 0], "{}", again.output);
    played
}

/// What a play can change.
#[track_caller]
pub fn state(host: &Host) -> Value {
    let files = host.sh("cat /etc/shadow
         find /etc/lockdown /var/lib/lockdown/deny -type f -exec sha256sum {} + | sort");
    let Value::Array(accounts) = host.ask_lockdown(&["accounts"]) else { panic!("no array") };
    let parts = ["name", "locks", "deactivated", "valid_until", "identifiers", "metadata"];
    let accounts: Vec<_> = accounts.iter().map(|account| parts.map(|part| account[part].clone())).collect();
    json!({
        "files": files.ok().stdout,
        "accounts": accounts,
        "documents": host.ask_lockdown(&["facts"])["state"],
    })
}
