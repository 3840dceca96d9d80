//! What counting failed attempts costs.

use std::error::Error;
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};

use lockdown_enforcement::AttackProtection;

use crate::measure::{Stack, Work, measure};
use crate::{Goal, Options, print_net};

/// Asks for the password, as pam_unix would, and leaves it to the others; for both floors and all stacks.
const ASK: &str = "auth [default=ignore] pam_ftp.so\n";

/// Measures, prints, and says which goals there are. The scratch directory has the module and a directory of deny records.
pub fn run(options: &Options, scratch: &Path) -> Result<[Goal; 2], Box<dyn Error>> {
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
    let wrong =
        |module: &str, end: &str| format!("{ASK}auth required {module} preauth\nauth [default=die] {end}\n");
    let deny = "pam_deny.so";
    let (faillock_tally, lockdown_tally) = (faillock.join(user), tallies.join(uid));
    let fail = |service: &str, name: &str, tally: Option<&PathBuf>, lines| {
        stack(service, name, Work::WrongPassword, tally.cloned(), lines)
    };
    let fails = [
        fail("fail", "pam_deny", None, format!("{ASK}auth requisite {deny}\n"))?,
        fail("fail-1", "pam_faillock preauth", Some(&faillock_tally), wrong(&faillock_line, deny))?,
        fail(
            "fail-2",
            "pam_faillock preauth+authfail",
            Some(&faillock_tally),
            wrong(&faillock_line, &format!("{faillock_line} authfail")),
        )?,
        fail("fail-3", "pam_lockdown preauth", Some(&lockdown_tally), wrong(&lockdown, deny))?,
        fail(
            "fail-4",
            "pam_lockdown preauth+authfail",
            Some(&lockdown_tally),
            // What it does, without what it waits afterwards.
            wrong(&lockdown, &format!("{lockdown} authfail answer_after=0")),
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
    let [deny, before_faillock, faillock_fail, before_lockdown, lockdown_fail] =
        measure(&fails, &options.user, scratch);
    let fail_net = [&before_faillock, &faillock_fail, &before_lockdown, &lockdown_fail]
        .map(|measured| measured.net_of(&deny));
    print_net("pam_ftp and pam_deny", &deny, fails.iter().skip(1).zip(&fail_net));
    let [_, faillock_fail, _, lockdown_fail] = fail_net;
    let [floor, faillock_login, lockdown_login] = measure(&logins, &options.user, scratch);
    let login_net = [faillock_login.net_of(&floor), lockdown_login.net_of(&floor)];
    print_net("pam_ftp and pam_permit", &floor, logins.iter().skip(1).zip(&login_net));
    let goal = |what, ratio, at_most| Goal { what, ratio, at_most };
    let [faillock_login, lockdown_login] = login_net;
    Ok([
        goal("preauth+authfail / pam_faillock", lockdown_fail.call.median / faillock_fail.call.median, 0.6),
        goal(
            "preauth+authsucc+account / pam_faillock",
            lockdown_login.call.median / faillock_login.call.median,
            0.6,
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
