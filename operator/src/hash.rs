//! A hash of trees that is the same in every release: a changed one would restart every fleet.
//! Layer: core

use serde_json::Value;

/// FNV-1a, 64 bits.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Sixteen hexadecimal digits for a tree; the order of an object's fields says nothing.
#[must_use]
pub fn tree(value: &Value) -> String {
    let mut hash = Hash(OFFSET);
    hash.value(value);
    format!("{:016x}", hash.0)
}

/// Sixteen hexadecimal digits for texts in their order.
#[must_use]
pub fn texts(texts: &[&str]) -> String {
    let mut hash = Hash(OFFSET);
    for text in texts {
        hash.text(text);
    }
    format!("{:016x}", hash.0)
}

/// A number for a text, evenly spread.
#[must_use]
pub fn number(text: &str) -> u64 {
    let mut hash = Hash(OFFSET);
    hash.text(text);
    hash.0
}

struct Hash(u64);

impl Hash {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }

    /// A text and its end, so that two texts never read as one.
    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
        self.bytes(&[0xff]);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => self.text(&value.to_string()),
            Value::String(text) => {
                self.bytes(b"\"");
                self.text(text);
            }
            Value::Array(items) => {
                self.bytes(b"[");
                items.iter().for_each(|item| self.value(item));
                self.bytes(b"]");
            }
            Value::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().collect();
                fields.sort_unstable_by_key(|(name, _)| *name);
                self.bytes(b"{");
                for (name, value) in fields {
                    self.text(name);
                    self.value(value);
                }
                self.bytes(b"}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_trees_have_one_hash_and_others_another() {
        let hash = tree(&json!({"a": [1, "1"], "b": null}));
        assert_eq!(hash, tree(&json!({"b": null, "a": [1, "1"]})));
        for other in [
            json!({"a": ["1", 1], "b": null}),
            json!({"a": [1, "1"], "b": false}),
            json!({"a": [1, "1", null]}),
            json!({"a": [[1], "1"], "b": null}),
        ] {
            assert_ne!(hash, tree(&other), "{other}");
        }
        assert_ne!(texts(&["ab", "c"]), texts(&["a", "bc"]));
    }

    /// A different value here would restart every fleet of every user.
    #[test]
    fn the_hash_is_the_same_in_every_release() {
        assert_eq!(texts(&["penstock"]), "60d8bf271c722f43");
    }
}
