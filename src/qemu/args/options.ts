/**
 * Which of QEMU's options take an argument. Observed: each name was given to qemu-system-aarch64 7.2 and 10.0 as the last
 * word, and those that want an argument say so, also where another target is meant. Both versions agree on every name
 * that both have. `-opt` and `--opt` are the same option.
 */
const withArgument = new Set(
  [
    'D L M accel acpitable action add-fd append audio audiodev bios blockdev boot cdrom chardev chroot compat cpu d debugcon',
    'device dfilter display drive dtb dump-vmstate echr fda fdb fsdev fw_cfg g gdb global hda hdb hdc hdd icount incoming',
    'initrd iscsi k kernel loadvm m machine mem-path mon monitor msg mtdblock name net netdev nic numa object option-rom',
    'overcommit parallel pflash pidfile plugin prom-env qmp qmp-pretty qtest qtest-log readconfig rotate rtc run-with runas',
    'sandbox sd seed semihosting-config serial set shim smbios smp spice tpmdev trace usbdevice uuid vga virtfs vnc',
    'watchdog-action xen-domid',
  ].flatMap((names) => names.split(' ')),
);

const withoutArgument = new Set(
  [
    'S async-teardown audio-help daemonize enable-kvm enable-sync-profile full-screen h help jitdump mem-prealloc no-acpi',
    'no-fd-bootchk no-hpet no-reboot no-shutdown no-user-config nodefaults nographic old-param only-migratable perfmap',
    'portrait preconfig s semihosting singlestep snapshot usb version win2k-hack xen-attach xen-domid-restrict',
  ].flatMap((names) => names.split(' ')),
);

/** Whether an option takes an argument; `unknown` where neither QEMU 7.2 nor 10.0 has it. */
export function arityOf(name: string): 'argument' | 'none' | 'unknown' {
  if (withArgument.has(name)) return 'argument';
  return withoutArgument.has(name) ? 'none' : 'unknown';
}

const aliases: Readonly<Record<string, string>> = { M: 'machine', h: 'help' };

/** One name for options that QEMU treats as the same. */
export const canonicalOption = (name: string): string => aliases[name] ?? name;
