//! stub
use crate::error::Error;
use crate::source::{ConfigReceiver, Source};
use std::convert::Infallible;
use symstream_nats::Bus;
pub(crate) async fn run(_source: Source, _bus: Bus, _config: ConfigReceiver) -> Result<Infallible, Error> {
    std::future::pending().await
}
