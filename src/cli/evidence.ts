import { stat } from 'node:fs/promises';
import { fileTree } from '../host/file-tree.js';
import { loadCapture, looksLikeCapture, MAX_CAPTURE } from '../import/capture/load.js';
import type { Missing } from '../import/capture/model.js';
import { observeCapture } from '../import/capture/observe.js';
import { observeDeviceTree } from '../import/device-tree.js';
import { GuestBytesReader } from '../import/guest-bytes.js';
import type { Observation } from '../import/observation.js';
import { observeSystem } from '../import/system/read-system.js';
import { FDT_MAGIC, limits, parseDeviceTree } from '../devicetree/parse.js';
import { Problem } from '../problem/problem.js';
import { fileProblem, piecesOf } from './files.js';
import type { Io } from './io.js';

/** A text with more bytes than this is not read to its end. */
const MAX_TEXT = 4 * 1024 * 1024 * 1024;
/** Bytes by which a file's kind is told. */
const HEAD = 4096;

export interface Evidence {
  readonly observations: readonly Observation[];
  readonly missing: readonly Missing[];
}

/** What a file is that is not read line by line: its whole text, for whoever knows the kind. */
export type WholeText = (head: string) => boolean;

/** A file, or as much of it as tells that it is none of those that evidence is taken from. */
export type Read = { readonly evidence: Evidence } | { readonly text: string; readonly name: string };

/**
 * Reads evidence of a machine: a capture, a device tree blob, the folder of a copied system, or text with listings and
 * logs, line by line. What `whole` knows by its beginning is read as one text and handed back.
 * @throws Problem `input-unreadable`, `input-too-large`, and as loadCapture and parseDeviceTree do
 */
export async function readEvidence(path: string, io: Io, whole: WholeText = () => false): Promise<Read> {
  const name = path === '-' ? '<stdin>' : path;
  try {
    if (path !== '-' && (await stat(path)).isDirectory()) {
      const { list, missing } = observeSystem(fileTree(path));
      return { evidence: { observations: list, missing } };
    }
    return await readStream(name, path === '-' ? io.stdin() : piecesOf(path), whole);
  } catch (error) {
    if (error instanceof Problem) throw error.where ? error : error.at({ file: name });
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    throw fileProblem(error, name, 'read');
  }
}

async function readStream(name: string, chunks: AsyncIterable<Uint8Array>, whole: WholeText): Promise<Read> {
  const iterator = chunks[Symbol.asyncIterator]();
  const parts: Uint8Array[] = [];
  let size = 0;
  const next = async (): Promise<Uint8Array | undefined> => {
    const step = await iterator.next();
    return step.done ? undefined : step.value;
  };
  for (let chunk = size < HEAD ? await next() : undefined; chunk; chunk = size < HEAD ? await next() : undefined) {
    parts.push(Buffer.from(chunk));
    size += chunk.length;
  }
  const start = Buffer.concat(parts);
  const all = async (most: number) => {
    for (let chunk = await next(); chunk; chunk = await next()) {
      size += chunk.length;
      if (size > most) throw tooLarge(name, most);
      parts.push(Buffer.from(chunk));
    }
    return Buffer.concat(parts);
  };
  if (start.length >= 4 && start.readUInt32BE(0) === FDT_MAGIC) {
    return {
      evidence: { observations: [observeDeviceTree(parseDeviceTree(await all(limits.bytes)), name)], missing: [] },
    };
  }
  const head = new TextDecoder().decode(start.subarray(0, HEAD));
  if (looksLikeCapture(head)) {
    const capture = await loadCapture(new TextDecoder().decode(await all(MAX_CAPTURE)), name);
    return { evidence: { observations: observeCapture(capture, name), missing: capture.missing } };
  }
  if (whole(head)) return { text: new TextDecoder().decode(await all(64 * 1024 * 1024)), name };
  const reader = new GuestBytesReader(name);
  reader.push(start);
  for (let chunk = await next(); chunk; chunk = await next()) {
    size += chunk.length;
    if (size > MAX_TEXT) throw tooLarge(name, MAX_TEXT);
    reader.push(chunk);
  }
  return { evidence: { observations: reader.finish(), missing: [] } };
}

const tooLarge = (name: string, most: number) =>
  new Problem('input-too-large', `${name} has more than ${most} bytes, the most that pinbar reads of its kind`, {
    where: { file: name },
  });
