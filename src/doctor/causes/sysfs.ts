import { said } from '../evidence.js';
import type { Candidate } from '../finding.js';
import { cite } from '../placement/cite.js';
import type { Scene } from '../scene/scene.js';

/** How far apart the name of a file and the error about it may be, in lines. */
const NEAR = 30;

/** User space that maps BARs through sysfs, and cannot. */
export function sysfs(scene: Scene): Candidate[] {
  const { evidence } = scene;
  const files = said(evidence, 'resource-file');
  const errors = evidence.lines.filter(({ text }) =>
    /No such device|No such file|Invalid argument|not permitted|Permission denied|ENODEV|EINVAL|Errno (?:1|2|13|19|22)\b/.test(
      text,
    ),
  );
  const mmap = evidence.lines.filter(({ text }) => /\bmmap\b/i.test(text));
  const missing = said(evidence, 'file-missing');
  const mem = said(evidence, 'dev-mem');
  const near = errors.filter(({ source }) =>
    files.some(({ line }) => line.source.file === source.file && Math.abs(line.source.line - source.line) <= NEAR),
  );
  const listed = evidence.lines.filter(({ text }) => /(?:^|[\s/])resource\d(?:_wc)?\b/.test(text));
  const [error] = near.length > 0 ? near : listed.length > 0 || mmap.length > 0 ? errors : [];
  if (!error && missing.length === 0) return [];
  if (files.length === 0 && missing.length === 0 && !(mmap.length > 0 && listed.length > 0)) return [];
  const text = error?.text ?? missing[0]?.line.text ?? '';
  const lockdown =
    evidence.messages.has('module-signature') && evidence.lines.some(({ text: line }) => /Lockdown/.test(line));
  const before = files.filter(
    ({ line }) => !error || line.source.line <= error.source.line || line.source.file !== error.source.file,
  );
  const last = before.at(-1) ?? files[0];
  const bar = last?.values['bar'];
  const device = last?.values['device'];
  const absent = missing.length > 0 || /No such file|Errno 2\b/.test(text);
  const denied = /not permitted|Permission denied|Errno (?:1|13)\b/.test(text);
  const noDevice = /No such device|ENODEV|Errno 19\b/.test(text);
  const opened = before.slice(0, -1);
  const { kernel } = scene.stack;
  const old = kernel !== undefined && (kernel.major < 4 || (kernel.major === 4 && kernel.minor < 13));
  const arm = scene.stack.arch === 'aarch64';
  const proof = absent
    ? arm && old
      ? `Linux ${kernel.text} on arm64 makes no resourceN files: mapping PCI resources through sysfs came with Linux 4.13.`
      : 'The kernel makes resourceN for each BAR that it knows, and only where the architecture maps PCI resources (arm64 since Linux 4.13).'
    : denied
      ? `The file is there and may not be mapped: ${lockdown ? 'kernel lockdown (Secure Boot) refuses direct access to PCI BARs' : 'the process lacks CAP_SYS_RAWIO or root, or the kernel is locked down (Secure Boot)'}.`
      : noDevice
        ? `${opened.length > 0 ? `${opened.map(({ values }) => `resource${values['bar'] ?? ''}`).join(', ')} could be used; ` : ''}resource${bar ?? 'N'} cannot be mapped: ENODEV is what the file of an I/O port BAR gives, which x86 kernels let be read and written but not mapped.`
        : 'The kernel maps whole pages from the start of a BAR: offset and length have to lie in it and be multiples of the page size.';
  return [
    {
      cause: 'sysfs-mmap-missing',
      confidence: noDevice || (absent && arm && old) || lockdown ? 'certain' : 'likely',
      fault: true,
      weight: 75,
      summary: absent
        ? 'The kernel offers no resourceN file for the BAR.'
        : `resource${bar ?? 'N'}${device ? ` of ${device}` : ''} cannot be mapped.`,
      evidence: cite(
        last?.line,
        error,
        missing.map(({ line }) => line),
        mmap.slice(0, 2),
        mem.map(({ line }) => line),
        opened.map(({ line }) => line),
        listed.slice(0, 4),
      ),
      proof,
      remedies: absent
        ? [
            {
              change: 'a kernel of 4.13 or later on arm64; else map through vfio-pci or uio',
              where: 'kernel',
              why: 'arch/arm64 defines HAVE_PCI_MMAP since then',
            },
          ]
        : denied
          ? [
              {
                change: 'vfio-pci, or booting without lockdown',
                where: 'kernel',
                why: 'vfio gives access to a BAR without giving it to all of the machine',
              },
            ]
          : [
              {
                change:
                  'skip I/O BARs: bit 0x100 in the third column of the file “resource”; use pread and pwrite on their files',
                where: 'driver',
                why: 'ports are no memory',
              },
            ],
      missing: [
        {
          command: `cat /sys/bus/pci/devices/${device ?? 'BDF'}/resource; ls -l /sys/bus/pci/devices/${device ?? 'BDF'}/; uname -rm`,
          why: 'flags and sizes of the BARs, which files there are, and which kernel',
        },
      ],
    },
  ];
}
