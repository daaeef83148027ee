import { capability, type Capability } from '../pci/capabilities/index.js';
import { type0 } from '../pci/header.js';
import type { RegisterFile } from '../sim/registers.js';
import type { TwinBar, TwinFunction } from './function.js';
import { makeRegion, type PageBudget, type Region, type Rule } from './region.js';
import { registersOf, resizeBar } from './registers.js';

/** Region numbers of a PCI device. linux/vfio.h: BARs are 0 to 5. */
export const ROM_REGION = 6;
export const CONFIG_REGION = 7;
export const REGION_COUNT = 9;
/** Interrupt types: INTx, MSI, MSI-X. A twin reports no errors, and never asks to be given back. */
export const INTERRUPT_TYPES = 3;

const CONFIG_SIZE = 4096;
const MiB = 1n << 20n;

/** What a region is to do; where nothing is said, it is memory. */
export type Rules = (region: number | 'rom') => Rule | undefined;

/**
 * One served function: config space that behaves, and what lies behind its BARs. It outlives its clients. While it is absent
 * its slot is empty: config space reads all ones, writes are ignored.
 */
export class TwinDevice {
  absent = false;
  /** Told when its client resets the device, and when the client has gone. */
  client: { readonly reset: () => void; readonly left: () => void } | undefined;
  readonly #registers: RegisterFile;
  readonly #capabilities: readonly Capability[];
  readonly #regions = new Map<number, Region>();
  readonly #bars: readonly TwinBar[];
  readonly interrupts: readonly number[];

  constructor(
    readonly fn: TwinFunction,
    rules: Rules,
    budget: PageBudget,
  ) {
    const { file, capabilities } = registersOf(fn);
    this.#registers = file;
    this.#capabilities = capabilities;
    this.#bars = fn.bars;
    for (const bar of fn.bars) {
      this.#regions.set(bar.index, makeRegion(bar.size, rules(bar.index) ?? { kind: 'memory' }, budget));
    }
    if (fn.rom !== undefined) {
      this.#regions.set(
        ROM_REGION,
        makeRegion(fn.rom, rules('rom') ?? { kind: 'constant', value: 0xffff_ffffn }, budget),
      );
    }
    const pin = file.read(type0.interruptPin.offset, 1);
    const msi = capability(capabilities, 'msi')?.data.vectors ?? 0;
    const msix = capability(capabilities, 'msix')?.data.vectors ?? 0;
    this.interrupts = [pin === 0 ? 0 : 1, msi, msix];
  }

  /** Bytes of a region; 0n: there is none of that number. */
  regionSize(region: number): bigint {
    return region === CONFIG_REGION ? BigInt(CONFIG_SIZE) : (this.#regions.get(region)?.size ?? 0n);
  }

  /** The access lies inside the region. */
  read(region: number, offset: bigint, into: Buffer): void {
    if (this.absent) into.fill(0xff);
    else if (region === CONFIG_REGION) this.#readConfig(Number(offset), into);
    else this.#regions.get(region)?.read(offset, into);
  }

  write(region: number, offset: bigint, data: Buffer): void {
    if (this.absent) return;
    if (region === CONFIG_REGION) this.#writeConfig(Number(offset), data);
    else if (region !== ROM_REGION) this.#regions.get(region)?.write(offset, data);
  }

  /** As a function-level reset: registers to their power-on state, what was written is gone. */
  reset(): void {
    this.#registers.reset();
    for (const bar of this.#bars) resizeBar(this.#registers, bar, bar.size);
    for (const region of this.#regions.values()) region.reset();
  }

  #readConfig(offset: number, into: Buffer): void {
    for (let i = 0; i < into.length; i++) into[i] = this.#registers.read(offset + i, 1);
  }

  #writeConfig(offset: number, data: Buffer): void {
    for (let i = 0; i < data.length; i++) this.#registers.write(offset + i, 1, data[i] ?? 0);
    this.#resize(offset, data.length);
    if (this.#resetAsked(offset, data)) this.reset();
  }

  /** Resizable BAR: a size that is supported and fits in the region makes the BAR's registers those of that size. */
  #resize(offset: number, length: number): void {
    const resizable = capability(this.#capabilities, 'resizableBar');
    resizable?.data.bars.forEach(({ index, sizes }, i) => {
      const control = resizable.at + 8 + 8 * i;
      if (offset > control + 3 || offset + length <= control) return;
      const size = MiB << BigInt((this.#registers.read(control, 4) >>> 8) & 0x3f);
      const bar = this.#bars.find((one) => one.index === index);
      if (bar && sizes.includes(size) && size <= bar.size) resizeBar(this.#registers, bar, size);
    });
  }

  /** Initiate Function Level Reset, bit 15 of Device Control, in a function that is capable of it. */
  #resetAsked(offset: number, data: Buffer): boolean {
    const express = capability(this.#capabilities, 'express');
    if (!express?.data.functionLevelReset) return false;
    const high = data[express.at + 9 - offset];
    return express.at + 9 >= offset && high !== undefined && (high & 0x80) !== 0;
  }
}
