//! The table of alarms; knows neither the clock nor the timer.
//!
//! INV-ALARM-1: a client has an alarm that runs, or one that fired and was not pulled, or none; never two.
use alloc::vec::Vec;
use libhybrid::ipc::ClientId;

/// The state of one client's alarm. Times are nanoseconds since the counter started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    None,
    Running(u64),
    Fired(u64),
}

/// A client that has no session here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientUnknown;

/// All alarms: as many as there are clients, from the start.
#[derive(Debug)]
pub struct Alarms {
    clients: Vec<(ClientId, State)>,
}

impl Alarms {
    /// One alarm for each client, none of them set.
    pub fn new(clients: impl IntoIterator<Item = ClientId>) -> Self {
        Self { clients: clients.into_iter().map(|client| (client, State::None)).collect() }
    }

    /// Replaces the client's alarm, also one that fired and was not pulled.
    ///
    /// # Errors
    /// [`ClientUnknown`].
    pub fn set(&mut self, client: ClientId, deadline_ns: u64) -> Result<(), ClientUnknown> {
        *self.state(client)? = State::Running(deadline_ns);
        Ok(())
    }

    /// Forgets the client's alarm, also one that fired and was not pulled.
    ///
    /// # Errors
    /// [`ClientUnknown`].
    pub fn cancel(&mut self, client: ClientId) -> Result<(), ClientUnknown> {
        *self.state(client)? = State::None;
        Ok(())
    }

    /// The deadline of the client's alarm, if it fired since the last call.
    ///
    /// # Errors
    /// [`ClientUnknown`].
    pub fn pull(&mut self, client: ClientId) -> Result<Option<u64>, ClientUnknown> {
        let state = self.state(client)?;
        if let State::Fired(deadline_ns) = *state {
            *state = State::None;
            return Ok(Some(deadline_ns));
        }
        Ok(None)
    }

    /// Lets the alarms fire whose deadline has come, and calls `ring` with the position of each such client.
    pub fn expire(&mut self, now_ns: u64, mut ring: impl FnMut(usize)) {
        for (position, (_, state)) in self.clients.iter_mut().enumerate() {
            if let State::Running(deadline_ns) = *state
                && deadline_ns <= now_ns
            {
                *state = State::Fired(deadline_ns);
                ring(position);
            }
        }
    }

    /// The next deadline, if any alarm runs.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        let running = |&(_, state): &(ClientId, State)| match state {
            State::Running(deadline_ns) => Some(deadline_ns),
            State::None | State::Fired(_) => None,
        };
        self.clients.iter().filter_map(running).min()
    }

    fn state(&mut self, client: ClientId) -> Result<&mut State, ClientUnknown> {
        self.clients.iter_mut().find(|(known, _)| *known == client).map(|(_, state)| state).ok_or(ClientUnknown)
    }
}
