//! The tally of an account: its failed attempts, and the locks that they have brought about.
//!
//! One file an account, named by its uid, of up to [`SLOTS`] slots of [`SLOT_BYTES`] each:
//!
//! ```text
//!  0              8              16             24      25        26       27   28           60           120        128
//! +--------------+--------------+--------------+-------+---------+--------+----+------------+------------+----------+
//! | number       | at           | locked until | flags | service | source | 0  | service    | source     | checksum |
//! | u64          | unix seconds | unix seconds |       | length  | length |    | and zeros  | and zeros  |          |
//! +--------------+--------------+--------------+-------+---------+--------+----+------------+------------+----------+
//!
//!  flags   1 the source is on this host     8 locks the account for the source
//!          2 cleared: counts no more       16 locks the account for all remote hosts
//!          4 never counted                 32 locks the account
//! ```
//!
//! Numbers are little-endian; `locked until` is 2^63-1 for a lock that does not end by itself and 0 without a lock. The
//! checksum is of the fifteen 64-bit words before it: from 0xcbf29ce484222325 on, for each word, exclusive or with the word, times
//! 0x100000001b3, exclusive or with itself shifted right by 32. No change within one word goes unnoticed.
//!
//! A slot is a failed attempt. `number` counts all that there ever were, from 1, without a gap: the highest is the exact
//! count, however many slots have been used again. A slot is written by one `pwrite(2)`, and one that does not read back (a
//! torn write, a flipped bit) is as if it were free: nothing else is lost by it, and nothing can make a tally unreadable. It is
//! not flushed; a power cut takes what the kernel has not written yet.
//!
//! Once all slots are taken, a new failure takes that of the one which matters least: it does not count any more, it has no
//! lock in force, it is the oldest. As `max_attempts_total` is at most [`SLOTS`], failures that count are not lost before the
//! account is locked as a whole; a lock on a single source may be, if over a hundred sources are locked at once.
//!
//! A clock that was set back leaves failures in the future: they count, and their locks stand.

use crate::attack_protection::{AttackProtection, MAX_ATTEMPTS};
use crate::source::Source;
use crate::text::Text;

mod file;

pub use file::{TallyDirectory, TallyFile};

/// Whose tally has the attempts on names that are no account: no account has this uid, it stands for none in chown(2). They
/// are written down so that nobody can tell by an answer's time that there is no such account; none of them counts.
pub const NOBODYS_UID: u32 = u32::MAX;

/// As many failures a tally has details of.
pub const SLOTS: usize = MAX_ATTEMPTS as usize;

/// The size of a slot. Power of two: no slot lies on two pages.
pub const SLOT_BYTES: usize = 128;

const MAX_SERVICE: usize = 32;
const SERVICE: usize = 28;
const SOURCE: usize = SERVICE + MAX_SERVICE;
const CHECKSUM: usize = SOURCE + Source::MAX_BYTES;

mod flag {
    pub(super) const LOCAL: u8 = 1;
    pub(super) const CLEARED: u8 = 2;
    pub(super) const NOT_COUNTED: u8 = 4;
    pub(super) const LOCKS_SOURCE: u8 = 8;
    pub(super) const LOCKS_REMOTE: u8 = 16;
    pub(super) const LOCKS_ALL: u8 = 32;
}

/// A failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// How many there have been on the account up to this one, from 1.
    pub number: u64,
    /// When (unix seconds).
    pub at: i64,
    /// `PAM_SERVICE`, up to 32 bytes of it.
    pub service: Text<MAX_SERVICE>,
    /// Where from.
    pub source: Source,
    /// Whether it counts.
    pub standing: Standing,
    /// The lock that it brought about.
    pub lock: Option<TallyLock>,
}

/// Whether a failure counts towards a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does, within the window.
    Counted,
    /// It does no more: the source has succeeded since, or somebody has reset the tally. Its lock is lifted.
    Cleared,
    /// It never did: of a trusted source, of root, of an ignored service, or while a lock was in force.
    NotCounted,
}

/// A lock that attack protection has set by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TallyLock {
    /// The account, for the source of the failure that brought it about.
    pub source: bool,
    /// The account, for all remote hosts.
    pub remote: bool,
    /// The account, wherever one signs in.
    pub all: bool,
    /// In force before this moment (unix seconds); `None`: until it is lifted.
    pub until: Option<i64>,
}

impl TallyLock {
    /// Whether it is in force at `now` (unix seconds).
    pub fn in_force(&self, now: i64) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// What it locks, as in a slot.
    pub(crate) fn flags(lock: Option<Self>) -> u8 {
        let set = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
        lock.map_or(0, |lock| {
            set(lock.source, flag::LOCKS_SOURCE)
                | set(lock.remote, flag::LOCKS_REMOTE)
                | set(lock.all, flag::LOCKS_ALL)
        })
    }

    /// The lock of which [`flags`](Self::flags) says what it locks.
    pub(crate) fn from_flags(flags: u8, until: Option<i64>) -> Option<Self> {
        let is_set = |flag: u8| flags & flag != 0;
        let lock = Self {
            source: is_set(flag::LOCKS_SOURCE),
            remote: is_set(flag::LOCKS_REMOTE),
            all: is_set(flag::LOCKS_ALL),
            until,
        };
        (lock.source || lock.remote || lock.all).then_some(lock)
    }
}

/// The failures of an account, by the number of their slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    slots: Vec<Option<Failure>>,
}

impl Table {
    /// Reads the bytes of a tally, as many as there are; what is no slot is left out.
    pub fn decode(bytes: &[u8]) -> Self {
        Self { slots: bytes.as_chunks().0.iter().take(SLOTS).map(Failure::decode).collect() }
    }

    /// How many attempts on the account have failed in all.
    pub fn count(&self) -> u64 {
        self.failures().map(|failure| failure.number).max().unwrap_or(0)
    }

    /// Those with details, in no order.
    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.slots.iter().flatten()
    }

    /// The lock that refuses an attempt from `source` at `now` (unix seconds): of several the one that lasts longest.
    pub fn lock(&self, source: &Source, settings: &AttackProtection, now: i64) -> Option<TallyLock> {
        if settings.trusts(source) {
            return None;
        }
        let locks = self.locks().filter(|(failure, lock)| {
            lock.in_force(now)
                && (lock.all
                    || lock.remote && !source.is_local()
                    || lock.source && failure.source.is_same(source))
        });
        locks.map(|(_, lock)| lock).max_by_key(|lock| (lock.until.is_none(), lock.until))
    }

    /// Whether there is any lock in force at `now` (unix seconds).
    pub fn has_lock(&self, now: i64) -> bool {
        self.locks().any(|(_, lock)| lock.in_force(now))
    }

    /// The locks that have not been lifted, in force or not, each with the failure that brought it about.
    pub fn locks(&self) -> impl Iterator<Item = (&Failure, TallyLock)> {
        let standing = self.failures().filter(|failure| failure.standing != Standing::Cleared);
        standing.filter_map(|failure| Some((failure, failure.lock?)))
    }

    /// How many failures count at `now` (unix seconds) towards a lock for `source`.
    pub fn counted(&self, source: &Source, settings: &AttackProtection, now: i64) -> u32 {
        self.counting(source, settings, now).count() as u32
    }

    /// When the first of those was (unix seconds).
    pub fn counted_since(&self, source: &Source, settings: &AttackProtection, now: i64) -> Option<i64> {
        self.counting(source, settings, now).map(|failure| failure.at).min()
    }

    fn counting(
        &self,
        source: &Source,
        settings: &AttackProtection,
        now: i64,
    ) -> impl Iterator<Item = &Failure> {
        let (source, per_source) = (*source, settings.per_source);
        let answers = move |lock: TallyLock| if per_source { lock.source } else { lock.all };
        let is_meant = move |failure: &Failure| !per_source || failure.source.is_same(&source);
        self.counting_where(settings, now, answers, is_meant)
    }

    /// How many failures count at `now` (unix seconds) towards a lock for all remote hosts.
    pub fn counted_in_all(&self, settings: &AttackProtection, now: i64) -> u32 {
        self.counting_where(settings, now, |lock| lock.remote, |failure| !failure.source.is_local()).count()
            as u32
    }

    /// A lock has answered the failures before it: they do not count towards the next one.
    fn counting_where(
        &self,
        settings: &AttackProtection,
        now: i64,
        answers: impl Fn(TallyLock) -> bool,
        is_meant: impl Fn(&Failure) -> bool,
    ) -> impl Iterator<Item = &Failure> {
        let since = now.saturating_sub(settings.window.into());
        let locks = self.locks().filter(|(failure, lock)| answers(*lock) && is_meant(failure));
        let answered = locks.map(|(failure, _)| failure.number).max().unwrap_or(0);
        self.failures().filter(move |failure| {
            failure.standing == Standing::Counted
                && failure.at > since
                && failure.number > answered
                && is_meant(failure)
        })
    }

    /// One more failure, with the lock that it brings about, and the number of the slot that it takes. `counts`: as
    /// [`AttackProtection::counts`] says; while a lock is in force for the source, it does not count all the same.
    #[must_use = "what is not written is not counted"]
    pub fn add(
        &self,
        attempt: (&str, &Source),
        counts: bool,
        settings: &AttackProtection,
        now: i64,
    ) -> (usize, Failure) {
        let (service, source) = attempt;
        let mut failure = Failure {
            number: self.count().saturating_add(1),
            at: now,
            service: Text::cut(service),
            source: *source,
            standing: Standing::NotCounted,
            lock: None,
        };
        if counts && self.lock(source, settings, now).is_none() {
            failure.standing = Standing::Counted;
            let reached = self.counted(source, settings, now) + 1 >= settings.max_attempts;
            let in_all =
                !source.is_local() && self.counted_in_all(settings, now) + 1 >= settings.max_attempts_total;
            let lock = TallyLock {
                source: settings.per_source && reached,
                remote: settings.per_source && in_all,
                all: !settings.per_source && reached,
                until: settings.duration.map(|duration| now.saturating_add(duration.into())),
            };
            failure.lock = Some(lock).filter(|lock| lock.source || lock.remote || lock.all);
        }
        (self.place(settings, now), failure)
    }

    fn place(&self, settings: &AttackProtection, now: i64) -> usize {
        if self.slots.len() < SLOTS {
            return self.slots.len();
        }
        let since = now.saturating_sub(settings.window.into());
        let matters = |slot: &Option<Failure>| {
            let Some(failure) = slot else { return (0, 0) };
            let lock =
                failure.lock.filter(|lock| failure.standing != Standing::Cleared && lock.in_force(now));
            let rank = match lock {
                Some(lock) if lock.all || lock.remote => 4,
                Some(_) => 3,
                None if failure.standing == Standing::Counted && failure.at > since => 2,
                None => 1,
            };
            (rank, failure.number)
        };
        (0..SLOTS).min_by_key(|slot| matters(&self.slots[*slot])).unwrap_or(0)
    }

    /// The failures of `source`, or of all, as they are once they count no more, and the numbers of their slots.
    #[must_use = "what is not written goes on counting"]
    pub fn cleared(&self, source: Option<&Source>) -> Vec<(usize, Failure)> {
        let slots =
            self.slots.iter().enumerate().filter_map(|(slot, failure)| Some((slot, failure.as_ref()?)));
        let counting = slots.filter(|(_, failure)| failure.standing == Standing::Counted);
        let meant =
            counting.filter(|(_, failure)| source.is_none_or(|source| failure.source.is_same(source)));
        meant.map(|(slot, failure)| (slot, Failure { standing: Standing::Cleared, ..*failure })).collect()
    }
}

impl Failure {
    /// The failure as the bytes of a slot.
    pub fn encode(&self) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        let source = self.source.stored_text();
        let until = self.lock.map_or(0, |lock| lock.until.unwrap_or(i64::MAX));
        bytes[..8].copy_from_slice(&self.number.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.at.to_le_bytes());
        bytes[16..24].copy_from_slice(&until.to_le_bytes());
        bytes[24..27].copy_from_slice(&[self.flags(), self.service.length(), source.length()]);
        bytes[SERVICE..SOURCE].copy_from_slice(self.service.padded());
        bytes[SOURCE..CHECKSUM].copy_from_slice(source.padded());
        let checksum = checksum(&bytes);
        bytes[CHECKSUM..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    fn flags(&self) -> u8 {
        let standing = match self.standing {
            Standing::Counted => 0,
            Standing::Cleared => flag::CLEARED,
            Standing::NotCounted => flag::NOT_COUNTED,
        };
        let local = if self.source.is_local() { flag::LOCAL } else { 0 };
        standing | local | TallyLock::flags(self.lock)
    }

    /// Reads a slot; `None` for anything that [`encode`](Self::encode) does not write.
    pub fn decode(bytes: &[u8; SLOT_BYTES]) -> Option<Self> {
        let number = |at: usize| bytes[at..].first_chunk().copied().map(u64::from_le_bytes);
        if number(CHECKSUM)? != checksum(bytes) {
            return None;
        }
        let [flags, service, source, 0] = bytes[24..SERVICE] else { return None };
        let is_set = |flag: u8| flags & flag != 0;
        let until = number(16)?.cast_signed();
        let failure = Self {
            number: number(0)?,
            at: number(8)?.cast_signed(),
            service: Text::read(bytes[SERVICE..].first_chunk()?, service)?,
            source: Source::stored(Text::read(bytes[SOURCE..].first_chunk()?, source)?, is_set(flag::LOCAL)),
            standing: match (is_set(flag::CLEARED), is_set(flag::NOT_COUNTED)) {
                (false, false) => Standing::Counted,
                (true, _) => Standing::Cleared,
                (false, true) => Standing::NotCounted,
            },
            lock: TallyLock::from_flags(flags, Some(until).filter(|until| *until != i64::MAX)),
        };
        (failure.number > 0).then_some(failure)
    }
}

/// Over a hundred slots are read between a password and its verdict: a word at a time, where a CRC takes bytes.
fn checksum(slot: &[u8; SLOT_BYTES]) -> u64 {
    let words = slot[..CHECKSUM].as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
    words.fold(0xcbf2_9ce4_8422_2325, |sum, word| {
        let product = (sum ^ word).wrapping_mul(0x100_0000_01b3);
        product ^ product >> 32
    })
}

#[cfg(test)]
mod tests;
