//! A kept file as a row of the store.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Form, Kept, KeptKind};
use crate::domain::account::Account;

/// What the store holds of a [`Kept`]. Its content may be secret, so it cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// [`KeptKind`] as text.
    pub kind: String,
    /// Path, any bytes.
    pub path: Vec<u8>,
    /// Content.
    pub content: Vec<u8>,
    /// The rest as JSON.
    pub rest: String,
}

/// A row that no version of this program wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a kept file in the store cannot be read: {0}")]
pub struct BadRow(String);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rest {
    form: Form,
    mode: u32,
    uid: u32,
    gid: u32,
    modified: (i64, i64),
    account: Owner,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Owner {
    name: String,
    uid: u32,
    gid: u32,
    /// As bytes: a path need not be UTF-8.
    home: Vec<u8>,
}

impl Kept {
    /// As a row.
    ///
    /// # Errors
    /// [`BadRow`]
    pub fn to_row(&self) -> Result<Row, BadRow> {
        let Account { name, uid, gid, home } = &self.account;
        let account =
            Owner { name: name.clone(), uid: *uid, gid: *gid, home: home.as_os_str().as_bytes().to_vec() };
        let rest = Rest {
            form: self.form.clone(),
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            modified: self.modified,
            account,
        };
        let text = |value: serde_json::Result<String>| value.map_err(|error| BadRow(error.to_string()));
        Ok(Row {
            kind: self.kind.as_str().to_owned(),
            path: self.path.as_os_str().as_bytes().to_vec(),
            content: self.content.clone(),
            rest: text(serde_json::to_string(&rest))?,
        })
    }

    /// From a row.
    ///
    /// # Errors
    /// [`BadRow`]
    pub fn from_row(row: Row) -> Result<Self, BadRow> {
        let kind = KeptKind::parse(&row.kind).ok_or_else(|| BadRow("its kind is unknown".to_owned()))?;
        let rest: Rest = serde_json::from_str(&row.rest).map_err(|error| BadRow(error.to_string()))?;
        let Owner { name, uid, gid, home } = rest.account;
        Ok(Self {
            kind,
            account: Account { name, uid, gid, home: path(&home) },
            path: path(&row.path),
            content: row.content,
            form: rest.form,
            mode: rest.mode,
            uid: rest.uid,
            gid: rest.gid,
            modified: rest.modified,
        })
    }
}

fn path(bytes: &[u8]) -> PathBuf {
    Path::new(OsStr::from_bytes(bytes)).to_owned()
}
