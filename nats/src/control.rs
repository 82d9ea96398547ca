//! Registration and configuration.

use crate::bus::Bus;
use crate::error::BusError;
use crate::lane::encode;
use async_nats::HeaderMap;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use futures_util::StreamExt;
use symstream_shared::id::EngineName;
use symstream_shared::wire::{Configuration, Message, RegistrationReply, RegistrationRequest};

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
        let body = encode(&subject, &Message::Register(request.clone()))?;
        let reply = self
            .client
            .request(subject.clone(), body)
            .await
            .map_err(|err| self.unreachable(err))?;
        match Message::decode(&reply.payload) {
            Ok(Message::Registered(reply)) => Ok(reply),
            Ok(_) => Err(BusError::Malformed {
                subject,
                message: "the answer is none".to_owned(),
            }),
            Err(err) => Err(BusError::Malformed {
                subject,
                message: err.to_string(),
            }),
        }
    }

    /// Requests for registration; each goes to one of the routers that ask for them.
    ///
    /// # Errors
    /// [`BusError::Unreachable`].
    pub async fn registrations(&self, server: &EngineName) -> Result<Registrations, BusError> {
        let subscription = self
            .client
            .queue_subscribe(self.subjects.register(server), "router".to_owned())
            .await
            .map_err(|err| self.unreachable(err))?;
        Ok(Registrations {
            bus: self.clone(),
            subscription,
        })
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

/// Requests for registration.
pub struct Registrations {
    bus: Bus,
    subscription: async_nats::Subscriber,
}

/// One request with the way to answer it.
pub struct RegistrationCall {
    /// What the node says of itself.
    pub request: RegistrationRequest,
    bus: Bus,
    reply: async_nats::Subject,
}

impl Registrations {
    /// The next request; `None` when the connection was closed for good. Messages that are no requests are
    /// passed over. May be dropped.
    pub async fn next(&mut self) -> Option<RegistrationCall> {
        loop {
            let message = self.subscription.next().await?;
            match (Message::decode(&message.payload), message.reply) {
                (Ok(Message::Register(request)), Some(reply)) => {
                    return Some(RegistrationCall {
                        request,
                        bus: self.bus.clone(),
                        reply,
                    });
                }
                (Ok(_), _) => {
                    tracing::warn!(subject = %message.subject, "message is no registration request")
                }
                (Err(err), _) => {
                    tracing::warn!(subject = %message.subject, error = %err, "registration request is not readable");
                }
            }
        }
    }
}

impl RegistrationCall {
    /// Answers. The node asks again when the answer is lost.
    ///
    /// # Errors
    /// [`BusError::Unreachable`].
    pub async fn respond(&self, reply: RegistrationReply) -> Result<(), BusError> {
        let body = encode(&self.reply, &Message::Registered(reply))?;
        self.bus
            .client
            .publish(self.reply.clone(), body)
            .await
            .map_err(|err| self.bus.unreachable(err))
    }
}
