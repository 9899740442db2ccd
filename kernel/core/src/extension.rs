//! Domain and Platform capabilities: the small invocations (kernel-abi §3.9, `hybrid_abi::extension`).

use hybrid_abi::extension;
use hybrid_abi::label;
use hybrid_abi::limits::{DOMAIN_SCHEDULES, DOMAINS};

use crate::invocation::{Answer, Error, Invocation, Outcome, ensure};
use crate::kernel::Kernel;
use crate::platform::Platform;

/// First duration that the domain schedule cannot hold.
const DURATION_END: u64 = 1 << 56;

impl<P: Platform> Kernel<P> {
    /// With one domain these calls check their arguments and change nothing.
    pub(crate) fn invoke_domain(&self, invocation: &Invocation<'_>) -> Outcome {
        let below = |value: u64, end: u64| ensure(value < end, Error::Range { min: 0, max: end.wrapping_sub(1) });
        match invocation.label {
            label::DOMAIN_SET_SET => {
                invocation.require(1, 0)?;
                ensure(invocation.word(0) < DOMAINS, Error::InvalidArgument(0))?;
                ensure(self.words(invocation.cap_slot(1)?).tcb().is_some(), Error::InvalidArgument(1))?;
            }
            label::DOMAIN_SCHEDULE_CONFIGURE => {
                invocation.require(3, 0)?;
                let (index, domain, duration) = (invocation.word(0), invocation.word(1), invocation.word(2));
                below(index, DOMAIN_SCHEDULES.wrapping_sub(1))?;
                below(domain, DOMAINS)?;
                // The only entry that can be written is the one the schedule starts with: it cannot become an end mark.
                ensure((1..DURATION_END).contains(&duration), Error::InvalidArgument(2))?;
            }
            label::DOMAIN_SCHEDULE_SET_START => {
                invocation.require(1, 0)?;
                below(invocation.word(0), DOMAIN_SCHEDULES)?;
                ensure(invocation.word(0) == 0, Error::InvalidArgument(0))?;
            }
            _ => return Err(Error::IllegalOperation.into()),
        }
        Ok(Answer::Empty)
    }

    pub(crate) fn invoke_platform(&self, invocation: &Invocation<'_>) -> Outcome {
        match invocation.label {
            extension::PLATFORM_SYSTEM_OFF => self.platform.power_off(),
            extension::PLATFORM_SYSTEM_RESET => self.platform.reset(),
            extension::PLATFORM_TIMER_ACCESS => {
                invocation.require(1, 1)?;
                ensure(invocation.word(0) <= 1, Error::Range { min: 0, max: 1 })?;
                let at = self.thread_of(invocation, 1)?;
                self.stop_remote(at);
                self.tcb(at).set_timer_access(invocation.word(0) == 1);
                self.platform.thread_changed(at);
            }
            extension::PLATFORM_PUT_CHAR => {
                invocation.require(1, 0)?;
                self.platform.put_char(invocation.word(0).to_le_bytes()[0]);
            }
            _ => return Err(Error::IllegalOperation.into()),
        }
        Ok(Answer::Empty)
    }
}
