import type { FunctionDraft } from '../observation.js';

/** `Ethernet controller [0200]: Intel Corporation I350 [8086:1521] (rev 01) (prog-if 00 [Normal decode])`, also with `-n`. */
export function identify(fn: FunctionDraft, title: string): void {
  const classCode = /^(?:[^[\]]{1,200} \[([0-9a-f]{4})\]|([0-9a-f]{4})): /.exec(title);
  const ids = /[ []([0-9a-f]{4}):([0-9a-f]{4})(?:\]|$| \()/.exec(title);
  const code = classCode?.[1] ?? classCode?.[2];
  const revision = / \(rev ([0-9a-f]{2})\)/.exec(title)?.[1];
  const interfaceCode = / \(prog-if ([0-9a-f]{2})(?= |\))/.exec(title)?.[1];
  if (code) fn.class = (parseInt(code, 16) << 8) | parseInt(interfaceCode ?? '0', 16);
  if (ids?.[1] && ids[2]) {
    fn.vendor = parseInt(ids[1], 16);
    fn.device = parseInt(ids[2], 16);
  }
  if (revision !== undefined) fn.revision = parseInt(revision, 16);
  if (code === '0604' || title.startsWith('PCI bridge')) fn.isBridge = true;
  const name = nameIn(title);
  if (name) fn.title = name;
}

/** What the device is called, between its class and what else is said of it. */
function nameIn(title: string): string | undefined {
  const at = title.indexOf(': ');
  if (at < 0) return undefined;
  const name = title
    .slice(at + 2)
    .replace(/ \((?:rev [0-9a-f]{2}|prog-if [0-9a-f]{2}.{0,80}|driver: [\w-]{1,40})\)/g, '')
    .replace(/ \[[0-9a-f]{4}:[0-9a-f]{4}\]$/, '')
    .trim();
  return name === '' || /^[0-9a-f]{4}:[0-9a-f]{4}$/.test(name) ? undefined : name.slice(0, 200);
}

/** `"Host bridge [0600]" "Intel Corporation [8086]" "440FX [1237]" -r02 "Red Hat, Inc. [1af4]" "QEMU [1100]"` of `-mm`. */
export function identifyMachine(fn: FunctionDraft, title: string): void {
  const words = [...title.matchAll(/"((?:[^"\\]|\\.){0,400})"/g)].map(([, word = '']) => word);
  const [classWord, vendor, device, subVendor, subDevice] = words.map(codeIn);
  if (classWord !== undefined) fn.class = classWord << 8;
  if (vendor !== undefined && device !== undefined) Object.assign(fn, { vendor, device });
  if (subVendor !== undefined && subDevice !== undefined) fn.subsystem = { vendor: subVendor, device: subDevice };
  const revision = / -r([0-9a-f]{2})(?= |$)/.exec(title)?.[1];
  if (revision !== undefined) fn.revision = parseInt(revision, 16);
  const interfaceCode = / -p([0-9a-f]{2})(?= |$)/.exec(title)?.[1];
  if (interfaceCode !== undefined && fn.class !== undefined) fn.class |= parseInt(interfaceCode, 16);
  if (classWord === 0x0604 || words[0]?.startsWith('PCI bridge')) fn.isBridge = true;
  const name = [words[1], words[2]].filter((word) => word && !/^[0-9a-f]{4}$/.test(word)).join(' ');
  if (name) fn.title = name.replace(/ ?\[[0-9a-f]{4}\]/g, '').slice(0, 200);
}

/** The number of `Host bridge [0600]` (`-nn`) or `0600` (`-n`). */
export function codeIn(word: string): number | undefined {
  const digits = /^([0-9a-f]{4})$|\[([0-9a-f]{4})\]$/.exec(word);
  const code = digits?.[1] ?? digits?.[2];
  return code === undefined ? undefined : parseInt(code, 16);
}
