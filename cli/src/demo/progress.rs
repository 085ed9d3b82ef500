//! One moving line for a person who watches; nothing for a pipe.
//! Layer: shell

use std::{
    io::{IsTerminal, stderr},
    time::Instant,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::status::Status;

/// Whether a person watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Shows progress if standard error is a terminal.
    Person,
    /// Shows none.
    Program,
}

/// The line.
pub struct Progress {
    bar: ProgressBar,
    started: Instant,
    limit_bytes: u64,
}

/// What the line says.
#[derive(Clone, Debug)]
pub struct Moment<'a> {
    /// Records covered by commits.
    pub finished: u64,
    /// Records that the broker holds.
    pub produced: u64,
    /// Working set now, bytes.
    pub memory_bytes: u64,
    /// Kills so far.
    pub kills: u32,
    /// What the processor said last.
    pub status: Option<&'a Status>,
}

impl Progress {
    /// A line for `records` records.
    #[must_use]
    pub fn new(audience: Audience, records: u64, limit_bytes: u64) -> Self {
        let shown = audience == Audience::Person && stderr().is_terminal();
        let target = if shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(records), target);
        let template = "{bar:24} {percent:>3} % {msg}";
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self {
            bar,
            started: Instant::now(),
            limit_bytes,
        }
    }

    /// Shows a moment.
    pub fn show(&self, moment: &Moment<'_>) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_position(moment.finished);
        let seconds = self.started.elapsed().as_secs().max(1);
        let gears = moment
            .status
            .map(|status| status.gears.join(", "))
            .unwrap_or_default();
        self.bar.set_message(format!(
            "{} records/s  lag {}  memory {} of {} MiB  kills {}  {gears}",
            moment.finished / seconds,
            moment.produced.saturating_sub(moment.finished),
            moment.memory_bytes >> 20,
            self.limit_bytes >> 20,
            moment.kills,
        ));
    }

    /// Takes the line away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
