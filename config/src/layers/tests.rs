use std::fs::File;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::{Loaded, Settings};

/// A root directory with these files.
fn root(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn load(root: &TempDir) -> Loaded {
    Settings::load(&Paths::under(root)).unwrap()
}

/// The one problem, with the root taken away.
fn problem(root: &TempDir) -> String {
    let error = Settings::load(&Paths::under(root)).unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
    error.to_string().replace(root.path().to_str().unwrap(), "")
}

#[test]
fn without_files_the_defaults_hold() {
    assert_eq!(load(&root(&[])), Loaded::default());
}

#[test]
fn the_first_main_file_replaces_the_others_whole() {
    let files = [
        ("usr/lib/lockdown/lockdown.toml", "lock.end_sessions = false"),
        ("run/lockdown/lockdown.toml", "lock.message = 'run'"),
        ("etc/lockdown/lockdown.toml", "nss.timeout = '7s'"),
    ];
    for count in 1..=3 {
        let root = root(&files[..count]);
        let loaded = load(&root);
        assert_eq!(loaded.files, [root.path().join(files[count - 1].0)]);
        assert_eq!(loaded.settings.lock.end_sessions, count != 1);
        assert_eq!(loaded.settings.lock.message.is_some(), count == 2);
        assert_eq!(loaded.settings.nss.timeout == Duration::from_secs(7), count == 3);
    }
}

#[test]
fn drop_ins_go_over_the_main_file_by_name_not_by_directory() {
    let root = root(&[
        (
            "etc/lockdown/lockdown.toml",
            "nss.timeout = '1s'\nlock.message = 'main'\nprotected.users = ['a', 'b']",
        ),
        ("etc/lockdown/lockdown.d/10-a.toml", "nss.timeout = '2s'"),
        ("run/lockdown/lockdown.d/20-b.toml", "nss.timeout = '3s'"),
        ("usr/lib/lockdown/lockdown.d/30-c.toml", "\nnss.timeout = '4s'\nprotected.users = ['c']"),
        ("etc/lockdown/lockdown.d/.40-hidden.toml", "nss.timeout = '5s'"),
        ("etc/lockdown/lockdown.d/50-backup.toml~", "nss.timeout = '5s'"),
    ]);
    let loaded = load(&root);
    assert_eq!(loaded.settings.nss.timeout, Duration::from_secs(4));
    assert_eq!(loaded.settings.lock.message.as_deref(), Some("main"));
    assert_eq!(loaded.settings.protected.users, ["c"]);
    let origin = |key| loaded.provenance.origin(key).to_string().replace(root.path().to_str().unwrap(), "");
    assert_eq!(origin("nss.timeout"), "/usr/lib/lockdown/lockdown.d/30-c.toml:2");
    assert_eq!(origin("lock.message"), "/etc/lockdown/lockdown.toml:2");
    assert_eq!(origin("lock.duration"), "default");
    assert_eq!(loaded.files.len(), 4);
}

#[test]
fn a_drop_in_masks_those_of_its_name_in_weaker_directories() {
    let weak = ("usr/lib/lockdown/lockdown.d/a.toml", "nss.timeout = '9s'");
    let replaced = root(&[weak, ("run/lockdown/lockdown.d/a.toml", "lock.message = 'run'")]);
    let emptied = root(&[weak, ("etc/lockdown/lockdown.d/a.toml", "")]);
    let linked = root(&[weak, ("etc/lockdown/lockdown.d/b.toml", "")]);
    symlink("/dev/null", linked.path().join("etc/lockdown/lockdown.d/a.toml")).unwrap();
    for root in [replaced, emptied, linked] {
        let loaded = load(&root);
        assert_eq!(loaded.settings.nss, Settings::default().nss);
        assert!(!loaded.files.contains(&root.path().join(weak.0)));
    }
}

#[test]
fn a_main_file_can_be_masked_too() {
    let root = root(&[("usr/lib/lockdown/lockdown.toml", "nss.timeout = '9s'"), ("etc/lockdown/x", "")]);
    symlink("/dev/null", root.path().join("etc/lockdown/lockdown.toml")).unwrap();
    assert_eq!(load(&root).settings, Settings::default());
}

#[test]
fn a_link_to_a_file_is_followed() {
    let root = root(&[("elsewhere", "nss.timeout = '9s'"), ("etc/lockdown/x", "")]);
    symlink("../../elsewhere", root.path().join("etc/lockdown/lockdown.toml")).unwrap();
    assert_eq!(load(&root).settings.nss.timeout, Duration::from_secs(9));
}

#[test]
fn problems_of_all_files_are_reported_together() {
    let root = root(&[
        ("etc/lockdown/lockdown.toml", "[lock]\nx = 1\ny = 2"),
        ("etc/lockdown/lockdown.d/a.toml", "[lock"),
        ("etc/lockdown/lockdown.d/b.toml", "nss.timeout = '1s'"),
        ("usr/lib/lockdown/lockdown.d/c.toml", "nss.timeout = '61s'"),
    ]);
    let error = Settings::load(&Paths::under(&root)).unwrap_err();
    let names: Vec<_> = error.problems().iter().map(|problem| problem.file.file_name().unwrap()).collect();
    assert_eq!(names, ["lockdown.toml", "lockdown.toml", "a.toml", "c.toml"]);
    assert_eq!(error.to_string().lines().count(), 4);
    let json = serde_json::to_value(&error).unwrap();
    assert_eq!((&json[1]["line"], &json[1]["key"]), (&3.into(), &"lock.y".into()));
}

#[test]
fn a_candidate_is_read_instead_of_what_has_its_place() {
    let root = root(&[
        ("etc/lockdown/lockdown.toml", "nss.timeout = 'soon'"),
        ("etc/lockdown/lockdown.d/50-b.toml", "nss.timeout = '5s'\nlock.message = 'b'"),
        ("usr/lib/lockdown/lockdown.d/10-a.toml", "nss.timeout = 'soon'"),
    ]);
    let paths = Paths::under(&root);
    let load = |files: &[(&str, &str)]| {
        let candidates = files
            .iter()
            .map(|(path, text)| Candidate { path: root.path().join(path), text: (*text).to_owned() });
        candidates.map(|candidate| Settings::load_with(&paths, Some(&candidate))).collect::<Vec<_>>()
    };
    let problems = |loaded: &Result<Loaded, crate::Error>| -> Vec<String> {
        let text = loaded.as_ref().unwrap_err().to_string().replace(root.path().to_str().unwrap(), "");
        text.lines().map(|line| line.split(": ").next().unwrap().to_owned()).collect()
    };

    // What is wrong in the others stays wrong.
    let mended = load(&[("etc/lockdown/lockdown.toml", ""), ("etc/lockdown/lockdown.d/10-a.toml", "")]);
    assert_eq!(problems(&mended[0]), ["/usr/lib/lockdown/lockdown.d/10-a.toml:1:15"]);
    assert_eq!(problems(&mended[1]), ["/etc/lockdown/lockdown.toml:1:15"]);

    fs::remove_file(root.path().join("etc/lockdown/lockdown.toml")).unwrap();
    let message = "lock.message = 'new'";
    let loaded = load(&[
        ("run/lockdown/lockdown.d/10-a.toml", message),
        ("etc/lockdown/lockdown.d/10-a.toml", "nss.timeout = '0'\n"),
        ("etc/lockdown/lockdown.d/10-a.toml", "nss.timeout = '7s'\nlock.message = 'new'"),
    ]);
    let [weak, wrong, covered] = &loaded[..] else { panic!("{loaded:?}") };
    assert_eq!(weak.as_ref().unwrap().settings.lock.message.as_deref(), Some("b"));
    assert_eq!(problems(wrong), ["/etc/lockdown/lockdown.d/10-a.toml:1:15"]);
    assert_eq!(covered.as_ref().unwrap().settings.nss.timeout, Duration::from_secs(5));

    fs::remove_file(root.path().join("usr/lib/lockdown/lockdown.d/10-a.toml")).unwrap();
    let loaded =
        load(&[("new", message), (".hidden.toml", message), ("usr/lib/lockdown/lockdown.toml", message)]);
    let said: Vec<_> =
        loaded.iter().map(|loaded| loaded.as_ref().unwrap().settings.lock.message.as_deref()).collect();
    assert_eq!(said, [Some("new"), Some("new"), Some("b")], "elsewhere is over all, a main file under all");
}

#[test]
fn a_candidate_that_would_not_be_read_is_refused() {
    let root = root(&[("etc/lockdown/lockdown.d/a.toml", ""), ("run/lockdown/lockdown.toml", "")]);
    let paths = Paths::under(&root);
    for (path, stronger) in [
        ("usr/lib/lockdown/lockdown.d/a.toml", "etc/lockdown/lockdown.d/a.toml"),
        ("usr/lib/lockdown/lockdown.toml", "run/lockdown/lockdown.toml"),
    ] {
        let candidate = Candidate { path: root.path().join(path), text: "nonsense".to_owned() };
        let error = Settings::load_with(&paths, Some(&candidate)).unwrap_err();
        let said = error.to_string().replace(root.path().to_str().unwrap(), "");
        assert_eq!(said, format!("/{path}: would not be read: /{stronger} takes its place"));
    }
    let huge = Candidate { path: root.path().join("new"), text: format!("#{}", "x".repeat(1 << 20)) };
    let error = Settings::load_with(&paths, Some(&huge)).unwrap_err();
    assert!(error.to_string().ends_with("/new: has more than 1048576 bytes (1 MiB)"), "{error}");
}

#[test]
fn places_are_main_files_and_drop_ins() {
    let paths = Paths::default();
    for (place, is_one) in [
        ("/etc/lockdown/lockdown.toml", true),
        ("/usr/lib/lockdown/lockdown.d/50-site.toml", true),
        ("/run/lockdown/lockdown.d//50-site.toml", true),
        ("/etc/lockdown/lockdown.d/.50-site.toml", false),
        ("/etc/lockdown/lockdown.d/50-site", false),
        ("/etc/lockdown/lockdown.d/more/50-site.toml", false),
        ("/etc/lockdown/other.toml", false),
        ("/etc/lockdown/state.d/web.toml", false),
        ("lockdown.toml", false),
        ("", false),
    ] {
        assert_eq!(paths.has_place(Path::new(place)), is_one, "{place}");
    }
}

#[test]
fn what_is_no_sound_file_is_refused() {
    let drop_in = "etc/lockdown/lockdown.d/a.toml";
    let other = || root(&[("etc/lockdown/lockdown.d/b.toml", "")]);

    let directory = other();
    fs::create_dir(directory.path().join(drop_in)).unwrap();
    let socket = other();
    let _listener = UnixListener::bind(socket.path().join(drop_in)).unwrap();
    let fifo = other();
    assert!(Command::new("mkfifo").arg(fifo.path().join(drop_in)).status().unwrap().success());
    let device = other();
    symlink("/dev/zero", device.path().join(drop_in)).unwrap();
    for root in [directory, socket, fifo, device] {
        let expected = "must be a regular file, or a symbolic link to one or to /dev/null";
        assert_eq!(problem(&root), format!("/{drop_in}: {expected}"));
    }

    for path in [drop_in, "etc/lockdown/lockdown.toml"] {
        let dangling = other();
        symlink("nowhere", dangling.path().join(path)).unwrap();
        assert!(problem(&dangling).starts_with(&format!("/{path}: is a symbolic link that leads nowhere")));
    }

    let latin1 = other();
    fs::write(latin1.path().join(drop_in), b"# \xc3\xbc\n# \xc3\xbc \xfc").unwrap();
    assert!(problem(&latin1).starts_with(&format!("/{drop_in}:2:5: is not UTF-8")));

    let huge = other();
    File::create(huge.path().join(drop_in)).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(problem(&huge), format!("/{drop_in}: has more than 1048576 bytes (1 MiB)"));
}

#[test]
fn a_directory_that_is_a_file_is_refused() {
    assert!(problem(&root(&[("run/lockdown/lockdown.d", "")])).starts_with("/run/lockdown/lockdown.d: "));
}

#[test]
fn a_file_of_the_largest_size_is_read() {
    let text = format!("#{}", "x".repeat((1 << 20) - 1));
    assert_eq!(load(&root(&[("etc/lockdown/lockdown.toml", &text)])).settings, Settings::default());
}
