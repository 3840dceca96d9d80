//! State documents: how accounts of a host should be, in the words of configuration management.
//!
//! A document is a file of `/etc/lockdown/state.d` ([`find`]) or given to `lockdownctl apply`. Its text is parsed and
//! checked by itself ([`parse`]), then against the others ([`Documents::new`]). Which accounts there are this crate does
//! not know: that is for the daemon, which says what is wrong with the places that documents carry
//! ([`Document::problem`]).
//!
//! To add a key, add it in `keys.rs`: its explanation, how it is read and written and what editors are told of it stand
//! there together, and lockdown-state(5) and the JSON schema are made from them ([`reference`]).

mod conflicts;
mod document;
mod entry;
mod files;
mod keys;
mod kinds;
mod parse;
mod parts;
mod render;
mod words;

use crate::error::Error;
use crate::layers::Paths;

pub use document::{AccountEntry, AuthenticatorEntry, Document, Pairs, Placed, State, Subject, ValidUntil};
pub use files::{Source, check_name, find, read_file};
pub use keys::{KeyReference, TableReference, reference};
pub use parse::parse;

/// The documents that hold together. None contradicts another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Documents {
    documents: Vec<Document>,
}

impl Documents {
    /// Takes documents together.
    ///
    /// # Errors
    ///
    /// What two of them set differently, at the later of both places and with the other. Only the same spelling is seen
    /// to be the same account.
    pub fn new(documents: Vec<Document>) -> Result<Self, Error> {
        let problems = conflicts::between(&documents);
        if problems.is_empty() { Ok(Self { documents }) } else { Err(Error::new(problems)) }
    }

    /// Reads all documents of `state.d`. This blocks on the file system.
    ///
    /// # Errors
    ///
    /// Everything that is wrong in any of them.
    pub fn read(paths: &Paths) -> Result<Self, Error> {
        let (mut documents, mut problems) = (Vec::new(), Vec::new());
        for source in files::find_all(paths, &mut problems) {
            let read = source.read().and_then(|text| parse(&source.name, &source.path, &text));
            match read {
                Ok(document) => documents.push(document),
                Err(error) => problems.extend(error.into_problems()),
            }
        }
        if problems.is_empty() { Self::new(documents) } else { Err(Error::new(problems)) }
    }

    /// The documents, in the order in which they were taken.
    pub fn iter(&self) -> impl Iterator<Item = &Document> {
        self.documents.iter()
    }

    /// The documents.
    #[must_use]
    pub fn into_vec(self) -> Vec<Document> {
        self.documents
    }
}
