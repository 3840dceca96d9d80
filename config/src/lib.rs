//! The configuration of lockdown: `lockdown.toml` and its drop-ins, typed, with defaults and validation.
//!
//! A setting travels one way: the files are found and ordered ([`Paths`]), each is parsed and its keys are checked
//! and put over those of the files before it, and what comes out is [`Settings`] together with where each value was
//! set ([`Provenance`]). Whatever is wrong in any of the files is reported at once, and then nothing is loaded.
//!
//! To add a setting, add it in `settings.rs`: its type, default, explanation and validation stand there together,
//! and `lockdown.toml`, the commented default file, is made from them ([`default_file`]).

mod actions;
mod consistency;
mod default_file;
mod destination;
mod document;
pub mod duration;
mod error;
mod glob;
mod layers;
mod notify;
mod provenance;
mod settings;
mod severity;
mod value;

pub use actions::ACTIONS;
pub use default_file::default_file;
pub use error::{Error, Position, Problem};
pub use glob::Glob;
pub use layers::Paths;
pub use notify::{Rule, Transport};
pub use provenance::{Entry, Loaded, Origin, Provenance};
pub use settings::{
    AttackProtection, Email, Enforcement, Events, FollowKeys, Lock, Lockdown, Notifications, Nss, Protected,
    SelfService, Sessions, Settings, Tls,
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
        let mut loaded = Loaded::default();
        let mut problems = Vec::new();
        for path in layers::find(paths, &mut problems) {
            match layers::read(&path) {
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
