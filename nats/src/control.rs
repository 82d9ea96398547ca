//! What nodes and the registration server say to each other: registration, configuration, signs of life.

use crate::bus::Bus;
use crate::error::BusError;
use crate::lane::encode;
use crate::subject::token;
use async_nats::HeaderMap;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use futures_util::StreamExt;
use symstream_shared::id::EngineName;
use symstream_shared::wire::{Configuration, Heartbeat, Message, RegistrationReply, RegistrationRequest};

impl Bus {
    /// Publishes a version of the configuration. Publishing the same version again changes nothing for anybody.
    ///
    /// # Errors
    /// [`BusError::Malformed`] when it can not be encoded or is larger than the server takes.
    pub async fn publish_configuration(
        &self,
        server: &EngineName,
        configuration: &Configuration,
    ) -> Result<(), BusError> {
        let subject = self.subjects.configuration(server, configuration.version);
        let body = encode(&subject, &Message::Configuration(configuration.clone()))?;
        let mut headers = HeaderMap::new();
        headers.insert("Sym-Config", configuration.version.to_string());
        headers.insert("Sym-Encoding", symstream_shared::wire::ENCODING);
        self.publish_until_stored(subject, headers, body).await
    }

    /// One version of the configuration; `None` when NATS does not have it.
    ///
    /// # Errors
    /// [`BusError::Unreachable`], [`BusError::Malformed`].
    pub async fn configuration(
        &self,
        server: &EngineName,
        version: i64,
    ) -> Result<Option<Configuration>, BusError> {
        self.last_configuration(self.subjects.configuration(server, version))
            .await
    }

    /// The configuration that was published last; `None` when there is none.
    ///
    /// # Errors
    /// [`BusError::Unreachable`], [`BusError::Malformed`].
    pub async fn latest_configuration(&self, server: &EngineName) -> Result<Option<Configuration>, BusError> {
        self.last_configuration(self.subjects.configurations(server))
            .await
    }

    async fn last_configuration(&self, subject: String) -> Result<Option<Configuration>, BusError> {
        let stream = self
            .jetstream
            .get_stream_no_info(self.subjects.configuration_stream())
            .await
            .map_err(|err| self.unreachable(err))?;
        match stream.get_last_raw_message_by_subject(&subject).await {
            Ok(message) => match Message::decode(&message.payload) {
                Ok(Message::Configuration(configuration)) => Ok(Some(configuration)),
                Ok(_) => Err(BusError::Malformed {
                    subject,
                    message: "it is no configuration".to_owned(),
                }),
                Err(err) => Err(BusError::Malformed {
                    subject,
                    message: err.to_string(),
                }),
            },
            Err(err) => match err.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(None),
                LastRawMessageErrorKind::JetStream(code)
                    if code.error_code() == async_nats::jetstream::ErrorCode::STREAM_NOT_FOUND =>
                {
                    Ok(None)
                }
                _ => Err(self.unreachable(err)),
            },
        }
    }

    /// Notifications that a configuration was published from now on; a lost connection may swallow some, so
    /// look at [`Self::latest_configuration`] from time to time too.
    ///
    /// # Errors
    /// [`BusError::Unreachable`].
    pub async fn configuration_changes(&self, server: &EngineName) -> Result<ConfigurationChanges, BusError> {
        let subscription = self
            .client
            .subscribe(self.subjects.configurations(server))
            .await
            .map_err(|err| self.unreachable(err))?;
        Ok(ConfigurationChanges { subscription })
    }

    /// Asks the registration server for this node's registration.
    ///
    /// # Errors
    /// [`BusError::Unreachable`] when nobody answers: no router of the registration server runs.
    pub async fn register(
        &self,
        server: &EngineName,
        request: &RegistrationRequest,
    ) -> Result<RegistrationReply, BusError> {
        let subject = self.subjects.register(server);
        match self.ask(&subject, Message::Register(request.clone())).await? {
            Message::Registered(reply) => Ok(reply),
            _ => Err(no_answer(subject)),
        }
    }

    /// Whether the broker asks for logins, as the server says that is connected now.
    pub fn asks_for_login(&self) -> bool {
        self.client.server_info().auth_required
    }

    /// Tells the registration server that this node lives, and returns when that is recorded.
    ///
    /// # Errors
    /// [`BusError::Unreachable`] when nobody answers: no router of the registration server runs.
    pub async fn heartbeat(&self, server: &EngineName, heartbeat: &Heartbeat) -> Result<(), BusError> {
        let subject = self.subjects.heartbeat(server, &heartbeat.node);
        match self.ask(&subject, Message::Heartbeat(heartbeat.clone())).await? {
            Message::HeartbeatRecorded => Ok(()),
            _ => Err(no_answer(subject)),
        }
    }

    pub(crate) async fn ask(&self, subject: &str, question: Message) -> Result<Message, BusError> {
        let body = encode(subject, &question)?;
        let reply = self
            .client
            .request(subject.to_owned(), body)
            .await
            .map_err(|err| self.unreachable(err))?;
        Message::decode(&reply.payload).map_err(|err| BusError::Malformed {
            subject: subject.to_owned(),
            message: err.to_string(),
        })
    }

    /// Requests for registration; each goes to one of the routers that ask for them.
    ///
    /// # Errors
    /// [`BusError::Unreachable`].
    pub async fn registrations(&self, server: &EngineName) -> Result<Registrations, BusError> {
        let questions = self.questions(self.subjects.register(server)).await?;
        Ok(Registrations { questions })
    }

    /// Nodes' signs of life; each goes to one of the routers that ask for them.
    ///
    /// # Errors
    /// [`BusError::Unreachable`].
    pub async fn heartbeats(&self, server: &EngineName) -> Result<Heartbeats, BusError> {
        let questions = self.questions(self.subjects.heartbeats(server)).await?;
        Ok(Heartbeats { questions })
    }

    pub(crate) async fn questions(&self, subject: String) -> Result<Questions, BusError> {
        let subscription = self
            .client
            .queue_subscribe(subject, "router".to_owned())
            .await
            .map_err(|err| self.unreachable(err))?;
        Ok(Questions {
            bus: self.clone(),
            subscription,
        })
    }
}

pub(crate) fn no_answer(subject: String) -> BusError {
    BusError::Malformed {
        subject,
        message: "the answer is none".to_owned(),
    }
}

/// Notifications of new configurations.
pub struct ConfigurationChanges {
    subscription: async_nats::Subscriber,
}

impl ConfigurationChanges {
    /// Waits for the next one; `None` when the connection was closed for good. May be dropped.
    pub async fn next(&mut self) -> Option<()> {
        self.subscription.next().await.map(drop)
    }
}

/// Messages that want an answer.
pub(crate) struct Questions {
    pub(crate) bus: Bus,
    subscription: async_nats::Subscriber,
}

/// The way to answer one of them.
pub(crate) struct Answer {
    bus: Bus,
    reply: async_nats::Subject,
}

impl Questions {
    /// The next one that `read` takes for one, of this subject; the others are passed over.
    pub(crate) async fn next<T>(&mut self, read: impl Fn(&str, Message) -> Option<T>) -> Option<(T, Answer)> {
        loop {
            let message = self.subscription.next().await?;
            let question = match Message::decode(&message.payload) {
                Ok(decoded) => read(&message.subject, decoded),
                Err(err) => {
                    tracing::warn!(subject = %message.subject, error = %err, "a message is not readable");
                    continue;
                }
            };
            match (question, message.reply) {
                (Some(question), Some(reply)) => {
                    let bus = self.bus.clone();
                    return Some((question, Answer { bus, reply }));
                }
                _ => tracing::warn!(subject = %message.subject, "a message is no request, or another's"),
            }
        }
    }
}

impl Answer {
    pub(crate) async fn send(&self, message: Message) -> Result<(), BusError> {
        let body = encode(&self.reply, &message)?;
        self.bus
            .client
            .publish(self.reply.clone(), body)
            .await
            .map_err(|err| self.bus.unreachable(err))
    }
}

/// Requests for registration.
pub struct Registrations {
    questions: Questions,
}

/// One request with the way to answer it.
pub struct RegistrationCall {
    /// What the node says of itself.
    pub request: RegistrationRequest,
    answer: Answer,
}

impl Registrations {
    /// The next request; `None` when the connection was closed for good. Messages that are no requests are
    /// passed over. May be dropped.
    pub async fn next(&mut self) -> Option<RegistrationCall> {
        let (request, answer) = self
            .questions
            .next(|_, message| match message {
                Message::Register(request) => Some(request),
                _ => None,
            })
            .await?;
        Some(RegistrationCall { request, answer })
    }
}

impl RegistrationCall {
    /// Answers. The node asks again when the answer is lost.
    ///
    /// # Errors
    /// [`BusError::Unreachable`].
    pub async fn respond(&self, reply: RegistrationReply) -> Result<(), BusError> {
        self.answer.send(Message::Registered(reply)).await
    }
}

/// Nodes' signs of life.
pub struct Heartbeats {
    questions: Questions,
}

/// One sign of life with the way to answer it.
pub struct HeartbeatCall {
    /// What the node says of itself.
    pub heartbeat: Heartbeat,
    answer: Answer,
}

impl Heartbeats {
    /// The next one; `None` when the connection was closed for good. Other messages are passed over, also those of a node
    /// that says that it is another: what a node may publish stands in the subject. May be dropped.
    pub async fn next(&mut self) -> Option<HeartbeatCall> {
        let (heartbeat, answer) = self
            .questions
            .next(|subject, message| match message {
                Message::Heartbeat(heartbeat) => {
                    let sender = subject.rsplit('.').next();
                    (sender == Some(&token(heartbeat.node.as_str()))).then_some(heartbeat)
                }
                _ => None,
            })
            .await?;
        Some(HeartbeatCall { heartbeat, answer })
    }
}

impl HeartbeatCall {
    /// Says that it is recorded. The node sends it again when it does not hear so.
    ///
    /// # Errors
    /// [`BusError::Unreachable`].
    pub async fn recorded(&self) -> Result<(), BusError> {
        self.answer.send(Message::HeartbeatRecorded).await
    }
}
