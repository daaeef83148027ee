import { describe, expect, it } from 'vitest';
import { aarch64 } from './aarch64.js';
import { compile } from './compile.js';
import { riscv64 } from './riscv64.js';
import { add, address, call, load, number, set, value, whilst, type DriverSource, type Statement } from './source.js';
import { x86_64 } from './x86-64.js';

const word = (content: bigint) => Uint8Array.from({ length: 8 }, (_, i) => Number((content >> BigInt(8 * i)) & 0xffn));
const source = (...body: Statement[]): DriverSource => ({
  routines: { entry: { parameters: [], body } },
  data: { a: word(1n), b: word(2n), status: word(0n) },
});
const hex = (code: Uint8Array) => Buffer.from(code).toString('hex');
const words = (code: Uint8Array) =>
  Array.from({ length: code.length / 4 }, (_, i) => hex(code.slice(4 * i, 4 * i + 4).reverse()));

// What LLVM 14 (llvm-mc) says of each word is in the comments.
describe('machine code', () => {
  it('of aarch64', () => {
    const { code, data, entry } = compile(source(set('b', load(value('a'), 0x60)), add('a', -1)), aarch64, 0x1000);
    expect(words(code)).toEqual([
      'a9bf7bfd', // stp x29, x30, [sp, #-16]!
      '10007ff0', // adr x16, .+0xffc
      'f9400210', // ldr x16, [x16]
      'f9403210', // ldr x16, [x16, #0x60]
      '10007fd1', // adr x17, .+0xff8
      'f9000230', // str x16, [x17]
      '10007f50', // adr x16, .+0xfe8
      'f9400210', // ldr x16, [x16]
      'd1000610', // sub x16, x16, #1
      '10007ef1', // adr x17, .+0xfdc
      'f9000230', // str x16, [x17]
      'd2800000', // mov x0, #0
      'a8c17bfd', // ldp x29, x30, [sp], #16
      'd65f03c0', // ret
    ]);
    expect(entry).toBe(0);
    expect(hex(data)).toBe('0100000000000000' + '0200000000000000' + '0000000000000000');
  });

  it('of riscv64', () => {
    const { code } = compile(source(whilst(value('a'), [add('a', -1)])), riscv64, 0x1000);
    expect(words(code)).toEqual([
      'ff010113', // addi sp, sp, -16
      '00113023', // sd ra, 0(sp)
      '00001297', // auipc t0, 1
      'ff828293', // addi t0, t0, -8
      '0002b283', // ld t0, 0(t0)
      '00029463', // bnez t0, .+8
      '0240006f', // j .+36
      '00001297', // auipc t0, 1
      'fe428293', // addi t0, t0, -28
      '0002b283', // ld t0, 0(t0)
      'fff28293', // addi t0, t0, -1
      '00001317', // auipc t1, 1
      'fd430313', // addi t1, t1, -44
      '00533023', // sd t0, 0(t1)
      'fd1ff06f', // j .-48
      '00000513', // li a0, 0
      '00013083', // ld ra, 0(sp)
      '01010113', // addi sp, sp, 16
      '00008067', // ret
    ]);
  });

  it('of x86_64, with an argument on the stack', () => {
    const five = [number(1), number(2), number(3), number(4), address('b')];
    const { code } = compile(source(call(value('a'), five)), x86_64, 0x1000);
    expect(hex(code)).toBe(
      [
        '4883ec58', // sub rsp, 0x58
        '488d05fd0f0000', // lea rax, [rip + 0xffd]
        '4889442420', // mov [rsp + 0x20], rax
        '48b90100000000000000', // movabs rcx, 1
        '48ba0200000000000000', // movabs rdx, 2
        '49b80300000000000000', // movabs r8, 3
        '49b90400000000000000', // movabs r9, 4
        '488d05c10f0000', // lea rax, [rip + 0xfc1]
        '488b8000000000', // mov rax, [rax + disp32 0]
        '48ffd0', // call rax
        '4c8d15c00f0000', // lea r10, [rip + 0xfc0]
        '498902', // mov [r10], rax
        '48b80000000000000000', // movabs rax, 0
        '4883c458', // add rsp, 0x58
        'c3',
      ].join(''),
    );
  });

  it.each([
    ['aarch64', aarch64],
    ['riscv64', riscv64],
  ])('of %s with more arguments than registers is refused', (_, isa) => {
    const nine = Array.from({ length: 9 }, () => number(0));
    expect(() => compile(source(call(value('a'), nine)), isa, 0x1000)).toThrow('no room for argument 8');
  });

  it('reaches only what there is', () => {
    expect(() => compile(source(set('a', value('nothing'))), x86_64, 0x1000)).toThrow('nothing is nowhere');
    expect(() => compile(source(set('b', value('a'))), x86_64, 16)).toThrow(/the code has \d+ bytes/);
  });
});
