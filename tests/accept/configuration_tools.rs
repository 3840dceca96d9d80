//! The examples of the package for what configures fleets, as they are shipped.

use std::time::Duration;

use lockdown_tests::host::layer::packages_under_test;
use lockdown_tests::{Host, on_each_release};

const EXAMPLES: &str = "/usr/share/doc/lockdown/examples";

/// Installs lockdown on a host with tools.
pub fn install(host: &Host) {
    bring_package(host, "/root/lockdown.deb");
    host.run(&["dpkg", "-i", "/root/lockdown.deb"]).ok();
}

/// Puts the package on the host, and does not install it.
pub fn bring_package(host: &Host, path: &str) {
    let [deb] = &packages_under_test()[..] else { panic!("one package should be under test") };
    host.write(path, std::fs::read(deb).unwrap_or_else(|e| panic!("cannot read {}: {e}", deb.display())));
}

/// The owners of the locks on an account, in order.
pub fn owners(host: &Host, account: &str) -> Vec<String> {
    let status = host.ask_lockdown(&["status", account]);
    let locks = status["locks"].as_array().expect("an array");
    let mut owners: Vec<_> =
        locks.iter().map(|lock| lock["owner"].as_str().unwrap_or_default().to_owned()).collect();
    owners.sort();
    owners
}

on_each_release!(tools
    fn puppet(host: &Host) {
        install(host);
        host.run(&["groupadd", "--users", "bob", "contractors"]).ok();
        let apply = |manifest: &str| {
            host.command(&["puppet", "apply", "--detailed-exitcodes", "--modulepath", &format!("{EXAMPLES}/puppet"), manifest])
                .timeout(Duration::from_secs(120))
                .run()
        };
        // Puppet's exit codes: 0 nothing to do, 2 changed, 4 and 6 something failed.
        let site = format!("{EXAMPLES}/puppet/site.pp");
        apply(&site).code(2);
        assert_eq!(owners(host, "alice"), ["config:people"]);
        host.ssh("alice").run("true").fails();
        assert!(host.ask_lockdown(&["status", "bob"])["valid_until"].as_i64() > Some(0));
        apply(&site).code(0);

        // What is undone by hand comes back, and what somebody else has done is not undone.
        host.lockdownctl(&["lock", "alice"]).ok();
        host.lockdownctl(&["expire", "bob", "--never"]).ok();
        apply(&site).code(2);
        assert_eq!(owners(host, "alice"), ["config:people", "operator"]);
        assert!(host.ask_lockdown(&["status", "bob"])["valid_until"].as_i64() > Some(0));

        let document = |reason: &str| {
            host.write(
                "/root/site.pp",
                format!("class {{ 'lockdown': purge => true, documents => {{ 'others' => \"version = 1\\n[[account]]\\nname = 'carol'\\nstate = 'locked'\\n{reason}\" }} }}"),
            );
            apply("/root/site.pp")
        };
        // A mistake is named, and the file does not get there.
        document("raeson = 'x'").code(6).says(":5:1: ").says("raeson");
        host.run(&["ls", "/etc/lockdown/state.d/others.toml"]).fails();
        document("reason = 'x'").code(2);
        assert_eq!(owners(host, "carol"), ["config:others"]);
        assert_eq!(owners(host, "alice"), ["operator"]);
        document("reason = 'x'").code(0);
    }
);

on_each_release!(tools
    fn cloud_init(host: &Host) {
        install(host);
        let user_data = format!("{EXAMPLES}/cloud-init/user-data");
        host.run(&["cloud-init", "schema", "--config-file", &user_data]).ok();
        host.sh(&format!(
            "seed=/var/lib/cloud/seed/nocloud
             mkdir -p $seed
             cp {user_data} $seed/user-data
             printf 'instance-id: one\\nlocal-hostname: one\\n' > $seed/meta-data
             cloud-init clean --logs"
        ))
        .ok();
        // Host keys stay: other accounts log in as before.
        host.write(
            "/etc/cloud/cloud.cfg.d/90-test.cfg",
            "datasource_list: [NoCloud]\nnetwork: {config: disabled}\nlocale: C.UTF-8\nssh_deletekeys: false\n",
        );
        host.reboot();
        let status = host.command(&["cloud-init", "status", "--wait", "--long"]).timeout(Duration::from_secs(120)).run();
        status.says("status: done");
        assert_eq!(owners(host, "alice"), ["config:people"]);
        host.ssh("alice").run("true").fails();
        host.ssh("bob").run("true").ok();
        // The next boot has nothing left to do.
        host.reboot();
        assert_eq!(owners(host, "alice"), ["config:people"]);
    }
);

on_each_release!(tools
    fn examples_for_what_is_not_in_debian(host: &Host) {
        install(host);
        host.run(&["nix-instantiate", "--parse", &format!("{EXAMPLES}/nixos/lockdown.nix")]).ok().says("services");
        let yaml = "import sys, yaml; print(list(yaml.safe_load(open(sys.argv[1]))))";
        host.run(&["python3", "-c", yaml, &format!("{EXAMPLES}/salt/init.sls")]).ok().says("lockdownctl apply");
        host.lockdownctl(&["validate", &format!("{EXAMPLES}/salt/people.toml")]).ok();
    }
);
