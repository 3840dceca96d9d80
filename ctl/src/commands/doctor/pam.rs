//! Reading PAM's configuration: does the stack of a service reach our module, and does it heed it? See pam.conf(5).
//!
//! Pure: where the files come from is the caller's business.

/// Our module, by its file name.
pub const MODULE: &str = "pam_lockdown.so";
/// Deepest nesting of includes, as in libpam (`PAM_SUBSTACK_MAX_LEVEL` bounds substacks at 16, includes at 32).
const DEEPEST: usize = 32;
/// Most lines of one stack, with all that it includes.
const MOST_LINES: usize = 2_000;

/// The stack that a line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// May the account log in?
    Account,
    /// Opening and closing the session.
    Session,
}

impl Phase {
    /// The word in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Session => "session",
        }
    }
}

/// One line of a stack that has been put together from files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A module line.
    Module {
        /// What its result does.
        control: Control,
        /// The module as the line names it.
        module: String,
    },
    /// A stack of its own, for which `done` and `die` end that stack only.
    Substack(Vec<Self>),
}

/// What a module's result does to its stack: the control field, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    success: Action,
    new_authtok_reqd: Action,
    perm_denied: Action,
    acct_expired: Action,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Ignore,
    Bad,
    Ok,
    Done,
    Jump(usize),
}

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

/// A stack as it is put together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// Its steps.
    pub steps: Vec<Step>,
    /// The files that it is made of, the service's own first.
    pub files: Vec<String>,
}

/// Puts the stack of `service` for `phase` together. `file` gives the text of a file in the PAM directories by its name.
///
/// # Errors
///
/// A file that is included is missing or includes itself, or there are too many lines; in words.
pub fn stack(
    service: &str,
    phase: Phase,
    file: &impl Fn(&str) -> Result<String, String>,
) -> Result<Stack, String> {
    let mut builder = Builder { phase, file, files: Vec::new(), lines: 0 };
    let steps = builder.file(service, 0)?;
    Ok(Stack { steps, files: builder.files })
}

struct Builder<'a, F> {
    phase: Phase,
    file: &'a F,
    files: Vec<String>,
    lines: usize,
}

impl<F: Fn(&str) -> Result<String, String>> Builder<'_, F> {
    fn file(&mut self, name: &str, depth: usize) -> Result<Vec<Step>, String> {
        if depth > DEEPEST {
            return Err(format!("{name} is included too deeply, perhaps by itself"));
        }
        let text = (self.file)(name)?;
        if !self.files.iter().any(|file| file == name) {
            self.files.push(name.to_owned());
        }
        let mut steps = Vec::new();
        for line in logical_lines(&text) {
            self.lines += 1;
            if self.lines > MOST_LINES {
                return Err(format!("has more than {MOST_LINES} lines with what it includes"));
            }
            match parse(&line, self.phase) {
                Some(Line::Include(name)) => steps.extend(self.file(&name, depth + 1)?),
                Some(Line::Substack(name)) => steps.push(Step::Substack(self.file(&name, depth + 1)?)),
                Some(Line::Module { control, module }) => steps.push(Step::Module { control, module }),
                None => {}
            }
        }
        Ok(steps)
    }
}

/// Lines without comments, continued ones joined.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim_end();
        match line.strip_suffix('\\') {
            Some(part) => {
                current.push_str(part);
                current.push(' ');
            }
            None => {
                current.push_str(line);
                lines.push(std::mem::take(&mut current));
            }
        }
    }
    lines.push(current);
    lines.retain(|line| !line.trim().is_empty());
    lines
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Include(String),
    Substack(String),
    Module { control: Control, module: String },
}

/// A line of `phase`, or one that is for all phases; anything else is nothing to us.
fn parse(line: &str, phase: Phase) -> Option<Line> {
    let (first, rest) = word(line)?;
    if first.eq_ignore_ascii_case("@include") {
        return word(rest).map(|(name, _)| Line::Include(name.to_owned()));
    }
    // A leading dash: a missing module is not logged.
    if !first.strip_prefix('-').unwrap_or(first).eq_ignore_ascii_case(phase.word()) {
        return None;
    }
    let (control, rest) = match rest.trim_start().strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => word(rest)?,
    };
    let (module, _) = word(rest)?;
    Some(match control.to_ascii_lowercase().as_str() {
        "include" => Line::Include(module.to_owned()),
        "substack" => Line::Substack(module.to_owned()),
        control => Line::Module { control: Control::read(control), module: module.to_owned() },
    })
}

fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

impl Control {
    /// The keywords as pam.conf(5) spells them out; otherwise the pairs of a bracket.
    fn read(text: &str) -> Self {
        let all = |pass, fail| Self {
            success: pass,
            new_authtok_reqd: pass,
            perm_denied: fail,
            acct_expired: fail,
        };
        match text {
            "required" | "requisite" => all(Action::Ok, Action::Bad),
            "sufficient" => all(Action::Done, Action::Ignore),
            "optional" => all(Action::Ok, Action::Ignore),
            pairs => {
                let action = |name: &str| {
                    let value = |name: &str| {
                        let pairs = pairs.split_whitespace().filter_map(|pair| pair.split_once('='));
                        pairs
                            .filter(|(key, _)| *key == name)
                            .map(|(_, value)| Action::read(value))
                            .next_back()
                    };
                    // Without a default, libpam takes what is not named as bad.
                    value(name).or_else(|| value("default")).unwrap_or(Action::Bad)
                };
                Self {
                    success: action("success"),
                    new_authtok_reqd: action("new_authtok_reqd"),
                    perm_denied: action("perm_denied"),
                    acct_expired: action("acct_expired"),
                }
            }
        }
    }

    fn denies(&self) -> bool {
        self.perm_denied == Action::Bad && self.acct_expired == Action::Bad
    }
}

impl Action {
    fn read(text: &str) -> Self {
        match text {
            "ignore" | "reset" => Self::Ignore,
            "ok" => Self::Ok,
            "done" => Self::Done,
            number => match number.parse() {
                Ok(steps) => Self::Jump(steps),
                // `bad` and `die`, and what libpam does not know.
                Err(_) => Self::Bad,
            },
        }
    }

    /// Whether a result with this action keeps the stack from a step that comes `distance` steps later.
    fn passes_over(self, distance: usize) -> bool {
        match self {
            Self::Done => true,
            Self::Jump(steps) => steps >= distance,
            Self::Ignore | Self::Bad | Self::Ok => false,
        }
    }
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
            Step::Module { control, module } if file_name(module) == "pam_deny.so" => control.perm_denied,
            Step::Module { control, .. } => control.success,
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
    steps.iter().any(|step| match step {
        Step::Module { module, .. } => {
            !is_ours(module) && !["pam_permit.so", "pam_deny.so"].contains(&file_name(module))
        }
        Step::Substack(steps) => decides(steps),
    })
}

/// The first line of ours that denies, or else what keeps the last one from it.
fn our_part(steps: &[Step]) -> Coverage {
    if steps.is_empty() {
        return Coverage::NoStack;
    }
    let mut found = Coverage::Missing;
    for (index, step) in steps.iter().enumerate() {
        let inner = match step {
            Step::Module { control, module } if is_ours(module) => {
                if control.denies() {
                    Coverage::Covered
                } else {
                    Coverage::Ignored
                }
            }
            Step::Module { .. } => continue,
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
    let before = |action: fn(&Control) -> Action| {
        steps[..index].iter().enumerate().find_map(|(at, step)| match step {
            Step::Module { control, module } if action(control).passes_over(index - at) => {
                Some(module.clone())
            }
            _ => None,
        })
    };
    match (before(|control| control.success), before(|control| control.new_authtok_reqd)) {
        (Some(module), _) => Coverage::Bypassed(module),
        (None, Some(module)) => Coverage::BypassedIfPasswordExpired(module),
        (None, None) => Coverage::Covered,
    }
}

/// The modules of ours that the steps name, as they name them.
#[must_use]
pub fn ours(steps: &[Step]) -> Vec<String> {
    let mut names = Vec::new();
    for step in steps {
        match step {
            Step::Module { module, .. } if is_ours(module) => names.push(module.clone()),
            Step::Module { .. } => {}
            Step::Substack(steps) => names.extend(ours(steps)),
        }
    }
    names
}

fn is_ours(module: &str) -> bool {
    file_name(module) == MODULE
}

fn file_name(module: &str) -> &str {
    module.rsplit('/').next().unwrap_or(module)
}

#[cfg(test)]
mod tests;
