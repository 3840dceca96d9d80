//! One at a time for each uid.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, Weak},
};

use tokio::sync::{Mutex, OwnedMutexGuard};

/// A mutex for every uid that somebody holds or waits for.
#[derive(Debug, Default)]
pub struct PerUid {
    mutexes: std::sync::Mutex<HashMap<u32, Weak<Mutex<()>>>>,
}

impl PerUid {
    /// Waits until nobody else holds this uid's.
    pub async fn lock(&self, uid: u32) -> OwnedMutexGuard<()> {
        let mutex = {
            let mut all = self.mutexes.lock().unwrap_or_else(PoisonError::into_inner);
            all.retain(|_, mutex| mutex.strong_count() > 0);
            let mutex = all.get(&uid).and_then(Weak::upgrade).unwrap_or_default();
            all.insert(uid, Arc::downgrade(&mutex));
            mutex
        };
        mutex.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn holds_up_whoever_wants_the_same_and_keeps_nothing() {
        let all = PerUid::default();
        let alice = all.lock(1000).await;
        let bob = all.lock(1001).await;
        let again = tokio::time::timeout(std::time::Duration::from_millis(10), all.lock(1000)).await;
        assert!(again.is_err());
        drop((alice, bob));
        drop(all.lock(1000).await);
        drop(all.lock(1002).await);
        assert_eq!(all.mutexes.lock().unwrap().len(), 1);
    }
}
