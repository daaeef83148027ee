import { describe, expect, it } from 'vitest';
import { output, readConsole, readFunctions } from '../../lab/console.js';

const twoBoots = [
  '[    0.000000] Booting Linux\r',
  '@@@ boot',
  '@@@ begin hello',
  'one',
  '@@@ not a marker',
  '',
  '@@@ end hello 0',
  '@@@ begin bad',
  'no',
  '@@@ end bad 2',
  '@@@ reboot',
  '[    2.000000] reboot: Restarting system',
  '@@@ boot',
  '@@@ begin hello',
  'half of',
].join('\n');

describe('readConsole', () => {
  const boots = readConsole(twoBoots);

  it('counts boots and says how each was left', () => {
    expect(boots.map((boot) => boot.left)).toEqual(['reboot', undefined]);
    expect(boots[0]?.text).toContain('Booting Linux\n');
    expect(boots[1]?.text).not.toContain('bad');
  });

  it('keeps output and status of each section, and none that did not end', () => {
    expect(boots[0]?.sections.get('hello')).toEqual({ output: 'one\n@@@ not a marker\n', status: 0 });
    expect(boots[0]?.sections.get('bad')).toEqual({ output: 'no', status: 2 });
    expect(boots[1]?.sections.size).toBe(0);
  });

  it('hands out only the output of commands that succeeded', () => {
    expect(output(boots[0], 'hello')).toContain('one');
    expect(() => output(boots[0], 'bad')).toThrow('section bad: ended with status 2');
    expect(() => output(boots[1], 'hello')).toThrow('section hello: never ended');
    expect(() => output(boots[2], 'hello')).toThrow('section hello: the guest did not boot');
  });

  it('refuses a name used twice in one boot', () => {
    const twice = '@@@ boot\n@@@ begin a\n\n@@@ end a 0\n@@@ begin a\n\n@@@ end a 0\n';
    expect(() => readConsole(twice)).toThrow('the section a twice');
  });
});

describe('readFunctions', () => {
  it('reads driver, config space and resources', () => {
    const text = [
      'function 0000:00:01.0',
      'driver pcieport',
      'config 361b0c00',
      'resource 0x0000000010640000 0x0000000010640fff 0x0000000000040200',
      'resource 0x0000000000000000 0x0000000000000000 0x0000000000000000',
      'function 0000:01:00.0',
      'driver ',
      'config ffff',
      'resource 0x00006b8000000000 0x00006b8fffffffff 0x000000000014220c',
    ].join('\n');
    const functions = readFunctions(text);
    expect([...functions.keys()]).toEqual(['0000:00:01.0', '0000:01:00.0']);
    expect(functions.get('0000:00:01.0')).toEqual({
      address: '0000:00:01.0',
      driver: 'pcieport',
      config: Buffer.from([0x36, 0x1b, 0x0c, 0x00]),
      resources: [
        { base: 0x10640000n, limit: 0x10640fffn, flags: 0x40200n },
        { base: 0n, limit: 0n, flags: 0n },
      ],
    });
    expect(functions.get('0000:01:00.0')?.driver).toBe('');
    expect(functions.get('0000:01:00.0')?.resources[0]?.base).toBe(0x6b8000000000n);
  });
});
