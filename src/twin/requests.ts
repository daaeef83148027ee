import { INTERRUPT_TYPES, REGION_COUNT, ROM_REGION, type TwinDevice } from './device.js';
import { commands, errno, MAX_DATA, MAX_DMA_MAPS, Refusal } from './protocol.js';

/** Device flags: it can be reset, and it is a PCI device. */
const DEVICE_FLAGS = 0b11;
/** Region flags: it can be read, it can be written. It cannot be mapped. */
const READ = 0b01;
const READ_WRITE = 0b11;
/** IRQ flags: eventfd; INTx can be masked and masks itself, the others are set up as a set. */
const irqFlags = [0b0111, 0b1001, 0b1001] as const;
const DMA_UNMAP_ALL = 1 << 1;

/** What one client has asked for beside the device, gone with it: DMA mappings, from address to size. */
export type DmaMaps = Map<bigint, bigint>;

/**
 * Answers one command of a client whose version is negotiated, payload to payload.
 * @throws Refusal with the error number of the reply
 */
export function answer(device: TwinDevice, maps: DmaMaps, command: number, payload: Buffer): Buffer {
  switch (command) {
    case commands.deviceGetInfo:
      return deviceInfo(payload);
    case commands.deviceGetRegionInfo:
      return regionInfo(device, payload);
    case commands.deviceGetRegionIoFds:
      return regionIoFds(payload);
    case commands.deviceGetIrqInfo:
      return irqInfo(device, payload);
    case commands.deviceSetIrqs:
      return setIrqs(device, payload);
    case commands.regionRead:
      return regionRead(device, payload);
    case commands.regionWrite:
      return regionWrite(device, payload);
    case commands.regionWriteMulti:
      return regionWriteMulti(device, payload);
    case commands.dmaMap:
      return dmaMap(maps, payload);
    case commands.dmaUnmap:
      return dmaUnmap(maps, payload);
    case commands.deviceReset:
      device.reset();
      device.client?.reset();
      return none;
    default:
      throw new Refusal(errno.EOPNOTSUPP);
  }
}

const none = Buffer.alloc(0);

/** The payload, where it has all of that many bytes. */
function atLeast(payload: Buffer, size: number): Buffer {
  if (payload.length < size) throw new Refusal(errno.EINVAL);
  return payload;
}

/** Queries begin with the room that the client has for the answer. */
function query(payload: Buffer, size: number): Buffer {
  if (atLeast(payload, size).readUInt32LE(0) < size) throw new Refusal(errno.EINVAL);
  const reply = Buffer.alloc(size);
  reply.writeUInt32LE(size, 0);
  return reply;
}

function deviceInfo(payload: Buffer): Buffer {
  const reply = query(payload, 16);
  reply.writeUInt32LE(DEVICE_FLAGS, 4);
  reply.writeUInt32LE(REGION_COUNT, 8);
  reply.writeUInt32LE(INTERRUPT_TYPES, 12);
  return reply;
}

function regionInfo(device: TwinDevice, payload: Buffer): Buffer {
  const reply = query(payload, 32);
  const index = payload.readUInt32LE(8);
  if (index >= REGION_COUNT) throw new Refusal(errno.EINVAL);
  const size = device.regionSize(index);
  reply.writeUInt32LE(size === 0n ? 0 : index === ROM_REGION ? READ : READ_WRITE, 4);
  reply.writeUInt32LE(index, 8);
  reply.writeBigUInt64LE(size, 16);
  return reply;
}

/** There are no descriptors for accesses: all of them come over the socket. */
function regionIoFds(payload: Buffer): Buffer {
  const reply = query(payload, 16);
  const index = payload.readUInt32LE(8);
  if (index >= REGION_COUNT) throw new Refusal(errno.EINVAL);
  reply.writeUInt32LE(index, 8);
  return reply;
}

function irqInfo(device: TwinDevice, payload: Buffer): Buffer {
  const reply = query(payload, 16);
  const index = payload.readUInt32LE(8);
  const count = device.interrupts[index];
  const flags = irqFlags[index];
  if (count === undefined || flags === undefined) throw new Refusal(errno.EINVAL);
  reply.writeUInt32LE(flags, 4);
  reply.writeUInt32LE(index, 8);
  reply.writeUInt32LE(count, 12);
  return reply;
}

/** A twin raises no interrupt, so what the client wants done on one is only checked. */
function setIrqs(device: TwinDevice, payload: Buffer): Buffer {
  if (atLeast(payload, 20).readUInt32LE(0) < 20) throw new Refusal(errno.EINVAL);
  const [index, start, count] = [8, 12, 16].map((at) => payload.readUInt32LE(at)) as [number, number, number];
  const most = device.interrupts[index];
  if (most === undefined || start + count > most) throw new Refusal(errno.EINVAL);
  return none;
}

interface Access {
  readonly offset: bigint;
  readonly region: number;
  readonly count: number;
}

/** An access that lies inside its region. */
function access(device: TwinDevice, payload: Buffer, at = 0): Access {
  atLeast(payload, at + 16);
  const offset = payload.readBigUInt64LE(at);
  const region = payload.readUInt32LE(at + 8);
  const count = payload.readUInt32LE(at + 12);
  if (count > MAX_DATA || offset + BigInt(count) > device.regionSize(region)) throw new Refusal(errno.EINVAL);
  return { offset, region, count };
}

function regionRead(device: TwinDevice, payload: Buffer): Buffer {
  const { offset, region, count } = access(device, payload);
  const reply = Buffer.alloc(16 + count);
  payload.copy(reply, 0, 0, 16);
  device.read(region, offset, reply.subarray(16));
  return reply;
}

function regionWrite(device: TwinDevice, payload: Buffer): Buffer {
  const { offset, region, count } = access(device, payload);
  if (payload.length !== 16 + count) throw new Refusal(errno.EINVAL);
  device.write(region, offset, payload.subarray(16));
  return Buffer.from(payload.subarray(0, 16));
}

/** All writes are checked before the first is carried out. */
function regionWriteMulti(device: TwinDevice, payload: Buffer): Buffer {
  const wanted = atLeast(payload, 8).readBigUInt64LE(0);
  if (wanted !== BigInt(payload.length - 8) / 24n || (payload.length - 8) % 24 !== 0) throw new Refusal(errno.EINVAL);
  const writes: (Access & { readonly data: Buffer })[] = [];
  for (let at = 8; at < payload.length; at += 24) {
    const one = access(device, payload, at);
    if (one.count > 8) throw new Refusal(errno.EINVAL);
    writes.push({ ...one, data: payload.subarray(at + 16, at + 16 + one.count) });
  }
  for (const { region, offset, data } of writes) device.write(region, offset, data);
  return Buffer.from(payload.subarray(0, 8));
}

function dmaMap(maps: DmaMaps, payload: Buffer): Buffer {
  const address = atLeast(payload, 32).readBigUInt64LE(16);
  const size = payload.readBigUInt64LE(24);
  if (size === 0n) throw new Refusal(errno.EINVAL);
  if (maps.has(address)) throw new Refusal(errno.EEXIST);
  if (maps.size >= MAX_DMA_MAPS) throw new Refusal(errno.ENOSPC);
  maps.set(address, size);
  return none;
}

function dmaUnmap(maps: DmaMaps, payload: Buffer): Buffer {
  const flags = atLeast(payload, 24).readUInt32LE(4);
  if (flags & DMA_UNMAP_ALL) maps.clear();
  else {
    const address = payload.readBigUInt64LE(8);
    if (maps.get(address) !== payload.readBigUInt64LE(16)) throw new Refusal(errno.ENOENT);
    maps.delete(address);
  }
  return Buffer.from(payload.subarray(0, 24));
}
