//! Results as a table for people and as one JSON object for machines.
//! Layer: core

pub mod broker;
pub mod figures;

use serde_json::{Value, json};

use crate::{engine, pool, story::Story, workload::Skew};

/// One row of the engine's table.
#[derive(Clone, Copy, Debug)]
pub struct EngineRow {
    /// How hot the keys were.
    pub skew: Skew,
    /// Unfinished records.
    pub window: usize,
    /// Ours.
    pub ours: engine::Figure,
    /// The published shape.
    pub published: engine::Figure,
    /// The driver by itself, contained in both; its order is not judged.
    pub driver: engine::Figure,
}

/// Everything the `engine` command measured.
#[derive(Debug)]
pub struct Report {
    /// Engine alone.
    pub engine: Vec<EngineRow>,
    /// The whole dispatcher in process, with its shape.
    pub pool: Vec<(pool::Shape, pool::Figure)>,
    /// Story (a).
    pub story: Story,
}

/// Goal for the engine, tenths of a nanosecond per record.
const GOAL_TENTHS: u64 = 600;

impl Report {
    /// Faults that the oracles saw; 0 is a pass.
    #[must_use]
    pub fn faults(&self) -> u64 {
        let engine: u64 = self
            .engine
            .iter()
            .map(|r| r.ours.faults + r.published.faults)
            .sum();
        let pool: u64 = self.pool.iter().map(|(_, figure)| figure.faults).sum();
        let Story {
            told,
            alike,
            dispatcher,
            ..
        } = self.story;
        engine + pool + told.faults + alike.faults + dispatcher.faults
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::from(
            "engine alone, one thread      ours ns  allocations | published ns  allocations | driver ns\n",
        );
        for row in &self.engine {
            let (ours, peer) = (row.ours, row.published);
            text += &format!(
                "  {:<9} window {:>6} {:>12} {:>12} | {:>12} {:>12} | {:>9}\n",
                row.skew.name(),
                row.window,
                fixed(ours.tenth_nanos, 1),
                fixed(ours.milli_allocations, 3),
                fixed(peer.tenth_nanos, 1),
                fixed(peer.milli_allocations, 3),
                fixed(row.driver.tenth_nanos, 1),
            );
        }
        text += "whole dispatcher, 1 KiB copied, no work        records/s  allocations\n";
        for (shape, figure) in &self.pool {
            text += &format!(
                "  {:<9} {:>3} partitions {:>4} workers {:>15} {:>12}\n",
                shape.skew.name(),
                shape.partitions,
                shape.workers,
                figure.rate,
                fixed(figure.milli_allocations, 3),
            );
        }
        let Story {
            told,
            alike,
            dispatcher,
            call_micros,
        } = self.story;
        text += &format!(
            "story (a), a call of 1 ms took {call_micros} us     mean us     p99 us  allocations\n"
        );
        for (name, figure) in [
            ("one by one behind a lock, as told", told),
            ("the same with our copy and decoder", alike),
            ("dispatcher", dispatcher),
        ] {
            text += &format!(
                "  {name:<38} {:>10} {:>10} {:>12}\n",
                figure.mean_micros,
                figure.p99_micros,
                fixed(figure.centi_allocations, 2),
            );
        }
        text + &format!("oracle: {} faults\n", self.faults())
    }

    /// The JSON object.
    #[must_use]
    pub fn json(&self) -> Value {
        let figure = |f: &engine::Figure| {
            json!({
                "tenthNanosPerRecord": f.tenth_nanos,
                "milliAllocationsPerRecord": f.milli_allocations,
                "faults": f.faults,
            })
        };
        let engine = self.engine.iter().map(|row| {
            json!({
                "skew": row.skew.name(),
                "window": row.window,
                "ours": figure(&row.ours),
                "published": figure(&row.published),
                "driverTenthNanosPerRecord": row.driver.tenth_nanos,
            })
        });
        let pool = self.pool.iter().map(|(shape, figure)| {
            json!({
                "skew": shape.skew.name(),
                "partitions": shape.partitions,
                "workers": shape.workers,
                "recordsPerSecond": figure.rate,
                "milliAllocationsPerRecord": figure.milli_allocations,
                "faults": figure.faults,
            })
        });
        let side = |f: crate::story::Figure| {
            json!({
                "meanMicros": f.mean_micros,
                "p99Micros": f.p99_micros,
                "centiAllocationsPerEvent": f.centi_allocations,
                "faults": f.faults,
            })
        };
        json!({
            "engine": engine.collect::<Vec<_>>(),
            "pool": pool.collect::<Vec<_>>(),
            "story": {
                "callMicros": self.story.call_micros,
                "told": side(self.story.told),
                "alike": side(self.story.alike),
                "dispatcher": side(self.story.dispatcher),
            },
            "goals": self.goals(),
            "faults": self.faults(),
            "verdict": if self.faults() == 0 { "pass" } else { "fail" },
        })
    }

    fn goals(&self) -> Value {
        let slowest = self
            .engine
            .iter()
            .map(|row| row.ours.tenth_nanos)
            .max()
            .unwrap_or(0);
        let most = self
            .engine
            .iter()
            .map(|row| row.ours.milli_allocations)
            .max()
            .unwrap_or(0);
        let Story {
            told, dispatcher, ..
        } = self.story;
        json!({
            "engineAtMost60Nanos": slowest <= GOAL_TENTHS,
            "engineAllocatesNothing": most == 0,
            "halfTheLatency": dispatcher.mean_micros * 2 <= told.mean_micros,
            "tenthOfTheAllocations":
                dispatcher.centi_allocations * 10 <= told.centi_allocations,
        })
    }
}

/// A number with its last `digits` behind the point.
fn fixed(number: u64, digits: usize) -> String {
    let text = format!("{number:0width$}", width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    format!("{whole}.{fraction}")
}
