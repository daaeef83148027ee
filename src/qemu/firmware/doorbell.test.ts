import { describe, expect, it } from 'vitest';
import type { Qmp } from '../qmp.js';
import { ecamDoorbell, portDoorbell } from './doorbell.js';

/** A monitor that answers with `answer`. */
function monitor(answer: string) {
  const commands: string[] = [];
  const qmp = {
    monitor: (line: string) => {
      commands.push(line);
      return Promise.resolve(answer);
    },
  };
  return { qmp: qmp as unknown as Qmp, commands };
}

describe('the doorbell', () => {
  // Both answers as QEMU 7.2 and 10.0 give them.
  it.each([
    ['00000040100000f8: 0x4c4c4143\r\n', true],
    ['00000040100000f8: 0x00000000\r\n', false],
    ['Cannot access memory\r\n', false],
    ['', false],
  ])('in config space with %j', async (answer, rung) => {
    const { qmp, commands } = monitor(answer);
    expect(await ecamDoorbell(qmp, 0x40_1000_0000n).rung()).toBe(rung);
    expect(commands).toEqual(['xp/1wx 0x40100000f8']);
  });

  it.each([
    ['portb[0x00b3] = 0xa5\r\n', true],
    ['portb[0x00b3] = 0x00\r\n', false],
  ])('at the port with %j', async (answer, rung) => {
    const { qmp, commands } = monitor(answer);
    const bell = portDoorbell(qmp);
    expect(await bell.rung()).toBe(rung);
    await bell.quiet();
    expect(commands).toEqual(['i/b 0xb3', 'o/b 0xb3 0']);
  });
});
