import type { Context } from '../context.js';
export async function verify(this: Context): Promise<void> {}
