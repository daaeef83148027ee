/** QEMU's arguments for a served function. `bus` and `addr` as its -device has them. */
export interface TwinPlace {
  readonly id: string;
  readonly socket: string;
  readonly bus: string;
  /** Device and function, `0.0`. */
  readonly addr?: string;
  readonly multifunction?: boolean;
}

/** The value of -device: JSON, because a socket address is an object. */
export function twinDevice({ id, socket, bus, addr, multifunction }: TwinPlace): string {
  return JSON.stringify({
    driver: 'vfio-user-pci',
    id,
    bus,
    ...(addr === undefined ? {} : { addr }),
    ...(multifunction ? { multifunction: true } : {}),
    socket: { type: 'unix', path: socket },
  });
}
