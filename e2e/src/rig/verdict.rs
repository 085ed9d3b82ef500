//! What came out of a scenario, judged against what was laid.
//! Layer: shell

use super::{PARTITIONS, Rig, ScenarioError};
use crate::{
    ledger::Ledger,
    observe,
    oracle::{self, Allowance, Repeats, Violation},
    pipeline::Template,
    report::{Row, Verdict},
};

impl Rig<'_> {
    /// Reads what came out and judges it.
    pub(crate) fn judge(self, repeats: Repeats) -> Result<Row, ScenarioError> {
        let ledger = Ledger::new(self.workload, self.laid);
        let mut faults: Vec<Violation> = self
            .faults
            .iter()
            .cloned()
            .map(Violation::Scenario)
            .collect();
        if self.watch.input()? != ledger.lengths() {
            faults.push(Violation::Scenario(
                "the input topic is not what was laid".to_owned(),
            ));
        }
        let dead = self.watch.dead_letters()?;
        faults.extend((dead > 0).then_some(Violation::DeadLetters(dead)));
        let allowance = Allowance {
            repeats,
            disturbances: self.disturbances,
            window: self.window,
            incarnations: self.busy.clone(),
        };
        let mut row = match self.shape.template {
            Template::Produce => self.judge_output(&ledger, &allowance, &mut faults)?,
            Template::Embedded => self.judge_sink(&ledger, &allowance, &mut faults)?,
        };
        row.records = ledger.records();
        row.window = self.window;
        row.instances = self.incarnations;
        row.disturbances = self.disturbances;
        row.seconds = self.started.elapsed().as_secs_f64();
        row.verdict = if faults.is_empty() {
            Verdict::Pass
        } else {
            Verdict::Fail
        };
        row.violations = faults.iter().map(Violation::to_string).collect();
        Ok(row)
    }

    fn judge_output(
        &self,
        ledger: &Ledger,
        allowance: &Allowance,
        faults: &mut Vec<Violation>,
    ) -> Result<Row, ScenarioError> {
        let records = self.watch.produced()?;
        let bootstrap = self.site.broker.bootstrap();
        let findings = observe::output(bootstrap, &self.names.output, records, ledger)?;
        faults.extend(oracle::judge(&findings, allowance));
        Ok(Row {
            lost: findings.lost,
            out_of_order: findings.out_of_order,
            repeated: findings.repeated,
            repeat_bound: oracle::repeat_bound(&findings, allowance),
            deepest_repeat: findings.depth,
            partitions_progressed: findings.partitions_progressed,
            examples: findings.examples,
            ..Row::empty(self.shape.name, Verdict::Fail)
        })
    }

    fn judge_sink(
        &self,
        ledger: &Ledger,
        allowance: &Allowance,
        faults: &mut Vec<Violation>,
    ) -> Result<Row, ScenarioError> {
        let findings = observe::sink(&self.sink_file(), ledger)?;
        let repeated = observe::redelivered(&self.sink_file())?;
        let bound = oracle::sink_repeat_bound(allowance, PARTITIONS);
        faults.extend(oracle::judge_sink(&findings, repeated, bound));
        Ok(Row {
            lost: findings.lost,
            out_of_order: findings.out_of_order,
            repeated,
            repeat_bound: bound,
            totals_exact: Some(findings.mismatches == 0),
            partitions_progressed: findings.partitions_progressed,
            examples: findings.examples,
            ..Row::empty(self.shape.name, Verdict::Fail)
        })
    }
}
