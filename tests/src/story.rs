//! One story, told on several releases: the macros that make tests of it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::sync::Once;
use std::time::Duration;
use std::{panic, thread};

use crate::host::{cache, requirements};
use crate::{Host, Release, wait};

/// Makes a test for bookworm and one for trixie of a story told on a fresh host with the lockdown
/// package installed, of a `bare` one on the image alone, or of one with the `tools` that configure fleets and without
/// the package.
///
/// ```text
/// on_each_release!(
///     fn a_locked_account_is_refused(host: &Host) { … }
/// );
/// on_each_release!(bare fn sudo_works(host: &Host) { … });
/// ```
#[macro_export]
macro_rules! on_each_release {
    (bare $(#[$attr:meta])* fn $story:ident($($sig:tt)*) $body:block) => {
        $crate::on_releases!([bookworm, trixie] bare $(#[$attr])* fn $story($($sig)*) $body);
    };
    (tools $(#[$attr:meta])* fn $story:ident($($sig:tt)*) $body:block) => {
        $crate::on_releases!([bookworm, trixie] tools $(#[$attr])* fn $story($($sig)*) $body);
    };
    ($(#[$attr:meta])* fn $story:ident($($sig:tt)*) $body:block) => {
        $crate::on_releases!([bookworm, trixie] $(#[$attr])* fn $story($($sig)*) $body);
    };
}

/// As [`on_each_release!`] for the releases listed first, of `bookworm`, `trixie` and
/// `trixie_broker`.
#[macro_export]
macro_rules! on_releases {
    (@release bookworm) => { $crate::Release::Bookworm };
    (@release trixie) => { $crate::Release::Trixie };
    (@release trixie_broker) => { $crate::Release::TrixieBroker };
    (@tests $boot:ident [$($release:ident),+] $(#[$attr:meta])* fn $story:ident($host:ident: $type:ty) $body:block) => {
        $(#[$attr])*
        fn $story($host: $type) $body

        // A function and a module may share a name: the tests read `story::bookworm`.
        mod $story {
            $(
                #[test]
                fn $release() {
                    $crate::story::tell($crate::on_releases!(@release $release), $crate::Host::$boot, super::$story);
                }
            )+
        }
    };
    ([$($release:ident),+] bare $($story:tt)+) => {
        $crate::on_releases!(@tests bare [$($release),+] $($story)+);
    };
    ([$($release:ident),+] tools $($story:tt)+) => {
        $crate::on_releases!(@tests with_tools [$($release),+] $($story)+);
    };
    ([$($release:ident),+] $($story:tt)+) => {
        $crate::on_releases!(@tests with_lockdown [$($release),+] $($story)+);
    };
}

/// Boots a host and tells `story` on it, when fewer than `LOCKDOWN_TEST_HOSTS` (default 2) stories
/// of all test processes are being told.
pub fn tell(release: Release, boot: fn(Release) -> Host, story: fn(&Host)) {
    requirements::check();
    let _turn = take_turn();
    tell_failures_at_once();
    story(&boot(release));
}

/// libtest keeps what a test prints until the last one is over, half an hour later, and not for whoever ends the run before.
fn tell_failures_at_once() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let kept_until_the_end = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let story = thread::current().name().unwrap_or("a thread of a story").to_owned();
            // Nobody may be left to read it.
            let _ = writeln!(io::stderr(), "{story}: {panic}");
            kept_until_the_end(panic);
        }));
    });
}

/// A lock that is one of the few; given back when dropped or when the process dies.
fn take_turn() -> File {
    let turns = std::env::var("LOCKDOWN_TEST_HOSTS").ok();
    let turns: usize = match turns.as_deref().map(str::parse) {
        None => 2,
        Some(Ok(number @ 1..=64)) => number,
        Some(_) => panic!("LOCKDOWN_TEST_HOSTS has to be a number from 1 to 64"),
    };
    let dir = cache::dir().join("turns");
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("cannot create {}: {e}", dir.display()));
    let files: Vec<File> = (0..turns).map(|n| cache::lock_file(&dir.join(n.to_string()))).collect();
    wait::poll(Duration::from_secs(3600), || files.iter().position(|file| file.try_lock().is_ok()))
        .map(|free| files.into_iter().nth(free).expect("its position was just found"))
        .expect("no other story ended within an hour")
}
