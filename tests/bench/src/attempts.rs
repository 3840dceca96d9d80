//! What counting failed attempts costs.

use std::error::Error;
use std::ffi::CString;
use std::fs;
use std::path::Path;

use lockdown_enforcement::AttackProtection;

use crate::measure::{Stack, Work, measure};
use crate::{Goal, Options, print_net};

/// Asks for the password, as pam_unix would, and leaves it to the others; for both floors and all stacks.
const ASK: &str = "auth [default=ignore] pam_ftp.so\n";

/// Measures, prints, and says which goals there are. The scratch directory has the module and a directory of deny records.
pub fn run(options: &Options, scratch: &Path) -> Result<[Goal; 3], Box<dyn Error>> {
    let (faillock, tallies) = (scratch.join("attempts-faillock"), scratch.join("attempts"));
    fs::create_dir(&faillock)?;
    fs::create_dir(&tallies)?;
    let settings = scratch.join("attack-protection");
    AttackProtection::write(
        Some(&AttackProtection { max_attempts: 128, max_attempts_total: 128, ..AttackProtection::default() }),
        &settings,
    )?;
    let lockdown = format!(
        "{} directory={} tally={} attack_protection={} socket={}",
        scratch.join("pam_lockdown.so").display(),
        scratch.join("deny-0").display(),
        tallies.display(),
        settings.display(),
        scratch.join("login.sock").display(),
    );
    let faillock_line = format!("pam_faillock.so dir={} deny=10000 silent", faillock.display());
    let user = options.user.to_str()?;
    let stack = |service: &str, name: &str, work, tally, lines: String| -> Result<Stack, Box<dyn Error>> {
        fs::write(scratch.join(service), lines)?;
        Ok(Stack { name: name.to_owned(), service: CString::new(service)?, work, tally })
    };
    let uid = lockdown_uid(user)?;
    let wrong = |module: &str| format!("auth [default=die] {module} authfail\n");
    let fails = [
        stack("deny", "pam_deny", Work::WrongPassword, None, "auth requisite pam_deny.so\n".into())?,
        stack(
            "authfail-faillock",
            "pam_faillock authfail",
            Work::WrongPassword,
            Some(faillock.join(user)),
            wrong(&faillock_line),
        )?,
        stack(
            "authfail-lockdown",
            "pam_lockdown authfail",
            Work::WrongPassword,
            Some(tallies.join(uid)),
            wrong(&lockdown),
        )?,
    ];
    let permit = "auth required pam_permit.so\n";
    let logins = [
        stack(
            "login",
            "pam_permit",
            Work::Login,
            None,
            format!("{ASK}{permit}account required pam_permit.so\n"),
        )?,
        stack(
            "login-faillock",
            "pam_faillock preauth+account",
            Work::Login,
            None,
            format!("{ASK}auth required {faillock_line} preauth\n{permit}account required {faillock_line}\n"),
        )?,
        stack(
            "login-lockdown",
            "pam_lockdown preauth+authsucc+account",
            Work::Login,
            None,
            format!(
                "{ASK}auth requisite {lockdown} preauth\n{permit}auth required {lockdown} authsucc\naccount required {lockdown}\n"
            ),
        )?,
    ];
    let [deny, faillock_fail, lockdown_fail] = measure(&fails, &options.user, scratch);
    let fail_net = [faillock_fail.net_of(&deny), lockdown_fail.net_of(&deny)];
    print_net("pam_deny", &deny, fails.iter().skip(1).zip(&fail_net));
    let [floor, faillock_login, lockdown_login] = measure(&logins, &options.user, scratch);
    let login_net = [faillock_login.net_of(&floor), lockdown_login.net_of(&floor)];
    print_net("pam_ftp and pam_permit", &floor, logins.iter().skip(1).zip(&login_net));
    let goal = |what, ratio, at_most| Goal { what, ratio, at_most };
    let [faillock_fail, lockdown_fail] = fail_net;
    let [faillock_login, lockdown_login] = login_net;
    Ok([
        goal("authfail / pam_faillock", lockdown_fail.call.median / faillock_fail.call.median, 0.6),
        goal(
            "preauth+authsucc+account / pam_faillock",
            lockdown_login.call.median / faillock_login.call.median,
            0.6,
        ),
        goal(
            "the same, transaction",
            lockdown_login.transaction.median / faillock_login.transaction.median,
            1.0,
        ),
    ])
}

/// The name of the account's tally.
fn lockdown_uid(user: &str) -> Result<String, Box<dyn Error>> {
    let entries = fs::read_to_string("/etc/passwd")?;
    let entry = entries.lines().find(|line| line.split(':').next() == Some(user));
    let uid = entry.and_then(|entry| entry.split(':').nth(2)).ok_or("the account is not in /etc/passwd")?;
    Ok(uid.to_owned())
}
