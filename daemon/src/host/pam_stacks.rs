//! The stacks of this host's PAM services.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use lockdown_pam_stacks::{Phase, Stack, Step, stack};

/// Where libpam looks for services, the first to have one counting.
pub const DIRECTORIES: [&str; 2] = ["/etc/pam.d", "/usr/lib/pam.d"];
/// Largest file that is read, in bytes.
const LARGEST: u64 = 256 * 1024;

/// The stacks of a service; one that libpam cannot put together is empty, for it refuses everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Who is it?
    pub auth: Vec<Step>,
    /// Opening and closing a session.
    pub session: Vec<Step>,
}

/// The services of a host: files that no other one includes.
#[must_use]
pub fn services(directories: &[&Path]) -> Vec<Service> {
    let files = files(directories);
    let file = |name: &str| {
        let text = files.get(base(name));
        text.cloned().ok_or_else(|| format!("{name} does not exist"))
    };
    let mut included = BTreeSet::new();
    let mut services = Vec::new();
    for name in files.keys() {
        let [auth, session] = [Phase::Auth, Phase::Session].map(|phase| {
            let Stack { steps, files } = stack(name, phase, &file).unwrap_or_default();
            included.extend(files.iter().skip(1).map(|file| base(file).to_owned()));
            steps
        });
        services.push(Service { name: name.clone(), auth, session });
    }
    services.retain(|service| !included.contains(&service.name));
    services
}

/// An include may name the path of a file.
fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
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

#[cfg(test)]
mod tests {
    use super::*;
    use lockdown_pam_stacks::lines;

    fn host(files: &[(&str, &str)]) -> Vec<Service> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        services(&[directory.path(), Path::new("/nonexistent")])
    }

    #[test]
    fn what_others_include_is_no_service() {
        let services = host(&[
            ("common-auth", "auth required pam_unix.so\nauth required pam_permit.so\n"),
            ("su", "auth sufficient pam_rootok.so\n@include common-auth\n"),
            ("su.dpkg-old", "auth required pam_unix.so\n"),
            ("login", "-auth include /etc/pam.d/common-auth\nsession required pam_lockdown.so\n"),
        ]);
        assert_eq!(services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), ["login", "su"]);
        assert_eq!(lines(&services[1].auth).len(), 3);
        assert_eq!(lines(&services[0].session).len(), 1);
    }

    #[test]
    fn a_service_that_libpam_cannot_put_together_lets_nobody_in() {
        let services = host(&[("a", "auth required pam_unix.so\n@include b\n")]);
        assert_eq!(services, [Service { name: "a".into(), ..Service::default() }]);
    }
}
