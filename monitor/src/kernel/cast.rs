//! Lets the programs call `bpf_cast_to_kern_ctx`, which has another number in each kernel.
//!
//! Rust's compiler cannot say such a call, and aya does not link it: the programs have a marker in its place.

use std::borrow::Cow;

use monitor_common::CAST_MARKER;

/// An instruction of BPF.
type Instruction = [u8; 8];

/// `r0 = number`.
const LOAD: u8 = 0xb7;
/// `call number`, of a function of the kernel's.
const CALL: u8 = 0x85;
const OF_KERNEL: u8 = 2 << 4;

/// The object with calls of the kernel's function in place of the markers; as it is for function 0.
pub(super) fn with_calls(object: &[u8], function: u32) -> Cow<'_, [u8]> {
    if function == 0 {
        return Cow::Borrowed(object);
    }
    let marker = instruction(LOAD, 0, CAST_MARKER);
    let call = instruction(CALL, OF_KERNEL, function);
    let mut object = object.to_vec();
    for instruction in object.as_chunks_mut().0 {
        if *instruction == marker {
            *instruction = call;
        }
    }
    Cow::Owned(object)
}

fn instruction(code: u8, registers: u8, number: u32) -> Instruction {
    let [a, b, c, d] = number.to_le_bytes();
    [code, registers, 0, 0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_become_calls() {
        let marker = [0xb7, 0, 0, 0, 0x10, 0x0f, 0xac, 0x0b];
        let other = [0xb7, 1, 0, 0, 0x10, 0x0f, 0xac, 0x0b];
        let object = [marker, other, marker].concat();
        let call = [0x85, 0x20, 0, 0, 0x3c, 0xf8, 0, 0];
        assert_eq!(*with_calls(&object, 63_548), [call, other, call].concat());
        assert_eq!(*with_calls(&object, 0), object);
    }
}
