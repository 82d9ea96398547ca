use super::{Engine, EngineError};
use std::path::Path;
pub(super) fn load(
    _dir: &Path,
    _name: &str,
    _environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Engine, EngineError> {
    unimplemented!()
}
pub(super) fn names(_dir: &Path) -> Result<Vec<String>, EngineError> {
    unimplemented!()
}
