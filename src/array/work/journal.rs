//! What is written of work when it begins, gets on and ends, each time in one transaction.

use crate::array::change::Change;
use crate::array::job::Job;
use crate::store::{Batch, Table};

use super::Begun;

/// What is written before the first step: the plan, the job and the call that it came from, in one
/// transaction.
pub(in crate::array) fn opening(begun: &Begun, job: &Job) -> Batch {
    let mut batch = Batch::new();
    batch.put(Table::Journal, begun.job.to_string(), begun);
    batch.put(Table::Jobs, job.id.to_string(), job);
    if let Some(call) = &job.call {
        batch.put(Table::Calls, job.id.to_string(), call.as_ref());
    }
    batch
}

/// What is written in between: how far it has come.
pub(in crate::array) fn noting(begun: &Begun) -> Batch {
    let mut batch = Batch::new();
    batch.put(Table::Journal, begun.job.to_string(), begun);
    batch
}

/// What is written at the end: the job, the records that change if the goal was reached, and the
/// end of the journal entry unless something is left.
pub(in crate::array) fn closing(begun: &Begun, job: &Job, changes: &[Change], left: bool) -> Batch {
    let mut batch = settling(begun, changes, left);
    batch.put(Table::Jobs, job.id.to_string(), job);
    batch
}

/// The same of work whose job may be forgotten already.
pub(in crate::array) fn settling(begun: &Begun, changes: &[Change], left: bool) -> Batch {
    let mut batch = Batch::new();
    changes
        .iter()
        .for_each(|change| change.write_to(&mut batch));
    if left {
        let failed = Begun {
            failed: true,
            ..begun.clone()
        };
        batch.put(Table::Journal, begun.job.to_string(), &failed);
    } else {
        batch.remove(Table::Journal, begun.job.to_string());
    }
    batch
}
