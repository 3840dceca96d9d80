//! A stack as it is put together from files.

use crate::{Action, MODULE};

/// Deepest nesting of includes, as in libpam (`PAM_SUBSTACK_MAX_LEVEL` bounds substacks at 16, includes at 32).
const DEEPEST: usize = 32;
/// Most lines of one stack, with all that it includes.
const MOST_LINES: usize = 2_000;

/// The stack that a line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Who is it?
    Auth,
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
            Self::Auth => "auth",
            Self::Account => "account",
            Self::Session => "session",
        }
    }
}

/// One step of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A module.
    Module(Line),
    /// A stack of its own, which counts as one step and for which `done` and `die` end that stack only.
    Substack(Vec<Self>),
}

/// The line of a module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Control field, in lower case, without brackets.
    pub control: String,
    /// The module as the line names it.
    pub path: String,
    /// File name of the module.
    pub module: String,
    /// Its arguments; one in brackets without them.
    pub arguments: Vec<String>,
    /// The file that the line stands in.
    pub file: String,
}

impl Line {
    /// What this result (`perm_denied`, `authinfo_unavail`) does.
    #[must_use]
    pub fn action(&self, result: &str) -> Action {
        Action::of(&self.control, result)
    }

    /// Whether it is one of ours.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.module == MODULE
    }

    /// Whether it has this argument, which has no value.
    #[must_use]
    pub fn has(&self, argument: &str) -> bool {
        self.arguments.iter().any(|has| has == argument)
    }

    /// The value of an argument `name=value`; the last one counts.
    #[must_use]
    pub fn argument(&self, name: &str) -> Option<&str> {
        let pairs = self.arguments.iter().filter_map(|argument| argument.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next_back()
    }
}

/// A stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// Its steps.
    pub steps: Vec<Step>,
    /// The files that it is made of, the service's own first.
    pub files: Vec<String>,
}

/// Every line of a stack.
#[must_use]
pub fn lines(steps: &[Step]) -> Vec<&Line> {
    let mut found = Vec::new();
    for step in steps {
        match step {
            Step::Module(line) => found.push(line),
            Step::Substack(steps) => found.extend(lines(steps)),
        }
    }
    found
}

/// Puts the stack of `service` for `phase` together. `file` gives the text of a file in the PAM directories by its name.
///
/// # Errors
/// A file that is included is missing or includes itself, or there are too many lines; in words. libpam refuses everybody then.
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
                Some(Parsed::Include(name)) => steps.extend(self.file(&name, depth + 1)?),
                Some(Parsed::Substack(name)) => steps.push(Step::Substack(self.file(&name, depth + 1)?)),
                Some(Parsed::Module(line)) => {
                    steps.push(Step::Module(Line { file: name.to_owned(), ..line }));
                }
                None => {}
            }
        }
        Ok(steps)
    }
}

/// Lines without comments, continued ones joined.
fn logical_lines(text: &str) -> Vec<String> {
    let (mut lines, mut current) = (Vec::new(), String::new());
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim_end();
        if let Some(part) = line.strip_suffix('\\') {
            current.push_str(part);
            current.push(' ');
        } else {
            current.push_str(line);
            lines.push(std::mem::take(&mut current));
        }
    }
    lines.push(current);
    lines.retain(|line| !line.trim().is_empty());
    lines
}

enum Parsed {
    Include(String),
    Substack(String),
    Module(Line),
}

/// A line of `phase`, or one that is for all phases; anything else is nothing to us.
fn parse(line: &str, phase: Phase) -> Option<Parsed> {
    let (first, rest) = word(line)?;
    if first.eq_ignore_ascii_case("@include") {
        return Some(Parsed::Include(word(rest)?.0.to_owned()));
    }
    // A leading dash: a missing module is not logged.
    if !first.strip_prefix('-').unwrap_or(first).eq_ignore_ascii_case(phase.word()) {
        return None;
    }
    let (control, rest) = word(rest)?;
    let control = control.to_ascii_lowercase();
    let (path, mut rest) = word(rest)?;
    match control.as_str() {
        "include" => return Some(Parsed::Include(path.to_owned())),
        "substack" => return Some(Parsed::Substack(path.to_owned())),
        _ => {}
    }
    let mut arguments = Vec::new();
    while let Some((argument, left)) = word(rest) {
        arguments.push(argument.to_owned());
        rest = left;
    }
    let module = path.rsplit('/').next().unwrap_or(path).to_owned();
    Some(Parsed::Module(Line { control, path: path.to_owned(), module, arguments, file: String::new() }))
}

/// The next word; what is in brackets is one, without them.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    if let Some((inner, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        return Some((inner, rest));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The stack of `service` in auth.
    fn auth(files: &[(&str, &str)]) -> Result<Stack, String> {
        let file = |name: &str| {
            let found = files.iter().find(|(file, _)| *file == name);
            found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| format!("{name} does not exist"))
        };
        stack("service", Phase::Auth, &file)
    }

    #[test]
    fn a_stack_is_put_together_from_files() {
        let service = "-AUTH [default=Ignore \\\n] /lib/security/pam_a.so x # y\nauth substack inner\n@include common\n";
        let inner = ("inner", "auth required pam_b.so\nsession required pam_c.so\n");
        let found = auth(&[("service", service), inner, ("common", "auth optional pam_d.so\n")]).unwrap();
        assert_eq!(found.files, ["service", "inner", "common"]);
        let [Step::Module(first), Step::Substack(inner), Step::Module(last)] = found.steps.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!((first.path.as_str(), first.module.as_str()), ("/lib/security/pam_a.so", "pam_a.so"));
        assert_eq!((first.action("auth_err"), first.has("x")), (Action::Ignore, true));
        assert_eq!((inner.len(), last.file.as_str()), (1, "common"));
        assert_eq!(lines(&found.steps).len(), 3);
    }

    #[test]
    fn arguments_are_read_with_their_brackets() {
        let text = "auth sufficient pam_u2f.so cue [authfile=/etc/a b] authfile nouserok\n";
        let found = auth(&[("service", text)]).unwrap();
        let line = lines(&found.steps)[0];
        assert_eq!((line.argument("authfile"), line.arguments.len()), (Some("/etc/a b"), 4));
    }

    #[test]
    fn what_libpam_refuses_is_an_error() {
        assert_eq!(auth(&[("service", "@include common")]), Err("common does not exist".into()));
        assert!(auth(&[("service", "@include service")]).is_err());
        // Each file alone is short.
        let text = "@include a\n".repeat(100);
        assert!(auth(&[("service", &text), ("a", &text)]).is_err());
        assert!(auth(&[("service", &"auth required pam_a.so\n".repeat(MOST_LINES + 1))]).is_err());
    }

    proptest! {
        #[test]
        fn any_file_is_read(text in "((auth|@include|substack|required|\\[success=[0-9]|default=bad\\]|service|pam_lockdown.so|authenticator=password|preauth|#|\\\\|\n|\\PC) ?){0,60}") {
            if let Ok(stack) = auth(&[("service", &text)]) {
                for line in lines(&stack.steps) {
                    let _ = (line.action("authinfo_unavail"), line.argument("x"));
                }
                let _ = crate::asked(&stack.steps, "password");
            }
        }
    }
}
