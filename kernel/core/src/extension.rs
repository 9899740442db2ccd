//! Domain and Platform capabilities: the small invocations (kernel-abi §3.9, `hybrid_abi::extension`).

use hybrid_abi::extension;
use hybrid_abi::label;
use hybrid_abi::limits::{DOMAIN_SCHEDULES, DOMAINS};

use crate::cap::Cap;
use crate::invocation::{Answer, Error, Invocation, Outcome};
use crate::kernel::Kernel;
use crate::platform::Platform;

/// First duration that the domain schedule cannot hold.
const DURATION_END: u64 = 1 << 56;

impl<P: Platform> Kernel<P> {
    /// With one domain these calls check their arguments and change nothing.
    pub(crate) fn invoke_domain(&self, invocation: &Invocation<'_>) -> Outcome {
        match invocation.label {
            label::DOMAIN_SET_SET => {
                invocation.require(1, 0)?;
                if invocation.word(0) >= DOMAINS {
                    return Err(Error::InvalidArgument(0).into());
                }
                match self.cap(invocation.cap_slot(1)?) {
                    Cap::Tcb { .. } => Ok(Answer::Empty),
                    _ => Err(Error::InvalidArgument(1).into()),
                }
            }
            label::DOMAIN_SCHEDULE_CONFIGURE => {
                invocation.require(3, 0)?;
                let (index, domain, duration) = (invocation.word(0), invocation.word(1), invocation.word(2));
                if index >= DOMAIN_SCHEDULES.wrapping_sub(1) {
                    return Err(Error::Range { min: 0, max: DOMAIN_SCHEDULES.wrapping_sub(2) }.into());
                }
                if domain >= DOMAINS {
                    return Err(Error::Range { min: 0, max: DOMAINS.wrapping_sub(1) }.into());
                }
                // The only entry that can be written is the one the schedule starts with: it cannot become an end mark.
                if duration >= DURATION_END || duration == 0 {
                    return Err(Error::InvalidArgument(2).into());
                }
                Ok(Answer::Empty)
            }
            label::DOMAIN_SCHEDULE_SET_START => {
                invocation.require(1, 0)?;
                match invocation.word(0) {
                    0 => Ok(Answer::Empty),
                    index if index >= DOMAIN_SCHEDULES => {
                        Err(Error::Range { min: 0, max: DOMAIN_SCHEDULES.wrapping_sub(1) }.into())
                    }
                    _ => Err(Error::InvalidArgument(0).into()),
                }
            }
            _ => Err(Error::IllegalOperation.into()),
        }
    }

    pub(crate) fn invoke_platform(&self, invocation: &Invocation<'_>) -> Outcome {
        match invocation.label {
            extension::PLATFORM_SYSTEM_OFF => self.platform.power_off(),
            extension::PLATFORM_SYSTEM_RESET => self.platform.reset(),
            extension::PLATFORM_TIMER_ACCESS => {
                invocation.require(1, 1)?;
                if invocation.word(0) > 1 {
                    return Err(Error::Range { min: 0, max: 1 }.into());
                }
                let Cap::Tcb { at } = self.cap(invocation.cap_slot(1)?) else {
                    return Err(Error::InvalidCapability(1).into());
                };
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
