//! Faulty allocators.
