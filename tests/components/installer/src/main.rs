//! Installs a guest over and over, with mistakes first, and tells what securityd says of each.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use hybrid_capgraph::{Manifest, RoutedDevice, RoutedUse};
use libhybrid::interfaces::security::{InstallClient, InstallError, Outcome, PIECE_MAX};
use libhybrid::ipc::CallError;
use libhybrid::{EndpointCaller, Env, log};

libhybrid::component!(run);

const CYCLES: u32 = 100;
const PLACE: &str = "guest";

struct Installer {
    client: InstallClient<EndpointCaller>,
    program: Vec<u8>,
}

fn run(env: Env) -> ! {
    let life = env.start().generation;
    let mut installer = Installer { client: InstallClient::new(env.client("install")), program: Vec::new() };
    let done = if life % 2 == 1 { installer.work() } else { installer.leave() };
    match done {
        Ok(text) => log::info!("life {life}: {text}"),
        Err(text) => log::error!("life {life} WENT WRONG: {text}"),
    }
    loop {
        let _bits = env.wait();
    }
}

impl Installer {
    fn leave(&mut self) -> Result<String, String> {
        self.client.uninstall(PLACE).map_err(|error| format!("uninstalling: {error}"))?;
        Ok("the place is empty".into())
    }

    fn work(&mut self) -> Result<String, String> {
        self.fetch()?;
        self.refusals()?;
        for cycle in 0..CYCLES {
            self.install(&manifest(&format!("guest {cycle}"))).map_err(|text| format!("cycle {cycle}: {text}"))?;
            let again = self.client.begin(PLACE, 1, 1);
            if !matches!(again, Err(CallError::Domain(InstallError::Occupied))) {
                return Err(format!("the place is taken, but beginning gives {again:?}"));
            }
            self.leave()?;
        }
        self.install(&manifest("hello from a guest"))?;
        Ok(format!("{CYCLES} guests came and went, and one stays"))
    }

    /// The program that the image ships: in pieces, as it would come from elsewhere.
    fn fetch(&mut self) -> Result<(), String> {
        loop {
            let offset = u32::try_from(self.program.len()).unwrap_or(u32::MAX);
            let piece = self.client.shipped(PLACE, offset).map_err(|error| format!("fetching: {error}"))?;
            self.program.extend_from_slice(&piece.data);
            if piece.data.is_empty() {
                return if self.program.len() == piece.bytes as usize { Ok(()) } else { Err("it is cut off".into()) };
            }
        }
    }

    /// Each with one mistake, and what must be said of it.
    fn refusals(&mut self) -> Result<(), String> {
        let mut device = manifest("a driver");
        device.devices.push(RoutedDevice {
            name: "nic".into(),
            compatible: "virtio,mmio".into(),
            reason: "read everybody's memory".into(),
            device: "virtio-net0".into(),
            registers: true,
            interrupt: true,
        });
        self.refused(&device.encode().unwrap_or_default(), None, Outcome::Refused, "CAP-R016")?;
        let large = Manifest { heap: 32 << 20, ..manifest("a large one") };
        self.refused(&large.encode().unwrap_or_default(), None, Outcome::Refused, "CAP-R055 beyond-place: a heap")?;
        let mut nosy = manifest("a nosy one");
        let reader = used("reader", "hybrid.log.Reader", "logd.reader");
        nosy.uses.push(reader);
        self.refused(&nosy.encode().unwrap_or_default(), None, Outcome::Refused, "CAP-R028 guarded")?;
        self.refused(&[0xff; 40], None, Outcome::BadManifest, "cannot be read")?;
        let right = manifest("a right one").encode().unwrap_or_default();
        self.refused(&right, Some(vec![0x7f; 5000]), Outcome::BadProgram, "no ELF64 executable")?;
        let cut = self.program.get(..self.program.len() / 2).unwrap_or_default().to_vec();
        self.refused(&right, Some(cut), Outcome::BadProgram, "outside of the file")?;
        let too_large = self.client.begin(PLACE, 100, 1 << 20);
        if !matches!(too_large, Err(CallError::Domain(InstallError::TooLarge))) {
            return Err(format!("beginning with 1 MiB gives {too_large:?}"));
        }
        let foreign = self.client.begin("httpd", 100, 100);
        if !matches!(foreign, Err(CallError::Domain(InstallError::NoPlace))) {
            return Err(format!("beginning to replace httpd gives {foreign:?}"));
        }
        Ok(())
    }

    fn refused(
        &mut self,
        manifest: &[u8],
        program: Option<Vec<u8>>,
        outcome: Outcome,
        told: &str,
    ) -> Result<(), String> {
        let program = program.unwrap_or_else(|| self.program.clone());
        let (found, finding) = self.commit(manifest, &program)?;
        if found == outcome && finding.contains(told) {
            log::info!("refused as it must be: {finding}");
            return Ok(());
        }
        Err(format!("not {outcome:?} with {told}, but {found:?}: {finding}"))
    }

    fn install(&mut self, manifest: &Manifest) -> Result<(), String> {
        let (program, bytes) = (core::mem::take(&mut self.program), manifest.encode().unwrap_or_default());
        let result = self.commit(&bytes, &program);
        self.program = program;
        match result? {
            (Outcome::Runs, _) => Ok(()),
            (outcome, finding) => Err(format!("{outcome:?}: {finding}")),
        }
    }

    fn commit(&mut self, manifest: &[u8], program: &[u8]) -> Result<(Outcome, String), String> {
        let because = |error| format!("sending: {error}");
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.client.begin(PLACE, size(manifest), size(program)).map_err(because)?;
        for piece in manifest.chunks(PIECE_MAX).chain(program.chunks(PIECE_MAX)) {
            self.client.send(piece).map_err(because)?;
        }
        let answer = self.client.commit().map_err(because)?;
        Ok((answer.outcome, answer.finding.into_owned()))
    }
}

fn used(name: &str, interface: &str, route: &str) -> RoutedUse {
    let reason = "be a guest".into();
    RoutedUse { name: name.into(), interface: interface.into(), reason, route: route.into(), is_on_demand: false }
}

/// What the place has, for a guest with this greeting.
fn manifest(greeting: &str) -> Manifest {
    Manifest {
        id: 0,
        name: PLACE.into(),
        component: "tests/components/guest".into(),
        class: "app".into(),
        stack: 64 << 10,
        heap: 256 << 10,
        budget_us: 5_000,
        period_us: 10_000,
        uses: vec![
            used("log", "hybrid.log.Sink", "logd.sink"),
            used("provider", "hybrid.provider.Host", "httpd.providers"),
        ],
        provides: Vec::new(),
        devices: Vec::new(),
        dma: Vec::new(),
        parameters: vec![("greeting".into(), greeting.into())],
    }
}
