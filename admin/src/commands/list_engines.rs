//! `symadmin list-engines`

use crate::failure::Failure;
use crate::listing::Listing;
use symstream_shared::engine::EngineFolder;

pub(super) fn run(folder: &EngineFolder, json: bool) -> Result<(), Failure> {
    let mut listing = Listing::new(&["engine", "group", "external_id", "database", "registered_by"]);
    for engine in folder.engines(&[])? {
        let database = engine.database()?;
        let server = if engine.is_registration_server() {
            "itself".to_owned()
        } else {
            engine.server().to_string()
        };
        listing.push(vec![
            engine.name.as_str().into(),
            engine.group.as_str().into(),
            engine.external_id.as_str().into(),
            database.address().into(),
            server.into(),
        ]);
    }
    listing.print(json);
    Ok(())
}
