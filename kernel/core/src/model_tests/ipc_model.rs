//! The abstract model of threads, messages and contexts: vectors and options.
//!
//! It knows no time (all contexts are round-robin), no ready queues and no choice of the next thread: the test takes that from
//! the kernel and checks that it is a best one. Objects have small numbers.

use hybrid_abi::message::MessageInfo;

pub(crate) const THREADS: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Inactive,
    Ready,
    Sending(usize),
    Receiving(usize),
    AwaitingReply,
    Waiting(usize),
}

/// What the capability that a thread sends through gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Through {
    pub(crate) badge: u64,
    pub(crate) may_be_replied: bool,
    pub(crate) is_call: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Thread {
    pub(crate) state: State,
    pub(crate) priority: u8,
    pub(crate) context: Option<usize>,
    pub(crate) bound: Option<usize>,
    /// Number of the exception that waits for an answer.
    pub(crate) fault: Option<u64>,
    pub(crate) reply: Option<usize>,
    through: Through,
    pub(crate) x0: u64,
    pub(crate) x1: u64,
    pub(crate) words: [u64; 4],
    pub(crate) sp: u64,
    pub(crate) spsr: u64,
    /// Where it goes on; for a blocked thread the system call.
    pub(crate) pc: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Notification {
    pub(crate) active: Option<u64>,
    pub(crate) queue: Vec<usize>,
    pub(crate) bound: Option<usize>,
    pub(crate) context: Option<usize>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    pub(crate) thread: Option<usize>,
    pub(crate) notification: Option<usize>,
}

/// Replies through which one context was donated, the most recent last. Cut-off parts have no context.
#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) context: Option<usize>,
    pub(crate) replies: Vec<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) threads: Vec<Thread>,
    pub(crate) endpoints: Vec<Vec<usize>>,
    pub(crate) notifications: Vec<Notification>,
    /// Who is blocked on, or waits with, each reply object.
    pub(crate) replies: Vec<Option<usize>>,
    pub(crate) contexts: Vec<Context>,
    pub(crate) chains: Vec<Chain>,
}

impl Thread {
    pub(crate) fn new(pc: u64, priority: u8, spsr: u64) -> Self {
        Self {
            state: State::Inactive,
            priority,
            context: None,
            bound: None,
            fault: None,
            reply: None,
            through: Through::default(),
            x0: 0,
            x1: 0,
            words: [0; 4],
            sp: 0,
            spsr,
            pc,
        }
    }
}

impl Model {
    /// The system call that the thread is in is complete.
    fn complete(&mut self, t: usize) {
        self.threads[t].state = State::Ready;
        self.threads[t].pc += 4;
    }

    fn by_priority(&self, queue: &mut Vec<usize>, t: usize) {
        let priority = self.threads[t].priority;
        let at = queue.iter().position(|other| self.threads[*other].priority < priority).unwrap_or(queue.len());
        queue.insert(at, t);
    }

    fn enqueue(&mut self, t: usize, endpoint: usize) {
        let mut queue = std::mem::take(&mut self.endpoints[endpoint]);
        self.by_priority(&mut queue, t);
        self.endpoints[endpoint] = queue;
    }

    fn leave_queues(&mut self, t: usize) {
        self.endpoints.iter_mut().for_each(|queue| queue.retain(|other| *other != t));
        self.notifications.iter_mut().for_each(|notification| notification.queue.retain(|other| *other != t));
    }

    fn give(&mut self, context: usize, to: usize) {
        if let Some(from) = self.contexts[context].thread {
            self.threads[from].context = None;
        }
        self.contexts[context].thread = Some(to);
        self.threads[to].context = Some(context);
    }

    fn deliver(&mut self, from: usize, to: usize, badge: u64) {
        let sender = self.threads[from].clone();
        let receiver = &mut self.threads[to];
        receiver.x0 = badge;
        match sender.fault {
            Some(number) => {
                receiver.words = [sender.pc, sender.sp, sender.spsr, number];
                receiver.x1 = MessageInfo::new(3, 0, 0, 5).0;
            }
            None => {
                let info = MessageInfo(sender.x1);
                for n in 0..info.length().min(4) {
                    receiver.words[n] = sender.words[n];
                }
                receiver.x1 = MessageInfo::new(info.label(), 0, 0, info.length() as u64).0;
            }
        }
    }

    /// Links a caller to the reply object of its callee, or stops it.
    fn link(&mut self, caller: usize, callee: usize, reply: Option<usize>, through: Through, may_donate: bool) {
        let Some(reply) = reply.filter(|_| through.may_be_replied) else {
            self.threads[caller].state = State::Inactive;
            return;
        };
        self.replies[reply] = Some(caller);
        self.threads[caller].reply = Some(reply);
        self.threads[caller].state = State::AwaitingReply;
        if let Some(context) = self.threads[caller].context
            && may_donate
            && self.threads[callee].context.is_none()
        {
            match self.chains.iter_mut().find(|chain| chain.context == Some(context)) {
                Some(chain) => chain.replies.push(reply),
                None => self.chains.push(Chain { context: Some(context), replies: vec![reply] }),
            }
            self.give(context, callee);
        }
    }

    fn detach_reply(&mut self, t: usize) -> Option<usize> {
        let reply = self.threads[t].reply.take()?;
        self.replies[reply] = None;
        Some(reply)
    }

    pub(crate) fn send(&mut self, t: usize, endpoint: usize, through: Through, blocks: bool, may_donate: bool) {
        let receiver = self.endpoints[endpoint].first().copied();
        let receiver = receiver.filter(|r| self.threads[*r].state == State::Receiving(endpoint));
        let is_asking = through.is_call || self.threads[t].fault.is_some();
        match receiver {
            Some(receiver) => {
                self.leave_queues(receiver);
                self.deliver(t, receiver, through.badge);
                let reply = self.detach_reply(receiver);
                if is_asking {
                    self.link(t, receiver, reply, through, may_donate);
                } else if let Some(context) = self.threads[t].context
                    && may_donate
                    && self.threads[receiver].context.is_none()
                {
                    self.give(context, receiver);
                }
                self.complete(receiver);
                if !is_asking {
                    self.complete(t);
                }
            }
            None if blocks => {
                self.threads[t].state = State::Sending(endpoint);
                self.threads[t].through = through;
                self.enqueue(t, endpoint);
            }
            None => self.complete(t),
        }
    }

    pub(crate) fn receive(&mut self, t: usize, endpoint: usize, reply: Option<usize>, blocks: bool) {
        if let Some(user) = reply.and_then(|reply| self.replies[reply])
            && user != t
        {
            self.cancel(user);
        }
        if let Some(bound) = self.threads[t].bound {
            if self.notifications[bound].active.is_some() {
                self.take(t, bound);
                return;
            }
            if blocks {
                self.give_back(t, bound);
            }
        }
        let sender = self.endpoints[endpoint].first().copied();
        match sender.filter(|s| self.threads[*s].state == State::Sending(endpoint)) {
            Some(sender) => {
                self.leave_queues(sender);
                let through = self.threads[sender].through;
                self.deliver(sender, t, through.badge);
                if through.is_call || self.threads[sender].fault.is_some() {
                    self.link(sender, t, reply, through, true);
                } else {
                    self.complete(sender);
                }
                self.complete(t);
            }
            None if blocks => {
                self.threads[t].state = State::Receiving(endpoint);
                self.threads[t].reply = reply;
                if let Some(reply) = reply {
                    self.replies[reply] = Some(t);
                }
                self.enqueue(t, endpoint);
            }
            None => {
                self.threads[t].x0 = 0;
                self.complete(t);
            }
        }
    }

    pub(crate) fn signal(&mut self, n: usize, badge: u64) {
        if let Some(word) = self.notifications[n].active {
            self.notifications[n].active = Some(word | badge);
            return;
        }
        let bound = self.notifications[n].bound;
        let woken = match self.notifications[n].queue.first() {
            Some(first) => Some(*first),
            None => bound.filter(|t| matches!(self.threads[*t].state, State::Receiving(_))),
        };
        match woken {
            None => self.notifications[n].active = Some(badge),
            Some(t) => {
                self.leave_queues(t);
                self.detach_reply(t);
                self.threads[t].x0 = badge;
                self.complete(t);
                self.lend(t, n);
            }
        }
    }

    pub(crate) fn wait(&mut self, t: usize, n: usize, blocks: bool) {
        if self.notifications[n].active.is_some() {
            self.take(t, n);
        } else if blocks {
            self.give_back(t, n);
            self.threads[t].state = State::Waiting(n);
            let mut queue = std::mem::take(&mut self.notifications[n].queue);
            self.by_priority(&mut queue, t);
            self.notifications[n].queue = queue;
        } else {
            self.threads[t].x0 = 0;
            self.complete(t);
        }
    }

    fn take(&mut self, t: usize, n: usize) {
        self.threads[t].x0 = self.notifications[n].active.take().unwrap();
        self.complete(t);
        self.lend(t, n);
    }

    fn lend(&mut self, t: usize, n: usize) {
        if let Some(context) = self.notifications[n].context
            && self.threads[t].context.is_none()
            && self.contexts[context].thread.is_none()
        {
            self.give(context, t);
        }
    }

    fn give_back(&mut self, t: usize, n: usize) {
        if let Some(context) = self.notifications[n].context
            && self.threads[t].context == Some(context)
        {
            self.threads[t].context = None;
            self.contexts[context].thread = None;
        }
    }

    /// Takes a reply out of its chain. Gives the context, if it was the most recent call on it.
    fn unchain(&mut self, reply: usize) -> Option<usize> {
        let c = self.chains.iter().position(|chain| chain.replies.contains(&reply))?;
        let chain = self.chains.remove(c);
        let at = chain.replies.iter().position(|other| *other == reply).unwrap();
        let (older, newer) = (chain.replies[..at].to_vec(), chain.replies[at + 1..].to_vec());
        let is_head = newer.is_empty();
        let mut keep = |context, replies: Vec<usize>| {
            if !replies.is_empty() {
                self.chains.push(Chain { context, replies });
            }
        };
        keep(if is_head { chain.context } else { None }, older);
        keep(chain.context, newer);
        if is_head { chain.context } else { None }
    }

    /// Ends the call of a reply's caller; its time comes back to it.
    fn end_call(&mut self, reply: usize, caller: usize) {
        if let Some(context) = self.unchain(reply)
            && self.threads[caller].context.is_none()
        {
            self.give(context, caller);
        }
        self.detach_reply(caller);
    }

    pub(crate) fn reply(&mut self, t: usize, reply: usize) {
        let Some(caller) = self.replies[reply] else { return };
        if self.threads[caller].state != State::AwaitingReply {
            return;
        }
        self.end_call(reply, caller);
        if self.threads[caller].fault.take().is_none() {
            self.deliver(t, caller, 0);
            self.complete(caller);
            return;
        }
        let (info, words) = (MessageInfo(self.threads[t].x1), self.threads[t].words);
        let thread = &mut self.threads[caller];
        for n in 0..info.length().min(3) {
            match n {
                0 => thread.pc = words[0],
                1 => thread.sp = words[1],
                _ => thread.spsr = (words[2] & 0xf000_0000) | 0x140,
            }
        }
        thread.state = if info.label() == 0 { State::Ready } else { State::Inactive };
    }

    /// The thread's IPC ends without result. No time moves.
    pub(crate) fn cancel(&mut self, t: usize) {
        self.threads[t].fault = None;
        match self.threads[t].state {
            State::Inactive | State::Ready => return,
            State::AwaitingReply => {
                let reply = self.threads[t].reply.unwrap();
                if let Some(context) = self.unchain(reply) {
                    // The older callers are cut off too.
                    self.chains.iter_mut().filter(|c| c.context == Some(context)).for_each(|c| c.context = None);
                }
            }
            State::Sending(_) | State::Receiving(_) | State::Waiting(_) => self.leave_queues(t),
        }
        self.detach_reply(t);
        self.threads[t].state = State::Inactive;
    }

    pub(crate) fn set_priority(&mut self, t: usize, priority: u8) {
        self.threads[t].priority = priority;
        match self.threads[t].state {
            State::Sending(e) | State::Receiving(e) => {
                self.leave_queues(t);
                self.enqueue(t, e);
            }
            State::Waiting(n) => {
                self.leave_queues(t);
                let mut queue = std::mem::take(&mut self.notifications[n].queue);
                self.by_priority(&mut queue, t);
                self.notifications[n].queue = queue;
            }
            _ => {}
        }
    }

    /// Restarts those whose IPC object went away; a thread that waits to send a fault stops.
    fn restart(&mut self, t: usize) {
        self.leave_queues(t);
        self.detach_reply(t);
        let is_faulted = self.threads[t].fault.take().is_some();
        self.threads[t].state = if is_faulted { State::Inactive } else { State::Ready };
    }

    pub(crate) fn cancel_sends(&mut self, endpoint: usize, badge: u64) {
        for t in self.endpoints[endpoint].clone() {
            if self.threads[t].state == State::Sending(endpoint) && self.threads[t].through.badge == badge {
                self.restart(t);
            }
        }
    }

    pub(crate) fn destroy_endpoint(&mut self, endpoint: usize) {
        self.endpoints[endpoint].clone().into_iter().for_each(|t| self.restart(t));
    }

    pub(crate) fn destroy_notification(&mut self, n: usize) {
        self.notifications[n].queue.clone().into_iter().for_each(|t| self.restart(t));
        let gone = std::mem::take(&mut self.notifications[n]);
        if let Some(t) = gone.bound {
            self.threads[t].bound = None;
        }
        if let Some(context) = gone.context {
            self.contexts[context].notification = None;
        }
    }

    pub(crate) fn destroy_reply(&mut self, reply: usize) {
        let Some(t) = self.replies[reply] else { return };
        if self.threads[t].state == State::AwaitingReply {
            self.end_call(reply, t);
            self.threads[t].fault = None;
            self.threads[t].state = State::Inactive;
        } else {
            self.cancel(t);
        }
    }

    /// Unbind, or the end of the context.
    pub(crate) fn unbind_context(&mut self, context: usize) {
        let gone = std::mem::take(&mut self.contexts[context]);
        if let Some(t) = gone.thread {
            self.threads[t].context = None;
        }
        if let Some(n) = gone.notification {
            self.notifications[n].context = None;
        }
        self.chains.iter_mut().filter(|chain| chain.context == Some(context)).for_each(|chain| chain.context = None);
    }
}
