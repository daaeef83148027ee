import type { Arch } from '../../machine/model.js';
import { fromAscii, little } from '../../acpi/bytes.js';
import { uuidBytes } from '../../acpi/uuid.js';
import { guid } from '../guids.js';
import { MAX_RESOURCES } from '../root-bridge-resources.js';
import {
  add,
  address,
  call,
  load,
  number,
  put,
  set,
  value,
  when,
  whilst,
  type DriverSource,
  type Statement,
  type Value,
} from './source.js';

/** Offsets in EFI_SYSTEM_TABLE and EFI_BOOT_SERVICES, UEFI 2.10 §4.3 and §4.4. */
const BOOT_SERVICES = 0x60;
const boot = {
  createEvent: 0x50,
  signalEvent: 0x68,
  handleProtocol: 0x98,
  stall: 0xf8,
  connectController: 0x108,
  disconnectController: 0x110,
  locateHandleBuffer: 0x138,
  locateProtocol: 0x140,
  createEventEx: 0x170,
} as const;
const service = (name: keyof typeof boot) => load(load(value('systemTable'), BOOT_SERVICES), boot[name]);

/** EFI_PCI_ROOT_BRIDGE_IO_PROTOCOL, UEFI 2.10 §14.2. */
const io = {
  memRead: 0x18,
  memWrite: 0x20,
  ioWrite: 0x30,
  pciRead: 0x38,
  pciWrite: 0x40,
  configuration: 0x88,
  width8: 0,
  width32: 2,
} as const;
/** EFI_CPU_IO2_PROTOCOL, PI 1.8 volume 2 §13.2: two of its functions, with the parameters of the root bridge's. */
const cpu = { memRead: 0, memWrite: 8 } as const;
const EVT_NOTIFY_SIGNAL = 0x200;
const TPL_CALLBACK = 8;
const BY_PROTOCOL = 2;

/**
 * How the driver calls pinbar. Into config space of 00:00.0, from `register` on, go the address of its mailbox and `mark`.
 * Nothing else uses these registers of QEMU's host bridges, and QEMU lets any value be written and read back. On x86, where
 * pinbar cannot look there while the guest runs, `port` gets `ring` then: a scratch register of the ICH9 (APM status).
 */
export const callSign = { register: 0xf0, mark: 0x4c4c_4143, port: 0xb3, ring: 0xa5 } as const;

/**
 * What lies at the mailbox, with offsets in bytes. The driver waits for as long as `wait` is not 0. `listed` is the address of
 * what the root bridge lists as its resources; where `answered` is not 0, `resources` are what it lists from then on.
 */
export const mailbox = {
  signature: 'pinbar 1',
  systemTable: 8,
  wait: 16,
  listed: 24,
  answered: 32,
  resources: 40,
  size: 40 + MAX_RESOURCES,
} as const;

/** Milliseconds for which the driver waits for pinbar. */
const PATIENCE = 60_000n;

/**
 * The driver. Once firmware has enumerated PCI it takes the PCI bus driver off every root bridge, calls pinbar, waits until
 * that has programmed the plan, and connects the root bridges again. EDK2 enumerates a host bridge only once
 * (MdeModulePkg/Bus/Pci/PciBusDxe, PciBus.c): the second time it takes what it finds in the registers, so that all of its
 * drivers, boot disks and framebuffers are at the planned addresses from then on.
 *
 * Its drivers refuse BARs that the root bridge does not list as its own, so the driver has it list what pinbar says. On x86 the
 * root bridge refuses access, too, to what lies outside the windows that OVMF has chosen: there it gets the CPU's functions in
 * the place of its own.
 *
 * When that is: OVMF starts drivers of option ROMs after all of PCI, elsewhere EDK2 starts them in the midst of it. There the
 * work is done at the event that says that the root bridges are connected, after all others who wait for it: firmware
 * installs the ACPI tables then.
 */
export function callerSource(arch: Arch): DriverSource {
  const eachRootBridge = (...body: readonly Statement[]): Statement[] => [
    set('at', value('handles')),
    set('left', value('count')),
    whilst(value('left'), [...body, add('at', 8), add('left', -1)]),
  ];
  const handle = load(value('at'));
  const nothing = number(0);
  const own = value('rootBridge');
  const ring = call(load(own, io.ioWrite), [own, number(io.width8), number(callSign.port), number(1), address('ring')]);
  /** One of the root bridge's functions, from the place of the one before on. */
  const replace = (distance: number, by: Value): Statement[] => [add('at', distance), put(value('at'), by)];
  return {
    routines: {
      entry: {
        parameters: ['image', 'systemTable'],
        body: [
          call(service('locateProtocol'), [address('dxeSmmReadyToLock'), nothing, address('ignored')]),
          when(
            value('status'),
            [
              call(service('createEvent'), [
                number(EVT_NOTIFY_SIGNAL),
                number(TPL_CALLBACK),
                address('reconnect'),
                nothing,
                address('afterOthers'),
              ]),
              call(service('createEventEx'), [
                number(EVT_NOTIFY_SIGNAL),
                number(TPL_CALLBACK),
                address('connected'),
                nothing,
                address('rootBridgesConnected'),
                address('event'),
              ]),
            ],
            [call(address('reconnect'), [nothing, nothing])],
          ),
        ],
      },
      // An event that is signalled here is notified after those that wait already.
      connected: { parameters: [], body: [call(service('signalEvent'), [value('afterOthers')])] },
      reconnect: {
        parameters: [],
        body: [
          call(service('locateHandleBuffer'), [
            number(BY_PROTOCOL),
            address('pciRootBridgeIo'),
            nothing,
            address('count'),
            address('handles'),
          ]),
          ...eachRootBridge(call(service('disconnectController'), [handle, nothing, nothing])),
          // 00:00.0 is behind one of them; the others refuse.
          ...eachRootBridge(
            call(service('handleProtocol'), [handle, address('pciRootBridgeIo'), address('candidate')]),
            call(load(value('candidate'), io.pciRead), [
              value('candidate'),
              number(io.width32),
              nothing,
              number(1),
              address('ignored'),
            ]),
            when(value('status'), [], [set('rootBridge', value('candidate'))]),
          ),
          when(own, [call(address('ask'), [])]),
          ...eachRootBridge(call(service('connectController'), [handle, nothing, nothing, nothing])),
        ],
      },
      ask: {
        parameters: [],
        body: [
          call(load(own, io.configuration), [own, address('listed')]),
          set('mailboxAddress', address('signature')),
          call(load(own, io.pciWrite), [
            own,
            number(io.width32),
            number(callSign.register),
            number(3),
            address('mailboxAddress'),
          ]),
          ...(arch === 'x86_64' ? [ring] : []),
          whilst(value('wait'), [
            call(service('stall'), [number(1000)]),
            add('patience', -1),
            when(value('patience'), [], [set('wait', nothing)]),
          ]),
          when(value('answered'), [call(address('take'), [])]),
        ],
      },
      take: {
        parameters: [],
        body: [
          set('at', own),
          ...(arch === 'x86_64'
            ? [
                call(service('locateProtocol'), [address('cpuIo2'), nothing, address('cpuIo')]),
                when(
                  value('status'),
                  [add('at', io.memWrite)],
                  [
                    ...replace(io.memRead, load(value('cpuIo'), cpu.memRead)),
                    ...replace(io.memWrite - io.memRead, load(value('cpuIo'), cpu.memWrite)),
                  ],
                ),
              ]
            : [add('at', io.memWrite)]),
          ...replace(io.configuration - io.memWrite, address('configuration')),
        ],
      },
      configuration: { parameters: ['ignored', 'answer'], body: [put(value('answer'), address('resources'))] },
    },
    data: {
      // The mailbox: these in this order.
      signature: fromAscii(mailbox.signature),
      systemTable: new Uint8Array(8),
      wait: little(1n, 8),
      listed: new Uint8Array(8),
      answered: new Uint8Array(8),
      resources: new Uint8Array(MAX_RESOURCES),
      // What goes into config space: these two in this order, 12 bytes of them.
      mailboxAddress: new Uint8Array(8),
      mark: little(BigInt(callSign.mark), 8),
      ring: little(BigInt(callSign.ring), 8),
      patience: little(PATIENCE, 8),
      ...Object.fromEntries(slots.map((name) => [name, new Uint8Array(8)])),
      ...Object.fromEntries(guids.map((name) => [name, uuidBytes(guid[name])])),
    },
  };
}

const slots = [
  ...['image', 'status', 'ignored', 'event', 'afterOthers', 'count', 'handles', 'at', 'left'],
  ...['candidate', 'rootBridge', 'cpuIo', 'answer'],
];
const guids = ['dxeSmmReadyToLock', 'rootBridgesConnected', 'pciRootBridgeIo', 'cpuIo2'] as const;
