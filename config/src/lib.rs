//! The configuration of lockdown: `lockdown.toml` and its drop-ins, typed, with defaults and validation.
//!
//! A setting travels one way: the files are found and ordered ([`Paths`]), each is parsed and its keys are checked
//! and put over those of the files before it, and what comes out is [`Settings`] together with where each value was
//! set ([`Provenance`]). Whatever is wrong in any of the files is reported at once, and then nothing is loaded.
//!
//! To add a setting, add it in `settings.rs`: its type, default, explanation and validation stand there together,
//! and `lockdown.toml`, the commented default file, is made from them ([`default_file`]).
//!
//! Beside the settings stand documents that say how accounts should be: see [`state`].

mod actions;
mod consistency;
mod default_file;
mod destination;
mod document;
pub mod duration;
mod error;
mod glob;
mod key;
mod layers;
mod mail_server;
mod notify;
#[cfg(test)]
mod pieces;
mod provenance;
mod report;
mod rfc3339;
mod settings;
mod severity;
pub mod state;
mod time;
mod value;

pub use actions::ACTIONS;
pub use default_file::default_file;
pub use error::{Error, Position, Problem};
pub use glob::Glob;
pub use layers::{Candidate, Paths};
pub use notify::{Rule, Transport};
pub use provenance::{Entry, Loaded, Origin, Provenance};
pub use settings::{
    AttackProtection, Email, Enforcement, Events, FollowKeys, Lock, Lockdown, Notifications, Nss, Protected,
    SelfService, Sessions, Settings, StateDocuments, Tls,
};
pub use severity::{SEVERITIES, Severity};
pub use value::Value;

impl Settings {
    /// Reads the configuration found in `paths`. Without any file, these are the defaults.
    ///
    /// This blocks on the file system.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in any of the files, in the order in which they are read.
    pub fn load(paths: &Paths) -> Result<Loaded, Error> {
        Self::load_with(paths, None)
    }

    /// Reads the configuration as it would be with a file that is not in its place yet. What is there now is not read.
    ///
    /// This blocks on the file system.
    ///
    /// # Errors
    ///
    /// As [`Self::load`], and a candidate that another file takes the place of.
    pub fn load_with(paths: &Paths, candidate: Option<&Candidate>) -> Result<Loaded, Error> {
        let mut loaded = Loaded::default();
        let mut problems = Vec::new();
        let place = candidate.map(|candidate| candidate.path.as_path());
        for path in layers::find(paths, place, &mut problems) {
            match layers::read(&path, candidate) {
                Ok(text) => problems.extend(document::apply(&path, &text, &mut loaded)),
                Err(problem) => problems.push(problem),
            }
            loaded.files.push(path);
        }
        if problems.is_empty() {
            problems = consistency::check(&loaded);
        }
        if problems.is_empty() { Ok(loaded) } else { Err(Error::new(problems)) }
    }
}
