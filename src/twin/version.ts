import { errno, MAX_DATA, MAX_DMA_MAPS, MAX_FDS, Refusal } from './protocol.js';

const MAJOR = 0;
const MINOR = 0;
/** More than any client has to say of itself. */
const MAX_VERSION_DATA = 0x1_0000;

/** What a server may claim, for each capability that the client has named. */
const offers: Readonly<Record<string, unknown>> = {
  max_msg_fds: MAX_FDS,
  max_data_xfer_size: MAX_DATA,
  max_dma_maps: MAX_DMA_MAPS,
  pgsizes: 0x1000,
  write_multiple: true,
};

/**
 * Answers VERSION, payload to payload: the major version has to be the same, the capabilities are a subset of the client's.
 * @throws Refusal where there is no common version, or the payload is none
 */
export function negotiate(payload: Buffer): Buffer {
  if (payload.length < 4 || payload.length > MAX_VERSION_DATA) throw new Refusal(errno.EINVAL);
  if (payload.readUInt16LE(0) !== MAJOR) throw new Refusal(errno.EINVAL);
  const proposed = capabilitiesOf(payload.subarray(4));
  const capabilities = Object.fromEntries(
    Object.entries(offers).filter(([name]) => proposed[name] !== undefined && proposed[name] !== false),
  );
  const reply = Buffer.from(`0000${JSON.stringify({ capabilities })}\0`);
  reply.writeUInt16LE(MAJOR, 0);
  reply.writeUInt16LE(MINOR, 2);
  return reply;
}

/** The version data is optional, and JSON that ends in NUL. */
function capabilitiesOf(data: Buffer): Readonly<Record<string, unknown>> {
  if (data.length === 0) return {};
  let value: unknown;
  try {
    value = JSON.parse(data.toString('utf8').replace(/\0$/, ''));
  } catch {
    throw new Refusal(errno.EINVAL);
  }
  const { capabilities = {} } = asObject(value);
  return asObject(capabilities);
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Refusal(errno.EINVAL);
  return value as Record<string, unknown>;
}
