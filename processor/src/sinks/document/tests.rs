//! Laws of the operators.
//! Layer: test
