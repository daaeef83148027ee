import { expect, it } from 'vitest';
import { pinbar } from '../../test/support/memory-io.js';

const example = 'examples/switch-host.capture.json';

it('prints what each stack has to be told', async () => {
  const { code, stdout, stderr } = await pinbar(['size', '--bar', '512GiB*8', '--bar', '64MiB*8:32']);
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatchSnapshot();
});

it('takes the devices of a capture', async () => {
  const { code, stdout } = await pinbar(['size', example, '--devices', '0009:03:00.0,0009:04:00.0', '--json']);
  expect(code).toBe(0);
  const { pinbar: format, answers } = JSON.parse(stdout) as {
    pinbar: number;
    answers: { option: string; value: string }[];
  };
  expect(format).toBe(1);
  expect(answers.find(({ option }) => option === 'pref64-reserve')?.value).toBe('512G');
});

it.each([
  [[], /no devices to size for/],
  [[example], /no devices of it are named/],
  [['--devices', '0009:03:00.0'], /functions of a capture/],
  [['--bar', '3MiB'], /power of two/],
  [[example, '--devices', '0009:00:00.0'], /is a bridge/],
])('%j is refused', async (argv, message) => {
  const { code, stdout, stderr } = await pinbar(['size', ...argv]);
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toMatch(message);
});
