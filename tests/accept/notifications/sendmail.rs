//! Mail by the host's own sendmail, where no server is named.
//!
//! The one here is no mail transfer agent but a script in its place, which writes down what it gets. As exim's, it leaves a
//! process that delivers when it has the queue written, and that only once there is a line.

use lockdown_tests::{Host, eventually, on_each_release};

use super::{SOON, configure, queue, text, waiting};

const SENDMAIL: &str = "/usr/sbin/sendmail";
const SCRIPT: &str = r#"#!/bin/bash
mail=$(mktemp --directory /var/spool/mail/XXXXXXXX)
printf '%s\n' "$@" > "$mail/arguments"
cat > "$mail/text"
env > "$mail/environment"
{
    for number in {1..300}; do
        if [ -e /run/line ]; then mv "$mail" /root/sent; exit; fi
        sleep 0.1
    done
} &
"#;

on_each_release!(
    fn the_host_s_own_mail_transfer_agent_sends_it(host: &Host) {
        let name = host.run(&["hostname"]).ok().text().to_owned();
        configure(
            host,
            "security_email = 'security@example.org'\n[[notify]]\nname = 'mail'\nmatch = { actions = ['lock'] }\n\
             transport = 'email'\n",
        );
        host.lockdownctl(&["lock", "alice", "--reason", "one\n.\nBcc: eve@example.org"]).ok();
        let failed = |host: &Host, attempts: u32| {
            eventually(SOON, || {
                queue(host)
                    .iter()
                    .any(|message| message["attempts"] == attempts && message["state"] != "sending")
            });
            waiting(host, "mail")
        };
        let message = failed(host, 1);
        assert!(text(&message, "error").contains("install a mail transfer agent"), "{message:#}");

        // One that knows no such address: it is given up, and everybody who looks sees it.
        host.write(SENDMAIL, "#!/bin/sh\necho 'unknown user' >&2\nexit 67\n");
        host.run(&["chmod", "0755", SENDMAIL]).ok();
        host.lockdownctl(&["notify", "retry", text(&message, "id")]).ok();
        eventually(SOON, || waiting(host, "mail")["state"] == "dead");
        let event = host.ask_lockdown(&["events", "--action", "notification-failed"])[0].clone();
        assert_eq!(
            (&event["target"], &event["error"]),
            (&"rule:mail".into(), &"sendmail: exit status: 67: unknown user".into())
        );
        host.lockdownctl(&["status"]).ok().says("1 could not be delivered");
        host.lockdownctl(&["doctor"])
            .ok()
            .says("1 notification could not be delivered")
            .says("lockdownctl notify retry");
        host.lockdownctl(&["notify", "queue", "--dead"]).ok().says("unknown user");

        // One that works.
        host.write(SENDMAIL, SCRIPT);
        host.lockdownctl(&["notify", "retry"]).ok().says("1 message");
        eventually(SOON, || queue(host).is_empty());
        host.run(&["ls", "/root/sent"]).fails();
        host.write("/run/line", "");
        eventually(SOON, || host.run(&["ls", "/root/sent/text"]).succeeded());
        assert_eq!(
            host.read("/root/sent/arguments"),
            format!("-i\n-f\nlockdown@{name}\n--\nsecurity@example.org\n")
        );
        let mail = host.read("/root/sent/text");
        let (headers, body) = mail.split_once("\n\n").expect("headers and a body");
        for header in [
            &format!("From: lockdown@{name}"),
            "To: security@example.org",
            &format!("Subject: [lockdown] {name}: lock alice"),
            "Auto-Submitted: auto-generated",
        ] {
            assert!(headers.lines().any(|line| line == header), "{header}: {mail}");
        }
        assert!(body.contains(r"one\n.\nBcc: eve@example.org") && !mail.contains("\nBcc:"), "{mail}");
        assert!(!host.read("/root/sent/environment").contains("LOCKDOWN"));
        host.lockdownctl(&["status"]).ok().says_not("could not be delivered");
    }
);
