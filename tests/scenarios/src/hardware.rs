//! The QEMU command line of one virtual board; starts nothing.
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The program that emulates the board.
pub const QEMU: &str = "qemu-system-aarch64";
/// QEMU's own limit for the `virt` machine.
pub const SMP_MAX: u8 = 8;

/// What the machine is made of; the values are those of `cargo xtask run`.
#[derive(Clone, Debug)]
pub struct Hardware {
    /// Version of the interrupt controller: 2 or 3.
    pub gic: u8,
    /// Enter the kernel at EL2 instead of EL1.
    pub starts_at_el2: bool,
    /// QEMU's name of the processor, for instance `cortex-a53`.
    pub cpu: String,
    /// RAM in MiB.
    pub memory_mib: u32,
    /// Number of cores.
    pub smp: u8,
    /// The cores take turns on one thread of the host. A core that waits for another's lock gives its turn away, where it would
    /// otherwise burn the host's time that the other one needs: on a host with fewer cores that is faster by far.
    pub take_turns: bool,
    /// Each core has a thread of the host, so that they really run at the same time: for a host with as many processors.
    pub has_parallel_cores: bool,
    /// The other cores wait in a spin table: see `spin_table`.
    pub has_spin_table: bool,
    /// The device tree in place of QEMU's own.
    pub device_tree: Option<PathBuf>,
    /// Count instructions instead of time (`-icount shift=0,sleep=off`).
    pub counts_instructions: bool,
    /// Count instructions as time, each as two to this power nanoseconds, while there is work, and the host's time while there is none
    /// (`-icount shift=N`): the network goes on, and what the device does takes the same time on every host.
    pub instruction_shift: Option<u8>,
    /// Host port, on 127.0.0.1 only, that leads to the guest's port 80; none: no network card.
    pub http_port: Option<u16>,
    /// Further ports of the host, on 127.0.0.1 only, each with the port of the guest that it leads to.
    pub further_ports: Vec<(u16, u16)>,
    /// The same of ports of UDP.
    pub datagram_ports: Vec<(u16, u16)>,
    /// The network card's cable ends at that port: whoever connects to it sends and receives raw frames, and there is no other network.
    pub has_open_cable: bool,
    /// The virtual disk; none: no block device. Whatever ends QEMU, what it said was written is in the file.
    pub disk: Option<PathBuf>,
    /// A file into which QEMU logs every write and flush of the disk, in their order and in the format of Linux' dm-log-writes.
    pub disk_log: Option<PathBuf>,
    /// Beside a network card there is a device of entropy.
    pub has_entropy: bool,
    /// Further devices, as QEMU's `-device` takes them.
    pub devices: Vec<String>,
    /// The kernel's command line; user space finds it in the device tree.
    pub command_line: String,
    /// Wait for a debugger on this port of 127.0.0.1.
    pub gdb_port: Option<u16>,
}

impl Default for Hardware {
    fn default() -> Self {
        Self {
            gic: 2,
            starts_at_el2: false,
            cpu: "cortex-a53".into(),
            memory_mib: 512,
            smp: 1,
            take_turns: false,
            has_parallel_cores: false,
            has_spin_table: false,
            device_tree: None,
            counts_instructions: false,
            instruction_shift: None,
            http_port: None,
            further_ports: Vec::new(),
            datagram_ports: Vec::new(),
            has_open_cable: false,
            disk: None,
            disk_log: None,
            has_entropy: true,
            devices: Vec::new(),
            command_line: String::new(),
            gdb_port: None,
        }
    }
}

/// The two files that make a bootable image.
#[derive(Clone, Debug)]
pub struct ImageFiles {
    /// The kernel in the arm64 `Image` format.
    pub kernel: PathBuf,
    /// The ELF file of the root task, handed over as the initial RAM disk.
    pub root: PathBuf,
}

impl ImageFiles {
    /// The files of the image that was built into `folder`.
    pub fn in_folder(folder: &Path) -> Self {
        Self { kernel: folder.join("Image"), root: folder.join("root.elf") }
    }
}

impl Hardware {
    /// QEMU's arguments. `signals`: whether Ctrl-C on the console ends QEMU rather than going to the guest.
    pub fn arguments(&self, image: &ImageFiles, signals: bool) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        let mut add = |words: &[&str]| arguments.extend(words.iter().map(OsString::from));
        let virtualization = if self.starts_at_el2 { ",virtualization=on" } else { "" };
        add(&["-M", &format!("virt,gic-version={}{virtualization}", self.gic)]);
        add(&["-cpu", &self.cpu, "-smp", &self.smp.to_string(), "-m", &format!("{}M", self.memory_mib)]);
        if self.take_turns {
            add(&["-accel", "tcg,thread=single"]);
        }
        // -no-reboot: a reset of the guest ends QEMU, so that no machine resets for ever.
        add(&["-nodefaults", "-no-reboot", "-display", "none", "-monitor", "none"]);
        let signal = if signals { "on" } else { "off" };
        add(&["-chardev", &format!("stdio,id=console,signal={signal}"), "-serial", "chardev:console"]);
        if self.counts_instructions {
            add(&["-icount", "shift=0,sleep=off"]);
        } else if let Some(shift) = self.instruction_shift {
            add(&["-icount", &format!("shift={shift},sleep=on")]);
        } else if self.smp > 1 && !signals && !self.has_parallel_cores {
            // A core that waits for the kernel lock keeps a whole processor of the host busy; where there are too few of those,
            // cores that take turns are hundreds of times faster.
            add(&["-accel", "tcg,thread=single"]);
        }
        if let Some(port) = self.gdb_port {
            add(&["-gdb", &format!("tcp:127.0.0.1:{port}"), "-S"]);
        }
        if let Some(port) = self.http_port {
            // Bus 0 lies alone on its page: eight virtio-mmio slots share one, and a page has one holder.
            add(&["-global", "virtio-mmio.force-legacy=false"]);
            let network = if self.has_open_cable {
                format!("socket,id=net0,listen=127.0.0.1:{port}")
            } else {
                let streams = self.further_ports.iter().map(|ports| ("tcp", ports));
                let further = streams.chain(self.datagram_ports.iter().map(|ports| ("udp", ports)));
                let further = further.map(|(kind, (ours, its))| format!(",hostfwd={kind}:127.0.0.1:{ours}-:{its}"));
                format!("user,id=net0,hostfwd=tcp:127.0.0.1:{port}-:80{}", further.collect::<String>())
            };
            add(&["-netdev", &network]);
            add(&["-device", "virtio-net-device,bus=virtio-mmio-bus.0,netdev=net0"]);
            if self.has_entropy {
                // The first of the next page. Its noise is the host's.
                add(&["-device", "virtio-rng-device,bus=virtio-mmio-bus.8"]);
            }
        }
        for device in &self.devices {
            add(&["-device", device]);
        }
        if let Some(disk) = &self.disk {
            // A comma in a value is written twice.
            let disk = disk.to_string_lossy().replace(',', ",,");
            match &self.disk_log {
                None => {
                    let drive = format!("if=none,id=disk0,format=raw,discard=unmap,file={disk}");
                    arguments.extend(["-drive".into(), drive.into()]);
                }
                Some(log) => {
                    let log = log.to_string_lossy().replace(',', ",,");
                    let node = format!(
                        "driver=blklogwrites,node-name=disk0,log-super-update-interval=1,discard=unmap,\
                         file.driver=raw,file.discard=unmap,file.file.driver=file,file.file.filename={disk},\
                         file.file.discard=unmap,\
                         log.driver=file,log.filename={log}"
                    );
                    arguments.extend(["-blockdev".into(), node.into()]);
                }
            }
            // The first of the third page.
            arguments.extend(["-device".into(), "virtio-blk-device,bus=virtio-mmio-bus.16,drive=disk0".into()]);
        }
        if !self.command_line.is_empty() {
            arguments.extend(["-append".into(), self.command_line.clone().into()]);
        }
        if let Some(tree) = &self.device_tree {
            arguments.extend(["-dtb".into(), tree.clone().into()]);
        }
        arguments.extend(["-kernel".into(), image.kernel.clone().into()]);
        arguments.extend(["-initrd".into(), image.root.clone().into()]);
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::{Hardware, ImageFiles};
    use std::path::Path;

    fn line(hardware: &Hardware) -> String {
        let image = ImageFiles::in_folder(Path::new("x"));
        hardware.arguments(&image, false).iter().map(|word| word.to_string_lossy() + " ").collect()
    }

    #[test]
    fn arguments_without_port_have_no_network_card() {
        assert!(!line(&Hardware::default()).contains("virtio-net"));
    }

    #[test]
    fn arguments_with_port_forward_it_on_the_loopback_address_only() {
        let text = line(&Hardware { http_port: Some(8080), ..Hardware::default() });
        assert!(text.contains("hostfwd=tcp:127.0.0.1:8080-:80"), "{text}");
        assert!(text.contains("bus=virtio-mmio-bus.0"), "{text}");
        let ports = (vec![(1, 9)], vec![(2, 9)]);
        let further = Hardware { further_ports: ports.0, datagram_ports: ports.1, ..Hardware::default() };
        let text = line(&Hardware { http_port: Some(8080), ..further });
        assert!(text.contains(",hostfwd=tcp:127.0.0.1:1-:9,hostfwd=udp:127.0.0.1:2-:9"), "{text}");
    }

    #[test]
    fn arguments_with_open_cable_have_no_other_network() {
        let text = line(&Hardware { http_port: Some(8080), has_open_cable: true, ..Hardware::default() });
        assert!(text.contains("socket,id=net0,listen=127.0.0.1:8080") && !text.contains("hostfwd"), "{text}");
    }

    #[test]
    fn arguments_with_a_log_filter_the_disks_requests_into_it() {
        let disk = Hardware { disk: Some("a,b.img".into()), ..Hardware::default() };
        let text = line(&disk);
        assert!(text.contains("discard=unmap,file=a,,b.img") && !text.contains("blklogwrites"), "{text}");
        let text = line(&Hardware { disk_log: Some("a,b.writes".into()), ..disk });
        assert!(text.contains("driver=blklogwrites,node-name=disk0") && text.contains("drive=disk0"), "{text}");
        assert!(text.contains("file.file.filename=a,,b.img") && text.contains("log.filename=a,,b.writes"), "{text}");
    }

    #[test]
    fn arguments_at_el2_switch_virtualization_on() {
        let text = line(&Hardware { starts_at_el2: true, gic: 3, ..Hardware::default() });
        assert!(text.contains("virt,gic-version=3,virtualization=on"), "{text}");
    }
}
