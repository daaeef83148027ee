import { describe, expect, it } from 'vitest';
import { barRegister, common, commandFlags, statusFlags, type0, type1 } from './header.js';
import { bit, field, named, packed } from './layout.js';

/** Every field of a layout and every bit of it shows in the result of `read`, and nowhere else. */
describe('header layouts', () => {
  // Offsets from PCI Express Base 6.0 figures 7-5 and 7-14, typed in by hand: the layouts derive theirs from widths.
  it.each([
    ['command', common.command, 0x04],
    ['status', common.status, 0x06],
    ['class code', common.classCode, 0x09],
    ['header type', common.headerType, 0x0e],
    ['BAR 5', type0.bar5, 0x24],
    ['subsystem vendor id', type0.subsystemVendorId, 0x2c],
    ['expansion ROM', type0.expansionRom, 0x30],
    ['capabilities pointer', type0.capabilitiesPointer, 0x34],
    ['interrupt pin', type0.interruptPin, 0x3d],
    ['primary bus', type1.primaryBus, 0x18],
    ['secondary bus', type1.secondaryBus, 0x19],
    ['subordinate bus', type1.subordinateBus, 0x1a],
    ['I/O base', type1.ioBase, 0x1c],
    ['secondary status', type1.secondaryStatus, 0x1e],
    ['memory base', type1.memoryBase, 0x20],
    ['memory limit', type1.memoryLimit, 0x22],
    ['prefetchable base', type1.prefetchableBase, 0x24],
    ['prefetchable limit', type1.prefetchableLimit, 0x26],
    ['prefetchable base upper 32', type1.prefetchableBaseUpper32, 0x28],
    ['prefetchable limit upper 32', type1.prefetchableLimitUpper32, 0x2c],
    ['I/O base upper 16', type1.ioBaseUpper16, 0x30],
    ['I/O limit upper 16', type1.ioLimitUpper16, 0x32],
    ['bridge capabilities pointer', type1.capabilitiesPointer, 0x34],
    ['bridge expansion ROM', type1.expansionRom, 0x38],
    ['bridge control', type1.bridgeControl, 0x3e],
  ] as const)('%s', (_name, { offset }, expected) => expect(offset).toBe(expected));

  it('has BAR n at 0x10 + 4n', () => expect([0, 1, 5].map(barRegister)).toEqual([0x10, 0x14, 0x24]));

  it('refuses a list that does not fill its structure, and a name that comes twice', () => {
    expect(() => packed('short', 0, 8, [['a', 4]])).toThrow('short: the fields fill 4 bytes, the structure has 8');
    expect(() =>
      packed('twice', 0, 8, [
        ['a', 4],
        ['a', 4],
      ]),
    ).toThrow('a is listed twice');
  });
});

describe('Command', () => {
  it.each([
    [0, 'ioSpace'],
    [1, 'memorySpace'],
    [2, 'busMaster'],
    [3, 'specialCycles'],
    [4, 'memoryWriteAndInvalidate'],
    [5, 'vgaPaletteSnoop'],
    [6, 'parityErrorResponse'],
    [8, 'serrEnable'],
    [9, 'fastBackToBackEnable'],
    [10, 'interruptDisable'],
  ])('bit %i is %s and nothing else', (index, flag) => expect(commandFlags(1 << index)).toEqual([flag]));

  it.each([7, 11, 12, 13, 14, 15])('bit %i is reserved', (index) => expect(commandFlags(1 << index)).toEqual([]));
});

describe('Status', () => {
  it.each([
    [0, 'immediateReadiness'],
    [3, 'interrupt'],
    [4, 'capabilityList'],
    [5, 'capable66MHz'],
    [7, 'fastBackToBackCapable'],
    [8, 'masterDataParityError'],
    [11, 'signaledTargetAbort'],
    [12, 'receivedTargetAbort'],
    [13, 'receivedMasterAbort'],
    [14, 'signaledSystemError'],
    [15, 'detectedParityError'],
  ])('bit %i is %s and nothing else', (index, flag) => expect(statusFlags(1 << index)).toEqual([flag]));
});

describe('fields', () => {
  it('keep bit 31 unsigned', () => {
    expect(field(0x8000_0000, 31, 1)).toBe(1);
    expect(field(0xffff_ffff, 0, 16)).toBe(0xffff);
    expect(bit(0x8000_0000, 31)).toBe(true);
  });

  it('keep a reserved encoding raw', () => expect(named({ 0: 'zero' }, 5)).toEqual({ reserved: 5 }));
});
