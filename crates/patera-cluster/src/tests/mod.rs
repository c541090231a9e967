//! Tests of several files together.

mod memory;
mod node;
mod simulation;
mod wire;
mod world;
