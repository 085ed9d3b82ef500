//! A semaphore whose size can change while permits are out: for budgets that follow the limit.
//! Layer: shell

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Permits that several may hold parts of. Waiters are served in the order they came.
pub struct Elastic {
    semaphore: Arc<Semaphore>,
    size: AtomicU32,
    shrunk: Notify,
}

/// What happens to a wish above the whole size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Above {
    /// It is refused, for it would wait for ever.
    Refuse,
    /// It passes alone, with all permits.
    Alone,
}

impl Elastic {
    /// A semaphore of so many permits.
    #[must_use]
    pub fn new(size: u32) -> Self {
        Self {
            semaphore: Arc::new(Semaphore::new(permits(size))),
            size: AtomicU32::new(size),
            shrunk: Notify::new(),
        }
    }

    /// All permits, held or not.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.size.load(SeqCst)
    }

    /// Permits that nobody holds now.
    #[must_use]
    pub fn available(&self) -> u32 {
        u32::try_from(self.semaphore.available_permits()).unwrap_or(u32::MAX)
    }

    /// How much of it is held, in thousandths, at most 1000.
    #[must_use]
    pub fn taken_permille(&self) -> u64 {
        let size = self.size();
        let taken = u64::from(size.saturating_sub(self.available()));
        (taken * 1000).checked_div(size.into()).unwrap_or(0)
    }

    /// Waits for so many permits; `None` when they are more than there are, now or after a change
    /// during the wait, and the wish is to be refused then.
    ///
    /// # Panics
    /// Never: the semaphore is not closed.
    pub async fn acquire(&self, wish: u32, above: Above) -> Option<SemaphorePermit<'_>> {
        loop {
            let mut shrunk = pin!(self.shrunk.notified());
            shrunk.as_mut().enable();
            let share = self.share(wish, above)?;
            tokio::select! {
                biased;
                permit = self.semaphore.acquire_many(share) => {
                    return Some(permit.expect("the semaphore is never closed"));
                }
                () = shrunk => {}
            }
        }
    }

    /// As [`Elastic::acquire`], for a holder that outlives the call.
    ///
    /// # Panics
    /// Never: the semaphore is not closed.
    pub async fn acquire_owned(&self, wish: u32, above: Above) -> Option<OwnedSemaphorePermit> {
        loop {
            let mut shrunk = pin!(self.shrunk.notified());
            shrunk.as_mut().enable();
            let share = self.share(wish, above)?;
            let semaphore = Arc::clone(&self.semaphore);
            tokio::select! {
                biased;
                permit = semaphore.acquire_many_owned(share) => {
                    return Some(permit.expect("the semaphore is never closed"));
                }
                () = shrunk => {}
            }
        }
    }

    fn share(&self, wish: u32, above: Above) -> Option<u32> {
        let size = self.size();
        match above {
            _ if wish <= size => Some(wish),
            Above::Alone => Some(size),
            Above::Refuse => None,
        }
    }

    /// Changes the size. Permits that are out stay out; as many as there are too many of vanish as
    /// they come back. Call it inside a runtime, and not from two threads at once.
    pub fn resize(&self, size: u32) {
        let before = permits(self.size.swap(size, SeqCst));
        let after = permits(size);
        if after >= before {
            self.semaphore.add_permits(after - before);
            return;
        }
        let excess = before - after;
        let owed = excess - self.semaphore.forget_permits(excess);
        if let Some(owed) = u32::try_from(owed).ok().filter(|owed| *owed > 0) {
            let semaphore = Arc::clone(&self.semaphore);
            // In line with everybody else: what comes back goes to whoever waits, never to nobody.
            tokio::spawn(async move {
                if let Ok(permit) = semaphore.acquire_many(owed).await {
                    permit.forget();
                }
            });
        }
        self.shrunk.notify_waiters();
    }
}

fn permits(size: u32) -> usize {
    usize::try_from(size).map_or(Semaphore::MAX_PERMITS, |size| {
        size.min(Semaphore::MAX_PERMITS)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;

    use super::*;

    /// Until the semaphore is as expected, or a minute of virtual time has passed.
    async fn available(elastic: &Elastic, expected: u32) {
        for _ in 0..60 {
            if elastic.available() == expected {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(elastic.available(), expected);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_out_comes_back_smaller() {
        let elastic = Elastic::new(100);
        let held = elastic.acquire(80, Above::Refuse).await;
        elastic.resize(50);
        assert_eq!((elastic.size(), elastic.available()), (50, 0));
        assert_eq!(elastic.taken_permille(), 1000);
        drop(held);
        available(&elastic, 50).await;
        elastic.resize(200);
        assert_eq!((elastic.available(), elastic.taken_permille()), (200, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn growth_pays_what_is_still_owed() {
        let elastic = Elastic::new(100);
        let held = elastic.acquire(100, Above::Refuse).await;
        elastic.resize(10);
        elastic.resize(100);
        drop(held);
        available(&elastic, 100).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_wish_that_became_too_large_is_refused_and_not_forgotten() {
        let elastic = Arc::new(Elastic::new(100));
        let held = elastic.acquire(60, Above::Refuse).await;
        let asks = Arc::clone(&elastic);
        let waits = tokio::spawn(async move { asks.acquire(60, Above::Refuse).await.is_none() });
        tokio::task::yield_now().await;
        elastic.resize(50);
        assert!(waits.await.expect("no panic"));
        drop(held);
        available(&elastic, 50).await;
        assert!(elastic.acquire(51, Above::Refuse).await.is_none());
        assert!(elastic.acquire(51, Above::Alone).now_or_never().is_some());
    }
}
