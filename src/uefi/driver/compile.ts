import { Assembler } from './assembler.js';
import type { InstructionSet, Register } from './instruction-set.js';
import { value, type DriverSource, type Statement, type Value } from './source.js';

export interface Compiled {
  readonly code: Uint8Array;
  readonly data: Uint8Array;
  /** Offset of the first routine in the code. */
  readonly entry: number;
}

/**
 * Machine code that runs wherever it is loaded, as long as its data follow at the same distance.
 * @param distance from the beginning of the code to the beginning of the data
 */
export function compile(source: DriverSource, isa: InstructionSet, distance: number): Compiled {
  const to = new Assembler();
  const [entry] = Object.keys(source.routines);
  for (const [name, { parameters, body }] of Object.entries(source.routines)) {
    to.place(name);
    isa.enter(to);
    parameters.forEach((data, i) => keep(to, isa, isa.args[i] ?? unknown(data), data));
    for (const statement of body) emit(to, isa, statement);
    isa.loadNumber(to, isa.result, 0n);
    isa.leave(to);
  }
  const places = new Map<string, number>();
  let size = 0;
  for (const [name, { length }] of Object.entries(source.data)) {
    if (length % 8 !== 0) throw new Error(`${name} has ${length} bytes`);
    places.set(name, distance + size);
    size += length;
  }
  const { code, labels } = to.finish(places);
  if (code.length > distance) throw new Error(`the code has ${code.length} bytes`);
  const data = new Uint8Array(size);
  for (const [name, bytes] of Object.entries(source.data)) data.set(bytes, (places.get(name) ?? 0) - distance);
  return { code, data, entry: labels.get(entry ?? '') ?? unknown('entry point') };
}

function emit(to: Assembler, isa: InstructionSet, statement: Statement): void {
  const all = (list: readonly Statement[]) => {
    for (const one of list) emit(to, isa, one);
  };
  switch (statement.kind) {
    case 'call': {
      const { target, args, result } = statement;
      // From the last one: what goes to the stack is computed in a register that the others do not need.
      args.forEach((arg, i) => {
        if (i < isa.args.length) return;
        evaluate(to, isa, arg, isa.scratch);
        isa.passOnStack(to, isa.scratch, i);
      });
      args.slice(0, isa.args.length).forEach((arg, i) => evaluate(to, isa, arg, isa.args[i] ?? unknown('register')));
      evaluate(to, isa, target, isa.scratch);
      isa.call(to, isa.scratch);
      keep(to, isa, isa.result, result);
      break;
    }
    case 'set':
      evaluate(to, isa, statement.value, isa.scratch);
      keep(to, isa, isa.scratch, statement.data);
      break;
    case 'put':
      evaluate(to, isa, statement.value, isa.scratch);
      evaluate(to, isa, statement.at, isa.pointer);
      isa.store(to, isa.scratch, isa.pointer);
      break;
    case 'add':
      evaluate(to, isa, value(statement.data), isa.scratch);
      isa.addNumber(to, isa.scratch, statement.amount);
      keep(to, isa, isa.scratch, statement.data);
      break;
    case 'if': {
      const [otherwise, end] = [to.label(), to.label()];
      evaluate(to, isa, statement.value, isa.scratch);
      isa.jumpIfZero(to, isa.scratch, otherwise);
      all(statement.then);
      isa.jump(to, end);
      to.place(otherwise);
      all(statement.otherwise);
      to.place(end);
      break;
    }
    case 'while': {
      const [top, end] = [to.label(), to.label()];
      to.place(top);
      evaluate(to, isa, statement.value, isa.scratch);
      isa.jumpIfZero(to, isa.scratch, end);
      all(statement.body);
      isa.jump(to, top);
      to.place(end);
      break;
    }
  }
}

/** Computes a value in one register, touching no other. */
function evaluate(to: Assembler, isa: InstructionSet, from: Value, register: Register): void {
  if (from.kind === 'number') isa.loadNumber(to, register, from.value);
  else if (from.kind === 'address') isa.loadAddress(to, register, from.of);
  else {
    evaluate(to, isa, from.from, register);
    isa.load(to, register, from.offset);
  }
}

function keep(to: Assembler, isa: InstructionSet, register: Register, data: string): void {
  isa.loadAddress(to, isa.pointer, data);
  isa.store(to, register, isa.pointer);
}

function unknown(what: string): never {
  throw new Error(`no ${what}`);
}
