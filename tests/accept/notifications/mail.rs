//! Mail servers that want to know who sends, and by an encrypted connection.

use lockdown_tests::{Host, Output, eventually, on_each_release, stays};
use serde_json::Value;

use super::receivers::{Authority, Certificate, Mails};
use super::{A_WHILE, SOON, configure, queue, text, waiting};

const USER: &str = "lockdown@example.org";
const PASSWORD: &str = "the-password-of-the-mail-server";

/// Mails go to this server, as this user.
fn mail_by(host: &Host, server: &str, tls: &str) {
    configure(
        host,
        &format!(
            r#"
            security_email = "security@example.org"
            [email]
            server = "{server}"
            tls = "{tls}"
            username = "{USER}"
            password_file = "/etc/lockdown/mail.password"
            [[notify]]
            name = "mail"
            match = {{ actions = ["lockdown"] }}
            transport = "email"
            "#
        ),
    );
}

fn set_password(host: &Host, password: &str) {
    host.sh(&format!("umask 077; echo '{password}' > /etc/lockdown/mail.password")).ok();
}

#[track_caller]
fn test_fails(host: &Host, says: &str) -> Output {
    host.lockdownctl(&["notify", "test", "mail"]).code(1).says(says)
}

on_each_release!(
    fn a_mail_server_is_spoken_to_in_private(host: &Host) {
        let trusted = Authority::new(host, "ca").trusted();
        let good: Certificate = trusted.certificate("mail.example.org");
        let other = Authority::new(host, "nobody").certificate("mail2.example.org");
        set_password(host, PASSWORD);
        let starttls = Mails::encrypted(host, 587, "starttls", &good, (USER, PASSWORD));
        let tls = Mails::encrypted(host, 465, "tls", &good, (USER, PASSWORD));
        let unknown = Mails::encrypted(host, 1587, "starttls", &other, (USER, PASSWORD));
        let open = Mails::plain(host, 2525);

        for (mode, server) in [("starttls", &starttls), ("tls", &tls)] {
            mail_by(host, "mail.example.org", mode);
            host.lockdownctl(&["notify", "test"]).ok().says("delivered");
            let mail = &server.given()[0];
            assert_eq!((text(&mail.envelope, "user"), &mail.envelope["is_encrypted"]), (USER, &true.into()));
            assert!(mail.header("Subject").contains("notification-test"));
        }

        // A server that cannot prove who it is gets nothing, and one that does not encrypt neither.
        mail_by(host, "mail2.example.org:1587", "starttls");
        test_fails(host, "TLS: ");
        mail_by(host, "mail.example.org:2525", "starttls");
        test_fails(host, "STARTTLS");
        mail_by(host, "mail.example.org:2525", "tls");
        test_fails(host, "TLS: ");
        mail_by(host, "mail2.example.org:587", "starttls");
        test_fails(host, "TLS: ");
        assert!(unknown.given().is_empty() && open.given().is_empty() && starttls.given().len() == 1);

        // A wrong password may be mended: what waits for it goes out.
        set_password(host, "another");
        mail_by(host, "mail.example.org", "starttls");
        host.lock_down(&["alice"]);
        eventually(SOON, || waiting(host, "mail")["attempts"] == 1);
        assert!(text(&waiting(host, "mail"), "error").contains("signing in failed: 535"));
        set_password(host, PASSWORD);
        host.lockdownctl(&["notify", "retry", text(&waiting(host, "mail"), "id")]).ok();
        eventually(SOON, || queue(host).is_empty() && starttls.given().len() == 2);
        stays(A_WHILE, || starttls.given().len() == 2);

        // The password is where it has to be, and nowhere else.
        let seen = [
            host.journalctl(&["--all", "--output=export"]).ok().stdout,
            host.lockdownctl(&["config", "show"]).ok().stdout,
            host.lockdownctl(&["--json", "events"]).ok().stdout,
            host.sh("cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'").ok().stdout,
            starttls.given().iter().map(|mail| Value::to_string(&mail.envelope)).collect(),
        ];
        assert!(!seen.iter().any(|text| text.contains(PASSWORD)));
    }
);
