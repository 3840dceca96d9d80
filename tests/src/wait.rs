//! Waiting for something to happen, without bare sleeps in stories.

use std::thread::sleep;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(10);

/// Asks `question` until it answers, at most for `within`; at least once.
pub fn poll<T>(within: Duration, mut question: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let answer = question();
        if answer.is_some() || start.elapsed() >= within {
            return answer;
        }
        sleep(PAUSE);
    }
}

/// Waits until `condition` holds; panics at the caller's line if it does not `within` that time.
#[track_caller]
pub fn eventually(within: Duration, mut condition: impl FnMut() -> bool) {
    if poll(within, || condition().then_some(())).is_none() {
        panic!("did not come true within {within:?}");
    }
}

/// Watches that `condition` goes on holding; panics at the caller's line as soon as it does not.
#[track_caller]
pub fn stays(during: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    if poll(during, || (!condition()).then_some(())).is_some() {
        panic!("stopped being true after {:?}", start.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn poll_asks_again_until_there_is_an_answer() {
        let mut asked = 0;
        let answer = poll(Duration::from_secs(5), || {
            asked += 1;
            (asked == 3).then_some(asked)
        });
        assert_eq!(answer, Some(3));
    }

    #[test]
    fn poll_asks_once_even_without_time() {
        assert_eq!(poll(Duration::ZERO, || Some(1)), Some(1));
        assert_eq!(poll(Duration::ZERO, || None::<()>), None);
    }

    #[test]
    #[should_panic(expected = "did not come true")]
    fn eventually_gives_up() {
        eventually(Duration::from_millis(20), || false);
    }

    #[test]
    #[should_panic(expected = "stopped being true")]
    fn stays_notices_the_end() {
        let mut left = 2;
        stays(Duration::from_secs(5), || {
            left -= 1;
            left > 0
        });
    }
}
