//! The Ansible collection, played by Debian's own ansible-core, over a local connection and over ssh.

mod play;

use std::time::Duration;

use lockdown_tests::{Host, on_each_release};
use serde_json::json;

use crate::configuration_tools::{bring_package, install, owners};
use play::{Way, play, play_as_foretold, playbook, role, state};

const NOBODY: [&str; 0] = [];
const NOTHING: [&str; 0] = [];

const FLEET: &str = "\
lockdown_deb: /root/lockdown.deb
lockdown_settings: |
  [lock]
  duration = \"1h\"
  message = \"Call the help desk.\"
lockdown_documents:
  people:
    version: 1
    account:
      - {name: alice, state: unlocked, metadata: {team: blue}}
      - {name: carol, state: locked, reason: sabbatical, expires: 2036-06-30}
      - {group: contractors, valid_until: 2036-07-01}
";

on_each_release!(tools
    fn the_role_on_a_bare_host(host: &Host) {
        // Whoever plays has the collection; the host has nothing yet.
        bring_package(host, "/root/lockdown.deb");
        host.sh("dpkg-deb -x /root/lockdown.deb /root/package
                 mkdir -p /root/.ansible
                 mv /root/package/usr/share/ansible/collections /root/.ansible/collections
                 rm -r /root/package
                 groupadd --users bob contractors")
            .ok();
        let foretold = play(host, Way::Local, &role(FLEET), &["--check", "--diff"]).ok();
        assert_eq!(host.sh("ls -d /etc/lockdown /usr/bin/lockdownctl 2>/dev/null || true").ok().text(), "");
        // Package, settings, their reload, documents.
        assert_eq!(foretold.changed().len(), 4, "{}", foretold.output);
        let played = play(host, Way::Ssh, &role(FLEET), &["--diff"]).ok();
        assert_eq!(played.changed().len(), 4, "{}", played.output);
        host.lockdownctl(&["doctor"]).ok();
        assert_eq!(owners(host, "carol"), ["config:people"]);
        host.ssh("carol").run("true").fails().says("Call the help desk.");
        let again = play(host, Way::Local, &role(FLEET), &["--diff"]).ok();
        assert_eq!(again.changed(), NOTHING, "{}", again.output);

        // Other settings, and a document that is no more.
        let later = FLEET.replace("1h", "2h").replace("people:", "people: ''\n  few:");
        play_as_foretold(host, Way::Ssh, &role(&later));
        assert_eq!(owners(host, "carol"), ["config:few"]);
        host.lockdownctl(&["config", "show"]).ok().says("duration = \"2h\"");

        // A mistake in the settings: it is said where, and what was there holds.
        let before = state(host);
        let mistaken = role(&later.replace("message =", "massage ="));
        for options in [&["--check"][..], &[]] {
            let refused = play(host, Way::Local, &mistaken, options);
            refused.output.fails().says("/etc/lockdown/lockdown.d/50-ansible.toml:3:").says("massage");
        }
        assert_eq!(state(host), before);
        assert_eq!(host.run(&["ls", "/etc/lockdown/lockdown.d"]).ok().text(), "50-ansible.toml");
        host.lockdownctl(&["config", "check"]).ok();

        let gone = role("lockdown_state: absent");
        play(host, Way::Ssh, &gone, &[]).ok();
        host.run(&["ls", "/usr/bin/lockdownctl"]).fails();
        host.ssh("carol").run("true").ok();
        assert_eq!(play(host, Way::Ssh, &gone, &[]).ok().changed(), NOTHING);
    }
);

on_each_release!(tools
    fn one_account(host: &Host) {
        install(host);
        let modules = ["lockdown_account", "lockdown_apply", "lockdown_info"].map(|name| format!("lockdown.host.{name}"));
        let documented = [&["ansible-doc"], &modules.each_ref().map(String::as_str)[..]].concat();
        host.run(&documented).ok().says("Your account sleeps until you are back.");

        let sabbatical = playbook(&[(
            "lockdown_account",
            "name: alice
state: locked
reason: sabbatical
user_message: Come back soon.
expires: 2036-06-30T08:00:00+02:00
identifiers: {email: alice@example.org}
metadata: {team: blue}",
        )]);
        let played = play_as_foretold(host, Way::Local, &sabbatical);
        let after = "\
alice: ansible.account.alice: identifiers.email: alice@example.org
alice: ansible.account.alice: locked until 2036-06-30T06:00:00Z, reason \"sabbatical\", message \"Come back soon.\"
alice: ansible.account.alice: metadata.team: blue
";
        let header = "ansible.account.alice";
        assert_eq!(
            played.result("lockdown_account 0")["diff"],
            json!({"before": "", "after": after, "before_header": header, "after_header": header})
        );
        assert_eq!(owners(host, "alice"), ["config:ansible.account.alice"]);
        assert_eq!(host.ask_lockdown(&["status", "email:alice@example.org"])["name"], "alice");
        play(host, Way::Local, &playbook(&[("lockdown_account", "{name: alice, state: absent}")]), &[]).ok();
        assert_eq!(owners(host, "alice"), NOBODY);

        // What a locked account runs is ended.
        let session = host.ssh_session("bob");
        let left = playbook(&[("lockdown_account", "{name: bob, state: deactivated}")]);
        let played = play_as_foretold(host, Way::Ssh, &left);
        assert_eq!(played.result("lockdown_account 0")["sessions_ended"], 1, "{}", played.output);
        session.wait_ended(Duration::from_secs(5));
        let expires = host.sh("getent shadow bob | cut -d: -f8").ok();
        assert_eq!(expires.text(), "1");

        // An operator's lock survives configuration's, and configuration's survives an operator's.
        host.lockdownctl(&["lock", "bob", "--reason", "incident 7"]).ok();
        let others = [
            ("lockdown_account", "{name: bob, state: unlocked}"),
            ("lockdown_account", "{name: bob, state: locked, label: hr}"),
        ];
        play_as_foretold(host, Way::Ssh, &playbook(&others));
        assert_eq!(owners(host, "bob"), ["config:hr.account.bob", "operator"]);
        host.lockdownctl(&["unlock", "bob"]).ok();
        assert_eq!(owners(host, "bob"), ["config:hr.account.bob"]);
        host.ssh("bob").run("true").fails();

        let asks = [("lockdown_info", ""), ("lockdown_info", "{accounts: [alice]}"), ("lockdown_info", "{accounts: [mallory]}")];
        let told = play(host, Way::Ssh, &playbook(&asks), &[]);
        assert_eq!(told.changed(), NOTHING);
        let [locked, alice, nobody] = ["lockdown_info 0", "lockdown_info 1", "lockdown_info 2"].map(|task| told.result(task));
        let names = |accounts: &serde_json::Value| -> Vec<_> {
            accounts.as_array().into_iter().flatten().map(|account| account["name"].clone()).collect()
        };
        assert_eq!((names(&locked["accounts"]), names(&alice["accounts"])), (vec![json!("bob")], vec![json!("alice")]));
        assert_eq!(locked["facts"]["locked"], json!(["bob"]));
        assert!(nobody["failed"] == true && nobody["msg"].as_str().is_some_and(|msg| msg.contains("mallory")), "{nobody}");
    }
);

/// `lockdown_apply` with ten documents, of which the last has these lines in its account.
fn one_of_ten(last: &str) -> String {
    let good = |n| format!("  good-{n}: {{version: 1, account: [{{name: bob, metadata: {{k{n}: v}}}}]}}\n");
    let good: String = (0..9).map(good).collect();
    format!(
        "documents:\n{good}  last: |\n    version = 1\n    [[account]]\n    {}",
        last.replace('\n', "\n    ")
    )
}

on_each_release!(tools
    fn documents_whole_or_not_at_all(host: &Host) {
        install(host);
        let mistakes = [
            (one_of_ten("name = \"carol\"\nstaet = \"locked\""), ["last.toml:4:1: ", "staet", "nothing was changed"]),
            (one_of_ten("name = \"root\"\nstate = \"locked\""), ["last.toml:3:", "protected", "nothing was changed"]),
            (one_of_ten("name = \"bob\"\nmetadata = { k3 = \"x\" }"), ["last.toml:4:", "good-3.toml:", "nothing was changed"]),
            ("documents: {../x: ''}\n".to_owned(), ["../x", "cannot be the name", "of a document"]),
            ("{src: /root/none.toml}".to_owned(), ["/root/none.toml", "", ""]),
            ("{name: x, content: ''}".to_owned(), ["content is empty", "absent", "x"]),
            ("{name: x}".to_owned(), ["needs content or src", "", ""]),
            ("documents: {x: 5}\n".to_owned(), ["the document x", "neither a text nor a mapping", ""]),
        ];
        let tasks: Vec<_> = mistakes.iter().map(|(options, _)| ("lockdown_apply", options.as_str())).collect();
        let before = state(host);
        for mode in [&[][..], &["--check"]] {
            let refused = play(host, Way::Ssh, &playbook(&tasks), mode);
            for (number, (_, texts)) in mistakes.iter().enumerate() {
                let result = refused.result(&format!("lockdown_apply {number}"));
                let why = result["msg"].as_str().unwrap_or_default();
                assert!(result["failed"] == true && texts.iter().all(|text| why.contains(text)), "{texts:?}: {result:#}");
            }
            assert_eq!(state(host), before, "{}", refused.output);
        }
        let good = one_of_ten("name = \"carol\"\nstate = \"locked\"");
        let played = play_as_foretold(host, Way::Ssh, &playbook(&[("lockdown_apply", &good)]));
        assert_eq!(played.result("lockdown_apply 0")["changes"].as_array().map(Vec::len), Some(10));
        assert_eq!(owners(host, "carol"), ["config:last"]);

        // One by one: taken away, given as a file, as text.
        host.write("/root/web.toml", "version = 1\n[[account]]\nname = 'carol'\nstate = 'locked'\n");
        let ways = [
            ("lockdown_apply", "{name: last, state: absent}"),
            ("lockdown_apply", "{src: /root/web.toml}"),
            ("lockdown_apply", "{name: text, content: \"version = 1\\n[[account]]\\nname = 'carol'\\nstate = 'locked'\"}"),
        ];
        play_as_foretold(host, Way::Local, &playbook(&ways));
        assert_eq!(owners(host, "carol"), ["config:text", "config:web"]);
    }
);

on_each_release!(tools
    fn documents_as_files(host: &Host) {
        install(host);
        let file = |state: &str| {
            format!("- hosts: all
  gather_facts: false
  tasks:
    - name: file
      ansible.builtin.copy:
        content: \"version = 1\\n[[account]]\\nname = 'carol'\\nstate = '{state}'\\n\"
        dest: /etc/lockdown/state.d/files.toml
        mode: '0644'
        validate: lockdownctl validate %s
    - name: apply
      lockdown.host.lockdown_apply:
")
        };
        // Each is checked before it is put there.
        play(host, Way::Local, &file("lokced"), &[]).output.fails().says(":4:9: ").says("lokced");
        host.run(&["ls", "/etc/lockdown/state.d/files.toml"]).fails();
        assert_eq!(play(host, Way::Local, &file("locked"), &[]).ok().changed(), ["file", "apply"]);
        assert_eq!(owners(host, "carol"), ["config:files"]);
        assert_eq!(play(host, Way::Local, &file("locked"), &[]).ok().changed(), NOTHING);
    }
);
