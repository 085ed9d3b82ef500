//! What every store of flushed counters must do.
//! Layer: test

use penstock_processor::sinks::flush_target::{FlushTarget, Written};

use crate::effects::{counters, far, fresh, place, row};

/// The greater version wins, whatever comes first; a repeat is stored, and what was flushed is read.
pub(crate) async fn keeps_the_greatest_version(target: &impl FlushTarget) {
    let products = fresh("products");
    assert_eq!(read(target, &products, "a").await, None);
    let rows = [
        row(&products, "a", 1, 10),
        row(&products, "b", 7, 70),
        row(&products, "c", 3, -3),
    ];
    assert_eq!(write(target, &rows).await, [Written::Stored; 3]);
    assert_eq!(write(target, &rows).await, [Written::Stored; 3], "a repeat");
    let rows = [row(&products, "a", 2, 20), row(&products, "b", 6, 60)];
    assert_eq!(
        write(target, &rows).await,
        [Written::Stored, Written::Newer],
        "an older flush loses"
    );
    assert_eq!(read(target, &products, "a").await, Some(counters(2, 20)));
    assert_eq!(read(target, &products, "b").await, Some(counters(7, 70)));
    assert_eq!(read(target, &products, "c").await, Some(counters(3, -3)));
    assert_eq!(read(target, &products, "d").await, None);
}

async fn write(
    target: &impl FlushTarget,
    rows: &[penstock_processor::sinks::flush_target::Row],
) -> Vec<Written> {
    let written = target.write(rows, far()).await.into_iter();
    written.map(|row| row.expect("all is well")).collect()
}

async fn read(
    target: &impl FlushTarget,
    products: &str,
    id: &str,
) -> Option<penstock_processor::sinks::flush_target::Counters> {
    let place = place(products, id);
    target.read(&place, far()).await.expect("all is well")
}
