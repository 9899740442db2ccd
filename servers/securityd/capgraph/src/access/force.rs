//! Which policy is in force: the image's, one on trial, or one that was confirmed; what it answers. It reads no clock.

use alloc::vec::Vec;

use super::policy::{Keep, Limits, Outcome, Policy, Reason};
use super::rates::Rates;
use super::words::{Payer, Question, Verb};

/// Why a change is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The keep of that place, the image's first, would be denied.
    LockedOut(usize),
    /// A policy is on trial already.
    OnTrial,
    /// None is.
    NoTrial,
    /// Nothing that must stay allowed has come and passed.
    NotProven,
}

/// An answer, and for which epoch it may be remembered; 0: for this question only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// What it is. [`Reason::Rate`] is only decided here.
    pub outcome: Outcome,
    /// See above.
    pub epoch: u64,
}

#[derive(Debug)]
struct Trial {
    before: Policy,
    deadline_ns: u64,
    is_proven: bool,
}

/// The policy in force.
///
/// # Invariants
/// * INV-EPOCH-1: each change of the policy in force is a new epoch, and no answer may be remembered for another epoch than that in which it
///   was decided.
/// * INV-EPOCH-2: only what is allowed, without a rate, and not on trial may be remembered: so a denial is always recorded, each use of a rate
///   is counted, and a trial that is over is noticed by the next question.
/// * INV-TRIAL-1: the keeps of the image hold for every policy that comes into force.
#[derive(Debug)]
pub struct InForce {
    policy: Policy,
    epoch: u64,
    trial: Option<Trial>,
    /// Of the image.
    keeps: Vec<Keep>,
    rates: Rates,
}

impl InForce {
    /// Begins with the image's policy, as epoch 1.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self { keeps: policy.keeps.clone(), policy, epoch: 1, trial: None, rates: Rates::default() }
    }

    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// What must stay allowed under every policy.
    #[must_use]
    pub fn keeps(&self) -> &[Keep] {
        &self.keeps
    }

    /// Its epoch, from 1.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// When the trial ends, and whether something that must stay allowed has come and passed; none without a trial.
    #[must_use]
    pub fn trial(&self) -> Option<(u64, bool)> {
        self.trial.as_ref().map(|trial| (trial.deadline_ns, trial.is_proven))
    }

    /// Whether `next` could be tried.
    ///
    /// # Errors
    /// The keep that it would deny.
    pub fn check(&self, next: &Policy) -> Result<(), Refused> {
        next.locks_out(self.keeps.iter().chain(&next.keeps)).map_or(Ok(()), |keep| Err(Refused::LockedOut(keep)))
    }

    /// Puts `next` in force until `deadline_ns`.
    ///
    /// # Errors
    /// One is on trial already, or it locks out.
    pub fn try_until(&mut self, next: Policy, deadline_ns: u64) -> Result<(), Refused> {
        if self.trial.is_some() {
            return Err(Refused::OnTrial);
        }
        self.check(&next)?;
        let before = self.change(next);
        self.trial = Some(Trial { before, deadline_ns, is_proven: false });
        Ok(())
    }

    /// Keeps the policy on trial.
    ///
    /// # Errors
    /// None is on trial; or it is not proven, which a policy without keeps need not be.
    pub fn confirm(&mut self) -> Result<(), Refused> {
        let trial = self.trial.as_ref().ok_or(Refused::NoTrial)?;
        if self.proofs().next().is_some() && !trial.is_proven {
            return Err(Refused::NotProven);
        }
        self.trial = None;
        // What is decided from now on may be remembered; what was before may not, so nothing has to be forgotten.
        Ok(())
    }

    /// Ends the trial: the policy before is in force again. Returns what was on trial.
    ///
    /// # Errors
    /// None is on trial.
    pub fn roll_back(&mut self) -> Result<Policy, Refused> {
        let trial = self.trial.take().ok_or(Refused::NoTrial)?;
        Ok(self.change(trial.before))
    }

    /// Ends a trial whose time is over, and returns what was on trial. To be called before everything else, as nobody else looks at the clock.
    pub fn expire(&mut self, now_ns: u64) -> Option<Policy> {
        let is_over = self.trial.as_ref().is_some_and(|trial| trial.deadline_ns <= now_ns);
        if is_over { self.roll_back().ok() } else { None }
    }

    /// Decides, and counts what has a rate.
    pub fn decide(&mut self, question: &Question<'_>, now_ns: u64) -> Answer {
        let (outcome, epoch) = match self.policy.decide(question) {
            Outcome::Allow(rule, Limits { rate: Some(rate), .. })
                if !self.rates.take(rule, Payer::of(question), rate, now_ns) =>
            {
                (Outcome::Deny(Some(rule), Reason::Rate), 0)
            }
            allowed @ Outcome::Allow(_, limits) => {
                let is_proof = self.trial.is_some() && self.proofs().any(|keep| keep.is(question));
                self.trial.iter_mut().for_each(|trial| trial.is_proven |= is_proof);
                let may_be_remembered = limits.rate.is_none() && self.trial.is_none();
                (allowed, if may_be_remembered { self.epoch } else { 0 })
            }
            denied @ Outcome::Deny(..) => (denied, 0),
        };
        Answer { outcome, epoch }
    }

    /// What shows, when it passes, that the administrator has not been locked out; a connection alone shows little.
    fn proofs(&self) -> impl Iterator<Item = &Keep> {
        self.keeps.iter().chain(&self.policy.keeps).filter(|keep| keep.verb != Verb::Connect)
    }

    /// Who had a rate has a new one: it was another rule's.
    fn change(&mut self, next: Policy) -> Policy {
        self.epoch += 1;
        self.rates = Rates::default();
        core::mem::replace(&mut self.policy, next)
    }
}
