//! The real programs on files of a directory (`--root`, which wants root). What asks PAM needs a whole host: the stories.

use std::fs;

use proptest::prelude::*;

use super::*;

/// Crypted by an older method, never changed, never expiring, and what shadow(5) allows besides.
const FILE: &str = "root:*:19000:0:99999:7:::\n\
                    alice:$6$abc$def:19000:0:99999:7:::\n\
                    bob:$6$abc$ghi:0:0:99999:7::20000:\n\
                    carol::::::::\n\
                    dave:!$6$abc$jkl:19000:0:99999:7:30:0:\n\
                    twice:$6$abc$mno:1::::::\n\
                    twice:$6$abc$pqr:1::::::\n\
                    al:x:1::::::\n\
                    damaged:$6$abc$mno:-1::::::\n\
                    short:$6$abc$mno:19000:0:99999:7::\n";

struct Files(tempfile::TempDir, String);

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = format!("{}/", directory.path().display());
        fs::create_dir(directory.path().join("etc")).unwrap();
        let names =
            ["root", "alice", "bob", "carol", "dave", "al", "twice", "damaged", "short", "unconverted"];
        let line = |(uid, name)| format!("{name}:x:{uid}:{uid}::/:/bin/sh\n");
        let files = Self(directory, root);
        files.write("passwd", &(1000..).zip(names).map(line).collect::<String>());
        files.write("group", "root:x:0:\n");
        files.write("shadow", FILE);
        files
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join("etc").join(name), text).unwrap();
    }

    fn shadow(&self) -> String {
        fs::read_to_string(self.0.path().join("etc/shadow")).unwrap()
    }

    fn line(&self, name: &str) -> String {
        let start = format!("{name}:");
        self.shadow().lines().find(|line| line.starts_with(&start)).unwrap().to_owned()
    }

    fn utils(&self) -> ShadowUtils<'_> {
        ShadowUtils { root: &self.1 }
    }
}

const BOTH: Parts = Parts { expires: true, hash: true };

#[tokio::test]
async fn what_was_shut_comes_back_to_the_byte() {
    let files = Files::new();
    for name in ["alice", "bob", "carol", "dave"] {
        let state = files.utils().state_of(name).unwrap().unwrap();
        files.utils().shut(name, BOTH).await.unwrap();
        let shut = files.utils().state_of(name).unwrap().unwrap();
        assert_eq!((shut.hash.as_str(), shut.expires.as_str()), ("!*", "1"), "{name}");
        // Twice is as good as once, and a state survives the store.
        files.utils().shut(name, BOTH).await.unwrap();
        let state: ShadowState = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
        for _ in 0..2 {
            files.utils().put_back(name, &state, BOTH).await.unwrap();
            assert_eq!(files.shadow(), FILE, "{name}");
        }
    }
}

#[tokio::test]
async fn only_the_parts_that_are_meant_change() {
    let files = Files::new();
    let state = files.utils().state_of("alice").unwrap().unwrap();
    files.utils().shut("alice", Parts { expires: true, hash: false }).await.unwrap();
    assert_eq!(files.line("alice"), "alice:$6$abc$def:19000:0:99999:7::1:");
    files.utils().shut("alice", Parts { expires: false, hash: false }).await.unwrap();
    files.utils().shut("alice", BOTH).await.unwrap();
    let today = files.utils().state_of("alice").unwrap().unwrap().last_change;
    files.utils().put_back("alice", &state, Parts { expires: true, hash: false }).await.unwrap();
    assert_eq!(files.line("alice"), format!("alice:!*:{today}:0:99999:7:::"));
    files.utils().shut("alice", BOTH).await.unwrap();
    files.utils().put_back("alice", &state, Parts { expires: false, hash: true }).await.unwrap();
    assert_eq!(files.line("alice"), "alice:$6$abc$def:19000:0:99999:7::1:");
}

#[tokio::test]
async fn a_recovery_code_is_another_each_time_and_has_to_be_changed() {
    let files = Files::new();
    let code = files.utils().set_recovery_code("alice").await.unwrap();
    let state = files.utils().state_of("alice").unwrap().unwrap();
    assert!(state.hash.starts_with("$6$") && state.must_change(), "{state:?}");
    assert_eq!((code.len(), code.split('-').count()), (29, 5), "{code}");
    assert!(!files.shadow().contains(&code));
    assert_ne!(files.utils().set_recovery_code("alice").await.unwrap(), code);
}

#[test]
fn an_account_is_local_or_of_a_directory_or_damaged() {
    let files = Files::new();
    let state_of = |name| files.utils().state_of(name);
    assert_eq!(state_of("bob").unwrap().unwrap().expires, "20000");
    assert!(state_of("elsewhere").unwrap().is_none());
    assert!(state_of("unconverted").unwrap_err().to_string().contains("pwconv"));
    for name in ["damaged", "short"] {
        assert!(state_of(name).unwrap_err().to_string().contains("pwck"), "{name}");
    }
    fs::remove_file(files.0.path().join("etc/shadow")).unwrap();
    assert!(state_of("alice").unwrap_err().to_string().contains("pwconv"));
}

#[tokio::test]
async fn what_cannot_be_changed_is_said_and_stays() {
    let files = Files::new();
    let not_local = files.utils().shut("elsewhere", BOTH).await.unwrap_err();
    assert!(matches!(not_local, ShadowError::NotLocal(_)), "{not_local}");
    files.write("shadow", &format!("{FILE}stranger:x:1::::::\n"));
    let unknown = files.utils().shut("stranger", BOTH).await.unwrap_err().to_string();
    assert!(unknown.contains("usermod") && unknown.contains("does not exist"), "{unknown}");
    let twice = files.utils().shut("twice", BOTH).await.unwrap_err().to_string();
    assert!(twice.contains("pwck"), "{twice}");
    let two_lines =
        ShadowState { hash: "x\nroot:x".into(), last_change: String::new(), expires: String::new() };
    files.utils().put_back("alice", &two_lines, BOTH).await.unwrap_err();
    assert_eq!(files.shadow(), format!("{FILE}stranger:x:1::::::\n"));
}

#[tokio::test]
async fn a_lock_file_that_somebody_holds_for_a_moment_is_waited_for() {
    let files = Files::new();
    let lock = files.0.path().join("etc/shadow.lock");
    fs::write(&lock, format!("{}\0", std::process::id())).unwrap();
    let held = tokio::spawn(async move {
        sleep(3 * PAUSE).await;
        fs::remove_file(lock).unwrap();
    });
    files.utils().shut("alice", BOTH).await.unwrap();
    assert!(held.is_finished());
    assert!(files.line("alice").starts_with("alice:!*:"));
}

#[test]
fn passwords_that_cannot_be_typed_are_none() {
    assert_eq!(fault("Ä correct:horse battery"), None);
    let long = "x".repeat(512);
    for password in ["", "a\nroot:b", "a\rb", "a\0b", "\u{1b}", "\u{85}", long.as_str()] {
        assert!(fault(password).is_some(), "{password:?}");
    }
}

#[test]
fn a_complaint_is_in_pams_words() {
    let said = "/x: No such file\nBAD PASSWORD: The password is shorter than 8 characters\n";
    assert_eq!(complaint(said).as_deref(), Some("The password is shorter than 8 characters"));
    assert_eq!(complaint("password updated\n"), None);
    assert_eq!(complaint(""), None);
}

#[test]
fn a_state_shows_no_hash() {
    let state = ShadowState { hash: "$6$secret".into(), last_change: "1".into(), expires: "2".into() };
    assert_eq!(format!("{state:?}"), r#"ShadowState { last_change: "1", expires: "2", .. }"#);
}

proptest! {
    #[test]
    fn a_line_is_taken_apart_or_refused(line in "([a-z0-9:$!*-]|\\PC){0,40}") {
        let fields: Vec<&[u8]> = line.split(':').map(str::as_bytes).collect();
        if let Some(state) = state(&fields) {
            prop_assert!(fields.len() == 9 && !state.hash.contains(':'));
            prop_assert!(state.expires.parse::<u32>().is_ok() || state.expires.is_empty());
        }
    }
}

#[tokio::test]
async fn of_an_expiry_that_is_not_known_only_the_lockdowns_own_goes() {
    let files = Files::new();
    let utils = files.utils();
    // Bob's own, which no lockdown has touched.
    let before = files.line("bob");
    utils.lift_expiry("bob", None).await.unwrap();
    assert_eq!(files.line("bob"), before);

    let own = utils.local("bob").unwrap();
    utils.shut("bob", Parts { expires: true, hash: false }).await.unwrap();
    assert_ne!(files.line("bob"), before);
    utils.lift_expiry("bob", Some(&own)).await.unwrap();
    assert_eq!(files.line("bob"), before);

    utils.shut("bob", Parts { expires: true, hash: false }).await.unwrap();
    utils.lift_expiry("bob", None).await.unwrap();
    assert_eq!(utils.local("bob").unwrap().expires, "");
}
