//! The decision about a request for registration: pure, by what the registration server's tables say.

use symstream_shared::id::{ExternalId, GroupId, NodeId};
use symstream_shared::registration::{Request, RequestStatus, hash, is_same};
use symstream_shared::wire::RegistrationRequest;

/// The width of `sym_node_security.password`.
const PASSWORD_CHARS_MAX: usize = 50;

/// What `sym_node` and `sym_node_security` say of a node of the asking one's group with its external id.
pub(super) struct Candidate {
    pub node: NodeId,
    pub password: String,
    pub is_open: bool,
    pub is_registered: bool,
}

/// All that a decision depends on.
pub(super) struct Case<'a> {
    pub request: &'a RegistrationRequest,
    /// The registration server's engine, for what to do.
    pub server: &'a str,
    pub candidates: Vec<Candidate>,
    /// The row of `sym_registration_request`.
    pub opening: Option<Request>,
    /// Whether a node has to show the secret that `open-registration` printed.
    pub needs_secret: bool,
    /// `auto.registration`
    pub is_automatic: bool,
    pub is_group_known: bool,
}

/// What is to be done about a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Register the node.
    Admit {
        node: NodeId,
        /// It was registered before, from another database: what waits for that one is not for this.
        replaces: bool,
    },
    /// Register it although nobody opened its registration, and there is no such node yet.
    Create,
    /// It is registered, and its answer was lost, or its database was restored.
    Repeat(NodeId),
    /// Say why not.
    Refuse(Refusal),
}

/// Why a request is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// For who asks: nothing that helps to guess.
    pub told: String,
    /// For the server's log and tables.
    pub noted: String,
}

impl Refusal {
    /// A refusal that the server's operator gets to see as it is told.
    pub fn plain(told: impl Into<String>) -> Self {
        let told = told.into();
        Self {
            noted: told.clone(),
            told,
        }
    }
}

/// Decides.
pub(super) fn verdict(case: &Case<'_>) -> Verdict {
    let request = case.request;
    let length = request.password.chars().count();
    if length == 0 || length > PASSWORD_CHARS_MAX {
        return Verdict::Refuse(Refusal::plain(format!(
            "its password has {length} characters, not 1 to {PASSWORD_CHARS_MAX}"
        )));
    }
    // The password that it made itself and was registered with is proof enough.
    let is_own =
        |candidate: &&Candidate| candidate.is_registered && is_same(&candidate.password, &request.password);
    if let Some(own) = case.candidates.iter().find(is_own) {
        let node = own.node.clone();
        return match own.is_open {
            true => Verdict::Admit {
                node,
                replaces: false,
            },
            false => Verdict::Repeat(node),
        };
    }
    if let Some(open) = case.candidates.iter().find(|candidate| candidate.is_open) {
        return match case.objection() {
            None => Verdict::Admit {
                node: open.node.clone(),
                replaces: open.is_registered,
            },
            Some(noted) => Verdict::Refuse(case.refusal(noted)),
        };
    }
    if case.is_automatic && case.is_new() {
        return match case.is_group_known {
            true => Verdict::Create,
            false => Verdict::Refuse(Refusal::plain(format!(
                "group {} is not in the registration server's sym_node_group",
                request.group
            ))),
        };
    }
    Verdict::Refuse(case.refusal(case.closed()))
}

impl Case<'_> {
    fn id(&self) -> (&ExternalId, &GroupId) {
        (&self.request.external_id, &self.request.group)
    }

    /// Nobody ever registered, removed or closed it.
    fn is_new(&self) -> bool {
        let was_closed = |opening: &Request| opening.status != RequestStatus::Asked;
        self.candidates.is_empty() && !self.opening.as_ref().is_some_and(was_closed)
    }

    /// What is wrong with a request for a registration that is open; `None` when nothing is.
    fn objection(&self) -> Option<String> {
        let (external_id, group) = self.id();
        // Where it was opened by plain SQL after it was closed or used, what the row says is of the time before.
        let opening = self.opening.as_ref();
        let opening = opening.filter(|opening| opening.status == RequestStatus::Open);
        if opening.is_some_and(|opening| opening.is_expired) {
            return Some(format!(
                "the registration that was open for node {external_id} of group {group} has expired"
            ));
        }
        if !self.needs_secret {
            return None;
        }
        let Some(expected) = opening.and_then(|opening| opening.secret_hash.as_deref()) else {
            return Some(format!(
                "the registration of node {external_id} of group {group} was opened without a secret \
                 (registration_enabled set by SQL), and this server needs one"
            ));
        };
        match &self.request.secret {
            None => Some(format!(
                "node {external_id} of group {group} shows no secret (its registration.secret)"
            )),
            Some(secret) if is_same(&hash(secret), expected) => None,
            Some(_) => Some(format!(
                "the secret that node {external_id} of group {group} shows is not the one that was made last for it"
            )),
        }
    }

    /// Why nothing is open.
    fn closed(&self) -> String {
        let (external_id, group) = self.id();
        let was_used = |secret: &str| {
            let used = self
                .opening
                .as_ref()
                .and_then(|opening| opening.secret_hash.as_deref());
            used.is_some_and(|used| is_same(&hash(secret), used))
        };
        if self.request.secret.as_deref().is_some_and(was_used) {
            return format!(
                "the secret that node {external_id} of group {group} shows was used before; a secret admits one database, once"
            );
        }
        if self.candidates.iter().any(|candidate| candidate.is_registered) {
            return format!(
                "node {external_id} of group {group} is registered already, from another database"
            );
        }
        format!("no registration is open for node {external_id} of group {group}")
    }

    /// Where secrets count, whoever asks hears the same whatever was wrong: one who guesses learns neither which nodes
    /// there are nor for which a registration is open.
    fn refusal(&self, noted: String) -> Refusal {
        let (external_id, group) = self.id();
        let command = format!(
            "symadmin --engine {} open-registration {group} {external_id}",
            self.server
        );
        let told = match (self.needs_secret, &self.request.secret) {
            (false, _) => format!("{noted}; to admit it: {command}"),
            (true, None) => format!(
                "a node needs a secret to be registered: run {command} and give the node what it prints, as \
                 registration.secret or registration.secret.file"
            ),
            (true, Some(_)) => format!(
                "the node's registration.secret admits no node {external_id} of group {group}: it is wrong, used, \
                 replaced or too old; for a new one: {command}"
            ),
        };
        Refusal { told, noted }
    }
}

#[cfg(test)]
mod tests;
