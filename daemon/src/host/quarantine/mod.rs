//! Files taken away from where they work, and put back as they were.
//!
//! Three steps, so that a crash between them loses nothing: [`examine`] reads a file, the caller stores it durably,
//! [`remove`] takes it away only if it is still the same. [`put_back`] is the way back.

mod place;
mod row;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use lockdown_enforcement::escape::escape;
use rustix::fs::Stat;

use crate::domain::account::Account;
use place::{New, Place, Thing, Way, go, with_rights_of};

pub use place::MAX_CONTENT;
pub use row::{BadRow, Row};

/// What a kept file was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptKind {
    /// A file of authorized keys, or the symbolic link that led to one.
    AuthorizedKeys,
    /// A table of cron.
    Crontab,
    /// A job of at.
    AtJob,
    /// Another account's authorized keys, from which lines were taken.
    EditedKeys,
}

impl KeptKind {
    const ALL: [Self; 4] = [Self::AuthorizedKeys, Self::Crontab, Self::AtJob, Self::EditedKeys];

    /// As the store has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizedKeys => "authorized_keys",
            Self::Crontab => "crontab",
            Self::AtJob => "at_job",
            Self::EditedKeys => "edited_keys",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How it is taken away.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A regular file: its content is kept, the file removed.
    File,
    /// A symbolic link: its target is the content.
    Symlink,
    /// A file too large to keep: renamed in place, to its name and `.lockdown`, in a spool with a dot in front. There is no
    /// content.
    Aside {
        /// Its inode number, by which it is known again.
        inode: u64,
    },
    /// A file that stays, without these lines, counted from 1.
    Edited {
        /// The lines.
        lines: Vec<u32>,
    },
}

/// A file as it was found, all that is needed to put it back.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    /// What it was.
    pub kind: KeptKind,
    /// Whose it is: the work is done with this account's rights. For [`KeptKind::EditedKeys`] the other account.
    pub account: Account,
    /// Where it was.
    pub path: PathBuf,
    /// Its content to the byte.
    pub content: Vec<u8>,
    /// How it is taken away.
    pub form: Form,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of last change, in seconds and nanoseconds of Unix time.
    pub modified: (i64, i64),
}

/// Why a file was not taken away or put back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuarantineError {
    /// It is not any more what was kept: look for it anew.
    #[error("{0} changed meanwhile; try again")]
    Changed(String),
    /// Something else is in its place now, and stays.
    #[error("{0} is not put back: something else is there now; move it away and try again")]
    Occupied(String),
    /// It is neither a file nor a symbolic link, but this.
    #[error("{0} is a {1} and stays where it is")]
    NoFile(String, &'static str),
    /// An error of the file system.
    #[error("{0}: {1}")]
    Failed(String, String),
}

impl QuarantineError {
    fn failed(path: &Path, error: &io::Error) -> Self {
        let hint = match error.raw_os_error() {
            Some(nix::libc::EPERM) => " (if it is immutable, `lsattr` says so)",
            _ => "",
        };
        Self::Failed(shown(path), format!("{error}{hint}"))
    }
}

/// A path as it may stand in an error.
fn shown(path: &Path) -> String {
    escape(path.as_os_str().as_encoded_bytes()).to_string()
}

/// Reads what is at a path, or the symbolic link on the way to it; `None` if nothing is. Changes nothing.
///
/// # Errors
/// [`QuarantineError::NoFile`], [`QuarantineError::Failed`]
pub fn examine(kind: KeptKind, account: &Account, path: &Path) -> Result<Option<Kept>, QuarantineError> {
    let looked = with_rights_of(account, path, || {
        let place = match go(account, path, false)? {
            Way::Whole(place) | Way::Ends(place) => place,
            Way::Missing => return Ok(None),
        };
        Ok(place.look()?.map(|thing| (place.path().to_owned(), thing)))
    });
    let Some((found, thing)) = looked.map_err(|error| QuarantineError::failed(path, &error))? else {
        return Ok(None);
    };
    let (form, content, stat) = match thing {
        Thing::Symlink(target, stat) => (Form::Symlink, target, stat),
        // Whatever ends the way to it, there is no such file.
        _ if found != path => return Ok(None),
        Thing::File(content, stat) => (Form::File, content, stat),
        Thing::Large(stat) => (Form::Aside { inode: stat.st_ino }, Vec::new(), stat),
        Thing::Other(word) => return Err(QuarantineError::NoFile(shown(path), word)),
    };
    Ok(Some(Kept::new(kind, account, found, form, content, &stat)))
}

/// Takes a file away, if it is still what was kept. One that is gone already counts as taken away. Durable when it returns.
///
/// # Errors
/// [`QuarantineError`]
pub fn remove(kept: &Kept) -> Result<(), QuarantineError> {
    let removed = with_rights_of(&kept.account, &kept.path, || match go(&kept.account, &kept.path, false)? {
        Way::Missing => Ok(true),
        Way::Ends(_) => Ok(false),
        Way::Whole(place) => {
            kept.clear_leftovers(&place)?;
            match &kept.form {
                Form::File | Form::Symlink => kept.unlink(&place),
                Form::Aside { inode } => set_aside(&place, kept.kind, *inode),
                Form::Edited { lines } => kept.edit(&place, lines),
            }
        }
    });
    match removed {
        Ok(true) => Ok(()),
        Ok(false) => Err(QuarantineError::Changed(shown(&kept.path))),
        Err(error) => Err(QuarantineError::failed(&kept.path, &error)),
    }
}

/// Clears away what a [`remove`] or [`put_back`] that was cut short left beside the file: the same content, under a hidden
/// name. What is in the place of the file itself stays as it is. Durable when it returns.
///
/// # Errors
/// [`QuarantineError::Failed`]
pub fn clear_leftovers(kept: &Kept) -> Result<(), QuarantineError> {
    let cleared = with_rights_of(&kept.account, &kept.path, || match go(&kept.account, &kept.path, false)? {
        Way::Missing | Way::Ends(_) => Ok(()),
        Way::Whole(place) => kept.clear_leftovers(&place),
    });
    cleared.map_err(|error| QuarantineError::failed(&kept.path, &error))
}

/// Puts a file back, whole and durably, with content, mode, owner and time of change. One that is there again counts as
/// put back; anything else that is there stays.
///
/// # Errors
/// [`QuarantineError`]
pub fn put_back(kept: &Kept) -> Result<(), QuarantineError> {
    let work = || match go(&kept.account, &kept.path, !matches!(kept.form, Form::Edited { .. }))? {
        Way::Missing => Ok(Back::Gone),
        Way::Ends(place) => Ok(Back::Occupied(place.path().to_owned())),
        Way::Whole(place) => {
            kept.clear_leftovers(&place)?;
            match &kept.form {
                Form::File | Form::Symlink => kept.create(&place),
                Form::Aside { inode } => put_back_aside(&place, *inode),
                Form::Edited { lines } => kept.put_lines_back(&place, lines),
            }
        }
    };
    // A file of root's in her home is never hers, not for a moment.
    let back =
        if kept.uid == kept.account.uid { with_rights_of(&kept.account, &kept.path, work) } else { work() };
    match back.map_err(|error| QuarantineError::failed(&kept.path, &error))? {
        Back::Done => Ok(()),
        Back::Changed => Err(QuarantineError::Changed(shown(&kept.path))),
        Back::Occupied(path) => Err(QuarantineError::Occupied(shown(&path))),
        Back::Gone => Err(QuarantineError::Failed(shown(&kept.path), "it is not there any more".to_owned())),
    }
}

/// What came of putting a file back.
enum Back {
    Done,
    Changed,
    Occupied(PathBuf),
    Gone,
}

/// `false`: it is not this file any more.
fn set_aside(place: &Place, kind: KeptKind, inode: u64) -> io::Result<bool> {
    let Some(stat) = place.stat()? else { return Ok(true) };
    if stat.st_ino != inode {
        return Ok(false);
    }
    match kind {
        // atd runs what begins with the name of a job, whatever follows.
        KeptKind::AtJob | KeptKind::Crontab => place.hide()?,
        KeptKind::AuthorizedKeys | KeptKind::EditedKeys => place.set_aside()?,
    };
    place.sync()?;
    Ok(true)
}

fn put_back_aside(place: &Place, inode: u64) -> io::Result<Back> {
    match (place.stat()?, place.find_aside(inode)?) {
        (Some(stat), _) if stat.st_ino == inode => return Ok(Back::Done),
        (Some(_), _) => return Ok(Back::Occupied(place.path().to_owned())),
        (None, None) => return Ok(Back::Gone),
        (None, Some(aside)) => aside.rename_to(place)?,
    }
    place.sync()?;
    Ok(Back::Done)
}

// Not the content: a crontab may hold passwords.
impl fmt::Debug for Kept {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.content.len();
        write!(out, "{:?} {:?}, {:?}, {bytes} bytes", self.kind, self.path, self.form)
    }
}

impl Kept {
    fn new(
        kind: KeptKind,
        account: &Account,
        path: PathBuf,
        form: Form,
        content: Vec<u8>,
        stat: &Stat,
    ) -> Self {
        Self {
            kind,
            account: account.clone(),
            path,
            content,
            form,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            modified: modified(stat),
        }
    }

    /// The same file, to be left where it is without these lines, counted from 1.
    #[must_use]
    pub fn without_lines(self, lines: Vec<u32>) -> Self {
        Self { kind: KeptKind::EditedKeys, form: Form::Edited { lines }, ..self }
    }

    fn is_symlink(&self) -> bool {
        self.form == Form::Symlink
    }

    fn as_new(&self) -> New<'_> {
        New {
            content: &self.content,
            symlink: self.is_symlink(),
            mode: self.mode,
            owner: (self.uid, self.gid),
            modified: Some(self.modified),
        }
    }

    fn is_in(&self, place: &Place) -> io::Result<bool> {
        Ok(place.look()?.is_some_and(|thing| thing.holds(&self.content, self.is_symlink())))
    }

    /// Clears away what a daemon that was killed in the middle left: the file on its way out or back, or one of the two that
    /// were about to be exchanged.
    fn clear_leftovers(&self, place: &Place) -> io::Result<()> {
        let left = place.hidden()?;
        let Some(thing) = left.look()? else { return Ok(()) };
        let is_ours = match &self.form {
            // It has its hidden name for good.
            Form::Aside { .. } => false,
            Form::File | Form::Symlink => thing.holds(&self.content, self.is_symlink()),
            Form::Edited { lines } => {
                thing.holds(&self.content, false) || thing.holds(&self.edited(lines), false)
            }
        };
        if is_ours {
            left.unlink()?;
            place.sync()?;
        }
        Ok(())
    }

    /// `false`: it is not this file any more.
    fn unlink(&self, place: &Place) -> io::Result<bool> {
        // Under another name first: only what cannot be exchanged any more can be compared.
        let hidden = match place.hide() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                place.sync()?;
                return Ok(true);
            }
            hidden => hidden?,
        };
        let same = self.is_in(&hidden);
        if matches!(same, Ok(true)) {
            hidden.unlink()?;
        } else {
            hidden.rename_to(place)?;
        }
        place.sync()?;
        same
    }

    fn create(&self, place: &Place) -> io::Result<Back> {
        let new = self.as_new();
        let already = || match place.look()? {
            None => Ok(None),
            Some(there) if there.holds(new.content, new.symlink) => Ok(Some(Back::Done)),
            Some(_) => Ok::<_, io::Error>(Some(Back::Occupied(place.path().to_owned()))),
        };
        if let Some(back) = already()? {
            return Ok(back);
        }
        let temporary = place.create_hidden(new)?;
        if let Err(error) = temporary.rename_to(place) {
            temporary.unlink()?;
            return already()?.ok_or(error);
        }
        place.sync()?;
        Ok(Back::Done)
    }

    /// The content without the lines that are taken out.
    fn edited(&self, lines: &[u32]) -> Vec<u8> {
        self.lines(|number| !lines.contains(&number)).concat()
    }

    fn lines(&self, wanted: impl Fn(u32) -> bool) -> Vec<&[u8]> {
        let numbered = (1..).zip(self.content.split_inclusive(|byte| *byte == b'\n'));
        numbered.filter(|(number, _)| wanted(*number)).map(|(_, line)| line).collect()
    }

    fn edit(&self, place: &Place, lines: &[u32]) -> io::Result<bool> {
        let edited = self.edited(lines);
        match place.look()? {
            None => Ok(true),
            Some(there) if there.holds(&edited, false) => Ok(true),
            Some(_) => {
                place.replace(&self.content, New { content: &edited, modified: None, ..self.as_new() })
            }
        }
    }

    /// As it was where nobody changed it; otherwise the lines are added at the end.
    fn put_lines_back(&self, place: &Place, lines: &[u32]) -> io::Result<Back> {
        let (current, stat) = match place.look()? {
            None => return Ok(Back::Gone),
            Some(Thing::File(current, _)) if current == self.content => return Ok(Back::Done),
            Some(Thing::File(current, stat)) => (current, stat),
            Some(_) => return Ok(Back::Occupied(place.path().to_owned())),
        };
        let replaced = if current == self.edited(lines) {
            place.replace(&current, self.as_new())?
        } else {
            let content = with_lines(&current, &self.lines(|number| lines.contains(&number)));
            let owner = (stat.st_uid, stat.st_gid);
            let new = New { content: &content, symlink: false, mode: stat.st_mode, owner, modified: None };
            place.replace(&current, new)?
        };
        Ok(if replaced { Back::Done } else { Back::Changed })
    }
}

/// The content with lines added that it does not have.
fn with_lines(content: &[u8], lines: &[&[u8]]) -> Vec<u8> {
    let bare = |line: &[u8]| line.strip_suffix(b"\n").unwrap_or(line).to_vec();
    let present: Vec<_> = content.split_inclusive(|byte| *byte == b'\n').map(bare).collect();
    let mut content = content.to_vec();
    for line in lines.iter().map(|line| bare(line)).filter(|line| !present.contains(line)) {
        if !content.is_empty() && !content.ends_with(b"\n") {
            content.push(b'\n');
        }
        content.extend(line);
        content.push(b'\n');
    }
    content
}

fn modified(stat: &Stat) -> (i64, i64) {
    // Its width differs by architecture.
    #[expect(clippy::useless_conversion)]
    let seconds = i64::from(stat.st_mtime);
    (seconds, i64::try_from(stat.st_mtime_nsec).unwrap_or_default())
}
