//! A cloud, regions below it, shops below each region: seven databases of all kinds.

mod converging;
mod ring;
mod world;
