//! Goes through the whole chain and says what somebody has done to it, event by event.
//!
//! What is found, and how:
//!
//! - a changed or moved event: its hash is not that of its content, number and predecessor;
//! - an event put in the place of another with a hash that fits it: the one after it does not follow from it;
//! - events taken out: their numbers are missing;
//! - an end that was cut off: numbers that were given are missing there, or the journal knows of later events;
//! - a trail that was written anew from some event on: the journal knows the hashes of before;
//! - a beginning that was cut off: no event of the trail confirms the checkpoint.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension, Result};

use super::{
    EventId,
    chain::{self, Head, hex},
};
use crate::domain::lock::Time;

/// Rows that are read in one go.
const AT_ONCE: usize = 2_000;
/// Problems that are told; more are counted.
const TOLD: usize = 100;
/// What keeps the trail from being changed by accident.
const TRIGGERS: [&str; 4] = [
    "events_are_not_changed",
    "events_are_not_removed",
    "event_checkpoints_are_not_changed",
    "event_checkpoints_are_not_removed",
];

/// Hashes of events, in hexadecimal, that somebody else has kept. More than one of an event if there was another one by its number.
pub type Witnesses = BTreeMap<EventId, BTreeSet<String>>;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The event; 0 if it is about none.
    pub id: EventId,
    /// What is wrong, in words.
    pub problem: String,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// So many events were looked at.
    pub checked: u64,
    /// The first of them; 0 if there is none.
    pub first: EventId,
    /// The last event.
    pub last: Head,
    /// So many of the witnesses were asked.
    pub witnesses: u64,
    /// What is wrong, in the order of the events: the first hundred.
    pub problems: Vec<Problem>,
    /// Problems beyond those.
    pub more: u64,
}

/// A verification under way.
#[derive(Debug)]
pub struct Verification {
    /// The event before the next one.
    previous: Head,
    /// What the hash of that should have been, if it is not.
    instead: Option<chain::Hash>,
    witnesses: Witnesses,
    /// A witness has said so.
    is_rewritten: bool,
    findings: Findings,
}

impl Verification {
    /// Begins with the first event that is not older than `since`, or with the first of the trail.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn begin(connection: &Connection, since: Option<Time>, witnesses: Witnesses) -> Result<Self> {
        let checkpoint = chain::checkpoint(connection)?;
        let mut verification = Self {
            previous: predecessor(connection, since, &checkpoint)?,
            instead: None,
            witnesses,
            is_rewritten: false,
            findings: Findings {
                checked: 0,
                first: 0,
                last: checkpoint.clone(),
                witnesses: 0,
                problems: Vec::new(),
                more: 0,
            },
        };
        verification.check_schema(connection)?;
        verification.check_checkpoint(connection, &checkpoint)?;
        let previous = verification.previous.clone();
        verification.hear(&previous, true);
        Ok(verification)
    }

    /// Looks at some more events; whether there may be others after them. Each call may have a snapshot of its own: what is
    /// appended meanwhile is looked at as well.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn go_on(&mut self, connection: &Connection) -> Result<bool> {
        let checkpoint = chain::checkpoint(connection)?;
        if checkpoint.id > self.previous.id {
            // They were removed in good order while they were being looked at.
            (self.previous, self.instead) = (checkpoint, None);
        }
        let mut select = connection.prepare_cached(&format!(
            "SELECT {}, hash FROM events WHERE id > ?1 ORDER BY id LIMIT {AT_ONCE}",
            *chain::NAMES
        ))?;
        let mut rows = select.query([self.previous.id])?;
        let mut seen = 0;
        while let Some(row) = rows.next()? {
            seen += 1;
            // Whatever it is by now.
            let stored = match row.get_ref(chain::HASH)? {
                rusqlite::types::ValueRef::Blob(bytes) | rusqlite::types::ValueRef::Text(bytes) => bytes,
                _ => &[],
            };
            self.check(row.get(0)?, &chain::values(row)?, stored);
        }
        let ended = seen < AT_ONCE;
        if ended {
            self.check_end(connection)?;
        }
        Ok(!ended)
    }

    /// What was found.
    #[must_use]
    pub fn finish(mut self) -> Findings {
        self.findings.problems.sort_by_key(|problem| problem.id);
        self.findings
    }

    fn check(&mut self, id: EventId, values: &chain::Values<'_>, stored: &[u8]) {
        let before = self.previous.id;
        let computed = chain::hash(&self.previous.hash, values);
        self.findings.checked += 1;
        if self.findings.first == 0 {
            self.findings.first = id;
        }
        let mut instead = None;
        if id != before.saturating_add(1) {
            // Without the one before it, nothing is to be said about this one.
            self.missing(before.saturating_add(1), id.saturating_sub(1), "removed");
        } else if computed != stored {
            let follows = self.instead.is_some_and(|hash| chain::hash(&hash, values) == stored);
            if !follows {
                let or = if before > 0 {
                    format!(", or event {before} was put in the place of another")
                } else {
                    String::new()
                };
                self.problem(id, format!("is not as it was written: it was changed or moved{or}"));
            }
            instead = Some(computed);
        }
        let head = Head { id, hash: stored.to_vec() };
        self.hear(&head, instead.is_none());
        (self.previous, self.instead) = (head, instead);
    }

    /// Compares an event with what was told of it, and forgets what was told of those up to it: of those that are missing, their
    /// numbers tell.
    fn hear(&mut self, head: &Head, is_sound: bool) {
        let later = self.witnesses.split_off(&head.id.saturating_add(1));
        let told = std::mem::replace(&mut self.witnesses, later);
        let Some(told) = told.get(&head.id) else { return };
        self.findings.witnesses += 1;
        let differs = told.len() > 1 || !told.contains(&hex(&head.hash));
        // Where the event itself tells, that is enough; and from the first on, all of them differ.
        if differs && is_sound && !self.is_rewritten {
            self.is_rewritten = true;
            let problem = "is not the one that the journal knows by this number: the trail was written anew";
            self.problem(head.id, problem.to_owned());
        }
    }

    fn check_end(&mut self, connection: &Connection) -> Result<()> {
        let last = self.previous.id;
        let given = chain::highest_id(connection)?;
        let known = self.witnesses.keys().next_back().copied().unwrap_or_default();
        self.findings.witnesses += self.witnesses.len() as u64;
        if given.max(known) > last {
            let who = if known >= given { "the journal knows" } else { "the store has counted" };
            self.missing(
                last.saturating_add(1),
                given.max(known),
                &format!("the end was cut off, {who} more"),
            );
        }
        self.findings.last = self.previous.clone();
        Ok(())
    }

    fn check_schema(&mut self, connection: &Connection) -> Result<()> {
        let mut select =
            connection.prepare("SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?1")?;
        for trigger in TRIGGERS {
            let sql: Option<String> = select.query_row([trigger], |row| row.get(0)).optional()?;
            if !sql.is_some_and(|sql| sql.contains("raise(ABORT")) {
                self.problem(0, format!("the trigger {trigger}, which refuses to change the trail, is gone"));
            }
        }
        let strangers: Option<EventId> = connection
            .query_row("SELECT id FROM events WHERE id < 1 ORDER BY id LIMIT 1", [], |row| row.get(0))
            .optional()?;
        if let Some(id) = strangers {
            self.problem(id, "was not written by lockdownd: its events begin with 1".to_owned());
        }
        Ok(())
    }

    fn check_checkpoint(&mut self, connection: &Connection, checkpoint: &Head) -> Result<()> {
        if checkpoint.id == 0 {
            return Ok(());
        }
        let said: bool = connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM events WHERE action = 'events-pruned' AND id > ?1
                AND input ->> '$.up_to' = ?2 AND input ->> '$.hash' = ?3)",
            (checkpoint.id, checkpoint.id.to_string(), hex(&checkpoint.hash)),
            |row| row.get(0),
        )?;
        if !said {
            let problem = "is where the trail begins by its checkpoint, but no event confirms that: older events were \
                           removed by somebody else than lockdownd";
            self.problem(checkpoint.id, problem.to_owned());
        }
        Ok(())
    }

    fn missing(&mut self, first: EventId, last: EventId, why: &str) {
        let problem = match first == last {
            true => format!("is missing: {why}"),
            false => format!("and those up to {last} are missing: {why}"),
        };
        self.problem(first, problem);
    }

    fn problem(&mut self, id: EventId, problem: String) {
        if self.findings.problems.len() < TOLD {
            self.findings.problems.push(Problem { id, problem });
        } else {
            self.findings.more += 1;
        }
    }
}

/// The event before the first that is looked at. What is before the checkpoint is no part of the trail any more.
fn predecessor(connection: &Connection, since: Option<Time>, checkpoint: &Head) -> Result<Head> {
    let Some(since) = since else { return Ok(checkpoint.clone()) };
    // By number: an event that the clock has put too early is among those that are looked at.
    let first: Option<EventId> =
        connection.query_row("SELECT min(id) FROM events WHERE time >= ?1", [since], |row| row.get(0))?;
    let found = connection
        .query_row(
            "SELECT id, hash FROM events WHERE id < ?1 ORDER BY id DESC LIMIT 1",
            [first.unwrap_or(EventId::MAX)],
            |row| Ok(Head { id: row.get(0)?, hash: row.get(1)? }),
        )
        .optional()?;
    Ok(found.filter(|found| found.id > checkpoint.id).unwrap_or_else(|| checkpoint.clone()))
}
