import type { Capture, CapturedFunction } from '../import/capture/model.js';
import { Problem } from '../problem/problem.js';

/** Class code of host bridges: those are the board's. */
const HOST_BRIDGE = 0x0600;

/**
 * All of a capture's functions that are neither bridges nor the board's own.
 * @throws Problem `twin-nothing`
 */
export function passableFunctions(capture: Capture): readonly CapturedFunction[] {
  const endpoints = capture.functions.filter(
    (fn) => (fn.headerType ?? 0) === 0 && !fn.buses && (fn.class ?? 0) >> 8 !== HOST_BRIDGE,
  );
  if (endpoints.length > 0) return endpoints;
  throw new Problem('twin-nothing', 'the capture holds no function that can be served');
}
