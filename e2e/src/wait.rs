//! Waiting with a deadline, ended early by Ctrl-C.
//! Layer: shell

use std::{
    thread,
    time::{Duration, Instant},
};

use crate::interrupt::{self, Interrupted};

/// How a wait ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Waited<T> {
    /// The condition came true in time.
    Met(T),
    /// It did not.
    TimedOut,
}

/// Asks `probe` every `pause` until it answers or `limit` has passed.
pub(crate) fn until<T, E: From<Interrupted>>(
    limit: Duration,
    pause: Duration,
    mut probe: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Waited<T>, E> {
    let deadline = Instant::now() + limit;
    loop {
        interrupt::check()?;
        if let Some(answer) = probe()? {
            return Ok(Waited::Met(answer));
        }
        if Instant::now() >= deadline {
            return Ok(Waited::TimedOut);
        }
        thread::sleep(pause);
    }
}

/// Lets `duration` pass.
pub(crate) fn pass(duration: Duration) -> Result<(), Interrupted> {
    until(duration, Duration::from_millis(20), || {
        interrupt::check().map(|()| None::<()>)
    })?;
    Ok(())
}
