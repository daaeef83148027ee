import type { Exported, ExportSource } from '../exported.js';
import { commentText } from '../shell.js';
import { acpiHostBridges, type AcpiHostBridge, type AcpiWindow } from './host-bridge.js';

const number = (value: bigint, digits: number) => `0x${value.toString(16).toUpperCase().padStart(digits, '0')}`;

/** 0 and 1 have opcodes of their own. */
const small = (value: number): string => (value === 0 ? 'Zero' : value === 1 ? 'One' : number(BigInt(value), 2));

/** The same as ASL. */
export function exportAsl(source: ExportSource): Exported {
  const { bridges, notes } = acpiHostBridges(source);
  const content = `DefinitionBlock ("", "SSDT", 2, "PINBAR", "PLAN", 0x00000001)
{
    Scope (\\_SB)
    {
${bridges.map(hostBridge).join('\n')}    }
}
`;
  return { content, notes };
}

const hostBridge = ({
  name,
  id,
  segment,
  buses,
  uid,
  resources,
}: AcpiHostBridge): string => `        // ${commentText(id)}
        Device (${name})
        {
            Name (_HID, EisaId ("PNP0A08"))
            Name (_CID, EisaId ("PNP0A03"))
            Name (_SEG, ${small(segment)})
            Name (_BBN, ${small(buses[0])})
            Name (_UID, ${small(uid)})
            Name (_CCA, One)
            Name (_CRS, ResourceTemplate ()
            {
                WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
                    ${numbers(BigInt(buses[0]), BigInt(buses[1]), 0n, 4)})
${resources.map(descriptor).join('')}            })
            // Function 5: the operating system must not ignore the configuration that firmware has done
            Method (_DSM, 4, NotSerialized)
            {
                If (LEqual (Arg0, ToUUID ("e5c937d0-3553-4d7a-9117-ea4d19c3434d")))
                {
                    If (Arg2)
                    {
                        Return (Zero)
                    }
                    Return (Buffer (One) { 0x21 })
                }
                Return (Buffer (One) { 0x00 })
            }
        }
`;

/** Granularity, first, last, translation, length. */
const numbers = (base: bigint, limit: bigint, translation: bigint, digits: number): string =>
  [0n, base, limit, translation, limit - base + 1n].map((value) => number(value, digits)).join(', ');

function descriptor({ kind, base, limit, translation }: AcpiWindow): string {
  const head = {
    io: `DWordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange`,
    memory32: 'DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite',
    memory64: 'QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite',
  }[kind];
  // Ports that the CPU reaches as memory.
  const tail = kind === 'io' && translation !== 0n ? ', , , , TypeTranslation, DenseTranslation' : '';
  return `                ${head},
                    ${numbers(base, limit, translation, kind === 'memory64' ? 16 : 8)}${tail})
`;
}
