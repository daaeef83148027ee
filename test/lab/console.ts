/** What one boot of a guest printed. */
export interface Boot {
  /** What each `section` printed, by name. */
  readonly sections: ReadonlyMap<string, Section>;
  /** How the guest's script left: by itself, or undefined when the guest was reset, killed or panicked in its midst. */
  readonly left: 'reboot' | 'poweroff' | undefined;
  /** All of it, the kernel's own messages before its first process included. */
  readonly text: string;
}

export interface Section {
  readonly output: string;
  /** Exit status of its command. */
  readonly status: number;
}

/** Splits what a guest wrote to its console into its boots, by the markers that test/guest prints. */
export function readConsole(text: string): Boot[] {
  const clean = text.replaceAll('\r', '');
  const starts = [...clean.matchAll(/^@@@ boot$/gm)].map((match) => match.index);
  return starts.map((_, index) => readBoot(clean.slice(index === 0 ? 0 : starts[index], starts[index + 1])));
}

function readBoot(text: string): Boot {
  const sections = new Map<string, Section>();
  for (const match of text.matchAll(/^@@@ begin (\S+)\n([^]*?)\n@@@ end \1 (\d+)$/gm)) {
    const [, name = '', output = '', status = ''] = match;
    if (sections.has(name)) throw new Error(`a boot printed the section ${name} twice`);
    sections.set(name, { output, status: Number(status) });
  }
  const left = /^@@@ (reboot|poweroff)$/m.exec(text)?.[1] as Boot['left'];
  return { sections, left, text };
}

/** The output of a section whose command succeeded. Throws with the whole boot when there is none. */
export function output(boot: Boot | undefined, section: string): string {
  const found = boot?.sections.get(section);
  if (found?.status === 0) return found.output;
  const what =
    boot === undefined
      ? 'the guest did not boot'
      : found === undefined
        ? 'never ended'
        : `ended with status ${found.status}`;
  throw new Error(`section ${section}: ${what}\n${boot?.text ?? ''}`);
}

/** A PCI function as the guest's kernel sees it. */
export interface GuestFunction {
  /** SSSS:BB:DD.F */
  readonly address: string;
  /** The bound driver's name, empty without one. */
  readonly driver: string;
  readonly config: Uint8Array;
  /** sysfs `resource`: CPU addresses, last byte included; BARs 0 to 5, ROM, then SR-IOV and bridge windows. 0 means none. */
  readonly resources: readonly { readonly base: bigint; readonly limit: bigint; readonly flags: bigint }[];
}

/** Reads what `pci_functions` of test/guest/guest.sh prints. */
export function readFunctions(text: string): Map<string, GuestFunction> {
  const functions = text
    .split(/^function /m)
    .slice(1)
    .map((block): GuestFunction => {
      const lines = block.trimEnd().split('\n');
      const value = (key: string) => lines.find((line) => line.startsWith(`${key} `))?.slice(key.length + 1) ?? '';
      const resources = lines.flatMap((line) => {
        const [, base, limit, flags] = /^resource (0x[0-9a-f]+) (0x[0-9a-f]+) (0x[0-9a-f]+)$/.exec(line) ?? [];
        return base && limit && flags ? [{ base: BigInt(base), limit: BigInt(limit), flags: BigInt(flags) }] : [];
      });
      return {
        address: lines[0] ?? '',
        driver: value('driver'),
        config: Buffer.from(value('config'), 'hex'),
        resources,
      };
    });
  return new Map(functions.map((f) => [f.address, f]));
}
