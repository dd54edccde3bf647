//! What the kernel itself says of programs and maps, whoever loaded them.

use std::{
    ffi::CString,
    fs, io,
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use crate::{
    Namespace,
    bpf::{TCX_EGRESS, TCX_INGRESS, call, pair},
    sys,
};

const MAP_LOOKUP: i32 = 1;
const MAP_NEXT_KEY: i32 = 4;
const OPEN_PIN: i32 = 7;
const NEXT_PROGRAM: i32 = 11;
const PROGRAM_BY_ID: i32 = 13;
const INFO: i32 = 15;
const PROG_QUERY: i32 = 16;
const ENABLE_STATS: i32 = 32;

/// While the value is held, the kernel counts how often each program runs.
#[derive(Debug)]
pub struct RunCounts(#[expect(dead_code, reason = "it is held")] OwnedFd);

impl RunCounts {
    /// From now on.
    pub fn enable() -> Self {
        Self(call(ENABLE_STATS, &mut [0]).unwrap())
    }
}

/// A program of the kernel. It stays while the value does, also when it is attached nowhere.
#[derive(Debug)]
pub struct Program(OwnedFd);

impl Program {
    /// The first program in the kernel's list (TCX) of a device: on the way in, and on the way out.
    pub fn first(namespace: &Namespace, device: &str) -> (Option<Self>, Option<Self>) {
        let index = u64::from(namespace.index(device));
        let first = |direction| {
            let mut ids = [0_u32; 64];
            let room = u64::try_from(ids.len()).unwrap();
            let attributes =
                &mut [pair(index, direction), 0, ids.as_mut_ptr() as u64, room, 0, 0, 0, 0];
            namespace.inside(|| sys::bpf(PROG_QUERY, attributes)).unwrap();
            ids.first().filter(|id| **id > 0).and_then(|id| Self::of(*id))
        };
        (first(TCX_INGRESS), first(TCX_EGRESS))
    }

    /// By its number, `None` where it is gone.
    fn of(id: u32) -> Option<Self> {
        call(PROGRAM_BY_ID, &mut [id.into(), 0]).ok().map(Self)
    }

    /// Its number, which no other program gets.
    pub fn id(&self) -> u32 {
        u32::try_from(self.info(&mut [])[0] >> 32).unwrap()
    }

    /// How often it ran while [`RunCounts`] were enabled.
    pub fn runs(&self) -> u64 {
        const RUNS: usize = 25;
        self.info(&mut [])[RUNS]
    }

    fn name(&self) -> String {
        let letters: Vec<u8> =
            self.info(&mut [])[8..10].iter().flat_map(|w| w.to_ne_bytes()).collect();
        String::from_utf8_lossy(&letters).trim_end_matches('\0').to_owned()
    }

    fn maps(&self) -> Vec<u32> {
        let mut maps = [0_u32; 64];
        let used = self.info(&mut maps)[6] >> 32;
        maps.iter().copied().take(usize::try_from(used).unwrap()).collect()
    }

    /// `struct bpf_prog_info`, in words.
    fn info(&self, maps: &mut [u32]) -> [u64; 28] {
        let mut info = [0_u64; 28];
        info[6] = u64::try_from(maps.len()).unwrap() << 32;
        info[7] = if maps.is_empty() { 0 } else { maps.as_mut_ptr() as u64 };
        read_info(&self.0, &mut info);
        info
    }
}

/// The names of the programs that use one of these maps.
pub(crate) fn users_of(maps: &[u32]) -> Vec<String> {
    let mut users = Vec::new();
    let mut attributes = [0_u64; 2];
    while sys::bpf(NEXT_PROGRAM, &mut attributes).is_ok() {
        let id = attributes[0] >> 32;
        attributes = [id, 0];
        let program = Program::of(u32::try_from(id).unwrap());
        if let Some(program) = program.filter(|it| it.maps().iter().any(|map| maps.contains(map))) {
            users.push(program.name());
        }
    }
    users
}

/// A per-CPU map that is pinned.
#[derive(Debug)]
pub struct PinnedMap {
    fd: OwnedFd,
    id: u32,
    key: usize,
    value: usize,
}

impl PinnedMap {
    pub(crate) fn open(pin: &Path) -> Self {
        let path = CString::new(pin.as_os_str().as_bytes()).unwrap();
        let fd = call(OPEN_PIN, &mut [path.as_ptr() as u64, 0]).unwrap();
        let mut info = [0_u64; 12];
        read_info(&fd, &mut info);
        let (id, key, value) = (info[0] >> 32, info[1] & 0xffff_ffff, info[1] >> 32);
        Self {
            fd,
            id: u32::try_from(id).unwrap(),
            key: usize::try_from(key).unwrap(),
            value: usize::try_from(value).unwrap(),
        }
    }

    /// Its number, which no other map gets.
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// The sum of one field of 64 bits over all entries and CPUs.
    pub fn sum(&self, offset: usize) -> u64 {
        let words = self.value.div_ceil(8);
        let mut values = vec![0_u64; words * possible_cpus()];
        let (mut key, mut next) = (vec![0_u8; self.key], vec![0_u8; self.key]);
        let fd = u64::try_from(self.fd.as_raw_fd()).unwrap();
        let mut sum = 0;
        let mut from = 0;
        while sys::bpf(MAP_NEXT_KEY, &mut [fd, from, next.as_mut_ptr() as u64, 0]).is_ok() {
            key.clone_from(&next);
            from = key.as_ptr() as u64;
            sys::bpf(MAP_LOOKUP, &mut [fd, from, values.as_mut_ptr() as u64, 0]).unwrap();
            sum += values.chunks(words).map(|value| value[offset / 8]).sum::<u64>();
        }
        sum
    }
}

fn read_info(fd: &OwnedFd, info: &mut [u64]) {
    let fd = u64::try_from(fd.as_raw_fd()).unwrap();
    let length = u64::try_from(size_of_val(info)).unwrap();
    sys::bpf(INFO, &mut [pair(fd, length), info.as_mut_ptr() as u64]).unwrap();
}

/// As the kernel counts them: `0-3` are four.
fn possible_cpus() -> usize {
    let text: io::Result<String> = fs::read_to_string("/sys/devices/system/cpu/possible");
    let text = text.unwrap();
    let last = text.trim().rsplit(['-', ',']).next().unwrap();
    last.parse::<usize>().unwrap() + 1
}
