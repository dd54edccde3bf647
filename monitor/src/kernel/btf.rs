//! Offsets of fields and names of enumerators, from the kernel's own description of its types (BTF).

use std::collections::BTreeMap;

/// Where the running kernel describes its types.
pub const PATH: &str = "/sys/kernel/btf/vmlinux";

/// Why a description cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// It ends early, or is not BTF.
    #[error("the kernel's description of its types is damaged")]
    Damaged,
    /// It does not have a field.
    #[error("this kernel has no {0}")]
    NoField(String),
}

/// The types of a kernel, as far as they are asked for here.
#[derive(Debug)]
pub struct Btf<'b> {
    types: Vec<Type<'b>>,
    by_name: BTreeMap<&'b str, usize>,
}

#[derive(Debug)]
enum Type<'b> {
    /// Struct or union.
    Composite(Vec<Member<'b>>),
    Enum(Vec<(&'b str, u32)>),
    /// Typedef, const, volatile or a tag: stands for another.
    Alias(u32),
    Pointer(u32),
    /// Of a function: how many parameters it has.
    Prototype(u32),
    Function(&'b str),
    Other,
}

#[derive(Debug)]
struct Member<'b> {
    name: &'b str,
    kind: u32,
    /// Offset in bits.
    offset: u32,
}

const MAGIC: u16 = 0xeb9f;

impl<'b> Btf<'b> {
    /// Reads a description, whose names it borrows.
    pub fn parse(bytes: &'b [u8]) -> Result<Self, BtfError> {
        let header = Reader { bytes, at: 0 };
        if header.u16(0)? != MAGIC {
            return Err(BtfError::Damaged);
        }
        let length = header.u32(4)?;
        let section = |offset, length| slice(bytes, length_of(offset)?, length_of(length)?);
        let types = section(length + header.u32(8)?, header.u32(12)?)?;
        let strings = section(length + header.u32(16)?, header.u32(20)?)?;
        let mut reader = Reader { bytes: types, at: 0 };
        // Type 0 is void.
        let mut all = vec![Type::Other];
        let mut by_name = BTreeMap::new();
        while reader.at < types.len() {
            let name = text(strings, reader.next()?)?;
            let info = reader.next()?;
            let size_or_type = reader.next()?;
            let read = reader.body(name, info, size_or_type, strings)?;
            // A forward declaration has the name too, and no members.
            let is_kept = matches!(read, Type::Composite(_) | Type::Enum(_) | Type::Alias(_));
            if !name.is_empty() && is_kept {
                by_name.entry(name).or_insert(all.len());
            }
            all.push(read);
        }
        Ok(Self { types: all, by_name })
    }

    /// Offset in bytes of a field of a struct; the field can be inside of structs without a name, and
    /// a path of fields is written with dots.
    pub fn offset(&self, name: &str, path: &str) -> Result<u32, BtfError> {
        let missing = || BtfError::NoField(format!("{name}.{path}"));
        let mut current = *self.by_name.get(name).ok_or_else(missing)?;
        let mut bits = 0;
        for field in path.split('.') {
            let (offset, kind) = self.member(current, field).ok_or_else(missing)?;
            bits += offset;
            current = self.resolve(kind);
        }
        Ok(bits / 8)
    }

    /// The names of an enum's values; empty where the kernel has no such enum.
    pub fn enumerators(&self, name: &str) -> BTreeMap<u32, &str> {
        let found = self.by_name.get(name).and_then(|index| self.types.get(*index));
        match found {
            Some(Type::Enum(values)) => {
                values.iter().map(|(name, value)| (*value, *name)).collect()
            }
            _ => BTreeMap::new(),
        }
    }

    /// How many arguments a tracepoint has; `None` where the kernel has no such tracepoint.
    pub fn arguments(&self, tracepoint: &str) -> Option<u32> {
        let handler = *self.by_name.get(format!("btf_trace_{tracepoint}").as_str())?;
        let Type::Pointer(kind) = self.types.get(self.resolve(u32::try_from(handler).ok()?))?
        else {
            return None;
        };
        let Type::Prototype(parameters) = self.types.get(self.resolve(*kind))? else {
            return None;
        };
        // The first is the handler's own.
        parameters.checked_sub(1)
    }

    /// The number of a function, by which programs call it; `None` where the kernel has no such function.
    pub fn function(&self, name: &str) -> Option<u32> {
        let is_it = |kind: &Type<'_>| matches!(kind, Type::Function(other) if *other == name);
        u32::try_from(self.types.iter().position(is_it)?).ok()
    }

    fn member(&self, composite: usize, field: &str) -> Option<(u32, u32)> {
        let Type::Composite(members) = self.types.get(composite)? else {
            return None;
        };
        members.iter().find_map(|member| {
            if member.name == field {
                return Some((member.offset, member.kind));
            }
            let (offset, kind) = if member.name.is_empty() {
                self.member(self.resolve(member.kind), field)?
            } else {
                return None;
            };
            Some((member.offset + offset, kind))
        })
    }

    /// The type that a chain of aliases stands for.
    fn resolve(&self, kind: u32) -> usize {
        let mut index = kind as usize;
        while let Some(Type::Alias(other)) = self.types.get(index) {
            index = *other as usize;
        }
        index
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

#[expect(clippy::host_endian_bytes, reason = "the kernel writes in its own byte order")]
impl Reader<'_> {
    fn u16(&self, at: usize) -> Result<u16, BtfError> {
        let bytes = self.bytes.get(at..at + 2).ok_or(BtfError::Damaged)?;
        Ok(u16::from_ne_bytes(bytes.try_into().map_err(|_error| BtfError::Damaged)?))
    }

    fn u32(&self, at: usize) -> Result<u32, BtfError> {
        let bytes = self.bytes.get(at..at + 4).ok_or(BtfError::Damaged)?;
        Ok(u32::from_ne_bytes(bytes.try_into().map_err(|_error| BtfError::Damaged)?))
    }

    fn next(&mut self) -> Result<u32, BtfError> {
        let value = self.u32(self.at)?;
        self.at += 4;
        Ok(value)
    }

    /// What follows the head of a type.
    fn body<'b>(
        &mut self,
        name: &'b str,
        info: u32,
        size_or_type: u32,
        strings: &'b [u8],
    ) -> Result<Type<'b>, BtfError> {
        let count = info & 0xffff;
        let has_bit_fields = info >> 31 == 1;
        Ok(match (info >> 24) & 0x1f {
            // Struct, union.
            4 | 5 => {
                let mut members = Vec::new();
                for _ in 0..count {
                    let name = text(strings, self.next()?)?;
                    let kind = self.next()?;
                    let offset = self.next()?;
                    let offset = if has_bit_fields { offset & 0x00ff_ffff } else { offset };
                    members.push(Member { name, kind, offset });
                }
                Type::Composite(members)
            }
            6 => {
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push((text(strings, self.next()?)?, self.next()?));
                }
                Type::Enum(values)
            }
            2 => Type::Pointer(size_or_type),
            13 => {
                self.at += 8 * count as usize;
                Type::Prototype(count)
            }
            12 => Type::Function(name),
            // Typedef, volatile, const, restrict, type tag.
            8..=11 | 18 => Type::Alias(size_or_type),
            kind => {
                let words = match kind {
                    // Int, variable, declaration tag.
                    1 | 14 | 17 => 1,
                    // Array.
                    3 => 3,
                    // Data section, 64-bit enum.
                    15 | 19 => 3 * count,
                    // Forward declaration, float.
                    7 | 16 => 0,
                    _ => return Err(BtfError::Damaged),
                };
                self.at += 4 * words as usize;
                Type::Other
            }
        })
    }
}

fn length_of(length: u32) -> Result<usize, BtfError> {
    usize::try_from(length).map_err(|_error| BtfError::Damaged)
}

fn slice(bytes: &[u8], from: usize, length: usize) -> Result<&[u8], BtfError> {
    let to = from.checked_add(length).ok_or(BtfError::Damaged)?;
    bytes.get(from..to).ok_or(BtfError::Damaged)
}

fn text(strings: &[u8], at: u32) -> Result<&str, BtfError> {
    let rest = strings.get(at as usize..).ok_or(BtfError::Damaged)?;
    let end = rest.iter().position(|byte| *byte == 0).ok_or(BtfError::Damaged)?;
    str::from_utf8(&rest[..end]).map_err(|_error| BtfError::Damaged)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn running() -> Btf<'static> {
        Btf::parse(fs::read(PATH).unwrap().leak()).unwrap()
    }

    #[test]
    fn fields_of_the_running_kernel_are_found() {
        let btf = running();
        // `len` and `data_len` stand beside each other in every kernel, `mac_len` after them.
        let length = btf.offset("sk_buff", "len").unwrap();
        assert_eq!(btf.offset("sk_buff", "data_len").unwrap(), length + 4);
        assert_eq!(btf.offset("sk_buff", "mac_len").unwrap(), length + 8);
        // Inside of a union in a struct without a name.
        assert_eq!(btf.offset("sock", "__sk_common.skc_daddr").unwrap(), 0);
        assert_eq!(btf.offset("sock", "__sk_common.skc_rcv_saddr").unwrap(), 4);
        assert_eq!(btf.offset("sock", "__sk_common.skc_family").unwrap(), 16);
        assert!(btf.offset("net", "ns.inum").unwrap() > 0);
        assert_eq!(btf.arguments("inet_sock_set_state"), Some(3));
        assert_eq!(btf.arguments("no_such_tracepoint"), None);
        assert!(btf.function("bpf_cast_to_kern_ctx") > Some(0));
        // A struct is not one.
        assert_eq!(btf.function("sk_buff"), None);
        let missing = btf.offset("sk_buff", "colour").unwrap_err();
        assert_eq!(missing.to_string(), "this kernel has no sk_buff.colour");
    }

    #[test]
    fn reasons_of_the_running_kernel_are_found() {
        let btf = running();
        let reasons = btf.enumerators("skb_drop_reason");
        let named = |name: &str| reasons.values().filter(|reason| **reason == name).count();
        assert_eq!(named("SKB_DROP_REASON_NETFILTER_DROP"), 1);
        assert_eq!(named("SKB_DROP_REASON_NO_SOCKET"), 1);
        assert!(btf.enumerators("no_such_enum").is_empty());
    }

    #[test]
    fn damaged_description_is_refused_wherever_it_ends() {
        let bytes = fs::read(PATH).unwrap();
        for end in [0, 1, 2, 23, 24, 100, bytes.len() / 2, bytes.len() - 1] {
            assert_eq!(Btf::parse(&bytes[..end]).unwrap_err(), BtfError::Damaged, "{end}");
        }
        let mut other = bytes;
        other[0] = 0;
        assert_eq!(Btf::parse(&other).unwrap_err(), BtfError::Damaged);
    }
}
