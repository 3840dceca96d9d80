use proptest::prelude::*;

use super::*;

const COMMON_ACCOUNT: &str = "\
# /etc/pam.d/common-account
account\t[success=1 new_authtok_reqd=done default=ignore]\tpam_unix.so
account requisite pam_deny.so
account required pam_permit.so
account required pam_lockdown.so
";

fn covered(files: &[(&str, &str)]) -> Coverage {
    let file = |name: &str| {
        let found = files.iter().find(|(file, _)| *file == name);
        found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| format!("{name} does not exist"))
    };
    match stack("service", Phase::Account, &file) {
        Ok(stack) => coverage(&stack.steps),
        Err(error) => Coverage::Broken(error),
    }
}

fn account(text: &str) -> Coverage {
    covered(&[("service", text)])
}

#[test]
fn a_plain_line() {
    assert_eq!(account("account required pam_lockdown.so"), Coverage::Covered);
    assert_eq!(account("-ACCOUNT\tREQUISITE /usr/lib/security/pam_lockdown.so quiet # x"), Coverage::Covered);
    assert_eq!(account("account \\\n  required \\\n pam_lockdown.so"), Coverage::Covered);
    assert_eq!(account("account required pam_unix.so"), Coverage::Missing);
    assert_eq!(
        account("# account required pam_lockdown.so\naccount required pam_unix.so"),
        Coverage::Missing
    );
    assert_eq!(account("account required not_pam_lockdown.so"), Coverage::Missing);
    assert_eq!(account("auth required pam_lockdown.so"), Coverage::NoStack);
    assert_eq!(account(""), Coverage::NoStack);
}

#[test]
fn includes_are_followed() {
    for line in ["@include common", "account include common"] {
        let common = ("common", "account required pam_unix.so\naccount required pam_lockdown.so\n");
        assert_eq!(covered(&[("service", line), common]), Coverage::Covered, "{line}");
    }
    assert_eq!(covered(&[("service", "@include common")]), Coverage::Broken("common does not exist".into()));
    assert!(matches!(account("@include service"), Coverage::Broken(_)));
    let other_phase = [("service", "auth include common"), ("common", "account required pam_lockdown.so")];
    assert_eq!(covered(&other_phase), Coverage::NoStack);
}

#[test]
fn debians_common_account_lets_expired_passwords_pass() {
    let stack = covered(&[("service", "@include common-account"), ("common-account", COMMON_ACCOUNT)]);
    assert_eq!(stack, Coverage::BypassedIfPasswordExpired("pam_unix.so".into()));
    let first = format!("account required pam_lockdown.so\n{COMMON_ACCOUNT}");
    assert_eq!(account(&first), Coverage::Covered);
}

#[test]
fn lines_that_go_past_the_module() {
    let sufficient = "account sufficient pam_localuser.so\naccount required pam_lockdown.so";
    assert_eq!(account(sufficient), Coverage::Bypassed("pam_localuser.so".into()));
    let jump = "account [success=1 default=ignore] pam_a.so\naccount required pam_lockdown.so\naccount required pam_b.so";
    assert_eq!(account(jump), Coverage::Bypassed("pam_a.so".into()));
    let short_jump = "account [success=1 default=ignore] pam_a.so\naccount required pam_b.so\naccount required pam_lockdown.so";
    assert_eq!(account(short_jump), Coverage::Covered);
    let after = "account required pam_lockdown.so\naccount sufficient pam_localuser.so";
    assert_eq!(account(after), Coverage::Covered);
}

#[test]
fn a_substack_ends_alone() {
    let inner = ("inner", "account sufficient pam_localuser.so");
    assert_eq!(
        covered(&[("service", "account substack inner\naccount required pam_lockdown.so"), inner]),
        Coverage::Covered
    );
    assert_eq!(
        covered(&[("service", "account include inner\naccount required pam_lockdown.so"), inner]),
        Coverage::Bypassed("pam_localuser.so".into())
    );
    let ours = ("inner", "account required pam_lockdown.so");
    assert_eq!(covered(&[("service", "account substack inner"), ours]), Coverage::Covered);
    assert_eq!(
        covered(&[
            (
                "service",
                "account [success=1 default=bad] pam_a.so\naccount substack inner\naccount required pam_b.so"
            ),
            ours
        ]),
        Coverage::Bypassed("pam_a.so".into())
    );
}

#[test]
fn a_denial_that_counts_for_nothing() {
    for control in
        ["optional", "sufficient", "[default=ignore]", "[success=ok perm_denied=ignore default=bad]"]
    {
        assert_eq!(account(&format!("account {control} pam_lockdown.so")), Coverage::Ignored, "{control}");
    }
    for control in [
        "[success=ignore ignore=ignore module_unknown=ignore default=die]",
        "[success=ok default=die]",
        "[success=ok ignore=ignore]",
        "[success=ok new_authtok_reqd=ok ignore=ignore default=bad]",
    ] {
        assert_eq!(
            account(&format!("account {control} pam_lockdown.so\naccount required pam_unix.so")),
            Coverage::Covered,
            "{control}"
        );
    }
}

#[test]
fn a_stack_that_denies_everybody() {
    let ours = "account [success=ignore ignore=ignore module_unknown=ignore default=die] pam_lockdown.so\n";
    let fallback = "account requisite pam_deny.so\naccount required pam_permit.so\n";
    let unix = "account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so\n";
    assert_eq!(account(&format!("{ours}{fallback}")), Coverage::DeniesEverybody);
    assert_eq!(account(&format!("{ours}{unix}{fallback}")), Coverage::Covered);
    // Nothing says yes.
    assert_eq!(account(ours), Coverage::DeniesEverybody);
    assert_eq!(account(&format!("{ours}account required pam_unix.so")), Coverage::Covered);
    let inner = format!("{ours}{fallback}");
    assert_eq!(
        covered(&[("service", "account substack inner\naccount required pam_unix.so"), ("inner", &inner)]),
        Coverage::DeniesEverybody
    );
}

#[test]
fn one_line_that_holds_is_enough() {
    let text = "account optional pam_lockdown.so\naccount required pam_lockdown.so";
    assert_eq!(account(text), Coverage::Covered);
}

#[test]
fn a_bomb_of_includes_is_bounded() {
    let text = "@include a\n".repeat(100);
    let files = [("service", text.as_str()), ("a", text.as_str())];
    assert!(matches!(covered(&files), Coverage::Broken(_)));
}

proptest! {
    #[test]
    fn any_file_is_read(text in "((account|session|@include|required|\\[success=[0-9]|default=bad\\]|service|pam_lockdown.so|#|\\\\|\n|\\PC) ?){0,60}") {
        let _ = account(&text);
    }
}
