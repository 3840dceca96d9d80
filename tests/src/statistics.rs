//! Whether two samples of times can be told apart.

use std::time::Duration;

/// The Mann-Whitney U test, two-sided: how likely it is that samples of one and the same distribution differ as much as
/// these or more. By the normal approximation, so for samples of some dozens at least.
pub fn mann_whitney(a: &[f64], b: &[f64]) -> f64 {
    let (count_a, count_b) = (a.len() as f64, b.len() as f64);
    let mut all: Vec<(f64, bool)> =
        a.iter().map(|&x| (x, true)).chain(b.iter().map(|&x| (x, false))).collect();
    all.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (mut ranks_of_a, mut ties, mut before) = (0.0, 0.0, 0.0);
    for group in all.chunk_by(|x, y| x.0 == y.0) {
        let size = group.len() as f64;
        let of_a = group.iter().filter(|(_, is_a)| *is_a).count() as f64;
        ranks_of_a += of_a * (before + (size + 1.0) / 2.0);
        ties += size * size * size - size;
        before += size;
    }
    let u = ranks_of_a - count_a * (count_a + 1.0) / 2.0;
    let total = count_a + count_b;
    let variance = count_a * count_b / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    let z = (u - count_a * count_b / 2.0) / variance.sqrt();
    two_tails(z.abs())
}

/// What of a normal distribution is farther than `z` from its middle: Abramowitz and Stegun 7.1.26, to 1.5e-7.
fn two_tails(z: f64) -> f64 {
    let x = z / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let terms = [1.061_405_429, -1.453_152_027, 1.421_413_741, -0.284_496_736, 0.254_829_592];
    terms.into_iter().fold(0.0, |sum, term| (sum + term) * t) * (-x * x).exp()
}

/// The middle one; of none, 0.
pub fn median(times: &[f64]) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// As microseconds.
pub fn microseconds(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evenly(from: f64, count: usize) -> Vec<f64> {
        (0..count).map(|index| from + index as f64).collect()
    }

    #[test]
    fn what_is_the_same_cannot_be_told_apart() {
        assert!(mann_whitney(&evenly(0.0, 100), &evenly(0.0, 100)) > 0.99);
        assert!(mann_whitney(&[1.0; 50], &[1.0; 50]) > 0.99);
    }

    #[test]
    fn what_differs_can() {
        assert!(mann_whitney(&evenly(0.0, 100), &evenly(1000.0, 100)) < 1e-6);
        assert!(mann_whitney(&evenly(0.0, 1000), &evenly(60.0, 1000)) < 0.01);
    }

    #[test]
    fn agrees_with_a_worked_example() {
        // U = 4 of 25, no ties: z = 8.5 / 4.787 = 1.776, p = 0.0758 without a correction for continuity.
        let (a, b) = ([1.0, 2.0, 3.0, 5.0, 8.0], [4.0, 6.5, 7.0, 9.0, 10.0]);
        assert!((mann_whitney(&a, &b) - 0.0758).abs() < 0.0005, "{}", mann_whitney(&a, &b));
        assert!((two_tails(1.959_964) - 0.05).abs() < 1e-6);
    }

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!((median(&[3.0, 1.0, 2.0]), median(&[])), (2.0, 0.0));
    }
}
