//! The bytes of a record: JSON as a shop would send it, padded to its size, or broken on purpose.
//! Layer: core

use std::fmt::Write as _;

use super::{
    generator::{Draft, Kind},
    storefront::{self, Attributes, Storefront},
};

/// Writes the value of a record into `into`, which is cleared first and keeps its allocation.
pub fn write_value(storefront: &Storefront, draft: &Draft, into: &mut String) {
    into.clear();
    match draft.kind {
        Kind::EmptyValue => {}
        Kind::Event | Kind::Duplicate | Kind::NullKey => {
            write!(into, "{{\"id\":\"{}\",", storefront.id(draft.number)).expect(NEVER);
            write_body(storefront, draft, into);
            into.push('}');
        }
        Kind::NoId => {
            into.push('{');
            write_body(storefront, draft, into);
            into.push('}');
        }
        Kind::BrokenJson => {
            write!(into, "{{\"id\":\"{}\",", storefront.id(draft.number)).expect(NEVER);
            write_body(storefront, draft, into);
            into.pop();
        }
    }
}

const NEVER: &str = "writing to a string cannot fail";

/// The fields after `id`, closing brace left out.
fn write_body(storefront: &Storefront, draft: &Draft, into: &mut String) {
    let Attributes {
        shop,
        product,
        campaign,
        amount_cents,
        address,
        padding,
        ..
    } = storefront.attributes(draft.number);
    write!(
        into,
        "\"sequence\":{},\"shop\":\"shop-{shop}\",\"product\":\"product-{product}\",",
        draft.sequence
    )
    .expect(NEVER);
    if let Some(campaign) = campaign {
        write!(
            into,
            "\"ad\":{{\"campaign\":\"campaign-{campaign}\",\"source\":\"search\"}},"
        )
        .expect(NEVER);
    }
    if let Some(cents) = amount_cents {
        let email = storefront::email(draft.key, address);
        write!(
            into,
            "\"customer\":{{\"email\":\"{email}\"}},\"amountCents\":{cents},"
        )
        .expect(NEVER);
    }
    into.push_str("\"padding\":\"");
    pad(into, padding as usize, draft.number as usize);
    into.push('"');
}

/// Text of which `length` bytes are copied, so that padding costs a copy and not a loop over bytes.
const TEXT: &str = "the quick brown fox jumps over the lazy dog while seventy wizards brew \
                    stronger coffee for judge and jury; ";

fn pad(into: &mut String, length: usize, phase: usize) {
    let mut left = length;
    let mut from = phase % TEXT.len();
    while left > 0 {
        let take = left.min(TEXT.len() - from);
        into.push_str(&TEXT[from..from + take]);
        left -= take;
        from = 0;
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use serde_json::Value;

    use super::*;
    use crate::demo::storefront::Workload;

    fn world() -> Storefront {
        let start_ms = 1_795_000_000_000;
        Storefront::new(Workload {
            seed: 42,
            records: 1_000,
            keys: 10,
            partitions: 2,
            start_ms,
        })
    }

    fn value(draft: Draft) -> String {
        let mut text = "left over".to_owned();
        write_value(&world(), &draft, &mut text);
        text
    }

    fn draft(number: u32, kind: Kind) -> Draft {
        Draft {
            number,
            key: 3,
            sequence: 9,
            kind,
        }
    }

    #[test]
    fn an_event_is_json_with_the_fields_of_the_pipeline() {
        let ordered = (0..100).find(|n| {
            let event = world().attributes(*n);
            event.amount_cents.is_some() && event.campaign.is_some()
        });
        let text = value(draft(ordered.unwrap(), Kind::Event));
        let mut parsed: Value = serde_json::from_str(&text).unwrap();
        let padding = parsed["padding"].take().as_str().unwrap().len();
        let expected = world().attributes(ordered.unwrap());
        assert_eq!(padding, expected.padding as usize);
        assert_eq!(parsed["amountCents"], expected.amount_cents.unwrap());
        assert_eq!(parsed["product"], format!("product-{}", expected.product));
        assert_eq!(parsed["sequence"], 9);
        assert_eq!(parsed["id"], world().id(ordered.unwrap()));
    }

    #[test]
    fn a_duplicate_has_the_bytes_of_its_event() {
        assert_eq!(
            value(draft(5, Kind::Event)),
            value(draft(5, Kind::Duplicate))
        );
    }

    #[test]
    fn poison_is_poison() {
        assert_eq!(value(draft(5, Kind::EmptyValue)), "");
        let broken = serde_json::from_str::<Value>(&value(draft(5, Kind::BrokenJson)));
        assert!(broken.unwrap_err().is_eof());
        let without: Value = serde_json::from_str(&value(draft(5, Kind::NoId))).unwrap();
        assert_eq!(without.get("id"), None);
    }

    #[test]
    fn bytes_of_a_seed_do_not_change_unnoticed() {
        let text = value(draft(7, Kind::Event));
        expect![[r#"{"id":"bdbfb556329aee83-00000007","sequence":9,"shop":"shop-22","product":"product-936","padding":"ck brown fox jumps over the lazy dog while seventy wizards br"#]].assert_eq(&text[..160]);
    }
}
