//! Which documents are to be in force: those of `state.d`, and those that were given.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use lockdown_config::{
    Problem,
    state::{self, Document, Documents},
};
use lockdown_dbus_api::{Error, options::MAX_TEXT};
use sha2::{Digest, Sha256};

use super::resolve::Faults;
use crate::{
    core::Core,
    store::{
        StoreError,
        documents::{self, Applied, Hash, Origin},
    },
};

/// What is to be applied.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// The files of `state.d` as they are now.
    Directory,
    /// These, by name, with what stands for them in messages. An empty text takes a document away.
    Given(BTreeMap<String, String>, BTreeMap<String, String>),
    /// What was applied.
    AsApplied,
}

/// A document that is to be in force.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The file, or what stands for it in messages.
    pub path: PathBuf,
    /// SHA-256 of its text.
    pub hash: Hash,
    /// Its text, if the store has another one or none.
    pub text: Option<Arc<str>>,
}

/// The documents that are to be in force.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// By name.
    pub documents: Vec<Source>,
    /// Names of those that are no more.
    pub removed: Vec<String>,
    /// Those that were applied.
    pub applied: Vec<Applied>,
}

/// Why they are not to be had.
#[derive(Debug)]
pub enum Refusal {
    /// Something is wrong with documents.
    Faults(Faults),
    /// Something is wrong with the call, or the host.
    Error(Error),
}

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// Finds them, without parsing one. What is only to be checked can take the place of a file of `state.d`.
///
/// # Errors
/// [`Refusal`]
pub async fn gather(core: &Core, wanted: Wanted, is_check: bool) -> Result<Sources, Refusal> {
    let applied = core.store.read(|connection| documents::all(connection).map_err(StoreError::from)).await?;
    let kept = |origin: Origin| {
        let of_origin = applied.iter().filter(move |known| known.origin == origin);
        of_origin.map(|known| (known.name.clone(), as_applied(known)))
    };
    let mut documents: BTreeMap<String, Source> = kept(Origin::Given).collect();
    match wanted {
        Wanted::AsApplied => documents.extend(kept(Origin::Directory)),
        Wanted::Directory => {
            let paths = core.paths.clone();
            let read = tokio::task::spawn_blocking(move || read_directory(&paths)).await;
            let read = read.map_err(|error| Error::Failed(error.to_string()))?.map_err(Refusal::Faults)?;
            // A file takes the place of what was given by its name.
            documents.extend(read.into_iter().map(|source| (source.name.clone(), source)));
        }
        Wanted::Given(texts, paths) => {
            documents.extend(kept(Origin::Directory));
            for (name, text) in texts {
                give(&mut documents, name, text, &paths, is_check)?;
            }
        }
    }
    let names: BTreeSet<&String> = documents.keys().collect();
    let removed = applied.iter().map(|known| &known.name).filter(|name| !names.contains(name));
    let removed = removed.cloned().collect();
    for source in documents.values_mut() {
        let is_known = |known: &&Applied| {
            known.name == source.name
                && known.hash == source.hash
                && known.origin == source.origin
                && Path::new(&known.path) == source.path
        };
        if applied.iter().any(|known| is_known(&known)) {
            source.text = None;
        }
    }
    Ok(Sources { documents: documents.into_values().collect(), removed, applied })
}

fn as_applied(known: &Applied) -> Source {
    let (path, hash) = (PathBuf::from(&known.path), known.hash.clone());
    Source { name: known.name.clone(), origin: known.origin, path, hash, text: None }
}

fn give(
    documents: &mut BTreeMap<String, Source>,
    name: String,
    text: String,
    paths: &BTreeMap<String, String>,
    is_check: bool,
) -> Result<(), Error> {
    state::check_name(&name).map_err(Error::InvalidArgument)?;
    if let Some(other) = documents.get(&name).filter(|other| other.origin == Origin::Directory && !is_check) {
        return Err(Error::InvalidArgument(format!(
            "the document {name} comes from {}: change it there, or give this one another name",
            other.path.display()
        )));
    }
    if text.is_empty() {
        documents.remove(&name);
        return Ok(());
    }
    let path = paths.get(&name).unwrap_or(&name);
    if path.len() > MAX_TEXT || path.is_empty() {
        return Err(Error::InvalidArgument(format!("the path of {name} must have 1 to {MAX_TEXT} bytes")));
    }
    let (path, hash) = (PathBuf::from(path), hash(&text));
    documents
        .insert(name.clone(), Source { name, origin: Origin::Given, path, hash, text: Some(text.into()) });
    Ok(())
}

fn read_directory(paths: &lockdown_config::Paths) -> Result<Vec<Source>, Faults> {
    let of_file = |problem: &Problem| {
        let is_document = problem.file.extension().is_some_and(|extension| extension == "toml");
        let stem = problem.file.file_stem().filter(|_| is_document).unwrap_or_default();
        (stem.to_string_lossy().into_owned(), problem.clone())
    };
    let faults = |error: &lockdown_config::Error| error.problems().iter().map(of_file).collect::<Faults>();
    let found = state::find(paths).map_err(|error| faults(&error))?;
    let (mut sources, mut problems) = (Vec::new(), Vec::new());
    for state::Source { name, path } in found {
        match (state::Source { name: name.clone(), path: path.clone() }).read() {
            Ok(text) => {
                let hash = hash(&text);
                sources.push(Source { name, origin: Origin::Directory, path, hash, text: Some(text.into()) });
            }
            Err(error) => problems.extend(faults(&error)),
        }
    }
    if problems.is_empty() { Ok(sources) } else { Err(problems) }
}

fn hash(text: &str) -> Hash {
    Sha256::digest(text).to_vec()
}

impl Sources {
    /// The names of all that are, and of those that are no more.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let kept = self.documents.iter().map(|source| source.name.clone());
        kept.chain(self.removed.iter().cloned())
    }

    /// Whether no text differs from those that were applied.
    #[must_use]
    pub fn are_as_applied(&self) -> bool {
        self.removed.is_empty() && self.documents.iter().all(|source| source.text.is_none())
    }

    /// Whether some name what is another thing without their doing: groups, accounts that are not here.
    #[must_use]
    pub fn change_by_themselves(&self) -> bool {
        self.applied.iter().any(|document| document.has_groups || document.pending > 0)
    }

    /// Parses all of them, and checks them against each other.
    ///
    /// # Errors
    /// [`Refusal`]
    pub async fn parse(&self, core: &Core) -> Result<Vec<Document>, Refusal> {
        let mut texts: Vec<(String, PathBuf, Arc<str>)> = Vec::with_capacity(self.documents.len());
        for source in &self.documents {
            let text = match &source.text {
                Some(text) => Arc::clone(text),
                None => {
                    let name = source.name.clone();
                    let stored = core
                        .store
                        .read(move |connection| documents::text(connection, &name).map_err(StoreError::from));
                    stored.await?.into()
                }
            };
            texts.push((source.name.clone(), source.path.clone(), text));
        }
        let parsed = tokio::task::spawn_blocking(move || parse_all(texts)).await;
        parsed.map_err(|error| Error::Failed(error.to_string()))?.map_err(Refusal::Faults)
    }
}

fn parse_all(texts: Vec<(String, PathBuf, Arc<str>)>) -> Result<Vec<Document>, Faults> {
    let (mut documents, mut faults) = (Vec::new(), Vec::new());
    for (name, path, text) in texts {
        match state::parse(&name, &path, &text) {
            Ok(document) => documents.push(document),
            Err(error) => {
                faults.extend(error.problems().iter().map(|problem| (name.clone(), problem.clone())));
            }
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let named: BTreeMap<PathBuf, String> =
        documents.iter().map(|document| (document.origin.clone(), document.name.clone())).collect();
    Documents::new(documents).map(Documents::into_vec).map_err(|error| {
        let name = |problem: &Problem| named.get(&problem.file).cloned().unwrap_or_default();
        error.problems().iter().map(|problem| (name(problem), problem.clone())).collect()
    })
}
