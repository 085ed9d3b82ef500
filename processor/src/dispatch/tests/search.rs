//! Every interleaving of a small world.
//! Layer: test
