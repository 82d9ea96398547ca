//! Freeing what waits for a node that will never take it: the source asks the registration server, which may purge.

use crate::bus::Bus;
use crate::control::{Answer, Questions, no_answer};
use crate::error::BusError;
use crate::subject::token;
use symstream_shared::id::{EngineName, NodeId};
use symstream_shared::model::LinkAction;
use symstream_shared::wire::{FreeLanes, Message};

impl Bus {
    /// Where the lanes of nodes end now: what is sent later stands at this sequence or behind it.
    ///
    /// # Errors
    /// [`BusError::Unreachable`] when nobody answers: no router of the registration server runs.
    pub async fn lanes_end(
        &self,
        server: &EngineName,
        source: &NodeId,
        target: &NodeId,
    ) -> Result<u64, BusError> {
        match self.ask_to_free(server, source, target, None).await? {
            (_, Message::LanesEnd(end)) => Ok(end),
            (subject, _) => Err(no_answer(subject)),
        }
    }

    /// Has everything removed that waits for `target` from `source` in front of a sequence, and returns when it is gone.
    ///
    /// # Errors
    /// [`BusError::Unreachable`] when nobody answers.
    pub async fn free_lanes(
        &self,
        server: &EngineName,
        source: &NodeId,
        target: &NodeId,
        before: u64,
    ) -> Result<(), BusError> {
        match self.ask_to_free(server, source, target, Some(before)).await? {
            (_, Message::LanesFreed) => Ok(()),
            (subject, _) => Err(no_answer(subject)),
        }
    }

    async fn ask_to_free(
        &self,
        server: &EngineName,
        source: &NodeId,
        target: &NodeId,
        before: Option<u64>,
    ) -> Result<(String, Message), BusError> {
        let subject = self.subjects.free(server, source);
        let question = FreeLanes {
            source: source.clone(),
            target: target.clone(),
            before,
        };
        let answer = self.ask(&subject, Message::FreeLanes(question)).await?;
        Ok((subject, answer))
    }

    /// Sources' questions; each goes to one of the routers that ask for them.
    ///
    /// # Errors
    /// [`BusError::Unreachable`].
    pub async fn frees(&self, server: &EngineName) -> Result<Frees, BusError> {
        let questions = self.questions(self.subjects.frees(server)).await?;
        Ok(Frees { questions })
    }

    async fn carry_out(&self, question: &FreeLanes) -> Result<Message, BusError> {
        let name = self.subjects.node_stream();
        let refused = |err: &dyn std::fmt::Display| BusError::refused(format!("freeing on {name}"), err);
        let stream = self
            .jetstream
            .get_stream(&name)
            .await
            .map_err(|err| self.unreachable(err))?;
        let Some(before) = question.before else {
            return Ok(Message::LanesEnd(stream.cached_info().state.last_sequence + 1));
        };
        for action in [LinkAction::Push, LinkAction::WaitForPull] {
            let subject = self
                .subjects
                .node_source(&question.target, &question.source, action);
            stream
                .purge()
                .filter(subject)
                .sequence(before)
                .await
                .map_err(|err| refused(&err))?;
        }
        Ok(Message::LanesFreed)
    }
}

/// Sources' questions.
pub struct Frees {
    questions: Questions,
}

/// One of them.
pub struct FreeCall {
    /// What is to be freed.
    pub question: FreeLanes,
    bus: Bus,
    answer: Answer,
}

impl Frees {
    /// The next one; `None` when the connection was closed for good. Those of a source that says that it is another are
    /// passed over: what a node may publish stands in the subject. May be dropped.
    pub async fn next(&mut self) -> Option<FreeCall> {
        let (question, answer) = self
            .questions
            .next(|subject, message| match message {
                Message::FreeLanes(question) => {
                    let sender = subject.rsplit('.').next();
                    (sender == Some(&token(question.source.as_str()))).then_some(question)
                }
                _ => None,
            })
            .await?;
        let bus = self.questions.bus.clone();
        Some(FreeCall {
            question,
            bus,
            answer,
        })
    }
}

impl FreeCall {
    /// Does it and answers. The source asks again when it hears nothing.
    ///
    /// # Errors
    /// [`BusError::Unreachable`], [`BusError::Refused`].
    pub async fn serve(&self) -> Result<(), BusError> {
        let done = self.bus.carry_out(&self.question).await?;
        self.answer.send(done).await
    }
}
