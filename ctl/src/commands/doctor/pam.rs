//! Does the stack of a service reach our module, and does it heed it?

use lockdown_pam_stacks::{Action, Line, lines};
pub use lockdown_pam_stacks::{MODULE, Phase, Step, stack};

/// How well a stack is covered by the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// The service has no such stack of its own.
    NoStack,
    /// A denial by the module is final, and nothing gets past it.
    Covered,
    /// The module is not in the stack.
    Missing,
    /// This module, in a line before ours, can end the stack or jump over ours with success.
    Bypassed(String),
    /// The same, but only when the account's password has expired.
    BypassedIfPasswordExpired(String),
    /// The control field of our line makes its denial count for nothing.
    Ignored,
    /// Nobody gets past this stack, locked or not: no module of it says yes, or `pam_deny` is not jumped over.
    DeniesEverybody,
    /// The stack cannot be put together, and libpam refuses everybody.
    Broken(String),
}

/// How well our module covers a stack.
#[must_use]
pub fn coverage(steps: &[Step]) -> Coverage {
    match our_part(steps) {
        Coverage::Covered if outcome(steps) != Some(true) => Coverage::DeniesEverybody,
        other => other,
    }
}

/// What a stack comes to when every module says yes but `pam_deny`, which never does: `None` if nothing in it counts.
/// After `_pam_dispatch_aux` of libpam: a jump counts for nothing by itself.
fn outcome(steps: &[Step]) -> Option<bool> {
    let (mut passed, mut index) = (None, 0);
    while let Some(step) = steps.get(index) {
        index += 1;
        let action = match step {
            Step::Module(line) if line.module == "pam_deny.so" => line.action("perm_denied"),
            Step::Module(line) => line.action("success"),
            Step::Substack(steps) => match outcome(steps) {
                Some(true) => Action::Ok,
                Some(false) => Action::Bad,
                None => Action::Ignore,
            },
        };
        match action {
            Action::Ok => passed = Some(true),
            Action::Done => return Some(true),
            Action::Bad => return Some(false),
            Action::Jump(steps) => index = index.saturating_add(steps),
            Action::Ignore => {}
        }
    }
    passed
}

/// Whether a module besides ours looks at the account: not those that always say the same.
#[must_use]
pub fn decides(steps: &[Step]) -> bool {
    let says_the_same = |line: &Line| ["pam_permit.so", "pam_deny.so"].contains(&line.module.as_str());
    lines(steps).into_iter().any(|line| !line.is_ours() && !says_the_same(line))
}

/// The first line of ours that denies, or else what keeps the last one from it.
fn our_part(steps: &[Step]) -> Coverage {
    if steps.is_empty() {
        return Coverage::NoStack;
    }
    let mut found = Coverage::Missing;
    for (index, step) in steps.iter().enumerate() {
        let inner = match step {
            Step::Module(line) if line.is_ours() && denies(line) => Coverage::Covered,
            Step::Module(line) if line.is_ours() => Coverage::Ignored,
            Step::Module(_) => continue,
            Step::Substack(steps) => match our_part(steps) {
                Coverage::NoStack | Coverage::Missing => continue,
                inner => inner,
            },
        };
        let here = match inner {
            Coverage::Covered => passed_over(steps, index),
            other => other,
        };
        if here == Coverage::Covered {
            return here;
        }
        found = here;
    }
    found
}

/// Whether a line before `index` can keep the stack from it.
fn passed_over(steps: &[Step], index: usize) -> Coverage {
    let before = |result: &str| {
        steps[..index].iter().enumerate().find_map(|(at, step)| match step {
            Step::Module(line) if line.action(result).passes_over(index - at) => Some(line.path.clone()),
            _ => None,
        })
    };
    match (before("success"), before("new_authtok_reqd")) {
        (Some(module), _) => Coverage::Bypassed(module),
        (None, Some(module)) => Coverage::BypassedIfPasswordExpired(module),
        (None, None) => Coverage::Covered,
    }
}

fn denies(line: &Line) -> bool {
    ["perm_denied", "acct_expired"].iter().all(|result| line.action(result) == Action::Bad)
}

/// The modules of ours that the steps name, as they name them.
#[must_use]
pub fn ours(steps: &[Step]) -> Vec<String> {
    lines(steps).into_iter().filter(|line| line.is_ours()).map(|line| line.path.clone()).collect()
}

#[cfg(test)]
mod tests;
