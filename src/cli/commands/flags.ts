import type { TransportName } from '../../qemu/session.js';

/** What the user may say to each command. `docs/reference.md` says it in words. */

export interface PlanFlags {
  readonly json: boolean;
  readonly out?: string;
  readonly keep?: string;
  readonly headroom: boolean;
  readonly timeLimit?: string;
}

export interface RunFlags {
  readonly pin?: readonly string[];
  readonly reserve?: readonly string[];
  readonly machine?: string;
  readonly splitRam?: string;
  readonly planOut?: string;
  readonly timeLimit?: string;
  readonly transport: TransportName;
  readonly verify: boolean;
  readonly strict: boolean;
  readonly uefiDriver: boolean;
  readonly sim?: string;
  readonly xen?: readonly string[];
  readonly twin?: string;
  readonly devices?: string;
  readonly region?: readonly string[];
  readonly absent?: readonly string[];
  readonly add?: readonly string[];
  readonly twinMemory: string;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

export interface AttachFlags {
  readonly qmp?: string;
  readonly qtest?: string;
  readonly gdb?: string;
  readonly pin?: readonly string[];
  readonly reserve?: readonly string[];
  readonly machine?: string;
  readonly out?: string;
  readonly json: boolean;
  readonly resume: boolean;
  readonly once: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
}

export interface ScanFlags {
  readonly root?: string;
  readonly out?: string;
  readonly anonymous: boolean;
  readonly json: boolean;
}

export interface ImportFlags {
  readonly out?: string;
  readonly anonymous: boolean;
  readonly devices?: string;
  readonly mirror: boolean;
  readonly board?: string;
  readonly ram?: string;
}

export interface DoctorFlags {
  readonly json: boolean;
}

export interface VerifyFlags {
  readonly guest?: readonly string[];
  readonly json: boolean;
}

export interface ExportFlags {
  readonly machine?: string;
  readonly out?: string;
  readonly base?: string;
  readonly ecam?: string;
  readonly host?: readonly string[];
  readonly device?: readonly string[];
}

export interface PredictFlags {
  readonly guest?: readonly string[];
  readonly all: boolean;
  readonly against?: string;
  readonly json: boolean;
}

export interface BoardsFlags {
  readonly ram?: string;
  readonly property?: readonly string[];
  readonly qemu?: string;
  readonly addressBits?: string;
  readonly json: boolean;
}

export interface TwinFlags {
  readonly devices?: string;
  readonly region?: readonly string[];
  readonly absent?: readonly string[];
  readonly add?: readonly string[];
  readonly memory: string;
  readonly json: boolean;
}

export interface SizeFlags {
  readonly bar?: readonly string[];
  readonly devices?: string;
  readonly ram?: string;
  readonly json: boolean;
}

export interface DiffFlags {
  readonly all: boolean;
  readonly json: boolean;
}
