//! Every error under every policy, and the shape of the pauses.
//! Layer: test

use expect_test::expect;

use super::*;

fn policy(on_record_error: OnRecordError) -> Policy {
    Policy {
        max_attempts: 3,
        backoff_initial: Duration::from_millis(200),
        backoff_max: Duration::from_millis(1000),
        on_record_error,
    }
}

fn errors() -> [StageError; 4] {
    let sink: Arc<str> = Arc::from("store");
    [
        StageError::Record {
            reason: "id `event.id`: found null".into(),
        },
        StageError::TooComplex {
            estimate: 9,
            budget: 8,
        },
        StageError::Rejected {
            sink: Arc::clone(&sink),
            reason: "schema says no".into(),
        },
        StageError::Sink {
            sink,
            reason: "connection refused".into(),
        },
    ]
}

#[test]
fn blame_and_attempts_decide() {
    let mut lines = Vec::new();
    for on_record_error in [OnRecordError::Block, OnRecordError::DeadLetterRecord] {
        for error in errors() {
            let failure = Failure {
                stage: Arc::from("index"),
                error,
            };
            for attempts in [1, 3] {
                let directive = decide(&failure, attempts, &policy(on_record_error), 150);
                let class = dead_letter::class(&failure.error);
                lines.push(format!("{class} after {attempts}: {directive:?}"));
            }
        }
    }
    expect![[r#"
        record after 1: Block { reason: "stage index: id `event.id`: found null" }
        record after 3: Block { reason: "stage index: id `event.id`: found null" }
        too-complex after 1: Block { reason: "stage index: parsed size of 9 bytes exceeds the budget of 8 bytes" }
        too-complex after 3: Block { reason: "stage index: parsed size of 9 bytes exceeds the budget of 8 bytes" }
        rejected after 1: Retry { after: 150ms }
        rejected after 3: Block { reason: "stage index: sink store rejected the record: schema says no" }
        sink after 1: ParkBehindSink { sink: "store" }
        sink after 3: ParkBehindSink { sink: "store" }
        record after 1: DeadLetter { reason: "stage index: id `event.id`: found null" }
        record after 3: DeadLetter { reason: "stage index: id `event.id`: found null" }
        too-complex after 1: DeadLetter { reason: "stage index: parsed size of 9 bytes exceeds the budget of 8 bytes" }
        too-complex after 3: DeadLetter { reason: "stage index: parsed size of 9 bytes exceeds the budget of 8 bytes" }
        rejected after 1: Retry { after: 150ms }
        rejected after 3: DeadLetter { reason: "stage index: sink store rejected the record: schema says no" }
        sink after 1: ParkBehindSink { sink: "store" }
        sink after 3: ParkBehindSink { sink: "store" }"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn a_letter_is_parked_shortened_or_given_up() {
    use dead_letter::Content::{Reference, Whole};
    let rejected = SinkError::Record {
        reason: "too large".into(),
    };
    let unavailable = SinkError::Unavailable {
        reason: "no leader".into(),
    };
    let decided = [
        (&rejected, Whole),
        (&rejected, Reference),
        (&unavailable, Whole),
    ]
    .map(|(error, content)| decide_letter(error, content));
    let expected = [
        LetterDirective::ByReference,
        LetterDirective::Block,
        LetterDirective::ParkBehindProducer,
    ];
    assert_eq!(decided, expected);
}

proptest::proptest! {
    #[test]
    fn pauses_never_pass_the_maximum(attempts: u32, random: u64) {
        let pause = policy(OnRecordError::Block).pause(attempts, random);
        proptest::prop_assert!(pause <= Duration::from_millis(1000));
    }
}

#[test]
fn pauses_may_double_until_the_maximum() {
    let longest = |attempts, millis: u64| {
        policy(OnRecordError::Block)
            .pause(attempts, millis)
            .as_millis()
            == u128::from(millis)
    };
    assert!(longest(1, 200) && !longest(1, 201));
    assert!(longest(2, 400) && !longest(2, 401));
    assert!(longest(3, 800) && longest(4, 1000) && !longest(4, 1001));
}
