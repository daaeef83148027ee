import { expect, it } from 'vitest';
import { resourcesOfFile } from './resource-file.js';

const zeros = '0x0000000000000000 0x0000000000000000 0x0000000000000000\n';

it('knows a BAR of 64 bits and a prefetchable one by the bits of their register, which old kernels show alone', () => {
  const line = (flags: string) => `0x0000003be0000000 0x0000003be07fffff 0x${flags.padStart(16, '0')}\n`;
  const text = [line('12120c'), zeros, line('20c'), zeros, line('14220c'), zeros, line('204'), '\n'].join('');
  const [first, , second, , third, , rom] = resourcesOfFile(text, 'resource');
  for (const bar of [first, second, third]) expect(bar).toMatchObject({ wide: true, prefetchable: true });
  expect(rom).toMatchObject({ name: 'rom', wide: false, prefetchable: false });
});
