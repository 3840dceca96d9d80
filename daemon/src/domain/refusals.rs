//! How many refusals of one caller become events: whoever may nothing must not be able to fill the disk with being told so.

use std::collections::HashMap;

use super::lock::Time;

/// So many of each uid within so many seconds.
const MOST: u32 = 10;
const WITHIN: Time = 60;
/// Uids that are remembered.
const REMEMBERED: usize = 1024;

/// The refusals of late, by the caller's uid.
#[derive(Debug, Default)]
pub struct Refusals {
    of: HashMap<u32, Window>,
}

#[derive(Debug)]
struct Window {
    since: Time,
    recorded: u32,
    left_out: u32,
}

impl Refusals {
    /// Whether another one becomes an event; if so, how many before it did not.
    pub fn admit(&mut self, uid: u32, now: Time) -> Option<u32> {
        if self.of.len() >= REMEMBERED && !self.of.contains_key(&uid) {
            self.of.retain(|_, window| window.is_open(now));
            if self.of.len() >= REMEMBERED {
                return None;
            }
        }
        let window = self.of.entry(uid).or_insert(Window { since: now, recorded: 0, left_out: 0 });
        if !window.is_open(now) {
            (window.since, window.recorded) = (now, 0);
        }
        if window.recorded == MOST {
            window.left_out = window.left_out.saturating_add(1);
            return None;
        }
        window.recorded += 1;
        Some(std::mem::take(&mut window.left_out))
    }
}

impl Window {
    fn is_open(&self, now: Time) -> bool {
        (self.since..self.since.saturating_add(WITHIN)).contains(&now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_told_and_the_others_counted() {
        let mut refusals = Refusals::default();
        for _ in 0..MOST {
            assert_eq!(refusals.admit(1000, 100), Some(0));
        }
        assert_eq!((refusals.admit(1000, 100), refusals.admit(1000, 159)), (None, None));
        assert_eq!(refusals.admit(1001, 100), Some(0), "another's are not affected");
        assert_eq!(refusals.admit(1000, 160), Some(2));
        assert_eq!(refusals.admit(1000, 161), Some(0));
        // The clock was set back.
        assert_eq!(refusals.admit(1000, 50), Some(0));
    }

    #[test]
    fn many_callers_take_no_more_room_than_that() {
        let mut refusals = Refusals::default();
        for uid in 0..10_000 {
            refusals.admit(uid, 0);
        }
        assert_eq!(refusals.of.len(), REMEMBERED);
        assert_eq!(refusals.admit(20_000, WITHIN), Some(0));
        assert_eq!(refusals.of.len(), 1);
    }
}
