//! Random IPC, signals, suspensions and destructions: kernel and abstract model agree on every thread and object.

use hybrid_abi::label as l;
use hybrid_abi::message::MessageInfo;
use hybrid_abi::object::ObjectType as T;
use hybrid_abi::syscall::Syscall;
use proptest::prelude::*;

use crate::cap::Cap;
use crate::kernel::UserFault;
use crate::model_tests::capabilities::cases;
use crate::model_tests::invariants::check;
use crate::model_tests::ipc_model::{Context, Model, Notification, State, THREADS, Thread as ModelThread, Through};
use crate::model_tests::world::{CNODE, Thread, World};
use crate::object::{
    EndpointRef, NotificationRef, NotificationState, ReplyRef, SchedContextRef, TcbRef, ThreadState, context,
};

const ENDPOINTS: usize = 2;
const NOTIFICATIONS: usize = 2;
const REPLIES: usize = 3;
const CONTEXTS: usize = 4;
const IRQ: u32 = 40;

#[derive(Clone, Copy, Debug)]
enum Dest {
    /// Endpoint and which of its capabilities.
    Endpoint(usize, usize),
    Notification(usize, usize),
    Reply(usize),
}

#[derive(Clone, Copy, Debug)]
enum Source {
    Endpoint(usize),
    Notification(usize),
}

#[derive(Clone, Debug)]
enum Command {
    Send(Syscall, Dest),
    Receive(Syscall, Source, usize),
    TwoPhases(Syscall, Dest, Source, usize),
    Fault(u64),
    Interrupt,
    Yield,
    Suspend(usize),
    Resume(usize),
    Priority(usize, u8),
    Bind(usize, usize),
    BindToNotification(usize, usize),
    Unbind(usize),
    BindNotification(usize, usize),
    UnbindNotification(usize),
    CancelSends(usize, usize),
    DestroyEndpoint(usize),
    DestroyNotification(usize),
    DestroyReply(usize),
    DestroyContext(usize),
}

fn command() -> impl Strategy<Value = Command> {
    let dest = || {
        prop_oneof![
            4 => (0..ENDPOINTS, 0..4usize).prop_map(|(e, c)| Dest::Endpoint(e, c)),
            2 => (0..NOTIFICATIONS, 0..3usize).prop_map(|(n, c)| Dest::Notification(n, c)),
            3 => (0..REPLIES).prop_map(Dest::Reply),
        ]
    };
    let source = || {
        prop_oneof![
            4 => (0..ENDPOINTS).prop_map(Source::Endpoint),
            1 => (0..NOTIFICATIONS).prop_map(Source::Notification),
        ]
    };
    let sends = prop::sample::select(vec![Syscall::Send, Syscall::NbSend, Syscall::Call, Syscall::Call]);
    let receives =
        prop::sample::select(vec![Syscall::Recv, Syscall::Recv, Syscall::NbRecv, Syscall::Wait, Syscall::NbWait]);
    let both =
        prop::sample::select(vec![Syscall::ReplyRecv, Syscall::ReplyRecv, Syscall::NbSendRecv, Syscall::NbSendWait]);
    prop_oneof![
        16 => (sends, dest()).prop_map(|(call, dest)| Command::Send(call, dest)),
        12 => (receives, source(), 0..REPLIES).prop_map(|(call, source, reply)| Command::Receive(call, source, reply)),
        10 => (both, dest(), source(), 0..REPLIES).prop_map(|(call, d, s, r)| Command::TwoPhases(call, d, s, r)),
        2 => (1..9u64).prop_map(Command::Fault),
        6 => Just(Command::Interrupt),
        3 => Just(Command::Yield),
        1 => (0..THREADS).prop_map(Command::Suspend),
        12 => (0..THREADS).prop_map(Command::Resume),
        4 => (0..THREADS, 50..55u8).prop_map(|(t, p)| Command::Priority(t, p)),
        3 => (0..CONTEXTS, 0..THREADS).prop_map(|(c, t)| Command::Bind(c, t)),
        2 => (0..CONTEXTS, 0..NOTIFICATIONS).prop_map(|(c, n)| Command::BindToNotification(c, n)),
        3 => (0..CONTEXTS).prop_map(Command::Unbind),
        2 => (0..THREADS, 0..NOTIFICATIONS).prop_map(|(t, n)| Command::BindNotification(t, n)),
        1 => (0..THREADS).prop_map(Command::UnbindNotification),
        1 => (0..ENDPOINTS, 0..4usize).prop_map(|(e, c)| Command::CancelSends(e, c)),
        1 => prop_oneof![
            (0..ENDPOINTS).prop_map(Command::DestroyEndpoint),
            (0..NOTIFICATIONS).prop_map(Command::DestroyNotification),
            (0..REPLIES).prop_map(Command::DestroyReply),
            (0..CONTEXTS).prop_map(Command::DestroyContext),
        ],
    ]
}

/// Capability slots of one object: the original and what was minted from it.
struct Slots<R> {
    caps: Vec<u64>,
    at: R,
    is_alive: bool,
}

struct Pair {
    w: World,
    model: Model,
    threads: Vec<Thread>,
    endpoints: Vec<Slots<EndpointRef>>,
    notifications: Vec<Slots<NotificationRef>>,
    replies: Vec<Slots<ReplyRef>>,
    contexts: Vec<Slots<SchedContextRef>>,
    counter: u64,
}

/// Rights of the minted endpoint capabilities 1…3; capability 0 is the original with all rights and badge 0.
const RIGHTS: [u64; 4] = [15, 15, 9, 1];

fn through(cap: usize, is_call: bool) -> Through {
    Through { badge: cap as u64, may_be_replied: RIGHTS[cap] & 12 != 0, is_call }
}

impl Pair {
    fn new() -> Self {
        let mut w = World::new(1 << 20);
        let mut endpoints = Vec::new();
        for _ in 0..ENDPOINTS {
            let first = w.make(T::Endpoint, 0);
            let caps = vec![first, w.mint(first, 15, 1), w.mint(first, 9, 2), w.mint(first, 1, 3)];
            let Cap::Endpoint { at, .. } = w.cap(first) else { panic!() };
            endpoints.push(Slots { caps, at, is_alive: true });
        }
        let mut notifications = Vec::new();
        for _ in 0..NOTIFICATIONS {
            let first = w.make(T::Notification, 0);
            let caps = vec![first, w.mint(first, 3, 1), w.mint(first, 3, 2)];
            let Cap::Notification { at, .. } = w.cap(first) else { panic!() };
            notifications.push(Slots { caps, at, is_alive: true });
        }
        let mut replies = Vec::new();
        for _ in 0..REPLIES {
            let first = w.make(T::Reply, 0);
            let Cap::Reply { at, .. } = w.cap(first) else { panic!() };
            replies.push(Slots { caps: vec![first], at, is_alive: true });
        }
        let irq = w.free_slot();
        w.ok(4, l::IRQ_ISSUE_HANDLER, &[u64::from(IRQ), irq, 64], &[CNODE]);
        w.ok(irq, l::IRQ_SET_HANDLER, &[], &[notifications[0].caps[1]]);
        let mut threads = vec![Thread { slot: 1, at: w.root, context: 14 }];
        threads.push(w.thread(51));
        threads.push(w.thread(52));
        threads.push(w.passive_thread(53));
        threads.push(w.passive_thread(54));
        let spare = w.make(T::SchedContext, 8);
        let control = w.info(hybrid_abi::bootinfo::word::SCHED_CONTROL);
        w.ok(control, l::SCHED_CONTROL_CONFIGURE_FLAGS, &[5000, 5000, 0, 0, 0], &[spare]);
        let contexts: Vec<_> = [14, threads[1].context, threads[2].context, spare]
            .into_iter()
            .map(|slot| {
                let Cap::SchedContext { at, .. } = w.cap(slot) else { panic!() };
                Slots { caps: vec![slot], at, is_alive: true }
            })
            .collect();
        for thread in &threads {
            w.ok(thread.slot, l::TCB_SET_SPACE, &[0, 0], &[endpoints[1].caps[1], CNODE, 3]);
            w.ok(thread.slot, l::TCB_SET_MC_PRIORITY, &[255], &[1]);
            if thread.slot != 1 {
                let tcb = w.k.tcb(thread.at);
                tcb.set_fault_ip(thread.start_pc());
                tcb.set_pc(thread.start_pc());
            }
        }
        w.ok(1, l::TCB_SET_PRIORITY, &[50], &[1]);
        let mut model = Model {
            threads: threads.iter().zip(50..).map(|(t, p)| ModelThread::new(t.start_pc(), p, 0x140)).collect(),
            endpoints: vec![Vec::new(); ENDPOINTS],
            notifications: vec![Notification::default(); NOTIFICATIONS],
            replies: vec![None; REPLIES],
            contexts: vec![Context::default(); CONTEXTS],
            chains: Vec::new(),
        };
        for t in 0..3 {
            model.threads[t].context = Some(t);
            model.contexts[t].thread = Some(t);
        }
        let root = w.k.tcb(w.root);
        model.threads[0].state = State::Ready;
        model.threads[0].pc = root.pc();
        let words = [root.x::<2>(), root.x::<3>(), root.x::<4>(), root.x::<5>()];
        (model.threads[0].x0, model.threads[0].x1, model.threads[0].words) = (root.x::<0>(), root.x::<1>(), words);
        Self { w, model, threads, endpoints, notifications, replies, contexts, counter: 100 }
    }

    fn number(&self, thread: TcbRef) -> usize {
        self.threads.iter().position(|t| t.at == thread).unwrap()
    }

    /// Sets the registers of a message in kernel and model.
    fn put(&mut self, t: usize, x0: u64, label: u64, length: u64, words: &[u64]) {
        let mut all = [0; 4];
        for (n, word) in all.iter_mut().enumerate() {
            self.counter += 1;
            *word = words.get(n).copied().unwrap_or(self.counter);
        }
        let info = MessageInfo::new(label, 0, 0, length);
        let tcb = self.w.k.tcb(self.threads[t].at);
        tcb.set_x::<0>(x0);
        tcb.set_x::<1>(info.0);
        (0..4).for_each(|n| tcb.set_message_register(n, all[n]));
        let thread = &mut self.model.threads[t];
        (thread.x0, thread.x1, thread.words) = (x0, info.0, all);
    }

    fn dest_slot(&self, dest: Dest) -> Option<u64> {
        let (slot, is_alive) = match dest {
            Dest::Endpoint(e, cap) => (self.endpoints[e].caps[cap], self.endpoints[e].is_alive),
            Dest::Notification(n, cap) => (self.notifications[n].caps[cap], self.notifications[n].is_alive),
            Dest::Reply(r) => (self.replies[r].caps[0], self.replies[r].is_alive),
        };
        is_alive.then_some(slot)
    }

    fn source_slot(&self, t: usize, source: Source) -> Option<u64> {
        match source {
            Source::Endpoint(e) => self.endpoints[e].is_alive.then_some(self.endpoints[e].caps[0]),
            Source::Notification(n) => {
                // Others may not wait on a bound notification; a test in `ipc` has that.
                let is_usable = self.model.notifications[n].bound.is_none_or(|bound| bound == t);
                (self.notifications[n].is_alive && is_usable).then_some(self.notifications[n].caps[0])
            }
        }
    }

    fn model_send(&mut self, t: usize, dest: Dest, call: Syscall) {
        let is_call = call == Syscall::Call;
        let is_first_phase = !matches!(call, Syscall::Send | Syscall::NbSend | Syscall::Call);
        match dest {
            Dest::Endpoint(e, cap) => {
                let blocks = matches!(call, Syscall::Send | Syscall::Call);
                self.model.send(t, e, through(cap, is_call), blocks, is_call || is_first_phase);
                if is_first_phase {
                    // The call is not over.
                    self.model.threads[t].pc -= 4;
                }
                return;
            }
            Dest::Notification(n, cap) => self.model.signal(n, cap as u64),
            Dest::Reply(r) => self.model.reply(t, r),
        }
        if !is_first_phase {
            self.model.threads[t].pc += 4;
        }
        if is_call {
            (self.model.threads[t].x0, self.model.threads[t].x1) = (0, 0);
        }
    }

    fn model_receive(&mut self, t: usize, source: Source, reply: Option<usize>, blocks: bool) {
        match source {
            Source::Endpoint(e) => self.model.receive(t, e, reply, blocks),
            Source::Notification(n) => self.model.wait(t, n, blocks),
        }
    }

    /// An invocation of a kernel object by Call: kernel first, then `effect` on the model if it is allowed.
    fn invoke(&mut self, t: usize, dest: u64, label: u64, words: &[u64], cap: u64, allowed: bool) {
        self.put(t, dest, label, words.len() as u64, words);
        if cap != 0 {
            self.w.k.tcb(self.threads[t].at).set_x::<1>(MessageInfo::new(label, 0, 1, words.len() as u64).0);
            self.w.k.buffer(self.threads[t].at, true).unwrap()[hybrid_abi::ipc_buffer::CAPS_OR_BADGES].set(cap);
        }
        self.w.svc(Syscall::Call.number());
        let thread = &mut self.model.threads[t];
        thread.pc += 4;
        thread.x0 = 0;
        thread.x1 = if allowed { 0 } else { 3 << 12 };
    }

    fn run(&mut self, command: &Command) {
        if matches!(command, Command::Interrupt) {
            self.w.interrupt(IRQ);
            if self.notifications[0].is_alive {
                self.model.signal(0, 1);
            }
            return;
        }
        let Some(current) = self.w.k.current_thread() else { return };
        let t = self.number(current);
        match *command {
            Command::Interrupt => {}
            Command::Send(call, dest) => {
                let Some(slot) = self.dest_slot(dest) else { return };
                self.put(t, slot, self.counter % 3, self.counter % 5, &[]);
                self.w.svc(call.number());
                self.model_send(t, dest, call);
            }
            Command::Receive(call, source, reply) => {
                let takes_reply = matches!(call, Syscall::Recv | Syscall::NbRecv);
                let Some(slot) = self.source_slot(t, source) else { return };
                if takes_reply && !self.replies[reply].is_alive {
                    return;
                }
                self.put(t, slot, 0, 0, &[]);
                self.w.receive(call, slot, self.replies[reply].caps[0]);
                let blocks = matches!(call, Syscall::Recv | Syscall::Wait);
                self.model_receive(t, source, takes_reply.then_some(reply), blocks);
            }
            Command::TwoPhases(call, dest, source, reply) => self.two_phases(t, call, dest, source, reply),
            Command::Fault(number) => {
                let tcb = self.w.k.tcb(current);
                tcb.set_fault_ip(tcb.pc());
                self.w.k.handle_fault(UserFault::Exception { number });
                if self.endpoints[1].is_alive {
                    self.model.threads[t].fault = Some(number);
                    let may_donate = self.model.threads[t].context.is_some();
                    self.model.send(t, 1, through(1, true), true, may_donate);
                } else {
                    self.model.threads[t].state = State::Inactive;
                }
            }
            Command::Yield => {
                self.w.svc(Syscall::Yield.number());
                self.model.threads[t].pc += 4;
            }
            _ => self.control(t, command),
        }
    }

    fn two_phases(&mut self, t: usize, call: Syscall, dest: Dest, source: Source, reply: usize) {
        let takes_reply = call != Syscall::NbSendWait;
        let dest = if call == Syscall::ReplyRecv { Dest::Reply(reply) } else { dest };
        let (Some(to), Some(from)) = (self.dest_slot(dest), self.source_slot(t, source)) else { return };
        if takes_reply && !self.replies[reply].is_alive {
            return;
        }
        self.put(t, from, self.counter % 3, self.counter % 5, &[]);
        let tcb = self.w.k.tcb(self.threads[t].at);
        tcb.set_x::<6>(if takes_reply { self.replies[reply].caps[0] } else { to });
        tcb.set_x::<8>(to);
        self.w.svc(call.number());
        self.model_send(t, dest, call);
        self.model_receive(t, source, takes_reply.then_some(reply), true);
    }

    fn control(&mut self, t: usize, command: &Command) {
        match *command {
            Command::Suspend(other) => {
                self.put(t, self.threads[other].slot, l::TCB_SUSPEND, 0, &[]);
                self.w.svc(Syscall::Call.number());
                self.model.cancel(other);
                self.model.threads[other].state = State::Inactive;
                if other != t {
                    (self.model.threads[t].x0, self.model.threads[t].x1) = (0, 0);
                    self.model.threads[t].pc += 4;
                }
            }
            Command::Resume(other) => {
                self.invoke(t, self.threads[other].slot, l::TCB_RESUME, &[], 0, true);
                if self.model.threads[other].state != State::Ready {
                    self.model.cancel(other);
                    self.model.threads[other].state = State::Ready;
                }
            }
            Command::Priority(other, priority) => {
                self.invoke(t, self.threads[other].slot, l::TCB_SET_PRIORITY, &[u64::from(priority)], 1, true);
                self.model.set_priority(other, priority);
            }
            Command::Bind(c, other) if self.contexts[c].is_alive => {
                let allowed = self.model.contexts[c].thread.is_none() && self.model.threads[other].context.is_none();
                self.invoke(t, self.contexts[c].caps[0], l::SCHED_CONTEXT_BIND, &[], self.threads[other].slot, allowed);
                if allowed {
                    self.model.contexts[c].thread = Some(other);
                    self.model.threads[other].context = Some(c);
                }
            }
            Command::BindToNotification(c, n) if self.contexts[c].is_alive && self.notifications[n].is_alive => {
                let allowed =
                    self.model.contexts[c].notification.is_none() && self.model.notifications[n].context.is_none();
                let cap = self.notifications[n].caps[0];
                self.invoke(t, self.contexts[c].caps[0], l::SCHED_CONTEXT_BIND, &[], cap, allowed);
                if allowed {
                    self.model.contexts[c].notification = Some(n);
                    self.model.notifications[n].context = Some(c);
                }
            }
            Command::Unbind(c) if self.contexts[c].is_alive => {
                let allowed = self.model.contexts[c].thread != Some(t);
                self.invoke(t, self.contexts[c].caps[0], l::SCHED_CONTEXT_UNBIND, &[], 0, allowed);
                if allowed {
                    self.model.unbind_context(c);
                }
            }
            Command::BindNotification(other, n) if self.notifications[n].is_alive => {
                let notification = &self.model.notifications[n];
                let allowed = self.model.threads[other].bound.is_none()
                    && notification.bound.is_none()
                    && notification.queue.is_empty();
                let cap = self.notifications[n].caps[0];
                self.invoke(t, self.threads[other].slot, l::TCB_BIND_NOTIFICATION, &[], cap, allowed);
                if allowed {
                    self.model.threads[other].bound = Some(n);
                    self.model.notifications[n].bound = Some(other);
                }
            }
            Command::UnbindNotification(other) => {
                let bound = self.model.threads[other].bound.take();
                self.invoke(t, self.threads[other].slot, l::TCB_UNBIND_NOTIFICATION, &[], 0, bound.is_some());
                if let Some(n) = bound {
                    self.model.notifications[n].bound = None;
                }
            }
            Command::CancelSends(e, cap) if self.endpoints[e].is_alive => {
                let allowed = RIGHTS[cap] == 15;
                let words = [self.endpoints[e].caps[cap], 64];
                self.invoke(t, CNODE, l::CNODE_CANCEL_BADGED_SENDS, &words, 0, allowed);
                if allowed && cap != 0 {
                    self.model.cancel_sends(e, cap as u64);
                }
            }
            _ => self.destroy(t, command),
        }
    }

    fn destroy(&mut self, t: usize, command: &Command) {
        let caps = match *command {
            Command::DestroyEndpoint(e) if std::mem::take(&mut self.endpoints[e].is_alive) => &self.endpoints[e].caps,
            Command::DestroyNotification(n) if std::mem::take(&mut self.notifications[n].is_alive) => {
                &self.notifications[n].caps
            }
            Command::DestroyReply(r) if std::mem::take(&mut self.replies[r].is_alive) => &self.replies[r].caps,
            Command::DestroyContext(c) if std::mem::take(&mut self.contexts[c].is_alive) => &self.contexts[c].caps,
            _ => return,
        };
        let first = caps[0];
        // The copies first, so that the second call destroys the object; the caller is not stopped in between.
        self.invoke(t, CNODE, l::CNODE_REVOKE, &[first, 64], 0, true);
        assert_eq!(self.w.k.current_thread(), Some(self.threads[t].at));
        self.invoke(t, CNODE, l::CNODE_DELETE, &[first, 64], 0, true);
        match *command {
            Command::DestroyEndpoint(e) => self.model.destroy_endpoint(e),
            Command::DestroyNotification(n) => self.model.destroy_notification(n),
            Command::DestroyReply(r) => self.model.destroy_reply(r),
            Command::DestroyContext(c) => self.model.unbind_context(c),
            _ => {}
        }
    }

    fn compare(&self) {
        let k = &self.w.k;
        for (n, thread) in self.model.threads.iter().enumerate() {
            let tcb = k.tcb(self.threads[n].at);
            let state = match tcb.state() {
                ThreadState::Inactive => State::Inactive,
                ThreadState::Running | ThreadState::Restart => State::Ready,
                ThreadState::BlockedOnSend => State::Sending(self.endpoint_number(tcb.blocked_on())),
                ThreadState::BlockedOnReceive => State::Receiving(self.endpoint_number(tcb.blocked_on())),
                ThreadState::BlockedOnReply => State::AwaitingReply,
                ThreadState::BlockedOnNotification => {
                    State::Waiting(self.notifications.iter().position(|s| s.at.paddr() == tcb.blocked_on()).unwrap())
                }
            };
            assert_eq!(state, thread.state, "state of thread {n}");
            let pc = if tcb.state() == ThreadState::Running { tcb.pc() } else { tcb.fault_ip() };
            let registers = (tcb.x::<0>(), tcb.x::<1>(), [0, 1, 2, 3].map(|n| tcb.message_register(n)));
            let special = (pc, tcb.context_word(context::SP), tcb.context_word(context::SPSR), tcb.priority());
            assert_eq!(registers, (thread.x0, self.sent_info(n, thread.x1), thread.words), "registers of thread {n}");
            assert_eq!(special, (thread.pc, thread.sp, thread.spsr, thread.priority), "thread {n}");
            assert_eq!(tcb.fault_kind() != 0, thread.fault.is_some());
            assert_eq!(tcb.sched_context(), thread.context.map(|c| self.contexts[c].at), "context of thread {n}");
            assert_eq!(tcb.bound_notification(), thread.bound.map(|n| self.notifications[n].at));
            assert_eq!(tcb.reply(), thread.reply.map(|r| self.replies[r].at), "reply of thread {n}");
        }
        self.compare_objects();
        self.compare_choice();
    }

    /// x1 as the kernel keeps it: the number of extra capabilities of a message in flight is not in the model.
    fn sent_info(&self, n: usize, x1: u64) -> u64 {
        x1 | (self.w.k.tcb(self.threads[n].at).x::<1>() & (3 << 7))
    }

    fn endpoint_number(&self, at: u64) -> usize {
        self.endpoints.iter().position(|slots| slots.at.paddr() == at).unwrap()
    }

    fn queue(&self, mut at: Option<TcbRef>) -> Vec<usize> {
        let mut queue = Vec::new();
        while let Some(thread) = at {
            queue.push(self.number(thread));
            at = self.w.k.tcb(thread).queue_next();
        }
        queue
    }

    fn compare_objects(&self) {
        let k = &self.w.k;
        let thread = |n: Option<usize>| n.map(|n| self.threads[n].at);
        for (slots, queue) in self.endpoints.iter().zip(&self.model.endpoints).filter(|(slots, _)| slots.is_alive) {
            assert_eq!(&self.queue(k.endpoint(slots.at).head()), queue);
        }
        for (slots, n) in self.notifications.iter().zip(&self.model.notifications).filter(|(slots, _)| slots.is_alive) {
            let view = k.notification(slots.at);
            let active = (view.state() == NotificationState::Active).then(|| view.badge());
            assert_eq!((active, self.queue(view.head())), (n.active, n.queue.clone()));
            assert_eq!(view.bound_thread(), thread(n.bound));
            assert_eq!(view.sched_context(), n.context.map(|c| self.contexts[c].at));
        }
        for (slots, user) in self.replies.iter().zip(&self.model.replies).filter(|(slots, _)| slots.is_alive) {
            assert_eq!(k.reply(slots.at).thread(), thread(*user));
        }
        for (c, (slots, model)) in self.contexts.iter().zip(&self.model.contexts).enumerate() {
            if !slots.is_alive {
                continue;
            }
            let view = k.context(slots.at);
            assert_eq!(view.thread(), thread(model.thread));
            let mut chain = Vec::new();
            let mut at = view.reply();
            while let Some(reply) = at {
                chain.insert(0, self.replies.iter().position(|slots| slots.at == reply).unwrap());
                at = k.reply(reply).older();
            }
            let wanted = self.model.chains.iter().find(|chain| chain.context == Some(c));
            assert_eq!(chain, wanted.map_or(Vec::new(), |chain| chain.replies.clone()), "chain of context {c}");
        }
    }

    /// The kernel runs one of the best threads that can run.
    fn compare_choice(&self) {
        let can_run = |t: &&ModelThread| t.state == State::Ready && t.context.is_some();
        let best = self.model.threads.iter().filter(can_run).map(|t| t.priority).max();
        let chosen = self.w.k.current_thread().map(|thread| &self.model.threads[self.number(thread)]);
        assert_eq!(chosen.map(|t| t.priority), best);
        assert!(chosen.is_none_or(|t| can_run(&t)));
    }
}

/// Brings the passive threads 3 and 4 into a wait on borrowed time, as servers start, then lets the others run.
fn prelude() -> impl Strategy<Value = Vec<Command>> {
    let wait = || {
        prop_oneof![
            3 => (0..ENDPOINTS).prop_map(Source::Endpoint),
            1 => (0..NOTIFICATIONS).prop_map(Source::Notification),
        ]
    };
    (wait(), wait(), prop::option::of(0..NOTIFICATIONS), prop::option::of(0..NOTIFICATIONS)).prop_map(
        |(first, second, lender, bound)| {
            let mut commands = Vec::new();
            for (thread, source, reply) in [(3, first, 0), (4, second, 1)] {
                commands.extend(bound.filter(|_| thread == 3).map(|n| Command::BindNotification(3, n)));
                commands.extend([Command::Bind(3, thread), Command::Resume(thread)]);
                commands.extend([Command::Receive(Syscall::Recv, source, reply), Command::Unbind(3)]);
            }
            commands.extend(lender.map(|n| Command::BindToNotification(3, n)));
            commands.extend([Command::Resume(1), Command::Resume(2)]);
            commands
        },
    )
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn random_messages_agree_with_the_model(
        start in prelude(),
        commands in prop::collection::vec(command(), 1..120),
    ) {
        let mut pair = Pair::new();
        for command in start.iter().chain(&commands) {
            pair.run(command);
            pair.compare();
            check(&pair.w.k);
        }
    }
}
