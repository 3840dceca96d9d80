use proptest::prelude::*;

use super::*;

/// Fingerprint, type and base64 of each.
fn keys() -> impl Iterator<Item = (&'static str, &'static str)> {
    include_str!("keys.txt").lines().skip(1).map(|line| line.split_once(' ').unwrap())
}

fn ids(auth_info: &str) -> Vec<String> {
    used(auth_info).ids.into_iter().collect()
}

#[test]
fn a_key_of_every_type_is_its_fingerprint_as_ssh_keygen_says() {
    let authority = keys().last().unwrap().0;
    let mut certificates = 0;
    for (fingerprint, key) in keys() {
        let mut expected = vec!["ssh".to_owned()];
        if key.contains(CERTIFICATE) {
            expected.push(format!("ssh-ca:{authority}"));
            expected.push(format!("ssh-ca:{authority}:alice @laptop"));
            certificates += 1;
        }
        expected.push(format!("ssh:{fingerprint}"));
        let used = used(&format!("publickey {key}\n"));
        assert_eq!(used.ids.into_iter().collect::<Vec<_>>(), expected, "{key}");
        assert!(!used.unreadable_key);
        assert_eq!(key_id(&format!("{key} a comment")), Some(format!("ssh:{fingerprint}")));
    }
    assert_eq!((keys().count(), certificates), (11, 5));
}

#[test]
fn every_method_counts() {
    let (fingerprint, key) = keys().next().unwrap();
    assert_eq!(ids("password\n"), ["password"]);
    assert_eq!(ids("keyboard-interactive/pam"), ["password"]);
    let both = format!("publickey {key}\npassword\n");
    assert_eq!(ids(&both), ["password", "ssh", &format!("ssh:{fingerprint}")]);
    assert!(
        ids("").is_empty() && ids("gssapi-with-mic\nhostbased ssh-ed25519 AAAA\nnone\npasswords").is_empty()
    );
}

#[test]
fn a_key_that_cannot_be_read_is_said_to_be() {
    for key in ["", "ssh-ed25519", "ssh-ed25519 ?", "ssh-ed25519 AAAA", "ssh-ed25519 AAAAAf8="] {
        let used = used(&format!("publickey {key}"));
        assert!(used.unreadable_key && used.ids.iter().eq(["ssh"]), "{key:?}");
    }
}

/// Of every certificate: cut short, longer, and with each length field and each name changed.
#[test]
fn what_is_not_quite_a_certificate_is_none() {
    for (fingerprint, key) in keys().filter(|(_, key)| key.contains(CERTIFICATE)) {
        let blob = base64::decode(key.split(' ').nth(1).unwrap()).unwrap();
        let name = std::str::from_utf8(Reader(&blob).string().unwrap()).unwrap();
        assert!(certificate(&blob, name).is_some());
        for end in 0..blob.len() {
            assert!(certificate(&blob[..end], name).is_none(), "{fingerprint} cut at {end}");
        }
        assert!(certificate(&[blob.as_slice(), b"\0"].concat(), name).is_none());
        for name in ["ssh-new-cert-v01@openssh.com", "ssh-ed25519-cert-v02@openssh.com", "ssh-ed25519"] {
            assert!(certificate(&blob, name).is_none());
        }
    }
    // Longer than there is, up to the longest that can be said.
    for length in [1, 0x7fff_ffff, u32::MAX] {
        assert!(Reader(&length.to_be_bytes()).string().is_none());
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text: String, bytes: Vec<u8>) {
        let _ = used(&text);
        let padding = "=".repeat((3 - bytes.len() % 3) % 3);
        let _ = used(&format!("publickey ssh-rsa {}{padding}", base64::encode(&bytes)));
    }

    #[test]
    fn a_changed_certificate_names_another_key_or_none(which in 0..5_usize, at: prop::sample::Index, to: u8) {
        let (_, key) = keys().filter(|(_, key)| key.contains(CERTIFICATE)).nth(which).unwrap();
        let mut blob = base64::decode(key.split(' ').nth(1).unwrap()).unwrap();
        let at = at.index(blob.len());
        blob[at] = to;
        let padding = "=".repeat((3 - blob.len() % 3) % 3);
        let used = used(&format!("publickey x {}{padding}", base64::encode(&blob)));
        // Never the key of something that could not be read, and one key at most.
        prop_assert_eq!(used.unreadable_key, !used.ids.iter().any(|id| id.starts_with("ssh:")));
        prop_assert!(used.ids.iter().filter(|id| id.starts_with("ssh:")).count() <= 1);
    }
}
