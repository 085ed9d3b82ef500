//! One bit a record: what has been seen.
//! Layer: core

/// A fixed number of bits, all unset at first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
    length: usize,
}

/// What setting a bit found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marked {
    /// It was unset.
    First,
    /// It had been set before.
    Again,
}

impl Bits {
    /// `length` unset bits.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self {
            words: vec![0; length.div_ceil(64)],
            length,
        }
    }

    /// Sets a bit.
    ///
    /// # Panics
    /// When `index` is not below the length.
    pub fn mark(&mut self, index: usize) -> Marked {
        assert!(index < self.length, "bit {index} of {}", self.length);
        let (word, bit) = (&mut self.words[index / 64], 1 << (index % 64));
        let before = *word & bit;
        *word |= bit;
        if before == 0 {
            Marked::First
        } else {
            Marked::Again
        }
    }

    /// Whether a bit is set; bits beyond the length are not.
    #[must_use]
    pub fn is_marked(&self, index: usize) -> bool {
        self.words
            .get(index / 64)
            .is_some_and(|word| word & (1 << (index % 64)) != 0)
    }

    /// How many bits are set.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.words
            .iter()
            .map(|word| u64::from(word.count_ones()))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_set_once() {
        let mut bits = Bits::new(130);
        assert_eq!(bits.mark(129), Marked::First);
        assert_eq!(bits.mark(129), Marked::Again);
        assert_eq!(
            (
                bits.is_marked(129),
                bits.is_marked(128),
                bits.is_marked(4_000)
            ),
            (true, false, false)
        );
        assert_eq!(bits.count(), 1);
    }
}
