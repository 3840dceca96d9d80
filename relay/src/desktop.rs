//! A notification on the desktop of somebody who is logged in there: org.freedesktop.Notifications on the session bus.

use std::{
    fs,
    os::unix::{fs::FileTypeExt, fs::MetadataExt, process::CommandExt},
    process::Command,
    time::Duration,
};

use nix::unistd::User;
use rustix::process::geteuid;

use crate::child;

const BUSCTL: &str = "/usr/bin/busctl";
const LIMIT: Duration = Duration::from_secs(5);

/// Shows a notification, if there is a desktop that shows any; none is started for it. Whether it was shown.
///
/// busctl(1) runs as the user: root's own connection would be refused by the session bus.
pub(crate) fn notify(user: &User, title: &str, text: &str, is_urgent: bool) -> bool {
    notify_on(&format!("/run/user/{}/bus", user.uid), user, title, text, is_urgent)
}

fn notify_on(socket: &str, user: &User, title: &str, text: &str, is_urgent: bool) -> bool {
    let uid = user.uid.as_raw();
    let is_its_bus = fs::symlink_metadata(socket)
        .is_ok_and(|status| status.file_type().is_socket() && status.uid() == uid);
    if !is_its_bus {
        return false;
    }
    let mut command = Command::new(BUSCTL);
    command.env_clear().current_dir("/").args(arguments(socket, title, text, is_urgent));
    if geteuid().is_root() {
        command.gid(user.gid.as_raw()).uid(uid);
    }
    child::run(&mut command, b"", LIMIT).is_ok_and(|ended| ended.problem(LIMIT).is_none())
}

fn arguments(socket: &str, title: &str, text: &str, is_urgent: bool) -> Vec<String> {
    let (icon, urgency) = if is_urgent { ("dialog-warning", "2") } else { ("dialog-information", "1") };
    let body = without_markup(text);
    let address = format!("--address=unix:path={socket}");
    let call = [
        &address,
        "--auto-start=no",
        "--timeout=4",
        "--",
        "call",
        "org.freedesktop.Notifications",
        "/org/freedesktop/Notifications",
        "org.freedesktop.Notifications",
        "Notify",
        "susssasa{sv}i",
        // Application, what it replaces, icon, title, body; no buttons; urgency; the desktop's own time.
        "lockdown",
        "0",
        icon,
        title,
        &body,
        "0",
        "1",
        "urgency",
        "y",
        urgency,
        "-1",
    ];
    call.iter().map(|&argument| argument.to_owned()).collect()
}

/// Desktops may take a body as a small HTML.
fn without_markup(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashMap,
        process::{Child, Stdio},
        sync::mpsc::{Sender, channel},
        time::Instant,
    };

    use nix::unistd::Uid;
    use zbus::OwnedVariant;

    use super::*;

    type Shown = (String, String, String, HashMap<String, OwnedVariant>, i32);

    /// A desktop that shows nothing, but says what it was to show.
    struct Desktop(Sender<Shown>);

    #[zbus::interface(name = "org.freedesktop.Notifications")]
    impl Desktop {
        #[expect(clippy::too_many_arguments, reason = "as the specification has it")]
        fn notify(
            &self,
            application: String,
            _replaces: u32,
            _icon: String,
            title: String,
            body: String,
            _actions: Vec<String>,
            hints: HashMap<String, OwnedVariant>,
            timeout: i32,
        ) -> u32 {
            self.0.send((application, title, body, hints, timeout)).unwrap();
            1
        }
    }

    struct Bus(Child);

    impl Bus {
        fn start(socket: &str) -> Self {
            let bus = Command::new("dbus-daemon")
                .args(["--session", "--nofork", "--nopidfile", &format!("--address=unix:path={socket}")])
                .stdout(Stdio::null())
                .spawn()
                .expect("dbus-daemon is needed (Debian: dbus-daemon)");
            let give_up = Instant::now() + Duration::from_secs(20);
            while !fs::exists(socket).unwrap() {
                assert!(Instant::now() < give_up, "dbus-daemon did not start");
                std::thread::sleep(Duration::from_millis(10));
            }
            Self(bus)
        }
    }

    impl Drop for Bus {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn a_desktop_shows_it_as_text() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("bus").display().to_string();
        let user = User::from_uid(Uid::effective()).unwrap().unwrap();
        let notify = || notify_on(&socket, &user, "--help", "<a href=\"x\">&\n-1", true);
        assert!(!notify(), "no bus");
        let _bus = Bus::start(&socket);
        assert!(!notify(), "no desktop");
        let (sender, shown) = channel();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let address = format!("unix:path={socket}");
        let connection = zbus::connection::Builder::address(address.as_str())
            .serve_at("/org/freedesktop/Notifications", Desktop(sender))
            .name("org.freedesktop.Notifications")
            .build();
        let _connection = runtime.block_on(connection).unwrap();
        assert!(notify());
        let (application, title, body, hints, timeout) = shown.try_recv().unwrap();
        assert_eq!((application.as_str(), title.as_str(), timeout), ("lockdown", "--help", -1));
        assert_eq!(body, "&lt;a href=\"x\"&gt;&amp;\n-1");
        assert_eq!(u8::try_from(&hints["urgency"]).unwrap(), 2);
        // Another's bus is not spoken to.
        let other = User { uid: Uid::from_raw(user.uid.as_raw() + 1), ..user.clone() };
        assert!(!notify_on(&socket, &other, "x", "x", false));
    }
}
