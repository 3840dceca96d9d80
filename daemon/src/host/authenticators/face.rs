//! Faces: the models of howdy.

use std::{io, path::Path};

use serde::Deserialize;

use super::user_file::{Content, read_system};
use crate::domain::{
    account::Account,
    authenticator::{Authenticator, Kind},
    lock::Time,
};

/// Where howdy keeps its models, by version and distribution.
const DIRECTORIES: [&str; 4] = [
    "/etc/howdy/models",
    "/lib/security/howdy/models",
    "/usr/lib/security/howdy/models",
    "/usr/lib64/security/howdy/models",
];

/// What is wanted of a model; the encoding of the face is passed over.
#[derive(Deserialize)]
struct Model {
    id: u32,
    #[serde(default)]
    label: String,
    #[serde(default)]
    time: Option<f64>,
}

/// The faces of an account, and what could not be looked at.
pub fn find(account: &Account) -> (Vec<Authenticator>, Vec<String>) {
    find_in(account, &DIRECTORIES.map(Path::new))
}

fn find_in(account: &Account, directories: &[&Path]) -> (Vec<Authenticator>, Vec<String>) {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    // It names a file.
    if account.name.contains('/') {
        return (found, problems);
    }
    // Distributions have /lib as a link to /usr/lib; the path without one is there, too.
    for path in directories.iter().map(|directory| directory.join(format!("{}.dat", account.name))) {
        match read_system(&path) {
            Ok(Some(content)) => match models(&content) {
                Ok(models) => found.extend(models),
                Err(error) => problems.push(super::problem(&path, &error)),
            },
            Ok(None) => {}
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {}
            Err(error) => problems.push(super::problem(&path, &error)),
        }
    }
    (found, problems)
}

fn models(content: &Content) -> io::Result<Vec<Authenticator>> {
    let models: Vec<Model> = serde_json::from_slice(&content.bytes)
        .map_err(|error| io::Error::other(format!("not a file of howdy's models: {error}")))?;
    let models = models.into_iter().map(|model| Authenticator {
        id: format!("face:{}", model.id),
        kind: Kind::Face,
        label: super::label(model.label.as_bytes()),
        passkey: false,
        #[allow(clippy::cast_possible_truncation, reason = "the conversion saturates")]
        added: model.time.map(|time| time as Time).or(content.written),
    });
    Ok(models.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> io::Result<Vec<Authenticator>> {
        models(&Content { bytes: text.as_bytes().to_vec(), written: Some(7) })
    }

    #[test]
    fn models_have_number_label_and_time() {
        let found = read(
            r#"[{"time": 1611000000, "label": "Initial model", "id": 0, "data": [[0.1, -0.2]]},
                {"label": "glasses\n", "id": 3, "data": []}]"#,
        )
        .unwrap();
        let found: Vec<_> =
            found.iter().map(|face| (face.id.as_str(), face.label.as_str(), face.added)).collect();
        assert_eq!(found, [("face:0", "Initial model", Some(1_611_000_000)), ("face:3", "glasses", Some(7))]);
    }

    #[test]
    fn a_file_is_found_by_the_accounts_name() {
        let directory = tempfile::tempdir().unwrap();
        let alice = Account::without_nss("alice".into(), 1000);
        assert_eq!(find_in(&alice, &[directory.path()]), (Vec::new(), Vec::new()));
        std::fs::write(directory.path().join("alice.dat"), "[{\"id\": 1}]").unwrap();
        assert_eq!(find_in(&alice, &[directory.path()]).0[0].id, "face:1");
        std::fs::write(directory.path().join("alice.dat"), "not JSON").unwrap();
        let (found, problems) = find_in(&alice, &[directory.path()]);
        assert!(found.is_empty() && problems[0].contains("alice.dat"), "{problems:?}");
        let outside = Account::without_nss("../alice".into(), 1000);
        assert_eq!(find_in(&outside, &[&directory.path().join("x")]), (Vec::new(), Vec::new()));
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(text: String) {
            let _ = read(&text);
            let _ = read(&format!("[{{\"id\": 1, \"time\": {text}}}]"));
        }
    }
}
