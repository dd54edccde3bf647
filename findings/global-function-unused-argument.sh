#!/usr/bin/env bash
# LLVM leaves out what a global BPF function does not read, and then Linux refuses the program.
#
# Linux verifies a global function by itself, with unknown numbers as arguments, and each call only for having one in
# every register that the function's type names. LLVM's dead argument elimination knows that the function does not
# read an argument, and its callers no longer set it, although the function is exported and its type in BTF still names
# it. The same source is taken as soon as the function reads the argument.
#
# Seen with clang 14.0.6 (Debian 12), iproute2 6.1.0 with libbpf 1.1.2, Linux 6.18. Met first with Rust and bpf-linker.
# Output seen: "R1 is not a scalar" and "Caller passes invalid args into func#1 ('choose')".
# Needs root, Debian 12's mirror and BTF; makes one network namespace, and removes it.
set -euo pipefail

folder=$(mktemp -d)
namespace=bpf-finding-$$
trap 'ip netns del "$namespace" 2> /dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
chmod 755 .
apt-get download --quiet=2 clang-14=1:14.0.6-12 libclang-cpp14=1:14.0.6-12 libllvm14=1:14.0.6-12 \
    libclang-common-14-dev=1:14.0.6-12 iproute2=6.1.0-3 > /dev/null
for package in *.deb; do dpkg-deb --extract "$package" unpacked; done
export LD_LIBRARY_PATH=$folder/unpacked/usr/lib/x86_64-linux-gnu:$folder/unpacked/usr/lib/llvm-14/lib
clang=$folder/unpacked/usr/lib/llvm-14/bin/clang
tc=$folder/unpacked/sbin/tc

source_with() {
    cat << END
struct __sk_buff { unsigned int len; };

__attribute__((noinline)) unsigned long choose(unsigned long first, unsigned long second)
{
	volatile unsigned long copy = $1;

	return copy + 1;
}

__attribute__((section("classifier"), used)) int program(struct __sk_buff *packet)
{
	unsigned long length = packet->len;

	return choose(length, length) ? -1 : 0;
}

char licence[] __attribute__((section("license"), used)) = "GPL";
END
}

load() {
    source_with "$1" > program.c
    "$clang" -O2 -g -target bpf -c program.c -o program.o
    ip netns exec "$namespace" env LD_LIBRARY_PATH="$LD_LIBRARY_PATH" \
        "$tc" filter add dev lo ingress bpf direct-action object-file program.o section classifier 2>&1
}

"$clang" --version | head -n 1
uname --kernel-release
ip netns add "$namespace"
ip netns exec "$namespace" "$tc" qdisc add dev lo clsact

echo "== both arguments are read"
load "first + second" || { echo "CHANGED: it is refused"; exit 1; }
echo taken
echo "== the first one is not read"
if output=$(load second); then
    echo "CHANGED: it is taken"
    exit 1
fi
grep --extended-regexp "not a scalar|invalid args" <<< "$output" || {
    echo "CHANGED: it is refused for another reason:"
    echo "$output"
    exit 1
}
