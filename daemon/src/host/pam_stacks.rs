//! Which lines of PAM's configuration guard which modules: pam.conf(5), read as libpam does.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Where libpam looks for services, the first to have one counting.
pub const DIRECTORIES: [&str; 2] = ["/etc/pam.d", "/usr/lib/pam.d"];
/// Our module, by its file name.
pub const MODULE: &str = "pam_lockdown.so";
/// Deepest nesting of includes, as in libpam.
const DEEPEST: usize = 32;
/// Most steps of one stack: files that include each other twice over would grow without end.
const MOST_STEPS: usize = 2_000;
/// Largest file that is read, in bytes.
const LARGEST: u64 = 256 * 1024;

/// The stacks of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Who is it?
    pub auth: Vec<Step>,
    /// Opening and closing a session.
    pub session: Vec<Step>,
}

/// One step of a stack that has been put together from files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A module.
    Module(Line),
    /// A stack of its own, which counts as one step.
    Substack(Vec<Self>),
}

/// The line of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Control field, in lower case, without brackets.
    pub control: String,
    /// File name of the module.
    pub module: String,
    /// Its arguments; one in brackets without them.
    pub arguments: Vec<String>,
}

/// The services of a host: files that no other one includes.
#[must_use]
pub fn services(directories: &[&Path]) -> Vec<Service> {
    let files = files(directories);
    let mut included = BTreeSet::new();
    let mut services = Vec::new();
    for name in files.keys() {
        let mut stack = |phase| {
            let mut builder = Builder { files: &files, phase, steps: 0, included: &mut included };
            builder.file(name, 0)
        };
        services.push(Service { name: name.clone(), auth: stack("auth"), session: stack("session") });
    }
    services.retain(|service| !included.contains(&service.name));
    services
}

/// Text of each file by its name.
fn files(directories: &[&Path]) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for directory in directories {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            // What a package manager left behind beside them has a dot or a tilde, and no service has.
            if name.contains(['.', '~']) || files.contains_key(name) {
                continue;
            }
            if let Some(text) = text(&path) {
                files.insert(name.to_owned(), text);
            }
        }
    }
    files
}

fn text(path: &PathBuf) -> Option<String> {
    let metadata = std::fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() > LARGEST {
        return None;
    }
    Some(String::from_utf8_lossy(&std::fs::read(path).ok()?).into_owned())
}

struct Builder<'a> {
    files: &'a BTreeMap<String, String>,
    phase: &'static str,
    steps: usize,
    included: &'a mut BTreeSet<String>,
}

impl Builder<'_> {
    fn file(&mut self, name: &str, depth: usize) -> Vec<Step> {
        let name = name.rsplit('/').next().unwrap_or(name);
        let mut steps = Vec::new();
        let Some(text) = self.files.get(name).filter(|_| depth <= DEEPEST) else { return steps };
        if depth > 0 {
            self.included.insert(name.to_owned());
        }
        for line in logical_lines(text) {
            if self.steps >= MOST_STEPS {
                return steps;
            }
            self.steps += 1;
            match parse(&line, self.phase) {
                Some(Parsed::Include(name)) => steps.extend(self.file(&name, depth + 1)),
                Some(Parsed::Substack(name)) => steps.push(Step::Substack(self.file(&name, depth + 1))),
                Some(Parsed::Module(line)) => steps.push(Step::Module(line)),
                None => {}
            }
        }
        steps
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
    lines
}

enum Parsed {
    Include(String),
    Substack(String),
    Module(Line),
}

fn parse(line: &str, phase: &str) -> Option<Parsed> {
    let (first, rest) = word(line)?;
    if first.eq_ignore_ascii_case("@include") {
        return Some(Parsed::Include(word(rest)?.0.to_owned()));
    }
    // A leading dash: a missing module is not logged.
    if !first.strip_prefix('-').unwrap_or(first).eq_ignore_ascii_case(phase) {
        return None;
    }
    let (control, rest) = word(rest)?;
    let control = control.to_ascii_lowercase();
    let (module, mut rest) = word(rest)?;
    match control.as_str() {
        "include" => return Some(Parsed::Include(module.to_owned())),
        "substack" => return Some(Parsed::Substack(module.to_owned())),
        _ => {}
    }
    let mut arguments = Vec::new();
    while let Some((argument, left)) = word(rest) {
        arguments.push(argument.to_owned());
        rest = left;
    }
    let module = module.rsplit('/').next().unwrap_or(module).to_owned();
    Some(Parsed::Module(Line { control, module, arguments }))
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

/// What a result of a module does to its stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes on.
    GoOn,
    /// It fails, at once or at its end.
    Fail,
    /// So many steps are passed over.
    Jump(usize),
}

impl Line {
    /// What this result (`perm_denied`, `authinfo_unavail`) does.
    #[must_use]
    pub fn action(&self, result: &str) -> Action {
        let pairs = || self.control.split_whitespace().filter_map(|pair| pair.split_once('='));
        let value = |name: &str| pairs().filter(|(key, _)| *key == name).map(|(_, value)| value).next_back();
        let action = match self.control.as_str() {
            "required" | "requisite" => return Action::Fail,
            "sufficient" | "optional" => return Action::GoOn,
            // Without a default, libpam takes what is not named as bad.
            _ => value(result).or_else(|| value("default")).unwrap_or("bad"),
        };
        match action {
            "ignore" | "ok" | "done" | "reset" => Action::GoOn,
            "bad" | "die" => Action::Fail,
            number => number.parse().map_or(Action::Fail, Action::Jump),
        }
    }

    /// The value of an argument `name=value`; the last one counts.
    #[must_use]
    pub fn argument(&self, name: &str) -> Option<&str> {
        let pairs = self.arguments.iter().filter_map(|argument| argument.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value).next_back()
    }
}

/// Every line of a stack.
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

/// The modules that `is_meant` of a stack, each with whether a guard line of ours for `authenticator` stands before it that
/// keeps it from being asked.
pub fn guarded<'s>(
    steps: &'s [Step],
    authenticator: &str,
    is_meant: &impl Fn(&Line) -> bool,
) -> Vec<(&'s Line, bool)> {
    let mut found = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let inner = match step {
            Step::Module(line) if is_meant(line) => vec![(line, false)],
            Step::Module(_) => continue,
            Step::Substack(steps) => guarded(steps, authenticator, is_meant),
        };
        let here = steps[..index].iter().enumerate().any(|(at, step)| match step {
            Step::Module(line)
                if line.module == MODULE && line.argument("authenticator") == Some(authenticator) =>
            {
                match line.action("authinfo_unavail") {
                    Action::Fail => true,
                    Action::Jump(over) => at.saturating_add(over) >= index,
                    Action::GoOn => false,
                }
            }
            _ => false,
        });
        found.extend(inner.into_iter().map(|(line, guarded)| (line, guarded || here)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMMON: &str = "\
auth [success=ignore authinfo_unavail=1 default=ignore] pam_lockdown.so authenticator=password\n\
auth\t[success=1 default=ignore]\tpam_unix.so nullok\n\
auth requisite pam_deny.so # comment\n\
auth required \\\n  pam_permit.so\n";

    fn host(files: &[(&str, &str)]) -> Vec<Service> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        services(&[directory.path(), Path::new("/nonexistent")])
    }

    fn passwords(service: &Service) -> Vec<bool> {
        let is_meant = |line: &Line| line.module == "pam_unix.so";
        guarded(&service.auth, "password", &is_meant).into_iter().map(|(_, guarded)| guarded).collect()
    }

    #[test]
    fn what_others_include_is_no_service() {
        let services = host(&[
            ("common-auth", COMMON),
            ("su", "auth sufficient pam_rootok.so\n@include common-auth\n"),
            ("su.dpkg-old", "auth required pam_unix.so\n"),
            ("login", "-auth include common-auth\nsession required pam_lockdown.so\n"),
        ]);
        assert_eq!(services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), ["login", "su"]);
        assert_eq!(lines(&services[1].auth).len(), 5);
        assert_eq!(lines(&services[0].session).len(), 1);
    }

    #[test]
    fn a_guard_keeps_the_module_that_it_passes_over_from_being_asked() {
        for (stack, expected) in [
            (COMMON.to_owned(), true),
            (COMMON.replace("authinfo_unavail=1", "authinfo_unavail=ignore"), false),
            (COMMON.replace("authinfo_unavail=1 default=ignore", "default=1"), true),
            (COMMON.replace("authinfo_unavail=1 default=ignore", ""), true),
            (COMMON.replace("authenticator=password", "authenticator=face"), false),
            (COMMON.replace("[success=ignore authinfo_unavail=1 default=ignore]", "optional"), false),
            (COMMON.replace("[success=ignore authinfo_unavail=1 default=ignore]", "requisite"), true),
            (
                "auth required pam_unix.so\nauth requisite pam_lockdown.so authenticator=password\n".into(),
                false,
            ),
            (format!("auth optional pam_x.so\n{COMMON}"), true),
            (COMMON.replace("auth\t[", "auth optional pam_x.so\nauth\t["), false),
        ] {
            let services = host(&[("login", &stack)]);
            assert_eq!(passwords(&services[0]), [expected], "{stack}");
        }
    }

    #[test]
    fn a_substack_counts_as_one_step() {
        let services = host(&[
            ("unix", "auth optional pam_x.so\nauth required pam_unix.so\n"),
            ("a", "auth [default=1] pam_lockdown.so authenticator=password\nauth substack unix\n"),
            ("b", "auth substack unix\nauth [default=1] pam_lockdown.so authenticator=password\n"),
            ("c", "auth substack common\n"),
            ("common", COMMON),
        ]);
        let guarded: Vec<_> = services.iter().map(passwords).collect();
        assert_eq!(guarded, [[true], [false], [true]]);
    }

    #[test]
    fn files_that_include_themselves_end() {
        let services =
            host(&[("a", "@include b\n"), ("b", "@include a\n@include a\nauth required pam_unix.so\n")]);
        assert!(services.is_empty());
        let wide = format!("{}auth required pam_unix.so\n", "@include wide\n".repeat(3));
        assert!(host(&[("wide", &wide), ("login", "@include wide\n")]).len() == 1);
    }

    #[test]
    fn arguments_are_read_with_their_brackets() {
        let services =
            host(&[("a", "auth sufficient /lib/security/pam_u2f.so cue [authfile=/etc/a b] nouserok\n")]);
        let [Step::Module(line)] = services[0].auth.as_slice() else { panic!("{services:?}") };
        assert_eq!((line.module.as_str(), line.argument("authfile")), ("pam_u2f.so", Some("/etc/a b")));
        assert_eq!(line.arguments.len(), 3);
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(text: String) {
            let files = BTreeMap::from([("a".to_owned(), text.clone()), ("b".into(), format!("auth {text}"))]);
            for name in ["a", "b"] {
                let mut included = BTreeSet::new();
                let steps = Builder { files: &files, phase: "auth", steps: 0, included: &mut included }.file(name, 0);
                for line in lines(&steps) {
                    let _ = (line.action("authinfo_unavail"), line.argument("x"));
                }
                guarded(&steps, "password", &|_| true);
            }
        }
    }
}
