use super::*;

fn request(password: &str, secret: Option<&str>) -> RegistrationRequest {
    RegistrationRequest {
        group: GroupId::new("local").expect("id"),
        external_id: ExternalId::new("7").expect("id"),
        password: password.to_owned(),
        database_type: String::new(),
        database_version: String::new(),
        symmetric_version: String::new(),
        sync_url: String::new(),
        secret: secret.map(str::to_owned),
        via: None,
    }
}

fn candidate(is_open: bool, is_registered: bool) -> Vec<Candidate> {
    vec![Candidate {
        node: NodeId::new("n7").expect("id"),
        password: "own".to_owned(),
        is_open,
        is_registered,
    }]
}

fn case(request: &RegistrationRequest, candidates: Vec<Candidate>) -> Case<'_> {
    Case {
        request,
        server: "cloud",
        candidates,
        opening: None,
        needs_secret: false,
        is_automatic: false,
        is_group_known: true,
    }
}

fn opening(status: RequestStatus, secret: Option<&str>) -> Option<Request> {
    Some(Request {
        status,
        secret_hash: secret.map(hash),
        is_expired: false,
        is_exact: true,
    })
}

fn refusal(verdict: Verdict) -> Refusal {
    match verdict {
        Verdict::Refuse(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

fn admitted(replaces: bool) -> Verdict {
    let node = NodeId::new("n7").expect("id");
    Verdict::Admit { node, replaces }
}

#[test]
fn without_secrets_an_open_registration_admits_whoever_asks() {
    let request = request("new", None);
    assert_eq!(verdict(&case(&request, candidate(true, false))), admitted(false));
    assert_eq!(verdict(&case(&request, candidate(true, true))), admitted(true));
    let expired = Case {
        opening: opening(RequestStatus::Open, None).map(|row| Request {
            is_expired: true,
            ..row
        }),
        ..case(&request, candidate(true, false))
    };
    assert!(refusal(verdict(&expired)).noted.contains("expired"));
}

#[test]
fn a_node_that_has_its_password_needs_nothing_else_and_replaces_nothing() {
    let own = request("own", None);
    let repeated = Verdict::Repeat(NodeId::new("n7").expect("id"));
    for needs_secret in [false, true] {
        let closed = Case {
            needs_secret,
            ..case(&own, candidate(false, true))
        };
        assert_eq!(verdict(&closed), repeated);
        let open = Case {
            needs_secret,
            ..case(&own, candidate(true, true))
        };
        assert_eq!(verdict(&open), admitted(false));
        let never_registered = Case {
            needs_secret,
            ..case(&own, candidate(false, false))
        };
        refusal(verdict(&never_registered));
    }
}

#[test]
fn where_secrets_count_only_the_newest_admits_and_who_asks_learns_nothing() {
    let with = |request: &RegistrationRequest, candidates, opening| {
        verdict(&Case {
            needs_secret: true,
            opening,
            ..case(request, candidates)
        })
    };
    let open = || opening(RequestStatus::Open, Some("right"));
    let right = request("new", Some("right"));
    assert_eq!(with(&right, candidate(true, false), open()), admitted(false));
    assert_eq!(with(&right, candidate(true, true), open()), admitted(true));
    let wrong = request("new", Some("wrong"));
    let expired = open().map(|row| Request {
        is_expired: true,
        ..row
    });
    // What the server notes differs, what is told does not.
    let refusals = [
        (
            &wrong,
            candidate(true, false),
            open(),
            "not the one that was made last",
        ),
        (&right, candidate(true, false), expired, "expired"),
        (
            &right,
            candidate(true, false),
            opening(RequestStatus::Open, None),
            "set by SQL",
        ),
        // Opened by SQL after the secret was used: it is worth nothing again.
        (
            &right,
            candidate(true, true),
            opening(RequestStatus::Registered, Some("right")),
            "set by SQL",
        ),
        (
            &right,
            candidate(false, true),
            opening(RequestStatus::Registered, Some("right")),
            "used before",
        ),
        (
            &wrong,
            candidate(false, true),
            opening(RequestStatus::Registered, Some("right")),
            "registered already",
        ),
        (&right, Vec::new(), None, "no registration is open"),
    ];
    for (request, candidates, opening, noted) in refusals {
        let refusal = refusal(with(request, candidates, opening));
        assert!(refusal.noted.contains(noted), "{refusal:?}");
        assert_eq!(
            refusal.told,
            "the node's registration.secret admits no node 7 of group local: it is wrong, used, replaced or too old; \
             for a new one: symadmin --engine cloud open-registration local 7"
        );
    }
    let none = refusal(with(&request("new", None), candidate(true, false), open()));
    assert!(none.told.starts_with("a node needs a secret"), "{none:?}");
}

#[test]
fn automatic_registration_is_for_nodes_that_nobody_knows_yet() {
    let request = request("new", None);
    let automatic = |candidates, opening, is_group_known| {
        verdict(&Case {
            is_automatic: true,
            opening,
            is_group_known,
            ..case(&request, candidates)
        })
    };
    assert_eq!(automatic(Vec::new(), None, true), Verdict::Create);
    assert_eq!(
        automatic(Vec::new(), opening(RequestStatus::Asked, None), true),
        Verdict::Create
    );
    assert!(
        refusal(automatic(Vec::new(), None, false))
            .told
            .contains("sym_node_group")
    );
    // Registered from another database; removed; closed by itself.
    refusal(automatic(candidate(false, true), None, true));
    refusal(automatic(Vec::new(), opening(RequestStatus::Closed, None), true));
    refusal(automatic(candidate(false, false), None, true));
}

#[test]
fn a_refusal_says_what_to_do() {
    assert_eq!(
        refusal(verdict(&case(&request("new", None), Vec::new()))).told,
        "no registration is open for node 7 of group local; \
         to admit it: symadmin --engine cloud open-registration local 7"
    );
    let registered = refusal(verdict(&case(&request("new", None), candidate(false, true))));
    assert!(registered.told.contains("registered already"));
    let nameless = refusal(verdict(&case(&request("", None), candidate(true, false))));
    assert!(nameless.told.contains("password"));
}
