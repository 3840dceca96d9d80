//! Those who administer the host read it on their terminals and desktops.

use std::time::Duration;

use lockdown_tests::{Host, eventually, on_each_release, password_of};

use super::{SOON, configure, queue};

/// A desktop that shows nothing, but writes down what it was to show: of a real one there is none on a host without a screen.
const DESKTOP: &str = "python3 -m dbusmock --session --template notification_daemon --logfile desktop.log";
const NEVER: Duration = Duration::from_millis(500);

on_each_release!(
    fn administrators_read_it_where_they_are_logged_in(host: &Host) {
        host.run(&["usermod", "--append", "--groups", "sudo", "bob"]).ok();
        // Whose own group it is stands in no list of its members.
        host.sh("useradd --create-home --gid sudo dave; echo dave:dave-secret-7 | chpasswd").ok();
        // login(1) gives them their terminals; those that ssh clients of root's run on would be root's.
        let console = |user: &str| host.console_login(user, &password_of(user)).shell();
        let [alice, bob, carol, dave] = ["alice", "bob", "carol", "dave"].map(console);
        let root = host.terminal(&["sleep", "600"]);
        carol.ask(&format!("({DESKTOP} >/dev/null 2>&1 &)")).ok();
        let on_desktop = "org.freedesktop.Notifications";
        eventually(SOON, || carol.ask("busctl --user list").stdout.contains(on_desktop));
        configure(
            host,
            "[[notify]]\nname = 'admins'\nmatch = { actions = ['lock'] }\ntransport = 'wall'\n\
             template = '{action} of {user}: {reason}'\n",
        );
        let name = host.run(&["hostname"]).ok();
        let title = format!("[lockdown] {}: lock bob", name.text());

        host.lockdownctl(&["lock", "bob", "--keep-sessions", "--reason", "phished\n<b>\u{1b}[2J"]).ok();
        for terminal in [&carol, &dave, &root] {
            terminal.wait_for(&title);
            terminal.wait_for(r"lock of bob: phished\n<b>\u{1b}[2J");
        }
        eventually(SOON, || queue(host).is_empty());
        // Neither whom it is about, though an administrator, nor who is none.
        for terminal in [&alice, &bob] {
            assert_eq!(terminal.wait_for_any(&["[lockdown]"], NEVER), None, "{}", terminal.screen());
        }
        let shown = host.read("/home/carol/desktop.log");
        let shown = shown.lines().find(|line| line.contains("Notify")).expect("it was to be shown");
        assert!(
            shown.contains(&title) && shown.contains("&lt;b&gt;") && !shown.contains('\u{1b}'),
            "{shown}"
        );

        // Nobody is waited for: not for one who holds the screen, nor for those who are not there.
        configure(
            host,
            "[[notify]]\nname = 'admins'\nmatch = { actions = ['lock'] }\ntransport = 'wall'\nto = ['root', 'dora']\n",
        );
        host.lockdownctl(&["lock", "alice"]).ok();
        eventually(SOON, || queue(host).is_empty());
    }
);
