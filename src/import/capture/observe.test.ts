import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyMachine } from '../../../test/machines.js';
import { MemoryTree, systemOf } from '../../../test/support/system-tree.js';
import { readSystem } from '../system/read-system.js';
import { loadCapture } from './load.js';
import { mergeCapture } from './merge.js';
import { observeCapture } from './observe.js';
import { captureToJson } from './save.js';

const told = (capture: Parameters<typeof captureToJson>[0]) => ({
  ...captureToJson(capture),
  sources: [],
  missing: [],
});

describe('a capture that is put together with nothing else', () => {
  it('stays what it is: the example', async () => {
    const capture = await loadCapture(readFileSync('examples/switch-host.capture.json', 'utf8'), 'example');
    expect(told(mergeCapture(observeCapture(capture, 'example')))).toEqual(told(capture));
  });

  it('stays what it is: of any machine, read with and without root', async () => {
    await fc.assert(
      fc.asyncProperty(anyMachine, fc.boolean(), async (machine, root) => {
        const files = await systemOf(machine, { root }).then(
          (system) => system.files,
          () => undefined,
        );
        fc.pre(files !== undefined && [...files.keys()].some((path) => path.endsWith('/resource')));
        const capture = readSystem(new MemoryTree(files));
        expect(told(mergeCapture(observeCapture(capture, 'x')))).toEqual(told(capture));
      }),
      { numRuns: 15 },
    );
  });
});
