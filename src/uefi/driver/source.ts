/**
 * What a driver does, in terms that every instruction set can do: call what firmware offers, keep what it answers, decide
 * and repeat. All values are 64-bit; what is kept lies in named data of 8 bytes.
 */
export type Value =
  | { readonly kind: 'number'; readonly value: bigint }
  /** Of a routine or of data. */
  | { readonly kind: 'address'; readonly of: string }
  /** What memory holds at another value, and so many bytes on. */
  | { readonly kind: 'load'; readonly from: Value; readonly offset: number };

export type Statement =
  /** Calls a function with UEFI's calling convention; `result` names the data that keeps what it returns. */
  | { readonly kind: 'call'; readonly target: Value; readonly args: readonly Value[]; readonly result: string }
  | { readonly kind: 'set'; readonly data: string; readonly value: Value }
  /** Into memory at an address. */
  | { readonly kind: 'put'; readonly at: Value; readonly value: Value }
  | { readonly kind: 'add'; readonly data: string; readonly amount: number }
  | {
      readonly kind: 'if';
      readonly value: Value;
      readonly then: readonly Statement[];
      readonly otherwise: readonly Statement[];
    }
  /** As long as the value is not zero. */
  | { readonly kind: 'while'; readonly value: Value; readonly body: readonly Statement[] };

/** A function with UEFI's calling convention, which returns EFI_SUCCESS. */
export interface Routine {
  /** Data that keeps its arguments. */
  readonly parameters: readonly string[];
  readonly body: readonly Statement[];
}

export interface DriverSource {
  /** The first is the entry point. */
  readonly routines: Readonly<Record<string, Routine>>;
  /** In this order, multiples of 8 bytes. */
  readonly data: Readonly<Record<string, Uint8Array>>;
}

export const number = (value: number | bigint): Value => ({ kind: 'number', value: BigInt(value) });
export const address = (of: string): Value => ({ kind: 'address', of });
export const load = (from: Value, offset = 0): Value => ({ kind: 'load', from, offset });
/** What named data holds. */
export const value = (data: string): Value => load(address(data));

export const call = (target: Value, args: readonly Value[], result = 'status'): Statement => ({
  kind: 'call',
  target,
  args,
  result,
});
export const set = (data: string, to: Value): Statement => ({ kind: 'set', data, value: to });
export const put = (at: Value, what: Value): Statement => ({ kind: 'put', at, value: what });
export const add = (data: string, amount: number): Statement => ({ kind: 'add', data, amount });
export const when = (
  condition: Value,
  then: readonly Statement[],
  otherwise: readonly Statement[] = [],
): Statement => ({ kind: 'if', value: condition, then, otherwise });
export const whilst = (condition: Value, body: readonly Statement[]): Statement => ({
  kind: 'while',
  value: condition,
  body,
});
