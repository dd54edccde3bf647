//! Programs of somebody else at a device.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsRawFd as _, OwnedFd},
    path::{Path, PathBuf},
};

use crate::{Namespace, sys};

const MAP_CREATE: i32 = 0;
const MAP_LOOKUP: i32 = 1;
const PROG_LOAD: i32 = 5;
const PROG_QUERY: i32 = 16;
const LINK_CREATE: i32 = 28;
const SCHED_CLS: u64 = 3;
pub(crate) const TCX_INGRESS: u64 = 46;
pub(crate) const TCX_EGRESS: u64 = 47;

/// The verdict that drops a packet.
const SHOT: u32 = 2;

/// A program in the kernel's list of programs (TCX) of a device, on the way in. It counts packets,
/// and passes them on or drops them. It goes with the value.
#[derive(Debug)]
pub struct ForeignProgram {
    map: OwnedFd,
    _link: OwnedFd,
}

impl ForeignProgram {
    /// Attaches one that passes packets on.
    pub fn attach(namespace: &Namespace, device: &str) -> Self {
        const UNSPEC: u32 = u32::MAX;
        Self::with_verdict(namespace, device, UNSPEC, 0)
    }

    /// Attaches one that drops every packet.
    pub fn dropping(namespace: &Namespace, device: &str) -> Self {
        Self::with_verdict(namespace, device, SHOT, 0)
    }

    /// The same before all others that are there.
    pub fn dropping_before(namespace: &Namespace, device: &str) -> Self {
        const BEFORE: u64 = 8;
        Self::with_verdict(namespace, device, SHOT, BEFORE)
    }

    fn with_verdict(namespace: &Namespace, device: &str, verdict: u32, flags: u64) -> Self {
        const ARRAY: u64 = 2;
        // One value of eight bytes: type and key size, value size and entries.
        let map = call(MAP_CREATE, &mut [pair(ARRAY, 4), pair(8, 1), 0]).unwrap();
        let map_fd = u64::try_from(map.as_raw_fd()).unwrap();
        let program: [u64; 6] = [
            // r1 = the address of the value, in two instructions
            0x2118 | map_fd << 32,
            0,
            // r2 = 1
            0x0000_0001_0000_02b7,
            // *r1 += r2, atomically
            0x0000_0000_0000_21db,
            // r0 = the verdict
            0x0000_0000_0000_00b7 | u64::from(verdict) << 32,
            // return
            0x0000_0000_0000_0095,
        ];
        let program = load(SCHED_CLS, &program, TCX_INGRESS);
        let index = namespace.index(device).into();
        let link = namespace.inside(|| link(&program, index, TCX_INGRESS, flags));
        Self { map, _link: link }
    }

    /// Packets that it has seen.
    pub fn packets(&self) -> u64 {
        let key = 0_u32;
        let mut value = 0_u64;
        let map = u64::try_from(self.map.as_raw_fd()).unwrap();
        let attributes = &mut [map, (&raw const key) as u64, (&raw mut value) as u64, 0];
        sys::bpf(MAP_LOOKUP, attributes).unwrap();
        value
    }
}

/// Programs that do nothing, at every hook that a packet passes: TC of a device and the root of cgroup v2,
/// both ways. They go with the value.
#[derive(Debug)]
pub struct EmptyPrograms(#[expect(dead_code, reason = "it is held")] [OwnedFd; 4]);

impl EmptyPrograms {
    /// Attaches them.
    pub fn attach(namespace: &Namespace, device: &str) -> Self {
        const CGROUP_SKB: u64 = 8;
        const CGROUP_INGRESS: u64 = 0;
        const CGROUP_EGRESS: u64 = 1;
        // r0 = the verdict that lets a packet pass; return.
        const PASS: [u64; 2] = [0x0000_0001_0000_00b7, 0x0000_0000_0000_0095];
        const UNSPEC: [u64; 2] = [0xffff_ffff_0000_00b7, 0x0000_0000_0000_0095];
        let root = cgroup_root();
        let root_fd = u64::try_from(root.as_raw_fd()).unwrap();
        let index = namespace.index(device).into();
        Self(namespace.inside(|| {
            [
                link(&load(SCHED_CLS, &UNSPEC, TCX_INGRESS), index, TCX_INGRESS, 0),
                link(&load(SCHED_CLS, &UNSPEC, TCX_EGRESS), index, TCX_EGRESS, 0),
                link(&load(CGROUP_SKB, &PASS, CGROUP_INGRESS), root_fd, CGROUP_INGRESS, 0),
                link(&load(CGROUP_SKB, &PASS, CGROUP_EGRESS), root_fd, CGROUP_EGRESS, 0),
            ]
        }))
    }
}

/// A program that drops every packet, or forbids every attempt. It goes with the value.
#[derive(Debug)]
pub struct Obstacle(#[expect(dead_code, reason = "it is held")] OwnedFd);

impl Obstacle {
    /// On the way out, behind all other programs of the device's list.
    pub fn at_egress(namespace: &Namespace, device: &str) -> Self {
        let program = load(SCHED_CLS, &returning(SHOT), TCX_EGRESS);
        let index = namespace.index(device).into();
        Self(namespace.inside(|| link(&program, index, TCX_EGRESS, 0)))
    }

    /// At XDP, where no driver has to know how.
    pub fn at_xdp(namespace: &Namespace, device: &str) -> Self {
        const DROP: u32 = 1;
        Self::with_xdp(namespace, device, DROP)
    }

    /// None: a program at XDP that lets every packet pass.
    pub fn none_at_xdp(namespace: &Namespace, device: &str) -> Self {
        const PASS: u32 = 2;
        Self::with_xdp(namespace, device, PASS)
    }

    fn with_xdp(namespace: &Namespace, device: &str, verdict: u32) -> Self {
        const XDP: u64 = 6;
        const ATTACH_XDP: u64 = 37;
        const GENERIC: u64 = 2;
        let program = load(XDP, &returning(verdict), ATTACH_XDP);
        let index = namespace.index(device).into();
        Self(namespace.inside(|| link(&program, index, ATTACH_XDP, GENERIC)))
    }

    /// Forbids to send packets, at a cgroup below the root.
    pub fn to_sending(cgroup: &Path) -> Self {
        const CGROUP_SKB: u64 = 8;
        const EGRESS: u64 = 1;
        Self::at_cgroup(cgroup, CGROUP_SKB, EGRESS)
    }

    /// Forbids to connect by IPv4, at a cgroup below the root.
    pub fn to_connecting(cgroup: &Path) -> Self {
        const CGROUP_SOCK_ADDR: u64 = 18;
        const CONNECT4: u64 = 10;
        Self::at_cgroup(cgroup, CGROUP_SOCK_ADDR, CONNECT4)
    }

    fn at_cgroup(cgroup: &Path, kind: u64, attach: u64) -> Self {
        let cgroup = File::open(cgroup).unwrap();
        let target = u64::try_from(cgroup.as_raw_fd()).unwrap();
        Self(link(&load(kind, &returning(0), attach), target, attach, 0))
    }
}

/// r0 = the verdict; return.
const fn returning(verdict: u32) -> [u64; 2] {
    [0x0000_0000_0000_00b7 | (verdict as u64) << 32, 0x0000_0000_0000_0095]
}

/// A cgroup of v2 below the root, without any process. It goes with the value.
#[derive(Debug)]
pub struct UnifiedCgroup(pub PathBuf);

impl UnifiedCgroup {
    /// One of this name.
    pub fn new(name: &str) -> Self {
        let path = cgroup_root_path().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for UnifiedCgroup {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).unwrap();
    }
}

/// The root of cgroup v2.
fn cgroup_root() -> File {
    File::open(cgroup_root_path()).unwrap()
}

fn cgroup_root_path() -> PathBuf {
    let unified = PathBuf::from("/sys/fs/cgroup/unified");
    if unified.exists() { unified } else { "/sys/fs/cgroup".into() }
}

/// Loads a program of one type, to be attached in one way.
fn load(kind: u64, instructions: &[u64], attach: u64) -> OwnedFd {
    let count = u64::try_from(instructions.len()).unwrap();
    let licence = c"GPL";
    let (instructions, licence) = (instructions.as_ptr() as u64, licence.as_ptr() as u64);
    let attributes =
        &mut [pair(kind, count), instructions, licence, 0, 0, 0, 0, 0, pair(0, attach)];
    call(PROG_LOAD, attributes).unwrap()
}

/// Attaches a program to a device or a cgroup.
fn link(program: &OwnedFd, target: u64, attach: u64, flags: u64) -> OwnedFd {
    let program = u64::try_from(program.as_raw_fd()).unwrap();
    call(LINK_CREATE, &mut [pair(program, target), pair(attach, flags), 0, 0, 0, 0]).unwrap()
}

/// How many programs are in the kernel's list (TCX) of a device: on the way in and on the way out.
pub fn tcx_programs(namespace: &Namespace, device: &str) -> (u64, u64) {
    let index = u64::from(namespace.index(device));
    let count = |direction| {
        let mut attributes = [pair(index, direction), 0, 0, 0, 0, 0, 0, 0];
        namespace.inside(|| sys::bpf(PROG_QUERY, &mut attributes)).unwrap();
        attributes[3] & 0xffff_ffff
    };
    (count(TCX_INGRESS), count(TCX_EGRESS))
}

/// Two fields of 32 bits beside each other.
pub(crate) const fn pair(first: u64, second: u64) -> u64 {
    if cfg!(target_endian = "little") { first | second << 32 } else { first << 32 | second }
}

/// A command that gives a descriptor.
pub(crate) fn call(command: i32, attributes: &mut [u64]) -> io::Result<OwnedFd> {
    sys::bpf(command, attributes).map(sys::own)
}
