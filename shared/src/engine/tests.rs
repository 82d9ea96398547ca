use super::*;
use secrecy::ExposeSecret;
use std::collections::HashMap;
use tempfile::TempDir;

const MINIMAL: &str = "group.id = \"local\"\nexternal.id = 7\ndb.url = \"sqlite://node.db\"\n";

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Engine, EngineError> {
    load_with(text, environment, &[])
}

fn load_with(text: &str, environment: &[(&str, &str)], overrides: &[&str]) -> Result<Engine, EngineError> {
    let dir = TempDir::new().expect("folder");
    std::fs::write(dir.path().join("local-7.toml"), text).expect("write");
    let environment: HashMap<_, _> = environment.iter().copied().collect();
    let overrides: Vec<Override> = overrides
        .iter()
        .map(|text| text.parse().expect("KEY=VALUE"))
        .collect();
    let environment = |name: &str| environment.get(name).map(|value| (*value).to_owned());
    file::load(dir.path(), "local-7", &environment, &overrides)
}

fn problems(text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    match load(text, environment).expect_err("problems") {
        EngineError::Invalid { problems, .. } => problems,
        other => panic!("{other}"),
    }
}

#[test]
fn a_minimal_file_gets_the_defaults() {
    let engine = load(MINIMAL, &[]).expect("valid");
    assert_eq!(engine.name.as_str(), "local-7");
    assert_eq!(engine.external_id.as_str(), "7");
    assert!(engine.is_registration_server());
    assert_eq!(engine.server().as_str(), "local-7");
    assert_eq!(engine.nats.urls, ["nats://127.0.0.1:4222"]);
    assert_eq!(engine.sync_url(), "nats://127.0.0.1:4222/local-7");
    assert_eq!(engine.table_prefix, "sym");
    assert_eq!(engine.settings, Settings::default());
}

#[test]
fn every_key_is_read_as_dotted_keys_and_as_tables() {
    let text = "[group]\nid = \"local\"\n[external]\nid = \"7\"\n[registration]\nurl = \"nats://cloud:4222/cloud-1\"\n\
                [db]\nurl = \"postgres://h/d\"\nuser = \"u\"\npassword = \"p\"\ninit.sql = \"select 1\"\n\
                [nats]\nurl = \"nats://a:1, nats://b:2/\"\ncreds = \"c\"\nnkey = \"n\"\nuser = \"u\"\npassword = \"p\"\n\
                tls.ca = \"ca\"\ntls.cert = \"cert\"\ntls.key = \"key\"\n[sync]\ntable.prefix = \"clinic\"\n\
                [engine]\nname = \"local-7\"\n[capture]\npoll.interval.max = 20\n";
    let engine = load(text, &[]).expect("valid");
    assert_eq!(
        engine.registration_url.as_ref().map(|url| url.nats.as_str()),
        Some("nats://cloud:4222")
    );
    assert_eq!(engine.server().as_str(), "cloud-1");
    assert_eq!(engine.nats.urls, ["nats://a:1", "nats://b:2"]);
    assert_eq!(
        engine.db.password.as_ref().map(|secret| secret.expose_secret()),
        Some("p")
    );
    assert_eq!(
        engine.settings.get(Layer::File, "capture.poll.interval.max"),
        Some("20")
    );
    assert!(!format!("{engine:?}").contains("\"p\""), "no secret is printed");
}

#[test]
fn a_login_is_no_part_of_the_address_that_others_see() {
    let engine = load(&format!("{MINIMAL}nats.url = \"tls://me:p@ss@h:1\"\n"), &[]).expect("valid");
    assert_eq!(engine.sync_url(), "tls://h:1/local-7");
}

#[test]
fn the_environment_overrides_the_file() {
    let text = format!("{MINIMAL}db.password = \"file\"\nsync.table.prefix = \"clinic\"\n");
    let engine = load(
        &text,
        &[("SYM_DB_PASSWORD", "environment"), ("SYM_SYNC_TABLE_PREFIX", "")],
    )
    .expect("valid");
    assert_eq!(
        engine.db.password.as_ref().map(|secret| secret.expose_secret()),
        Some("environment")
    );
    assert_eq!(engine.table_prefix, "sym", "blank is as if not given");
}

#[test]
fn the_command_line_overrides_both() {
    let text = format!("{MINIMAL}db.password = \"file\"\n");
    let engine = load_with(
        &text,
        &[
            ("SYM_NATS_URL", "nats://environment:1"),
            ("SYM_DB_PASSWORD", "environment"),
        ],
        &[
            "nats.url=nats://first:1",
            "nats.url=nats://a:1,nats://b:2",
            "db.password=a=b",
        ],
    )
    .expect("valid");
    assert_eq!(engine.nats.urls, ["nats://a:1", "nats://b:2"]);
    assert_eq!(
        engine.db.password.as_ref().map(|secret| secret.expose_secret()),
        Some("a=b")
    );
    let EngineError::Invalid { problems, .. } =
        load_with(MINIMAL, &[], &["db.pasword=hidden", "purge.retention=soon"]).expect_err("wrong")
    else {
        panic!("not invalid")
    };
    assert_eq!(
        problems[0],
        "--set: db.pasword is no known key; did you mean db.password?"
    );
    assert!(
        problems[1].starts_with("purge.retention: expected a time from 0 to 3650d"),
        "{problems:?}"
    );
    assert!("purge.retention".parse::<Override>().is_err());
}

#[test]
fn a_secret_comes_from_its_file_without_the_line_end() {
    let dir = TempDir::new().expect("folder");
    let path = dir.path().join("password");
    std::fs::write(&path, "se cret\n").expect("write");
    let path = path.to_str().expect("path");
    let from_file = format!("{MINIMAL}db.password.file = \"{path}\"\n");
    for (text, environment) in [
        (from_file.as_str(), vec![]),
        (
            &format!("{MINIMAL}db.password = \"other\"\n"),
            vec![("SYM_DB_PASSWORD_FILE", path)],
        ),
    ] {
        let engine = load(text, &environment).expect("valid");
        assert_eq!(
            engine.db.password.as_ref().map(|secret| secret.expose_secret()),
            Some("se cret")
        );
    }
    let engine = load(&from_file, &[("SYM_DB_PASSWORD", "environment")]).expect("valid");
    assert_eq!(
        engine.db.password.as_ref().map(|secret| secret.expose_secret()),
        Some("environment")
    );
}

#[test]
fn all_problems_are_reported_at_once() {
    let text = "engine.name = \"x\"\ndb.urll = \"sqlite://n\"\nnats.url = \"http://h\"\nsync.table.prefix = \"A-b\"\n\
                registration.url = \"nats://h:1\"\ndb.password.file = \"/no/such/file\"\ncapture.poll.interval.max = \"5ms\"\n\
                nats.user = [1]\n";
    let problems = problems(text, &[]);
    let expected = [
        "db.urll is no known key; did you mean db.url?",
        "nats.user: expected text",
        "engine.name: it is \"x\", but the file is local-7.toml",
        "group.id: it is missing; add it to the file or set SYM_GROUP_ID",
        "external.id: it is missing",
        "db.url: it is missing",
        "db.password.file: /no/such/file can not be read",
        "registration.url: expected nats://HOST:PORT/ENGINE",
        "nats.url: expected nats://HOST:PORT",
        "sync.table.prefix: table prefix \"A-b\" is not valid",
        "capture.poll.interval.max: expected a time from 10ms to 1m",
    ];
    for (problem, start) in problems.iter().zip(expected) {
        assert!(problem.starts_with(start), "{problem} instead of {start}");
    }
    assert_eq!(problems.len(), expected.len(), "{problems:?}");
}

#[test]
fn errors_are_one_line_that_names_the_file() {
    for text in [
        "group.id = \n",
        "db.url = \"oracle://h\"",
        "a = 1\na = 2",
        "db.password = unquoted\n",
    ] {
        let message = load(text, &[]).expect_err("wrong").to_string();
        assert!(
            message.contains("local-7.toml")
                && !message.contains(['\n', '|'])
                && !message.contains("unquoted"),
            "{message}"
        );
    }
}

#[test]
fn an_unknown_engine_is_answered_with_those_there_are() {
    let dir = TempDir::new().expect("folder");
    let folder = |dir: &std::path::Path| EngineFolder::new(Some(dir.to_owned()), Vec::new());
    let none = folder(dir.path()).engines(&[]).expect_err("empty").to_string();
    assert!(none.contains("has no *.toml file"), "{none}");
    std::fs::write(dir.path().join("cloud-1.toml"), MINIMAL).expect("write");
    let message = folder(dir.path())
        .engine("cloud-2")
        .expect_err("unknown")
        .to_string();
    assert!(
        message.contains("\"cloud-2\" does not exist") && message.contains("has cloud-1"),
        "{message}"
    );
    assert!(folder(dir.path()).engine("../cloud-1").is_err());
    let missing = folder(&dir.path().join("no"))
        .engines(&[])
        .expect_err("no folder")
        .to_string();
    assert!(missing.contains("can not be read"), "{missing}");
}

#[test]
fn the_registration_secret_is_read_from_its_file_each_time_and_may_be_gone() {
    let dir = TempDir::new().expect("folder");
    let path = dir.path().join("secret");
    let engine = load(
        &format!("{MINIMAL}registration.secret.file = \"{}\"", path.display()),
        &[],
    )
    .expect("valid");
    assert!(engine.registration_secret.read().is_err());
    for secret in ["one", "two"] {
        std::fs::write(&path, format!("{secret}\n")).expect("write");
        let read = engine.registration_secret.read().expect("file").expect("secret");
        assert_eq!(read.expose_secret(), secret);
    }
    let engine = load(MINIMAL, &[("SYM_REGISTRATION_SECRET", " s ")]).expect("valid");
    assert_eq!(
        engine
            .registration_secret
            .read()
            .expect("given")
            .expect("secret")
            .expose_secret(),
        "s"
    );
    assert!(!format!("{engine:?}").contains("\" s \""));
    assert!(
        load(MINIMAL, &[])
            .expect("valid")
            .registration_secret
            .read()
            .expect("none")
            .is_none()
    );
}
