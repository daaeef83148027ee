# shellcheck shell=dash
# What a test's script can call in the guest. Everything prints to the console; `section` puts markers around it.

# section NAME COMMAND...: runs a command, with its output between markers and its status in the closing one.
section() {
  section_name=$1
  shift
  printf '@@@ begin %s\n' "$section_name"
  "$@" 2>&1
  printf '\n@@@ end %s %d\n' "$section_name" $?
}

# finish reboot|poweroff: the console is drained first (stty waits for it), or its last lines would be lost.
finish() {
  printf '@@@ %s\n' "$1"
  stty -onlcr
  "$1" -f
}

# Pciutils' lspci, less one complaint in the midst of its output: it finds no index of kernel modules here.
lspci() {
  command lspci "$@" 2>/dev/null
}

# Every PCI function: its address, driver, config space (4096 bytes or what there is, in hex) and sysfs `resource` lines.
pci_functions() {
  for function in /sys/bus/pci/devices/*; do
    driver=$(readlink "$function/driver")
    printf 'function %s\ndriver %s\nconfig %s\n' "${function##*/}" "${driver##*/}" "$(hexdump -v -e '1/1 "%02x"' "$function/config")"
    while read -r line; do printf 'resource %s\n' "$line"; done <"$function/resource"
  done
}

# bar FUNCTION N: where resource N of a function starts, by sysfs.
bar() {
  bar_number=$2
  while read -r start _ && [ "$bar_number" -gt 0 ]; do bar_number=$((bar_number - 1)); done <"/sys/bus/pci/devices/$1/resource"
  printf '%s\n' "$start"
}

# disk_test DEVICE [MIB]: writes random data through the driver, forgets what is cached, reads it back and compares.
disk_test() {
  dd if=/dev/urandom of=/tmp/written bs=1M count="${2:-1}" 2>/dev/null &&
    dd if=/tmp/written of="$1" bs=64k seek=16 conv=fsync 2>/dev/null || return
  echo 3 >/proc/sys/vm/drop_caches
  dd if="$1" of=/tmp/read bs=64k skip=16 count=$((16 * ${2:-1})) 2>/dev/null || return
  cmp /tmp/written /tmp/read || return
  echo "$1: $(wc -c </tmp/read) bytes written, read and equal"
}

# net_test INTERFACE: asks the DHCP server that QEMU's user network has built in.
net_test() {
  ip link set "$1" up && udhcpc -i "$1" -f -n -q -t 10 -T 1 -s /lib/lease
}

# mmio_test ADDRESS: writes two patterns to a word of a BAR that keeps what is written (ivshmem), and reads them back.
mmio_test() {
  for pattern in 0x5A5AC3C3 0xA5A53C3C; do
    devmem "$1" 32 "$pattern" || return
    [ "$(devmem "$1" 32)" = "$pattern" ] || { echo "$1 does not keep $pattern: $(devmem "$1" 32)"; return 1; }
  done
  echo "$1 keeps what is written"
}

# count_boots DEVICE: adds one to the number in a disk's first sector, and prints it: 1 at the first boot of a blank disk.
count_boots() {
  boots=$(dd if="$1" bs=512 count=1 2>/dev/null | tr -cd '0-9')
  boots=$((${boots:-0} + 1))
  printf '%-512d' "$boots" | dd of="$1" bs=512 count=1 conv=fsync 2>/dev/null
  printf '%d\n' "$boots"
}
