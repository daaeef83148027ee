import type { GuestArch } from './lab.js';

/**
 * A program for the guest that fills memory and checks it, without a C library or a compiler: 64-bit words at the speed of
 * the emulated CPU, where a shell and its tools take minutes for a gigabyte.
 *
 *     mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), or exit(2)
 *     fill:  every 16 bytes hold their own address, twice
 *     check: they do, or exit(1)
 *     exit(0)
 *
 * Each page holds what no other does, so RAM that answers at two addresses is found as well. The instructions were made by
 * GNU as of this, the system calls' numbers are those of asm-generic (mmap 222, exit_group 94), and the last 8 bytes are `bytes`.
 */
const instructions: Partial<Readonly<Record<GuestArch, string>>> = {
  riscv64: `
            00000417  auipc s0, 0         08043483  ld s1, 128(s0)      00000513  li a0, 0            00048593  mv a1, s1
            00300613  li a2, 3            000046b7  lui a3, 4           02268693  addi a3, a3, 0x22   fff00713  li a4, -1
            00000793  li a5, 0            0de00893  li a7, 222          00000073  ecall               00050913  mv s2, a0
            00200513  li a0, 2            04094063  bltz s2, done       009909b3  add s3, s2, s1      00090293  mv t0, s2
    fill:   0052b023  sd t0, 0(t0)        0052b423  sd t0, 8(t0)        01028293  addi t0, t0, 16     ff32eae3  bltu t0, s3, fill
    check:  00093303  ld t1, 0(s2)        00893383  ld t2, 8(s2)        01231c63  bne t1, s2, wrong   01239a63  bne t2, s2, wrong
            01090913  addi s2, s2, 16     ff3966e3  bltu s2, s3, check  00000513  li a0, 0            0080006f  j done
    wrong:  00100513  li a0, 1
    done:   05e00893  li a7, 94           00000073  ecall               00000013  nop`,
  aarch64: `
            580003d3  ldr x19, bytes      d2800000  mov x0, #0          aa1303e1  mov x1, x19         d2800062  mov x2, #3
            d2880443  mov x3, #0x4022     92800004  mov x4, #-1         d2800005  mov x5, #0          d2801bc8  mov x8, #222
            d4000001  svc #0              aa0003f4  mov x20, x0         d2800040  mov x0, #2          b7f80234  tbnz x20, #63, done
            8b130295  add x21, x20, x19   aa1403e9  mov x9, x20
    fill:   aa0903ea  mov x10, x9         a881292a  stp x10, x10, [x9], #16   eb15013f  cmp x9, x21   54ffffa3  b.lo fill
    check:  aa1403ea  mov x10, x20        a8c1328b  ldp x11, x12, [x20], #16  eb0b015f  cmp x10, x11
            fa4c0140  ccmp x10, x12, #0, eq                             540000a1  b.ne wrong
            eb15029f  cmp x20, x21        54ffff43  b.lo check          d2800000  mov x0, #0          14000002  b done
    wrong:  d2800020  mov x0, #1
    done:   d2800bc8  mov x8, #94         d4000001  svc #0`,
};

/** ELF's numbers of the machines. */
const machines: Partial<Readonly<Record<GuestArch, number>>> = { aarch64: 183, riscv64: 243 };

/** The program for so many bytes, a multiple of 16: an ELF file of one segment, which is the file itself. */
export function memoryFiller(arch: GuestArch, bytes: bigint): Uint8Array {
  const words = (instructions[arch] ?? '').match(/\b[0-9a-f]{8}\b/g) ?? [];
  const headers = 64 + 56;
  const file = new DataView(new ArrayBuffer(headers + words.length * 4 + 8));
  const size = BigInt(file.byteLength);
  const load = 0x10000n;
  file.setUint32(0, 0x7f454c46);
  file.setUint32(4, 0x02010100);
  file.setUint16(16, 2, true);
  file.setUint16(18, machines[arch] ?? 0, true);
  file.setUint32(20, 1, true);
  file.setBigUint64(24, load + BigInt(headers), true);
  file.setBigUint64(32, 64n, true);
  file.setUint16(52, 64, true);
  file.setUint16(54, 56, true);
  file.setUint16(56, 1, true);
  // PT_LOAD, readable and executable: offset, virtual and physical address, size in the file and in memory, alignment.
  file.setUint32(64, 1, true);
  file.setUint32(68, 5, true);
  [0n, load, load, size, size, load].forEach((value, i) => file.setBigUint64(72 + 8 * i, value, true));
  words.forEach((word, i) => file.setUint32(headers + 4 * i, parseInt(word, 16), true));
  file.setBigUint64(file.byteLength - 8, bytes, true);
  return new Uint8Array(file.buffer);
}
