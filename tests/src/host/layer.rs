//! A root file system with packages installed, kept for later boots.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{env, fs};

use super::Host;
use super::cache;
use super::image::RootFs;

impl RootFs {
    /// The same with these .deb files installed by `dpkg -i` on a booted host, as an administrator
    /// would, and the host powered off again. Made once per content of the files. Dependencies
    /// have to be in the image: the host has no network.
    pub fn with_packages(&self, debs: &[PathBuf]) -> Self {
        let contents: Vec<Vec<u8>> = debs
            .iter()
            .map(|deb| fs::read(deb).unwrap_or_else(|e| panic!("cannot read {}: {e}", deb.display())))
            .collect();
        let key = cache::key((self.name(), &contents));
        let upper = cache::entry(&format!("installed-{}-{key}", self.release), |path| {
            let host = Host::boot(self);
            install(&host, &contents);
            host.power_off();
            fs::rename(host.upper(), path)
                .unwrap_or_else(|e| panic!("cannot create {}: {e}", path.display()));
        });
        self.under(upper)
    }
}

fn install(host: &Host, debs: &[Vec<u8>]) {
    let mut dpkg = vec!["dpkg".to_owned(), "-i".to_owned()];
    for (number, deb) in debs.iter().enumerate() {
        let path = format!("/tmp/{number}.deb");
        host.write(&path, deb);
        dpkg.push(path);
    }
    let dpkg: Vec<&str> = dpkg.iter().map(String::as_str).collect();
    host.command(&dpkg).env("DEBIAN_FRONTEND", "noninteractive").timeout(Duration::from_secs(120)).run().ok();
    host.sh("rm /tmp/*.deb; sync").ok();
}

/// The packages under test: those of `$LOCKDOWN_DEB` (paths, one a line), or else the newest of
/// `debian/*.deb` in cargo's target directory.
pub fn packages_under_test() -> Vec<PathBuf> {
    let named = named(&env::var("LOCKDOWN_DEB").unwrap_or_default());
    if !named.is_empty() {
        return named;
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let built = target.join("debian");
    let Some(newest) = newest_deb(&built) else {
        panic!(
            "no package to test: run packaging/build-deb, or name .deb files in LOCKDOWN_DEB (none in {})",
            built.display()
        );
    };
    vec![newest]
}

fn named(lines: &str) -> Vec<PathBuf> {
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(PathBuf::from).collect()
}

fn newest_deb(dir: &Path) -> Option<PathBuf> {
    fs::read_dir(dir)
        .ok()?
        .flatten()
        .map(|found| found.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .max_by_key(|path| fs::metadata(path).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_named_one_a_line() {
        assert_eq!(named("/a b.deb\n\n  c.deb \n"), [PathBuf::from("/a b.deb"), PathBuf::from("c.deb")]);
        assert!(named(" \n").is_empty());
    }

    #[test]
    fn the_newest_deb_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(newest_deb(dir.path()), None);
        for (name, age) in [("old.deb", 20), ("new.deb", 10), ("newer.txt", 1)] {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        }
        assert_eq!(newest_deb(dir.path()), Some(dir.path().join("new.deb")));
        assert_eq!(newest_deb(&dir.path().join("no-such-directory")), None);
    }
}
