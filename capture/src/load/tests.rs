//! Loads from real databases over a real NATS server. What a router and a loader do is played: the world takes what is
//! published and says that it is applied.

mod announced;
mod ends;
mod world;
mod writes;
