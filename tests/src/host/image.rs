//! The root file system of a release, made by mmdebstrap.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::cache::{self, Entry};
use super::release::Release;

const SETUP: &str = include_str!("setup.sh");

/// What a host boots from: read-only directories, the uppermost first.
#[derive(Clone, Debug)]
pub struct RootFs {
    pub(super) release: Release,
    pub(super) layers: Vec<Arc<Entry>>,
}

impl RootFs {
    /// The image of a release with the accounts of [`accounts`](super::accounts); made at first
    /// use, which takes a minute and a Debian mirror: `$LOCKDOWN_TEST_MIRROR`, or the one this
    /// machine uses, or mmdebstrap's default.
    pub fn image(release: Release) -> Self {
        Self::image_of(release, &release.packages())
    }

    /// The same with [tools](Release::tools) that are too big for every host.
    pub fn image_with_tools(release: Release) -> Self {
        Self::image_of(release, &[release.packages(), Release::tools()].concat())
    }

    fn image_of(release: Release, packages: &[&str]) -> Self {
        let key = cache::key((release.suite(), packages, SETUP));
        let image = cache::entry(&format!("image-{release}-{key}"), |root| make(release, packages, root));
        Self { release, layers: vec![Arc::new(image)] }
    }

    /// The same with another directory on top.
    pub(super) fn under(&self, upper: Entry) -> Self {
        let mut layers = vec![Arc::new(upper)];
        layers.extend(self.layers.iter().cloned());
        Self { release: self.release, layers }
    }

    /// As overlayfs' `lowerdir=` wants it.
    pub(super) fn lowerdir(&self) -> String {
        let paths: Vec<_> = self.layers.iter().map(|layer| layer.path().to_string_lossy()).collect();
        paths.join(":")
    }

    /// The name of the uppermost directory: tells what is in it.
    pub(super) fn name(&self) -> String {
        let top: PathBuf = self.layers.first().map(|top| top.path().into()).unwrap_or_default();
        top.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

fn make(release: Release, packages: &[&str], root: &Path) {
    eprintln!("making the image of {release} at {} (a minute)", root.display());
    // In a mount namespace of its own: were it killed, its mounts of /proc, /sys and /dev would stay.
    let mut mmdebstrap = Command::new("unshare");
    mmdebstrap
        .args(["--mount", "--propagation", "private", "timeout", "900"])
        .args(["mmdebstrap", "--mode=root", "--variant=minbase"])
        .arg(format!("--include={}", packages.join(",")))
        .arg(release.suite())
        .arg(root)
        .args(mirror());
    run(&mut mmdebstrap, "");
    let mut setup = Command::new("chroot");
    setup.arg(root).args(["/bin/bash", "-s", release.suite()]);
    run(&mut setup, SETUP);
}

fn mirror() -> Option<String> {
    if let Ok(mirror) = std::env::var("LOCKDOWN_TEST_MIRROR") {
        return Some(mirror);
    }
    let targets = Command::new("apt-get")
        .args([
            "indextargets",
            "--format",
            "$(REPO_URI)",
            "Created-By: Packages",
            "Origin: Debian",
            "Label: Debian",
        ])
        .output()
        .ok()?;
    String::from_utf8_lossy(&targets.stdout).lines().next().map(str::to_owned)
}

fn run(command: &mut Command, input: &str) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
    // Short enough for the pipe; a child that ends early is reported by its status.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("wait");
    if !output.status.success() {
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        panic!("{command:?}: {}\n{out}{err}", output.status);
    }
}
